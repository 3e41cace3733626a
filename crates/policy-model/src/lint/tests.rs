use std::sync::Arc;

use super::*;
use crate::{
    Conditions, ContainerFilter, Directory, Expression, ExpressionKey, Glob, Labels, Operator,
    PathScope, PolicyId, PolicyKind, RuleList, Source, Workload,
};

fn location(line: u32) -> Location {
    Location {
        file: "web.yaml".into(),
        line,
        column: 3,
    }
}

fn pods(namespace: &str, labels: &[(&str, &str)]) -> Selector {
    Selector::Pods {
        namespace: namespace.to_owned(),
        labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        expressions: Vec::new(),
        containers: ContainerFilter::default(),
    }
}

fn policy(name: &str) -> PolicyId {
    PolicyId {
        name: name.to_owned(),
        kind: PolicyKind::KubeArmorPolicy,
        namespace: Some("production".into()),
    }
}

fn rule(class: Class, object: Object) -> Rule {
    Rule {
        policy: Arc::new(policy("web")),
        class,
        list: match object {
            Object::Directory(_) => RuleList::MatchDirectories,
            Object::Pattern(_) => RuleList::MatchPatterns,
            Object::Domain(_) => RuleList::MatchDnsQueries,
            _ => RuleList::MatchPaths,
        },
        index: 0,
        object,
        sources: Vec::new(),
        action: Action::Block,
        conditions: Conditions::default(),
        severity: 0,
        tags: Arc::new([]),
        message: "".into(),
        location: location(7),
    }
}

fn path(path: &str) -> Rule {
    rule(Class::File, Object::Path(path.to_owned()))
}

fn directory(path: &str) -> Rule {
    let path = path.to_owned();
    let recursive = true;
    rule(
        Class::File,
        Object::Directory(Directory { path, recursive }),
    )
}

fn pattern(class: Class, text: &str) -> Rule {
    rule(class, Object::Pattern(Glob::parse(text).unwrap()))
}

/// The findings in rules of a policy whose selector is in order.
fn lint(rules: &[Rule]) -> Vec<Diagnostic> {
    lint_rules(&pods("production", &[("app", "web")]), &location(1), rules)
}

fn codes(rules: &[Rule]) -> Vec<&'static str> {
    lint(rules).iter().map(|found| found.code.name()).collect()
}

#[test]
fn an_ordinary_policy_is_in_order() {
    assert!(
        lint(&[
            path("/usr/bin/bash"),
            path("/usr/bin/["),
            path("/binary/x"),
            path("/usr/lib/x"),
            directory("/run/secrets/"),
            pattern(Class::File, "/etc/*hado?"),
            pattern(Class::Process, "/usr/bin/apt*"),
            pattern(Class::Process, "/*/*/kubectl"),
            pattern(Class::File, "/home/user1/secret_data*"),
            pattern(Class::File, "/**/*.conf"),
            rule(Class::Process, Object::ExecName("bash".into())),
            rule(Class::Dns, Object::Domain("example.com".into())),
        ])
        .is_empty()
    );
}

#[test]
fn the_first_allow_rule_of_a_class() {
    let allow = |mut rule: Rule, index| {
        rule.action = Action::Allow;
        rule.index = index;
        rule
    };
    let mut owned = allow(rule(Class::Process, Object::Path("/usr/bin/x".into())), 3);
    owned.conditions.owner_only = true;
    let found = lint(&[
        path("/etc/a"),
        allow(path("/etc/b"), 1),
        allow(path("/etc/c"), 2),
        owned,
    ]);
    let fields: Vec<_> = found.iter().map(|found| found.field.as_str()).collect();
    assert_eq!(
        fields,
        ["spec.process.matchPaths[3]", "spec.file.matchPaths[1]"]
    );
    assert!(found.iter().all(|found| {
        found.code == Code::AllowListMode
            && found.severity == Severity::Warning
            && found
                .help
                .as_ref()
                .unwrap()
                .contains("the file posture is block")
            && found.location.line == 7
    }));
    assert!(
        found[0]
            .message
            .contains("whatever its source and conditions")
    );
    assert_eq!(
        found[1].message,
        "this Allow rule puts the file class into allow-list mode: files that no rule grants or \
         denies take the default posture"
    );
    let mut audit = path("/etc/a");
    audit.action = Action::Audit;
    assert!(lint(&[audit]).is_empty());
}

