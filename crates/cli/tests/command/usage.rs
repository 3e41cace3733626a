//! Wrong usage, help, and what the command prints about itself.

use crate::common::run;

#[test]
fn wrong_usage_ends_with_status_2() {
    let decide = |extra: &[&'static str]| -> Vec<&'static str> {
        ["decide", "--policies", "examples/policies", "--events", "-"]
            .iter()
            .chain(extra)
            .copied()
            .collect()
    };
    let run_under = |extra: &[&'static str]| -> Vec<&'static str> {
        ["run", "--policies", "examples/policies"]
            .iter()
            .chain(extra)
            .copied()
            .collect()
    };
    for args in [
        vec![],
        vec!["judge"],
        vec!["lint"],
        vec!["lint", "examples/policies", "--format", "xml"],
        vec!["schema", "alert"],
        vec!["decide", "--namespace", "production", "--events", "-"],
        vec![
            "decide",
            "--namespace",
            "production",
            "--policies",
            "examples/policies",
        ],
        decide(&[]),
        decide(&["--label", "app=web"]),
        decide(&["--namespace", "production", "--host"]),
        decide(&["--namespace", "production", "--node-label", "a=b"]),
        decide(&["--namespace", "production", "--workload", "w.json"]),
        decide(&["--host", "--workload", "w.json"]),
        decide(&["--host", "--container", "nginx"]),
        decide(&["--namespace", "production", "--label", "app"]),
        decide(&["--namespace", "production", "--posture", "file"]),
        decide(&["--namespace", "production", "--posture", "process=block"]),
        decide(&["--namespace", "production", "--posture", "file=deny"]),
        decide(&["--namespace", "production", "--engine", "jit"]),
        run_under(&[]),
        run_under(&["--"]),
        run_under(&["true"]),
        run_under(&["--audit", "--observe", "--", "true"]),
        run_under(&["--require", "nearly", "--", "true"]),
        run_under(&["--backend", "seccomp", "--", "true"]),
        run_under(&["--host", "--label", "app=web", "--", "true"]),
        vec!["run", "--label", "app=web", "--", "true"],
        vec!["probe", "--label", "app=web"],
        vec!["probe", "--root", "/"],
        vec!["probe", "--policies"],
    ] {
        let ended = run(&args);
        assert_eq!(ended.status, 2, "{args:?}: {}", ended.err);
        assert_eq!(ended.out, "", "{args:?}");
        assert!(
            ended.err.contains("Usage") || ended.err.contains("--help"),
            "{}",
            ended.err
        );
    }
}

#[test]
fn help_has_examples_that_name_the_command() {
    for command in ["lint", "decide", "lower", "probe", "run", "completions"] {
        let ended = run(&[command, "--help"]);
        assert_eq!(ended.status, 0);
        let (_, examples) = ended.out.split_once("Examples:\n").expect("examples");
        assert!(
            examples.contains(&format!("gambeson {command} ")),
            "{examples}"
        );
    }
}

#[test]
fn schemas_are_json() {
    for (of, word) in [("policy", "KubeArmorClusterPolicy"), ("event", "map_exec")] {
        let ended = run(&["schema", of]);
        assert_eq!(ended.status, 0);
        let schema: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        assert!(schema["$schema"].is_string());
        assert!(ended.out.contains(word), "{of}");
    }
}

#[test]
fn completions_know_the_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = run(&["completions", shell]);
        assert_eq!(ended.status, 0);
        assert!(ended.out.contains("node-label"), "{shell}");
    }
}

#[test]
fn the_manual_page_covers_every_command() {
    let ended = run(&["man"]);
    assert_eq!(ended.status, 0);
    assert!(ended.out.contains(".TH gambeson 1"));
    for command in [
        "LINT",
        "DECIDE",
        "LOWER",
        "PROBE",
        "RUN",
        "SCHEMA",
        "COMPLETIONS",
    ] {
        assert!(
            ended.out.contains(&format!(".SH \"GAMBESON {command}\"")),
            "{command}"
        );
    }
    assert!(ended.out.contains("\\-\\-node\\-label"));
    // What a script needs to know.
    for status in ["126", "127", "Exit status: 0 when the kernel can enforce"] {
        assert!(ended.out.contains(status), "{status}");
    }
    // What only the command itself starts.
    assert!(!ended.out.contains("cgroup DIR"), "{}", ended.out);
    assert!(!ended.out.to_lowercase().contains("exec\\-in\\-cgroup"));
}
