//! One generation of policies after the other: what is in force meanwhile, and who goes on as what.

use std::error::Error;

use gambeson_backend_selinux::{Access, LowerOptions, Module, lower};
use gambeson_matcher::{Compile, CompiledPolicy, Config};
use gambeson_policy_model::{PolicySet, Verdict};

use crate::decompiled::Decompiled;
use crate::tools::{Scratch, compile, decompile, present};

fn policy(spec: &str) -> Result<CompiledPolicy, Box<dyn Error>> {
    let text = format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: p}}\nspec:\n{spec}"
    );
    let set = PolicySet::from_str(&text)?;
    let selection = set.select(&gambeson_policy_model::Workload::pod("default"));
    Ok(selection.compile(&Config::default())?)
}

const OLD: &str = "  file:
    matchPaths: [{path: /a}, {path: /both}]
    matchDirectories: [{dir: /was/, recursive: true, fromSource: [{path: /bin/old}]}]
";

const NEW: &str = "  file:
    matchPaths: [{path: /b}, {path: /both}, {path: /a, readOnly: true}]
    matchDirectories: [{dir: /is/, recursive: true, fromSource: [{path: /bin/new}]}]
  process: {matchPaths: [{path: /bin/no}]}
";

/// What the kernel's policy says.
fn enforced(policy: &Decompiled, domain: &str, of: &str) -> [bool; 2] {
    [&["read", "open"][..], &["write", "unlink", "create"]]
        .map(|permissions| policy.allows(domain, of, "file", permissions))
}

/// What a module says.
fn said(module: &Module, domain: &str, of: &str) -> [bool; 2] {
    [Access::Read, Access::Write]
        .map(|access| module.verdict(domain, of, access) != Some(Verdict::Block))
}

#[test]
fn every_file_is_judged_by_the_generation_that_labelled_it() -> Result<(), Box<dyn Error>> {
    if !present(&["secilc", "checkpolicy"]) {
        return Ok(());
    }
    let scratch = Scratch::new("generations");
    let (old, new, gone) = (policy(OLD)?, policy(NEW)?, policy(OLD)?);
    let before = lower(&[("web", &old), ("gone", &gone)], &LowerOptions::default())?;
    let workloads = [("web", &new), ("fresh", &old)];
    let replacement = before.replaced_by(&workloads)?;
    let next = replacement.next();
    let between = compile(&scratch, &[replacement.between()])?;
    let between = Decompiled::new(&decompile(&scratch, &between));
    let mut pairs = 0;
    for domain in before.domains() {
        for of in before.types() {
            let expected = said(&before, &domain.name, &of.name);
            assert_eq!(enforced(&between, &domain.name, &of.name), expected);
        }
        let after = match domain.workload.as_str() {
            "web" => next.domain_of("web", &new, &domain.program),
            _ => None,
        };
        for of in next.types() {
            // Of lasting types both speak, and the domain's own generation counts.
            if before.types().iter().any(|old| old.name == of.name) {
                continue;
            }
            pairs += 1;
            let expected = match after {
                Some(after) => said(next, &after.name, &of.name),
                None => [true; 2],
            };
            let found = enforced(&between, &domain.name, &of.name);
            assert_eq!(found, expected, "{} {}", domain.name, of.name);
        }
    }
    for domain in next
        .domains()
        .iter()
        .filter(|domain| domain.workload == "web")
    {
        let ago = before
            .domain_of("web", &old, &domain.program)
            .ok_or("no domain")?;
        for of in before.types() {
            if next.types().iter().any(|new| new.name == of.name) {
                continue;
            }
            pairs += 1;
            let found = enforced(&between, &domain.name, &of.name);
            assert_eq!(
                found,
                said(&before, &ago.name, &of.name),
                "{} {}",
                domain.name,
                of.name
            );
        }
    }
    assert!(pairs > 40, "{pairs}");
    Ok(())
}

#[test]
fn processes_go_on_in_the_domain_for_their_program() -> Result<(), Box<dyn Error>> {
    if !present(&["secilc", "checkpolicy"]) {
        return Ok(());
    }
    let scratch = Scratch::new("aliases");
    let (old, new) = (policy(OLD)?, policy(NEW)?);
    let before = lower(&[("web", &old), ("gone", &old)], &LowerOptions::default())?;
    let replacement = before.replaced_by(&[("web", &new)])?;
    let next = replacement.next();
    let others = next
        .domain_of("web", &new, b"/bin/old")
        .ok_or("no domain")?;
    for domain in before.domains() {
        let taken = match domain.workload.as_str() {
            "web" => others.name.as_str(),
            _ => "gambeson_system_t",
        };
        let alias = format!("(typealiasactual {} {taken})", domain.name);
        assert!(next.cil().contains(&alias), "{alias}");
    }
    compile(&scratch, &[next.cil()])?;
    compile(&scratch, &[replacement.back()])?;
    for domain in next.domains() {
        let ago = before
            .domain_of("web", &old, &domain.program)
            .ok_or("no domain")?;
        let alias = format!("(typealiasactual {} {})", domain.name, ago.name);
        assert!(replacement.back().contains(&alias), "{alias}");
    }
    // The next generation has names of its own again.
    let third = next.replaced_by(&[("web", &old)])?;
    compile(&scratch, &[third.between()])?;
    compile(&scratch, &[third.next().cil()])?;
    assert_eq!(third.next().generation(), 2);
    Ok(())
}