#[test]
fn paths_that_lie_elsewhere() {
    for (rule, code, message, help) in [
        (
            path("/bin/bash"),
            "merged-usr",
            "`/bin/bash` matches nothing on a system with a merged `/usr`, where `/bin` is a link to `/usr/bin`",
            "write `/usr/bin/bash`",
        ),
        (
            directory("/lib64/"),
            "merged-usr",
            "`/lib64/` matches nothing",
            "write `/usr/lib64/`",
        ),
        (
            directory("/var/run/secrets/"),
            "linked-directory",
            "`/var/run/secrets/` matches nothing on most systems, where `/var/run` is a link to `/run`",
            "write `/run/secrets/`",
        ),
        (
            pattern(Class::Process, "/sbin/ip*"),
            "merged-usr",
            "`/sbin/` matches nothing",
            "write `/usr/sbin/`",
        ),
        (
            pattern(Class::Process, "/{bin,usr/sbin}/{a,b}*"),
            "merged-usr",
            "`/bin/` matches nothing",
            "write `/usr/bin/`",
        ),
        (
            rule(
                Class::Syscalls,
                Object::Syscalls {
                    names: vec!["unlink".into()],
                    scope: Some(PathScope::Path("/lib/x".into())),
                },
            ),
            "merged-usr",
            "`/lib/x` matches nothing",
            "write `/usr/lib/x`",
        ),
    ] {
        let found = lint(std::slice::from_ref(&rule));
        let [found] = &found[..] else {
            panic!("{:?}: {found:?}", rule.object)
        };
        assert_eq!(found.code.name(), code);
        assert!(found.message.starts_with(message), "{}", found.message);
        assert!(found.help.as_ref().unwrap().starts_with(help), "{found:?}");
        assert_eq!(
            found.field,
            format!("spec.{}{}", rule.field_path(), object_field(&rule.object))
        );
    }
}

#[test]
fn who_writes_both_places_knows() {
    assert!(lint(&[path("/bin/sh"), path("/usr/bin/sh")]).is_empty());
    assert!(lint(&[directory("/bin/"), directory("/usr/bin/")]).is_empty());
    assert!(lint(&[pattern(Class::Process, "/{usr/,}bin/*sh")]).is_empty());
    assert!(lint(&[pattern(Class::Process, "{,/usr}/bin/*sh")]).is_empty());
    assert!(lint(&[pattern(Class::Process, "/bin*/x")]).is_empty());
    let mut other = path("/usr/bin/sh");
    other.action = Action::Audit;
    assert_eq!(codes(&[path("/bin/sh"), other]), ["merged-usr"]);
}

#[test]
fn sources_lie_elsewhere_too() {
    let source = |path: &str| Source::Scope(PathScope::Path(path.to_owned()));
    let mut rule = path("/etc/passwd");
    rule.sources = vec![
        source("/usr/bin/cat"),
        source("/bin/ls"),
        source("/opt/*/x"),
    ];
    let found = lint(std::slice::from_ref(&rule));
    let fields: Vec<_> = found
        .iter()
        .map(|found| (found.code.name(), found.field.as_str()))
        .collect();
    assert_eq!(
        fields,
        [
            ("merged-usr", "spec.file.matchPaths[0].fromSource[1].path"),
            ("glob-in-path", "spec.file.matchPaths[0].fromSource[2].path"),
        ]
    );
    rule.sources = vec![source("/bin/ls"), source("/usr/bin/ls")];
    assert!(lint(&[rule]).is_empty());
}

#[test]
fn wildcards_where_there_are_none() {
    for (rule, expected) in [
        (
            path("/etc/*.conf"),
            "`*` in `/etc/*.conf` stands for itself: `path`",
        ),
        (path("/etc/passw?"), "`?` in"),
        (path("/dev/sd[a-z]"), "`[` in"),
        (path("/usr/{bin,sbin}/x"), "`{` in"),
        (
            directory("/home/*/"),
            "`*` in `/home/*/` stands for itself: `dir`",
        ),
        (
            rule(Class::Process, Object::ExecName("python*".into())),
            "`*` in `python*` stands for itself: `execname`",
        ),
    ] {
        let found = lint(std::slice::from_ref(&rule));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].code.name(), "glob-in-path");
        assert!(
            found[0].message.starts_with(expected),
            "{}",
            found[0].message
        );
    }
    let found = lint(&[path("/etc/*.conf")]);
    assert_eq!(
        found[0].help.as_deref(),
        Some("move it to `matchPatterns`, as `pattern: /etc/*.conf`")
    );
    let found = lint(&[rule(Class::Dns, Object::Domain("*.example.com".into()))]);
    assert_eq!(found[0].code.name(), "wildcard-domain");
    assert_eq!(found[0].field, "spec.network.matchDNSQueries[0].domain");
    assert!(
        found[0]
            .help
            .as_ref()
            .unwrap()
            .starts_with("write `example.com`")
    );
}

