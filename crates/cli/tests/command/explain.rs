//! `gambeson explain`: why events are decided as they are.

use serde_json::json;

use crate::common::{feed, folder, run};

const CHECKOUT: [&str; 7] = [
    "explain",
    "--policies",
    "examples/policies",
    "--namespace",
    "production",
    "--label",
    "app=checkout",
];

fn checkout(extra: &[&'static str]) -> Vec<&'static str> {
    CHECKOUT.iter().chain(extra).copied().collect()
}

const SHELL: &str = r#"{"op":"exec","path":"/bin/sh","source":"/usr/local/bin/node"}"#;

#[test]
fn the_deciding_rule_is_shown_as_it_is_written() {
    let ended = run(&checkout(&["--event", SHELL]));
    assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{}", ended.out);
    assert_eq!(
        ended.out,
        "\
Block  exec  /bin/sh  by /usr/local/bin/node
  by checkout-risk-block process.matchPaths[0] at examples/policies/checkout-risk-block.yaml:17: no other rule says otherwise
  2 rules match:
    checkout-risk-block process.matchPaths[0] at examples/policies/checkout-risk-block.yaml:17 denies (exact path), and decides
        17 |       - path: /bin/sh
        18 |         message: a shell in checkout
        19 |         tags: [shell, MITRE-T1059]
    checkout-risk-audit process.matchPaths[0] at examples/policies/checkout-risk-audit.yaml:19 watches (exact path), and isn't asked: what is blocked is reported anyway
        19 |       - path: /bin/sh
  without the deciding rule: Audit by checkout-risk-audit process.matchPaths[0] at examples/policies/checkout-risk-audit.yaml:19

"
    );
}

#[test]
fn json_names_rules_steps_and_yaml() {
    let ended = run(&checkout(&["--event", SHELL, "--format", "json"]));
    let [answer] = &ended.json()[..] else {
        panic!("{}", ended.out)
    };
    assert_eq!(answer["verdict"], "Block");
    assert_eq!(answer["rule"]["line"], 17);
    assert_eq!(answer["step"], "unopposed");
    assert_eq!(answer["without"]["verdict"], "Audit");
    assert_eq!(answer["without"]["rule"]["policy"], "checkout-risk-audit");
    assert_eq!(answer["matched"][0]["standing"], json!({"is": "decides"}));
    assert_eq!(
        answer["matched"][0]["yaml"],
        "      - path: /bin/sh\n        message: a shell in checkout\n        tags: [shell, MITRE-T1059]"
    );
}

#[test]
fn a_stored_alert_is_explained_and_what_it_leaves_open_is_said() {
    let alert = r#"{"Timestamp":1,"Operation":"Process","Resource":"/bin/sh -c id","ProcessName":"/bin/sh","ParentProcessName":"/usr/local/bin/node","PolicyName":"old","Action":"Audit","PPID":1,"UID":0}"#;
    let ended = feed(&checkout(&["--alerts", "-"]), alert.as_bytes());
    assert_eq!(ended.status, 0, "{}", ended.err);
    assert!(
        ended
            .out
            .starts_with("Block  exec  /bin/sh  by /usr/local/bin/node\n"),
        "{}",
        ended.out
    );
    assert!(
        ended
            .out
            .contains("  assumed: the command line was split at spaces\n"),
        "{}",
        ended.out
    );
    // The daemon's shape as well; and a line that is no alert doesn't end the rest.
    let lines = format!(
        "nonsense\n{}\n",
        r#"{"operation":"File","resource":"/etc/passwd","processName":"/bin/cat","data":"syscall=SYS_OPENAT flags=O_WRONLY"}"#
    );
    let ended = feed(
        &checkout(&["--alerts", "-", "--format", "json"]),
        lines.as_bytes(),
    );
    let answers = ended.json();
    assert_eq!(ended.status, 1);
    assert_eq!(answers[0]["line"], 1);
    assert_eq!(answers[1]["event"]["op"], "write");
}

#[test]
fn the_picture_is_written_to_its_file() {
    let folder = folder("explain-picture");
    let picture = folder.join("checkout.svg");
    let ended = run(&[&CHECKOUT[..], &["--picture", picture.to_str().unwrap()]].concat());
    assert_eq!((ended.status, ended.err.as_str()), (0, ""));
    let drawn = std::fs::read_to_string(picture).unwrap();
    assert!(drawn.contains("production app=checkout: "), "{drawn}");
    assert!(
        drawn.contains(">/var/run/secrets/kubernetes.io/serviceaccount/</text>"),
        "{drawn}"
    );
}
