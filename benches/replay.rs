//! Time a replay, on one thread.
//!
//! `cargo bench --bench replay`. The attack on the checkout service, many times over, decided again by
//! the example policies: as Gambeson's own events, and as KubeArmor's alerts. The goal is 400,000 events
//! a second.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gambeson::policy_model::{Alert, AlertContext, Decision, Event, PolicySet, Verdict, Workload};
use gambeson::replay::{Baseline, Replayer};

/// How many times the day is repeated.
const TIMES: usize = 5_000;

fn run(criterion: &mut Criterion) -> Result<(), Box<dyn std::error::Error>> {
    let mut group = criterion.benchmark_group("replay");
    let day = std::fs::read_to_string("examples/events/attack-day.jsonl")?;
    let checkout = Workload::pod("production").label("app", "checkout");
    let policies = PolicySet::from_path("examples/policies")?;
    let context = AlertContext::of(&checkout);
    let mut alerts = String::new();
    for line in day.lines() {
        let event = Event::from_json(line)?;
        let decision = Decision::by_posture(Verdict::Audit);
        if let Some(alert) = Alert::new(&event, &decision, None, &context) {
            alerts.push_str(&alert.to_kubearmor_json());
            alerts.push('\n');
        }
    }
    let replayer = Replayer::new(policies, Baseline::Recorded, checkout);
    for (name, lines) in [("own events", day), ("KubeArmor's alerts", alerts)] {
        let lines = lines.repeat(TIMES);
        let report = replayer.replay(lines.as_bytes(), 1, |_| ())?;
        eprintln!(
            "{name}: {} events, {} unusable, {} newly blocked, {} bytes",
            report.events,
            report.unusable,
            report.newly(Verdict::Block),
            lines.len()
        );
        group.throughput(Throughput::Elements(report.events));
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(replayer.replay(lines.as_bytes(), 1, |_| ())));
        });
    }
    group.finish();
    Ok(())
}

fn replay(criterion: &mut Criterion) {
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
    targets = replay
}
criterion_main!(benches);