#[test]
fn regular_expressions() {
    for text in [
        "/usr/bin/.*",
        "/.*/kubectl",
        "/etc/.*\\.conf",
        "/usr/bin/python.*",
        "^/etc/**",
        "/etc/passwd$",
        "/usr/bin/(curl|wget)",
        "/usr/bin/(curl|wget)?",
        "/tmp/(a)*",
        "/usr/bin/python\\d",
        "/usr/bin/[a-z]+",
        "/usr/bin/.+",
        "/usr/bin/[a-z]{1,3}",
        "/usr/bin/[a-z]{2,}",
        "/(?i)etc/x",
    ] {
        assert!(
            codes(&[pattern(Class::Process, text)]).contains(&"regular-expression"),
            "{text}"
        );
    }
    for text in [
        "/etc/*.conf",
        "/root/.*",
        "/home/*/.*",
        "/home/*/.ssh/*",
        "/etc/hosts.*",
        "/usr/lib/libc.so.*",
        "/usr/lib/libstdc++.so*",
        "/usr/bin/[gc]++",
        "/tmp/a+b",
        "/tmp/[0-9]*",
        "/tmp/x.{conf,d}/*",
        "/tmp/x[0-9]{,.bak}",
        "/tmp/what\\?",
        "/tmp/x (copy)",
        "/tmp/$x/y",
        "/opt/..**",
    ] {
        assert!(
            !codes(&[pattern(Class::File, text)]).contains(&"regular-expression"),
            "{text}"
        );
    }
    // Files have extensions where programs rarely do.
    assert!(!codes(&[pattern(Class::File, "/opt/data.*")]).contains(&"regular-expression"));
    assert!(codes(&[pattern(Class::Process, "/opt/tool.*")]).contains(&"regular-expression"));
    assert!(codes(&[pattern(Class::Process, "/usr/bin/python3.*")]).is_empty());
    // One warning says enough.
    let anchored = codes(&[pattern(Class::Process, "^/usr/bin/nc$")]);
    assert_eq!(anchored, ["regular-expression"]);
}

#[test]
fn arguments_in_a_process_pattern() {
    for (text, program) in [
        ("/usr/bin/curl -s *", "/usr/bin/curl"),
        ("/usr/bin/nc example.com", "/usr/bin/nc"),
        ("/usr/bin/cat /etc/shadow", "/usr/bin/cat"),
        ("/opt/run --all", "/opt/run"),
        ("**/bash *", "**/bash"),
        ("/usr/bin/{curl,wget} -O*", "/usr/bin/curl"),
        ("/usr/bin/ls\\ -l", "/usr/bin/ls"),
    ] {
        let found = lint(&[pattern(Class::Process, text)]);
        let [found] = &found[..] else {
            panic!("{text}: {found:?}")
        };
        assert_eq!(found.code.name(), "command-arguments", "{text}");
        let help = found.help.as_ref().unwrap();
        assert!(help.starts_with(&format!("write `{program}`")), "{help}");
    }
    for text in [
        "/opt/My App/run",
        "/opt/My App*",
        "/usr/bin/curl* ",
        "/opt/*",
    ] {
        assert!(lint(&[pattern(Class::Process, text)]).is_empty(), "{text}");
    }
    assert!(lint(&[pattern(Class::File, "/home/x -y")]).is_empty());
}

#[test]
fn patterns_that_match_no_path() {
    for (text, expected) in [
        (
            "*.conf",
            "`*.conf` can match no path: a path begins with `/`",
        ),
        ("/etc/", "`/etc/` can match no path: no path ends in `/`"),
        (
            "{/tmp,tmp}/*",
            "`tmp/*`, which `{/tmp,tmp}/*` stands for among others, can match no path: a path",
        ),
        (
            "/etc/{,**}",
            "`/etc/`, which `/etc/{,**}` stands for among others, can match no path",
        ),
    ] {
        let found = lint(&[pattern(Class::File, text)]);
        let [found] = &found[..] else {
            panic!("{text}: {found:?}")
        };
        assert_eq!(found.code.name(), "impossible-pattern");
        assert_eq!(found.field, "spec.file.matchPatterns[0].pattern");
        assert!(found.message.starts_with(expected), "{}", found.message);
    }
}

