//! Time a decision, beside peers on the same rules and queries.
//!
//! `cargo bench --bench decide`; a word behind `--` picks benchmarks by name. Read ratios within
//! one run. `cargo xtask bench-report` measures the same and writes a table.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use xtask::contenders::{Error, contenders};
use xtask::report::{EXTRAS, LENGTHS, SEED, SIZES};
use xtask::ruleset::{Extras, RuleSet, Shape};

/// Lets every contender judge all queries of the set.
fn race(
    group: &mut BenchmarkGroup<'_, WallTime>,
    parameter: &str,
    set: &RuleSet,
) -> Result<(), Error> {
    group.throughput(Throughput::Elements(set.queries.len() as u64));
    for mut contender in contenders(set)? {
        let id = BenchmarkId::new(contender.name(), parameter);
        group.bench_function(id, |bencher| bencher.iter(|| black_box(contender.pass())));
    }
    Ok(())
}

fn run(criterion: &mut Criterion) -> Result<(), Error> {
    for shape in Shape::ALL {
        let mut group = criterion.benchmark_group(shape.name());
        for size in SIZES {
            let set = RuleSet::generate(shape, size, Extras::default(), SEED)?;
            race(&mut group, &size.to_string(), &set)?;
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("mix, sources and conditions");
    for size in SIZES {
        let set = RuleSet::generate(Shape::Mix, size, EXTRAS, SEED)?;
        race(&mut group, &size.to_string(), &set)?;
    }
    group.finish();
    let mix = RuleSet::generate(Shape::Mix, 1_000, Extras::default(), SEED)?;
    let mut group = criterion.benchmark_group("mix of 1000, by length of path");
    for length in LENGTHS {
        let set = mix.with_query_length(length, SEED)?;
        race(&mut group, &length.to_string(), &set)?;
    }
    group.finish();
    let mut group = criterion.benchmark_group("mix of 1000, hits and misses");
    race(&mut group, "hits", &mix.half(true)?)?;
    race(&mut group, "misses", &mix.half(false)?)?;
    group.finish();
    Ok(())
}

fn decide(criterion: &mut Criterion) {
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
    targets = decide
}
criterion_main!(benches);
