//! Why policies can't be brought into SELinux's form.

use thiserror::Error;

/// Why policies can't be lowered. Nothing is cut in silence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LowerError {
    /// Two workloads of one name.
    #[error("two workloads are called `{name}`; each needs a name of its own")]
    DuplicateWorkload {
        /// The name.
        name: String,
    },
    /// A prefix that can't begin an identifier.
    #[error(
        "`{prefix}` can't be the prefix of names in a policy; use letters, digits and `_`, and begin with a letter"
    )]
    Prefix {
        /// The prefix.
        prefix: String,
    },
    /// More types than the limit.
    #[error(
        "the policies divide files into more than {limit} decision classes, each a type; \
         bind fewer different policies on one node, or raise the limit"
    )]
    TooManyTypes {
        /// The most types.
        limit: usize,
    },
    /// More domains than the limit.
    #[error(
        "workloads and the programs that their rules name need {count} domains, more than {limit}"
    )]
    TooManyDomains {
        /// How many are needed.
        count: usize,
        /// The most domains.
        limit: usize,
    },
    /// More file-context entries than the limit.
    #[error(
        "the policies need more than {limit} file-context entries; `{directory}` alone has {count}, \
         for the ways in which patterns overlap there"
    )]
    TooManyEntries {
        /// The directory that needs most of them.
        directory: String,
        /// How many it needs.
        count: usize,
        /// The most entries.
        limit: usize,
    },
    /// Patterns that overlap in too many ways.
    #[error(
        "below `{directory}`, {patterns} patterns overlap in more than {limit} ways; \
         the most expensive is `{pattern}`"
    )]
    TooManyStates {
        /// The directory.
        directory: String,
        /// How many patterns matter there.
        patterns: usize,
        /// The longest of them.
        pattern: String,
        /// The most states.
        limit: usize,
    },
    /// An expression that readers of `file_contexts` refuse.
    #[error(
        "the expression for `{pattern}` below `{directory}` has {length} bytes; \
         readers of file contexts take at most {limit}"
    )]
    EntryTooLong {
        /// The directory.
        directory: String,
        /// One of the patterns in it.
        pattern: String,
        /// Its length.
        length: usize,
        /// The most bytes.
        limit: usize,
    },
}
