//! Which Audit rules report something, and what comes up that no rule allows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use gambeson_matcher::{CompileError, Config};
use gambeson_policy_model::{Action, Class, Event, PolicySet, Rule, RuleId, Verdict, Workload};

use super::{Held, POSTURES};
use crate::explain::{Effect, Explainer};
use crate::replay::{At, Kind, Occurrence, Taker, Told, Unusable, workload_name};

/// Where a rule is written: file, line and column, and its field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    file: Arc<str>,
    line: u32,
    column: u32,
    field: String,
}

impl Place {
    pub(super) fn of(rule: &Rule) -> Self {
        Self {
            file: Arc::clone(&rule.location.file),
            line: rule.location.line,
            column: rule.location.column,
            field: rule.field_path(),
        }
    }
}

/// Events that something reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reported {
    pub(super) count: u64,
    pub(super) line: u64,
    example: String,
}

impl Reported {
    fn of(line: u64, event: &Event<'_>) -> Self {
        Self {
            count: 1,
            line,
            example: event.to_json(),
        }
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        if other.line < self.line {
            (self.line, self.example) = (other.line, other.example);
        }
    }

    pub(super) fn held(&self) -> Held {
        Held::Reported {
            count: self.count,
            line: self.line,
            example: self.example.clone(),
        }
    }
}

fn report<K: Ord>(reported: &mut BTreeMap<K, Reported>, key: K, line: u64, event: &Event<'_>) {
    match reported.get_mut(&key) {
        Some(known) if known.line <= line => known.count += 1,
        Some(known) => known.add(Reported::of(line, event)),
        None => {
            reported.insert(key, Reported::of(line, event));
        }
    }
}

/// What was seen of one workload.
#[derive(Debug, Clone, Default)]
pub(super) struct Of {
    pub(super) namespace: Option<String>,
    pub(super) allow_list: BTreeSet<Class>,
    postures: BTreeMap<&'static str, Verdict>,
    pub(super) replayed: BTreeSet<Class>,
    /// What no rule grants or denies.
    pub(super) outside: BTreeMap<Class, Reported>,
}

impl Of {
    pub(super) fn posture(&self, class: &str) -> Option<Verdict> {
        self.postures.get(class).copied()
    }
}

/// What was seen in all.
#[derive(Debug, Clone, Default)]
pub(super) struct Watched {
    pub(super) lines: u64,
    pub(super) events: u64,
    pub(super) no_event: u64,
    pub(super) unusable: u64,
    samples: Vec<Unusable>,
    pub(super) reported: BTreeMap<Place, Reported>,
    /// Rules of whose class an event was replayed.
    pub(super) replayed: BTreeSet<Place>,
    /// Classes in which files without a path were used and let pass, though posture block would deny
    /// them as soon as a rule of the class can deny.
    pub(super) without_path: BTreeSet<Class>,
    pub(super) workloads: BTreeMap<String, Of>,
}

/// How many lines that can't be used are kept.
const SAMPLES: usize = 10;

impl Watched {
    pub(super) fn unusable(&mut self, line: u64, error: String) {
        self.unusable += 1;
        self.samples.push(Unusable { line, error });
        if self.samples.len() > 2 * SAMPLES {
            self.samples.sort();
            self.samples.truncate(SAMPLES);
        }
    }

    pub(super) fn into_samples(mut self) -> Vec<Unusable> {
        self.samples.sort();
        self.samples.truncate(SAMPLES);
        self.samples
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        self.events += other.events;
        self.no_event += other.no_event;
        self.unusable += other.unusable;
        self.samples.extend(other.samples);
        self.replayed.extend(other.replayed);
        self.without_path.extend(other.without_path);
        for (place, reported) in other.reported {
            match self.reported.get_mut(&place) {
                Some(own) => own.add(reported),
                None => {
                    self.reported.insert(place, reported);
                }
            }
        }
        for (name, theirs) in other.workloads {
            let Some(own) = self.workloads.get_mut(&name) else {
                self.workloads.insert(name, theirs);
                continue;
            };
            own.replayed.extend(theirs.replayed);
            for (class, reported) in theirs.outside {
                match own.outside.get_mut(&class) {
                    Some(own) => own.add(reported),
                    None => {
                        own.outside.insert(class, reported);
                    }
                }
            }
        }
    }
}

/// The policies of one workload, and what was seen of it.
struct Applied {
    name: String,
    explainer: Explainer,
    of: Of,
    reported: BTreeMap<RuleId, Reported>,
    without_path: BTreeSet<Class>,
}

impl Applied {
    fn new(
        policies: &PolicySet,
        workload: &Workload,
        config: &Config,
    ) -> Result<Self, CompileError> {
        let explainer = Explainer::new(&policies.select(workload), config)?;
        let allowing = explainer.rules().iter();
        let allowing = allowing.filter(|rule| rule.action == Action::Allow);
        let of = Of {
            namespace: workload.namespace().map(str::to_owned),
            allow_list: allowing.map(|rule| rule.class).collect(),
            postures: POSTURES
                .iter()
                .filter_map(|(name, classes)| {
                    let class = classes.first()?;
                    Some((*name, explainer.posture(*class)))
                })
                .collect(),
            ..Of::default()
        };
        Ok(Self {
            name: workload_name(workload),
            explainer,
            of,
            reported: BTreeMap::new(),
            without_path: BTreeSet::new(),
        })
    }

