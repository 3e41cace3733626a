//! Least-privilege drafts from recorded events: one KubeArmorPolicy for each workload.
//!
//! A draft allows what was recorded, and more only by stated rules ([`Reason`]), each of which is
//! listed with what it allows in addition ([`Generalisation`]). Every rule carries what it rests on as
//! a comment: how often it was seen, when, and by which programs. What a policy can't say is left out,
//! counted, and told with the reason.
//!
//! What is drafted depends neither on the order of events nor on the number of threads. Memory grows
//! with what a policy can tell apart, not with events.
//!
//! ```
//! use gambeson_insight::discover::Discoverer;
//! use gambeson_policy_model::Workload;
//! let recorded = br#"{"op":"exec","path":"/usr/bin/node","source":"/usr/bin/runc"}
//! {"op":"read","path":"/proc/17/status","source":"/usr/bin/node"}
//! "#;
//! let web = Workload::pod("shop").label("app", "web");
//! let found = Discoverer::new(&web).discover(&recorded[..], 1, |_| ())?;
//! let draft = &found.drafts[0];
//! assert!(draft.yaml.contains("- pattern: \"/proc/[0-9]*/status\"\n        readOnly: true\n"));
//! assert!(draft.generalisations.iter().any(|found| found.reason.name() == "pid"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod beyond;
mod directories;
mod draft;
mod facts;
mod gather;
mod names;
mod report;
mod times;
mod verify;
mod yaml;

use std::collections::BTreeMap;
use std::io::{self, Read};

use gambeson_matcher::CompileError;
use gambeson_policy_model::{Class, InvalidPolicies, PolicySet, Workload};
use thiserror::Error;

pub use beyond::{ALWAYS_ALLOWED, Generalisation};
pub use gather::LeftOut;
pub use names::Reason;

use crate::replay::{TOO_LONG, Unusable, take};
use facts::Facts;
use gather::{Gatherer, Subject, Tally};

/// The classes that drafts speak of.
const DRAFTED: [Class; 5] = [
    Class::Process,
    Class::File,
    Class::Network,
    Class::Dns,
    Class::Capabilities,
];

/// Makes drafts of recorded events.
#[derive(Debug, Clone)]
pub struct Discoverer {
    workload: Subject,
    audit: bool,
}

/// Why no draft can be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiscoverError {
    /// The stream can't be read.
    #[error("the events can't be read: {0}")]
    Read(#[from] io::Error),
    /// The draft can't be read back; a workload's label or namespace may be none.
    #[error("the draft can't be read back: {0}")]
    Invalid(#[from] InvalidPolicies),
    /// The draft can't be compiled.
    #[error("the draft can't be compiled: {0}; split the events by workload")]
    Compile(#[from] CompileError),
    /// Rules that get in each other's way however little they generalise.
    #[error("no draft allows what it was made of; split the events by workload")]
    Unsettled,
}

/// The draft of one workload.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Draft {
    /// The workload, without what changes with every roll-out.
    pub workload: Workload,
    /// The policy's name.
    pub name: String,
    /// The policy.
    pub yaml: String,
    /// What it rests on, rule by rule.
    pub rules: Vec<DraftedRule>,
    /// What it allows that wasn't recorded, besides [`ALWAYS_ALLOWED`].
    pub generalisations: Vec<Generalisation>,
}

/// A rule of a draft, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DraftedRule {
    /// Its fields, such as `file.matchPaths[0]`; two in an audit draft where writing is reported.
    pub fields: Vec<String>,
    /// What it matches, as it is written.
    pub object: String,
    /// Whether writing isn't allowed.
    pub read_only: bool,
    /// The programs it is confined to; empty for any.
    pub sources: Vec<String>,
    /// How many events.
    pub count: u64,
    /// How many of them a policy reported when they were recorded.
    pub audited: u64,
    /// The lines of the first and of the last.
    pub lines: (u64, u64),
    /// The earliest and the latest time, such as `2026-11-23T08:15:30Z`, where records tell any.
    pub times: Option<(String, String)>,
    /// The programs that were seen, and how often each; empty where they were too many.
    pub programs: BTreeMap<String, u64>,
}

