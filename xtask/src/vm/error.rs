//! What can go wrong in a virtual machine.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

/// Why a virtual machine gave no outcome. A command that fails is an outcome, not an error.
#[derive(Debug, Error)]
pub enum VmError {
    /// This machine can't run virtual machines.
    #[error("virtual machines can't run here: {reason}")]
    Unavailable {
        /// What is missing and what to do.
        reason: String,
    },
    /// The kernel is known, but neither the cache nor Debian's archive gives it.
    #[error("no kernel `{name}`: {reason}")]
    NoKernel {
        /// The name that was asked for.
        name: String,
        /// What was tried.
        reason: String,
    },
    /// No kernel has this name.
    #[error("`{name}` names no kernel; the names are {}", super::NAMES.join(", "))]
    UnknownKernel {
        /// The name that was asked for.
        name: String,
    },
    /// The guest runs another kernel than the one that was to be tested.
    #[error("the guest runs the kernel `{got}`, not `{expected}`")]
    WrongKernel {
        /// The release that was to run.
        expected: String,
        /// The release that the guest reports.
        got: String,
    },
    /// The kernel has no such module, neither as a file nor built in.
    #[error("the kernel {release} has no module `{module}`")]
    NoModule {
        /// The kernel's release.
        release: String,
        /// The module's name.
        module: String,
    },
    /// A file or folder can't be used.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A program that the rig uses failed.
    #[error("`{program}` failed: {message}")]
    Tool {
        /// The program.
        program: String,
        /// What it said.
        message: String,
    },
    /// A file is not what it should be.
    #[error("`{}`: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The emulator can't be talked to, or refuses a request.
    #[error("the emulator's monitor: {message}")]
    Monitor {
        /// What went wrong.
        message: String,
    },
    /// The files for the guest don't fit into the memory that it shares with the host.
    #[error("the payload has {bytes} bytes; at most {limit} fit")]
    PayloadTooLarge {
        /// The payload's size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The guest did not end in time, and was stopped.
    #[error("the guest did not end within {} s", after.as_secs_f64())]
    TimedOut {
        /// The time that it had.
        after: Duration,
        /// What the command had written to its standard output by then.
        stdout: Vec<u8>,
        /// What the command had written to its standard error by then.
        stderr: Vec<u8>,
        /// The end of the guest's console.
        console: String,
    },
    /// The guest could not do what it was asked to: the command doesn't exist, for one.
    #[error("the guest failed: {reason}")]
    Guest {
        /// What the guest said.
        reason: String,
    },
    /// The guest ended without a status: its kernel panicked, or the emulator failed.
    #[error("the guest ended without a status; emulator: {emulator:?}; console: {console}")]
    Died {
        /// What the emulator said.
        emulator: String,
        /// The end of the guest's console, with the panic if there was one.
        console: String,
        /// What the command had written to its standard output by then.
        stdout: Vec<u8>,
        /// What the command had written to its standard error by then.
        stderr: Vec<u8>,
    },
}

impl VmError {
    /// Whether the machine lacks what it takes, as opposed to something having gone wrong. Where
    /// no kernel is expected by name, callers skip what needs one.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::NoKernel { .. })
    }

    pub(super) fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn malformed(path: &Path, message: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            message: message.into(),
        }
    }

    pub(super) fn monitor(message: impl ToString) -> Self {
        Self::Monitor {
            message: message.to_string(),
        }
    }
}
