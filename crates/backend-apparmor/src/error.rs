//! Why a policy can't be lowered.

use thiserror::Error;

/// A limit that a policy exceeds. Nothing is cut short instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LowerError {
    /// More text than the parser should be given.
    #[error("the profile needs more than {limit} bytes; bind fewer rules to the workload")]
    TooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// More groups of programs than profiles are made for.
    #[error(
        "rules tell {count} groups of programs apart by `fromSource`, and profiles are made for \
         {limit} at most; name directories instead"
    )]
    TooManySources {
        /// How many there are.
        count: usize,
        /// The most.
        limit: usize,
    },
}
