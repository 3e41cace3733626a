//! What carries decisions out in a kernel.

use std::ffi::OsString;
use std::path::Path;

use gambeson::matcher::CompiledPolicy;
use gambeson::policy_model::Verdict;
use serde::{Deserialize, Serialize};

/// Among the ways that a gap is about: any, by a subject whose program has no path.
pub const NAMELESS_SOURCE: &str = "(by a source without a path)";

/// Stands among the ways of a step in whose tree a file has several names.
pub const ANOTHER_NAME: &str = "another name";

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
    /// Another rule of equal effect may be named.
    OtherRule,
}

/// What a mechanism says beforehand that it will do otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// The rule; `None` where it is about more than one.
    pub rule: Option<String>,
    /// The operation whose events it is about, whatever decides them.
    #[serde(default)]
    pub operation: Option<String>,
    /// The ways of the actor that it is about; empty where it is about all.
    #[serde(default)]
    pub ways: Vec<String>,
    /// Whether it is about some objects or programs only, so that what is done in these ways to others
    /// may well be denied.
    #[serde(default)]
    pub some: bool,
    /// The direction.
    pub direction: Direction,
    /// What is concerned, and why.
    pub what: String,
}

impl Gap {
    /// Whether it speaks of this rule, or of these operations, done in one of these ways.
    #[must_use]
    pub fn concerns(&self, rule: Option<&str>, operations: &[&str], ways: &[&str]) -> bool {
        let of_rule = self.rule.is_some() && self.rule.as_deref() == rule;
        let of_operation = self.operation.as_deref();
        let of_operation = of_operation.is_some_and(|own| operations.contains(&own));
        let of_policy = self.rule.is_none() && self.operation.is_none() && !self.ways.is_empty();
        let in_way =
            self.ways.is_empty() || self.ways.iter().any(|own| ways.contains(&own.as_str()));
        in_way && (of_rule || of_operation || of_policy)
    }

    /// Whether this verdict is what it says of where that one is expected.
    #[must_use]
    pub fn excuses(&self, expected: Verdict, got: Verdict) -> bool {
        match self.direction {
            // What is denied in these ways anyway is denied for another reason.
            Direction::Stricter => {
                got > expected || (!self.ways.is_empty() && got == Verdict::Block)
            }
            Direction::Looser | Direction::Unenforced => got < expected,
            Direction::OtherRule => expected == got,
            // Of a denial that isn't reported, the rule is missing.
            Direction::NotReported => {
                expected == got || (expected == Verdict::Audit && got == Verdict::Allow)
            }
        }
    }

    /// Whether something that it says isn't denied was, in the very way that it speaks of.
    #[must_use]
    pub fn is_belied(&self, expected: Verdict, got: Verdict) -> bool {
        !self.ways.is_empty()
            && !self.some
            && matches!(self.direction, Direction::Looser | Direction::Unenforced)
            && expected == Verdict::Block
            && got == Verdict::Block
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

    /// Why operations can't be done this way under this mechanism, if they can't.
    fn cannot(&self, _way: &str) -> Option<&'static str> {
        None
    }

    /// Is called before the subject acts, with the process of a stage that was told to wait for it.
    ///
    /// # Errors
    /// When what has to be done then can't be done.
    fn ready(&mut self, _handle: u64, _stage: u32) -> Result<(), String> {
        Ok(())
    }

    /// Is called when the stage is gone.
    fn done(&mut self) {}

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

    fn gap(direction: Direction) -> Gap {
        Gap {
            rule: Some("p file.matchPaths[0]".to_owned()),
            operation: None,
            ways: Vec::new(),
            some: false,
            direction,
            what: String::new(),
        }
    }

    #[test]
    fn a_gap_excuses_only_in_its_direction() {
        let (allow, audit, block) = (Verdict::Allow, Verdict::Audit, Verdict::Block);
        assert!(gap(Direction::Looser).excuses(block, allow));
        assert!(!gap(Direction::Looser).excuses(allow, block));
        assert!(gap(Direction::Stricter).excuses(allow, block));
        assert!(!gap(Direction::Stricter).excuses(block, audit));
        assert!(gap(Direction::NotReported).excuses(audit, allow));
        assert!(gap(Direction::NotReported).excuses(block, block));
        assert!(!gap(Direction::NotReported).excuses(block, allow));
    }

    #[test]
    fn a_gap_concerns_its_rule_or_its_operations_in_its_ways() {
        let of_rule = gap(Direction::Looser);
        assert!(of_rule.concerns(Some("p file.matchPaths[0]"), &[], &["open"]));
        assert!(!of_rule.concerns(Some("q"), &[], &["open"]));
        let of_all = Gap {
            rule: None,
            ..gap(Direction::Unenforced)
        };
        assert!(!of_all.concerns(None, &["dns"], &["dns-tcp"]));
        let of_dns = Gap {
            operation: Some("dns".to_owned()),
            ..of_all.clone()
        };
        assert!(of_dns.concerns(None, &["dns"], &["dns-tcp"]));
        assert!(!of_dns.concerns(None, &["read"], &["open"]));
        let of_xattrs = Gap {
            ways: vec!["setxattr".to_owned()],
            ..of_all
        };
        assert!(of_xattrs.concerns(None, &["write"], &["setxattr"]));
        assert!(!of_xattrs.concerns(None, &["write"], &["chmod"]));
    }

    #[test]
    fn a_gap_of_certain_ways_is_belied_by_a_denial_in_them() {
        let of_xattrs = Gap {
            ways: vec!["setxattr".to_owned()],
            ..gap(Direction::Unenforced)
        };
        assert!(of_xattrs.is_belied(Verdict::Block, Verdict::Block));
        assert!(!of_xattrs.is_belied(Verdict::Block, Verdict::Allow));
        assert!(!gap(Direction::Unenforced).is_belied(Verdict::Block, Verdict::Block));
        let of_some = Gap {
            some: true,
            ..of_xattrs
        };
        assert!(!of_some.is_belied(Verdict::Block, Verdict::Block));
    }
}
