//! Judging what was recorded.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use gambeson_matcher::{Compile as _, CompileError, CompiledPolicy, Config};
use gambeson_policy_model::{Cause, Decision, Event, PolicySet, RuleId, Verdict, Workload};

use super::owner::{Kind, Owner};
use super::record::{Occurrence, Told};
use super::report::{Group, Key, ReplayReport};
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
        let (parts, too_long) = stream::take(stream, threads, progress, || {
            Worker::new(self, default.clone())
        })?;
        let mut report = ReplayReport::default();
        for part in parts {
            report.merge(part);
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
    default: Policies,
    /// By what tells owners apart.
    known: HashMap<Box<[u8]>, Result<Policies, String>>,
    /// How many workloads have been met.
    met: u32,
    owner_key: Vec<u8>,
    group_key: Vec<u8>,
    groups: HashMap<Box<[u8]>, Group>,
    report: ReplayReport,
}

/// The policies of a workload, with a number that no other workload of this thread has.
#[derive(Clone)]
struct Policies {
    number: u32,
    compiled: Arc<Compiled>,
}

impl<'r> Worker<'r> {
    fn new(replayer: &'r Replayer, default: Arc<Compiled>) -> Self {
        Self {
            replayer,
            default: Policies {
                number: 0,
                compiled: default,
            },
            known: HashMap::new(),
            met: 0,
            owner_key: Vec::new(),
            group_key: Vec::new(),
            groups: HashMap::new(),
            report: ReplayReport::default(),
        }
    }

    fn occurrence(&mut self, line: u64, occurrence: &Occurrence<'_>) {
        let policies = match self.policies(&occurrence.owner) {
            Ok(policies) => policies,
            Err(error) => return self.report.unusable(line, error),
        };
        for assumption in occurrence.assumed.iter() {
            *self.report.assumed.entry(assumption).or_insert(0) += 1;
        }
        for event in std::iter::once(&occurrence.event).chain(&occurrence.also) {
            self.judge(&policies, line, event, occurrence.recorded);
        }
    }

    fn policies(&mut self, owner: &Owner<'_>) -> Result<Policies, String> {
        if owner.kind == Kind::Unknown {
            return Ok(self.default.clone());
        }
        owner.key(&mut self.owner_key);
        if let Some(known) = self.known.get(self.owner_key.as_slice()) {
            return known.clone();
        }
        self.met += 1;
        let number = self.met;
        let policies = owner.workload().and_then(|workload| {
            let compiled = self.replayer.compile(&workload);
            let compiled = compiled.map(Arc::new).map_err(|error| error.to_string());
            compiled.map(|compiled| Policies { number, compiled })
        });
        // Beyond any cluster's workloads it is the records that make them up.
        if self.known.len() >= 10_000 {
            self.known.clear();
        }
        let key = self.owner_key.as_slice().into();
        self.known.insert(key, policies.clone());
        policies
    }

    fn judge(&mut self, policies: &Policies, line: u64, event: &Event<'_>, recorded: Verdict) {
        let compiled = &policies.compiled;
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
        let program = event.source.bytes().unwrap_or_default();
        let key = &mut self.group_key;
        key.clear();
        key.extend_from_slice(&policies.number.to_ne_bytes());
        for decision in [before, after] {
            let (cause, rule) = match decision.cause {
                Cause::Rule(RuleId(rule)) => (0, rule),
                Cause::Posture => (1, 0),
                Cause::None => (2, 0),
            };
            key.extend_from_slice(&[decision.verdict as u8, cause]);
            key.extend_from_slice(&rule.to_ne_bytes());
        }
        // No operation's name begins as a path does.
        key.extend_from_slice(event.operation.name().as_bytes());
        key.extend_from_slice(program);
        if let Some(group) = self.groups.get_mut(key.as_slice()) {
            group.count += 1;
            return;
        }
        if self.groups.len() >= ReplayReport::CHANGES {
            self.report.ungrouped += 1;
            return;
        }
        let group = Group {
            key: Key {
                workload: compiled.name.clone(),
                program: String::from_utf8_lossy(program).into_owned(),
                operation: event.operation.name(),
                before: before.verdict,
                after: after.verdict,
                before_by: match &compiled.baseline {
                    Some(baseline) => by(baseline, before),
                    None => String::new(),
                },
                after_by: by(&compiled.candidate, after),
            },
            count: 1,
            line,
            example: event.to_json(),
        };
        self.groups.insert(key.as_slice().into(), group);
    }
}

impl Taker for Worker<'_> {
    type Part = ReplayReport;

    fn line(&mut self) {
        self.report.lines += 1;
    }

    fn told(&mut self, at: At<'_>, told: Result<Told<'_>, String>) {
        match told {
            Ok(Told::Partial) => {}
            Ok(Told::NoEvent) => self.report.no_event += 1,
            Err(error) => self.report.unusable(at.line, error),
            Ok(Told::Event(occurrence)) => self.occurrence(at.line, &occurrence),
        }
    }

    fn finish(mut self) -> ReplayReport {
        self.report.add_groups(self.groups);
        self.report
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
