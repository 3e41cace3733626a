//! `gambeson replay`: what a candidate policy would have done.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use crate::common::{feed, gambeson, run};

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

/// The most memory that a replay of so many bytes takes, in kB, and what it says.
#[cfg(target_os = "linux")]
fn peak(bytes: usize) -> (u64, String) {
    let mut args = CHECKOUT.to_vec();
    args[8] = "-";
    args.extend(["--threads", "2"]);
    let mut child = gambeson(&args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Most events are decided as they were; some of the rest have programs that are seen only once.
    let mut block = String::new();
    let (mut written, mut number) = (0, 0);
    while written < bytes {
        block.clear();
        for _ in 0..1_000 {
            number += 1;
            let program = if number % 50_000 == 0 {
                number
            } else {
                number % 7
            };
            block.push_str(&format!(
                "{{\"NamespaceName\":\"production\",\"Labels\":\"app=checkout\",\"ContainerID\":\"c\",\"Operation\":\"File\",\"Resource\":\"/srv/data/{number}\",\"ProcessName\":\"/usr/bin/p{program}\",\"Data\":\"flags=O_RDONLY\",\"Kept\":\"{:400}\"}}\n",
                ""
            ));
        }
        stdin.write_all(block.as_bytes()).unwrap();
        written += block.len();
    }
    // All but what the pipe holds has been taken in.
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    drop(stdin);
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    assert!(child.wait().unwrap().success());
    (peak, out)
}

#[test]
#[cfg(target_os = "linux")]
fn a_long_stream_takes_no_more_memory_than_a_short_one() {
    let (short, _) = peak(12 << 20);
    let (long, out) = peak(120 << 20);
    assert!(out.contains(" 0 lines unusable"), "{out}");
    // Keeping but a twentieth of the stream would be seen.
    assert!(long < short + 5_000, "{short} kB, {long} kB");
}
