//! What drafts say, and what they leave out.

use gambeson_insight::discover::{Discoverer, Discovery};
use gambeson_policy_model::{Event, Workload};

fn web() -> Workload {
    Workload::pod("shop").label("app", "web")
}

fn discover(lines: &str) -> Discovery {
    Discoverer::new(&web())
        .discover(lines.as_bytes(), 1, |_| ())
        .unwrap()
}

/// The lines of the only draft's YAML, without comments and what is before the rules.
fn rules(found: &Discovery) -> Vec<&str> {
    assert_eq!(found.drafts.len(), 1);
    let lines = found.drafts[0].yaml.lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with('#'));
    lines
        .skip_while(|line| !line.starts_with("  selector"))
        .skip(3)
        .map(str::trim)
        .collect()
}

fn read(path: &str, program: &str) -> String {
    Event::read(path).by(program).to_json() + "\n"
}

fn write(path: &str, program: &str) -> String {
    Event::write(path).by(program).to_json() + "\n"
}

#[test]
fn a_program_alone_is_named_and_what_is_only_read_is_read_only() {
    let lines = [
        read("/etc/web.conf", "/bin/web"),
        write("/var/log/web.log", "/bin/web"),
        read("/etc/hosts", "/bin/web"),
        read("/etc/hosts", "/bin/curl"),
    ]
    .concat();
    assert_eq!(
        rules(&discover(&lines)),
        [
            "file:",
            "matchPaths:",
            "- path: /etc/hosts",
            "readOnly: true",
            "action: Allow",
            "- path: /etc/web.conf",
            "readOnly: true",
            "fromSource:",
            "- path: /bin/web",
            "action: Allow",
            "- path: /var/log/web.log",
            "fromSource:",
            "- path: /bin/web",
            "action: Allow",
        ]
    );
}

#[test]
fn who_only_reads_what_another_writes_may_only_read() {
    let lines = [
        write("/run/web.pid", "/bin/web"),
        read("/run/web.pid", "/bin/ctl"),
    ]
    .concat();
    assert_eq!(
        rules(&discover(&lines))[2..],
        [
            "- path: /run/web.pid",
            "readOnly: true",
            "fromSource:",
            "- path: /bin/ctl",
            "action: Allow",
            "- path: /run/web.pid",
            "fromSource:",
            "- path: /bin/web",
            "action: Allow",
        ]
    );
}

#[test]
fn an_audit_draft_reports_what_the_other_denies() {
    let found = Discoverer::new(&web())
        .audit(true)
        .discover(read("/etc/web.conf", "/bin/web").as_bytes(), 1, |_| ())
        .unwrap();
    assert_eq!(
        rules(&found)[2..],
        [
            "- path: /etc/web.conf",
            "fromSource:",
            "- path: /bin/web",
            "action: Allow",
            "- path: /etc/web.conf",
            "readOnly: true",
            "fromSource:",
            "- path: /bin/web",
            "action: Audit",
        ]
    );
}

#[test]
fn names_that_change_become_patterns_and_written_files_no_directory() {
    let mut lines = String::new();
    for number in 0..20 {
        lines += &write(&format!("/data/out/file-{number}x"), "/bin/web");
        lines += &read(
            &format!("/usr/share/web/page{}.html", "x".repeat(number)),
            "/bin/web",
        );
    }
    for name in ["9f31", "a07c"] {
        lines += &write(&format!("/app/cache/basket-{name}.json"), "/bin/web");
    }
    lines += &write("/tmp/tmp.Xa83kd", "/bin/web");
    let found = discover(&lines);
    let told = rules(&found);
    assert!(told.contains(&"- path: /data/out/file-7x"), "{told:?}");
    assert!(told.contains(&"- dir: /usr/share/web/"), "{told:?}");
    assert!(
        told.contains(&"- pattern: \"/app/cache/basket-????.json\""),
        "{told:?}"
    );
    assert!(told.contains(&"- pattern: \"/tmp/tmp.??????\""), "{told:?}");
    assert!(!told.contains(&"recursive: true"));
    let also: Vec<String> = found.drafts[0]
        .generalisations
        .iter()
        .map(|found| {
            format!(
                "{} {}: {}",
                found.rule,
                found.reason.name(),
                found.also_allows
            )
        })
        .collect();
    for expected in [
        "file.matchDirectories[0] directory: reading every other file of the directory, where 20 were read",
        "file.matchPatterns[0] hash: reading and writing every other name of the pattern, where 2 such as /app/cache/basket-9f31.json were seen",
        "file.matchPatterns[0] any-program: any program, where only /bin/web was seen",
        "file.matchPatterns[1] temp-name: reading and writing every other name of the pattern, where /tmp/tmp.Xa83kd was seen",
        " unseen-class: everything of `network`: none of it was recorded",
    ] {
        assert!(
            also.iter().any(|found| found == expected),
            "{expected}: {also:#?}"
        );
    }
}

