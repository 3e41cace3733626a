//! Gambeson: one definition of a decision for KubeArmor's policies.
pub use gambeson_matcher as matcher;
pub use gambeson_policy_model as policy_model;
