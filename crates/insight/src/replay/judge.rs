//! Judging what was recorded.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use gambeson_matcher::{Compile as _, CompileError, CompiledPolicy, Config};
use gambeson_policy_model::{Cause, Decision, Event, PolicySet, Verdict, Workload};

use super::record::{Owner, Told};
use super::report::{Key, ReplayReport};
use super::stream::{self, At, Taker};

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
        progress: impl FnMut(u64),
    ) -> io::Result<ReplayReport> {
        let compiled = self.compile(&self.workload).map_err(io::Error::other)?;
        let default = Arc::new(compiled);
        let (workers, too_long) = stream::take(stream, threads, progress, || {
            Worker::new(self, default.clone())
        })?;
        let mut report = ReplayReport::default();
        for worker in workers {
            report.merge(worker.report);
        }
        for line in too_long {
            report.unusable(line, stream::TOO_LONG.to_owned());
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

pub(crate) fn name(workload: &Workload) -> String {
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

impl Taker for Worker<'_> {
    fn line(&mut self) {
        self.report.lines += 1;
    }

    fn told(&mut self, at: At<'_>, told: Result<Told<'_>, String>) {
        let line = at.line;
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
