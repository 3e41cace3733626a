//! Judging what was recorded.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use gambeson_matcher::{Compile as _, CompileError, CompiledPolicy, Config};
use gambeson_policy_model::{Cause, Decision, Event, PolicySet, Verdict, Workload};

use super::audit::Pending;
use super::batches::{Batch, Batches};
use super::record::{Owner, Told, read};
use super::report::{Key, ReplayReport};

/// What the candidate is compared with.
#[derive(Debug, Clone)]
pub enum Baseline {
    /// What became of each event when it was recorded: an alert that says that permission was denied
    /// is a Block, one of an Audit rule an Audit, all else an Allow.
    Recorded,
    /// What these policies decide.
    Policies(PolicySet),
}

/// Decides recorded events again.
#[derive(Debug, Clone)]
pub struct Replayer {
    candidate: PolicySet,
    baseline: Baseline,
    workload: Workload,
    config: Config,
}

/// The policies of one workload.
struct Compiled {
    name: Arc<str>,
    candidate: CompiledPolicy,
    baseline: Option<CompiledPolicy>,
}

impl Replayer {
    /// A replayer. `workload` is that of records which name none.
    #[must_use]
    pub fn new(candidate: PolicySet, baseline: Baseline, workload: Workload) -> Self {
        Self {
            candidate,
            baseline,
            workload,
            config: Config::default(),
        }
    }

    /// Compiles policies so.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Decides everything that a stream holds, on so many threads, in memory that doesn't grow with
    /// the stream. `progress` is told how many bytes have been read.
    ///
    /// # Errors
    /// When the stream can't be read, or policies that apply can't be compiled.
    pub fn replay(
        &self,
        stream: impl Read,
        threads: usize,
        mut progress: impl FnMut(u64),
    ) -> io::Result<ReplayReport> {
        let compiled = self.compile(&self.workload).map_err(io::Error::other)?;
        let default = Arc::new(compiled);
        let threads = threads.max(1);
        let (send, receive) = sync_channel::<Batch>(2 * threads);
        let receive = Mutex::new(receive);
        let mut batches = Batches::new(stream);
        let mut report = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let (default, receive) = (default.clone(), &receive);
                    scope.spawn(move || Worker::new(self, default).run(receive))
                })
                .collect();
            let mut failed = None;
            loop {
                match batches.next() {
                    Ok(Some(batch)) => {
                        progress(batches.read);
                        if send.send(batch).is_err() {
                            break;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            drop(send);
            let mut report = ReplayReport::default();
            for worker in workers {
                match worker.join() {
                    Ok(part) => report.merge(part),
                    Err(_) => failed = Some(io::Error::other("a thread ended early")),
                }
            }
            failed.map_or(Ok(report), Err)
        })?;
        for line in batches.too_long {
            report.unusable(line, "the line is too long".to_owned());
        }
        report.finish();
        Ok(report)
    }

    fn compile(&self, workload: &Workload) -> Result<Compiled, CompileError> {
        let compile = |policies: &PolicySet| policies.select(workload).compile(&self.config);
        Ok(Compiled {
            name: name(workload).into(),
            candidate: compile(&self.candidate)?,
            baseline: match &self.baseline {
                Baseline::Recorded => None,
                Baseline::Policies(policies) => Some(compile(policies)?),
            },
        })
    }
}

fn name(workload: &Workload) -> String {
    let labels: Vec<String> = workload
        .labels()
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let mut name = workload.namespace().unwrap_or("host").to_owned();
    if !labels.is_empty() {
        name.push(' ');
        name.push_str(&labels.join(","));
    }
    if let Some(container) = workload.container_name() {
        name.push_str(" container ");
        name.push_str(container);
    }
    name
}

/// One thread's work.
struct Worker<'r> {
    replayer: &'r Replayer,
    default: Arc<Compiled>,
    known: HashMap<Owner, Result<Arc<Compiled>, String>>,
    report: ReplayReport,
}

impl<'r> Worker<'r> {
    fn new(replayer: &'r Replayer, default: Arc<Compiled>) -> Self {
        Self {
            replayer,
            default,
            known: HashMap::new(),
            report: ReplayReport::default(),
        }
    }

    fn run(mut self, receive: &Mutex<Receiver<Batch>>) -> ReplayReport {
        loop {
            let batch = match receive.lock() {
                Ok(receive) => receive.recv(),
                Err(_) => break,
            };
            match batch {
                Ok(batch) => self.batch(&batch),
                Err(_) => break,
            }
        }
        self.report
    }

    fn batch(&mut self, batch: &Batch) {
        let mut pending = Pending::default();
        let mut number = batch.first;
        for line in batch.bytes.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            if !line.is_empty() {
                self.report.lines += 1;
                self.told(number, read(line, &mut pending));
            }
            number += 1;
        }
        self.told(number.saturating_sub(1), pending.finish());
    }

    fn told(&mut self, line: u64, told: Result<Told<'_>, String>) {
        match told {
            Ok(Told::Partial) => {}
            Ok(Told::NoEvent) => self.report.no_event += 1,
            Err(error) => self.report.unusable(line, error),
            Ok(Told::Event {
                event,
                also,
                owner,
                recorded,
                assumed,
            }) => {
                let compiled = match self.compiled(owner) {
                    Ok(compiled) => compiled,
                    Err(error) => return self.report.unusable(line, error),
                };
                for assumption in assumed {
                    *self.report.assumed.entry(assumption).or_insert(0) += 1;
                }
                self.judge(&compiled, line, &event, recorded);
                for event in also {
                    self.judge(&compiled, line, &event, recorded);
                }
            }
        }
    }

    fn compiled(&mut self, owner: Owner) -> Result<Arc<Compiled>, String> {
        if !owner.is_known {
            return Ok(self.default.clone());
        }
        if let Some(known) = self.known.get(&owner) {
            return known.clone();
        }
        let compiled = self.replayer.compile(&owner.workload());
        let compiled = compiled.map(Arc::new).map_err(|error| error.to_string());
        // Beyond any cluster's workloads it is the records that make them up.
        if self.known.len() >= 10_000 {
            self.known.clear();
        }
        self.known.insert(owner, compiled.clone());
        compiled
    }

    fn judge(&mut self, compiled: &Compiled, line: u64, event: &Event<'_>, recorded: Verdict) {
        let after = compiled.candidate.decide(event);
        let before = match &compiled.baseline {
            Some(baseline) => baseline.decide(event),
            None => Decision {
                verdict: recorded,
                cause: Cause::None,
            },
        };
        self.report.count(before.verdict, after.verdict);
        if before.verdict == after.verdict {
            return;
        }
        let program = event.source.bytes().map(String::from_utf8_lossy);
        let key = Key {
            workload: compiled.name.clone(),
            program: program.map_or_else(String::new, |program| program.into_owned()),
            operation: event.operation.name(),
            before: before.verdict,
            after: after.verdict,
            before_by: match &compiled.baseline {
                Some(baseline) => by(baseline, before),
                None => String::new(),
            },
            after_by: by(&compiled.candidate, after),
        };
        self.report.change(key, line, event);
    }
}

fn by(compiled: &CompiledPolicy, decision: Decision) -> String {
    match decision.cause {
        Cause::Rule(id) => compiled
            .rule(id)
            .map_or_else(String::new, |rule| rule.to_string()),
        Cause::Posture => "the default posture".to_owned(),
        Cause::None => "no rule".to_owned(),
    }
}
