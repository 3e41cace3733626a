//! `gambeson run`: a command under policies that the kernel enforces.

mod cgroup;
mod child;
mod join;
mod show;
mod summary;

use std::path::PathBuf;
use std::time::Duration;

use gambeson::bpf_lsm::{
    BindError, BindOptions, BpfLsm, Counters, EventError, KernelError, LoadError, Options, Scope,
};
use gambeson::matcher::CompiledPolicy;
use gambeson::policy_model::{Class, Enforcement, Workload};
use thiserror::Error;

use self::cgroup::{CgroupError, FreshCgroup};
use self::child::{Child, Ended, StartError};
use self::show::Show;
use super::compiling;
use crate::args::{Backend, RunArgs};
use crate::failure::Failure;
use crate::{Outcome, decide};

pub(crate) use self::join::exec_in_cgroup;

/// How long to wait for events before looking after the command.
const POLL: Duration = Duration::from_millis(50);

/// The classes of which everything is shown where nothing is denied.
const OBSERVED: [Class; 4] = [
    Class::Process,
    Class::File,
    Class::Network,
    Class::Capabilities,
];

/// What goes wrong between a command and the kernel.
#[derive(Debug, Error)]
pub(crate) enum KernelFailure {
    /// The programs can't be loaded.
    #[error("{0}; `gambeson probe` says more")]
    Load(#[from] LoadError),
    /// The policy can't be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Events can't be had.
    #[error(transparent)]
    Event(#[from] EventError),
    /// A step with the kernel failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The cgroup can't be made or removed.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
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
    let Backend::BpfLsm = args.carrying.backend;
    let mut workload = decide::workload(&args.subject)?;
    if args.audit && workload.enforcement_mode() == Enforcement::Enabled {
        workload = workload.enforcement(Enforcement::Audited);
    }
    let policy = compiling::compile(
        &args.policies,
        &args.reading,
        args.carrying.posture,
        &workload,
    )?;
    let ended = watch(args, &workload, &policy)?;
    Ok(Outcome::Status(ended.status()))
}

fn watch(
    args: &RunArgs,
    workload: &Workload,
    policy: &CompiledPolicy,
) -> Result<Ended, KernelFailure> {
    let mut show = Show::new(args, workload, policy)?;
    // From here on, signals that would end this process go to the command, so that all is removed.
    let signals = child::Signals::new()?;
    let mut enforcer = BpfLsm::load(&Options::default())?;
    let before = enforcer.counters()?;
    // Made after the enforcer, and so removed before it whatever goes wrong: nothing in it is ever
    // without the policy.
    let cgroup = FreshCgroup::make(args.cgroup_parent.as_deref())?;
    let options = BindOptions {
        require: args.carrying.require.into(),
        observe: args.observe,
        visibility: if args.observe {
            OBSERVED.to_vec()
        } else {
            Vec::new()
        },
        ..BindOptions::default()
    };
    let scope = Scope::Cgroup(cgroup.path().to_owned());
    let binding = enforcer.bind(&scope, policy, &options)?;
    let mut child = Child::start(&cgroup, &args.command, signals)?;
    let ended = loop {
        enforcer.poll(POLL, &mut |event| {
            if event.binding == binding {
                show.event(&event);
            }
        })?;
        if let Some(ended) = child.ended()? {
            break ended;
        }
    };
    // While the policy is still in force.
    let left = cgroup.end();
    while enforcer.poll(Duration::ZERO, &mut |event| {
        if event.binding == binding {
            show.event(&event);
        }
    })? > 0
    {}
    let counted = Counted::between(&before, &enforcer.counters()?, args.observe);
    enforcer.detach()?;
    show.finish(&counted, ended);
    for process in left? {
        crate::note(&format!(
            "the command left process {process} behind; it was ended"
        ));
    }
    Ok(ended)
}

/// What the programs have counted meanwhile, beside events.
#[derive(Debug, Clone, Copy)]
struct Counted {
    lost: u64,
    throttled: u64,
    unresolved: u64,
    /// What was to be denied passed.
    only_observed: bool,
}

impl Counted {
    const fn between(before: &Counters, after: &Counters, only_observed: bool) -> Self {
        Self {
            lost: after.lost.saturating_sub(before.lost),
            throttled: after.throttled.saturating_sub(before.throttled),
            unresolved: after.unresolved.saturating_sub(before.unresolved),
            only_observed,
        }
    }
}
