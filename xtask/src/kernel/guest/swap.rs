//! Policies replaced again and again under processes that work: each operation is judged by the old
//! one or by the new one, never by neither or by a mixture.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use gambeson::bpf_lsm::{BindOptions, KernelEvent, Options};
use gambeson::prelude::*;

use super::workload::{self, Error, WORKER, Who, Worker};

/// What both policies block, neither does, and one of them.
const BOTH: &str = "/swap/in/some/directories/blocked-by-both";
const NEITHER: &str = "/swap/in/some/directories/blocked-by-neither";
const ONE: &str = "/swap/in/some/directories/blocked-by-one";
/// A file is renamed; one policy blocks its old name, the other the new one.
const OLD_NAME: &str = "/swap/names/old";
const NEW_NAME: &str = "/swap/names/new";

/// The first policy; the rules of the second have other numbers.
const FIRST: [&str; 3] = [BOTH, ONE, OLD_NAME];
const SECOND: [&str; 4] = ["/swap/0", "/swap/1", BOTH, NEW_NAME];

/// For no less long: a fast machine replaces the policies before a worker has seen one of them.
const SHORTEST: Duration = Duration::from_secs(3);

/// After so many replacements the policy is left alone for a moment, so that workers, which come last,
/// run under it. An odd number: it's the turn of one policy, then of the other.
const BREATH: u64 = 7;

/// Reading all events would take longer than replacing policies.
const EVENTS_A_SECOND: u32 = 2_000;

fn policy(paths: &[&str]) -> Result<CompiledPolicy, Error> {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| format!("    - path: {path}\n"))
        .collect();
    workload::compile(&format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: swap}}\n\
         spec:\n  file:\n    matchPaths:\n{}  action: Block\n",
        paths.concat()
    ))
}

/// Replaces the policy at least so often, but for no longer than the time. Whether every outcome was right.
///
/// # Errors
/// When the kernel or a worker fails.
pub fn run(count: u64, longest: Duration) -> Result<bool, Error> {
    let Some(mut enforcer) = workload::load(&Options::default())? else {
        return Ok(true);
    };
    for path in [BOTH, NEITHER, ONE, OLD_NAME] {
        workload::make_file(path)?;
    }
    let policies = [policy(&FIRST)?, policy(&SECOND)?];
    let [first, _] = &policies;
    workload::wait_less()?;
    let options = BindOptions {
        rate: Some(EVENTS_A_SECOND),
        ..BindOptions::default()
    };
    let binding = workload::bind(&mut enforcer, first, &options)?;
    let mut record = Record {
        policy_of: HashMap::from([(enforcer.generation(binding)?.0, 0)]),
        ..Record::default()
    };
    // What came of the self-test.
    workload::drain(&mut enforcer, &mut |_| {})?;
    let mut workers = Vec::new();
    let work: [&[&str]; 4] = [
        &["read", BOTH],
        &["read", NEITHER],
        &["read", ONE],
        &["rename", OLD_NAME, NEW_NAME],
    ];
    for operation in work {
        let mut worker = Worker::start(WORKER, Who::default())?;
        worker.go_last()?;
        worker.hammer(0, operation)?;
        workers.push(worker);
    }
    let start = Instant::now();
    let mut replaced = 0;
    while (replaced < count || start.elapsed() < SHORTEST) && start.elapsed() < longest {
        for (number, policy) in policies.iter().enumerate().rev() {
            // Known before it can be in an event; events are read between replacements.
            let generation = enforcer.replace(binding, policy)?;
            record.policy_of.insert(generation.0, number);
            replaced += 1;
            if replaced % BREATH == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        record.events += workload::drain(&mut enforcer, &mut |event| record.pending.push(event))?;
        record.check(&policies);
    }
    let took = start.elapsed();
    let mut outcomes = Vec::new();
    for worker in &mut workers {
        outcomes.push(worker.stop()?);
    }
    record.events += workload::drain(&mut enforcer, &mut |event| record.pending.push(event))?;
    record.check(&policies);
    let [both, neither, one, renames] = outcomes[..] else {
        return Err("a worker is missing".into());
    };
    let wrong = (both.total() - both.denied)
        + (neither.total() - neither.allowed)
        + one.other
        + (renames.total() - renames.denied);
    let total = both.total() + neither.total() + one.total() + renames.total();
    let counters = enforcer.counters()?;
    println!(
        "{replaced} replacements in {:.0} s during {total} operations, {wrong} wrong outcomes \
         (blocked by both: {both:?}; by neither: {neither:?}; by one: {one:?}; renames: {renames:?})",
        took.as_secs_f64()
    );
    println!(
        "{} events of {} policies, {} that don't go with their generation's policy; {} lost, \
         {} throttled; denied for want of a table: {}",
        record.events,
        record.seen.len(),
        record.complaints.len(),
        counters.lost,
        counters.throttled,
        counters.no_table
    );
    for complaint in record.complaints.iter().take(5) {
        println!("  {complaint}");
    }
    let alternated = one.allowed > 0 && one.denied > 0;
    if !alternated {
        println!("what one policy blocks never changed: nothing was proved");
    }
    Ok(wrong == 0 && record.complaints.is_empty() && counters.no_table == 0 && alternated)
}

/// What events say.
#[derive(Default)]
struct Record {
    /// Which policy a generation is.
    policy_of: HashMap<u32, usize>,
    pending: Vec<KernelEvent>,
    events: u64,
    /// Generations that events named.
    seen: HashSet<u32>,
    complaints: Vec<String>,
}

impl Record {
    fn check(&mut self, policies: &[CompiledPolicy]) {
        for event in std::mem::take(&mut self.pending) {
            self.seen.insert(event.generation.0);
            if let Err(complaint) = self.judge(&event, policies) {
                self.complaints.push(complaint);
            }
        }
    }

    /// The event's rule must be one of the policy of its generation, and about its object.
    fn judge(&self, event: &KernelEvent, policies: &[CompiledPolicy]) -> Result<(), String> {
        let policy = self
            .policy_of
            .get(&event.generation.0)
            .and_then(|number| policies.get(*number))
            .ok_or_else(|| format!("generation {} was never in force", event.generation))?;
        let expected = policy.decide(&event.event());
        if expected == event.decision && expected.verdict() == Verdict::Block {
            return Ok(());
        }
        Err(format!(
            "generation {}, `{}`: {:?}, and not {expected:?}",
            event.generation,
            String::from_utf8_lossy(&event.object),
            event.decision
        ))
    }
}
