//! The YAML of a rule, as it was written.

use gambeson_policy_model::{Rule, SourceMap};

/// The most lines that are shown of one rule.
const LINES: u32 = 12;

/// The lines of a rule as they were written, with their numbers; empty where the file's text isn't
/// at hand.
///
/// The rule's first line and what is indented below it: an entry of a list ends where a line begins
/// no further right than its dash.
#[must_use]
pub fn excerpt<'s>(rule: &Rule, sources: &'s SourceMap) -> Vec<(u32, &'s str)> {
    let file = &rule.location.file;
    let first = rule.location.line;
    let Some(text) = sources.line(file, first) else {
        return Vec::new();
    };
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let dash = indent(text);
    let is_entry = text.trim_start().starts_with("- ");
    let mut lines = vec![(first, text.trim_end())];
    if !is_entry {
        return lines;
    }
    for number in first + 1..first.saturating_add(LINES) {
        match sources.line(file, number) {
            Some(line) if !line.trim().is_empty() && indent(line) > dash => {
                lines.push((number, line.trim_end()));
            }
            _ => break,
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use gambeson_policy_model::{PolicySet, Reader, Workload};

    use super::*;

    #[test]
    fn an_entry_is_shown_to_its_end() {
        let text = "\
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: web}
spec:
  process:
    matchPaths:
      - path: /bin/sh
        message: a shell
        fromSource:
          - path: /bin/env
      - path: /bin/ls
    matchDirectories: [{dir: /opt/}]
";
        let reading = Reader::new().read_str("web.yaml", text);
        let sources = reading.sources().clone();
        let policies: PolicySet = reading.into_set().unwrap();
        let selection = policies.select(&Workload::pod("default"));
        let shown: Vec<Vec<(u32, &str)>> = selection
            .rules()
            .iter()
            .map(|rule| excerpt(rule, &sources))
            .collect();
        assert_eq!(
            shown,
            [
                vec![
                    (7, "      - path: /bin/sh"),
                    (8, "        message: a shell"),
                    (9, "        fromSource:"),
                    (10, "          - path: /bin/env"),
                ],
                vec![(11, "      - path: /bin/ls")],
                vec![(12, "    matchDirectories: [{dir: /opt/}]")],
            ]
        );
    }
}
