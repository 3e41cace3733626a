//! What is said beforehand of policies.

use std::error::Error;

use gambeson_backend_selinux::{Support, enforceability};
use gambeson_matcher::backend::{Finding, Outcome, Report, Require};
use gambeson_matcher::{Compile, CompiledPolicy, Config};
use gambeson_policy_model::{Class, PolicySet, Workload};

fn compiled(spec: &str) -> Result<CompiledPolicy, Box<dyn Error>> {
    let policies = PolicySet::from_str(&format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: p}}\nspec:\n{spec}"
    ))?;
    Ok(policies
        .select(&Workload::pod("default"))
        .compile(&Config::default())?)
}

fn report(spec: &str) -> Result<Report, Box<dyn Error>> {
    Ok(enforceability(&Support::complete(), &compiled(spec)?))
}

/// The gaps of rules, as rule, outcome and what.
fn of_rules(report: &Report) -> Vec<(u32, Outcome, &str)> {
    let gaps = report.gaps().iter();
    gaps.filter_map(|gap| Some((gap.rule?.0, gap.outcome, gap.what.as_str())))
        .collect()
}

#[test]
fn capabilities_and_whole_socket_classes_are_strictly_enforced() -> Result<(), Box<dyn Error>> {
    let report = report(
        "  capabilities: {matchCapabilities: [{capability: net_raw}]}
  network: {matchProtocols: [{protocol: tcp}, {protocol: packet}]}
",
    )?;
    assert!(report.check(Require::Strict).is_ok(), "{report}");
    assert_eq!(of_rules(&report), []);
    Ok(())
}

#[test]
fn of_directories_only_sockets_that_are_connected_escape() -> Result<(), Box<dyn Error>> {
    let report = report(
        "  file: {matchDirectories: [{dir: /srv/secret/, recursive: true}, {dir: /run/x/}]}\n",
    )?;
    let gaps = report.gaps().iter();
    let looser: Vec<&str> = gaps
        .filter(|gap| gap.outcome >= Outcome::Looser)
        .map(|gap| gap.what.as_str())
        .collect();
    assert_eq!(
        looser,
        ["sending by Unix sockets that were connected before"]
    );
    assert_eq!(of_rules(&report), []);
    Ok(())
}

#[test]
fn conditions_that_labels_cant_see_are_stricter() -> Result<(), Box<dyn Error>> {
    let report = report(
        "  file: {matchDirectories: [{dir: /home/, recursive: true, ownerOnly: true}]}
  network: {matchProtocols: [{protocol: tcp, pts: false}]}
  process: {matchPaths: [{path: /bin/ls, allowedArgs: [-l]}]}
",
    )?;
    let gaps = of_rules(&report);
    for what in [
        "the owner's access",
        "access without a terminal",
        "executing with allowed arguments",
    ] {
        let told = gaps
            .iter()
            .any(|(_, outcome, of)| *of == what && *outcome == Outcome::Stricter);
        assert!(told, "{what}: {report}");
    }
    Ok(())
}

#[test]
fn what_moves_keeps_its_label() -> Result<(), Box<dyn Error>> {
    let report = report(
        "  file: {matchPaths: [{path: /etc/shadow}], matchPatterns: [{pattern: '/**/*.key'}]}
  process: {matchDirectories: [{dir: /tmp/}]}
",
    )?;
    let mut found: Vec<String> = of_rules(&report)
        .iter()
        .map(|(_, outcome, what)| format!("{outcome}: {what}"))
        .collect();
    found.sort_unstable();
    let expected = [
        "looser: a file that is moved or linked to the name",
        "looser: a file that is moved or linked to the name",
        "looser: new files that match",
        "looser: programs that are moved or linked",
    ];
    assert_eq!(found, expected);
    assert!(report.check(Require::Strict).is_err());
    Ok(())
}

#[test]
fn what_the_kernel_does_not_ask_about_is_unenforced() -> Result<(), Box<dyn Error>> {
    let report = report(
        "  network: {matchDNSQueries: [{domain: a.com}, {domain: b.com, action: Audit}]}
  syscalls: {matchSyscalls: [{syscall: [unlink]}]}
  presets: [{name: filelessExec, action: Block}]
",
    )?;
    let mut outcomes: Vec<Outcome> = of_rules(&report)
        .iter()
        .map(|(_, outcome, _)| *outcome)
        .collect();
    outcomes.sort_unstable();
    let (silent, unenforced) = (Outcome::NotReported, Outcome::Unenforced);
    assert_eq!(outcomes, [silent, silent, unenforced, unenforced]);
    Ok(())
}

#[test]
fn sockets_that_share_a_class_are_told_of() -> Result<(), Box<dyn Error>> {
    let class = |report: &Report, outcome: Outcome| -> Vec<String> {
        let gaps = report.gaps().iter();
        gaps.filter(|gap| gap.class == Some(Class::Network) && gap.outcome == outcome)
            .map(|gap| gap.what.clone())
            .collect()
    };
    let icmp = report("  network: {matchProtocols: [{protocol: icmp}]}\n")?;
    let shared = class(&icmp, Outcome::Stricter);
    assert_eq!(
        shared,
        [
            "sockets of the kernel's class icmp_socket",
            "sockets of the kernel's class rawip_socket"
        ]
    );
    let sctp = report("  network: {matchProtocols: [{protocol: sctp}]}\n")?;
    let looser = class(&sctp, Outcome::Looser);
    assert_eq!(looser, ["sockets of type seqpacket without a protocol"]);
    Ok(())
}

#[test]
fn paths_without_labels_are_told_of() -> Result<(), Box<dyn Error>> {
    let report = report("  file: {matchPaths: [{path: /proc/kcore}, {path: '/srv/a b'}]}\n")?;
    let told: Vec<(Option<Class>, Outcome, &str)> = report
        .gaps()
        .iter()
        .filter(|gap| gap.class == Some(Class::File) && gap.what.starts_with(['f', 'n']))
        .map(|gap| (gap.class, gap.outcome, gap.what.as_str()))
        .collect();
    let file = Some(Class::File);
    let expected = [
        (
            file,
            Outcome::Looser,
            "files below /proc and /sys that rules name",
        ),
        (
            file,
            Outcome::Looser,
            "new files with special characters in their names",
        ),
    ];
    assert_eq!(told, expected, "{report}");
    Ok(())
}

#[test]
fn a_machine_without_it_leaves_every_rule_unenforced() -> Result<(), Box<dyn Error>> {
    let policy = compiled(
        "  file: {matchPaths: [{path: /x}, {path: /y, action: Audit}]}\n  apparmor: 'deny /x r,'\n",
    )?;
    let support = Support::new().required(Finding::missing("enforcing", "`enforce` is 0"));
    let report = enforceability(&support, &policy);
    let expected = [
        (0, Outcome::Unenforced, "the rule"),
        (1, Outcome::NotReported, "the rule"),
    ];
    assert_eq!(of_rules(&report), expected);
    assert!(report.to_string().contains("`enforce` is 0"));
    assert!(report.gaps()[0].what.contains("apparmor of p"));
    Ok(())
}
