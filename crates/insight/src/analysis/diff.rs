//! What changes between two policies for one workload.

use std::collections::{BTreeMap, HashMap, HashSet};

use gambeson_policy_model::{
    Action, Cause, Class, Decision, Event, EventPath, Object, Operation, Rule, RuleId, Verdict,
};

use super::AnalysisLimits;
use super::elsewhere::{representatives, unnamed};
use super::joint::{Cell, Ends, Joint, joint};
use super::nfa::{Dfa, Nfa};
use super::variants::{readable, source_text, variants};
use super::walk::{Go, TooLarge, walk};
use crate::explain::Explainer;
use crate::matching::DIRECTORY;

/// Which programs a difference is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Programs {
    /// Every program.
    Any,
    /// Those that no rule around the object names, at least.
    Unnamed,
    /// That of the witness, at least, and none that no rule names.
    Named,
}

/// A class of events that two policies decide otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// One of the events.
    pub witness: Event<'static>,
    /// By which programs.
    pub programs: Programs,
    /// The decision before.
    pub before: Decision,
    /// The decision after.
    pub after: Decision,
}

/// What changes between two policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diff {
    /// Every class of events that changes: one for each operation, pair of verdicts and pair of
    /// deciding rules.
    pub differences: Vec<Difference>,
    /// Whether these are all. Where they aren't, a limit was met.
    pub complete: bool,
}

impl Diff {
    /// Whether both policies decide every event alike.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.complete && self.differences.is_empty()
    }
}

/// Compares two policies for one workload.
///
/// ```
/// use gambeson_insight::analysis::{AnalysisLimits, diff};
/// use gambeson_insight::explain::Explainer;
/// use gambeson_matcher::Config;
/// use gambeson_policy_model::{PolicySet, Verdict, Workload};
/// let explainer = |rules: &str| -> Result<Explainer, Box<dyn std::error::Error>> {
///     let policies = PolicySet::from_str(&format!("
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: {{name: web}}
/// spec: {{file: {rules}}}
/// "))?;
///     let selection = policies.select(&Workload::pod("default"));
///     Ok(Explainer::new(&selection, &Config::default())?)
/// };
/// let before = explainer("{matchPatterns: [{pattern: /etc/*.key}]}")?;
/// let after = explainer("{matchPatterns: [{pattern: /etc/*.*}]}")?;
/// let found = diff(&before, &after, AnalysisLimits::default());
/// assert!(found.complete && !found.is_equal());
/// for difference in &found.differences {
///     assert_eq!(before.compiled().decide(&difference.witness).verdict, Verdict::Allow);
///     assert_eq!(after.compiled().decide(&difference.witness).verdict, Verdict::Block);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn diff(before: &Explainer, after: &Explainer, limits: AnalysisLimits) -> Diff {
    let sides = [before, after];
    let sources = sides
        .iter()
        .flat_map(|side| side.rules())
        .flat_map(|rule| &rule.sources);
    let mut differ = Differ {
        sides,
        limits,
        fresh: unnamed(sources.map(source_text)),
        found: Vec::new(),
        groups: HashMap::new(),
        replaced: Vec::new(),
        complete: true,
    };
    for class in Class::ALL {
        differ.class(class);
    }
    Diff {
        differences: differ.found,
        complete: differ.complete,
    }
}

