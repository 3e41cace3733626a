use gambeson_matcher::{Compile as _, Config};
use gambeson_policy_model::{PolicySet, Workload};

use super::*;
use crate::abi;
use crate::event::wire::tests::{bytes, sent};

fn policy() -> CompiledPolicy {
    let policies = PolicySet::from_str(
        "
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: secrets}
spec:
  severity: 7
  tags: [MITRE]
  message: hands off
  file: {matchPaths: [{path: /etc/shadow}]}
  action: Block
",
    )
    .expect("a policy");
    let selection = policies.select(&Workload::pod("default"));
    selection.compile(&Config::default()).expect("compiles")
}

fn event(head: abi::Event) -> KernelEvent {
    KernelEvent::decode(&bytes(head, b"/etc/shadow", b"/bin/cat")).expect("an event")
}

#[test]
fn an_alert_names_the_rule_that_the_kernel_named() {
    let head = abi::Event { rule: 0, ..sent() };
    let alert = event(head)
        .alert(&policy(), &AlertContext::default())
        .expect("an alert");
    assert_eq!(alert.policy_name, "secrets");
    assert_eq!(
        (alert.severity.as_str(), alert.message.as_str()),
        ("7", "hands off")
    );
    assert_eq!(
        (alert.action.as_str(), alert.result.as_str()),
        ("Block", "Permission denied")
    );
    assert_eq!(
        (alert.resource.as_str(), alert.source.as_str()),
        ("/etc/shadow", "/bin/cat")
    );
    assert_eq!((alert.host_pid, alert.host_ppid, alert.uid), (10, 1, 1000));
    assert_eq!(
        (alert.enforcer.as_str(), alert.data.as_str()),
        ("BPFLSM", "lsm=FILE_OPEN")
    );
}

#[test]
fn what_is_allowed_is_no_cause_for_alarm() {
    let head = abi::Event {
        verdict: 0,
        cause: abi::CAUSE_NONE,
        ..sent()
    };
    assert_eq!(event(head).alert(&policy(), &AlertContext::default()), None);
}

#[test]
fn denials_that_no_rule_speaks_of_say_why() {
    for (cause, word) in [
        (abi::CAUSE_MOUNT, "mounting"),
        (abi::CAUSE_ENGINE, "decided"),
    ] {
        let head = abi::Event {
            cause,
            operation: abi::OP_MOUNT,
            ..sent()
        };
        let alert = event(head)
            .alert(&policy(), &AlertContext::default())
            .expect("an alert");
        assert_eq!(alert.policy_name, "");
        assert!(alert.message.contains(word), "{}", alert.message);
    }
    let head = abi::Event {
        cause: abi::CAUSE_POSTURE,
        ..sent()
    };
    let alert = event(head).alert(&policy(), &AlertContext::default());
    assert_eq!(alert.expect("an alert").policy_name, "DefaultPosture");
}

#[test]
fn what_was_only_observed_has_passed() {
    let head = abi::Event {
        rule: 0,
        flags: abi::EV_PASSED,
        ..sent()
    };
    let alert = event(head).alert(&policy(), &AlertContext::default());
    let alert = alert.expect("an alert");
    assert_eq!(
        (alert.action.as_str(), alert.result.as_str()),
        ("Block", "Passed")
    );
}
