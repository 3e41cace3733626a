//! Tests of policies, and that Gambeson's scenarios are such tests.

use std::path::Path;

use gambeson_insight::policy_test::{Outcome, TestFile, Tester, test_files};

const WEB: &str = "
name: no shells
policies: |
  apiVersion: security.kubearmor.com/v1
  kind: KubeArmorPolicy
  metadata: {name: web}
  spec:
    process:
      matchPaths:
        - path: /bin/sh
        - path: /bin/dash
workload: {kind: pod}
steps:
  - {event: {op: exec, path: /bin/sh}, verdict: Block, rule: 'web process.matchPaths[0]'}
  - {event: {op: exec, path: /bin/ls}, verdict: Block}
  - {events: [], verdict: Allow}
---
name: twice
policies: |
  apiVersion: security.kubearmor.com/v1
  kind: KubeArmorPolicy
  metadata: {name: web}
  spec: {process: {matchPaths: [{path: /bin/sh}]}}
  ---
  apiVersion: security.kubearmor.com/v1
  kind: KubeArmorPolicy
  metadata: {name: web}
  spec: {process: {matchPaths: [{path: /bin/sh}]}}
workload: {kind: pod}
compiles: false
";

#[test]
fn a_failure_says_what_was_expected_and_why_it_came_otherwise() {
    let file = TestFile::from_text("web.test.yaml", WEB).unwrap();
    let mut tester = Tester::default();
    tester.run(&file);
    let report = tester.into_report();
    assert_eq!(report.counts(), [3, 1, 0], "{report:#?}");
    assert_eq!(report.coverage.counts(), (1, 2));
    let text = report.to_text();
    assert!(
        text.starts_with(
            "failed  web.test.yaml:15 no shells: exec /bin/ls
  expected  Block
  found     Allow, no rule speaks
    Allow  exec  /bin/ls
"
        ),
        "{text}"
    );
    assert!(
        text.contains("coverage: 1 of 2 rules decide some step (50 %)"),
        "{text}"
    );
    assert!(
        text.contains("by no step  web.test.yaml: no shells:8 process.matchPaths[1] of web"),
        "{text}"
    );
    let json = report.to_json();
    assert_eq!(json["failed"], 1);
    assert_eq!(json["steps"][1]["outcome"], "failed");
    assert_eq!(json["coverage"]["rules"][0]["decides"], 1);
    let junit = report.to_junit();
    assert!(
        junit.contains(r#"<testsuite name="web.test.yaml" tests="4" failures="1" errors="0">"#),
        "{junit}"
    );
    assert!(
        junit.contains(r#"<failure message="expected Block, found Allow, no rule speaks">"#),
        "{junit}"
    );
}

#[test]
fn a_typing_mistake_is_no_test_that_passes() {
    for (wrong, message) in [
        ("verdct: Block", "missing field"),
        ("verdict: Block, rul: x", "`rul` is no field"),
        (
            "verdict: Block, rule: x, cause: none",
            "both `cause` and `rule`",
        ),
        ("verdict: Block, events: []", "both `event` and `events`"),
        ("verdict: Block, cause: rules", "other than"),
        ("verdict: Deny", "Deny"),
    ] {
        let text = format!(
            "name: x\npolicies: ''\nworkload: {{kind: pod}}\nsteps:\n- {{event: {{op: exec, path: /x}}, {wrong}}}\n"
        );
        let error = TestFile::from_text("x.test.yaml", &text)
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{wrong}: {error}");
    }
    for wrong in [
        "",
        "name: x\npolicies: ''\nworkload: {kind: pod}\nsteps: []\n",
    ] {
        assert!(TestFile::from_text("x.test.yaml", wrong).is_err());
    }
}

#[test]
fn a_test_that_cannot_run_is_an_error_and_not_a_pass() {
    let run = |text: &str| {
        let file = TestFile::from_text("x.test.yaml", text).unwrap();
        let mut tester = Tester::default();
        tester.run(&file);
        tester.into_report()
    };
    let step = "steps: [{event: {op: exec, path: /x}, verdict: Allow}]\n";
    for (policies, workload) in [
        ("[no-such-file.yaml]", "{kind: pod}"),
        ("'kind: KubeArmorPolicy'", "{kind: pod}"),
        ("''", "{kind: cod}"),
    ] {
        let text = format!("name: x\npolicies: {policies}\nworkload: {workload}\n{step}");
        let report = run(&text);
        assert!(!report.all_passed(), "{policies} {workload}");
        assert!(
            matches!(report.cases[0].outcome, Outcome::Error(_)),
            "{report:?}"
        );
    }
}

#[test]
fn every_scenario_is_a_test_that_passes_and_translates_to_itself() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let mut files: Vec<_> = Vec::new();
    for kind in ["bypass", "kernel", "kubearmor", "model"] {
        for entry in std::fs::read_dir(folder.join(kind)).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                files.push(path);
            }
        }
    }
    let mut tester = Tester::default();
    let mut scenarios = 0;
    for path in files {
        let file = TestFile::read(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let written: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
        let translated = tester.run(&file);
        assert_eq!(translated.len(), written.len(), "{}", path.display());
        for (mut translated, mut written) in translated.into_iter().zip(written) {
            // But for space around them.
            for scenario in [&mut translated, &mut written] {
                let policies = scenario["policies"].as_str().unwrap().trim().to_owned();
                scenario["policies"] = policies.into();
            }
            assert_eq!(translated, written, "{}", path.display());
            scenarios += 1;
        }
    }
    let report = tester.into_report();
    let wrong: Vec<String> = report
        .cases
        .iter()
        .filter(|case| case.outcome != Outcome::Passed)
        .map(|case| format!("{}: {:?}", case.title(), case.outcome))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let steps = report.cases.len();
    assert!(scenarios > 100 && steps > 700, "{scenarios} {steps}");
}

#[test]
fn files_of_tests_are_found_below_a_folder() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("found");
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    for name in ["b.test.yaml", "deep/a.test.yml", "policy.yaml"] {
        std::fs::write(folder.join(name), "").unwrap();
    }
    let found = test_files(&folder).unwrap();
    assert_eq!(
        found,
        [folder.join("b.test.yaml"), folder.join("deep/a.test.yml")]
    );
    assert!(
        test_files(&folder.join("missing")).is_ok(),
        "a file is named by itself"
    );
    std::fs::create_dir_all(folder.join("empty")).unwrap();
    assert!(test_files(&folder.join("empty")).is_err());
}
