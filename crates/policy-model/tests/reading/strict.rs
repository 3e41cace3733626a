//! Strict reading: the schema, field by field.

use gambeson_policy_model::{Mode, Reader};

use crate::{check, host_policy, policy};

fn strict(spec: &str) {
    check(Mode::Strict, &policy(spec));
}

fn strict_host(spec: &str) {
    check(Mode::Strict, &host_policy(spec));
}

#[test]
fn every_field_of_the_schema_is_taken() {
    strict(
        r#"  selector:
    matchLabels: {app: web, kubearmor.io/container.name: "[nginx]"}
    matchExpressions:
    - {key: label, operator: In, values: [tier=front]}
    - {key: label, operator: NotIn, values: [app=db, app=cache]}
  process:
    matchPaths:
    - {path: /bin/sh, allowedArgs: [-c], ownerOnly: true, pts: false, fromSource: [{path: /bin/a}], severity: 1, tags: [a], message: m, action: Allow}
    - {execname: apt, ownerOnly: false, pts: true}
    matchDirectories:
    - {dir: /usr/bin/, recursive: true, ownerOnly: true, pts: false, fromSource: []}
    - {dir: /}
    matchPatterns:
    - {pattern: "/usr/**/bin/*", ownerOnly: true, action: Audit}
    severity: 10
    tags: []
    message: ""
    action: Block
  file:
    matchPaths:
    - {path: /etc/shadow, readOnly: true, ownerOnly: true, pts: false, fromSource: [{path: /bin/cat}]}
    matchDirectories:
    - {dir: /etc/, recursive: true, readOnly: true, ownerOnly: true, pts: true, fromSource: []}
    matchPatterns:
    - {pattern: "/etc/*.conf", readOnly: true, ownerOnly: true}
  network:
    matchProtocols:
    - {protocol: tcp, pts: false, fromSource: [{path: /bin/curl}]}
    - {protocol: ICMPv6}
#                ^ error[unknown-protocol] spec.network.matchProtocols[1].protocol
    - {protocol: ICMPV6}
    matchDNSQueries:
    - {domain: example.com., fromSource: [{path: /bin/curl}], severity: 3}
  capabilities:
    matchCapabilities:
    - {capability: net_raw, fromSource: [{path: /bin/ping}]}
  syscalls:
    matchSyscalls:
    - {syscall: [unlink, rmdir], fromSource: [{dir: /usr/bin/, recursive: true}, {path: /bin/a}]}
    matchPaths:
    - {path: /home/, recursive: true, syscall: [unlink]}
    - {syscall: [unlink]}
    severity: 2
    tags: [x]
    message: gone
  presets:
  - {name: filelessExec, action: Block}
  - {name: anonymousMapExec, action: Audit}
  - {name: protectEnv}
  - {name: exec}
  - {name: protectProc}
  apparmor: |
    deny /tmp/ r,
  severity: 5
  tags: [a, b]
  message: hello
  action: Audit
"#,
    );
    strict_host(
        r#"  device:
    matchDevice:
    - {class: HID, subClass: 1, protocol: 1, level: 1, severity: 2, action: Audit}
    - {class: "0x08"}
    - {class: "255"}
    action: Block
  network:
    matchProtocols: [{protocol: UDP, fromSource: []}]
    matchDNSQueries: [{domain: example.com}]
  capabilities:
    matchCapabilities: [{capability: chown, fromSource: [{path: /bin/a}]}]
  apparmor: ""
"#,
    );
}

