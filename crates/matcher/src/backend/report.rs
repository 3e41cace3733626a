//! What will differ from the decision model, rule by rule.

use std::fmt;

use gambeson_policy_model::{Class, RuleId};
use thiserror::Error;

use crate::compiled::CompiledPolicy;

/// How what will be enforced differs from the decision model. Ordered from the mildest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Enforced, but not reported as the model says.
    NotReported,
    /// More is denied, or reported as a violation, than the model says.
    Stricter,
    /// Some events are let pass that the model denies.
    Looser,
    /// Nothing of it is enforced.
    Unenforced,
}

impl Outcome {
    /// The outcome in a word or two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotReported => "not reported",
            Self::Stricter => "stricter",
            Self::Looser => "looser",
            Self::Unenforced => "unenforced",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that will differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gap {
    /// The rule that it is about; `None` where it is about more than rules.
    pub rule: Option<RuleId>,
    /// The class whose events it is about, whatever rule or posture decides them; `None` where it is about one
    /// rule, or the whole policy.
    pub class: Option<Class>,
    /// How it will differ.
    pub outcome: Outcome,
    /// What of the rule or policy, such as `mapping a file executable`.
    pub what: String,
    /// Why.
    pub reason: String,
}

impl Gap {
    /// A gap of one rule.
    #[must_use]
    pub fn of_rule(
        rule: RuleId,
        outcome: Outcome,
        what: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            rule: Some(rule),
            class: None,
            outcome,
            what: what.into(),
            reason: reason.into(),
        }
    }

    /// A gap of the whole policy.
    #[must_use]
    pub fn of_policy(outcome: Outcome, what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            rule: None,
            class: None,
            outcome,
            what: what.into(),
            reason: reason.into(),
        }
    }

    /// A gap of all events of a class.
    #[must_use]
    pub fn of_class(
        class: Class,
        outcome: Outcome,
        what: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            class: Some(class),
            ..Self::of_policy(outcome, what, reason)
        }
    }

    fn says(&self) -> String {
        format!("{}: {}, since {}", self.what, self.outcome, self.reason)
    }
}

/// `rule 3: reading names: unenforced, since no hook sees them`
impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(RuleId(rule)) = self.rule {
            write!(f, "rule {rule}: ")?;
        }
        f.write_str(&self.says())
    }
}

/// How closely a policy must be carried out for it to be applied at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Require {
    /// Just as the decision model says: no gap at all.
    Exact,
    /// No looser: what the model denies is denied.
    #[default]
    Strict,
    /// As far as it goes.
    BestEffort,
}

impl Require {
    /// The requirement's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Strict => "strict",
            Self::BestEffort => "best effort",
        }
    }

    /// Whether it puts up with such a gap.
    #[must_use]
    pub const fn tolerates(self, outcome: Outcome) -> bool {
        match self {
            Self::Exact => false,
            Self::Strict => matches!(outcome, Outcome::NotReported | Outcome::Stricter),
            Self::BestEffort => true,
        }
    }
}

impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// All that will differ: those of the whole policy first, then in the order of rules, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    gaps: Vec<Gap>,
}

impl Report {
    /// What will differ.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Whether nothing will.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.gaps.is_empty()
    }

    /// The gravest outcome of all.
    #[must_use]
    pub fn worst(&self) -> Option<Outcome> {
        self.gaps.iter().map(|gap| gap.outcome).max()
    }

    /// Fails where a gap isn't tolerated. To be asked before anything is applied.
    ///
    /// # Errors
    /// With the gaps that aren't tolerated.
    pub fn check(&self, require: Require) -> Result<(), GapError> {
        let gaps: Vec<Gap> = self
            .gaps
            .iter()
            .filter(|gap| !require.tolerates(gap.outcome))
            .cloned()
            .collect();
        if gaps.is_empty() {
            Ok(())
        } else {
            Err(GapError { require, gaps })
        }
    }

    /// The report for people: a line for each gap, which names the rule's file, line and policy.
    #[must_use]
    pub const fn render<'r>(&'r self, compiled: &'r CompiledPolicy) -> RenderedReport<'r> {
        RenderedReport {
            report: self,
            compiled,
        }
    }
}

