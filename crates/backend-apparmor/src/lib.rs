//! Carries compiled policies out with AppArmor profiles.

pub mod audit;
