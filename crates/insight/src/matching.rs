//! "Does a rule match an event?", and what it then says.

use gambeson_policy_model::{Action, Conditions, Event, Object, Operation, Rule, RuleId};
use serde::Serialize;

/// How specifically a rule names an object: a tier, and how deep within it. The larger goes first.
pub(crate) type Specificity = (u8, u32);

/// Tiers of a path: an exact path, then execnames and patterns, then directories by depth.
pub(crate) const EXACT: u8 = 3;
pub(crate) const NAME: u8 = 2;
pub(crate) const DIRECTORY: u8 = 1;

/// What a matching rule says of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It grants the event.
    Grant,
    /// It denies the event.
    Deny,
    /// It lets the event be reported.
    Watch,
    /// An Audit rule whose conditions hold: it says nothing.
    Silent,
}

impl Effect {
    /// The verb, such as `grants`.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Grant => "grants",
            Self::Deny => "denies",
            Self::Watch => "watches",
            Self::Silent => "is silent",
        }
    }

    pub(crate) const fn speaks(self) -> bool {
        matches!(self, Self::Grant | Self::Deny)
    }
}

/// A rule that matches an event's object and source. A pattern with braces matches once for each
/// of its alternatives that does, since each ranks for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) rule: RuleId,
    /// Whether it names the source.
    pub(crate) sourced: bool,
    pub(crate) specificity: Specificity,
    pub(crate) execname: bool,
    pub(crate) pattern: bool,
    pub(crate) effect: Effect,
}

impl Match {
    pub(crate) fn new(id: RuleId, rule: &Rule, specificity: Specificity, effect: Effect) -> Self {
        Self {
            rule: id,
            sourced: !rule.sources.is_empty(),
            specificity,
            execname: matches!(rule.object, Object::ExecName(_)),
            pattern: matches!(rule.object, Object::Pattern(_)) && specificity.0 == NAME,
            effect,
        }
    }

    /// Whether it counts for mappings where the process class is in allow-list mode.
    pub(crate) const fn counts_for_mappings(&self) -> bool {
        self.specificity.0 == EXACT || self.execname
    }
}

/// Grant, deny or watch: what a rule says of an event that it matches.
pub(crate) fn effect(rule: &Rule, event: &Event<'_>) -> Effect {
    let conditions = &rule.conditions;
    effect_where(
        rule.action,
        conditions,
        conditions.is_empty() || holds(conditions, event),
    )
}

/// The same, where it is known whether the conditions hold.
pub(crate) fn effect_where(action: Action, conditions: &Conditions, hold: bool) -> Effect {
    match (action, conditions.is_empty()) {
        (Action::Audit, true) => Effect::Watch,
        (Action::Audit, false) if hold => Effect::Silent,
        (Action::Audit, false) => Effect::Watch,
        (Action::Allow, true) => Effect::Grant,
        (Action::Block, true) => Effect::Deny,
        (_, false) if hold => Effect::Grant,
        (_, false) => Effect::Deny,
    }
}

/// Whether all conditions hold.
fn holds(conditions: &Conditions, event: &Event<'_>) -> bool {
    let args_hold = || match &event.operation {
        Operation::Exec { args, .. } => args.iter().all(|arg| {
            let mut allowed = conditions.allowed_args.iter();
            allowed.any(|allowed| allowed.as_bytes() == arg.as_ref())
        }),
        // A mapping has no arguments: conditions on arguments hold.
        _ => true,
    };
    (!conditions.owner_only || event.is_owner())
        && (!conditions.read_only || matches!(event.operation, Operation::Read { .. }))
        && (!conditions.no_tty || !event.tty)
        && (conditions.allowed_args.is_empty() || args_hold())
}

/// Whether a rule names the source, or names none.
pub(crate) fn admits(rule: &Rule, source: &[u8]) -> bool {
    rule.sources.is_empty() || rule.sources.iter().any(|entry| entry.contains(source))
}
