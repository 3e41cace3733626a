//! What ends the command early.

use std::io;
use std::path::{Path, PathBuf};

use gambeson::matcher::CompileError;
use gambeson::policy_model::{RootError, WorkloadError};
use thiserror::Error;

/// What ends the command early.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// A file that can't be opened or read.
    #[error("`{}` can't be read: {error}", file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    /// A workload's file that describes none.
    #[error("`{}`: {error}", file.display())]
    Workload { file: PathBuf, error: WorkloadError },
    /// Policies with errors; what is wrong with them has been printed.
    #[error("{0}; nothing was judged")]
    Policies(String),
    /// Policies that can't be compiled.
    #[error("the policies can't be compiled: {0}")]
    Compile(#[from] CompileError),
    /// Tests of policies that can't be read.
    #[error(transparent)]
    Tests(#[from] gambeson::policy_test::TestFileError),
    /// Drafts that can't be made.
    #[error(transparent)]
    Discover(#[from] gambeson::discover::DiscoverError),
    /// Policies or events that nothing can be promoted by.
    #[error(transparent)]
    Promote(#[from] gambeson::promote::PromoteError),
    /// Files that can't be changed, or not brought back.
    #[error(transparent)]
    Journal(#[from] gambeson::promote::JournalError),
    /// Tests can't be carried out in kernels.
    #[error(transparent)]
    InKernel(#[from] crate::insight::InKernelFailure),
    /// A workload's root that is none.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A command that works with BPF programs, in a build that has none.
    #[cfg(not(feature = "bpf-lsm"))]
    #[error(
        "`gambeson {command} --backend bpf-lsm` needs a build with the feature `bpf-lsm`: `cargo install --path crates/cli --features bpf-lsm`"
    )]
    NoBackend { command: &'static str },
    /// Features of a kernel that can't be read.
    #[error("the features of AppArmor can't be read: {0}")]
    Features(#[from] gambeson::apparmor::FeaturesError),
    /// Policies that can't be lowered.
    #[error(transparent)]
    Lower(#[from] gambeson::apparmor::LowerError),
    /// Policies that can't be lowered to a module.
    #[error(transparent)]
    LowerToModule(#[from] gambeson::selinux::LowerError),
    /// Policies that aren't carried out as closely as required.
    #[error("the policies can't be carried out as required ({require}); {gaps} named above {} not tolerated", if *.gaps == 1 { "gap is" } else { "gaps are" })]
    Gaps {
        require: gambeson::matcher::backend::Require,
        gaps: usize,
    },
    /// What goes wrong between policies and the kernel.
    #[error(transparent)]
    Kernel(#[from] crate::kernel::KernelFailure),
    /// A file that can't be written.
    #[error("`{}` can't be written: {error}", file.display())]
    Unwritable { file: PathBuf, error: io::Error },
    /// Answers that can't be written.
    #[error("the output can't be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    pub(crate) fn unreadable(file: &Path, error: io::Error) -> Self {
        Self::Unreadable {
            file: file.to_owned(),
            error,
        }
    }

    /// Whether whoever reads the output has gone, which is their right.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
