//! Which rules tests decide by.

use std::collections::BTreeMap;

use gambeson_policy_model::{Policy, Rule};
use serde::Serialize;

/// A rule, and how many steps were decided by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CoveredRule {
    /// The policy's `metadata.name`.
    pub policy: String,
    /// The rule's field path below `spec`.
    pub rule: String,
    /// The file it is written in.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// How many steps it decided.
    pub decides: u64,
}

/// Every rule of the policies that were tested, in the order of files and lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    rules: BTreeMap<Key, CoveredRule>,
}

/// File, line, column, field path and policy: what tells a rule from others.
type Key = (String, u32, u32, String, String);

fn key(rule: &Rule) -> Key {
    (
        rule.location.file.to_string(),
        rule.location.line,
        rule.location.column,
        rule.field_path(),
        rule.policy.to_string(),
    )
}

impl Coverage {
    /// Every rule.
    pub fn rules(&self) -> impl Iterator<Item = &CoveredRule> {
        self.rules.values()
    }

    /// Rules that no step was decided by.
    pub fn uncovered(&self) -> impl Iterator<Item = &CoveredRule> {
        self.rules().filter(|rule| rule.decides == 0)
    }

    /// How many rules decided some step, and how many there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let all = self.rules.len();
        (all - self.uncovered().count(), all)
    }

    /// Per cent of the rules that decided some step, rounded down; 100 where there are none.
    #[must_use]
    pub fn percent(&self) -> u32 {
        let (covered, all) = self.counts();
        u32::try_from((covered * 100).checked_div(all).unwrap_or(100)).unwrap_or(100)
    }

    pub(super) fn add(&mut self, policy: &Policy) {
        for rule in policy.rules() {
            self.entry(rule);
        }
    }

    pub(super) fn decided(&mut self, rule: &Rule) {
        self.entry(rule).decides += 1;
    }

    fn entry(&mut self, rule: &Rule) -> &mut CoveredRule {
        self.rules.entry(key(rule)).or_insert_with(|| CoveredRule {
            policy: rule.policy.name.clone(),
            rule: rule.field_path(),
            file: rule.location.file.to_string(),
            line: rule.location.line,
            decides: 0,
        })
    }
}
