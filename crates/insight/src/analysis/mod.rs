//! What a change of policies changes, and which rules do nothing: decided on automata of what rules
//! match, not by trying events.
//!
//! Files are divided into the sets of paths that no rule tells apart, by walking the rules' automata
//! together; of each set a shortest path is judged, for every program, owner, terminal and list of
//! arguments that the rules around it tell apart. All other objects are few enough to be listed.
//! Paths are those of resolved files: without empty components, `.` and `..`.

mod bypass;
mod check;
mod diff;
mod elsewhere;
mod joint;
mod nfa;
mod report;
mod variants;
mod walk;

pub use bypass::Bypass;
pub use check::{Check, Conflict, NeverWins, check};
pub use diff::{Diff, Difference, Programs, diff};
pub use report::Side;

/// How much an analysis does at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnalysisLimits {
    /// How many differences are collected.
    pub differences: usize,
    /// How many states are visited for one rule or group of rules.
    pub states: usize,
}

impl Default for AnalysisLimits {
    fn default() -> Self {
        Self {
            differences: 1_000,
            states: 2_000_000,
        }
    }
}
