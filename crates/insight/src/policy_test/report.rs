//! What came of tests.

use std::fmt::{self, Write as _};

use gambeson_policy_model::Verdict;
use serde::Serialize;
use serde_json::{Value, json};

use super::coverage::Coverage;
use super::file::Step;
use crate::words::printable;

/// A verdict, its cause and its rule, spelled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) verdict: Verdict,
    /// `rule`, `posture` or `none`; empty where it doesn't matter.
    pub(super) cause: String,
    /// The policy's name and the rule's field path.
    pub(super) rule: Option<String>,
}

impl Decided {
    /// Whether it is what a step says must happen.
    pub(super) fn agrees_with(&self, step: &Step) -> bool {
        let cause = step.cause.as_ref();
        self.verdict == step.verdict
            && cause.is_none_or(|cause| *cause == self.cause)
            && (step.rule.is_none() || step.rule == self.rule)
    }
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.rule, self.cause.as_str()) {
            (Some(rule), _) => write!(f, "{} by {rule}", self.verdict),
            (None, "posture") => write!(f, "{} by the default posture", self.verdict),
            (None, "none") => write!(f, "{}, no rule speaks", self.verdict),
            (None, _) => write!(f, "{}", self.verdict),
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome")]
#[non_exhaustive]
pub enum Outcome {
    /// As it must.
    Passed,
    /// Otherwise.
    Failed {
        /// What must happen.
        expected: String,
        /// What happened.
        found: String,
        /// Why, in several lines.
        explanation: String,
    },
    /// Not at all: the test can't be run.
    #[serde(untagged)]
    Error(String),
}

/// One step of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Case {
    /// The file of tests.
    pub file: String,
    /// The test's name.
    pub test: String,
    /// The step's line in the file; `None` where the whole test is meant.
    pub line: Option<u64>,
    /// What is done, in one line.
    pub step: String,
    /// What carried it out, such as `bpf-lsm on Linux 6.1`; `None` for the compiled policy.
    pub place: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Case {
    /// A step of which no more is known than what it is called; it hasn't been run.
    #[must_use]
    pub fn new(file: &str, test: &str, step: &str) -> Self {
        Self {
            file: file.to_owned(),
            test: test.to_owned(),
            line: None,
            step: step.to_owned(),
            place: None,
            outcome: Outcome::Error("it was not run".to_owned()),
        }
    }

    /// The same step carried out elsewhere, such as by a kernel, and how that ended.
    #[must_use]
    pub fn carried_out(self, place: String, outcome: Outcome) -> Self {
        Self {
            place: Some(place),
            outcome,
            ..self
        }
    }

    /// What is done, and by what.
    #[must_use]
    pub fn described(&self) -> String {
        match &self.place {
            Some(place) => format!("{} ({place})", self.step),
            None => self.step.clone(),
        }
    }

    /// `web.test.yaml:12 no shells: exec /bin/sh by /usr/sbin/nginx`
    #[must_use]
    pub fn title(&self) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        let text = format!("{}{line} {}: {}", self.file, self.test, self.described());
        printable(text.as_bytes())
    }
}

/// What came of all tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Every step, in order.
    pub cases: Vec<Case>,
    /// Which rules steps were decided by.
    pub coverage: Coverage,
}

impl Report {
    /// How many steps passed, failed and could not be run.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for case in &self.cases {
            let [passed, failed, errors] = &mut counts;
            *match case.outcome {
                Outcome::Passed => passed,
                Outcome::Failed { .. } => failed,
                Outcome::Error(_) => errors,
            } += 1;
        }
        counts
    }

    /// Whether every step passed.
    #[must_use]
    pub fn all_passed(&self) -> bool {
        let [_, failed, errors] = self.counts();
        failed == 0 && errors == 0
    }

    /// For people: each failure with its explanation, and which rules no step was decided by.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing into a string doesn't fail.
        for case in &self.cases {
            match &case.outcome {
                Outcome::Passed => {}
                Outcome::Failed {
                    expected,
                    found,
                    explanation,
                } => {
                    let _ = writeln!(out, "failed  {}", case.title());
                    let _ = writeln!(out, "  expected  {}", printable(expected.as_bytes()));
                    let _ = writeln!(out, "  found     {}", printable(found.as_bytes()));
                    for line in explanation.lines() {
                        let _ = writeln!(out, "    {line}");
                    }
                    out.push('\n');
                }
                Outcome::Error(error) => {
                    let _ = writeln!(out, "error   {}", case.title());
                    for line in error.lines() {
                        let _ = writeln!(out, "  {}", printable(line.as_bytes()));
                    }
                    out.push('\n');
                }
            }
        }
        let [passed, failed, errors] = self.counts();
        let plural = if self.cases.len() == 1 { "" } else { "s" };
        let _ = writeln!(
            out,
            "{} step{plural}: {passed} passed, {failed} failed, {errors} not run",
            self.cases.len()
        );
        let (covered, all) = self.coverage.counts();
        let _ = writeln!(
            out,
            "coverage: {covered} of {all} rules decide some step ({} %)",
            self.coverage.percent()
        );
        for rule in self.coverage.uncovered() {
            let text = format!(
                "{}:{} {} of {}",
                rule.file, rule.line, rule.rule, rule.policy
            );
            let _ = writeln!(out, "  by no step  {}", printable(text.as_bytes()));
        }
        out
    }

    /// For programs: one object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let cases: Vec<Value> = self
            .cases
            .iter()
            .map(|case| {
                let mut value = json!({
                    "file": case.file, "test": case.test, "line": case.line, "step": case.step,
                    "place": case.place,
                });
                let outcome = match &case.outcome {
                    Outcome::Error(error) => json!({"outcome": "error", "error": error}),
                    outcome => json!(outcome),
                };
                if let (Some(map), Value::Object(outcome)) = (value.as_object_mut(), outcome) {
                    map.extend(outcome);
                }
                value
            })
            .collect();
        let [passed, failed, errors] = self.counts();
        let rules: Vec<Value> = self.coverage.rules().map(|rule| json!(rule)).collect();
        json!({
            "steps": cases,
            "passed": passed,
            "failed": failed,
            "errors": errors,
            "coverage": {"percent": self.coverage.percent(), "rules": rules},
        })
    }
}
