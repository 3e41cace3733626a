//! Lenient reading: what is found in the wild, and what is assumed.

use gambeson_policy_model::{
    Action, Conditions, Directory, Mode, Object, PathScope, Policy, Protocol, Reader, Selector,
    Source,
};

use crate::{check, host_policy, policy};

/// Reads one policy leniently, with its warnings.
fn lenient(text: &str) -> (Policy, Vec<String>) {
    let reading = Reader::new().mode(Mode::Lenient).read_str("p.yaml", text);
    let warnings = reading.diagnostics().map(|d| d.message.clone()).collect();
    let policy = reading.documents().first().and_then(|d| d.policy.clone());
    match policy {
        Some(policy) => (policy, warnings),
        None => panic!("not read: {warnings:?}"),
    }
}

/// The objects of a policy's rules.
fn objects(policy: &Policy) -> Vec<Object> {
    policy
        .rules()
        .iter()
        .map(|rule| rule.object.clone())
        .collect()
}

fn path(path: &str) -> Object {
    Object::Path(path.to_owned())
}

#[test]
fn every_deviation_is_a_warning_that_says_what_was_assumed() {
    let (policy, warnings) = lenient(&policy(
        r#"  severity: "5"
  action: audit
  process:
    matchPaths:
    - {path: /bin/sh, execname: sh, recurive: true}
    - {path: /usr//bin/../sbin/sh, ownerOnly: yes}
    - {path: bin/sh}
    matchDirectories:
    - {dir: /usr/bin, fromSource: null, severity: 11}
    matchPatterns:
    - {pattern: "/a[b"}
"#,
    ));
    assert_eq!(
        warnings,
        [
            "expected an integer, found the string `5`; taken as 5",
            "`audit` is not an action; taken as `Audit`",
            "the entry has both `path` and `execname`; `execname` counts",
            "there is no field `recurive` here; ignored",
            "`/usr//bin/../sbin/sh` holds `//`, `.` or `..`, which no resolved path has; taken as `/usr/sbin/sh`",
            "expected true or false, found the string `yes`; taken as true",
            "`bin/sh` is not absolute; it matches nothing",
            "the directory `/usr/bin` doesn't end in `/`; taken as if it did",
            "`fromSource` is null; taken as not given",
            "the severity `11` is not from 1 to 10; taken as 10",
            "the bracket opened at byte 2 is never closed; it matches nothing",
        ]
    );
    assert_eq!(
        objects(&policy),
        [
            Object::ExecName("sh".into()),
            path("/usr/sbin/sh"),
            Object::Nothing("bin/sh".into()),
            Object::Directory(Directory {
                path: "/usr/bin/".into(),
                recursive: false
            }),
            Object::Nothing("/a[b".into()),
        ]
    );
    let severities: Vec<u8> = policy.rules().iter().map(|rule| rule.severity).collect();
    assert_eq!(severities, [5, 5, 5, 10, 5]);
    assert!(
        policy
            .rules()
            .iter()
            .all(|rule| rule.action == Action::Audit)
    );
}

#[test]
fn what_strict_reading_refuses_is_a_warning_in_the_same_place() {
    let specs = [
        "  action: block\n",
        "  nosuch: 1\n",
        "  severity: \"3\"\n",
        "  message: 5\n",
        "  action: Audit\n  action: Block\n",
        "  selector: {matchExpressions: null}\n",
        "  network: {matchProtocols: [{protocol: Tcp}]}\n",
        "  network: {matchProtocols: [{protocol: 'tcp, udp'}]}\n",
        "  capabilities: {matchCapabilities: [{capability: CAP_BPF}]}\n",
        "  syscalls: {matchSyscalls: [{syscall: [openat2]}]}\n",
        "  file: {matchPaths: [{path: /a, fromSource: [{path: /b, recursive: true}]}]}\n",
        "  presets: [{name: exec, action: Allow}]\n",
        "  presets: [{name: none}]\n",
        "  process: {matchPaths: [{}]}\n",
        "  process: {matchPaths: [~]}\n",
    ];
    for spec in specs {
        let text = policy(spec);
        let strict = crate::problems(Mode::Strict, &text);
        let lenient = crate::problems(Mode::Lenient, &text);
        assert!(!strict.is_empty(), "{spec}");
        let as_warnings: Vec<String> = strict
            .iter()
            .map(|problem| problem.replace(" error[", " warning["))
            .collect();
        assert_eq!(lenient, as_warnings, "{spec}");
    }
}

#[test]
fn what_has_no_likely_meaning_stays_an_error() {
    check(
        Mode::Lenient,
        &policy(
            "  action: Deny
#         ^ error[invalid-value] spec.action
  severity: high
#           ^ error[wrong-type] spec.severity
  tags: one
#       ^ error[wrong-type] spec.tags
  process: [matchPaths]
#          ^ error[wrong-type] spec.process
  file:
    matchPaths: {path: /a}
#               ^ error[wrong-type] spec.file.matchPaths
",
        ),
    );
}

#[test]
fn the_last_of_two_equal_keys_counts() {
    let (policy, warnings) = lenient(&policy(
        "  process: {matchPaths: [{path: /a}]}\n  process: {matchPaths: [{path: /b}]}\n",
    ));
    assert_eq!(objects(&policy), [path("/b")]);
    assert_eq!(
        warnings,
        ["`process` is given twice, first in line 5; this one counts"]
    );
}

#[test]
fn a_comma_list_is_one_rule_for_each_name_with_one_index() {
    let (policy, _) = lenient(&policy(
        "  network: {matchProtocols: [{protocol: 'TCP, udp,'}, {protocol: raw}]}\n",
    ));
    let rules: Vec<(Object, u32)> = policy
        .rules()
        .iter()
        .map(|rule| (rule.object.clone(), rule.index))
        .collect();
    assert_eq!(
        rules,
        [
            (Object::Protocol(Protocol::Tcp), 0),
            (Object::Protocol(Protocol::Udp), 0),
            (Object::Protocol(Protocol::Raw), 1),
        ]
    );
}

#[test]
fn a_source_may_be_a_directory() {
    let (policy, _) = lenient(&policy(
        "  file: {matchPaths: [{path: /a, fromSource: [{dir: /usr/bin, recursive: true}, {}]}]}\n",
    ));
    assert_eq!(
        policy.rules()[0].sources,
        [
            Source::Scope(PathScope::Directory(Directory {
                path: "/usr/bin/".into(),
                recursive: true
            })),
            Source::Nothing(String::new()),
        ]
    );
}

#[test]
fn a_host_policy_without_node_selector_selects_nothing() {
    let text = host_policy("  action: Block\n").replace("  nodeSelector: {}\n", "");
    let (policy, warnings) = lenient(&text);
    assert_eq!(policy.selector(), &Selector::Nothing);
    assert_eq!(
        warnings,
        ["`nodeSelector` is missing; the policy selects no node, as in KubeArmor"]
    );
}

#[test]
fn host_rules_without_sources_speak_of_every_program() {
    let (policy, warnings) = lenient(&host_policy(
        "  network: {matchProtocols: [{protocol: tcp}]}\n",
    ));
    assert!(policy.rules()[0].sources.is_empty());
    assert_eq!(
        warnings,
        ["`fromSource` is missing; the rule speaks of every program"]
    );
}

#[test]
fn an_expression_with_an_unknown_key_never_widens_what_is_selected() {
    use gambeson_policy_model::Workload;
    let (policy, _) = lenient(&policy(
        "  selector: {matchExpressions: [{key: pod, operator: In, values: [a=b]}]}\n",
    ));
    let pod = Workload::pod("default").label("a", "b");
    assert!(!policy.selector().selects(&pod));
}

#[test]
fn keys_in_another_case_are_taken_as_go_takes_them() {
    let (policy, warnings) = lenient(&policy("  Process: {matchpaths: [{path: /a}]}\n"));
    assert_eq!(objects(&policy), [path("/a")]);
    assert_eq!(warnings.len(), 2);
}

#[test]
fn an_allowed_preset_is_blocked() {
    let (policy, _) = lenient(&policy("  presets: [{name: exec, action: Allow}]\n"));
    let rule = &policy.rules()[0];
    assert_eq!(
        (rule.action, &rule.conditions),
        (Action::Block, &Conditions::default())
    );
}

#[test]
fn yaml_errors_stay_errors() {
    let found = crate::problems(
        Mode::Lenient,
        "kind: KubeArmorPolicy\nmetadata:\n\tname: p\n",
    );
    assert_eq!(found, ["3:1 error[syntax] "]);
}
