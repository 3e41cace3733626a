//! A module in a kernel: compiled, loaded, its files labelled, and all of it undone.
//!
//! Only modules that are whole policies are loaded here. One on top of a policy that is there is
//! `semodule`'s to add and remove.

mod compile;
mod error;
mod labels;
mod log;
mod probe;

pub use compile::BinaryPolicy;
pub use error::LifeError;
pub use labels::{Change, Labelling};
pub use log::{KernelLog, LogError, Polled};
pub use probe::probe;

use std::fs;
use std::path::{Path, PathBuf};

use gambeson_matcher::CompiledPolicy;

use crate::lower::{Domain, Module, Replacement};

/// Where the kernel's interface is.
const SELINUX: &str = "/sys/fs/selinux";

/// A module in force. Dropping it leaves it so: see [`Applied::remove`].
#[derive(Debug)]
pub struct Applied {
    /// The policy that was in force before, if there was one.
    before: Option<Vec<u8>>,
    module: Module,
    /// What was labelled, by root.
    trees: Vec<(PathBuf, Labelling)>,
}

impl Applied {
    /// Compiles a module and loads it. No file is labelled yet: see [`Applied::label`].
    ///
    /// # Errors
    /// The step that failed, and why; the policy that was there is still in force.
    pub fn load(module: Module) -> Result<Self, LifeError> {
        let policy = BinaryPolicy::compile(&module)?;
        let before = policy_in_force();
        load(policy.bytes())?;
        Ok(Self {
            before,
            module,
            trees: Vec::new(),
        })
    }

    /// Compiles a module, loads it, labels the files below `root` and makes sure that they are. `root` is
    /// what the workloads see as `/`. If a step fails, the policy and the labels that were there are
    /// put back.
    ///
    /// # Errors
    /// The step that failed, and why; [`LifeError::NotRestored`] where what was there couldn't be put back.
    pub fn apply(module: Module, root: &Path) -> Result<Self, LifeError> {
        let mut applied = Self::load(module)?;
        match applied.label(root) {
            Ok(()) => Ok(applied),
            Err(failed) => Err(after(failed, applied.remove())),
        }
    }

    /// Labels the files below another root, such as that of a container that has come, and makes sure that they
    /// are.
    ///
    /// # Errors
    /// The file that can't be labelled, and why: then the labels that were there are put back.
    pub fn label(&mut self, root: &Path) -> Result<(), LifeError> {
        let mut labelling = Labelling::default();
        if let Err(failed) = labelling.label(&self.module, root) {
            return Err(after(failed, labelling.undo()));
        }
        self.trees.push((root.to_owned(), labelling));
        Ok(())
    }

    /// Puts other policies in the place of those in force, for the workloads that are there from now on. Each
    /// operation is judged by the old policies or by the new ones, also while files are relabelled. A process that
    /// runs goes on in the domain that the new policy has for its old domain's program: one that only the new policy
    /// names is in the domain of the others until it is executed again. Processes of a workload that isn't among
    /// these any more are under no policy.
    ///
    /// # Errors
    /// The step that failed, and why: then the old policies are in force, and the labels that were there are put
    /// back; [`LifeError::NotRestored`] where they couldn't be.
    pub fn replace(
        &mut self,
        workloads: &[(&str, &CompiledPolicy)],
    ) -> Result<Replaced, LifeError> {
        if !self.module.is_whole() {
            return Err(LifeError::NotWhole);
        }
        let Replacement {
            between,
            next,
            back,
        } = Replacement::new(&self.module, workloads)?;
        // All that can be refused is compiled before anything is changed.
        let between = BinaryPolicy::of_text(&between)?;
        let policy = BinaryPolicy::compile(&next)?;
        let back = BinaryPolicy::of_text(&back)?;
        load(between.bytes())?;
        let mut labelled: Vec<Labelling> = Vec::with_capacity(self.trees.len());
        let mut relabel = || {
            for (root, _) in &self.trees {
                let mut labelling = Labelling::default();
                let done = labelling.label(&next, root);
                labelled.push(labelling);
                done?;
            }
            load(policy.bytes())
        };
        if let Err(failed) = relabel() {
            let mut undone = labelled.into_iter().rev();
            let undone = undone.try_for_each(Labelling::undo);
            return Err(after(failed, undone.and_then(|()| load(back.bytes()))));
        }
        let mut relabelled = 0;
        for ((_, own), labelling) in self.trees.iter_mut().zip(labelled) {
            relabelled += labelling.changes().len();
            own.go_on(labelling);
        }
        self.module = next;
        Ok(Replaced {
            generation: self.module.generation(),
            relabelled,
        })
    }

    /// Forgets a root whose files are gone: nothing is put back there.
    pub fn forget(&mut self, root: &Path) {
        self.trees.retain(|(own, _)| own != root);
    }

    /// The processes that run in the module's domains, by number.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        processes(&|name| self.module.domain(name).is_some())
    }

    /// The module.
    #[must_use]
    pub const fn module(&self) -> &Module {
        &self.module
    }

    /// What was labelled, by root.
    #[must_use]
    pub fn trees(&self) -> &[(PathBuf, Labelling)] {
        &self.trees
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
        let mut trees = self.trees.into_iter().rev();
        trees.try_for_each(|(_, labelling)| labelling.undo())
    }
}

/// What a replacement came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// The number of the generation now in force; the first one is 0.
    pub generation: u32,
    /// How many names got another label.
    pub relabelled: usize,
}

/// What is told of a failed step after what it had changed was put back, or could not be.
fn after(failed: LifeError, restored: Result<(), LifeError>) -> LifeError {
    match restored {
        Ok(()) => failed,
        Err(again) => LifeError::NotRestored {
            failed: Box::new(failed),
            again: Box::new(again),
        },
    }
}

/// What is in force before anything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InForce {
    /// No policy.
    Nothing,
    /// A whole module of this prefix that an earlier process left: a kernel has no way back to no policy at all. No
    /// process is in its domains.
    Left,
    /// A whole module of this prefix, with processes in its domains.
    InUse,
    /// Another policy.
    Other,
}

impl InForce {
    /// Looks what is in force. `prefix` is that of whole modules, `gambeson` unless set.
    #[must_use]
    pub fn find(prefix: &str) -> Self {
        if policy_in_force().is_none() {
            return Self::Nothing;
        }
        // The kernel says whether it knows a context.
        let known = |name: &str| {
            let context = format!("system_u:system_r:{name}");
            fs::write(Path::new(SELINUX).join("context"), context).is_ok()
        };
        let lasting = [format!("{prefix}_system_t"), format!("{prefix}_kernel_t")];
        if !lasting.iter().all(|name| known(name)) {
            return Self::Other;
        }
        let in_domain =
            |name: &str| name.starts_with(prefix) && !lasting.iter().any(|own| own == name);
        if processes(&in_domain).is_empty() {
            Self::Left
        } else {
            Self::InUse
        }
    }
}

/// The processes whose type is a wanted one.
fn processes(wanted: &dyn Fn(&str) -> bool) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_wanted = |pid: &u32| {
        let context = fs::read_to_string(format!("/proc/{pid}/attr/current"));
        context.is_ok_and(|context| {
            wanted(context.split([':', '\0', '\n']).nth(2).unwrap_or_default())
        })
    };
    numbers.filter(is_wanted).collect()
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
