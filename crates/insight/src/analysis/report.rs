//! Differences for people and for programs.

use std::fmt::Write as _;

use gambeson_policy_model::{Cause, Decision, Operation, SourceMap};
use serde_json::{Value, json};

use super::diff::{Diff, Difference, Programs};
use crate::explain::{Explainer, described, excerpt, printable};

/// One of two policies, with the texts of its files.
#[derive(Debug, Clone, Copy)]
pub struct Side<'e> {
    /// Explains its decisions.
    pub explainer: &'e Explainer,
    /// The texts of its files.
    pub sources: &'e SourceMap,
}

impl Programs {
    /// The programs in words; `witness` is that of the difference.
    fn words(self, difference: &Difference) -> String {
        let witness = difference.witness.source.bytes().unwrap_or_default();
        match self {
            Self::Any => "by any program".to_owned(),
            Self::Unnamed => "by programs that no rule names".to_owned(),
            Self::Named => format!("by {}", printable(witness)),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Unnamed => "unnamed",
            Self::Named => "witness",
        }
    }
}

impl Difference {
    /// The difference in one line: ``write /etc/nginx/x by any program: Allow → Block``.
    #[must_use]
    pub fn headline(&self) -> String {
        let event = &self.witness;
        let mut line = format!(
            "{} {} {}",
            event.operation.name(),
            described(&event.operation),
            self.programs.words(self)
        );
        if let Operation::Exec { args, .. } = &event.operation
            && !args.is_empty()
        {
            let args: Vec<String> = args.iter().map(|arg| printable(arg)).collect();
            let _ = write!(line, ", with arguments {}", args.join(" "));
        }
        if event.is_owner() {
            line.push_str(", which owns it");
        }
        if event.tty {
            line.push_str(", on a terminal");
        }
        let _ = write!(line, ": {} → {}", self.before.verdict, self.after.verdict);
        line
    }
}

impl Diff {
    /// For people: every class of events that changes, with the rules responsible as they are
    /// written.
    #[must_use]
    pub fn to_text(&self, before: Side<'_>, after: Side<'_>) -> String {
        let mut out = String::new();
        for difference in &self.differences {
            // Writing into a string doesn't fail.
            let _ = writeln!(out, "{}", difference.headline());
            write_side(&mut out, "before", before, difference.before);
            write_side(&mut out, "after ", after, difference.after);
            out.push('\n');
        }
        let count = self.differences.len();
        let _ = match (self.complete, count) {
            (true, 0) => writeln!(out, "no event is decided otherwise"),
            (true, 1) => writeln!(out, "1 class of events is decided otherwise"),
            (true, _) => writeln!(out, "{count} classes of events are decided otherwise"),
            (false, _) => writeln!(
                out,
                "{count} classes of events are decided otherwise, and there may be more: a limit was met"
            ),
        };
        out
    }

    /// For programs: an object for each difference, and one that sums up.
    #[must_use]
    pub fn to_json(&self, before: &Explainer, after: &Explainer) -> Vec<Value> {
        let mut values: Vec<Value> = self
            .differences
            .iter()
            .map(|difference| {
                let event = difference.witness.to_json();
                json!({
                    "witness": serde_json::from_str::<Value>(&event).unwrap_or_default(),
                    "programs": difference.programs.name(),
                    "before": decided(before, difference.before),
                    "after": decided(after, difference.after),
                })
            })
            .collect();
        values.push(json!({"summary": {
            "differences": self.differences.len(),
            "complete": self.complete,
            "equal": self.is_equal(),
        }}));
        values
    }
}

fn write_side(out: &mut String, when: &str, side: Side<'_>, decision: Decision) {
    let explainer = side.explainer;
    let because = match decision.cause {
        Cause::Posture => "by the default posture".to_owned(),
        Cause::None => "no rule speaks".to_owned(),
        Cause::Rule(id) => explainer
            .compiled()
            .rule(id)
            .map_or_else(String::new, |rule| format!("by {rule}")),
    };
    let _ = writeln!(
        out,
        "  {when}  {}, {}",
        decision.verdict,
        printable(because.as_bytes())
    );
    if let Some(rule) = decision.rule().and_then(|id| explainer.rule(id)) {
        for (number, line) in excerpt(rule, side.sources) {
            let _ = writeln!(out, "      {number:>4} | {}", printable(line.as_bytes()));
        }
    }
}

fn decided(explainer: &Explainer, decision: Decision) -> Value {
    json!({
        "verdict": decision.verdict,
        "cause": decision.cause.name(),
        "rule": decision.rule().map(|id| crate::explain::rule_json(explainer, id)),
    })
}