    fn judge(&mut self, line: u64, event: &Event<'_>) {
        let class = event.operation.class();
        self.of.replayed.insert(class);
        let decision = self.explainer.compiled().decide(event);
        let path = event.operation.file();
        let has_no_path = path.is_some_and(|path| path.bytes().is_none() && !path.is_nameless());
        if has_no_path && decision.verdict == Verdict::Allow {
            // Nothing could be denied so far: the posture doesn't count yet.
            if self.explainer.posture(class) == Verdict::Block {
                self.without_path.insert(class);
            }
            return;
        }
        if decision.verdict != Verdict::Audit {
            return;
        }
        let explanation = self.explainer.explain(event);
        let mut decided = false;
        for matched in &explanation.matched {
            match matched.effect {
                Effect::Watch => report(&mut self.reported, matched.rule, line, event),
                Effect::Grant | Effect::Deny => decided = true,
                Effect::Silent => {}
            }
        }
        if !decided && (explanation.allow_list || has_no_path) {
            report(&mut self.of.outside, class, line, event);
        }
    }

    fn into_watched(self, watched: &mut Watched) {
        for rule in self.explainer.rules() {
            if rule.action == Action::Audit && self.of.replayed.contains(&rule.class) {
                watched.replayed.insert(Place::of(rule));
            }
        }
        watched.without_path.extend(self.without_path);
        let reported = self.reported.into_iter().filter_map(|(id, reported)| {
            let rule = self.explainer.rule(id)?;
            Some((Place::of(rule), reported))
        });
        let part = Watched {
            reported: reported.collect(),
            workloads: BTreeMap::from([(self.name, self.of)]),
            ..Watched::default()
        };
        watched.merge(part);
    }
}

/// One thread's work.
pub(super) struct Judge<'p> {
    policies: &'p PolicySet,
    config: &'p Config,
    workload: &'p Workload,
    /// By what tells owners apart; by nothing for the workload of records that name none.
    known: HashMap<Box<[u8]>, Result<Applied, String>>,
    owner_key: Vec<u8>,
    watched: Watched,
}

/// Beyond any cluster's workloads it is the records that make them up.
const WORKLOADS: usize = 10_000;

impl<'p> Judge<'p> {
    pub(super) fn new(policies: &'p PolicySet, workload: &'p Workload, config: &'p Config) -> Self {
        Self {
            policies,
            config,
            workload,
            known: HashMap::new(),
            owner_key: Vec::new(),
            watched: Watched::default(),
        }
    }

    /// Whether the default workload's policies can be compiled.
    pub(super) fn check(&self) -> Result<(), CompileError> {
        Applied::new(self.policies, self.workload, self.config).map(|_| ())
    }

    fn occurrence(&mut self, line: u64, occurrence: &Occurrence<'_>) {
        let owner = &occurrence.owner;
        let is_known = owner.kind != Kind::Unknown;
        if is_known {
            owner.key(&mut self.owner_key);
        } else {
            self.owner_key.clear();
        }
        if !self.known.contains_key(self.owner_key.as_slice()) {
            if self.known.len() >= WORKLOADS {
                self.settle();
            }
            let applied = if is_known {
                owner
                    .workload()
                    .and_then(|workload| self.applied(&workload))
            } else {
                self.applied(self.workload)
            };
            let key = self.owner_key.as_slice().into();
            self.known.insert(key, applied);
        }
        match self.known.get_mut(self.owner_key.as_slice()) {
            Some(Ok(applied)) => {
                for event in std::iter::once(&occurrence.event).chain(&occurrence.also) {
                    applied.judge(line, event);
                    self.watched.events += 1;
                }
            }
            Some(Err(error)) => {
                let error = error.clone();
                self.watched.unusable(line, error);
            }
            None => {}
        }
    }

    fn applied(&self, workload: &Workload) -> Result<Applied, String> {
        Applied::new(self.policies, workload, self.config).map_err(|error| error.to_string())
    }

    /// Adds up what was seen of each workload.
    fn settle(&mut self) {
        for applied in std::mem::take(&mut self.known).into_values().flatten() {
            applied.into_watched(&mut self.watched);
        }
    }
}

impl Taker for Judge<'_> {
    type Part = Watched;

    fn line(&mut self) {
        self.watched.lines += 1;
    }

    fn told(&mut self, at: At<'_>, told: Result<Told<'_>, String>) {
        match told {
            Ok(Told::Partial) => {}
            Ok(Told::NoEvent) => self.watched.no_event += 1,
            Err(error) => self.watched.unusable(at.line, error),
            Ok(Told::Event(occurrence)) => self.occurrence(at.line, &occurrence),
        }
    }

    fn finish(mut self) -> Watched {
        self.settle();
        self.watched
    }
}
