//! The half that runs in a guest.

pub mod cost;
pub mod verifier;
