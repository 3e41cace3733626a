//! Where lints point to.

use gambeson_policy_model::{Mode, Reader, lint_duplicates, lint_rules};

use crate::{expectations, policy};

/// Holds the lints of a text to those that it expects of itself.
#[track_caller]
fn check_lints(text: &str) {
    let reader = Reader::new().mode(Mode::Lenient);
    let mut reading = reader.read_str("p.yaml", text);
    for document in reading.documents_mut() {
        document.diagnostics.clear();
        if let Some(policy) = &document.policy {
            document.diagnostics = lint_rules(policy.selector(), policy.location(), policy.rules());
        }
    }
    reader.pinpoint_lints(&mut reading);
    // A second time changes nothing.
    reader.pinpoint_lints(&mut reading);
    let mut found: Vec<String> = reading
        .diagnostics()
        .map(|d| {
            let at = &d.location;
            format!("{}:{} {} {}", at.line, at.column, d.code, d.field)
        })
        .collect();
    found.sort();
    assert_eq!(found, expectations(text), "of:\n{text}");
}

#[test]
fn a_lint_points_to_the_value_that_it_speaks_of() {
    check_lints(&policy(
        "  selector: {matchLabels: {app: web}}
  process:
    matchPaths:
    - action: Block
      fromSource:
      - path: /usr/bin/bash
      - path: /bin/dash
#             ^ merged-usr spec.process.matchPaths[0].fromSource[1].path
      path: /bin/sh
#           ^ merged-usr spec.process.matchPaths[0].path
    - action: Allow
#     ^ allow-list-mode spec.process.matchPaths[1]
      path: /usr/bin/nginx
    matchDirectories:
    - recursive: true
      dir: /sbin/
#          ^ merged-usr spec.process.matchDirectories[0].dir
    matchPatterns:
    - ownerOnly: false
      pattern: usr/**
#              ^ impossible-pattern spec.process.matchPatterns[0].pattern
  network:
    matchDNSQueries:
    - action: Block
      domain: '*.example.com'
#             ^ wildcard-domain spec.network.matchDNSQueries[0].domain
",
    ));
}

#[test]
fn a_selector_is_shown_where_it_stands_or_should() {
    check_lints(&policy(
        "  action: Block
  selector:
# ^ selects-everything spec.selector
    matchLabels: {}
",
    ));
    check_lints(
        "apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: p}
spec:
#< selects-everything spec.selector
  action: Block
",
    );
}

#[test]
fn items_of_lists_and_later_documents_are_told_apart() {
    check_lints(
        "apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
- apiVersion: security.kubearmor.com/v1
  kind: KubeArmorPolicy
  metadata: {name: p}
  spec:
    selector: {matchLabels: {app: web}}
    process: {matchPaths: [{severity: 1, path: /bin/sh}]}
#                                              ^ merged-usr items[1].spec.process.matchPaths[0].path
---
kind: [
---
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: q}
spec:
  selector: {}
# ^ selects-everything spec.selector
",
    );
}

#[test]
fn a_second_policy_of_one_name_is_shown_at_its_name() {
    let text = policy("  {}\n");
    let reader = Reader::new();
    let mut reading = reader.read_str("p.yaml", &format!("{text}---\n{text}"));
    let policies = reading.documents().iter().filter_map(|d| d.policy.as_ref());
    let found = lint_duplicates(policies.map(|policy| (policy.id().as_ref(), policy.location())));
    reading.documents_mut()[1].diagnostics = found;
    reader.pinpoint_lints(&mut reading);
    let shown = reading.diagnostics().next().unwrap();
    assert_eq!((shown.location.line, shown.location.column), (9, 18));
}
