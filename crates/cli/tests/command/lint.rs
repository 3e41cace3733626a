//! `gambeson lint`: what is wrong or doubtful in policies, and where.

use crate::common::{file, folder, run};
use serde_json::Value;

const SOUND: &str = "apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: sound, namespace: production}
spec:
  selector: {matchLabels: {app: web}}
  process: {matchPaths: [{path: /usr/bin/nc}]}
  action: Block
";

const WRONG: &str = "apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: wrong, namespace: production}
spec:
  selector: {matchLabels: {app: web}}
  process:
    matchDirectories:
      - dir: /tmp
        recursve: true
  action: block
";

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn the_example_policies_have_no_errors() {
    let ended = run(&["lint", "examples/policies", "--format", "json"]);
    assert_eq!(ended.status, 0, "{}{}", ended.out, ended.err);
    let lines = ended.json();
    assert_eq!(lines.len(), 6);
    for line in lines {
        assert_ne!(line["status"], "error", "{line}");
    }
}

#[test]
fn each_document_has_one_line_of_json() {
    let folder = folder("lint-json");
    let path = file(&folder, "two.yaml", format!("{SOUND}---\n{WRONG}"));
    let ended = run(&["lint", &path, "--format", "json"]);
    assert_eq!(ended.status, 1);
    let lines = ended.json();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for (line, (document, name, status)) in lines
        .iter()
        .zip([(0, "sound", "ok"), (1, "wrong", "error")])
    {
        let mut expected = ["file", "document", "kind", "name", "status", "diagnostics"];
        expected.sort_unstable();
        let mut given = keys(line);
        given.sort_unstable();
        assert_eq!(given, expected);
        assert_eq!(line["file"], path);
        assert_eq!(line["document"], document);
        assert_eq!(line["kind"], "KubeArmorPolicy");
        assert_eq!(line["name"], name);
        assert_eq!(line["status"], status, "{line}");
    }
    // Every problem is found, not only the first.
    let diagnostics = lines[1]["diagnostics"].as_array().unwrap();
    let errors: Vec<_> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic["severity"] == "error")
        .map(|diagnostic| {
            (
                diagnostic["code"].as_str().unwrap(),
                // Lines are those of the file.
                diagnostic["line"].as_u64().unwrap() - 8,
                diagnostic["field"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        errors,
        [
            ("missing-slash", 8, "spec.process.matchDirectories[0].dir"),
            (
                "unknown-field",
                9,
                "spec.process.matchDirectories[0].recursve"
            ),
            ("invalid-value", 10, "spec.action"),
        ]
    );
    for diagnostic in diagnostics {
        for key in ["code", "severity", "message", "line", "column", "field"] {
            assert!(!diagnostic[key].is_null(), "{key} of {diagnostic}");
        }
    }
}

#[test]
fn people_see_the_line_with_a_caret_and_a_summary() {
    let folder = folder("lint-human");
    let path = file(&folder, "two.yaml", format!("{SOUND}---\n{WRONG}"));
    let ended = run(&["lint", &path]);
    assert_eq!(ended.status, 1);
    assert!(ended.out.contains("two.yaml:16:14"), "{}", ended.out);
    assert!(ended.out.contains("- dir: /tmp"), "{}", ended.out);
    assert!(ended.out.contains("^^^^"), "{}", ended.out);
    assert_eq!(
        ended.out.lines().last().unwrap(),
        "2 documents: 1 ok, 0 with warnings, 1 with errors"
    );
}

#[test]
fn lenient_reading_warns_instead() {
    let folder = folder("lint-lenient");
    let path = file(&folder, "wrong.yaml", WRONG);
    let ended = run(&["lint", "--lenient", &path, "--format", "json"]);
    assert_eq!(ended.status, 0, "{}", ended.out);
    assert_eq!(ended.json()[0]["status"], "warning");
}

#[test]
fn a_path_that_is_not_there_is_an_error_beside_the_others() {
    let ended = run(&[
        "lint",
        "no/such.yaml",
        "examples/policies/web-block-shells.yaml",
        "--format",
        "json",
    ]);
    assert_eq!(ended.status, 1);
    let lines = ended.json();
    assert_eq!(lines.len(), 2);
    let missing = lines
        .iter()
        .find(|line| line["file"] == "no/such.yaml")
        .unwrap();
    assert_eq!(missing["document"], 0);
    assert!(missing["kind"].is_null() && missing["name"].is_null());
    assert_eq!(missing["status"], "error");
    assert_eq!(missing["diagnostics"][0]["code"], "unreadable");

    let ended = run(&["lint", "no/such.yaml"]);
    assert_eq!(ended.status, 1);
    assert!(ended.out.contains("no/such.yaml"), "{}", ended.out);
}

#[test]
fn a_policy_that_selects_none_of_the_workloads_is_reported() {
    let codes = |workloads: &[&str]| -> Vec<String> {
        let mut args = vec![
            "lint",
            "examples/policies/checkout-risk-block.yaml",
            "--format",
            "json",
        ];
        for workload in workloads {
            args.extend(["--workload", workload]);
        }
        let ended = run(&args);
        assert_eq!(ended.status, 0);
        ended.json()[0]["diagnostics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|diagnostic| diagnostic["code"].as_str().unwrap().to_owned())
            .collect()
    };
    let unselected = |workloads: &[&str]| {
        codes(workloads)
            .iter()
            .any(|code| code == "selects-nothing")
    };
    assert!(!unselected(&[]));
    assert!(unselected(&["examples/workloads/static-web.json"]));
    assert!(!unselected(&[
        "examples/workloads/static-web.json",
        "examples/workloads/checkout.json"
    ]));
}

#[test]
fn two_policies_of_one_name_are_warned_of() {
    let folder = folder("lint-duplicates");
    file(&folder, "a.yaml", SOUND);
    file(&folder, "b.yaml", SOUND);
    let ended = run(&["lint", folder.to_str().unwrap(), "--format", "json"]);
    assert_eq!(ended.status, 0, "{}", ended.out);
    let lines = ended.json();
    assert_eq!(lines.len(), 2);
    assert!(
        lines.iter().any(|line| line["status"] == "warning"),
        "{lines:#?}"
    );
}

#[test]
fn links_in_the_root_are_followed() {
    let root = folder("lint-root");
    std::fs::create_dir_all(root.join("usr/bin")).unwrap();
    std::os::unix::fs::symlink("usr/bin", root.join("bin")).unwrap();
    std::fs::write(root.join("usr/bin/dash"), "").unwrap();
    std::os::unix::fs::symlink("dash", root.join("usr/bin/sh")).unwrap();
    let ended = run(&[
        "lint",
        "examples/policies/web-block-shells.yaml",
        "--root",
        root.to_str().unwrap(),
        "--format",
        "json",
    ]);
    assert_eq!(ended.status, 0, "{}", ended.out);
    let text = ended.json()[0]["diagnostics"].to_string();
    assert!(text.contains("/usr/bin/dash"), "{text}");
}

/// Nine levels of ten aliases each: a billion items if they were spelled out.
fn alias_bomb() -> String {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(",");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    text
}

#[test]
fn hostile_files_end_in_a_diagnostic() {
    let folder = folder("lint-hostile");
    for (name, text) in [
        ("aliases.yaml", alias_bomb().into_bytes()),
        ("deep.yaml", "[".repeat(100_000).into_bytes()),
        ("binary.yaml", b"\xff\xfe\x00\x01kind".to_vec()),
        ("unclosed.yaml", b"kind: \"KubeArmorPolicy".to_vec()),
    ] {
        let path = file(&folder, name, text);
        let ended = run(&["lint", &path, "--format", "json"]);
        assert_eq!(ended.status, 1, "{name}: {}", ended.out);
        let lines = ended.json();
        assert_eq!(lines.last().unwrap()["status"], "error", "{name}");
    }
}

#[test]
fn a_file_that_is_named_twice_is_read_once() {
    let folder = folder("lint-twice");
    let path = file(&folder, "sound.yaml", SOUND);
    let dotted = folder.join("./sound.yaml");
    let ended = run(&["lint", &path, dotted.to_str().unwrap(), "--format", "json"]);
    assert_eq!(ended.status, 0);
    let lines = ended.json();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0]["status"], "ok");
}

#[test]
fn a_folder_without_policies_and_an_empty_file_are_not_passed_over() {
    let folder = folder("lint-nothing");
    let name = folder.to_str().unwrap();
    let ended = run(&["lint", name, "--format", "json"]);
    assert_eq!(ended.status, 1, "{}", ended.out);
    assert_eq!(ended.json()[0]["diagnostics"][0]["code"], "unreadable");

    let path = file(&folder, "empty.yaml", "# soon\n");
    let ended = run(&["lint", name, "--format", "json"]);
    assert_eq!(ended.status, 0, "{}", ended.out);
    let lines = ended.json();
    assert_eq!(lines[0]["file"], path);
    assert_eq!(lines[0]["status"], "warning");
    assert_eq!(lines[0]["diagnostics"][0]["code"], "no-document");
}

#[test]
fn a_lint_is_shown_at_the_value_that_it_speaks_of() {
    let folder = folder("lint-place");
    let text = SOUND.replace("{path: /usr/bin/nc}", "{severity: 3, path: /bin/nc}");
    let path = file(&folder, "moved.yaml", text);
    let ended = run(&["lint", &path]);
    assert_eq!(ended.status, 0);
    let shown = format!(
        "warning[merged-usr]: `/bin/nc` matches nothing on a system with a merged `/usr`, where \
         `/bin` is a link to `/usr/bin`
 --> {path}:6:46
  |
6 |   process: {{matchPaths: [{{severity: 3, path: /bin/nc}}]}}
  |                                              ^^^^^^^
  |
  = help: write `/usr/bin/nc`, or both where either may be
  = field: spec.process.matchPaths[0].path
"
    );
    assert!(ended.out.starts_with(&shown), "{}", ended.out);
}
