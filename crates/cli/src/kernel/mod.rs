//! What works on this machine's kernel.

mod compiling;
mod probe;
mod run;

use gambeson::matcher::backend::Require;

use crate::args::Requirement;

pub(crate) use self::probe::probe;
pub(crate) use self::run::{KernelFailure, exec_in_cgroup, run};

impl From<Requirement> for Require {
    fn from(requirement: Requirement) -> Self {
        match requirement {
            Requirement::Exact => Self::Exact,
            Requirement::Strict => Self::Strict,
            Requirement::BestEffort => Self::BestEffort,
        }
    }
}