#[test]
fn a_tree_that_is_only_read_becomes_a_rule_for_all_below_unless_it_holds_secrets() {
    let tree = |top: &str| -> String {
        let files = (0..40).map(|n| {
            format!(
                "{top}/lib{}/f{}",
                ["a", "b", "c", "d"][n % 4],
                "x".repeat(n)
            )
        });
        files.map(|path| read(&path, "/bin/web")).collect()
    };
    let told = |lines: &str| rules(&discover(lines)).join("\n");
    assert!(told(&tree("/opt/app")).contains("- dir: /opt/app/\nrecursive: true\nreadOnly: true"));
    assert!(!told(&tree("/etc/private")).contains("- dir"));
    assert!(!told(&tree("/run/secrets")).contains("- dir"));
    let written = tree("/opt/app") + &write("/opt/app/liba/log", "/bin/web");
    let told = told(&written);
    assert!(
        !told.contains("recursive") && told.contains("- dir: /opt/app/libb/"),
        "{told}"
    );
    assert!(!told.contains("- dir: /opt/app/liba/"), "{told}");
}

#[test]
fn every_rule_says_what_it_rests_on() {
    let lines = concat!(
        r#"{"Timestamp":1750000000,"NamespaceName":"shop","Labels":"app=web,pod-template-hash=abc","ContainerName":"web","ContainerID":"1","Operation":"File","Resource":"/etc/hosts","ProcessName":"/bin/web","Data":"flags=O_RDONLY","Result":"Passed"}"#,
        "\n",
        r#"{"Timestamp":1750003600,"NamespaceName":"shop","Labels":"app=web,pod-template-hash=def","ContainerName":"web","ContainerID":"2","Operation":"File","Resource":"/etc/hosts","ProcessName":"/bin/web","Data":"flags=O_RDONLY","PolicyName":"x","Action":"Audit","Result":"Passed"}"#,
        "\n",
    );
    let found = discover(lines);
    let [draft] = &found.drafts[..] else {
        panic!("{found:?}")
    };
    assert!(
        draft.yaml.contains(
            "      # 2 events (1 reported by a policy), lines 1 to 2, 2025-06-15T15:06:40Z to 2025-06-15T16:06:40Z, by /bin/web\n"
        ),
        "{}",
        draft.yaml
    );
    assert!(
        draft
            .yaml
            .contains("      app: web\n      kubearmor.io/container.name: \"[web]\"\n")
    );
    let json = found.to_json();
    let rule = &json["drafts"][0]["rules"][0];
    assert_eq!(rule["programs"]["/bin/web"], 2);
    assert_eq!(rule["first"]["time"], "2025-06-15T15:06:40Z");
}

