//! `gambeson discover`: drafts from recorded events.

use crate::common::{feed, folder, run};

const CHECKOUT: [&str; 5] = [
    "discover",
    "--workload",
    "examples/workloads/checkout.json",
    "--events",
    "examples/events/checkout-day.jsonl",
];

#[test]
fn the_policy_goes_to_standard_output_and_what_was_read_to_standard_error() {
    let ended = run(&CHECKOUT);
    assert_eq!(ended.status, 0);
    assert!(
        ended
            .out
            .starts_with("# Drafted from 38 events, lines 1 to 38, 2026-11-22T")
    );
    assert!(
        ended.out.contains("        readOnly: true\n"),
        "{}",
        ended.out
    );
    assert_eq!(
        ended.err,
        "38 events of 38 lines: 15 rules for 1 workload, 0 events left out; 0 lines unusable, 0 without an event\n"
    );
    let json = run(&[&CHECKOUT[..], &["--json", "--threads", "2"]].concat());
    assert_eq!((json.status, json.err.as_str()), (0, ""));
    let json = &json.json()[0]["drafts"][0];
    assert_eq!(json["yaml"], ended.out);
    assert_eq!(
        json["workload"],
        "production app=checkout container checkout"
    );
}

#[test]
fn a_draft_stands_its_own_day_and_is_read_strictly() {
    let folder = folder("discover-own-day");
    let folder = folder.to_str().unwrap();
    let ended = run(&[&CHECKOUT[..], &["--output", folder]].concat());
    assert_eq!((ended.status, ended.out.as_str()), (0, ""));
    assert_eq!(run(&["lint", folder]).status, 0);
    let replay = [
        "replay",
        "--policies",
        folder,
        "--fail-on",
        "block",
        "audit",
    ];
    let ended = run(&[&replay[..], &CHECKOUT[1..]].concat());
    assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{}", ended.out);
    // A draft that is there isn't written over.
    let ended = run(&[&CHECKOUT[..], &["--output", folder]].concat());
    assert_eq!(ended.status, 1);
    assert!(
        ended
            .err
            .contains("production.discovered-checkout.yaml` can't be written"),
        "{}",
        ended.err
    );
}

#[test]
fn lines_that_cannot_be_used_are_shown() {
    let ended = feed(
        &["discover", "--namespace", "shop", "--events", "-"],
        b"nonsense\n{\"op\":\"read\",\"path\":\"/a/../b\"}\n",
    );
    assert_eq!((ended.status, ended.out.as_str()), (0, ""));
    assert!(ended.err.starts_with("unusable line 1: "), "{}", ended.err);
    assert!(
        ended.err.contains("left out 1×: the path has `.`"),
        "{}",
        ended.err
    );
}
