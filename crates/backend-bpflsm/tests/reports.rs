//! What is said beforehand of policies on kernels, and which policies are refused.

use std::error::Error;

use gambeson_backend_bpflsm::{HOOKS, KernelVersion, LowerError, Support, enforceability, lower};
use gambeson_matcher::backend::{Finding, Outcome, Report, Require};
use gambeson_matcher::{Compile, CompiledPolicy, Config};
use gambeson_policy_model::{PolicySet, RuleId, Workload};

fn compiled(spec: &str) -> Result<CompiledPolicy, Box<dyn Error>> {
    let policies = PolicySet::from_str(&format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: p}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n{spec}"
    ))?;
    let selection = policies.select(&Workload::pod("default").label("app", "web"));
    Ok(selection.compile(&Config::default())?)
}

fn recent() -> Support {
    Support::complete(KernelVersion::new(6, 18))
}

/// The gaps as rule, outcome and what.
fn gaps(report: &Report) -> Vec<(Option<u32>, Outcome, &str)> {
    let gaps = report.gaps().iter();
    gaps.map(|gap| (gap.rule.map(|rule| rule.0), gap.outcome, gap.what.as_str()))
        .collect()
}

#[test]
fn ordinary_rules_are_carried_out_exactly() -> Result<(), Box<dyn Error>> {
    let policy = compiled(
        "  process: {matchPaths: [{path: /bin/sh}, {execname: nc}, {path: /bin/ls, allowedArgs: [-l]}]}
  file: {matchDirectories: [{dir: /etc/, recursive: true, readOnly: true, action: Allow}]}
  network: {matchProtocols: [{protocol: raw, fromSource: [{path: /bin/ping}]}]}
  capabilities: {matchCapabilities: [{capability: net_raw}]}
",
    )?;
    assert_eq!(enforceability(&recent(), &policy), Report::default());
    // Every kernel from 6.1 on has all that such rules need.
    let older = Support::complete(KernelVersion::new(6, 1));
    assert_eq!(enforceability(&older, &policy), Report::default());
    Ok(())
}

#[test]
fn what_no_hook_shows_is_told_of() -> Result<(), Box<dyn Error>> {
    let policy = compiled(
        "  network: {matchDNSQueries: [{domain: a.com}, {domain: b.com, action: Audit}]}
  syscalls: {matchSyscalls: [{syscall: [unlink]}]}
",
    )?;
    let report = enforceability(&recent(), &policy);
    let expected = [
        (Some(0), Outcome::Unenforced, "asking for names"),
        (Some(1), Outcome::NotReported, "asking for names"),
        (Some(2), Outcome::NotReported, "system calls"),
    ];
    assert_eq!(gaps(&report), expected);
    assert!(report.check(Require::Strict).is_err());
    let seeing = enforceability(&recent().with_dns(true), &policy);
    assert_eq!(gaps(&seeing), expected[2..]);
    assert!(seeing.check(Require::Strict).is_ok());
    Ok(())
}

#[test]
fn only_entering_from_outside_is_left_of_presets() -> Result<(), Box<dyn Error>> {
    let names = [
        "filelessExec",
        "anonymousMapExec",
        "protectEnv",
        "protectProc",
        "exec",
    ];
    for name in names {
        let policy = compiled(&format!("  presets: [{{name: {name}, action: Block}}]\n"))?;
        assert_eq!(policy.rule_count(), 1, "{name}");
        let report = enforceability(&recent(), &policy);
        assert_eq!(report.is_exact(), name != "exec", "{name}: {report}");
    }
    Ok(())
}

#[test]
fn native_apparmor_text_is_a_gap() -> Result<(), Box<dyn Error>> {
    let policy = compiled("  apparmor: 'deny /x r,'\n  file: {matchPaths: [{path: /x}]}\n")?;
    let report = enforceability(&recent(), &policy);
    assert_eq!(report.gaps().len(), 1);
    let gap = &report.gaps()[0];
    assert_eq!((gap.rule, gap.outcome), (None, Outcome::Unenforced));
    assert!(gap.what.contains("apparmor of p"), "{}", gap.what);
    Ok(())
}

#[test]
fn a_kernel_that_refuses_leaves_every_rule_unenforced() -> Result<(), Box<dyn Error>> {
    let policy = compiled("  file: {matchPaths: [{path: /x}, {path: /y, action: Audit}]}\n")?;
    let refusing = recent().required(Finding::missing("lsm list", "`bpf` is not in it"));
    let report = enforceability(&refusing, &policy);
    let expected = [
        (Some(0), Outcome::Unenforced, "the rule"),
        (Some(1), Outcome::NotReported, "the rule"),
    ];
    assert_eq!(gaps(&report), expected);
    assert!(report.to_string().contains("`bpf` is not in it"));
    Ok(())
}

