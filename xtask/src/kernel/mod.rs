//! What is proved and measured in kernels: `cargo xtask kernel`.
//!
//! Each errand has two halves: one starts guests and reads what they print, the other runs in the
//! guest, in the program `kernel-guest`.

pub mod command_line;
pub mod cost;
#[cfg(feature = "bpf-lsm")]
pub mod guest;
pub mod proof;
pub mod soak;
pub mod verifier;
