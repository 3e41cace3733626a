//! Handles of what is bound.

use std::fmt;

/// A policy bound to a scope: which workload, and which binding of that number it is, so that a
/// handle of what was removed is never taken for its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Binding {
    /// The workload's number.
    pub workload: u32,
    /// Which binding of this number it is; never 0.
    pub incarnation: u32,
}

/// `workload 3 (binding 1)`
impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "workload {} (binding {})",
            self.workload, self.incarnation
        )
    }
}

/// Which policy in turn: every policy that is put in force has a higher one than those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u32);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
