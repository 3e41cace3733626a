//! Time to compile a set of rules: `cargo bench --bench build`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gambeson::matcher::{Compile, Config};
use gambeson::policy_model::Selection;
use xtask::report::{SEED, SIZES};
use xtask::ruleset::{Extras, RuleSet, Shape};

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    for shape in Shape::ALL {
        for size in SIZES {
            let set = match RuleSet::generate(shape, size, Extras::default(), SEED) {
                Ok(set) => set,
                Err(error) => {
                    eprintln!("error: {error}");
                    std::process::exit(1);
                }
            };
            let selection = Selection::new(set.rules);
            group.throughput(Throughput::Elements(size as u64));
            group.bench_function(BenchmarkId::new(shape.name(), size), |bencher| {
                bencher.iter(|| black_box(selection.compile(&Config::default())));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500));
    targets = build
}
criterion_main!(benches);
