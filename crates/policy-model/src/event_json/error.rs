//! What can be wrong with an event.

use thiserror::Error;

use crate::event::EventPath;

/// What is wrong with a line that should be an event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EventError {
    /// The line is no JSON.
    #[error("not JSON: {message} at column {column}")]
    Syntax {
        /// What the JSON reader says.
        message: String,
        /// Where the reader stopped, in bytes from 1.
        column: usize,
    },
    /// The line is JSON, but no object.
    #[error("an event is a JSON object such as `{{\"op\":\"exec\",\"path\":\"/bin/sh\"}}`")]
    NotAnObject,
    /// A field holds a value of the wrong type.
    #[error("`{field}` at column {column}: {message}")]
    Type {
        /// The field.
        field: &'static str,
        /// What it holds and what it can hold.
        message: String,
        /// Where the reader stopped, in bytes from 1.
        column: usize,
    },
    /// A field stands twice.
    #[error("`{field}` stands twice, the second time at column {column}")]
    Duplicate {
        /// The field.
        field: &'static str,
        /// Where the reader stopped, in bytes from 1.
        column: usize,
    },
    /// There is no `op`.
    #[error("`op` is missing; it is one of {}", super::build::OPERATIONS.join(", "))]
    NoOperation,
    /// An unknown `op`.
    #[error("`op` is `{op}`; it must be one of {}", super::build::OPERATIONS.join(", "))]
    UnknownOperation {
        /// The operation as given.
        op: String,
    },
    /// A field that the operation requires is missing.
    #[error("`{field}` is missing; an event with op `{op}` has {expected}")]
    Missing {
        /// The operation.
        op: &'static str,
        /// The field.
        field: &'static str,
        /// What the field holds.
        expected: &'static str,
    },
    /// A path without a byte.
    #[error("`{field}` is empty; write null for a path that could not be computed")]
    EmptyPath {
        /// The field.
        field: &'static str,
    },
    /// A path that doesn't begin with `/`.
    #[error(
        "`{field}` is a relative path, `{path}`; write the absolute path as seen from the \
         workload's root, or null where it could not be computed"
    )]
    RelativePath {
        /// The field.
        field: &'static str,
        /// The path as given.
        path: String,
    },
    /// A text with a NUL byte.
    #[error("`{field}` holds a NUL byte, which the kernel allows in no path, name or argument")]
    Nul {
        /// The field.
        field: &'static str,
    },
    /// A path longer than paths are.
    #[error(
        "`{field}` has {length} bytes; a path has at most {}; write null for one that could not \
         be computed",
        EventPath::MAX_LENGTH
    )]
    LongPath {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// A name or number that stands for nothing.
    #[error("`{field}` is `{value}`; it must be {expected}")]
    Unknown {
        /// The field.
        field: &'static str,
        /// The value as given.
        value: String,
        /// What the field can hold.
        expected: &'static str,
    },
    /// Both `args` and `argv`.
    #[error(
        "both `args` and `argv` are given; `args` leaves out argv[0], `argv` holds it: write one"
    )]
    TwoArgumentLists,
    /// A domain that can't be asked for.
    #[error("`domain` is `{domain}`: {problem}")]
    Domain {
        /// The domain as given.
        domain: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}
