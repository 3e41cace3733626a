//! Six processes on one CPU, half of which open what they may not, while they preempt one another.

use std::thread;
use std::time::Duration;

use gambeson::bpf_lsm::{BindOptions, Enforcer, Options};

use super::workload::{self, Counts, Error, WORKER, Who, Worker};

/// How a file comes to be blocked.
struct Variant {
    name: &'static str,
    rules: &'static str,
    blocked: &'static str,
    allowed: &'static str,
}

const VARIANTS: [Variant; 3] = [
    Variant {
        name: "a path",
        rules: "matchPaths: [{path: /race/some/directories/above/the/file/of-a-secret-name}]",
        blocked: "/race/some/directories/above/the/file/of-a-secret-name",
        allowed: "/race/some/directories/above/the/file/of-a-public-name",
    },
    Variant {
        name: "a directory, from a program",
        rules: "matchDirectories: [{dir: /race/vault/, recursive: true, fromSource: [{path: /usr/bin/worker}]}]",
        blocked: "/race/vault/with/many/floors/below/the/ground/gold",
        allowed: "/race/vaulted/with/many/floors/below/the/ground/gold",
    },
    Variant {
        name: "a pattern",
        rules: "matchPatterns: [{pattern: '/race/**/private-*/[a-k]*.pem'}]",
        blocked: "/race/keys/of/some/service/private-7/certificate.pem",
        allowed: "/race/keys/of/some/service/private-7/public.pem",
    },
];

/// Processes that open what they may not, and as many that open what they may.
const EACH: u64 = 3;

/// Opens files so often in all. Whether every outcome was right.
///
/// # Errors
/// When the kernel or a worker fails.
pub fn run(opens: u64) -> Result<bool, Error> {
    let Some(mut enforcer) = workload::load(&Options::default())? else {
        return Ok(true);
    };
    let times = opens.div_ceil(VARIANTS.len() as u64 * 2 * EACH);
    let mut right = true;
    for variant in &VARIANTS {
        right &= race(&mut enforcer, variant, times)?;
    }
    let misses: u64 = enforcer
        .programs()
        .iter()
        .map(|program| program.recursion_misses)
        .sum();
    let counters = enforcer.counters()?;
    println!(
        "runs skipped by the kernel: {misses}; denied for want of memory: {}, of a table: {}; events lost: {}",
        counters.no_scratch, counters.no_table, counters.lost
    );
    Ok(right && counters.no_scratch == 0 && counters.no_table == 0)
}

fn race(enforcer: &mut Enforcer, variant: &Variant, times: u64) -> Result<bool, Error> {
    workload::make_file(variant.blocked)?;
    workload::make_file(variant.allowed)?;
    let policy = workload::compile(&format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: race}}\n\
         spec:\n  file:\n    {}\n  action: Block\n",
        variant.rules
    ))?;
    let binding = workload::bind(enforcer, &policy, &BindOptions::default())?;
    let mut running = Vec::new();
    for path in [variant.blocked, variant.allowed] {
        for _ in 0..EACH {
            let mut worker = Worker::start(WORKER, Who::default())?;
            running.push(thread::spawn(move || -> Result<_, Error> {
                worker.hammer(times, &["read", path])?;
                Ok((path, worker.counts()?))
            }));
        }
    }
    let mut events = 0;
    while running.iter().any(|thread| !thread.is_finished()) {
        events += enforcer.poll(Duration::from_millis(50), &mut |_| {})? as u64;
    }
    let (mut blocked, mut allowed) = (Counts::default(), Counts::default());
    for thread in running {
        let (path, counts) = thread.join().map_err(|_| "a thread panicked")??;
        let sum = if path == variant.blocked {
            &mut blocked
        } else {
            &mut allowed
        };
        sum.allowed += counts.allowed;
        sum.denied += counts.denied;
        sum.other += counts.other;
    }
    events += workload::drain(enforcer, &mut |_| {})?;
    enforcer.remove(binding)?;
    let wrong = blocked.total() - blocked.denied + allowed.total() - allowed.allowed;
    println!(
        "{}: {} opens by {} processes, {wrong} wrong outcomes ({} let pass, {} denied wrongly); {events} events",
        variant.name,
        blocked.total() + allowed.total(),
        2 * EACH,
        blocked.allowed,
        allowed.denied,
    );
    Ok(wrong == 0)
}
