//! From reports to denials: what stayed quiet over a replay becomes strict.
//!
//! An Audit rule that reported nothing becomes a Block, in the file where it stands, which stays as it
//! is apart from that. A class in allow-list mode whose posture is audit, and in which nothing came up
//! that no rule allows, takes posture block, in the workload's file where one is given. Whatever isn't
//! promoted is named with the reason: what was reported, that nothing of the sort was replayed, or
//! that the change would do more than deny.
//!
//! No replayed event comes to another verdict by what is promoted. All files change or none does
//! ([`apply`]), and there is a way back to the very bytes ([`undo`]).

mod journal;
mod judge;
mod posture;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use gambeson_matcher::{CompileError, Config};
use gambeson_policy_model::{
    Action, Class, Diagnostic, EditError, InvalidPolicies, Policy, PolicySet, ReadError, Reader,
    RulePlace, Verdict, Workload, WorkloadError,
};
use thiserror::Error;

pub use journal::{JournalError, apply, journal_path, undo};
pub use posture::{PostureEditError, set_postures};

use crate::replay::{TOO_LONG, Unusable, take};
use judge::{Judge, Place, Watched};

/// Promotes what stays quiet over a replay.
#[derive(Debug, Clone)]
pub struct Promoter {
    reader: Reader,
    policies: PolicySet,
    /// What was read of each rule: its file, document and field.
    places: BTreeMap<Place, (PathBuf, RulePlace)>,
    texts: BTreeMap<PathBuf, String>,
    workload: Workload,
    /// The workload's file, and its text.
    workload_file: Option<(PathBuf, String)>,
    config: Config,
}

/// Why nothing can be promoted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PromoteError {
    /// Policies that can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Policies with errors.
    #[error(transparent)]
    Invalid(#[from] InvalidPolicies),
    /// A file that can't be read.
    #[error("`{}` can't be read: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A workload's file that describes none.
    #[error("`{}`: {error}", path.display())]
    Workload {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: WorkloadError,
    },
    /// Policies that can't be compiled.
    #[error("the policies can't be compiled: {0}")]
    Compile(#[from] CompileError),
    /// The events can't be read.
    #[error("the events can't be read: {0}")]
    Events(#[from] io::Error),
    /// Actions that can't be changed in place.
    #[error("`{}`: {error}", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        error: EditError,
    },
    /// A posture that can't be changed in place.
    #[error("`{}`: {error}", path.display())]
    Posture {
        /// The workload's file.
        path: PathBuf,
        /// Why.
        error: PostureEditError,
    },
}

/// A rule or posture that stays as it is, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Held {
    /// It reported events.
    Reported {
        /// How many.
        count: u64,
        /// The line of the first.
        line: u64,
        /// The first, as a line of events.
        example: String,
    },
    /// No event of its class was replayed for a workload that it applies to.
    NotReplayed,
    /// As a Block it would also grant, where its conditions hold.
    WouldGrant,
    /// Files without a path were used, which posture block denies as soon as a rule can deny.
    WithoutPath,
}

/// An Audit rule, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRule {
    /// The rule: file, line, field and policy.
    pub rule: String,
    /// Why it stays; `None` where it becomes a Block.
    pub held: Option<Held>,
}

/// A default posture in allow-list mode that is audit, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditPosture {
    /// The workload: namespace, labels and container.
    pub workload: String,
    /// Its namespace; `None` for the host.
    pub namespace: Option<String>,
    /// `file`, `network` or `capabilities`.
    pub class: &'static str,
    /// Why it stays; `None` where it can become block.
    pub held: Option<Held>,
    /// Whether it is written in the workload's file, and so changed there.
    pub in_file: bool,
}

/// A file, and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileEdit {
    /// The file.
    pub path: PathBuf,
    /// Its text before.
    pub before: String,
    /// Its text after.
    pub after: String,
}

