//! `gambeson check`: rules that do nothing, contradict each other, or can be walked around.

use crate::common::{file, folder, run};

const CHECKOUT: [&str; 7] = [
    "check",
    "--policies",
    "examples/policies",
    "--namespace",
    "production",
    "--label",
    "app=checkout",
];

#[test]
fn a_block_list_is_told_that_a_copy_walks_around_it() {
    let ended = run(&CHECKOUT);
    assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{}", ended.out);
    assert!(
        ended.out.contains("bypass  row 6, copied program: "),
        "{}",
        ended.out
    );
    let ended = run(&[&CHECKOUT[..], &["--fail-on", "bypass", "--format", "json"]].concat());
    assert_eq!(ended.status, 1);
    let bypass = ended
        .json()
        .into_iter()
        .find(|found| found["row"] == 6)
        .unwrap();
    assert_eq!(bypass["rules"][0]["policy"], "checkout-risk-block");
}

#[test]
fn a_shadowed_rule_is_shown_with_what_shadows_it() {
    let folder = folder("check");
    let policies = file(
        &folder,
        "web.yaml",
        "apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: web}
spec:
  file:
    matchPaths:
      - path: /etc/passwd
        action: Block
    matchPatterns:
      - pattern: /etc/passw[d]
        action: Block
",
    );
    let ended = run(&[
        "check",
        "--policies",
        &policies,
        "--namespace",
        "default",
        "--fail-on",
        "never-wins",
    ]);
    assert_eq!(ended.status, 1);
    let expected = format!(
        "redundant  {policies}:10 file.matchPatterns[0] of web
        10 |       - pattern: /etc/passw[d]
        11 |         action: Block
  says what is said already by {policies}:7 file.matchPaths[0] of web
"
    );
    let shadowed = expected
        .replace("redundant", "shadowed")
        .replace("says what is said already by", "loses to");
    assert!(
        ended.out.starts_with(&expected) || ended.out.starts_with(&shadowed),
        "{}",
        ended.out
    );
}
