//! The half that runs in a guest.

pub mod apparmor;
pub mod cost;
pub mod deep;
pub mod many;
pub mod race;
pub mod random;
pub mod survive;
pub mod swap;
pub mod verifier;
pub mod workload;
