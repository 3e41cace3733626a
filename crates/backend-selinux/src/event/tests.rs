use gambeson_matcher::{Compile, Config};
use gambeson_policy_model::{PolicySet, Workload};

use super::*;
use crate::lower::{LowerOptions, lower};

const POLICY: &str = "
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: web}
spec:
  severity: 7
  file:
    matchPaths: [{path: /etc/shadow}, {path: /etc/motd, action: Audit}]
  process: {matchPaths: [{path: /bin/sh}]}
  capabilities: {matchCapabilities: [{capability: net_raw}]}
  network: {matchProtocols: [{protocol: udp}]}
";

fn told(tail: &str, of: &[u8]) -> (SelinuxEvent, Option<Alert>) {
    let policies = PolicySet::from_str(POLICY).unwrap();
    let selection = policies.select(&Workload::pod("default"));
    let compiled = selection.compile(&Config::default()).unwrap();
    let module = lower(&[("web", &compiled)], &LowerOptions::default()).unwrap();
    let domain = &module.domains()[0];
    let of = module.types().iter().find(|one| one.example == of).unwrap();
    let line = format!(
        "audit(1750000000.25:7): avc:  {tail} scontext={} tcontext={}",
        module.context_of(domain),
        module.context_of_files(of)
    );
    let (line, class) = line
        .split_once(" tclass=")
        .map_or((line.as_str(), ""), |pair| pair);
    let (class, contexts) = class.split_once(' ').unwrap();
    let record = format!("{line} {contexts} tclass={class} permissive=0")
        .parse()
        .unwrap();
    let event = explain(&module, record, |_| Some(&compiled)).unwrap();
    let alert = event.alert(&compiled, &AlertContext::default());
    (event, alert)
}

#[test]
fn a_denial_names_the_rule() {
    let (event, alert) = told(
        "denied  { read } for  pid=9 comm=\"cat\" path=\"/etc/shadow\" tclass=file",
        b"/etc/shadow",
    );
    assert_eq!(event.workload, "web");
    assert_eq!(event.decision.verdict, Verdict::Block);
    let alert = alert.unwrap();
    assert_eq!(
        (alert.policy_name.as_str(), alert.severity.as_str()),
        ("web", "7")
    );
    assert_eq!(
        (alert.enforcer.as_str(), alert.resource.as_str()),
        ("SELinux", "/etc/shadow")
    );
    assert_eq!(
        (alert.action.as_str(), alert.result.as_str()),
        ("Block", "Permission denied")
    );
    assert_eq!((alert.host_pid, alert.timestamp), (9, 1_750_000_000));
}

#[test]
fn a_record_without_a_path_is_decided_by_its_type() {
    let (event, alert) = told(
        "denied  { write } for  pid=9 comm=\"sh\" name=\"shadow\" dev=\"vda\" tclass=file",
        b"/etc/shadow",
    );
    assert_eq!(event.event.operation.name(), "write");
    assert_eq!(alert.unwrap().policy_name, "web");
}

#[test]
fn what_is_granted_and_watched_has_passed() {
    let (event, alert) = told(
        "granted  { open } for  pid=9 comm=\"cat\" path=\"/etc/motd\" tclass=file",
        b"/etc/motd",
    );
    assert_eq!(event.decision.verdict, Verdict::Audit);
    let alert = alert.unwrap();
    assert_eq!(
        (alert.action.as_str(), alert.result.as_str()),
        ("Audit", "Passed")
    );
}

#[test]
fn execs_capabilities_and_sockets_are_told_apart() {
    for (tail, name) in [
        (
            "denied  { execute_no_trans } for  path=\"/bin/sh\" tclass=file",
            "exec",
        ),
        (
            "denied  { net_raw } for  pid=1 capability=13  tclass=capability",
            "capability",
        ),
        ("denied  { create } for  pid=1 tclass=udp_socket", "socket"),
        (
            "denied  { execute } for  path=\"/bin/sh\" tclass=file",
            "exec",
        ),
    ] {
        let (event, alert) = told(tail, b"/bin/sh");
        assert_eq!(event.event.operation.name(), name);
        assert_eq!(event.decision.verdict, Verdict::Block, "{tail}");
        assert_eq!(alert.unwrap().policy_name, "web", "{tail}");
    }
}

#[test]
fn a_denial_that_no_rule_asked_for_names_none() {
    let (event, _) = told(
        "denied  { read } for  path=\"/etc/motd\" tclass=file",
        b"/etc/motd",
    );
    assert_eq!(
        (event.decision.verdict, event.decision.rule()),
        (Verdict::Block, None)
    );
}