#[test]
fn a_missing_hook_is_told_of_for_each_rule_that_needs_it() -> Result<(), Box<dyn Error>> {
    let policy = compiled(
        "  process: {matchPaths: [{path: /bin/sh}]}
  file: {matchPaths: [{path: /x}]}
  network: {matchProtocols: [{protocol: raw}]}
  capabilities: {matchCapabilities: [{capability: net_raw}]}
",
    )?;
    for hook in HOOKS {
        let report = enforceability(&recent().without_hook(hook.name), &policy);
        let told = report
            .gaps()
            .iter()
            .all(|gap| gap.reason.contains(hook.name));
        assert!(told, "{}: {report}", hook.name);
        let needed = hook.carries.iter().any(|carried| {
            use gambeson_backend_bpflsm::Rules;
            matches!(carried.rules, Rules::Of(_) | Rules::Paths)
        });
        assert_eq!(!report.is_exact(), needed, "{}: {report}", hook.name);
    }
    // What older kernels have another hook for is no gap there.
    let old = Support::complete(KernelVersion::new(5, 15));
    let report = enforceability(&old, &policy);
    let whats: Vec<&str> = report.gaps().iter().map(|gap| gap.what.as_str()).collect();
    assert_eq!(whats, ["changing owners"]);
    Ok(())
}

#[test]
fn owners_below_a_renamed_directory_are_unknown() -> Result<(), Box<dyn Error>> {
    let policy = compiled("  file: {matchPaths: [{path: /a/b, ownerOnly: true}]}\n")?;
    let report = enforceability(&recent(), &policy);
    let expected = [(Some(0), Outcome::Stricter, "renaming a directory above it")];
    assert_eq!(gaps(&report), expected);
    Ok(())
}

#[test]
fn arguments_that_programs_cannot_look_into_are_told_of() -> Result<(), Box<dyn Error>> {
    let policy = compiled(
        "  process: {matchPaths: [{path: /a, allowedArgs: [x]}, {path: /b, allowedArgs: [x]}, {path: /c, allowedArgs: [x]}]}\n",
    )?;
    let scripts = "scripts whose interpreter is a script";
    let of = |rule, what| (Some(rule), Outcome::Stricter, what);
    let report = enforceability(&recent(), &policy);
    assert_eq!(gaps(&report), [0, 1, 2].map(|rule| of(rule, scripts)));
    // Of one executed file, 16 lists are looked into.
    for (count, is_gap) in [(16, false), (17, true)] {
        let rules: Vec<String> = (0..count)
            .map(|number| format!("{{path: /a, allowedArgs: [x{number}]}}"))
            .collect();
        let policy = compiled(&format!(
            "  process: {{matchPaths: [{}]}}\n",
            rules.join(", ")
        ))?;
        let report = enforceability(&recent(), &policy);
        let lists = of(0, "files for which many lists of arguments count");
        assert_eq!(gaps(&report).contains(&lists), is_gap, "{count}");
    }
    // Each program has its own.
    let rules: Vec<String> = (0..20)
        .map(|number| format!("{{path: /bin/{number}, allowedArgs: [x{number}]}}"))
        .collect();
    let policy = compiled(&format!(
        "  process: {{matchPaths: [{}]}}\n",
        rules.join(", ")
    ))?;
    let report = enforceability(&recent(), &policy);
    assert!(gaps(&report).iter().all(|(_, _, what)| *what == scripts));
    Ok(())
}

#[test]
fn policies_beyond_the_programs_limits_are_refused_by_rule() -> Result<(), Box<dyn Error>> {
    let long = "x".repeat(4096);
    let policy = compiled(&format!(
        "  process: {{matchPaths: [{{path: /bin/a}}, {{path: /bin/b, allowedArgs: [{long}]}}]}}\n"
    ))?;
    let expected = LowerError::ArgumentTooLong {
        rule: Some(RuleId(1)),
        length: 4096,
        limit: 4095,
    };
    assert_eq!(lower(&policy), Err(expected));

    let mut spec = "  process:\n    matchPaths:\n".to_owned();
    for number in 0..1100 {
        spec += &format!("    - {{path: /bin/a, allowedArgs: [x{number}]}}\n");
    }
    let error = lower(&compiled(&spec)?).err();
    assert!(
        matches!(error, Some(LowerError::TooManyTests { limit: 1023, .. })),
        "{error:?}"
    );
    Ok(())
}
