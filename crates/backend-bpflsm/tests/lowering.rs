//! Lowered bytes decide as the compiled policy does, without a kernel.

#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a walk that runs off the table must fail its test"
)]
mod walker;

use std::error::Error;
use std::time::{Duration, Instant};

use gambeson_backend_bpflsm::lower;
use gambeson_matcher::testing::Random;
use gambeson_matcher::{Compile, CompiledPolicy, Config};
use gambeson_policy_model::{Decision, Enforcement, Event, PolicySet, Selection, Workload};
use walker::{Walker, stricter};

/// 2,000 policy sets with 60 events each: 10⁵ events that programs see, and more.
const SETS: u64 = 2000;
const EVENTS: usize = 60;

#[test]
fn lowered_policies_decide_as_compiled_ones() -> Result<(), Box<dyn Error>> {
    let mut seen = 0;
    for seed in 0..SETS {
        let mut random = Random::new(seed);
        let rules = 1 + random.below(24);
        let selection = random.selection(rules);
        let compiled = selection.compile(&Config::default())?;
        let lowered = lower(&compiled)?;
        let walker = Walker::new(lowered.bytes());
        for _ in 0..EVENTS {
            let event = random.event();
            if let Some(decision) = walker.decide(&event) {
                assert_eq!(decision, compiled.decide(&event), "seed {seed}: {event:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 100_000, "{seen}");
    Ok(())
}

/// What the decision model says of everything that rules name below a directory.
fn below(
    compiled: &CompiledPolicy,
    selection: &Selection,
    directory: &str,
    source: &str,
) -> Decision {
    let named = selection.named_below(directory).into_iter();
    named
        .map(|path| compiled.decide(&Event::write(path).by(source).tty(false)))
        .reduce(stricter)
        .unwrap_or(Decision::ALLOW)
}

#[test]
fn renaming_a_directory_is_a_write_to_all_that_rules_name_below_it() -> Result<(), Box<dyn Error>> {
    let (mut denied, mut passed) = (0, 0);
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let selection = random.selection(40);
        if selection.enforcement() != Enforcement::Enabled {
            continue;
        }
        let compiled = selection.compile(&Config::default())?;
        let lowered = lower(&compiled)?;
        assert!(lowered.gaps().is_empty(), "seed {seed}");
        let walker = Walker::new(lowered.bytes());
        for _ in 0..20 {
            let directory = random.path();
            let source = random.pick(&["/a", "/a/b", "/b/a", "/s", "/a/b/c", "/none"]);
            let expected = below(&compiled, &selection, &directory, source);
            let found = walker.decide_below(&directory, source);
            assert_eq!(
                found.verdict, expected.verdict,
                "seed {seed}: {directory} by {source}"
            );
            if expected.verdict > gambeson_policy_model::Verdict::Allow {
                assert_eq!(
                    found.cause, expected.cause,
                    "seed {seed}: {directory} by {source}"
                );
                denied += 1;
            } else {
                passed += 1;
            }
        }
    }
    assert!(denied > 1000 && passed > 1000, "{denied} and {passed}");
    Ok(())
}

fn compiled(spec: &str) -> Result<CompiledPolicy, Box<dyn Error>> {
    let policies = PolicySet::from_str(&format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: p}}\nspec:\n{spec}"
    ))?;
    let selection = policies.select(&Workload::pod("default"));
    Ok(selection.compile(&Config::default())?)
}

#[test]
fn a_directory_is_found_within_a_long_label() -> Result<(), Box<dyn Error>> {
    let compiled = compiled(
        "  file: {matchPaths: [{path: /b}, {path: /long-name-of-a-directory/another/f}]}\n",
    )?;
    let lowered = lower(&compiled)?;
    let walker = Walker::new(lowered.bytes());
    let block = gambeson_policy_model::Verdict::Block;
    for directory in [
        "/long-name-of-a-directory",
        "/long-name-of-a-directory/another",
    ] {
        assert_eq!(
            walker.decide_below(directory, "/s").verdict,
            block,
            "{directory}"
        );
    }
    for other in [
        "/long-name",
        "/long-name-of-a-directory/an",
        "/long-name-of-a-directory/another/f",
    ] {
        assert_eq!(walker.decide_below(other, "/s"), Decision::ALLOW, "{other}");
    }
    Ok(())
}

#[test]
fn too_many_different_paths_below_a_directory_are_denied_together() -> Result<(), Box<dyn Error>> {
    let mut spec = "  file:\n    matchPaths:\n".to_owned();
    for number in 0..200 {
        let path = format!("/data/{number:03}/f");
        spec += &format!("    - {{path: {path}, fromSource: [{{path: /bin/{number}}}]}}\n");
    }
    let compiled = compiled(&spec)?;
    let lowered = lower(&compiled)?;
    let walker = Walker::new(lowered.bytes());
    assert_eq!(lowered.gaps().len(), 1);
    assert_eq!(lowered.gaps()[0].what, "renaming a directory above it");
    let block = gambeson_policy_model::Verdict::Block;
    assert_eq!(walker.decide_below("/data", "/bin/none").verdict, block);
    // Within the bound nothing is cut.
    assert_eq!(walker.decide_below("/data/007", "/bin/7").verdict, block);
    assert_eq!(walker.decide_below("/data/007", "/bin/8"), Decision::ALLOW);
    assert_eq!(walker.decide_below("/dat", "/bin/7"), Decision::ALLOW);
    Ok(())
}

#[test]
fn too_many_watched_paths_below_a_directory_are_reported_and_not_denied()
-> Result<(), Box<dyn Error>> {
    let mut spec = "  action: Audit\n  file:\n    matchPaths:\n".to_owned();
    for number in 0..200 {
        spec +=
            &format!("    - {{path: /data/{number:03}, fromSource: [{{path: /bin/{number}}}]}}\n");
    }
    let compiled = compiled(&spec)?;
    let lowered = lower(&compiled)?;
    let audit = gambeson_policy_model::Verdict::Audit;
    let decision = Walker::new(lowered.bytes()).decide_below("/data", "/bin/none");
    assert_eq!(decision.verdict, audit);
    assert_eq!(lowered.gaps().len(), 1);
    Ok(())
}

#[test]
fn ten_thousand_rules_are_small_and_quick_to_lower() -> Result<(), Box<dyn Error>> {
    let mut file = "  file:\n    matchPaths:\n".to_owned();
    let mut process = "  process:\n    matchPaths:\n".to_owned();
    for number in 0..5000 {
        let directory = number % 97;
        file += &format!(
            "    - {{path: /srv/application-{directory}/configuration/file-{number}.conf}}\n"
        );
        process += &format!("    - {{path: /usr/lib/tools-{directory}/bin/program-{number}}}\n");
    }
    let compiled = compiled(&format!("{file}{process}"))?;
    assert_eq!(compiled.rule_count(), 10_000);
    let started = Instant::now();
    let lowered = lower(&compiled)?;
    let took = started.elapsed();
    println!("10,000 rules: {} bytes, {took:?}", lowered.bytes().len());
    assert!(lowered.bytes().len() < 4 << 20, "{}", lowered.bytes().len());
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(lower(&compiled)?, lowered);
    let loaded = CompiledPolicy::from_bytes(&compiled.to_bytes())?;
    assert_eq!(lower(&loaded)?, lowered);
    Ok(())
}
