//! `gambeson decide`: policies and events in, verdicts out.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use crate::common::{feed, file, folder, gambeson, run};
use serde_json::{Value, json};

/// Judges for app=web in production.
const WEB: [&str; 9] = [
    "decide",
    "--policies",
    "examples/policies/web-block-shells.yaml",
    "--namespace",
    "production",
    "--label",
    "app=web",
    "--events",
    "-",
];

fn web(extra: &[&'static str]) -> Vec<&'static str> {
    WEB.iter().chain(extra).copied().collect()
}

const SHELL: &str = r#"{"op":"exec","path":"/bin/sh","source":"/usr/sbin/nginx"}"#;
const PAGE: &str = r#"{"op":"read","path":"/srv/index.html","source":"/usr/sbin/nginx"}"#;

fn blocked() -> Value {
    json!({
        "verdict": "Block",
        "cause": "rule",
        "policy": "web-block-shells",
        "rule": "process.matchPaths[0]",
        "file": "examples/policies/web-block-shells.yaml",
        "line": 20,
    })
}

fn passed() -> Value {
    json!({
        "verdict": "Allow", "cause": "none",
        "policy": null, "rule": null, "file": null, "line": null,
    })
}

#[test]
fn a_verdict_names_the_rule_its_file_and_its_line() {
    let ended = feed(
        &web(&["--format", "json"]),
        format!("{SHELL}\n{PAGE}\n").as_bytes(),
    );
    assert_eq!(ended.json(), [blocked(), passed()]);
    assert_eq!((ended.status, ended.err.as_str()), (0, ""));
    // The line is the rule's.
    let text = std::fs::read_to_string(
        crate::common::project().join("examples/policies/web-block-shells.yaml"),
    )
    .unwrap();
    assert_eq!(text.lines().nth(19).unwrap().trim(), "- path: /bin/sh");
}

#[test]
fn the_keys_of_an_answer_stand_in_their_order() {
    let ended = feed(&web(&["--format", "json"]), SHELL.as_bytes());
    assert_eq!(
        ended.out,
        "{\"verdict\":\"Block\",\"cause\":\"rule\",\"policy\":\"web-block-shells\",\
         \"rule\":\"process.matchPaths[0]\",\
         \"file\":\"examples/policies/web-block-shells.yaml\",\"line\":20}\n"
    );
}

#[test]
fn both_engines_give_the_same_answers() {
    for (workload, events) in [
        ("checkout", "attack-day"),
        ("static-web", "static-web-day"),
        ("node", "node-day"),
    ] {
        let workload = format!("examples/workloads/{workload}.json");
        let events = format!("examples/events/{events}.jsonl");
        let answers = ["compiled", "reference"].map(|engine| {
            let ended = run(&[
                "decide",
                "--policies",
                "examples/policies",
                "--workload",
                &workload,
                "--events",
                &events,
                "--engine",
                engine,
                "--format",
                "json",
            ]);
            assert_eq!((ended.status, ended.err.as_str()), (0, ""));
            ended.out
        });
        let [compiled, reference] = &answers;
        assert_eq!(compiled, reference);
        assert!(compiled.contains("\"Block\""), "{compiled}");
    }
}

#[test]
fn a_posture_decides_where_the_class_is_in_allow_list_mode() {
    let judge = |extra: &[&str]| {
        let mut args = vec![
            "decide",
            "--policies",
            "examples/policies/static-web-least-privilege.yaml",
            "--namespace",
            "production",
            "--label",
            "app=static-web",
            "--events",
            "-",
            "--format",
            "json",
        ];
        args.extend(extra);
        feed(&args, br#"{"op":"read","path":"/etc/shadow"}"#).json()
    };
    let by_posture = |verdict: &str| {
        json!([{
            "verdict": verdict, "cause": "posture",
            "policy": null, "rule": null, "file": null, "line": null,
        }])
    };
    assert_eq!(Value::from(judge(&[])), by_posture("Audit"));
    assert_eq!(
        Value::from(judge(&["--posture", "file=block"])),
        by_posture("Block")
    );
    assert_eq!(
        Value::from(judge(&["--posture", "network=block,file=allow"])),
        by_posture("Allow")
    );
}

#[test]
fn a_workload_file_goes_before_the_posture_on_the_command_line() {
    let ended = feed(
        &[
            "decide",
            "--policies",
            "examples/policies",
            "--workload",
            "examples/workloads/static-web.json",
            "--posture",
            "file=allow",
            "--events",
            "-",
            "--format",
            "json",
        ],
        br#"{"op":"read","path":"/etc/shadow"}"#,
    );
    assert_eq!(ended.json()[0]["verdict"], "Block");
}

#[test]
fn labels_may_be_repeated_or_listed() {
    let folder = folder("labels");
    let policy = file(
        &folder,
        "two.yaml",
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\n\
         metadata: {name: two, namespace: production}\n\
         spec:\n  selector: {matchLabels: {app: web, tier: front}}\n  \
         process: {matchPaths: [{path: /bin/sh}]}\n  action: Block\n",
    );
    for (labels, verdict) in [
        (
            &["--label", "app=web", "--label", "tier=front"][..],
            "Block",
        ),
        (&["--label", "app=web,tier=front"], "Block"),
        (&["--label", "app=web"], "Allow"),
    ] {
        let mut args = vec!["decide", "--policies", &policy, "--namespace", "production"];
        args.extend(labels);
        args.extend(["--events", "-", "--format", "json"]);
        assert_eq!(
            feed(&args, SHELL.as_bytes()).json()[0]["verdict"],
            verdict,
            "{labels:?}"
        );
    }
}

#[test]
fn a_bad_line_is_answered_and_the_rest_goes_on() {
    let mut input = Vec::new();
    input.extend_from_slice(format!("{SHELL}\n").as_bytes());
    input.extend_from_slice(b"\n   \n"); // 2 and 3: blank
    input.extend_from_slice(b"not json\n"); // 4
    input.extend_from_slice(b"{\"op\":\"read\",\"path\":\"/\xff\"}\n"); // 5
    input.extend_from_slice(b"{\"op\":\"read\"}\r\n"); // 6
    input.extend_from_slice(b"[]\n"); // 7
    input.extend_from_slice(PAGE.as_bytes()); // 8, without an end
    let ended = feed(&web(&["--format", "json"]), &input);
    let answers = ended.json();
    assert_eq!(answers.len(), 6, "{answers:#?}");
    assert_eq!((&answers[0], &answers[5]), (&blocked(), &passed()));
    for (answer, line) in answers[1..5].iter().zip(4..) {
        let object = answer.as_object().unwrap();
        assert_eq!(object.keys().collect::<Vec<_>>(), ["error", "line"]);
        assert_eq!(object["line"], line);
        assert!(!object["error"].as_str().unwrap().is_empty());
    }
    assert!(answers[2]["error"].as_str().unwrap().contains("not UTF-8"));
    assert_eq!(ended.status, 1);
}

#[test]
fn a_line_beyond_the_limit_is_an_error_and_the_next_is_judged() {
    let long = |length: usize| {
        let mut line = SHELL.as_bytes().to_vec();
        line.resize(length, b' ');
        line
    };
    let mut input = long(1 << 20);
    input.push(b'\n');
    input.extend(long((1 << 20) + 1));
    input.push(b'\n');
    input.extend(long(5 << 20));
    input.push(b'\n');
    input.extend_from_slice(PAGE.as_bytes());
    let ended = feed(&web(&["--format", "json"]), &input);
    let answers = ended.json();
    assert_eq!(answers.len(), 4);
    assert_eq!((&answers[0], &answers[3]), (&blocked(), &passed()));
    for (answer, line) in answers[1..3].iter().zip(2..) {
        assert_eq!(answer["line"], line);
        assert_eq!(answer["error"], "the line is longer than 1048576 bytes");
    }
    assert_eq!(ended.status, 1);
}

#[test]
fn an_event_is_answered_before_the_next_one_comes() {
    for format in ["json", "human"] {
        let mut child = gambeson(&web(&["--format", format]))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        for _ in 0..3 {
            writeln!(stdin, "{SHELL}").unwrap();
            let mut answer = String::new();
            stdout.read_line(&mut answer).unwrap();
            assert!(answer.contains("Block"), "{answer}");
        }
        drop(stdin);
        stdout.read_to_string(&mut String::new()).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for format in ["json", "human"] {
        let mut child = gambeson(&web(&["--format", format]))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        drop(child.stdout.take());
        let many = format!("{SHELL}\n").repeat(10_000);
        let _ = stdin.write_all(many.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
}

#[test]
fn policies_with_errors_judge_nothing() {
    let folder = folder("wrong-policy");
    let wrong = file(
        &folder,
        "wrong.yaml",
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\n\
         metadata: {name: wrong, namespace: production}\n\
         spec:\n  selector: {matchLabels: {app: web}}\n  process:\n    matchPath: []\n",
    );
    let args = [
        "decide",
        "--policies",
        &wrong,
        "examples/policies",
        "--namespace",
        "production",
        "--label",
        "app=web",
        "--events",
        "-",
    ];
    let ended = feed(&args, SHELL.as_bytes());
    assert_eq!((ended.status, ended.out.as_str()), (1, ""));
    assert!(ended.err.contains("wrong.yaml:7:5"), "{}", ended.err);
    assert!(ended.err.contains("nothing was judged"), "{}", ended.err);

    // Lenient reading says what it assumed, and judges.
    let lenient: Vec<&str> = args
        .into_iter()
        .chain(["--lenient", "--format", "json"])
        .collect();
    let ended = feed(&lenient, SHELL.as_bytes());
    assert_eq!((ended.status, ended.json()), (0, vec![blocked()]));
    assert!(ended.err.contains("warning"), "{}", ended.err);
}

#[test]
fn what_is_not_there_is_an_error() {
    for (args, name) in [
        (
            [
                "--policies",
                "no/such.yaml",
                "--events",
                "examples/events/attack-day.jsonl",
            ],
            "no/such.yaml",
        ),
        (
            [
                "--policies",
                "examples/policies",
                "--events",
                "no/such.jsonl",
            ],
            "no/such.jsonl",
        ),
        (
            ["--policies", "examples/policies", "--events", "examples"],
            "examples",
        ),
    ] {
        let mut all = vec!["decide", "--namespace", "production"];
        all.extend(args);
        let ended = run(&all);
        assert_eq!((ended.status, ended.out.as_str()), (1, ""), "{name}");
        assert!(ended.err.contains(&format!("`{name}`")), "{}", ended.err);
    }
}

#[test]
fn a_workload_file_that_describes_none_is_an_error() {
    let folder = folder("wrong-workload");
    for text in ["", "{}", r#"{"kind":"pod","label":{"app":"web"}}"#] {
        let workload = file(&folder, "workload.json", text);
        let ended = run(&[
            "decide",
            "--policies",
            "examples/policies",
            "--workload",
            &workload,
            "--events",
            "-",
        ]);
        assert_eq!((ended.status, ended.out.as_str()), (1, ""), "{text}");
        assert!(ended.err.contains("workload.json"), "{}", ended.err);
    }
}

#[test]
fn paths_that_are_not_resolved_are_remarked_on() {
    let args = [
        "decide",
        "--policies",
        "examples/policies/web-block-shells.yaml",
        "--namespace",
        "production",
        "--label",
        "app=web",
        "--events",
        "-",
        "--format",
        "json",
    ];
    let ended = feed(&args, br#"{"op":"exec","path":"/usr//bin/sh"}"#);
    assert_eq!((ended.status, ended.json()), (0, vec![passed()]));
    assert!(
        ended.err.contains("1 events give a path with"),
        "{}",
        ended.err
    );
}

#[test]
fn a_workload_that_no_policy_selects_is_told_so() {
    let args = [
        "decide",
        "--policies",
        "examples/policies/web-block-shells.yaml",
        "--namespace",
        "production",
        "--label",
        "app=wbe",
        "--events",
        "-",
        "--format",
        "json",
    ];
    let ended = feed(&args, SHELL.as_bytes());
    assert_eq!((ended.status, ended.json()), (0, vec![passed()]));
    assert!(
        ended.err.contains("no policy applies to this workload"),
        "{}",
        ended.err
    );
}

#[test]
fn people_see_aligned_columns_and_a_summary() {
    let ended = feed(
        &web(&[]),
        format!("{SHELL}\n{PAGE}\n{{\"op\":1}}\n").as_bytes(),
    );
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(
        lines[0],
        "Block  exec  /bin/sh          by /usr/sbin/nginx  web-block-shells  \
         process.matchPaths[0]  examples/policies/web-block-shells.yaml:20"
    );
    assert_eq!(
        lines[1],
        "Allow  read  /srv/index.html  by /usr/sbin/nginx  no rule"
    );
    assert!(lines[2].starts_with("error  line 3: "), "{}", lines[2]);
    assert_eq!(
        lines[4],
        "2 events: 1 Block, 0 Audit, 1 Allow; 1 line is no event"
    );
    assert_eq!(
        lines[5],
        "  Block  1  web-block-shells process.matchPaths[0]  \
         examples/policies/web-block-shells.yaml:20  a web server started a shell"
    );
    assert_eq!(ended.status, 1);
}

#[test]
fn colours_are_for_terminals_and_those_who_force_them() {
    let coloured = |variable: Option<&str>| {
        let mut command = gambeson(&[
            "decide",
            "--policies",
            "examples/policies",
            "--workload",
            "examples/workloads/checkout.json",
            "--events",
            "examples/events/attack-day.jsonl",
        ]);
        if let Some(variable) = variable {
            command.env(variable, "1");
        }
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains('\u{1b}')
    };
    assert!(!coloured(None));
    assert!(coloured(Some("CLICOLOR_FORCE")));
    assert!(!coloured(Some("NO_COLOR")));
}

#[test]
fn an_events_text_cannot_drive_the_terminal() {
    let ended = feed(
        &web(&[]),
        br#"{"op":"exec","path":"/bin/\u001b[2Jsh","source":"/a\nb"}"#,
    );
    assert!(!ended.out.contains('\u{1b}'));
    assert!(ended.out.contains("/bin/\\u{1b}[2Jsh"), "{}", ended.out);
    assert!(ended.out.contains("by /a\\nb"), "{}", ended.out);
}

#[test]
fn rules_follow_the_links_of_the_workloads_root() {
    let folder = folder("decide-root");
    let root = folder.join("root");
    std::fs::create_dir_all(root.join("usr/bin")).unwrap();
    std::os::unix::fs::symlink("usr/bin", root.join("bin")).unwrap();
    std::fs::write(root.join("usr/bin/nc"), "").unwrap();
    std::os::unix::fs::symlink("dash", root.join("usr/bin/sh")).unwrap();
    let policy = file(
        &folder,
        "bin.yaml",
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\n\
         metadata: {name: bin, namespace: production}\n\
         spec:\n  selector: {matchLabels: {app: web}}\n  \
         process: {matchPaths: [{path: /bin/nc}, {path: /bin/sh}]}\n  action: Block\n",
    );
    let judge = |root: Option<&str>| {
        let mut args = vec!["decide", "--policies", &policy, "--namespace", "production"];
        args.extend(["--label", "app=web", "--events", "-", "--format", "json"]);
        args.extend(root.iter().flat_map(|root| ["--root", root]));
        feed(&args, br#"{"op":"exec","path":"/usr/bin/nc"}"#)
    };
    assert_eq!(judge(None).json()[0]["verdict"], "Allow");
    let ended = judge(root.to_str());
    assert_eq!(ended.json()[0]["verdict"], "Block");
    // A rule that names a link matches nothing, and is reported with the real file.
    assert!(ended.err.contains("/usr/bin/dash"), "{}", ended.err);

    let ended = judge(Some("no/such/root"));
    assert_eq!((ended.status, ended.out.as_str()), (1, ""));
    assert!(ended.err.contains("no/such/root"), "{}", ended.err);
}

#[test]
fn a_long_run_is_summed_up_by_its_busiest_rules() {
    let folder = folder("busiest");
    let rules: Vec<String> = (0..12).map(|n| format!("{{path: /bin/p{n}}}")).collect();
    let policy = file(
        &folder,
        "twelve.yaml",
        format!(
            "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\n\
             metadata: {{name: twelve, namespace: production}}\n\
             spec:\n  selector: {{matchLabels: {{app: web}}}}\n  \
             process: {{matchPaths: [{}]}}\n  \
             network: {{matchProtocols: [{{protocol: tcp, action: Allow}}]}}\n  action: Block\n",
            rules.join(", ")
        ),
    );
    let mut events = String::new();
    for rule in 0..12 {
        // The later the rule, the busier.
        for _ in 0..=rule * 10 {
            events.push_str(&format!("{{\"op\":\"exec\",\"path\":\"/bin/p{rule}\"}}\n"));
        }
    }
    events.push_str("{\"op\":\"socket\",\"family\":\"inet\",\"type\":\"dgram\"}\n");
    let args = [
        "decide",
        "--policies",
        &policy,
        "--namespace",
        "production",
        "--label",
        "app=web",
        "--events",
        "-",
    ];
    let ended = feed(&args, events.as_bytes());
    let (rows, summary) = ended.out.split_once("\n\n").unwrap();
    assert_eq!(rows.lines().count(), 673);
    let summary: Vec<&str> = summary.lines().collect();
    assert_eq!(summary[0], "673 events: 672 Block, 1 Audit, 0 Allow");
    assert!(
        summary[1].starts_with("  Block  111  twelve process.matchPaths[11]"),
        "{summary:#?}"
    );
    assert_eq!(summary[11].trim_end(), "  Block   12  2 other rules");
    assert_eq!(summary[12].trim_end(), "  Audit    1  default posture");
    assert_eq!(summary.len(), 13);
}
