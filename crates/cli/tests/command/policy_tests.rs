//! `gambeson test`: the tests beside policies.

use crate::common::{file, folder, run};

#[test]
fn the_example_policies_pass_their_tests() {
    let ended = run(&["test", "examples/policies"]);
    assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{}", ended.out);
    assert!(
        ended.out.contains(" 0 failed, 0 not run\ncoverage: "),
        "{}",
        ended.out
    );
    // The tests themselves are no policies.
    assert_eq!(run(&["lint", "examples/policies"]).status, 0);
}

const POLICY: &str = "
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: web}
spec:
  process:
    matchPaths:
      - path: /bin/sh
      - path: /bin/dash
";

fn tests(name: &str, verdict: &str) -> String {
    let folder = folder(name);
    file(&folder, "web.yaml", POLICY);
    let test = format!(
        "name: shells\npolicies: [web.yaml]\nworkload: {{kind: pod}}\nsteps:\n- {{event: {{op: exec, path: /bin/sh}}, verdict: {verdict}}}\n"
    );
    file(&folder, "web.test.yaml", test);
    folder.to_string_lossy().into_owned()
}

#[test]
fn a_failure_ends_with_one_and_shows_the_rule_as_it_is_written() {
    let folder = tests("test-failure", "Allow");
    let ended = run(&["test", &folder]);
    assert_eq!(ended.status, 1);
    assert!(
        ended
            .out
            .contains("  expected  Allow\n  found     Block by web process.matchPaths[0]\n"),
        "{}",
        ended.out
    );
    assert!(
        ended.out.contains("8 |       - path: /bin/sh\n"),
        "{}",
        ended.out
    );
    let ended = run(&["test", &folder, "--format", "junit"]);
    assert!(ended.out.starts_with("<?xml"), "{}", ended.out);
    assert_eq!(ended.status, 1);
}

#[test]
fn coverage_can_be_asked_for() {
    let folder = tests("test-coverage", "Block");
    let ended = run(&["test", &folder, "--format", "json", "--min-coverage", "50"]);
    assert_eq!((ended.status, ended.err.as_str()), (0, ""));
    assert_eq!(ended.json()[0]["coverage"]["percent"], 50);
    let ended = run(&["test", &folder, "--min-coverage", "51"]);
    assert_eq!(ended.status, 1);
    assert!(ended.out.contains("by no step"), "{}", ended.out);
    assert!(
        ended.err.contains("50 % of the rules decide some step"),
        "{}",
        ended.err
    );
}

#[test]
fn tests_are_written_as_scenarios_that_are_tests_again() {
    let folder = tests("test-scenarios", "Block");
    let scenarios = format!("{folder}/scenarios");
    assert_eq!(
        run(&["test", &folder, "--write-scenarios", &scenarios]).status,
        0
    );
    let written = format!("{scenarios}/000-web.yaml");
    let text = std::fs::read_to_string(&written).unwrap();
    assert!(
        text.contains(r#""rule":"web process.matchPaths[0]""#),
        "{text}"
    );
    let ended = run(&["test", &written]);
    assert_eq!(ended.status, 0, "{}", ended.out);
}

#[test]
fn kernels_need_a_checkout_and_its_lack_is_told() {
    let folder = tests("test-in-kernel", "Block");
    let ended = run(&["test", &folder, "--in-kernel=6.1", "--checkout", &folder]);
    assert_eq!((ended.status, ended.out.as_str()), (1, ""));
    assert_eq!(
        ended.err,
        format!(
            "error: `{folder}` holds no checkout of Gambeson's source, which has the virtual machines; name one by `--checkout` or GAMBESON_CHECKOUT\n"
        )
    );
    // Options about kernels mean nothing without one.
    assert_eq!(run(&["test", &folder, "--checkout", "."]).status, 2);
}
