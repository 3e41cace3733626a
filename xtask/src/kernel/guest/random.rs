//! Random policies and operations: what a kernel does and reports, held to the reference evaluator.
//!
//! The generator's paths are made real at the guest's own root. A program can't be a file and a
//! directory at once, so each policy gets processes whose programs don't lie below one another, and
//! objects that lie below a program are left out.

mod plan;
mod tree;

use std::time::{SystemTime, UNIX_EPOCH};

use gambeson::bpf_lsm::{BindOptions, Enforcer, KernelEvent, KernelOperation, Options, Reason};
use gambeson::matcher::reference::Evaluator;
use gambeson::matcher::testing::Random;
use gambeson::policy_model::Class;
use gambeson::prelude::*;

use super::workload::{self, Error, Who, Worker};
use crate::soak;
use plan::{Plan, Step};

/// How many operations one policy judges.
const PER_POLICY: u64 = 100;
/// How many rules a policy has at most.
const MOST_RULES: usize = 16;
/// After so many differences the rest isn't tried.
const MOST_DIFFERENCES: u64 = 5;

/// Does so many operations; a seed of 0 stands for a new one. Whether the kernel agreed with the evaluator on each.
///
/// # Errors
/// When the kernel or a worker fails.
pub fn run(operations: u64, seed: u64) -> Result<bool, Error> {
    let Some(mut enforcer) = workload::load(&Options::default())? else {
        return Ok(true);
    };
    workload::wait_less()?;
    // Families of sockets that are modules stay away: looking for them takes long.
    std::fs::write("/proc/sys/kernel/modprobe", "\n")?;
    tree::prepare()?;
    let seed = match seed {
        0 => SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64 % 1_000_000_000,
        seed => seed,
    };
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    while tally.operations < operations && tally.differences < MOST_DIFFERENCES {
        let left = operations - tally.operations;
        one_policy(&mut enforcer, &mut random, left.min(PER_POLICY), &mut tally)?;
    }
    let counters = enforcer.counters()?;
    println!(
        "random: {} operations, {} policies, {}; {} denied, {} watched; seed {seed}; {} events lost",
        tally.operations,
        tally.policies,
        if tally.differences == 0 {
            "no difference".to_owned()
        } else {
            format!("{} differences", tally.differences)
        },
        tally.denied,
        tally.watched,
        counters.lost
    );
    Ok(tally.differences == 0 && tally.denied > 0 && counters.lost == 0)
}

#[derive(Default)]
struct Tally {
    operations: u64,
    policies: u64,
    denied: u64,
    watched: u64,
    differences: u64,
}

/// Binds one random policy and has random processes do random things under it.
fn one_policy(
    enforcer: &mut Enforcer,
    random: &mut Random,
    operations: u64,
    tally: &mut Tally,
) -> Result<(), Error> {
    let rules = 1 + random.below(MOST_RULES);
    let selection = random.selection(rules);
    let config = Config::default();
    let evaluator = Evaluator::new(&selection, &config)?;
    let policy = selection.compile(&config)?;
    let visible = random.once_in(2);
    let options = BindOptions {
        visibility: if visible {
            Class::ALL.to_vec()
        } else {
            Vec::new()
        },
        ..BindOptions::default()
    };
    let programs = tree::programs(random)?;
    let mut workers = Vec::new();
    let binding = workload::bind(enforcer, &policy, &options)?;
    tally.policies += 1;
    for program in programs.iter().chain(programs.first()) {
        let who = Who {
            uid: random.below(2) as u32,
            terminal: random.once_in(2),
        };
        workers.push((program.clone(), who, Worker::start(program, who)?));
    }
    // What starting them left.
    workload::drain(enforcer, &mut |_| {})?;
    let judge = Judge {
        evaluator: &evaluator,
        selection: &selection,
        visible,
    };
    let mut done = 0;
    while done < operations {
        let number = random.below(workers.len());
        let Some((program, who, worker)) = workers.get_mut(number) else {
            break;
        };
        let Some(plan) = Plan::random(random, program, *who, &programs)? else {
            continue;
        };
        done += 1;
        let errno = worker.ask(&plan.fields())?;
        let mut events = Vec::new();
        workload::drain(enforcer, &mut |event| events.push(event))?;
        tally.denied += u64::from(errno == EPERM);
        tally.watched += u64::from(!events.is_empty());
        if let Err(difference) = judge.compare(&plan, errno, &events) {
            tally.differences += 1;
            println!("{difference}");
            println!(
                "  operation: {} by `{program}`, {who:?}: errno {errno}",
                plan.fields().join(" ")
            );
            for event in &events {
                println!("  event: {}", told(event));
            }
            println!(
                "  visible: {visible}, {:?}, {:?}",
                selection.enforcement(),
                selection.posture()
            );
            for (id, rule) in selection.rules().iter().enumerate() {
                println!("  rule {id}: {}", soak::describe(rule));
            }
            if tally.differences >= MOST_DIFFERENCES {
                break;
            }
        }
    }
    tally.operations += done;
    drop(workers);
    enforcer.remove(binding)?;
    tree::clear()?;
    Ok(())
}