/// What came of a stream of events.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Discovery {
    /// A draft for each workload, by namespace and labels.
    pub drafts: Vec<Draft>,
    /// The drafts as policies.
    pub policies: PolicySet,
    /// Lines that aren't blank.
    pub lines: u64,
    /// Events.
    pub events: u64,
    /// Records of what no rule judges.
    pub no_event: u64,
    /// How many lines can't be used.
    pub unusable: u64,
    /// The first of them.
    pub samples: Vec<Unusable>,
    /// What records left open, and how often.
    pub assumed: BTreeMap<&'static str, u64>,
    /// Events that no draft speaks of, by the reason; a policy may deny them.
    pub left_out: BTreeMap<&'static str, LeftOut>,
    /// Events that are allowed without a rule, by the reason.
    pub no_rule: BTreeMap<&'static str, u64>,
    /// How many facts the events came to: what memory grows with.
    pub facts: usize,
}

impl Discoverer {
    /// `workload` is that of records which name none.
    #[must_use]
    pub fn new(workload: &Workload) -> Self {
        Self {
            workload: Subject::of(workload),
            audit: false,
        }
    }

    /// Drafts for the default posture audit: nothing is denied, and what wasn't recorded is reported.
    #[must_use]
    pub const fn audit(mut self, audit: bool) -> Self {
        self.audit = audit;
        self
    }

    /// Makes drafts of everything that a stream holds, read on so many threads. `progress` is told
    /// how many bytes have been read.
    ///
    /// # Errors
    /// When the stream can't be read, or the drafts can't be compiled.
    pub fn discover(
        &self,
        stream: impl Read,
        threads: usize,
        progress: impl FnMut(u64),
    ) -> Result<Discovery, DiscoverError> {
        let new = || Gatherer::new(&self.workload);
        let (parts, too_long) = take(stream, threads, progress, new)?;
        let mut tally = Tally::default();
        let mut facts: BTreeMap<Subject, Facts> = BTreeMap::new();
        for part in parts {
            tally.merge(part.tally);
            for (subject, of) in part.facts {
                facts.entry(subject).or_default().merge(of);
            }
        }
        for line in too_long {
            tally.unusable(line, TOO_LONG.to_owned());
        }
        self.draft(&joined(facts), tally)
    }

    fn draft(
        &self,
        facts: &BTreeMap<Subject, Facts>,
        mut tally: Tally,
    ) -> Result<Discovery, DiscoverError> {
        let verified = verify::drafts(facts, self.audit)?;
        for what in verified.denied {
            tally
                .left_out
                .entry(verify::DENIED)
                .or_default()
                .add(0, what);
        }
        tally.finish();
        Ok(Discovery {
            drafts: verified.candidates.into_iter().map(report::draft).collect(),
            policies: verified.policies,
            lines: tally.lines,
            events: tally.events,
            no_event: tally.no_event,
            unusable: tally.unusable,
            samples: tally.samples,
            assumed: tally.assumed,
            left_out: tally.left_out,
            no_rule: tally.no_rule,
            facts: facts.values().map(Facts::kept).sum(),
        })
    }
}

/// One subject for a pod of which some records don't name the container, and one for the host.
fn joined(facts: BTreeMap<Subject, Facts>) -> BTreeMap<Subject, Facts> {
    let hosts = facts.keys().filter(|subject| subject.namespace.is_none());
    let mut host_labels: Option<BTreeMap<String, String>> = None;
    for host in hosts {
        match &mut host_labels {
            // Some formats tell of no labels.
            _ if host.labels.is_empty() => {}
            None => host_labels = Some(host.labels.clone()),
            Some(common) => common.retain(|key, value| host.labels.get(key) == Some(value)),
        }
    }
    let without: Vec<Subject> = facts
        .keys()
        .filter(|subject| subject.container.is_none())
        .cloned()
        .collect();
    let mut joined: BTreeMap<Subject, Facts> = BTreeMap::new();
    for (mut subject, of) in facts {
        if subject.namespace.is_none() {
            subject.labels = host_labels.clone().unwrap_or_default();
        } else {
            let whole = Subject {
                container: None,
                ..subject.clone()
            };
            if without.contains(&whole) {
                subject = whole;
            }
        }
        joined.entry(subject).or_default().merge(of);
    }
    joined
}
