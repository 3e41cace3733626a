//! Joining a cgroup before becoming the command, so that its own exec is judged already.

use std::env::ArgsOs;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cgroup::FreshCgroup;
use super::child::{Child, Signals, StartError};
use super::{NOT_EXECUTED, NOT_FOUND};

/// The first argument of a process that is to do it; the cgroup and the command follow.
const NAME: &str = "__exec-in-cgroup";

/// Starts this program once more: it joins the cgroup and becomes the command.
pub(super) fn start(
    cgroup: &FreshCgroup,
    command: &[OsString],
    signals: Signals,
) -> Result<Child, StartError> {
    let process = Command::new("/proc/self/exe")
        .arg(NAME)
        .arg(cgroup.path())
        .args(command)
        .spawn()
        .map_err(StartError::of("the command can't be started"))?;
    Ok(Child::new(process, signals))
}

/// Joins the cgroup and becomes the command, where the arguments ask for that. Returns only where it
/// fails, with the status to end with.
pub(crate) fn exec_in_cgroup(mut args: ArgsOs) -> Option<u8> {
    if args.nth(1)? != NAME {
        return None;
    }
    let cgroup = PathBuf::from(args.next()?);
    let command = args.next()?;
    if let Err(error) = join(&cgroup) {
        let cgroup = cgroup.display();
        crate::complain(&format!("cgroup `{cgroup}` can't be joined: {error}"));
        return Some(1);
    }
    let error = Command::new(&command).args(args).exec();
    let command = command.to_string_lossy();
    crate::complain(&format!("`{command}` can't be executed: {error}"));
    Some(if error.kind() == io::ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_EXECUTED
    })
}

/// Moves this process.
fn join(cgroup: &Path) -> io::Result<()> {
    std::fs::write(cgroup.join("cgroup.procs"), "0")
}
