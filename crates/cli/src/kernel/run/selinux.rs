//! With SELinux types and domains.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gambeson::matcher::CompiledPolicy;
use gambeson::matcher::backend::{GapError, Require, Support as _};
use gambeson::policy_model::Workload;
use gambeson::selinux::{
    Applied, AvcRecord, InForce, KernelLog, LifeError, LogError, LowerError, LowerOptions,
    bind_next_exec, enforceability, explain, lower, probe,
};
use thiserror::Error;

use super::child::{Child, Ended, Signals, StartError};
use super::left;
use super::show::{Show, add_rule};
use super::{Counted, KernelFailure, NOT_EXECUTED, NOT_FOUND, POLL};
use crate::args::RunArgs;

/// So long may records take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the workload is called among those of the node.
const NAME: &str = "run";

/// What the module's names begin with.
const PREFIX: &str = "gambeson";

/// What goes wrong with SELinux.
#[derive(Debug, Error)]
pub(crate) enum SelinuxFailure {
    /// The machine can't enforce.
    #[error("SELinux can't enforce here: {missing}")]
    Unsupported { missing: String },
    /// A policy is in force.
    #[error(
        "a policy is in force, and a module of this command's would take its place for the whole machine; add what \
         `gambeson lower --backend selinux --on-top` prints to it with `semodule`"
    )]
    InForce,
    /// A module is in force that has processes.
    #[error(
        "another `gambeson run --backend selinux` has its policies in force; a machine has one module at a time"
    )]
    InUse,
    /// Gaps that aren't tolerated.
    #[error(transparent)]
    Refused(#[from] GapError),
    /// The policy can't be lowered.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The policy can't be put in force, or not be removed.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// Alerts can't be had.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The command can't be started, or not waited for.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Something in a domain doesn't end.
    #[error("processes in the module's domains don't end; it stays in force")]
    StillThere,
    /// What the mechanism can't do.
    #[error("SELinux shows only what is denied or watched: `--observe` needs `--backend bpf-lsm`")]
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
) -> Result<u8, SelinuxFailure> {
    if args.observe {
        return Err(SelinuxFailure::Observe);
    }
    let support = probe();
    if !support.can_enforce() {
        let findings = support.findings().iter();
        let missing = findings.filter(|finding| !finding.present);
        let missing: Vec<String> = missing.map(ToString::to_string).collect();
        return Err(SelinuxFailure::Unsupported {
            missing: missing.join("; "),
        });
    }
    let options = LowerOptions::default();
    match InForce::find(PREFIX) {
        InForce::Nothing | InForce::Left => {}
        InForce::InUse => return Err(SelinuxFailure::InUse),
        InForce::Other => return Err(SelinuxFailure::InForce),
    }
    let require: Require = args.carrying.require.into();
    enforceability(&support, policy).check(require)?;
    let [program, arguments @ ..] = &*args.command else {
        return Ok(NOT_FOUND);
    };
    let Some(file) = find(Path::new(program)) else {
        let program = program.to_string_lossy();
        crate::complain(&format!("`{program}` can't be executed: it is not found"));
        return Ok(NOT_FOUND);
    };
    let root = args.reading.root.as_deref().unwrap_or(Path::new("/"));
    let module = lower(&[(NAME, policy)], &options.prefix(PREFIX))?;
    let mut log = KernelLog::open()?;
    let applied = Applied::apply(module, root)?;
    let mut command = Command::new(program);
    command.args(arguments);
    let mut counted = Counted::default();
    let run = Run {
        applied: &applied,
        policy,
    };
    let ended = run.command(
        &mut command,
        &inside(root, &file),
        signals,
        &mut log,
        &mut show,
        &mut counted,
    );
    // Whatever went wrong, what the command left is ended before the policy goes.
    let left = left::end(|| applied.processes()).ok_or(SelinuxFailure::StillThere)?;
    let told = log.catch_up(PATIENCE, &mut |record| run.show(record, &mut show));
    match told {
        Ok(polled) => counted.lost += polled.overrun + polled.malformed,
        Err(error) => crate::note(&error.to_string()),
    }
    applied.remove()?;
    let status = match ended? {
        Some(ended) => {
            show.finish(&counted, ended);
            ended.status()
        }
        None => NOT_EXECUTED,
    };
    left::tell(left);
    Ok(status)
}

/// The program's file.
fn find(program: &Path) -> Option<PathBuf> {
    let named = if program.as_os_str().as_bytes().contains(&b'/') {
        program.to_owned()
    } else {
        let folders = std::env::var_os("PATH")?;
        let mut files = std::env::split_paths(&folders).map(|folder| folder.join(program));
        files.find(|file| file.is_file())?
    };
    named.canonicalize().ok()
}

/// What the workload sees the file as.
fn inside(root: &Path, file: &Path) -> Vec<u8> {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let rest = file.strip_prefix(root).unwrap_or(file);
    Path::new("/").join(rest).as_os_str().as_bytes().to_vec()
}

/// A policy in force.
struct Run<'r> {
    applied: &'r Applied,
    policy: &'r CompiledPolicy,
}

impl Run<'_> {
    /// How the command ended; `None` where it couldn't be executed, which has been told.
    fn command(
        &self,
        command: &mut Command,
        file: &[u8],
        signals: Signals,
        log: &mut KernelLog,
        show: &mut Show<'_>,
        counted: &mut Counted,
    ) -> Result<Option<Ended>, SelinuxFailure> {
        let module = self.applied.module();
        // Every program is of some class, and every class has its domain.
        let Some(domain) = module.domain_of(NAME, self.policy, file) else {
            return Ok(None);
        };
        bind_next_exec(module, domain)?;
        let process = match command.spawn() {
            Ok(process) => process,
            Err(error) => {
                let program = command.get_program().to_string_lossy();
                crate::complain(&format!("`{program}` can't be executed: {error}"));
                return Ok(None);
            }
        };
        let mut child = Child::new(process, signals);
        loop {
            let polled = log.poll(&mut |record| self.show(record, show))?;
            counted.lost += polled.overrun + polled.malformed;
            if let Some(ended) = child.ended()? {
                return Ok(Some(ended));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Shows what a record tells.
    fn show(&self, record: AvcRecord, show: &mut Show<'_>) {
        let Some(told) = explain(self.applied.module(), record, |_| Some(self.policy)) else {
            return;
        };
        let (event, decision) = (&told.event, told.decision);
        show.event(event, decision, told.reason.name(), |policy, context| {
            let mut alert = told.alert(policy, context)?;
            add_rule(&mut alert, decision, policy);
            Some(alert)
        });
    }
}
