//! A module on top of a policy that is there.

use std::error::Error;

use gambeson_backend_selinux::{Base, LowerOptions, lower};
use gambeson_matcher::testing::Random;

use crate::decompiled::Decompiled;
use crate::judge::{Node, Workload, paths};
use crate::matching::Contexts;
use crate::tools::{Scratch, compile, decompile, present};

/// A tiny policy with the attributes that refpolicy has.
const BELOW: &str = include_str!("below.cil");

#[test]
fn on_top_of_a_policy_types_keep_what_other_domains_had() -> Result<(), Box<dyn Error>> {
    if !present(&["secilc", "checkpolicy"]) {
        return Ok(());
    }
    let scratch = Scratch::new("on-top");
    let alone = compile(&scratch, &[BELOW])?;
    let before = decompile(&scratch, &alone);
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let workloads = vec![
            Workload::new(random.selection(8))?,
            Workload::new(random.selection(8))?,
        ];
        let options = LowerOptions::on_top_of(Base::default()).prefix("site");
        let node = Node::new(workloads, &options, &[BELOW], &scratch)
            .map_err(|error| format!("seed {seed}: {error}"))?;
        assert!(!node.module.is_whole());
        // The compiler puts the entries in an order of its own.
        let sorted = std::fs::read_to_string(scratch.0.join("file_contexts"))?;
        let sorted = Contexts::new(&sorted);
        for path in paths(&mut random, &node.workloads, 60) {
            // What has no entry keeps the label that the policy below gave it.
            let of = node
                .contexts
                .of(path.as_bytes())
                .unwrap_or("etc_t")
                .to_owned();
            assert_eq!(
                sorted.of(path.as_bytes()).unwrap_or("etc_t"),
                of,
                "seed {seed}: {path}"
            );
            for domain in node.module.domains() {
                node.check(seed, domain, &path, &of);
            }
            for class in ["file", "dir"] {
                let keeps =
                    node.policy
                        .allows("daemon_t", &of, class, &["getattr", "read", "open"]);
                assert!(keeps, "seed {seed}: {path}");
            }
            assert!(!node.policy.allows("daemon_t", &of, "file", &["write"]));
        }
    }
    // Without the module nothing of it is left.
    let after = decompile(&scratch, &compile(&scratch, &[BELOW])?);
    assert_eq!(before, after);
    assert!(!before.contains("site_"));
    let policy = Decompiled::new(&before);
    assert!(policy.allows("daemon_t", "etc_t", "file", &["read"]));
    Ok(())
}

#[test]
fn a_policy_that_gives_all_domains_what_rules_deny_is_refused() -> Result<(), Box<dyn Error>> {
    if !present(&["secilc"]) {
        return Ok(());
    }
    let scratch = Scratch::new("generous");
    let generous = format!("{BELOW}\n(allow domain file_type (file (open)))\n");
    let mut random = Random::new(3);
    let workload = Workload::new(random.selection(12))?;
    let options = LowerOptions::on_top_of(Base::default());
    let module = lower(&[("web", &workload.compiled)], &options)?;
    assert!(module.cil().contains("neverallow"));
    let refused = compile(&scratch, &[&generous, module.cil()]).err();
    assert!(refused.is_some_and(|text| text.contains("neverallow check failed")));
    compile(&scratch, &[BELOW, module.cil()])?;
    Ok(())
}
