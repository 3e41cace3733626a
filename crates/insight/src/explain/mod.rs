//! Why an event is decided as it is: every rule that matched, who won and by which step of the
//! decision model, who lost to whom, and what would be without the winner.
//!
//! ```
//! use gambeson_insight::explain::Explainer;
//! use gambeson_matcher::Config;
//! use gambeson_policy_model::{Event, PolicySet, Verdict, Workload};
//! let policies = PolicySet::from_str("
//! apiVersion: security.kubearmor.com/v1
//! kind: KubeArmorPolicy
//! metadata: {name: web}
//! spec:
//!   process:
//!     matchPaths: [{path: /bin/ls, action: Allow}]
//!     matchDirectories: [{dir: /bin/, action: Block}]
//! ")?;
//! let selection = policies.select(&Workload::pod("default"));
//! let explainer = Explainer::new(&selection, &Config::default())?;
//! let explanation = explainer.explain(&Event::exec("/bin/ls").by("/bin/sh"));
//! assert_eq!(explanation.decision.verdict, Verdict::Allow);
//! assert_eq!(explanation.matched.len(), 2);
//! assert_eq!(explanation.step.words(), "step 2, specific first: the closest description of the object counts");
//! assert_eq!(explanation.without.map(|decision| decision.verdict), Some(Verdict::Block));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alert;
mod excerpt;
mod json;
mod of_policy;
mod picture;
mod text;

use std::cmp::Reverse;
use std::sync::Arc;

use gambeson_matcher::{CompileError, CompiledPolicy, Config, KeptRules};
use gambeson_policy_model::{
    Action, Cause, Class, Decision, Enforcement, Event, Object, Operation, PathScope, Rule, RuleId,
    Selection, Source, Verdict,
};

pub use crate::matching::Effect;
pub use crate::steps::{Standing, Step};
pub use crate::words::{described, printable};
pub use alert::{AlertedEvent, NoEvent, event_of_alert};
pub(crate) use alert::{Assumed, Told as ToldByAlert, event_of, opens_for_writing, split_args};
pub use excerpt::excerpt;
pub(crate) use json::rule as rule_json;
pub use of_policy::{Explain, RulesNotKept};

use crate::index::Index;
use crate::matching::{Match, admits, effect};
use crate::steps::{Situation, counts, decide, settle};

/// Explains decisions on the events of one workload.
///
/// Holds the rules beside the compiled tables; a decision alone needs a
/// [`CompiledPolicy`] and no more. One that keeps its rules has an explainer of its own, see [`Explain`].
#[derive(Debug, Clone)]
pub struct Explainer {
    compiled: CompiledPolicy,
    rules: Arc<[Rule]>,
    enforcement: Enforcement,
    index: Index,
    /// How many rules of each class switch on its allow-list mode, in the order of
    /// [`Class::ALL`].
    allowing: [u32; Class::ALL.len()],
}

/// Why an event is decided as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// What [`CompiledPolicy::decide`] says.
    pub decision: Decision,
    /// The step of the decision model that it rests on.
    pub step: Step,
    /// Every rule that matched, the deciding one first, then in the order of their ids.
    pub matched: Vec<Matched>,
    /// What would be decided if the deciding rule weren't there; `None` where no rule decided.
    pub without: Option<Decision>,
    /// Whether the event's class is in allow-list mode.
    pub allow_list: bool,
    /// Whether a Block became a report, because the pod's annotation asks for reports only.
    pub audited: bool,
    /// Of an event whose source can't be computed: a program whose outcome is the strictest, which
    /// therefore stands. A byte 0xff in it stands for any name that no rule knows.
    pub assumed_source: Option<Vec<u8>>,
}

/// A rule that matched an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Matched {
    /// The rule.
    pub rule: RuleId,
    /// What it says of the event.
    pub effect: Effect,
    /// What became of it.
    pub standing: Standing,
}

/// A program that rules tell from others, and what is decided for it.
struct Candidate {
    source: Vec<u8>,
    matches: Vec<Match>,
    decision: Decision,
}

impl Explainer {
    /// Compiles what applies to a workload, and keeps what is needed to explain it.
    ///
    /// # Errors
    /// As [`CompiledPolicy::compile`].
    pub fn new(selection: &Selection, config: &Config) -> Result<Self, CompileError> {
        let compiled = CompiledPolicy::compile(selection, &config.clone().keep_rules())?;
        let kept = compiled.kept_rules();
        // Without rules nothing could be said; they are kept because it was asked for.
        Ok(Self::of(&compiled, kept))
    }