#[test]
fn unknown_fields_are_refused_where_they_stand() {
    strict(
        "  process:
    matchPaths:
    - path: /bin/sh
      readOnly: true
#     ^ error[unknown-field] spec.process.matchPaths[0].readOnly
    matchDirectories:
    - dir: /bin/
      recurive: true
#     ^ error[unknown-field] spec.process.matchDirectories[0].recurive
    matchPatterns:
    - pattern: /a*
      fromSource: []
#     ^ error[unknown-field] spec.process.matchPatterns[0].fromSource
    - pattern: /b*
      pts: false
#     ^ error[unknown-field] spec.process.matchPatterns[1].pts
    process: {}
#   ^ error[unknown-field] spec.process.process
  file:
    matchPaths:
    - {path: /a, allowedArgs: []}
#                ^ error[unknown-field] spec.file.matchPaths[0].allowedArgs
    - {path: /a, fromSource: [{path: /b, dir: /c/}]}
#                                        ^ error[unknown-field] spec.file.matchPaths[1].fromSource[0].dir
  syscalls:
    action: Audit
#   ^ error[unknown-field] spec.syscalls.action
  device: {}
# ^ error[unknown-field] spec.device
  nodeSelector: {}
# ^ error[unknown-field] spec.nodeSelector
",
    );
    strict_host(
        "  presets: []
# ^ error[unknown-field] spec.presets
  selector: {}
# ^ error[unknown-field] spec.selector
  network:
    matchProtocols:
    - {protocol: tcp, fromSource: [], pts: true}
#                                     ^ error[unknown-field] spec.network.matchProtocols[0].pts
",
    );
}

#[test]
fn an_unknown_field_gets_the_nearest_name_as_help() {
    let text = policy("  proces: {}\n");
    let reading = Reader::new().read_str("p.yaml", &text);
    let problem = reading.diagnostics().next().unwrap();
    assert_eq!(problem.message, "there is no field `proces` here");
    assert_eq!(problem.help.as_deref(), Some("did you mean `process`?"));
}

#[test]
fn the_outer_fields_are_checked() {
    check(
        Mode::Strict,
        "apiVersion: security.kubearmor.com/v2
#           ^ error[unsupported-version] apiVersion
kind: KubeArmorPolicy
metadata:
  labels: {a: 5}
# ^ error[missing-field] metadata.name
#             ^ error[wrong-type] metadata.labels.a
  lables: {}
# ^ error[unknown-field] metadata.lables
  creationTimestamp: null
Version: 1
#< error[unknown-field] Version
spec: {}
status: {status: OK}
",
    );
    check(
        Mode::Strict,
        "apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata:
  name: ''
#       ^ error[invalid-name] metadata.name
spec:
#< error[null-value] spec
",
    );
    check(
        Mode::Strict,
        "apiVersion: security.kubearmor.com/v1
#< error[missing-field] metadata
#< error[missing-field] spec
kind: KubeArmorPolicy
",
    );
    check(
        Mode::Strict,
        "kind: KubeArmorHostPolicy
#< error[not-an-object] apiVersion
metadata: {name: My Policy, namespace: x}
#                ^ warning[invalid-name] metadata.name
#                                      ^ warning[ignored-namespace] metadata.namespace
spec: {}
#     ^ error[missing-field] spec.nodeSelector
",
    );
}

#[test]
fn duplicate_keys_are_refused_at_the_second() {
    strict(
        "  action: Audit
  action: Block
# ^ error[duplicate-key] spec.action
  selector:
    matchLabels:
      app: web
      app: db
#     ^ error[duplicate-key] spec.selector.matchLabels.app
",
    );
}

#[test]
fn nulls_are_refused_where_something_is_expected() {
    strict(
        "  selector:
    matchExpressions:
#   ^ error[null-value] spec.selector.matchExpressions
    matchLabels: {a: ~}
#                 ^ error[null-value] spec.selector.matchLabels.a
  severity:
# ^ error[null-value] spec.severity
  tags: [~]
#        ^ error[null-value] spec.tags[0]
  file:
    matchPaths:
    - path: /a
      fromSource: null
#     ^ error[null-value] spec.file.matchPaths[0].fromSource
    - ~
#     ^ error[null-value] spec.file.matchPaths[1]
",
    );
    strict_host(
        "  network:
    matchProtocols:
    - protocol: tcp
      fromSource:
#     ^ error[null-value] spec.network.matchProtocols[0].fromSource
",
    );
}

