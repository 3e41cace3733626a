//! The program that the README shows is the example, and prints what the README shows.

use gambeson::prelude::*;

const README: &str = include_str!("../../README.md");
const EMBED: &str = include_str!("../../examples/embed.rs");

#[test]
fn the_readme_shows_the_example() {
    let (_, program) = EMBED.split_once("\n\n").unwrap();
    assert!(
        README.contains(&format!("```rust\n{program}```\n")),
        "{program}"
    );
}

#[test]
fn the_example_prints_what_the_readme_shows() {
    let (_, rest) = README.split_once("```rust\n").unwrap();
    let (_, rest) = rest.split_once("```text\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();

    let policies = PolicySet::from_path("examples/policies").unwrap();
    let web = Workload::pod("production").label("app", "web");
    let compiled = policies.select(&web).compile(&Config::default()).unwrap();
    let started = compiled.decide(&Event::exec("/usr/sbin/nginx").by("/usr/bin/runc"));
    assert_eq!(started, Decision::ALLOW);
    let shell = compiled.decide(&Event::exec("/bin/sh").by("/usr/sbin/nginx"));
    let rule = compiled.rule(shell.rule().unwrap()).unwrap();
    assert_eq!(
        shown,
        format!("Allow\n{}: {rule}: {}\n", shell.verdict(), rule.message)
    );
}
