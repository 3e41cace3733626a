//! `gambeson run`: a command under policies that the kernel enforces.

mod apparmor;
#[cfg(feature = "bpf-lsm")]
mod bpf_lsm;
#[cfg(feature = "bpf-lsm")]
mod cgroup;
mod child;
#[cfg(feature = "bpf-lsm")]
mod join;
mod left;
mod selinux;
mod show;
mod summary;

use std::path::{Path, PathBuf};
use std::time::Duration;

use gambeson::policy_model::{Enforcement, Workload};
use thiserror::Error;

use self::child::StartError;
use super::compiling;
use crate::args::{Backend, RunArgs};
use crate::failure::Failure;
use crate::{Outcome, decide};

#[cfg(feature = "bpf-lsm")]
pub(crate) use self::join::exec_in_cgroup;

/// How long to wait for events before looking after the command.
const POLL: Duration = Duration::from_millis(50);

/// The command is there, but can't be executed; as shells have it.
const NOT_EXECUTED: u8 = 126;
/// There is no such command; as shells have it.
const NOT_FOUND: u8 = 127;

/// What goes wrong between a command and the kernel.
#[derive(Debug, Error)]
pub(crate) enum KernelFailure {
    /// With BPF programs.
    #[cfg(feature = "bpf-lsm")]
    #[error(transparent)]
    BpfLsm(#[from] bpf_lsm::BpfFailure),
    /// With AppArmor.
    #[error(transparent)]
    AppArmor(#[from] apparmor::AppArmorFailure),
    /// With SELinux.
    #[error(transparent)]
    Selinux(#[from] selinux::SelinuxFailure),
    /// The command can't be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The file for alerts can't be made.
    #[error("`{}` can't be written: {error}", file.display())]
    Output {
        file: PathBuf,
        error: std::io::Error,
    },
}

/// Runs the command and ends as it ends.
pub(crate) fn run(args: &RunArgs) -> Result<Outcome, Failure> {
    let mut workload = decide::workload(&args.subject)?;
    if args.audit && workload.enforcement_mode() == Enforcement::Enabled {
        workload = workload.enforcement(Enforcement::Audited);
    }
    let status = match args.carrying.backend {
        #[cfg(feature = "bpf-lsm")]
        Backend::BpfLsm => bpf_lsm::watch(args, &workload, &compile(args, &workload)?)?.status(),
        #[cfg(not(feature = "bpf-lsm"))]
        Backend::BpfLsm => return Err(Failure::NoBackend { command: "run" }),
        Backend::AppArmor => apparmor::watch(args, &workload, &compile(args, &workload)?)?,
        Backend::SeLinux => selinux::watch(args, &workload, &compile(args, &workload)?)?,
    };
    Ok(Outcome::Status(status))
}

fn compile(
    args: &RunArgs,
    workload: &Workload,
) -> Result<gambeson::matcher::CompiledPolicy, Failure> {
    compiling::compile(
        &args.policies,
        &args.reading,
        args.carrying.posture,
        workload,
        Some(Path::new("/")),
    )
}

/// What has been counted meanwhile, beside events.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    lost: u64,
    throttled: u64,
    unresolved: u64,
    /// What was to be denied passed.
    only_observed: bool,
}
