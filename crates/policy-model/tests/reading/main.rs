//! Reading policies: what is accepted, what is refused, where, and in which words.
//!
//! Each module is marked as a test, so that clippy takes its helpers for parts of tests.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod lenient;
#[cfg(test)]
mod pinpoint;
#[cfg(test)]
mod rendering;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod selecting;
#[cfg(test)]
mod strict;

use gambeson_policy_model::{Mode, Reader};

/// The problems of a text, as `line:column severity[code] field`.
fn problems(mode: Mode, text: &str) -> Vec<String> {
    let reading = Reader::new().mode(mode).read_str("p.yaml", text);
    let mut found: Vec<String> = reading
        .diagnostics()
        .map(|d| {
            let at = &d.location;
            format!(
                "{}:{} {}[{}] {}",
                at.line, at.column, d.severity, d.code, d.field
            )
        })
        .collect();
    found.sort();
    found
}

/// The problems that a text expects of itself. A comment `# ^ error[code] field` stands below the
/// line, its caret below the column; `#< …` stands for column 1.
fn expectations(text: &str) -> Vec<String> {
    let mut expected = Vec::new();
    let mut line_of_text = 0;
    for (index, line) in text.lines().enumerate() {
        let Some(comment) = line.strip_prefix('#') else {
            line_of_text = index + 1;
            continue;
        };
        if let Some(what) = comment.strip_prefix('<') {
            expected.push(format!("{line_of_text}:1 {}", what.trim()));
        } else if let Some((before, what)) = comment.split_once('^') {
            let column = before.chars().count() + 2;
            expected.push(format!("{line_of_text}:{column} {}", what.trim()));
        }
    }
    expected.sort();
    expected
}

/// Holds a text to the problems that it expects of itself, and to no others.
#[track_caller]
fn check(mode: Mode, text: &str) {
    assert_eq!(problems(mode, text), expectations(text), "of:\n{text}");
}

/// A policy with this text as its `spec`, which begins in line 5.
fn policy(spec: &str) -> String {
    format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: p}}\nspec:\n{spec}"
    )
}

/// A host policy with this text in its `spec`, beside an empty `nodeSelector`.
fn host_policy(spec: &str) -> String {
    format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorHostPolicy\nmetadata: {{name: p}}\nspec:\n  nodeSelector: {{}}\n{spec}"
    )
}
