//! Reports in the format that CI systems know from JUnit.

use std::fmt::Write as _;

use super::report::{Case, Outcome, Report};
use crate::words::printable;

impl Report {
    /// The report as JUnit XML: a suite for each file, a case for each step.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let [_, failed, errors] = self.counts();
        // Writing into a string doesn't fail.
        let _ = writeln!(
            out,
            r#"<testsuites name="gambeson test" tests="{}" failures="{failed}" errors="{errors}">"#,
            self.cases.len()
        );
        for suite in self.cases.chunk_by(|a, b| a.file == b.file) {
            write_suite(&mut out, suite);
        }
        out.push_str("</testsuites>\n");
        out
    }
}

fn write_suite(out: &mut String, cases: &[Case]) {
    let Some(first) = cases.first() else { return };
    let count = |wanted: fn(&Outcome) -> bool| {
        let cases = cases.iter();
        cases.filter(|case| wanted(&case.outcome)).count()
    };
    let _ = writeln!(
        out,
        r#"  <testsuite name="{}" tests="{}" failures="{}" errors="{}">"#,
        escaped(&first.file),
        cases.len(),
        count(|outcome| matches!(outcome, Outcome::Failed { .. })),
        count(|outcome| matches!(outcome, Outcome::Error(_))),
    );
    for case in cases {
        let line = case.line.map(|line| format!(r#" line="{line}""#));
        let _ = write!(
            out,
            r#"    <testcase classname="{}" name="{}" file="{}"{}"#,
            escaped(&case.test),
            escaped(&case.described()),
            escaped(&case.file),
            line.unwrap_or_default()
        );
        match &case.outcome {
            Outcome::Passed => out.push_str("/>\n"),
            Outcome::Failed {
                expected,
                found,
                explanation,
            } => {
                let message = format!("expected {expected}, found {found}");
                let _ = writeln!(
                    out,
                    ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                    escaped(&message),
                    escaped(explanation)
                );
            }
            Outcome::Error(error) => {
                let _ = writeln!(
                    out,
                    ">\n      <error message=\"{}\"/>\n    </testcase>",
                    escaped(error)
                );
            }
        }
    }
    out.push_str("  </testsuite>\n");
}

/// Text that can stand in an element or an attribute; XML knows no control characters.
fn escaped(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            printable(line.as_bytes())
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&quot;")
        })
        .collect();
    lines.join("\n")
}
