//! `gambeson replay`: what a candidate policy would have done.

use crate::common::{feed, run};

const CHECKOUT: [&str; 9] = [
    "replay",
    "--policies",
    "examples/policies",
    "--namespace",
    "production",
    "--label",
    "app=checkout",
    "--events",
    "examples/events/attack-day.jsonl",
];

#[test]
fn the_attack_on_checkout_would_have_been_blocked() {
    let ended = run(&CHECKOUT);
    assert_eq!((ended.status, ended.err.as_str()), (1, ""));
    assert!(
        ended.out.ends_with(
            "43 events of 43 lines: 12 newly blocked, 4 newly audited, 0 newly allowed; 0 lines unusable, 0 without an event\n"
        ),
        "{}",
        ended.out
    );
    let tokens = "         2  production app=checkout: read by /usr/local/bin/node, was Allow as recorded, now by examples/policies/checkout-risk-block.yaml:36 file.matchDirectories[0] of checkout-risk-block\n            line 34: {";
    assert!(ended.out.contains(tokens), "{}", ended.out);
    let ended = run(&[
        &CHECKOUT[..],
        &["--fail-on", "nothing", "--json", "--threads", "2"],
    ]
    .concat());
    assert_eq!(ended.status, 0);
    assert_eq!(ended.json()[0]["newly"]["block"], 12);
}

#[test]
fn the_policy_in_force_is_what_is_compared_with() {
    let in_force = ["--in-force", "examples/policies/checkout-risk-block.yaml"];
    let ended = run(&[&CHECKOUT[..], &in_force].concat());
    // Package managers are blocked by the cluster's policy alone.
    assert!(
        ended
            .out
            .contains("43 lines: 2 newly blocked, 4 newly audited"),
        "{}",
        ended.out
    );
}

#[test]
fn a_line_that_cannot_be_used_is_shown() {
    let mut args = CHECKOUT.to_vec();
    args[8] = "-";
    let ended = feed(&args, b"nonsense\n");
    assert_eq!(ended.status, 0);
    assert!(
        ended.out.starts_with("unusable line 1: not JSON"),
        "{}",
        ended.out
    );
}
