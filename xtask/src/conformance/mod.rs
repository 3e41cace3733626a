//! Scenarios carried out by real kernels, and the report of how that went.

pub mod carrier;
pub mod guest;
pub mod staging;
pub mod ways;