#[test]
fn what_a_policy_cannot_say_is_left_out_and_said() {
    let long = "x".repeat(4_094);
    let brackets = "[]".repeat(2_000);
    let lines = [
        "nonsense".to_owned(),
        r#"{"op":"read"}"#.to_owned(),
        r#"{"op":"read","path":"/a\u0000b"}"#.to_owned(),
        r#"{"op":"read","path":"/a\nb","source":"/bin/web"}"#.to_owned(),
        r#"{"op":"read","path":"/a\udcffb","source":"/bin/web"}"#.to_owned(),
        r#"{"op":"read","path":"/a\u202eb","source":"/bin/web"}"#.to_owned(),
        r#"{"op":"read","path":"/a/../b","source":"/bin/web"}"#.to_owned(),
        r#"{"op":"read","path":"memfd:x","source":"/bin/web"}"#.to_owned(),
        r#"{"op":"read","path":"pipe:[3]","source":"/bin/web"}"#.to_owned(),
        format!(r#"{{"op":"read","path":"/{brackets}","source":"/bin/web"}}"#),
        format!(r#"{{"op":"read","path":"/{long}","source":"/bin/web"}}"#),
        r#"{"op":"read","path":"/a*[b]{c,d}?","source":"/bin/web"}"#.to_owned(),
        r#"{"op":"capability","capability":"bpf","source":"/bin/web"}"#.to_owned(),
        r#"{"op":"dns","domain":"a b","source":"/bin/web"}"#.to_owned(),
        r#"{"Operation":"File","Resource":"/denied","NamespaceName":"shop","Labels":"app=web","ContainerID":"1","Result":"Permission denied"}"#.to_owned(),
        r#"{"op":"read","path":"/no-program"}"#.to_owned(),
    ]
    .join("\n");
    let found = discover(&lines);
    assert_eq!((found.lines, found.events, found.unusable), (16, 13, 3));
    let left: Vec<(&str, u64)> = found
        .left_out
        .iter()
        .map(|(why, left)| (*why, left.count))
        .collect();
    assert_eq!(
        left,
        [
            ("KubeArmor's schema doesn't have the capability", 1),
            ("it was denied when it was recorded", 1),
            ("the domain can't be written in a policy", 1),
            (
                "the file has no path that could be computed, so that no rule can allow it",
                1
            ),
            (
                "the path has `.`, `..`, `//` or a slash at the end: it isn't that of a resolved file",
                1
            ),
            (
                "the path holds control characters, or such as turn the direction of writing",
                2
            ),
            ("the path is too long for a pattern", 1),
            ("the path isn't UTF-8, which the text of a policy is", 1),
        ]
    );
    let text = found.to_text();
    assert!(text.contains("  line 4: read /a\\nb\n"), "{text}");
    let told = rules(&found);
    // A path with what is special in patterns is written as one that matches nothing else.
    let pattern = r#"- pattern: "/a\\*\\[b\\]\\{c,d\\}\\?""#;
    assert!(told.contains(&pattern), "{told:?}");
    assert!(told.contains(&"- path: /no-program"), "{told:?}");
    assert!(!told.join("\n").contains("/denied"));
}

#[test]
fn the_host_and_pods_whose_labels_include_anothers_are_kept_apart() {
    let of = |labels: &str, path: &str, action: &str| {
        format!(
            r#"{{"NamespaceName":"shop","Labels":"{labels}","ContainerID":"1","Operation":"File","Resource":"{path}","ProcessName":"/bin/web","Data":"flags={action}"}}"#
        ) + "\n"
    };
    let lines = [
        of("app=web", "/x", "O_RDONLY"),
        of("app=web,tier=front", "/x", "O_RDWR"),
        r#"{"Operation":"Network","Resource":"domain=AF_INET type=SOCK_STREAM protocol=TCP","ProcessName":"/bin/kubelet"}"#.to_owned() + "\n",
        r#"{"Operation":"Network","Resource":"domain=AF_INET type=SOCK_STREAM protocol=TCP"}"#.to_owned() + "\n",
    ]
    .concat();
    let found = discover(&lines);
    let names: Vec<&str> = found
        .drafts
        .iter()
        .map(|draft| draft.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["discovered-node", "discovered-web", "discovered-web-2"]
    );
    assert!(found.drafts[0].yaml.contains("kind: KubeArmorHostPolicy"));
    assert!(found.drafts[0].yaml.contains("        fromSource: []\n"));
    assert!(
        found.drafts[1]
            .yaml
            .contains("        values:\n          - \"tier=front\"\n"),
        "{}",
        found.drafts[1].yaml
    );
}

#[test]
fn memory_grows_with_what_can_be_told_apart_and_not_with_events() {
    let lines = |events: usize| -> String {
        (0..events)
            .map(|n| {
                let program = format!("/bin/p{}", n % 5_000);
                match n % 4 {
                    0 => read(&format!("/proc/{n}/status"), &program),
                    1 => write(&format!("/tmp/tmp.Xa{n:08}"), "/bin/web"),
                    2 => write(&format!("/data/{n}.db"), &program),
                    _ => read("/etc/hosts", "/bin/web"),
                }
            })
            .collect()
    };
    let facts = |events| discover(&lines(events)).facts;
    let few = facts(1_000);
    assert_eq!(few, 4);
    assert_eq!(facts(40_000), few);
}
