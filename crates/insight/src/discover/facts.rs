//! What was recorded, as far as a policy can tell it apart: memory grows with distinct facts, not with
//! events, and what differs only in names that change from run to run is one fact.

use std::collections::BTreeMap;
use std::sync::Arc;

use gambeson_policy_model::{Capability, Class, Protocol, UnixTime};

use super::names::{Template, Values};

/// How many names of one template are told apart; beyond, only what they have in common is kept.
pub(super) const NAMES: usize = 64;

/// How many programs of one fact are told apart.
const PROGRAMS: usize = 16;

/// What an event is on, as far as rules can tell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Thing {
    Process(Template),
    File(Template),
    Protocol(Protocol),
    Domain(Box<str>),
    Capability(Capability),
}

impl Thing {
    pub(super) const fn class(&self) -> Class {
        match self {
            Self::Process(_) => Class::Process,
            Self::File(_) => Class::File,
            Self::Protocol(_) => Class::Network,
            Self::Domain(_) => Class::Dns,
            Self::Capability(_) => Class::Capabilities,
        }
    }
}

/// A program that a rule can name.
pub(super) type Program = Arc<str>;

/// What one program does with a thing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Uses {
    pub(super) count: u64,
    pub(super) reads: bool,
    pub(super) writes: bool,
}

impl Uses {
    const fn add(&mut self, other: Self) {
        self.count += other.count;
        self.reads |= other.reads;
        self.writes |= other.writes;
    }
}

/// How often something was seen, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) count: u64,
    /// How many of them a policy reported when they were recorded.
    pub(super) audited: u64,
    /// The lines of the first and of the last.
    pub(super) lines: (u64, u64),
    /// The earliest and the latest time, where records have any.
    pub(super) times: Option<(i64, i64)>,
}

impl Seen {
    const fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.audited += other.audited;
        if other.lines.0 < self.lines.0 {
            self.lines.0 = other.lines.0;
        }
        if other.lines.1 > self.lines.1 {
            self.lines.1 = other.lines.1;
        }
        self.times = match (self.times, other.times) {
            (Some((first, last)), Some((earlier, later))) => Some((
                if earlier < first { earlier } else { first },
                if later > last { later } else { last },
            )),
            (times, None) | (None, times) => times,
        };
    }
}

/// A time as text, to the second.
pub(super) fn time(seconds: i64) -> String {
    let time = UnixTime {
        seconds,
        microseconds: 0,
    };
    time.to_string().replace(".000000Z", "Z")
}

/// Who does what with a thing, how often and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) seen: Seen,
    /// By program; `None` is a program that isn't known or that no rule can name.
    pub(super) programs: BTreeMap<Option<Program>, Uses>,
    /// What more programs do than are told apart; then none is.
    pub(super) many: Option<Uses>,
    /// The smallest path; empty for what isn't a file.
    pub(super) example: Box<str>,
}

impl Evidence {
    pub(super) fn of(seen: Seen, program: Option<Program>, uses: Uses, example: Box<str>) -> Self {
        Self {
            example,
            seen,
            programs: BTreeMap::from([(program, uses)]),
            many: None,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.seen.add(&other.seen);
        if other.example < self.example {
            self.example = other.example.clone();
        }
        for (program, uses) in &other.programs {
            match (&mut self.many, self.programs.get_mut(program)) {
                (Some(many), _) => many.add(*uses),
                (None, Some(known)) => known.add(*uses),
                (None, None) => {
                    self.programs.insert(program.clone(), *uses);
                }
            }
        }
        if let Some(uses) = other.many {
            self.forget(uses);
        } else if self.programs.len() > PROGRAMS {
            self.forget(Uses::default());
        }
    }

    fn forget(&mut self, more: Uses) {
        let mut many = self.many.unwrap_or_default();
        many.add(more);
        for uses in std::mem::take(&mut self.programs).values() {
            many.add(*uses);
        }
        self.many = Some(many);
    }

    /// What all programs do together.
    pub(super) fn uses(&self) -> Uses {
        let mut all = self.many.unwrap_or_default();
        for uses in self.programs.values() {
            all.add(*uses);
        }
        all
    }

    /// The programs, where every one of them is known and can be named.
    pub(super) fn named(&self) -> Option<Vec<Program>> {
        if self.many.is_some() {
            return None;
        }
        self.programs.keys().cloned().collect()
    }
}

/// The names of one template, with the evidence of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) known: BTreeMap<Values, Evidence>,
    pub(super) common: Option<Common>,
}

