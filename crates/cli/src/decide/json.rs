//! Answers for programs: one JSON object on a line.

use gambeson::policy_model::{Cause, Decision, RuleInfo, Verdict};
use serde::Serialize;

use super::engine::Engine;
use super::rule::PerRule;

/// Writes answers into a buffer. What follows the verdict is rendered once for each rule.
#[derive(Debug)]
pub(crate) struct JsonAnswers {
    by_rule: PerRule<Vec<u8>>,
    by_posture: Vec<u8>,
    by_nothing: Vec<u8>,
}

/// What an answer says after its verdict.
#[derive(Serialize)]
struct Tail<'a> {
    cause: &'static str,
    policy: Option<&'a str>,
    rule: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
}

#[derive(Serialize)]
struct BadLine<'a> {
    error: &'a str,
    line: u64,
}

impl JsonAnswers {
    pub(crate) fn new() -> Self {
        Self {
            by_rule: PerRule::new(),
            by_posture: tail(Cause::Posture, None),
            by_nothing: tail(Cause::None, None),
        }
    }

    pub(crate) fn answer(&mut self, out: &mut Vec<u8>, engine: &Engine, decision: Decision) {
        out.extend_from_slice(match decision.verdict {
            Verdict::Allow => br#"{"verdict":"Allow","#,
            Verdict::Audit => br#"{"verdict":"Audit","#,
            Verdict::Block => br#"{"verdict":"Block","#,
        });
        let tail = match decision.cause {
            Cause::Rule(id) => self
                .by_rule
                .get(engine, id, |rule| tail(decision.cause, Some(&rule)))
                .map_or(self.by_nothing.as_slice(), |tail| tail.as_slice()),
            Cause::Posture => &self.by_posture,
            Cause::None => &self.by_nothing,
        };
        out.extend_from_slice(tail);
    }

    pub(crate) fn error(out: &mut Vec<u8>, line: u64, error: &str) {
        out.extend_from_slice(&rendered(&BadLine { error, line }));
    }
}

/// What follows the verdict, to the end of the line.
fn tail(cause: Cause, rule: Option<&RuleInfo<'_>>) -> Vec<u8> {
    let field_path = rule.map(RuleInfo::field_path);
    let mut object = rendered(&Tail {
        cause: cause.name(),
        policy: rule.map(|rule| rule.policy),
        rule: field_path.as_deref(),
        file: rule.map(|rule| rule.file),
        line: rule.map(|rule| rule.line),
    });
    // The verdict brings the opening brace.
    object.remove(0);
    object
}

fn rendered(object: &impl Serialize) -> Vec<u8> {
    // Strings and numbers always have a JSON form.
    let mut line = serde_json::to_vec(object).unwrap_or_else(|_| b"{}".to_vec());
    line.push(b'\n');
    line
}
