//! Rules that do nothing, contradict each other, or can be walked around.

use std::collections::{BTreeMap, HashSet};

use gambeson_policy_model::{
    Action, Class, Event, EventPath, Object, Operation, Rule, RuleId, Token,
};

use super::AnalysisLimits;
use super::bypass::{Bypass, bypasses};
use super::diff::operations;
use super::elsewhere::{representatives, unnamed};
use super::joint::Ends;
use super::nfa::{Dfa, Nfa};
use super::variants::{readable, source_text, variants};
use super::walk::{Go, TooLarge, walk};
use crate::explain::{Explainer, Explanation};
use crate::matching::Effect;
use crate::steps::{Standing, Step};

/// How many rules are named as those that a rule loses to.
const NAMED: usize = 3;

/// A rule that never wins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeverWins {
    /// The rule.
    pub rule: RuleId,
    /// Rules that it loses to or that say the same and go first; at most three. None where it matches
    /// nothing that an event can carry.
    pub by: Vec<RuleId>,
    /// An event that it matches.
    pub witness: Option<Event<'static>>,
    /// Whether it only ever says what the rules in `by` say.
    pub redundant: bool,
}

/// An Allow that a Block of the same rank overrules.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The Allow.
    pub allow: RuleId,
    /// The Block.
    pub block: RuleId,
    /// An event on which they contradict each other.
    pub witness: Event<'static>,
}

/// What is doubtful in the rules of a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// Rules that never win, whatever happens.
    pub never_wins: Vec<NeverWins>,
    /// Allow rules that Block rules of the same rank overrule.
    pub conflicts: Vec<Conflict>,
    /// Allow rules that change no verdict but by switching on the allow-list mode of their class.
    pub allow_list_only: Vec<RuleId>,
    /// Known ways around Block rules.
    pub bypasses: Vec<Bypass>,
    /// For each rule that wins, an event that it wins; a rule's place is its id.
    pub winning: Vec<Option<Event<'static>>>,
    /// Rules of which it could not be decided whether they win: a limit was met.
    pub undecided: Vec<RuleId>,
}

impl Check {
    /// Whether nothing is doubtful.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.never_wins.is_empty()
            && self.conflicts.is_empty()
            && self.allow_list_only.is_empty()
            && self.bypasses.is_empty()
            && self.undecided.is_empty()
    }
}

/// What is known of one rule.
#[derive(Debug, Clone, Default)]
struct Known {
    wins: Option<Event<'static>>,
    /// An Allow changes some verdict, even where its class stays in allow-list mode without it.
    matters: bool,
    /// By rule, whether that puts this one out.
    others: BTreeMap<RuleId, bool>,
    matches: Option<Event<'static>>,
    undecided: bool,
}

/// Checks the rules of a workload.
///
/// ```
/// use gambeson_insight::analysis::{AnalysisLimits, check};
/// use gambeson_insight::explain::Explainer;
/// use gambeson_matcher::Config;
/// use gambeson_policy_model::{PolicySet, RuleId, Workload};
/// let policies = PolicySet::from_str("
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: {name: web}
/// spec:
///   file:
///     matchPatterns: [{pattern: /etc/passwd}]
///     matchPaths: [{path: /etc/passwd, action: Audit}, {path: /etc/passwd, readOnly: true}]
/// ")?;
/// let selection = policies.select(&Workload::pod("default"));
/// let explainer = Explainer::new(&selection, &Config::default())?;
/// let found = check(&explainer, AnalysisLimits::default());
/// assert_eq!(found.never_wins.len(), 1);
/// assert_eq!((found.never_wins[0].rule, found.never_wins[0].by[0]), (RuleId(2), RuleId(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn check(explainer: &Explainer, limits: AnalysisLimits) -> Check {
    let rules = explainer.rules();
    let sources = rules.iter().flat_map(|rule| &rule.sources);
    let mut checker = Checker {
        explainer,
        limits,
        fresh: unnamed(sources.map(source_text)),
        known: vec![Known::default(); rules.len()],
        conflicts: BTreeMap::new(),
    };
    for class in Class::ALL {
        checker.class(class);
    }
    checker.finish()
}

struct Checker<'e> {
    explainer: &'e Explainer,
    limits: AnalysisLimits,
    /// A name that no source holds.
    fresh: String,
    known: Vec<Known>,
    conflicts: BTreeMap<(RuleId, RuleId), Event<'static>>,
}