/// What more names have in common than are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Common {
    /// The values in which no two differ.
    pub(super) values: Box<[Option<Box<str>>]>,
    pub(super) evidence: Evidence,
}

impl Common {
    fn of(values: &Values, evidence: Evidence) -> Self {
        Self {
            values: values.iter().cloned().map(Some).collect(),
            evidence,
        }
    }

    fn add(&mut self, values: &[Option<Box<str>>], evidence: &Evidence) {
        for (own, other) in self.values.iter_mut().zip(values) {
            if own != other {
                *own = None;
            }
        }
        self.evidence.add(evidence);
    }
}

impl Names {
    pub(super) fn of(values: Values, evidence: Evidence) -> Self {
        Self {
            known: BTreeMap::from([(values, evidence)]),
            common: None,
        }
    }

    pub(super) fn add(&mut self, values: &Values, evidence: &Evidence) {
        if let Some(common) = &mut self.common {
            let constant: Box<[_]> = values.iter().cloned().map(Some).collect();
            return common.add(&constant, evidence);
        }
        match self.known.get_mut(values) {
            Some(known) => known.add(evidence),
            None => {
                self.known.insert(values.clone(), evidence.clone());
            }
        }
        if self.known.len() > NAMES {
            self.forget();
        }
    }

    fn merge(&mut self, other: Self) {
        for (values, evidence) in &other.known {
            self.add(values, evidence);
        }
        let Some(theirs) = other.common else {
            return;
        };
        self.forget();
        match &mut self.common {
            None => self.common = Some(theirs),
            Some(common) => common.add(&theirs.values, &theirs.evidence),
        }
    }

    /// Keeps only what the names have in common.
    fn forget(&mut self) {
        for (values, evidence) in std::mem::take(&mut self.known) {
            match &mut self.common {
                None => self.common = Some(Common::of(&values, evidence)),
                Some(common) => {
                    let constant: Box<[_]> = values.iter().cloned().map(Some).collect();
                    common.add(&constant, &evidence);
                }
            }
        }
    }

    pub(super) fn evidence(&self) -> impl Iterator<Item = &Evidence> {
        let common = self.common.iter().map(|common| &common.evidence);
        self.known.values().chain(common)
    }
}

/// Everything that was recorded of one workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts(pub(super) BTreeMap<Thing, Names>);

impl Facts {
    pub(super) fn add(&mut self, thing: Thing, values: Values, evidence: Evidence) {
        match self.0.get_mut(&thing) {
            Some(names) => names.add(&values, &evidence),
            None => {
                self.0.insert(thing, Names::of(values, evidence));
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (thing, names) in other.0 {
            match self.0.get_mut(&thing) {
                Some(own) => own.merge(names),
                None => {
                    self.0.insert(thing, names);
                }
            }
        }
    }

    /// What was seen of all.
    pub(super) fn seen(&self) -> Option<Seen> {
        let mut all: Option<Seen> = None;
        for evidence in self.0.values().flat_map(Names::evidence) {
            match &mut all {
                Some(all) => all.add(&evidence.seen),
                None => all = Some(evidence.seen),
            }
        }
        all
    }

    /// How many facts are kept.
    pub(super) fn kept(&self) -> usize {
        let names = |names: &Names| names.known.len() + usize::from(names.common.is_some());
        self.0.values().map(names).sum()
    }
}