    /// The explainer of a policy and its rules.
    fn of(compiled: &CompiledPolicy, kept: Option<&KeptRules>) -> Self {
        let rules = kept.map(|kept| kept.rules().clone()).unwrap_or_default();
        let allowing = Class::ALL.map(|class| {
            let allowing = rules
                .iter()
                .filter(|rule| rule.class == class && rule.action == Action::Allow);
            u32::try_from(allowing.count()).unwrap_or(u32::MAX)
        });
        Self {
            index: Index::new(&rules),
            compiled: compiled.without_kept_rules(),
            enforcement: kept.map(KeptRules::enforcement).unwrap_or_default(),
            rules,
            allowing,
        }
    }

    /// The compiled policy that is explained.
    #[must_use]
    pub const fn compiled(&self) -> &CompiledPolicy {
        &self.compiled
    }

    /// The rule with this id.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id.0 as usize)
    }

    /// Every rule; a rule's place is its id.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The default posture of a class.
    #[must_use]
    pub fn posture(&self, class: Class) -> Verdict {
        self.compiled.tables().head.posture(class)
    }

    /// What the decisions of a class depend on besides the rules that match: the posture in
    /// allow-list mode, whether rules can deny, and whether denials are only reported.
    pub(crate) fn setting(&self, class: Class) -> (Option<Verdict>, bool) {
        let posture = self.allow_list(class, None).then(|| self.posture(class));
        (posture, self.enforcement == Enforcement::Audited)
    }

    /// The rules that name an event's object, whatever its source.
    pub(crate) fn naming(&self, event: &Event<'_>) -> Vec<&Rule> {
        let named = self.index.find(&self.rules, event).into_iter();
        named.filter_map(|(id, _)| self.rule(id)).collect()
    }

    /// What would be decided without a rule, if its class stayed in allow-list mode.
    pub(crate) fn without_grant(&self, event: &Event<'_>, rule: RuleId) -> Decision {
        let found = self.matches_of_any_source(event);
        let rest: Vec<Match> = found
            .into_iter()
            .filter(|found| found.rule != rule)
            .collect();
        let mut decision = self.worst(event, &rest, None).decision;
        if self.enforcement == Enforcement::Audited && decision.verdict == Verdict::Block {
            decision.verdict = Verdict::Audit;
        }
        decision
    }

    /// Explains the decision on an event.
    #[must_use]
    pub fn explain(&self, event: &Event<'_>) -> Explanation {
        let class = event.operation.class();
        let mut explanation = Explanation {
            decision: Decision::ALLOW,
            step: Step::OutsideClass,
            matched: Vec::new(),
            without: None,
            allow_list: self.allow_list(class, None),
            audited: false,
            assumed_source: None,
        };
        match outside(event) {
            Some(Step::Unresolvable) => {
                explanation.step = Step::Unresolvable;
                explanation.decision = self.compiled.decide(event);
            }
            Some(step) => explanation.step = step,
            None => self.explain_rules(event, &mut explanation),
        }
        self.report_only(&mut explanation);
        explanation
    }

    fn explain_rules(&self, event: &Event<'_>, explanation: &mut Explanation) {
        let found = self.matches_of_any_source(event);
        let candidate = self.worst(event, &found, None);
        let situation = self.situation(event, None);
        let settled = settle(&candidate.matches, situation);
        explanation.decision = settled.decision;
        explanation.step = settled.step;
        explanation.without = settled
            .decision
            .rule()
            .map(|rule| self.worst(event, &found, Some(rule)).decision);
        if event.source.bytes().is_none() {
            explanation.assumed_source = Some(candidate.source);
        }
        let mut matched: Vec<(Match, Standing)> = candidate
            .matches
            .into_iter()
            .zip(settled.standings)
            .collect();
        // Of a pattern with braces, the alternative that ranks highest.
        matched.sort_by_key(|(found, _)| (found.rule, Reverse(found.specificity)));
        matched.dedup_by_key(|(found, _)| found.rule);
        matched.sort_by_key(|(_, standing)| *standing != Standing::Decides);
        explanation.matched = matched
            .into_iter()
            .map(|(found, standing)| Matched {
                rule: found.rule,
                effect: found.effect,
                standing,
            })
            .collect();
    }

    /// The pod's annotation may ask for reports only.
    fn report_only(&self, explanation: &mut Explanation) {
        if self.enforcement != Enforcement::Audited {
            return;
        }
        let soften = |decision: &mut Decision| {
            let blocked = decision.verdict == Verdict::Block;
            if blocked {
                decision.verdict = Verdict::Audit;
            }
            blocked
        };
        // What is decided on an unresolvable object has been softened already.
        explanation.audited = soften(&mut explanation.decision);
        if let Some(without) = &mut explanation.without {
            soften(without);
        }
    }

    /// Whether a class is in allow-list mode, perhaps without one rule.
    fn allow_list(&self, class: Class, without: Option<RuleId>) -> bool {
        let place = Class::ALL.iter().position(|known| *known == class);
        let allowing = place.and_then(|place| self.allowing.get(place));
        let left_out = without
            .and_then(|id| self.rule(id))
            .is_some_and(|rule| rule.class == class && rule.action == Action::Allow);
        allowing.copied().unwrap_or(0) > u32::from(left_out)
    }

    fn situation(&self, event: &Event<'_>, without: Option<RuleId>) -> Situation {
        let class = event.operation.class();
        Situation {
            mapping: matches!(event.operation, Operation::MapExec { .. }),
            allow_list: self.allow_list(class, without),
            posture: self.posture(class),
        }
    }

    /// The rules that match the event's object, whatever its source.
    fn matches_of_any_source(&self, event: &Event<'_>) -> Vec<Match> {
        let named = self.index.find(&self.rules, event);
        let mut matches: Vec<Match> = named
            .into_iter()
            .filter_map(|(id, specificity)| {
                let rule = self.rule(id)?;
                Some(Match::new(id, rule, specificity, effect(rule, event)))
            })
            .collect();
        matches.sort_unstable_by_key(|found| (found.rule, Reverse(found.specificity)));
        matches.dedup();
        matches
    }

    /// The decision for the event's source; where that can't be computed, for a program of those
    /// that come off worst.
    fn worst(&self, event: &Event<'_>, found: &[Match], without: Option<RuleId>) -> Candidate {
        let situation = self.situation(event, without);
        let judge = |source: Vec<u8>| {
            let admitted = found.iter().copied().filter(|found| {
                let rule = self.rule(found.rule);
                Some(found.rule) != without && rule.is_some_and(|rule| admits(rule, &source))
            });
            let matches: Vec<Match> = admitted.collect();
            let counting: Vec<Match> = {
                let matches = matches.iter().copied();
                matches.filter(|found| counts(found, situation)).collect()
            };
            Candidate {
                decision: decide(&counting, situation),
                source,
                matches,
            }
        };
        match event.source.bytes() {
            Some(source) => judge(source.to_vec()),
            None => {
                let rules = found.iter().filter_map(|found| self.rule(found.rule));
                let mut worst = judge(UNKNOWN_PROGRAM.to_vec());
                for program in programs(rules) {
                    let candidate = judge(program);
                    if strictness(&candidate.decision) > strictness(&worst.decision) {
                        worst = candidate;
                    }
                }
                worst
            }
        }
    }
}

