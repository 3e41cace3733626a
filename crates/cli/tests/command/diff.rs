//! `gambeson diff`: what changes between two sets of policies.

use serde_json::json;

use crate::common::{file, folder, run};

fn policy(action: &str) -> String {
    format!(
        "\
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {{name: web, namespace: default}}
spec:
  file:
    matchDirectories:
      - dir: /etc/nginx/
        recursive: true
        action: {action}
"
    )
}

#[test]
fn a_change_is_told_with_a_witness_and_the_rules_responsible() {
    let folder = folder("diff");
    let before = file(&folder, "before.yaml", policy("Audit"));
    let after = file(&folder, "after.yaml", policy("Block"));
    let ended = run(&["diff", &before, &after, "--namespace", "default"]);
    assert_eq!((ended.status, ended.err.as_str()), (1, ""));
    let expected = format!(
        "write /etc/nginx/x by any program: Audit → Block
  before  Audit, by {before}:7 file.matchDirectories[0] of web
         7 |       - dir: /etc/nginx/
         8 |         recursive: true
         9 |         action: Audit
  after   Block, by {after}:7 file.matchDirectories[0] of web
         7 |       - dir: /etc/nginx/
         8 |         recursive: true
         9 |         action: Block

"
    );
    assert!(ended.out.contains(&expected), "{}", ended.out);
    let ended = run(&[
        "diff",
        &before,
        &after,
        "--namespace",
        "default",
        "--format",
        "json",
    ]);
    let lines = ended.json();
    let [read, _, unresolvable, _, summary] = &lines[..] else {
        panic!("{}", ended.out)
    };
    assert_eq!(read["witness"]["op"], "read");
    assert_eq!(read["programs"], "any");
    assert_eq!(read["after"]["rule"]["line"], 7);
    // Now that a rule can deny, an object without a path is reported.
    assert_eq!(unresolvable["witness"]["path"], json!(null));
    assert_eq!(
        summary["summary"],
        json!({"differences": 4, "complete": true, "equal": false})
    );
}

#[test]
fn policies_that_decide_alike_are_equal_however_they_are_written() {
    let folder = folder("diff-equal");
    let before = file(&folder, "before.yaml", policy("Block"));
    let split = policy("Block").replace("name: web", "name: other")
        + "      - dir: /etc/nginx/conf.d/\n        recursive: true\n";
    let after = file(&folder, "after.yaml", split);
    let ended = run(&["diff", &before, &after, "--namespace", "default"]);
    assert_eq!(
        (ended.status, ended.out.as_str()),
        (0, "no event is decided otherwise\n")
    );
}