#[test]
fn selectors_without_restriction() {
    for (selector, expected, field) in [
        (
            pods("production", &[]),
            "every pod of the namespace `production`",
            "spec.selector",
        ),
        (
            Selector::Cluster {
                labels: Labels::new(),
                expressions: Vec::new(),
                containers: ContainerFilter::default(),
            },
            "every pod of the cluster",
            "spec.selector",
        ),
        (
            Selector::Nodes {
                labels: Labels::from([("kubearmor.io/hostname".into(), "*".into())]),
            },
            "every node",
            "spec.nodeSelector",
        ),
    ] {
        let found = lint_rules(&selector, &location(2), &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, Code::SelectsEverything);
        assert_eq!(found[0].message, format!("the policy selects {expected}"));
        assert_eq!(
            (found[0].field.as_str(), found[0].location.line),
            (field, 2)
        );
    }
    assert!(lint_rules(&Selector::Nothing, &location(1), &[]).is_empty());
}

#[test]
fn policies_that_select_nothing() {
    let web = policy("web");
    let here = location(1);
    let workloads = [
        Workload::pod("production").label("app", "web"),
        Workload::pod("staging").label("app", "shop"),
    ];
    let of = |selector: &Selector, workloads: &[Workload]| {
        lint_unselected([(&web, selector, &here)], workloads)
    };
    assert!(of(&pods("production", &[("app", "web")]), &workloads).is_empty());
    let found = of(&pods("production", &[("app", "shop")]), &workloads);
    assert_eq!(found[0].code, Code::SelectsNothing);
    assert_eq!(
        found[0].message,
        "`KubeArmorPolicy production/web` selects none of the given workloads"
    );
    let nowhere = Selector::Cluster {
        labels: Labels::new(),
        expressions: vec![Expression {
            key: ExpressionKey::Namespace,
            operator: Operator::In,
            values: vec!["prod".into()],
        }],
        containers: ContainerFilter::default(),
    };
    assert_eq!(of(&nowhere, &workloads).len(), 1);
    // Of hosts nothing is known.
    let nodes = Selector::Nodes {
        labels: Labels::from([("os".into(), "linux".into())]),
    };
    assert!(of(&nodes, &workloads).is_empty());
    assert_eq!(of(&nodes, &[Workload::host()]).len(), 1);
    assert!(of(&nowhere, &[]).is_empty());
}

#[test]
fn the_same_policy_twice() {
    let (web, other) = (policy("web"), policy("other"));
    let (first, second) = (location(1), location(30));
    let found = lint_duplicates([(&web, &first), (&other, &first), (&web, &second)]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, Code::DuplicatePolicy);
    assert_eq!(found[0].location.line, 30);
    assert_eq!(
        found[0].message,
        "`KubeArmorPolicy production/web` is already defined at web.yaml:1:3"
    );
}

#[test]
fn a_set_that_begins_with_an_exclamation_mark_is_told_about() {
    let glob = crate::Glob::parse("/etc/[!a-c]*").unwrap();
    let found = lint(&[rule(Class::File, Object::Pattern(glob))]);
    assert_eq!(found[0].code.name(), "shell-negation");
    assert_eq!(
        found[0].help.as_deref(),
        Some("write `[^a-c]` for all bytes but these")
    );
    let quoted = crate::Glob::parse("/etc/\\[!a\\]").unwrap();
    assert!(lint(&[rule(Class::File, Object::Pattern(quoted))]).is_empty());
}

#[test]
fn an_expression_for_host_names_is_told_about() {
    let labels = [("kubearmor.io/hostnamereg".to_owned(), "node-.*".to_owned())];
    let selector = Selector::Nodes {
        labels: labels.into(),
    };
    let found = lint_rules(
        &selector,
        &Location {
            file: "f".into(),
            line: 1,
            column: 1,
        },
        &[],
    );
    assert_eq!(found[0].code.name(), "selects-nothing");
    assert!(
        found[0].message.contains("hostnamereg"),
        "{}",
        found[0].message
    );
}