/// The operation, and what it comes to before and after.
type Group = (&'static str, [(Verdict, Option<Option<RuleId>>); 2]);

fn decided(decision: Decision) -> (Verdict, Option<Option<RuleId>>) {
    let cause = match decision.cause {
        Cause::Rule(rule) => Some(Some(rule)),
        Cause::Posture => Some(None),
        Cause::None => None,
    };
    (decision.verdict, cause)
}

struct Differ<'e> {
    sides: [&'e Explainer; 2],
    limits: AnalysisLimits,
    /// A name that no source holds.
    fresh: String,
    found: Vec<Difference>,
    groups: HashMap<Group, usize>,
    /// Of each difference, whether its witness has been replaced by one below it.
    replaced: Vec<bool>,
    complete: bool,
}

impl<'e> Differ<'e> {
    fn is_full(&self) -> bool {
        self.found.len() >= self.limits.differences
    }

    fn class(&mut self, class: Class) {
        self.resolvable(class);
        if matches!(class, Class::Process | Class::File) {
            self.unresolvable(class);
        }
    }

    fn resolvable(&mut self, class: Class) {
        let rules = joint(self.sides, class);
        let changed: Vec<usize> = (0..rules.len())
            .filter(|place| rules.get(*place).is_some_and(Joint::is_changed))
            .collect();
        let [before, after] = self.sides.map(|side| side.setting(class));
        let all = before != after;
        if !all && changed.is_empty() {
            return;
        }
        if !matches!(class, Class::Process | Class::File) {
            for operation in representatives(class, rules.iter().map(|joint| joint.rule)) {
                self.object(&[operation], &rules, None);
            }
            return;
        }
        if all {
            let everything: Vec<usize> = (0..rules.len()).collect();
            self.files(class, &rules, &Driver::Everything, &everything);
            return;
        }
        self.changed_files(class, &rules, &changed);
    }

    /// Looks at every path that some rule matches which stands in one policy alone: elsewhere the
    /// same rules match, and decide alike.
    fn changed_files(&mut self, class: Class, rules: &[Joint<'e>], changed: &[usize]) {
        let ends: Vec<Vec<Ends>> = rules
            .iter()
            .map(|joint| Ends::of(&joint.rule.object))
            .collect();
        let meeting = |wanted: &[usize]| -> Vec<usize> {
            let wanted: Vec<&Ends> = wanted
                .iter()
                .filter_map(|place| ends.get(*place))
                .flatten()
                .collect();
            (0..rules.len())
                .filter(|place| {
                    let own = ends.get(*place).into_iter().flatten();
                    own.into_iter()
                        .any(|own| wanted.iter().any(|other| own.may_meet(other)))
                })
                .collect()
        };
        let mut anywhere = Vec::new();
        let mut exact: HashSet<&str> = HashSet::new();
        for place in changed {
            let Some(joint) = rules.get(*place) else {
                continue;
            };
            match &joint.rule.object {
                Object::Path(path) => {
                    if exact.insert(path) && EventPath::from(path.as_str()).is_resolved() {
                        self.object(&operations(class, path.as_bytes()), rules, None);
                    }
                }
                Object::Directory(_) => {
                    let driver = Driver::Rules(vec![*place]);
                    self.files(class, rules, &driver, &meeting(&[*place]));
                }
                _ if ends
                    .get(*place)
                    .into_iter()
                    .flatten()
                    .any(Ends::is_anywhere) =>
                {
                    // Walked together, for each of them goes through all that there is.
                    anywhere.push(*place);
                }
                _ => {
                    let driver = Driver::Rules(vec![*place]);
                    self.files(class, rules, &driver, &meeting(&[*place]));
                }
            }
            if self.is_full() {
                self.complete = false;
                return;
            }
        }
        if !anywhere.is_empty() {
            let meeting = meeting(&anywhere);
            self.files(class, rules, &Driver::Rules(anywhere), &meeting);
        }
    }

    /// Walks the paths of a driver.
    fn files(&mut self, class: Class, rules: &[Joint<'e>], driver: &Driver, meeting: &[usize]) {
        let mut joint = Nfa::default();
        for place in meeting {
            if let Some(of) = rules.get(*place) {
                joint.add(*place as u32, &of.rule.object);
            }
        }
        let mut driving = match driver {
            Driver::Everything => Nfa::everything(),
            Driver::Rules(_) => Nfa::default(),
        };
        if let Driver::Rules(places) = driver {
            for place in places {
                if let Some(of) = rules.get(*place) {
                    driving.add(*place as u32, &of.rule.object);
                }
            }
        }
        let (mut joint, mut driving) = (Dfa::new(joint), Dfa::new(driving));
        let mut judged = HashSet::new();
        let mut states = self.limits.states;
        if self.is_full() {
            states = 0;
        }
        let walked = walk(&mut driving, &mut joint, states, |joint, state, path| {
            let cell: Cell = joint.labels(state);
            if judged.insert(state) {
                let path = path();
                self.object(&operations(class, &path), rules, Some(&cell));
            }
            if self.is_full() {
                Go::Stop
            } else if driver.is_silenced(rules, &cell, path().len()) {
                Go::Around
            } else {
                Go::On
            }
        });
        if walked == Err(TooLarge) || self.is_full() {
            self.complete = false;
        }
    }

    /// An object whose path can't be computed.
    fn unresolvable(&mut self, class: Class) {
        let path = || EventPath::UNRESOLVABLE;
        let operations = match class {
            Class::Process => vec![
                Operation::Exec {
                    path: path(),
                    args: Vec::new(),
                },
                Operation::MapExec { path: path() },
            ],
            _ => vec![
                Operation::Read { path: path() },
                Operation::Write { path: path() },
            ],
        };
        self.object(&operations, &[], None);
    }

    /// Judges all events on one object. Where `cell` is given, the rules that match it.
    fn object(
        &mut self,
        operations: &[Operation<'static>],
        rules: &[Joint<'e>],
        cell: Option<&Cell>,
    ) {
        for operation in operations {
            let around: Vec<&Rule> = match cell {
                Some(cell) => cell
                    .iter()
                    .filter_map(|(place, _)| rules.get(*place as usize))
                    .map(|joint| joint.rule)
                    .collect(),
                None => {
                    let event = Event::new(operation.clone());
                    let found = self.sides.iter().flat_map(|side| side.naming(&event));
                    found.collect()
                }
            };
            self.events(operation, &around);
        }
    }

    fn events(&mut self, operation: &Operation<'static>, around: &[&Rule]) {
        let events = variants(operation, around);
        let mut programs: BTreeMap<usize, HashSet<Vec<u8>>> = BTreeMap::new();
        let mut all: HashSet<Vec<u8>> = HashSet::new();
        for event in &events {
            let source = event.source.bytes().unwrap_or_default().to_vec();
            all.insert(source.clone());
            let [before, after] = self.sides.map(|side| side.compiled().decide(event));
            if before.verdict == after.verdict {
                continue;
            }
            let group = (operation.name(), [decided(before), decided(after)]);
            let place = match self.groups.get(&group).copied() {
                Some(place) => {
                    if self.is_below(place, event) {
                        self.replace(place, event);
                        programs.insert(place, HashSet::new());
                    }
                    place
                }
                None => {
                    if self.is_full() {
                        self.complete = false;
                        return;
                    }
                    self.groups.insert(group, self.found.len());
                    self.replaced.push(false);
                    self.found.push(Difference {
                        witness: readable(event, &self.fresh),
                        programs: Programs::Named,
                        before,
                        after,
                    });
                    programs.insert(self.found.len() - 1, HashSet::new());
                    self.found.len() - 1
                }
            };
            if let Some(programs) = programs.get_mut(&place) {
                programs.insert(source);
            }
        }
        self.name_programs(programs, &all);
    }

    /// Whether the event is on what lies below the witness's path: a file in a directory tells more
    /// than the directory itself. True once for each difference.
    fn is_below(&self, place: usize, event: &Event<'_>) -> bool {
        let witness = self
            .found
            .get(place)
            .and_then(|found| found.witness.operation.file());
        let file = event.operation.file().and_then(EventPath::bytes);
        let rest = witness
            .and_then(EventPath::bytes)
            .and_then(|witness| file?.strip_prefix(witness));
        let root = witness.and_then(EventPath::bytes) == Some(b"/");
        self.replaced.get(place) == Some(&false)
            && rest.is_some_and(|rest| !rest.is_empty() && (root || rest.starts_with(b"/")))
    }

    fn replace(&mut self, place: usize, event: &Event<'static>) {
        if let (Some(found), Some(replaced)) =
            (self.found.get_mut(place), self.replaced.get_mut(place))
        {
            found.witness = readable(event, &self.fresh);
            *replaced = true;
        }
    }

    fn name_programs(
        &mut self,
        programs: BTreeMap<usize, HashSet<Vec<u8>>>,
        all: &HashSet<Vec<u8>>,
    ) {
        for (place, by) in programs {
            if let Some(difference) = self.found.get_mut(place) {
                difference.programs = if by == *all {
                    Programs::Any
                } else if by.contains(crate::explain::UNKNOWN_PROGRAM) {
                    Programs::Unnamed
                } else {
                    Programs::Named
                };
            }
        }
    }
}

/// What can be done to a file.
pub(super) fn operations(class: Class, path: &[u8]) -> [Operation<'static>; 2] {
    let path = || EventPath::new(path.to_vec());
    match class {
        Class::Process => [
            Operation::Exec {
                path: path(),
                args: Vec::new(),
            },
            Operation::MapExec { path: path() },
        ],
        _ => [
            Operation::Read { path: path() },
            Operation::Write { path: path() },
        ],
    }
}

/// Which paths are walked.
enum Driver {
    /// All.
    Everything,
    /// Those that these rules match.
    Rules(Vec<usize>),
}

impl Driver {
    /// Whether the driving rule says nothing from here on down: a directory is silenced by a deeper
    /// one that both policies have, whose rule speaks of every program. `length` is that of the
    /// path, which must be below that directory, and not be it.
    fn is_silenced(&self, rules: &[Joint<'_>], cell: &Cell, length: usize) -> bool {
        let Self::Rules(places) = self else {
            return false;
        };
        let [place] = places.as_slice() else {
            return false;
        };
        let Some(driving) = rules.get(*place).map(|joint| joint.rule) else {
            return false;
        };
        let Object::Directory(directory) = &driving.object else {
            return false;
        };
        if !driving.sources.is_empty() {
            return false;
        }
        let watches = driving.action == Action::Audit;
        cell.iter().any(|(place, (tier, depth))| {
            let Some(other) = rules.get(*place as usize) else {
                return false;
            };
            let everything_below = match &other.rule.object {
                Object::Directory(other) => other.recursive,
                Object::Pattern(_) => true,
                _ => false,
            };
            // A watching rule with conditions may be silent.
            let speaks = if watches {
                other.rule.action == Action::Audit && other.rule.conditions.is_empty()
            } else {
                other.rule.action != Action::Audit
            };
            *tier == DIRECTORY
                && *depth as usize > directory.path.len()
                && length > *depth as usize
                && everything_below
                && other.rule.sources.is_empty()
                && !other.is_changed()
                && speaks
        })
    }
}
