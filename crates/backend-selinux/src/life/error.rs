//! Why a step in the life of a module failed.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::lower::LowerError;

/// Why a module could not be brought into the kernel, or out of it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LifeError {
    /// A module on top of a policy that is there.
    #[error(
        "the module is no whole policy; add it with `semodule --install`, together with the policy it is for"
    )]
    NotWhole,
    /// The policies can't be lowered.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The compiler can't be started, or its files not be written.
    #[error("`secilc` can't be run: {source}; install the package `secilc`")]
    Compiler {
        /// Why.
        source: io::Error,
    },
    /// The compiler refuses the module.
    #[error("`secilc` refuses the module: {message}")]
    Refused {
        /// What it says.
        message: String,
    },
    /// The kernel refuses the policy.
    #[error("the kernel refuses the policy: {source}; the one that was in force still is")]
    Load {
        /// Why.
        source: io::Error,
    },
    /// A file that can't be looked at.
    #[error("`{}` can't be looked at: {source}", path.display())]
    Walk {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that can't be labelled.
    #[error("`{}` can't be labelled: {source}; its file system must hold labels", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file with two names that want two labels, neither of which is the stricter one.
    #[error(
        "`{}` is a name of a file that has others; policies treat it like `{first}` by one and like `{second}` by \
         another, and neither is the stricter", path.display()
    )]
    TwoLabels {
        /// A name.
        path: PathBuf,
        /// What it is like by its other names.
        first: String,
        /// What it is like by this name.
        second: String,
    },
    /// A label that isn't what was set.
    #[error("`{}` has the label `{found}`, not `{expected}`", path.display())]
    Unverified {
        /// The file.
        path: PathBuf,
        /// Its label.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A source that is a script.
    #[error("`{}` is a script: no process has it for its executable, but its domain would be entered; name its interpreter", path.display())]
    Script {
        /// The file.
        path: PathBuf,
    },
    /// The kernel refuses the context.
    #[error("the next exec can't be bound to `{context}`: {source}")]
    Bind {
        /// The context.
        context: String,
        /// Why.
        source: io::Error,
    },
    /// What was there couldn't be put back after a failure.
    #[error("{failed}; and what was in force before can't be put back: {again}")]
    NotRestored {
        /// What failed first.
        failed: Box<LifeError>,
        /// What failed then.
        again: Box<LifeError>,
    },
}
