//! A decision allocates nothing. Alone in its file: the counter counts for the whole process.

use std::alloc::System;
use std::hint::black_box;

use gambeson::matcher::testing::Random;
use gambeson::matcher::{Compile, Config};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use xtask::contenders::compile;
use xtask::ruleset::{Extras, RuleSet, Shape};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations and reallocations while `work` runs.
fn allocations(work: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    change.allocations + change.reallocations
}

#[test]
fn a_decision_allocates_nothing() {
    // The counter counts at all.
    assert!(allocations(|| drop(black_box(vec![1_u8; 100]))) > 0);

    let extras = Extras {
        programs: 20,
        conditions: true,
    };
    let set = RuleSet::generate(Shape::Mix, 1_000, extras, 1).unwrap();
    let (compiled, events) = (compile(&set).unwrap(), set.events());
    let count = allocations(|| {
        for event in &events {
            black_box(compiled.decide(black_box(event)));
        }
    });
    assert_eq!(count, 0, "{} reads", events.len());

    // Every operation, every class, paths that can't be computed.
    let mut random = Random::new(1);
    for _ in 0..200 {
        let compiled = random.selection(20).compile(&Config::default()).unwrap();
        let events: Vec<_> = (0..50).map(|_| random.event()).collect();
        for event in &events {
            let count = allocations(|| {
                black_box(compiled.decide(black_box(event)));
            });
            assert_eq!(count, 0, "{}", event.to_json());
        }
    }
}
