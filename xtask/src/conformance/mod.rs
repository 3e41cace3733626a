//! Scenarios carried out by real kernels, and the report of how that went.

pub mod apparmor;
#[cfg(feature = "bpf-lsm")]
pub mod bpf_lsm;
pub mod build;
pub mod carrier;
pub mod command_line;
pub mod guest;
pub mod report;
pub mod selinux;
pub mod staging;
pub mod ways;