impl Checker<'_> {
    fn class(&mut self, class: Class) {
        let explainer = self.explainer;
        let of_class: Vec<(RuleId, &Rule)> = (0..)
            .map(RuleId)
            .zip(explainer.rules())
            .filter(|(_, rule)| rule.class == class)
            .collect();
        if of_class.is_empty() {
            return;
        }
        if !matches!(class, Class::Process | Class::File) {
            for operation in representatives(class, of_class.iter().map(|(_, rule)| *rule)) {
                self.object(&operation);
            }
            return;
        }
        let ends: Vec<Vec<Ends>> = of_class
            .iter()
            .map(|(_, rule)| Ends::of(&rule.object))
            .collect();
        for (place, (id, rule)) in of_class.iter().enumerate() {
            for path in guesses(&rule.object, &self.fresh) {
                self.path(class, &path);
            }
            let exact = matches!(rule.object, Object::Path(_) | Object::Nothing(_));
            if exact || self.is_settled(*id, rule) {
                continue;
            }
            let own = ends.get(place).map(Vec::as_slice).unwrap_or_default();
            let meeting = of_class.iter().zip(&ends).filter(|(_, other)| {
                own.iter()
                    .any(|own| other.iter().any(|other| own.may_meet(other)))
            });
            let meeting: Vec<(RuleId, &Rule)> = meeting.map(|(rule, _)| *rule).collect();
            self.walk(class, *id, rule, &meeting);
        }
        self.conflicts(class, &of_class, &ends);
    }

    /// Whether all is known of a rule that is asked.
    fn is_settled(&self, id: RuleId, rule: &Rule) -> bool {
        self.known
            .get(id.0 as usize)
            .is_some_and(|known| known.wins.is_some() && (known.matters || !may_be_idle(rule)))
    }

    /// Looks for an event that a rule wins, in all that it matches.
    fn walk(&mut self, class: Class, id: RuleId, rule: &Rule, meeting: &[(RuleId, &Rule)]) {
        let mut joint = Nfa::default();
        for (id, rule) in meeting {
            joint.add(id.0, &rule.object);
        }
        let mut driver = Nfa::default();
        driver.add(0, &rule.object);
        let mut judged = HashSet::new();
        let (mut driver, mut joint) = (Dfa::new(driver), Dfa::new(joint));
        let walked = walk(
            &mut driver,
            &mut joint,
            self.limits.states,
            |_, state, path| {
                if judged.insert(state) {
                    self.path(class, &path());
                }
                if self.is_settled(id, rule) {
                    Go::Stop
                } else {
                    Go::On
                }
            },
        );
        if walked == Err(TooLarge)
            && let Some(known) = self.known.get_mut(id.0 as usize)
        {
            known.undecided = true;
        }
    }

    /// Patterns overlap in parts; looks for what an Allow and a Block have in common.
    fn conflicts(&mut self, class: Class, rules: &[(RuleId, &Rule)], ends: &[Vec<Ends>]) {
        let is_name = |rule: &Rule| matches!(rule.object, Object::Pattern(_) | Object::ExecName(_));
        let named = |action: Action| {
            let rules = rules.iter().zip(ends);
            rules.filter(move |((_, rule), _)| {
                rule.action == action && rule.conditions.is_empty() && is_name(rule)
            })
        };
        for ((allow, allowing), own) in named(Action::Allow) {
            for ((block, _), other) in named(Action::Block) {
                let meet = own
                    .iter()
                    .any(|own| other.iter().any(|other| own.may_meet(other)));
                if !meet || self.conflicts.contains_key(&(*allow, *block)) {
                    continue;
                }
                let meeting: Vec<(RuleId, &Rule)> = rules
                    .iter()
                    .zip(ends)
                    .filter(|(_, ends)| {
                        let meets = |with: &Vec<Ends>| {
                            with.iter()
                                .any(|with| ends.iter().any(|ends| ends.may_meet(with)))
                        };
                        meets(own) && meets(other)
                    })
                    .map(|(rule, _)| *rule)
                    .collect();
                let mut joint = Nfa::default();
                for (id, rule) in &meeting {
                    joint.add(id.0, &rule.object);
                }
                let mut driver = Nfa::default();
                driver.add(0, &allowing.object);
                let (mut driver, mut joint) = (Dfa::new(driver), Dfa::new(joint));
                // What a limit leaves unseen is no conflict that is reported.
                let _ = walk(
                    &mut driver,
                    &mut joint,
                    self.limits.states,
                    |joint, state, path| {
                        let both = joint.labels(state).iter().any(|(id, _)| *id == block.0);
                        if both {
                            self.path(class, &path());
                        }
                        if self.conflicts.contains_key(&(*allow, *block)) {
                            Go::Stop
                        } else {
                            Go::On
                        }
                    },
                );
            }
        }
    }

    fn path(&mut self, class: Class, path: &[u8]) {
        if EventPath::new(path).is_resolved() {
            for operation in operations(class, path) {
                self.object(&operation);
            }
        }
    }

    /// Looks at every event on one object that rules tell apart.
    fn object(&mut self, operation: &Operation<'static>) {
        let around = self.explainer.naming(&Event::new(operation.clone()));
        for event in variants(operation, &around) {
            let explanation = self.explainer.explain(&event);
            self.learn(&event, &explanation);
        }
    }

    fn learn(&mut self, event: &Event<'static>, explanation: &Explanation) {
        for matched in &explanation.matched {
            let rule = self.explainer.rule(matched.rule);
            let Some(known) = self.known.get_mut(matched.rule.0 as usize) else {
                continue;
            };
            let shown = || readable(event, &self.fresh);
            known.matches.get_or_insert_with(shown);
            match matched.standing {
                Standing::Decides | Standing::Grants => {
                    if !known.matters && rule.is_some_and(may_be_idle) {
                        let without = self.explainer.without_grant(event, matched.rule);
                        known.matters = without.verdict != explanation.decision.verdict;
                    }
                    known.wins.get_or_insert_with(shown);
                }
                Standing::Agrees { with } if known.others.len() < NAMED => {
                    known.others.entry(with).or_insert(false);
                }
                Standing::Loses { to: Some(to), step } => {
                    if known.others.len() < NAMED {
                        known.others.insert(to, true);
                    }
                    let grants = matched.effect == Effect::Grant;
                    let plain = |id: RuleId, action: Action| {
                        let rule = self.explainer.rule(id);
                        rule.is_some_and(|rule| rule.action == action && rule.conditions.is_empty())
                    };
                    if step == Step::DenyWins
                        && grants
                        && plain(matched.rule, Action::Allow)
                        && plain(to, Action::Block)
                    {
                        let witness = readable(event, &self.fresh);
                        self.conflicts.entry((matched.rule, to)).or_insert(witness);
                    }
                }
                _ => {}
            }
        }
    }

    fn finish(self) -> Check {
        let mut found = Check {
            bypasses: bypasses(self.explainer),
            ..Check::default()
        };
        for ((allow, block), witness) in self.conflicts {
            found.conflicts.push(Conflict {
                allow,
                block,
                witness,
            });
        }
        for ((id, rule), known) in (0..)
            .map(RuleId)
            .zip(self.explainer.rules())
            .zip(self.known)
        {
            if known.undecided && known.wins.is_none() {
                found.undecided.push(id);
            } else if known.wins.is_none() {
                found.never_wins.push(NeverWins {
                    rule: id,
                    redundant: !known.others.is_empty() && known.others.values().all(|out| !out),
                    by: known.others.into_keys().collect(),
                    witness: known.matches,
                });
            } else if may_be_idle(rule) && !known.matters && !known.undecided {
                found.allow_list_only.push(id);
            }
            found.winning.push(known.wins);
        }
        found
    }
}