#[test]
fn types_are_checked() {
    strict(
        r#"  severity: "5"
#           ^ error[wrong-type] spec.severity
  message: 5
#          ^ error[wrong-type] spec.message
  tags: a
#       ^ error[wrong-type] spec.tags
  process:
    matchPaths:
      path: /bin/sh
#     ^ error[wrong-type] spec.process.matchPaths
  file:
    matchPaths:
    - path: /a
      readOnly: yes
#               ^ error[wrong-type] spec.file.matchPaths[0].readOnly
      ownerOnly: "true"
#                ^ error[wrong-type] spec.file.matchPaths[0].ownerOnly
    - path: /b
      readOnly: TRUE
      message: yes
#              ^ warning[ambiguous-string] spec.file.matchPaths[1].message
      severity: 010
#               ^ error[wrong-type] spec.file.matchPaths[1].severity
    - path: [/c]
#           ^ error[wrong-type] spec.file.matchPaths[2].path
    - /d
#     ^ error[wrong-type] spec.file.matchPaths[3]
  network: []
#          ^ error[wrong-type] spec.network
"#,
    );
}

#[test]
fn numbers_keep_their_ranges() {
    strict(
        "  severity: 0
#           ^ error[out-of-range] spec.severity
  process: {severity: 11}
#                     ^ error[out-of-range] spec.process.severity
  file: {severity: 99999999999999999999}
#                  ^ error[wrong-type] spec.file.severity
  network: {severity: 10}
  capabilities: {severity: 0x5}
",
    );
    strict_host(
        "  device:
    matchDevice:
    - {class: HID, level: 0}
#                         ^ error[out-of-range] spec.device.matchDevice[0].level
    - {class: HID, subClass: 4294967296}
#                            ^ error[out-of-range] spec.device.matchDevice[1].subClass
    - {class: 8}
#             ^ error[wrong-type] spec.device.matchDevice[2].class
    - {class: KEYBOARD}
#             ^ error[invalid-value] spec.device.matchDevice[3].class
    - {subClass: 1}
#     ^ error[missing-field] spec.device.matchDevice[4].class
",
    );
}