/// With which what is denied fails.
const EPERM: i32 = 1;

fn told(event: &KernelEvent) -> String {
    format!(
        "{:?} by hook {} of `{}`: {:?}, {:?}, source {:?}, {:?}, tty {}",
        event.operation,
        event.hook.name,
        String::from_utf8_lossy(&event.object),
        event.decision,
        event.reason,
        event.subject.source.as_deref().map(String::from_utf8_lossy),
        event.particulars,
        event.subject.tty,
    )
}

/// What events are held to.
struct Judge<'a> {
    evaluator: &'a Evaluator,
    selection: &'a Selection,
    visible: bool,
}

impl Judge<'_> {
    /// The strictest decision on a step's names; a tie goes to the first.
    fn decide(&self, step: &Step) -> (Decision, Vec<u8>) {
        let mut worst: Option<(Decision, Vec<u8>)> = None;
        for event in step.events(self.selection) {
            let decision = self.evaluator.decide(&event);
            let path = event.operation.file().and_then(|path| path.bytes());
            if worst
                .as_ref()
                .is_none_or(|(worst, _)| decision.verdict > worst.verdict)
            {
                worst = Some((decision, path.unwrap_or_default().to_vec()));
            }
        }
        worst.unwrap_or((Decision::ALLOW, Vec::new()))
    }

    /// What is otherwise than it should be, if anything.
    fn compare(&self, plan: &Plan, errno: i32, events: &[KernelEvent]) -> Result<(), String> {
        let mut denied = false;
        let mut reported = events
            .iter()
            .filter(|event| !matches!(event.operation, KernelOperation::Capability(_)));
        for step in &plan.steps {
            let (expected, path) = self.decide(step);
            let is_told =
                expected.verdict != Verdict::Allow || self.visible && step.is_of_a_class();
            if is_told {
                let Some(event) = reported.next() else {
                    return Err(format!("{step:?}: expected {expected:?}, no event"));
                };
                if event.decision != expected && !step.is_loose()
                    || event.decision.verdict != expected.verdict
                {
                    return Err(format!(
                        "{step:?}: expected {expected:?}, got {:?}",
                        event.decision
                    ));
                }
                if !matches!(event.reason, Reason::Policy(_)) {
                    return Err(format!("{step:?}: {:?}", event.reason));
                }
                if !step.is_loose() && event.object != path {
                    return Err(format!(
                        "{step:?}: the event is of `{}`, and not of `{}`",
                        String::from_utf8_lossy(&event.object),
                        String::from_utf8_lossy(&path)
                    ));
                }
            }
            if expected.verdict == Verdict::Block {
                denied = true;
                break;
            }
        }
        if let Some(event) = reported.next() {
            return Err(format!("an event too many: {}", told(event)));
        }
        for event in events {
            let KernelOperation::Capability(_) = event.operation else {
                continue;
            };
            let expected = self.evaluator.decide(&event.event());
            if expected != event.decision {
                return Err(format!(
                    "capability: expected {expected:?}, got {}",
                    told(event)
                ));
            }
            denied |= expected.verdict == Verdict::Block;
        }
        if denied != (errno == EPERM) {
            return Err(format!(
                "errno {errno}, expected {}",
                if denied { "EPERM" } else { "another" }
            ));
        }
        if errno != 0 && !denied && !plan.may_fail {
            return Err(format!("errno {errno} where nothing is denied"));
        }
        Ok(())
    }
}
