//! The processor time of a replay, per event.
//!
//! `cargo bench --bench replay`. The attack on the checkout service, as Gambeson's own events and as
//! KubeArmor's alerts, and the recorded samples of each format, many times over, decided again by the
//! example policies on one thread. Measured is the processor time of the whole process, so that other work
//! on the machine counts for little. The goal is 400,000 events a second on one core.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gambeson::policy_model::{Alert, AlertContext, Decision, Event, PolicySet, Verdict, Workload};
use gambeson::replay::{Baseline, Replayer};
use rustix::time::{ClockId, clock_gettime};

/// How many bytes are replayed in one go.
const BYTES: usize = 24 << 20;

/// Processor time of the process, with all of its threads.
struct CpuTime;

fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        cpu()
    }

    fn end(&self, start: Duration) -> Duration {
        cpu().saturating_sub(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// The records of each format, by name.
fn formats() -> Result<Vec<(&'static str, String)>, Box<dyn std::error::Error>> {
    let day = std::fs::read_to_string("examples/events/attack-day.jsonl")?;
    let context = AlertContext::of(&Workload::pod("production").label("app", "checkout"));
    let mut alerts = String::new();
    for line in day.lines() {
        let event = Event::from_json(line)?;
        let decision = Decision::by_posture(Verdict::Audit);
        if let Some(alert) = Alert::new(&event, &decision, None, &context) {
            alerts.push_str(&alert.to_kubearmor_json());
            alerts.push('\n');
        }
    }
    let sample =
        |name: &str| std::fs::read_to_string(format!("crates/insight/tests/replay/samples/{name}"));
    Ok(vec![
        ("own events", day),
        ("KubeArmor, few fields", alerts),
        ("KubeArmor, all fields", sample("kubearmor.jsonl")?),
        ("Tetragon", sample("tetragon.jsonl")?),
        ("Falco", sample("falco.jsonl")?),
        ("audit log", sample("audit.log")?),
    ])
}

fn run(criterion: &mut Criterion<CpuTime>) -> Result<(), Box<dyn std::error::Error>> {
    let mut group = criterion.benchmark_group("replay");
    let checkout = Workload::pod("production").label("app", "checkout");
    let policies = PolicySet::from_path("examples/policies")?;
    let replayer = Replayer::new(policies, Baseline::Recorded, checkout);
    for (name, lines) in formats()? {
        let lines = lines.repeat(BYTES / lines.len());
        let start = cpu();
        let report = replayer.replay(lines.as_bytes(), 1, |_| ())?;
        let took = cpu().saturating_sub(start);
        // Records that tell of no event, or can't be used, are read as well.
        let records = report.events + report.no_event + report.unusable;
        eprintln!(
            "{name}: {records} records ({} events), {} bytes each, {:.0} records a second",
            report.events,
            lines.len() as u64 / records.max(1),
            records as f64 / took.as_secs_f64()
        );
        group.throughput(Throughput::Elements(records));
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(replayer.replay(lines.as_bytes(), 1, |_| ())));
        });
    }
    group.finish();
    Ok(())
}

fn replay(criterion: &mut Criterion<CpuTime>) {
    if let Err(error) = run(criterion) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(2));
    targets = replay
}
criterion_main!(benches);