/// A program that no rule names by itself: no policy text holds the byte.
pub(crate) const UNKNOWN_PROGRAM: &[u8] = b"/\xff";

/// A program of every kind that the rules' sources tell apart, but for [`UNKNOWN_PROGRAM`].
pub(crate) fn programs<'r>(rules: impl Iterator<Item = &'r Rule>) -> Vec<Vec<u8>> {
    let mut programs = Vec::new();
    for source in rules.flat_map(|rule| &rule.sources) {
        match source {
            Source::Scope(PathScope::Path(path)) => programs.push(path.clone().into_bytes()),
            Source::Scope(PathScope::Directory(directory)) => {
                let path = directory.path.as_bytes();
                programs.push(path.strip_suffix(b"/").unwrap_or(path).to_vec());
                programs.push([path, b"\xff"].concat());
                programs.push([path, b"\xff/\xff"].concat());
            }
            Source::Nothing(_) => {}
        }
    }
    programs.sort_unstable();
    programs.dedup();
    programs.retain(|program| !program.is_empty());
    programs
}

/// The stricter verdict is the larger; among equals the smaller rule, then the posture.
fn strictness(decision: &Decision) -> (Verdict, Reverse<(u8, u32)>) {
    let order = match decision.cause {
        Cause::Rule(rule) => (0, rule.0),
        Cause::Posture => (1, 0),
        Cause::None => (2, 0),
    };
    (decision.verdict, Reverse(order))
}

/// Why no rule is asked, where none is.
fn outside(event: &Event<'_>) -> Option<Step> {
    if let Operation::Socket(socket) = &event.operation
        && !socket.in_class()
    {
        return Some(Step::OutsideClass);
    }
    let path = event.operation.file()?;
    if path.is_nameless() && event.operation.class() == Class::File {
        return Some(Step::OutsideClass);
    }
    path.bytes().is_none().then_some(Step::Unresolvable)
}

/// What sort of description of its object a rule gives, such as `exact path`.
#[must_use]
pub fn sort_of(rule: &Rule) -> &'static str {
    match &rule.object {
        Object::Path(_) => "exact path",
        Object::ExecName(_) => "execname",
        Object::Directory(directory) if directory.recursive => "directory and all below",
        Object::Directory(_) => "directory and its children",
        Object::Pattern(_) => "pattern",
        Object::Protocol(gambeson_policy_model::Protocol::All) => "all protocols",
        Object::Protocol(_) => "protocol",
        Object::Domain(_) => "domain",
        Object::Capability(_) => "capability",
        Object::Syscalls { .. } => "system calls",
        Object::Device(_) => "devices",
        Object::Preset(_) => "preset",
        Object::Nothing(_) => "nothing: a symbolic link",
    }
}
