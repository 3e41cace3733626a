//! What the README shows is what the command prints.

use crate::common::{gambeson, project};

/// The text between the next ```` ```text ```` after `mark` and its end.
fn block_after<'r>(readme: &'r str, mark: &str) -> &'r str {
    let (_, rest) = readme
        .split_once(mark)
        .unwrap_or_else(|| panic!("no {mark}"));
    let (_, rest) = rest.split_once("```text\n").expect("a block of text");
    rest.split_once("```").expect("an end of the block").0
}

#[test]
fn the_first_command_prints_what_the_readme_shows() {
    let readme = std::fs::read_to_string(project().join("README.md")).unwrap();
    let command = readme
        .lines()
        .find(|line| line.starts_with("cargo run "))
        .unwrap();
    let (_, args) = command.split_once(" -p gambeson-cli -- ").unwrap();
    let args: Vec<&str> = args.split(' ').collect();
    let output = gambeson(&args).output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut printed = printed.lines();
    // The README leaves lines out, and says so by `…`.
    let shown = block_after(&readme, command);
    for line in shown.lines().filter(|line| *line != "…") {
        assert!(
            printed.any(|printed| printed == line),
            "the command doesn't print, or not in this order:\n{line}"
        );
    }
    assert_eq!(printed.next(), None, "the README leaves the end out");
    assert!(shown.lines().count() > 10);
}

#[test]
fn every_command_is_in_the_readme() {
    let readme = std::fs::read_to_string(project().join("README.md")).unwrap();
    for command in [
        "lint",
        "decide",
        "lower",
        "discover",
        "promote",
        "probe",
        "run",
        "schema",
        "completions",
        "man",
    ] {
        assert!(
            readme.contains(&format!("`gambeson {command}")),
            "{command}"
        );
    }
}

#[test]
fn the_commands_of_the_examples_run() {
    let text = std::fs::read_to_string(project().join("examples/README.md")).unwrap();
    let commands: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("gambeson "))
        .collect();
    assert_eq!(commands.len(), 4);
    for command in commands {
        let args: Vec<&str> = command.split(' ').collect();
        let output = gambeson(&args).output().unwrap();
        assert!(output.status.success(), "{command}");
        assert!(!output.stdout.is_empty(), "{command}");
    }
}
