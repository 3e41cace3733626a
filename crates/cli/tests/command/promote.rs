//! `gambeson promote`: from reports to denials, and back.

use crate::common::{file, folder, project, run};

/// A copy of the example that only audits.
fn policy(name: &str) -> (std::path::PathBuf, String, String) {
    let folder = folder(name);
    let text =
        std::fs::read_to_string(project().join("examples/policies/checkout-risk-audit.yaml"))
            .unwrap();
    let path = file(&folder, "risk.yaml", &text);
    (folder, path, text)
}

fn promote(path: &str, events: &str, more: &[&str]) -> crate::common::Ended {
    let args = [
        "promote",
        "--policies",
        path,
        "--workload",
        "examples/workloads/checkout.json",
        "--events",
        events,
    ];
    run(&[&args[..], more].concat())
}

#[test]
fn quiet_rules_become_denials_and_the_way_back_is_exact() {
    let (folder, path, text) = policy("promote-and-back");
    let read = || std::fs::read_to_string(&path).unwrap();
    let dry = promote(&path, "examples/events/checkout-day.jsonl", &["--dry-run"]);
    assert_eq!((dry.status, dry.err.as_str()), (0, ""));
    assert!(dry.out.contains("to be written  "), "{}", dry.out);
    assert_eq!(read(), text);
    let ended = promote(&path, "examples/events/checkout-day.jsonl", &[]);
    assert_eq!(ended.status, 0);
    assert!(ended.out.contains("9 of 9 Audit rules"), "{}", ended.out);
    assert_eq!(read(), text.replace("action: Audit", "action: Block"));
    // Changed since: refused.
    std::fs::write(&path, "mine").unwrap();
    let undo = ["promote", "--policies", &path, "--undo"];
    let ended = run(&undo);
    assert_eq!(ended.status, 1);
    assert!(
        ended.err.contains("has changed since; nothing was written"),
        "{}",
        ended.err
    );
    assert_eq!(read(), "mine");
    std::fs::write(&path, text.replace("action: Audit", "action: Block")).unwrap();
    assert_eq!(run(&undo).status, 0);
    assert_eq!(read(), text);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    let ended = run(&undo);
    assert!(
        ended.err.contains("there is no promotion to undo"),
        "{}",
        ended.err
    );
}

#[test]
fn what_reported_something_is_named_with_it() {
    let (_, path, _) = policy("promote-loud");
    let ended = promote(&path, "examples/events/attack-day.jsonl", &["--json"]);
    assert_eq!((ended.status, ended.err.as_str()), (0, ""));
    let rules = ended.json()[0]["rules"].clone();
    assert_eq!(rules[0]["held"]["reason"], "reported");
    assert_eq!(rules[0]["held"]["line"], 17);
    // /usr/bin/sh wasn't started.
    assert_eq!(rules[4]["held"], serde_json::Value::Null);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("      - action: Block\n        path: /usr/bin/sh\n"),
        "{text}"
    );
}

#[test]
fn events_or_the_way_back_must_be_asked_for() {
    let (_, path, _) = policy("promote-usage");
    assert_eq!(run(&["promote", "--policies", &path]).status, 2);
    let no_workload = ["promote", "--policies", &path, "--events", "-"];
    assert_eq!(run(&no_workload).status, 2);
}
