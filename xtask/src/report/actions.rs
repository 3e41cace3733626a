//! The same rules, as lists that block, allow or do both.

use gambeson::policy_model::{Action, Postures, Rule, Selection, Verdict};

/// What the rules of a generated set do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actions {
    /// All block.
    Block,
    /// All allow, and what no rule allows is denied.
    Allow,
    /// Every other rule re-opens, and the directories above are blocked.
    Reopen,
}

impl Actions {
    pub(super) const ALL: [Self; 3] = [Self::Block, Self::Allow, Self::Reopen];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Block => "all block",
            Self::Allow => "all allow, posture block",
            Self::Reopen => "every other re-opens",
        }
    }

    pub(super) fn selection(self, rules: &[Rule]) -> Selection {
        let mut rules = rules.to_vec();
        for (place, rule) in rules.iter_mut().enumerate() {
            rule.action = match self {
                Self::Block => Action::Block,
                Self::Allow => Action::Allow,
                Self::Reopen if place % 2 == 0 => Action::Allow,
                Self::Reopen => Action::Block,
            };
        }
        let posture = (self == Self::Allow).then_some(Verdict::Block);
        Selection::new(rules).with_posture(Postures {
            file: posture.or(Some(Verdict::Allow)),
            ..Postures::default()
        })
    }
}
