//! Verdicts, and what they rest on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What happens to an event. Ordered from the mildest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Let it pass.
    Allow,
    /// Let it pass, and say so.
    Audit,
    /// Deny it.
    Block,
}

impl Verdict {
    /// The verdict's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Audit => "Audit",
            Self::Block => "Block",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rule's number in one selection or one compiled image: its place in the order of attribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// This rule.
    Rule(RuleId),
    /// The default posture of a class in allow-list mode.
    Posture,
    /// Nothing speaks of the event.
    None,
}

impl Cause {
    /// The name as the command prints it: `rule`, `posture` or `none`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule(_) => "rule",
            Self::Posture => "posture",
            Self::None => "none",
        }
    }
}

/// A verdict and its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// Why.
    pub cause: Cause,
}

impl Decision {
    /// Allowed, with nothing speaking of the event.
    pub const ALLOW: Self = Self {
        verdict: Verdict::Allow,
        cause: Cause::None,
    };

    /// A verdict by a rule.
    #[must_use]
    pub const fn by_rule(verdict: Verdict, rule: RuleId) -> Self {
        Self {
            verdict,
            cause: Cause::Rule(rule),
        }
    }

    /// A verdict by the default posture.
    #[must_use]
    pub const fn by_posture(posture: Verdict) -> Self {
        Self {
            verdict: posture,
            cause: Cause::Posture,
        }
    }

    /// The verdict.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The deciding rule, if a rule decided.
    #[must_use]
    pub const fn rule(&self) -> Option<RuleId> {
        match self.cause {
            Cause::Rule(rule) => Some(rule),
            _ => None,
        }
    }
}
