//! Modules without a kernel: they compile, the contexts give each path its type, and the types' access
//! vectors are the reference evaluator's verdicts.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    reason = "helpers that meet what they don't know must fail their test"
)]

mod corpus;
mod decompiled;
mod judge;
mod libselinux;
mod matching;
mod on_top;
mod replacements;
mod rules;
mod tools;
mod verdicts;
