//! Time an explanation of a decision among ten thousand rules.
//!
//! `cargo bench --bench explain`. A pass explains every query of the set; the goal is 50 µs each.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gambeson::explain::Explainer;
use gambeson::matcher::Config;
use gambeson::policy_model::Selection;
use xtask::report::{EXTRAS, SEED};
use xtask::ruleset::{Extras, RuleSet, Shape};

/// How many rules.
const RULES: usize = 10_000;

fn run(criterion: &mut Criterion) -> Result<(), Box<dyn std::error::Error>> {
    let mut group = criterion.benchmark_group("explain");
    for (name, extras) in [
        ("mix", Extras::default()),
        ("mix, sources and conditions", EXTRAS),
    ] {
        let set = RuleSet::generate(Shape::Mix, RULES, extras, SEED)?;
        let selection = Selection::new(set.rules.clone());
        let explainer = Explainer::new(&selection, &Config::default())?;
        let events = set.events();
        group.throughput(Throughput::Elements(events.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for event in &events {
                    black_box(explainer.explain(event));
                }
            });
        });
    }
    group.finish();
    Ok(())
}

fn explain(criterion: &mut Criterion) {
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
        .measurement_time(Duration::from_millis(500));
    targets = explain
}
criterion_main!(benches);
