//! For tests: what the kernel would decide from a compiled profile, without a kernel.
//!
//! [`compile`](parser::compile) lets `apparmor_parser` compile a text; [`Blob`] reads what it writes,
//! which is what a kernel walks, and walks it in the same way.

mod blob;
mod dfa;
pub mod differential;
pub mod parser;

pub use blob::{Blob, BlobError, CompiledProfile, Exec, FilePerms};
pub use dfa::Dfa;
