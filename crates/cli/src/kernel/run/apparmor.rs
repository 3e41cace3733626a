//! With AppArmor profiles.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use gambeson::apparmor::audit::{Mark, Occurrence, Reason, Record};
use gambeson::apparmor::{
    AppArmor, Applied, ApplyError, BindError, Enforcer, KernelLog, LogError, Options, Start,
    StateError,
};
use gambeson::matcher::CompiledPolicy;
use gambeson::policy_model::Workload;
use thiserror::Error;

use super::child::{Child, Signals, StartError};
use super::left;
use super::show::{Show, add_rule};
use super::{Counted, KernelFailure, NOT_EXECUTED, NOT_FOUND, POLL};
use crate::args::RunArgs;

/// So long may records take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// And so often is looked.
const LOOK: Duration = Duration::from_millis(10);

/// What goes wrong with AppArmor.
#[derive(Debug, Error)]
pub(crate) enum AppArmorFailure {
    /// The policy can't be put in force, or not be removed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// What is in force is something else.
    #[error(transparent)]
    State(#[from] StateError),
    /// The command can't come under the policy.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Alerts can't be had.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The command can't be started, or not waited for.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Something under the profile doesn't end.
    #[error("processes under `{name}` don't end; the profile stays in force")]
    StillThere { name: String },
    /// What the mechanism can't do.
    #[error("AppArmor shows only what is denied or watched: `--observe` needs `--backend bpf-lsm`")]
    Observe,
}

/// Runs the command; the status to end with.
pub(super) fn watch(
    args: &RunArgs,
    workload: &Workload,
    policy: &CompiledPolicy,
) -> Result<u8, KernelFailure> {
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
) -> Result<u8, AppArmorFailure> {
    if args.observe {
        return Err(AppArmorFailure::Observe);
    }
    let enforcer = AppArmor::open()?;
    let mut log = KernelLog::open()?;
    let name = format!("gambeson.run-{}", std::process::id());
    let name = name.parse().unwrap_or_default();
    let applied = enforcer.apply(policy, &Options::named(name), args.carrying.require.into())?;
    let run = Run {
        enforcer: &enforcer,
        applied: Some(applied),
    };
    let mut counted = Counted::default();
    let ended = run.command(args, signals, &mut log, &mut show, &mut counted)?;
    let left = run.end_processes()?;
    run.remove()?;
    // The record of the removal comes after all others.
    let deadline = Instant::now() + PATIENCE;
    let mut removed = false;
    while !removed && Instant::now() < deadline {
        run.poll(&mut log, &mut show, &mut counted, &mut removed)?;
        std::thread::sleep(LOOK);
    }
    if !removed {
        crate::note(
            "the kernel's records don't tell of the profile's end: some were dropped, or an audit daemon has them all",
        );
    }
    let status = match ended {
        Ended::Was(ended) => {
            show.finish(&counted, ended);
            ended.status()
        }
        Ended::NotStarted(status) => status,
    };
    left::tell(left);
    Ok(status)
}

/// How it went with the command.
#[derive(Debug, Clone, Copy)]
enum Ended {
    Was(super::child::Ended),
    /// It could not be executed, which has been told.
    NotStarted(u8),
}

/// A policy in force, removed whatever goes wrong.
struct Run<'e> {
    enforcer: &'e Enforcer,
    applied: Option<Applied>,
}

impl Run<'_> {
    fn command(
        &self,
        args: &RunArgs,
        signals: Signals,
        log: &mut KernelLog,
        show: &mut Show<'_>,
        counted: &mut Counted,
    ) -> Result<Ended, AppArmorFailure> {
        let (Some(applied), [program, arguments @ ..]) = (&self.applied, &*args.command) else {
            return Ok(Ended::NotStarted(NOT_FOUND));
        };
        self.enforcer.confirm(applied)?;
        let mut command = Command::new(program);
        command.args(arguments);
        let bound = match applied.spawn(&mut command, Start::Judged) {
            Ok(bound) => bound,
            Err(BindError::Start(error)) => {
                let program = program.to_string_lossy();
                crate::complain(&format!("`{program}` can't be executed: {error}"));
                return Ok(Ended::NotStarted(
                    if error.kind() == io::ErrorKind::NotFound {
                        NOT_FOUND
                    } else {
                        NOT_EXECUTED
                    },
                ));
            }
            Err(error) => return Err(error.into()),
        };
        let mut child = Child::new(bound.child, signals);
        loop {
            self.poll(log, show, counted, &mut false)?;
            if let Some(ended) = child.ended()? {
                return Ok(Ended::Was(ended));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Shows what has happened. `removed` says whether the kernel has told of the profile's end.
    fn poll(
        &self,
        log: &mut KernelLog,
        show: &mut Show<'_>,
        counted: &mut Counted,
        removed: &mut bool,
    ) -> Result<(), AppArmorFailure> {
        let Some(applied) = &self.applied else {
            return Ok(());
        };
        let own = applied.name().as_str().as_bytes();
        let polled = log.poll(&mut |record: Record| {
            *removed |= record.mark == Mark::Status
                && record.operation == "profile_remove"
                && record.name.as_deref() == Some(own);
            let Some(occurrence) = applied.occurrence(&record) else {
                return;
            };
            let otherwise = because(&occurrence);
            let (event, decision) = (&occurrence.event, occurrence.decision);
            show.event(event, decision, &otherwise, |policy, context| {
                let mut alert = occurrence.alert(policy, context)?;
                add_rule(&mut alert, decision, policy);
                Some(alert)
            });
        })?;
        counted.lost += polled.overrun + polled.malformed;
        Ok(())
    }

    /// Ends what is still under the policy: without it, it would be free. What it ended, by name.
    fn end_processes(&self) -> Result<Vec<String>, AppArmorFailure> {
        let Some(applied) = &self.applied else {
            return Ok(Vec::new());
        };
        left::end(|| applied.processes()).ok_or_else(|| AppArmorFailure::StillThere {
            name: applied.name().to_string(),
        })
    }

    fn remove(&self) -> Result<(), AppArmorFailure> {
        match &self.applied {
            Some(applied) => Ok(self.enforcer.remove_named(applied.name())?),
            None => Ok(()),
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // Something else went wrong, and is what is told; mostly it is removed already.
        if let Ok(left) = self.end_processes()
            && let Some(applied) = self.applied.take()
        {
            drop(left);
            let _ = self.enforcer.remove(applied);
        }
    }
}

/// What stands in a rule's place.
fn because(occurrence: &Occurrence) -> String {
    match (occurrence.reason, &occurrence.record.info) {
        (Reason::Policy(_), _) => "no rule".to_owned(),
        (Reason::Mount, _) => "mounting under file rules".to_owned(),
        (Reason::Mechanism, Some(info)) => crate::text::printable(info.as_bytes()),
        (Reason::Mechanism, None) => "no rule accounts for it".to_owned(),
    }
}