impl FileEdit {
    /// A file, its text before and its text after.
    #[must_use]
    pub fn new(
        path: impl Into<PathBuf>,
        before: impl Into<String>,
        after: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            before: before.into(),
            after: after.into(),
        }
    }
}

/// What came of a replay.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Promotion {
    /// Every Audit rule, by file and line.
    pub rules: Vec<AuditRule>,
    /// Every default posture that is audit, of classes in allow-list mode.
    pub postures: Vec<AuditPosture>,
    /// What the files become.
    pub edits: Vec<FileEdit>,
    /// Lines that aren't blank.
    pub lines: u64,
    /// Events that were replayed.
    pub events: u64,
    /// Records of what no rule judges.
    pub no_event: u64,
    /// How many lines can't be used.
    pub unusable: u64,
    /// The first of them.
    pub samples: Vec<Unusable>,
}

/// The classes of each posture.
const POSTURES: [(&str, &[Class]); 3] = [
    ("file", &[Class::Process, Class::File]),
    ("network", &[Class::Network, Class::Dns]),
    ("capabilities", &[Class::Capabilities]),
];

impl Promoter {
    /// Reads policies, files and folders. `workload` is that of records which name none.
    ///
    /// # Errors
    /// When they can't be read, or have errors.
    pub fn read(
        reader: Reader,
        paths: &[PathBuf],
        workload: Workload,
    ) -> Result<Self, PromoteError> {
        let mut reading = gambeson_policy_model::Reading::default();
        let mut named = BTreeSet::new();
        for path in paths {
            if named.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                reading.extend(reader.read_path(path)?);
            }
        }
        let mut places = BTreeMap::new();
        let mut texts: BTreeMap<PathBuf, String> = BTreeMap::new();
        for document in reading.documents() {
            let path = PathBuf::from(&*document.file);
            for rule in document.policy.iter().flat_map(Policy::rules) {
                let place = Place::of(rule);
                places.insert(place, (path.clone(), (document.index, rule.field_path())));
            }
        }
        for (path, _) in places.values() {
            if !texts.contains_key(path) {
                texts.insert(path.clone(), text_of(path)?);
            }
        }
        Ok(Self {
            reader,
            policies: reading.into_set()?,
            places,
            texts,
            workload,
            workload_file: None,
            config: Config::default(),
        })
    }

    /// Takes the workload from a file, in which postures are promoted, too.
    ///
    /// # Errors
    /// When the file can't be read, or describes no workload.
    pub fn workload_file(mut self, path: &Path) -> Result<Self, PromoteError> {
        let text = text_of(path)?;
        self.workload = Workload::from_json(&text).map_err(|error| PromoteError::Workload {
            path: path.to_owned(),
            error,
        })?;
        self.workload_file = Some((path.to_owned(), text));
        Ok(self)
    }

    /// Compiles policies so.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The warnings of the policies.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        self.policies.warnings()
    }

    /// Replays a stream on so many threads, and says what can be promoted. Changes no file.
    ///
    /// # Errors
    /// When the stream can't be read, policies can't be compiled, or a file can't be changed in place.
    pub fn replay(
        &self,
        stream: impl Read,
        threads: usize,
        progress: impl FnMut(u64),
    ) -> Result<Promotion, PromoteError> {
        let new = || Judge::new(&self.policies, &self.workload, &self.config);
        // Whether the default workload's policies compile is better known before.
        new().check()?;
        let (parts, too_long) = take(stream, threads, progress, new)?;
        let mut watched = Watched::default();
        for part in parts {
            watched.merge(part);
        }
        for line in too_long {
            watched.unusable(line, TOO_LONG.to_owned());
        }
        self.promotion(watched)
    }

    fn promotion(&self, watched: Watched) -> Result<Promotion, PromoteError> {
        let mut promotion = Promotion {
            lines: watched.lines,
            events: watched.events,
            no_event: watched.no_event,
            unusable: watched.unusable,
            ..Promotion::default()
        };
        let mut wanted: BTreeMap<&PathBuf, BTreeSet<RulePlace>> = BTreeMap::new();
        let rules = self.policies.policies().iter().flat_map(Policy::rules);
        let rules: Vec<_> = rules.collect();
        for rule in &rules {
            if rule.action != Action::Audit || rule.class == Class::Syscalls {
                continue;
            }
            let place = Place::of(rule);
            let held = if let Some(reported) = watched.reported.get(&place) {
                Some(reported.held())
            } else if !watched.replayed.contains(&place) {
                Some(Held::NotReplayed)
            } else if watched.without_path.contains(&rule.class) {
                Some(Held::WithoutPath)
            } else if !rule.conditions.is_empty()
                && !rules.iter().any(|other| {
                    // Whatever this one would grant, that one grants.
                    other.action == Action::Allow
                        && other.conditions.is_empty()
                        && other.class == rule.class
                        && other.object == rule.object
                        && other.sources == rule.sources
                        && other.policy == rule.policy
                })
            {
                Some(Held::WouldGrant)
            } else {
                None
            };
            if held.is_none()
                && let Some((path, place)) = self.places.get(&place)
            {
                wanted.entry(path).or_default().insert(place.clone());
            }
            promotion.rules.push(AuditRule {
                rule: gambeson_policy_model::RuleInfo::from(*rule).to_string(),
                held,
            });
        }
        for (path, places) in wanted {
            let Some(before) = self.texts.get(path) else {
                continue;
            };
            let after = self.reader.set_actions(before, &places, Action::Block);
            promotion.edits.push(FileEdit {
                path: path.clone(),
                before: before.clone(),
                after: after.map_err(|error| PromoteError::Edit {
                    path: path.clone(),
                    error,
                })?,
            });
        }
        self.postures(&watched, &mut promotion)?;
        promotion.samples = watched.into_samples();
        Ok(promotion)
    }

    fn postures(&self, watched: &Watched, promotion: &mut Promotion) -> Result<(), PromoteError> {
        let own = crate::replay::workload_name(&self.workload);
        let mut changed = Vec::new();
        for (name, workload) in &watched.workloads {
            for (class, classes) in POSTURES {
                let open = classes
                    .iter()
                    .filter(|class| workload.allow_list.contains(class));
                let open: Vec<&Class> = open.collect();
                if open.is_empty() || workload.posture(class) != Some(Verdict::Audit) {
                    continue;
                }
                let outside = classes
                    .iter()
                    .filter_map(|class| workload.outside.get(class));
                let mut outside: Vec<_> = outside.collect();
                outside.sort_by_key(|reported| reported.line);
                let held = match outside.split_first() {
                    Some((first, rest)) => {
                        let mut all = (*first).clone();
                        all.count += rest.iter().map(|more| more.count).sum::<u64>();
                        Some(all.held())
                    }
                    None if open.iter().any(|class| !workload.replayed.contains(class)) => {
                        Some(Held::NotReplayed)
                    }
                    None => None,
                };
                let in_file = *name == own && self.workload_file.is_some();
                if held.is_none() && in_file {
                    changed.push(class);
                }
                promotion.postures.push(AuditPosture {
                    workload: name.clone(),
                    namespace: workload.namespace.clone(),
                    class,
                    held,
                    in_file,
                });
            }
        }
        if let Some((path, before)) = &self.workload_file
            && !changed.is_empty()
        {
            let after = set_postures(before, &changed, Verdict::Block);
            promotion.edits.push(FileEdit {
                path: path.clone(),
                before: before.clone(),
                after: after.map_err(|error| PromoteError::Posture {
                    path: path.clone(),
                    error,
                })?,
            });
        }
        Ok(())
    }
}

fn text_of(path: &Path) -> Result<String, PromoteError> {
    std::fs::read_to_string(path).map_err(|error| PromoteError::File {
        path: path.to_owned(),
        error,
    })
}
