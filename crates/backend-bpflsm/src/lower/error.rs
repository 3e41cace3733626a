//! Why a policy can't be lowered.

use gambeson_policy_model::{Class, RuleId};
use thiserror::Error;

/// A limit of the programs that a policy exceeds. Nothing is cut short instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LowerError {
    /// A table that grows too large.
    #[error("the lowered policy needs more than {limit} bytes; bind fewer rules to the workload")]
    TooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// An allowed argument that no program could compare.
    #[error(
        "{}an allowed argument has {length} bytes, and the programs read {limit} at most; \
         leave it out of `allowedArgs`", of(.rule)
    )]
    ArgumentTooLong {
        /// A rule that allows it.
        rule: Option<RuleId>,
        /// How long it is.
        length: usize,
        /// The most bytes.
        limit: usize,
    },
    /// A list of arguments that is too long.
    #[error(
        "{}`allowedArgs` has {length} items, and the programs look at {limit} at most; \
         allow fewer", of(.rule)
    )]
    TooManyArguments {
        /// A rule with the list.
        rule: Option<RuleId>,
        /// How many there are.
        length: usize,
        /// The most that are looked at.
        limit: usize,
    },
    /// Too many rules with arguments about one object.
    #[error(
        "{}{length} rules with `allowedArgs` count together, and the programs ask {limit} at most; \
         join their lists", of(.rule)
    )]
    TooManyTests {
        /// The last of the rules.
        rule: Option<RuleId>,
        /// How many there are.
        length: usize,
        /// The most that are asked.
        limit: usize,
    },
    /// Patterns that are spread over too many automata.
    #[error(
        "the patterns of class {} need {count} automata, and the programs walk {limit} at most; \
         use fewer wildcards", .class.section()
    )]
    TooManyAutomata {
        /// The class of the patterns.
        class: Class,
        /// How many automata there are.
        count: usize,
        /// The most that are walked.
        limit: usize,
    },
    /// Too many programs named by rules about one object.
    #[error(
        "rules about one object name {count} groups of programs by `fromSource`, and the programs \
         go through {limit} at most; name directories instead"
    )]
    TooManySources {
        /// How many source classes there are.
        count: usize,
        /// The most that are gone through.
        limit: usize,
    },
}

fn of(rule: &Option<RuleId>) -> String {
    rule.map_or_else(String::new, |RuleId(rule)| format!("rule {rule}: "))
}
