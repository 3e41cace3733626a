//! The rules that a policy was compiled from, for those who explain decisions.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use gambeson_policy_model::{Enforcement, Rule};

/// The rules of a compiled policy, and what explaining makes of them.
pub struct KeptRules {
    rules: Arc<[Rule]>,
    enforcement: Enforcement,
    derived: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl KeptRules {
    pub(crate) fn new(rules: Vec<Rule>, enforcement: Enforcement) -> Self {
        Self {
            rules: rules.into(),
            enforcement,
            derived: OnceLock::new(),
        }
    }

    /// Every rule, links in its path resolved; its place is its id.
    #[must_use]
    pub const fn rules(&self) -> &Arc<[Rule]> {
        &self.rules
    }

    /// Whether denials are carried out, or only reported.
    #[must_use]
    pub const fn enforcement(&self) -> Enforcement {
        self.enforcement
    }

    /// What was made of the rules: by `make` at the first call, and the same ever after. `None` where
    /// that is of another type. What is made should not hold the policy with its rules, lest neither
    /// is ever freed.
    pub fn derived<T: Any + Send + Sync>(&self, make: impl FnOnce(&Self) -> T) -> Option<&T> {
        let derived = self.derived.get_or_init(|| Box::new(make(self)));
        derived.downcast_ref()
    }
}

impl fmt::Debug for KeptRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptRules")
            .field("rules", &self.rules)
            .field("enforcement", &self.enforcement)
            .finish_non_exhaustive()
    }
}
