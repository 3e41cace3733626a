//! What can go wrong with the kernel.

use std::io;
use std::path::PathBuf;

use gambeson_matcher::backend::GapError;
use thiserror::Error;

use crate::binding::Binding;
use crate::lower::LowerError;

/// A step with the kernel that failed.
#[derive(Debug, Error)]
#[error("can't {step}: {source}")]
pub struct KernelError {
    /// What was tried, such as ``read map `scopes` ``.
    pub step: String,
    /// What the kernel or libbpf says.
    #[source]
    pub source: io::Error,
}

impl KernelError {
    pub(super) fn new(step: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self {
            step: step.into(),
            source: source.into(),
        }
    }

    /// For `map_err`, where the error is libbpf's.
    pub(super) fn of(step: impl Into<String>) -> impl FnOnce(libbpf_rs::Error) -> Self {
        let step = step.into();
        |error| Self {
            step,
            source: io::Error::new(error_kind(&error), error),
        }
    }

    /// For `map_err`, where the error is the system's.
    pub(super) fn io<E: Into<io::Error>>(step: impl Into<String>) -> impl FnOnce(E) -> Self {
        let step = step.into();
        |error| Self {
            step,
            source: error.into(),
        }
    }
}

fn error_kind(error: &libbpf_rs::Error) -> io::ErrorKind {
    match error.kind() {
        libbpf_rs::ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
        libbpf_rs::ErrorKind::NotFound => io::ErrorKind::NotFound,
        libbpf_rs::ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
        _ => io::ErrorKind::Other,
    }
}

/// Why the programs aren't loaded. Nothing is left attached or pinned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The kernel lacks something without which nothing is enforced.
    #[error("this kernel can't enforce: {missing}")]
    Unsupported {
        /// What is missing, with reasons and remedies.
        missing: String,
    },
    /// An option that can't be met.
    #[error("option `{option}`: {problem}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The kernel refused the object: a program, or a map.
    #[error("the kernel refuses the programs: {source}{}", tail(.log))]
    Refused {
        /// What libbpf says.
        source: Box<KernelError>,
        /// The end of the verifier's log.
        log: String,
    },
    /// A program that can't be attached to its hook.
    #[error("can't attach program `{program}`: {source}")]
    Attach {
        /// The program.
        program: String,
        /// What libbpf says.
        source: Box<KernelError>,
    },
    /// The directory for pins can't hold them.
    #[error("`{}` can't hold pins: {problem}", path.display())]
    PinDirectory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An earlier run's pins are there: they are to be adopted.
    #[error("`{}` holds the pins of an earlier run: adopt or clear them", path.display())]
    AlreadyPinned {
        /// The directory.
        path: PathBuf,
    },
    /// Pins that are not complete: an earlier run ended while it made or removed them.
    #[error("pins in `{}` are incomplete: {missing} is missing; clear them and load anew", path.display())]
    DamagedPins {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        missing: String,
    },
    /// The self-test found that programs are skipped.
    #[error(
        "the kernel skips programs: of {attempts} forbidden opens {allowed} succeeded, {misses} runs were skipped; use Linux 6.2 or later, or a kernel without full preemption"
    )]
    Skips {
        /// How many opens were tried.
        attempts: u64,
        /// How many of them succeeded.
        allowed: u64,
        /// How many runs of programs the kernel counts as skipped.
        misses: u64,
    },
    /// The self-test could not be made.
    #[error("the self-test could not be made: {0}")]
    SelfTest(#[source] Box<BindError>),
    /// Another step that failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl LoadError {
    /// Whether the system lets this process load no BPF programs at all: it lacks capabilities, or is
    /// in a container that keeps it from them. A program that the verifier refuses is another thing.
    #[must_use]
    pub fn is_not_permitted(&self) -> bool {
        match self {
            Self::Refused { source, log } => {
                source.source.kind() == io::ErrorKind::PermissionDenied
                    && !log.contains("program load failed")
            }
            Self::Kernel(error) => error.source.kind() == io::ErrorKind::PermissionDenied,
            _ => false,
        }
    }
}

fn tail(log: &str) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!("; the verifier's last words:\n{log}")
    }
}

/// Why a policy isn't put in force, or taken out of it. What was in force before still is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The policy can't be carried out as closely as required.
    #[error(transparent)]
    Gap(#[from] GapError),
    /// The policy can't be brought into the kernel's form.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The scope has a policy already: it is to be replaced.
    #[error("`{scope}` is bound already, to {binding}")]
    AlreadyBound {
        /// The scope.
        scope: String,
        /// What it is bound to.
        binding: Binding,
    },
    /// The scope is exempt from every policy.
    #[error("`{scope}` is exempt from every policy")]
    Exempt {
        /// The scope.
        scope: String,
    },
    /// A handle of something that has been removed.
    #[error("{0} is bound no longer")]
    NotBound(Binding),
    /// A path that is no cgroup of version 2.
    #[error("`{}` is no cgroup of version 2: {problem}", path.display())]
    NotACgroup {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// More workloads or tables than the maps hold.
    #[error("all {most} {what} are in use")]
    Full {
        /// Of what there are too many.
        what: &'static str,
        /// How many there may be.
        most: u32,
    },
    /// A process that is not there, or has ended.
    #[error("process {pid}: {source}")]
    Process {
        /// Its id.
        pid: u32,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A step with the kernel that failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Why no events can be had.
#[derive(Debug, Error)]
#[error("can't read events: {0}")]
pub struct EventError(#[from] pub(super) io::Error);