#[test]
fn paths_must_be_ones_that_files_have() {
    strict(
        r#"  process:
    matchPaths:
    - path: bin/sh
#           ^ error[invalid-path] spec.process.matchPaths[0].path
    - path: ""
#           ^ error[invalid-path] spec.process.matchPaths[1].path
    - path: /bin/../sh
#           ^ error[invalid-path] spec.process.matchPaths[2].path
    - path: //bin/sh
#           ^ error[invalid-path] spec.process.matchPaths[3].path
    - path: /bin/
#           ^ error[trailing-slash] spec.process.matchPaths[4].path
    - path: "/a\0"
#           ^ error[invalid-path] spec.process.matchPaths[5].path
    - path: /
#           ^ error[trailing-slash] spec.process.matchPaths[6].path
    - path: /bin/a file with * in it
    matchDirectories:
    - dir: /usr/bin
#          ^ error[missing-slash] spec.process.matchDirectories[0].dir
    - dir: usr/
#          ^ error[invalid-path] spec.process.matchDirectories[1].dir
    - dir: /usr/./bin/
#          ^ error[invalid-path] spec.process.matchDirectories[2].dir
    - recursive: true
#     ^ error[missing-field] spec.process.matchDirectories[3].dir
    matchPatterns:
    - pattern: /a[b
#              ^ error[invalid-pattern] spec.process.matchPatterns[0].pattern
    - pattern: ""
#              ^ error[invalid-pattern] spec.process.matchPatterns[1].pattern
"#,
    );
}

#[test]
fn long_paths_are_taken_with_a_warning_up_to_what_the_kernel_resolves() {
    let spec = |length: usize| {
        format!(
            "  file: {{matchPaths: [{{path: /{}}}]}}\n",
            "a".repeat(length - 1)
        )
    };
    let field = "spec.file.matchPaths[0].path";
    let found = |length| crate::problems(Mode::Strict, &policy(&spec(length)));
    assert_eq!(found(200), Vec::<String>::new());
    assert_eq!(found(201), [format!("5:30 warning[long-path] {field}")]);
    assert_eq!(found(4095), [format!("5:30 warning[long-path] {field}")]);
    assert_eq!(found(4096), [format!("5:30 error[invalid-path] {field}")]);
}

#[test]
fn a_process_entry_has_path_or_execname() {
    strict(
        "  process:
    matchPaths:
    - {path: /bin/sh, execname: sh}
#     ^ error[conflicting-fields] spec.process.matchPaths[0]
    - {}
#     ^ error[missing-field] spec.process.matchPaths[1]
    - {execname: bin/sh}
#                ^ error[invalid-path] spec.process.matchPaths[2].execname
    - {execname: ..}
#                ^ error[invalid-path] spec.process.matchPaths[3].execname
    - {path: /bin/a, fromSource: [{}]}
#                                 ^ error[missing-field] spec.process.matchPaths[4].fromSource[0]
",
    );
}

#[test]
fn at_most_twenty_arguments_can_be_allowed() {
    let spec = |count: usize| {
        format!(
            "  process: {{matchPaths: [{{path: /a, allowedArgs: [{}]}}]}}\n",
            vec!["x"; count].join(", ")
        )
    };
    let found = |count| crate::problems(Mode::Strict, &policy(&spec(count)));
    assert_eq!(found(20), Vec::<String>::new());
    assert_eq!(
        found(21),
        ["5:50 error[out-of-range] spec.process.matchPaths[0].allowedArgs"]
    );
}

#[test]
fn names_must_be_known() {
    strict(
        "  action: allow
#         ^ error[invalid-value] spec.action
  network:
    action: Deny
#           ^ error[invalid-value] spec.network.action
    matchProtocols:
    - protocol: Tcp
#               ^ error[unknown-protocol] spec.network.matchProtocols[0].protocol
    - protocol: tcp,udp
#               ^ error[comma-list] spec.network.matchProtocols[1].protocol
    - protocol: quic
#               ^ error[unknown-protocol] spec.network.matchProtocols[2].protocol
    matchDNSQueries:
    - domain: http://example.com/
#             ^ error[invalid-value] spec.network.matchDNSQueries[0].domain
  capabilities:
    matchCapabilities:
    - capability: CAP_NET_RAW
#                 ^ error[unknown-capability] spec.capabilities.matchCapabilities[0].capability
    - capability: bpf
#                 ^ error[unknown-capability] spec.capabilities.matchCapabilities[1].capability
    - capability: flying
#                 ^ error[unknown-capability] spec.capabilities.matchCapabilities[2].capability
  syscalls:
    matchSyscalls:
    - syscall: [unlink, openat2]
#                       ^ error[unknown-syscall] spec.syscalls.matchSyscalls[0].syscall[1]
    - {}
#     ^ warning[matches-nothing] spec.syscalls.matchSyscalls[1]
    matchPaths:
    - {path: /home, recursive: true, syscall: [unlink]}
#     ^ warning[ignored-field] spec.syscalls.matchPaths[0]
    - {syscall: [unlink], fromSource: [{dir: /usr/bin}]}
#                                            ^ warning[missing-slash] spec.syscalls.matchPaths[1].fromSource[0].dir
  presets:
  - name: fileless
#         ^ error[unknown-preset] spec.presets[0].name
  - name: exec
    action: Allow
#           ^ error[invalid-value] spec.presets[1].action
",
    );
}

#[test]
fn expressions_are_checked() {
    strict(
        "  selector:
    matchExpressions:
    - {key: namespace, operator: In, values: [a]}
#           ^ error[invalid-value] spec.selector.matchExpressions[0].key
    - {key: label, operator: in, values: [a=b]}
#                            ^ error[invalid-value] spec.selector.matchExpressions[1].operator
    - {key: label, operator: Exists, values: [a=b]}
#                            ^ error[invalid-value] spec.selector.matchExpressions[2].operator
    - {key: label, operator: In, values: [web]}
#                                        ^ error[invalid-value] spec.selector.matchExpressions[3].values
    - {key: label, operator: In, values: []}
#                                        ^ warning[matches-nothing] spec.selector.matchExpressions[4].values
    - {key: label, operator: In}
#     ^ error[missing-field] spec.selector.matchExpressions[5].values
",
    );
    check(
        Mode::Strict,
        "apiVersion: security.kubearmor.com/v1
kind: KubeArmorClusterPolicy
metadata: {name: p}
spec:
  selector:
    matchLabels: {app: web}
#   ^ error[unknown-field] spec.selector.matchLabels
    matchExpressions:
    - {key: namespace, operator: NotIn, values: [kube-system]}
    - {key: label, operator: In, values: [app=web]}
",
    );
}

#[test]
fn host_rules_on_protocols_and_capabilities_name_their_sources() {
    strict_host(
        "  network:
    matchProtocols:
    - protocol: tcp
#     ^ error[missing-field] spec.network.matchProtocols[0].fromSource
  capabilities:
    matchCapabilities:
    - capability: chown
#     ^ error[missing-field] spec.capabilities.matchCapabilities[0].fromSource
",
    );
}

#[test]
fn a_policy_with_an_error_is_not_given_and_one_without_is() {
    let reading = Reader::new().read_str(
        "p.yaml",
        &(policy("  action: Nope\n") + "---\n" + &policy("  action: Block\n")),
    );
    let given: Vec<bool> = reading
        .documents()
        .iter()
        .map(|d| d.policy.is_some())
        .collect();
    assert_eq!(given, [false, true]);
}

/// The helps of a policy's problems, in the order of the text.
fn helps(text: &str) -> Vec<String> {
    let reading = Reader::new().read_str("p.yaml", text);
    let helps = reading.diagnostics().map(|d| d.help.clone());
    helps.map(Option::unwrap_or_default).collect()
}

#[test]
fn a_misplaced_field_is_told_where_it_belongs() {
    for (spec, help) in [
        (
            "  selector: {app: web}\n",
            "labels stand below `matchLabels`",
        ),
        (
            "  selector: {process: {}}\n",
            "`process` stands directly below `spec`",
        ),
        (
            "  process: {process: {}}\n",
            "`process` stands directly below `spec`",
        ),
        (
            "  file: {matchPatterns: [{pattern: /a, path: /b}]}\n",
            "write `pattern`, or move the entry to `matchPaths`",
        ),
        (
            "  process: {matchPaths: [{path: /a, pattern: /b*}]}\n",
            "write `path`, or move the entry to `matchPatterns`",
        ),
        ("  device: {}\n", "it is a field of `KubeArmorHostPolicy`"),
        (
            "  selector: {matchExpressions: [{key: label, operator: In, values: [a=b], to: c}]}\n",
            "the fields here are `key`, `operator` and `values`",
        ),
        ("  Action: Block\n", "write `action`"),
    ] {
        assert_eq!(helps(&policy(spec)), [help], "{spec}");
    }
    assert_eq!(
        helps(&host_policy("  nodeSelector: {labels: {}}\n"))[1],
        "the only field here is `matchLabels`"
    );
}

#[test]
fn a_refused_field_is_not_reported_as_missing_too() {
    strict(
        "  process:
    matchDirectories:
    - Dir: /usr/bin/
#     ^ error[unknown-field] spec.process.matchDirectories[0].Dir
      fromSource:
      - dir: /usr/sbin/
#       ^ error[unknown-field] spec.process.matchDirectories[0].fromSource[0].dir
  syscalls:
    matchSyscalls:
    - syscall: unlink
#              ^ error[wrong-type] spec.syscalls.matchSyscalls[0].syscall
",
    );
}
