//! With BPF programs.

use std::time::{Duration, SystemTime};

use gambeson::bpf_lsm::{
    BindError, BindOptions, BpfLsm, Counters, EventError, KernelError, KernelEvent, LoadError,
    Options, Reason, Scope,
};
use gambeson::matcher::CompiledPolicy;
use gambeson::policy_model::{
    Alert, AlertContext, Cause, Class, Decision, UnixTime, Verdict, Workload,
};
use thiserror::Error;

use super::cgroup::{CgroupError, FreshCgroup};
use super::child::{Ended, Signals, StartError};
use super::show::{Show, add_rule};
use super::{Counted, KernelFailure, POLL, join};
use crate::args::RunArgs;

/// The classes of which everything is shown where nothing is denied.
const OBSERVED: [Class; 4] = [
    Class::Process,
    Class::File,
    Class::Network,
    Class::Capabilities,
];

/// What goes wrong with BPF programs.
#[derive(Debug, Error)]
pub(crate) enum BpfFailure {
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
    /// The command can't be started, or not waited for.
    #[error(transparent)]
    Start(#[from] StartError),
}

pub(super) fn watch(
    args: &RunArgs,
    workload: &Workload,
    policy: &CompiledPolicy,
) -> Result<Ended, KernelFailure> {
    let show = Show::new(args, workload, policy)?;
    // From here on, signals that would end this process go to the command, so that all is removed.
    let signals = Signals::new()?;
    Ok(enforce(args, policy, signals, show)?)
}

fn enforce(
    args: &RunArgs,
    policy: &CompiledPolicy,
    signals: Signals,
    mut show: Show<'_>,
) -> Result<Ended, BpfFailure> {
    let clock = Clock::now();
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
    let mut take = |event: KernelEvent| {
        if event.binding == binding {
            let what = event.event();
            show.event(
                &what,
                event.decision,
                because(event.reason),
                |policy, context| {
                    context.time = clock.at(event.time);
                    alert(&event, policy, context)
                },
            );
        }
    };
    let mut child = join::start(&cgroup, &args.command, signals)?;
    let ended = loop {
        enforcer.poll(POLL, &mut take)?;
        if let Some(ended) = child.ended()? {
            break ended;
        }
    };
    // While the policy is still in force.
    let left = cgroup.end();
    while enforcer.poll(Duration::ZERO, &mut take)? > 0 {}
    let counted = counted(&before, &enforcer.counters()?, args.observe);
    enforcer.detach()?;
    show.finish(&counted, ended);
    for process in left? {
        crate::note(&format!(
            "the command left process {process} behind; it was ended"
        ));
    }
    Ok(ended)
}

const fn counted(before: &Counters, after: &Counters, only_observed: bool) -> Counted {
    Counted {
        lost: after.lost.saturating_sub(before.lost),
        throttled: after.throttled.saturating_sub(before.throttled),
        unresolved: after.unresolved.saturating_sub(before.unresolved),
        only_observed,
    }
}

/// What stands in a rule's place.
const fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::Policy(_) => "no rule",
        Reason::Mount => "mounting under file rules",
        Reason::Engine => "could not be decided",
    }
}

/// KubeArmor's alert, or its log of what was allowed, with the verdict and the rule's place.
fn alert(event: &KernelEvent, policy: &CompiledPolicy, context: &AlertContext) -> Option<Alert> {
    let mut alert = if event.decision.verdict == Verdict::Allow {
        log(event, policy, context)
    } else {
        event.alert(policy, context)
    }?;
    add_rule(&mut alert, event.decision, policy);
    Some(alert)
}

/// KubeArmor logs what is allowed in the shape of an alert that names no policy.
fn log(event: &KernelEvent, policy: &CompiledPolicy, context: &AlertContext) -> Option<Alert> {
    let reported = KernelEvent {
        decision: Decision {
            verdict: Verdict::Audit,
            cause: Cause::None,
        },
        ..event.clone()
    };
    let mut log = reported.alert(policy, context)?;
    log.policy_name.clear();
    log.action.clear();
    let kind = if context.on_host {
        "HostLog"
    } else {
        "ContainerLog"
    };
    kind.clone_into(&mut log.kind);
    Some(log)
}

/// From the time since boot, which events carry, to that of the day.
struct Clock {
    boot: SystemTime,
}

impl Clock {
    fn now() -> Self {
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let since = Duration::try_from(since).unwrap_or_default();
        Self {
            boot: SystemTime::now()
                .checked_sub(since)
                .unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }

    fn at(&self, since_boot: Duration) -> UnixTime {
        let time = self
            .boot
            .checked_add(since_boot)
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
            .unwrap_or_default();
        UnixTime {
            seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            microseconds: time.subsec_micros(),
        }
    }
}
