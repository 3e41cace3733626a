//! Carries compiled policies out with BPF programs on the kernel's LSM hooks.
//!
//! The programs walk the compiled tables as they are: [`lower`] hardly does more than copy them into
//! pages of a BPF array. [`abi`] is what programs and loader agree on.

pub mod abi;
mod lower;

pub use lower::{LowerError, Lowered, lower};
