//! A module in a kernel: compiled, loaded, its files labelled, and all of it undone.
//!
//! Only modules that are whole policies are loaded here. One on top of a policy that is there is
//! `semodule`'s to add and remove.

mod compile;
mod error;
mod labels;
mod probe;

pub use compile::BinaryPolicy;
pub use error::LifeError;
pub use labels::{Change, Labelling};
pub use probe::probe;

use std::fs;
use std::path::{Path, PathBuf};

use crate::lower::{Domain, Module};

/// Where the kernel's interface is.
const SELINUX: &str = "/sys/fs/selinux";

/// A module in force. Dropping it leaves it so: see [`Applied::remove`].
#[derive(Debug)]
pub struct Applied {
    /// The policy that was in force before, if there was one.
    before: Option<Vec<u8>>,
    labelling: Labelling,
}

impl Applied {
    /// Compiles a module, loads it, labels the files below `root` and makes sure that they are. `root` is
    /// what the workloads see as `/`. If a step fails, the policy and the labels that were there are
    /// put back.
    ///
    /// # Errors
    /// The step that failed, and why; [`LifeError::NotRestored`] where what was there couldn't be put back.
    pub fn apply(module: &Module, root: &Path) -> Result<Self, LifeError> {
        let policy = BinaryPolicy::compile(module)?;
        let before = policy_in_force();
        load(policy.bytes())?;
        let mut labelling = Labelling::default();
        let done = labelling
            .label(module, root)
            .and_then(|()| labelling.verify(module, root));
        match done {
            Ok(()) => Ok(Self { before, labelling }),
            Err(failed) => match (Self { before, labelling }).remove() {
                Ok(()) => Err(failed),
                Err(again) => Err(LifeError::NotRestored {
                    failed: Box::new(failed),
                    again: Box::new(again),
                }),
            },
        }
    }

    /// What was labelled.
    #[must_use]
    pub const fn labelling(&self) -> &Labelling {
        &self.labelling
    }

    /// Puts back the policy that was in force and the labels that files had. Where no policy was in
    /// force there is none to put back: the module stays, and only labels are undone.
    ///
    /// # Errors
    /// When the kernel refuses the policy, or a file's label can't be put back.
    pub fn remove(self) -> Result<(), LifeError> {
        if let Some(before) = &self.before {
            load(before)?;
        }
        self.labelling.undo()
    }
}

/// The policy in force. `None` where there is none yet.
fn policy_in_force() -> Option<Vec<u8>> {
    let policy = fs::read(Path::new(SELINUX).join("policy")).ok()?;
    (!policy.is_empty()).then_some(policy)
}

/// Loads a policy; the kernel takes it as a whole or not at all.
fn load(policy: &[u8]) -> Result<(), LifeError> {
    let path = Path::new(SELINUX).join("load");
    // One write: the kernel takes each for a whole policy.
    fs::write(&path, policy).map_err(|source| LifeError::Load { source })
}

/// Has this thread's next exec start in a domain. The program must be one that the domain is for.
///
/// # Errors
/// When the kernel doesn't know the domain, or doesn't let this process change into others.
pub fn bind_next_exec(module: &Module, domain: &Domain) -> Result<(), LifeError> {
    let context = module.context_of(domain);
    let path = PathBuf::from("/proc/thread-self/attr/exec");
    fs::write(&path, context.as_bytes()).map_err(|source| LifeError::Bind { context, source })
}
