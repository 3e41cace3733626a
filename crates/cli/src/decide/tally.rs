//! What was decided, counted.

use gambeson::policy_model::{Cause, Decision, RuleInfo, Verdict};

use super::rule::{PerRule, Rules};

/// Counts for Allow, Audit and Block.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts([u64; 3]);

impl Counts {
    fn add(&mut self, verdict: Verdict) {
        let [allow, audit, block] = &mut self.0;
        *match verdict {
            Verdict::Allow => allow,
            Verdict::Audit => audit,
            Verdict::Block => block,
        } += 1;
    }

    pub(crate) const fn of(&self, verdict: Verdict) -> u64 {
        let [allow, audit, block] = self.0;
        match verdict {
            Verdict::Allow => allow,
            Verdict::Audit => audit,
            Verdict::Block => block,
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// What was decided so far, altogether and by each rule.
#[derive(Debug)]
pub(crate) struct Tally<'e> {
    pub(crate) verdicts: Counts,
    pub(crate) by_posture: Counts,
    pub(crate) errors: u64,
    rules: PerRule<(RuleInfo<'e>, Counts)>,
}

impl<'e> Tally<'e> {
    pub(crate) const fn new() -> Self {
        Self {
            verdicts: Counts([0; 3]),
            by_posture: Counts([0; 3]),
            errors: 0,
            rules: PerRule::new(),
        }
    }

    pub(crate) fn count(&mut self, rules: &'e impl Rules, decision: Decision) {
        self.verdicts.add(decision.verdict);
        match decision.cause {
            Cause::Rule(id) => {
                let counted = self.rules.get(rules, id, |rule| (rule, Counts::default()));
                if let Some((_, counts)) = counted {
                    counts.add(decision.verdict);
                }
            }
            Cause::Posture => self.by_posture.add(decision.verdict),
            Cause::None => {}
        }
    }

    /// The rules that decided `verdict`, the busiest first.
    pub(crate) fn busiest(&self, verdict: Verdict) -> Vec<(&RuleInfo<'e>, u64)> {
        let mut rules: Vec<_> = self
            .rules
            .iter()
            .map(|(rule, counts)| (rule, counts.of(verdict)))
            .filter(|(_, count)| *count > 0)
            .collect();
        rules.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        rules
    }
}