/// Whether a rule can be one whose only effect is to switch on allow-list mode.
fn may_be_idle(rule: &Rule) -> bool {
    rule.action == Action::Allow && rule.conditions.is_empty()
}

/// Paths that an object matches, likely without other rules around them.
fn guesses(object: &Object, fresh: &str) -> Vec<Vec<u8>> {
    match object {
        Object::Path(path) => vec![path.clone().into_bytes()],
        Object::ExecName(name) => vec![format!("/{fresh}/{name}").into_bytes()],
        Object::Directory(directory) => vec![format!("{}{fresh}", directory.path).into_bytes()],
        Object::Pattern(glob) => glob
            .alternatives()
            .iter()
            .map(|tokens| {
                let mut path = Vec::new();
                for token in tokens {
                    match token {
                        Token::Byte(byte) => path.push(*byte),
                        Token::Set(set) => {
                            let readable = set.iter().find(u8::is_ascii_alphanumeric);
                            path.extend(readable.or_else(|| set.iter().find(|byte| *byte != 0)));
                        }
                        Token::Star { .. } | Token::DoubleStar { .. } => path.push(b'x'),
                    }
                }
                if path.first() != Some(&b'/') {
                    path.insert(0, b'/');
                }
                path
            })
            .collect(),
        _ => Vec::new(),
    }
}
