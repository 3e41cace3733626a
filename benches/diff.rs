//! Time what compares two sets of ten thousand rules, and checks one.
//!
//! `cargo bench --bench diff`. The goal is two seconds. `edited`: one rule in a hundred is another;
//! `flipped`: one in a hundred has another action; `posture`: the same rules under another posture, so
//! that every path is walked; `unlike`: no rule in common,
//! which ends when a thousand differences are found.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use gambeson::analysis::{AnalysisLimits, check, diff};
use gambeson::explain::Explainer;
use gambeson::matcher::Config;
use gambeson::policy_model::{Action, Rule, Selection};
use xtask::report::{EXTRAS, SEED};
use xtask::ruleset::{RuleSet, Shape};

/// How many rules.
const RULES: usize = 10_000;

fn run(criterion: &mut Criterion) -> Result<(), Box<dyn std::error::Error>> {
    let mut group = criterion.benchmark_group("diff");
    let rules = |seed: u64| RuleSet::generate(Shape::Mix, RULES, EXTRAS, seed).map(|set| set.rules);
    let before = rules(SEED)?;
    let other = rules(SEED + 1)?;
    let edited: Vec<Rule> = before
        .iter()
        .zip(&other)
        .enumerate()
        .map(|(place, (same, other))| if place % 100 == 0 { other } else { same }.clone())
        .collect();
    let mut flipped = before.clone();
    for rule in flipped.iter_mut().step_by(100) {
        rule.action = match rule.action {
            Action::Block => Action::Audit,
            _ => Action::Block,
        };
    }
    let explain = |rules: Vec<Rule>| Explainer::new(&Selection::new(rules), &Config::default());
    let before = explain(before)?;
    let strict = Config::default().posture("file=block".parse()?);
    for (name, after) in [
        ("edited", explain(edited)?),
        ("flipped", explain(flipped)?),
        (
            "posture",
            Explainer::new(&Selection::new(before.rules().to_vec()), &strict)?,
        ),
        ("unlike", explain(other)?),
    ] {
        let found = diff(&before, &after, AnalysisLimits::default());
        eprintln!(
            "{name}: {} differences, complete: {}",
            found.differences.len(),
            found.complete
        );
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(diff(&before, &after, AnalysisLimits::default())));
        });
    }
    group.bench_function("check", |bencher| {
        bencher.iter(|| black_box(check(&before, AnalysisLimits::default())));
    });
    group.finish();
    Ok(())
}

fn compare(criterion: &mut Criterion) {
    if let Err(error) = run(criterion) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(2));
    targets = compare
}
criterion_main!(benches);