impl FromIterator<Gap> for Report {
    fn from_iter<I: IntoIterator<Item = Gap>>(gaps: I) -> Self {
        let mut gaps: Vec<Gap> = gaps.into_iter().collect();
        gaps.sort_by(|a, b| {
            let key = |gap: &Gap| (gap.rule, std::cmp::Reverse(gap.outcome));
            key(a)
                .cmp(&key(b))
                .then_with(|| (&a.what, &a.reason).cmp(&(&b.what, &b.reason)))
        });
        gaps.dedup();
        Self { gaps }
    }
}

impl Extend<Gap> for Report {
    fn extend<I: IntoIterator<Item = Gap>>(&mut self, gaps: I) {
        *self = self.gaps.drain(..).chain(gaps).collect();
    }
}

/// A line for each gap; rules by number.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_exact() {
            return f.write_str("exact");
        }
        for (place, gap) in self.gaps.iter().enumerate() {
            let end = if place == 0 { "" } else { "\n" };
            write!(f, "{end}{gap}")?;
        }
        Ok(())
    }
}

/// A report with the rules' names: see [`Report::render`].
#[derive(Debug, Clone, Copy)]
pub struct RenderedReport<'r> {
    report: &'r Report,
    compiled: &'r CompiledPolicy,
}

impl fmt::Display for RenderedReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.report.is_exact() {
            return f.write_str("exact");
        }
        for (place, gap) in self.report.gaps.iter().enumerate() {
            let end = if place == 0 { "" } else { "\n" };
            match gap.rule.and_then(|id| self.compiled.rule(id)) {
                Some(rule) => write!(f, "{end}{rule}: {}", gap.says())?,
                None => write!(f, "{end}{gap}")?,
            }
        }
        Ok(())
    }
}

/// A policy can't be carried out as closely as required; nothing was applied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the policy can't be carried out as required ({require}): {}", list(.gaps))]
pub struct GapError {
    /// What was required.
    pub require: Require,
    /// The gaps that aren't tolerated.
    pub gaps: Vec<Gap>,
}

fn list(gaps: &[Gap]) -> String {
    let lines: Vec<String> = gaps.iter().map(Gap::to_string).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: &[Outcome]) -> Report {
        (0..)
            .zip(outcomes)
            .map(|(rule, outcome)| Gap::of_rule(RuleId(rule), *outcome, "the rule", "of a test"))
            .collect()
    }

    #[test]
    fn strict_tolerates_nothing_that_lets_more_pass() {
        for outcome in [Outcome::Looser, Outcome::Unenforced] {
            let report = report(&[Outcome::Stricter, outcome]);
            let refused = report.check(Require::Strict).unwrap_err();
            assert_eq!(refused.gaps.len(), 1);
            assert_eq!(refused.gaps[0].outcome, outcome);
            assert_eq!(report.check(Require::BestEffort), Ok(()));
        }
        let milder = report(&[Outcome::Stricter, Outcome::NotReported]);
        assert_eq!(milder.check(Require::Strict), Ok(()));
        assert_eq!(milder.check(Require::Exact).unwrap_err().gaps.len(), 2);
        assert_eq!(milder.worst(), Some(Outcome::Stricter));
    }

    #[test]
    fn an_empty_report_is_exact() {
        assert_eq!(report(&[]).check(Require::Exact), Ok(()));
        assert_eq!(report(&[]).to_string(), "exact");
    }

    #[test]
    fn gaps_stand_in_the_order_of_rules_and_once() {
        let of = |rule| Gap::of_rule(RuleId(rule), Outcome::Looser, "the rule", "of a test");
        let mut report: Report = [of(2), of(0), of(2)].into_iter().collect();
        report.extend([Gap::of_policy(Outcome::Stricter, "all of it", "of a test")]);
        let rules: Vec<Option<u32>> = report
            .gaps()
            .iter()
            .map(|gap| gap.rule.map(|id| id.0))
            .collect();
        assert_eq!(rules, [None, Some(0), Some(2)]);
    }
}
