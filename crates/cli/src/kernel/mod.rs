//! What works on this machine's kernel.

pub(crate) mod compiling;
mod probe;
mod run;

use gambeson::matcher::backend::Require;

use crate::args::Requirement;

pub(crate) use self::probe::probe;
#[cfg(feature = "bpf-lsm")]
pub(crate) use self::run::exec_in_cgroup;
pub(crate) use self::run::{KernelFailure, run};

impl From<Requirement> for Require {
    fn from(requirement: Requirement) -> Self {
        match requirement {
            Requirement::Exact => Self::Exact,
            Requirement::Strict => Self::Strict,
            Requirement::BestEffort => Self::BestEffort,
        }
    }
}
