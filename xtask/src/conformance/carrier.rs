//! What carries decisions out in a kernel.

use std::ffi::OsString;
use std::path::Path;

use gambeson::matcher::CompiledPolicy;
use gambeson::policy_model::Verdict;
use serde::{Deserialize, Serialize};

/// What a mechanism reported of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The operation, by its name in JSON.
    pub operation: String,
    /// The verdict.
    pub verdict: Verdict,
    /// `rule`, `posture`, `none`, or the mechanism's own reason, such as `mount`.
    pub cause: String,
    /// The policy's name and the rule's field path.
    pub rule: Option<String>,
}

/// In which direction a gap goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// More is denied.
    Stricter,
    /// Less is denied.
    Looser,
    /// Nothing is denied.
    Unenforced,
    /// Nothing is said.
    NotReported,
}

/// What a mechanism says beforehand that it will do otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// The rule; `None` where it is about more than one.
    pub rule: Option<String>,
    /// The operation whose events it is about, whatever decides them.
    #[serde(default)]
    pub operation: Option<String>,
    /// The direction.
    pub direction: Direction,
    /// What is concerned, and why.
    pub what: String,
}

impl Gap {
    /// Whether it speaks of this rule, or of these operations, and excuses this verdict where that one is
    /// expected.
    #[must_use]
    pub fn excuses(
        &self,
        rule: Option<&str>,
        operations: &[&str],
        expected: Verdict,
        got: Verdict,
    ) -> bool {
        let of_rule = self.rule.is_some() && self.rule.as_deref() == rule;
        let of_operation = self.operation.as_deref();
        let concerns = of_rule || of_operation.is_some_and(|own| operations.contains(&own));
        concerns
            && match self.direction {
                Direction::Stricter => got > expected,
                Direction::Looser | Direction::Unenforced => got < expected,
                // Of a denial that isn't reported, the rule is missing.
                Direction::NotReported => {
                    expected == got || (expected == Verdict::Audit && got == Verdict::Allow)
                }
            }
    }
}

/// A mechanism.
pub trait Carrier {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Whether it judges at all: one that doesn't must let everything pass.
    fn judges(&self) -> bool;

    /// What it will do otherwise than the policy says.
    fn gaps(&self, policy: &CompiledPolicy) -> Vec<Gap>;

    /// Puts the processes of a cgroup under a policy; a handle for `remove`.
    ///
    /// # Errors
    /// When that can't be done.
    fn apply(&mut self, policy: &CompiledPolicy, cgroup: &Path) -> Result<u64, String>;

    /// What the stage is told of the policy besides the cgroup, for a subject of this program.
    fn staging(&self, _handle: u64, _source: Option<&[u8]>) -> Vec<OsString> {
        Vec::new()
    }

    /// Whether what is allowed and not watched is reported, too.
    fn reports_allowed(&self) -> bool {
        true
    }

    /// What was reported of the processes under this handle since the last call.
    ///
    /// # Errors
    /// When reports can't be read.
    fn seen(&mut self, handle: u64) -> Result<Vec<Seen>, String>;

    /// Ends it.
    ///
    /// # Errors
    /// When that can't be done.
    fn remove(&mut self, handle: u64) -> Result<(), String>;
}

/// No mechanism: whatever the actor does must succeed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Carrier for Nothing {
    fn name(&self) -> &'static str {
        "none"
    }

    fn judges(&self) -> bool {
        false
    }

    fn gaps(&self, _: &CompiledPolicy) -> Vec<Gap> {
        Vec::new()
    }

    fn apply(&mut self, _: &CompiledPolicy, _: &Path) -> Result<u64, String> {
        Ok(0)
    }

    fn seen(&mut self, _: u64) -> Result<Vec<Seen>, String> {
        Ok(Vec::new())
    }

    fn remove(&mut self, _: u64) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_excuses_only_in_its_direction() {
        let gap = |direction| Gap {
            rule: Some("p file.matchPaths[0]".to_owned()),
            operation: None,
            direction,
            what: String::new(),
        };
        let rule = Some("p file.matchPaths[0]");
        let (allow, audit, block) = (Verdict::Allow, Verdict::Audit, Verdict::Block);
        assert!(gap(Direction::Looser).excuses(rule, &[], block, allow));
        assert!(!gap(Direction::Looser).excuses(rule, &[], allow, block));
        assert!(!gap(Direction::Looser).excuses(Some("q"), &[], block, allow));
        assert!(gap(Direction::Stricter).excuses(rule, &[], allow, block));
        assert!(!gap(Direction::Stricter).excuses(rule, &[], block, audit));
        assert!(gap(Direction::NotReported).excuses(rule, &[], audit, allow));
        assert!(gap(Direction::NotReported).excuses(rule, &[], block, block));
        assert!(!gap(Direction::NotReported).excuses(rule, &[], block, allow));
        let of_all = Gap {
            rule: None,
            ..gap(Direction::Unenforced)
        };
        assert!(!of_all.excuses(None, &["dns"], block, allow));
        let of_dns = Gap {
            operation: Some("dns".to_owned()),
            ..of_all
        };
        assert!(of_dns.excuses(None, &["dns"], block, allow));
        assert!(!of_dns.excuses(None, &["read"], block, allow));
    }
}
