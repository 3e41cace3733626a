//! Joining a cgroup before becoming the command, so that its own exec is judged already.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::args::ExecInCgroupArgs;

/// The command is there, but can't be executed; as shells have it.
const NOT_EXECUTED: u8 = 126;
/// There is no such command; as shells have it.
const NOT_FOUND: u8 = 127;

/// The subcommand that does it.
pub(super) const NAME: &str = "__exec-in-cgroup";

/// Joins the cgroup and becomes the command. Returns only where that fails.
pub(crate) fn exec_in_cgroup(args: &ExecInCgroupArgs) -> Outcome {
    if let Err(error) = join(&args.cgroup) {
        let cgroup = args.cgroup.display();
        crate::complain(&format!("cgroup `{cgroup}` can't be joined: {error}"));
        return Outcome::Status(1);
    }
    let error = exec(&args.command);
    let command = args.command.first().cloned().unwrap_or_default();
    crate::complain(&format!(
        "`{}` can't be executed: {error}",
        command.to_string_lossy()
    ));
    Outcome::Status(if error.kind() == io::ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_EXECUTED
    })
}

/// Moves this process.
fn join(cgroup: &Path) -> io::Result<()> {
    std::fs::write(cgroup.join("cgroup.procs"), "0")
}

fn exec(command: &[OsString]) -> io::Error {
    match command.split_first() {
        Some((program, arguments)) => Command::new(program).args(arguments).exec(),
        None => io::ErrorKind::NotFound.into(),
    }
}
