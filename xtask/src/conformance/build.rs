//! Builds what runs in the guest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why something could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A program could not be started.
    #[error("`{program}` can't be started: {error}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A program failed.
    #[error("`{program}` failed: {message}")]
    Failed {
        /// Which.
        program: String,
        /// What it said.
        message: String,
    },
    /// A file can't be written.
    #[error("`{}` can't be written: {error}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
}

const SOURCES: [&str; 10] = [
    "main.c",
    "stage.c",
    "prepare.c",
    "files.c",
    "names.c",
    "programs.c",
    "sockets.c",
    "capabilities.c",
    "rooms.c",
    "ring.c",
];

/// Compiles the actor into a folder; its file.
///
/// # Errors
/// When there is no C compiler, or it refuses the source.
pub fn actor(folder: &Path) -> Result<PathBuf, BuildError> {
    fs::create_dir_all(folder).map_err(|error| BuildError::Write {
        path: folder.to_owned(),
        error,
    })?;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/actor");
    // The program whose bytes the actor has in it.
    let mut target = Command::new("cc");
    target
        .args(["-Os", "-nostdlib", "-static-pie", "-fPIE", "-s"])
        .args([
            "-Wl,-z,noseparate-code",
            "-Wl,-z,norelro",
            "-Wl,--build-id=none",
        ])
        .arg("-o")
        .arg(folder.join("actor-target"))
        .arg(sources.join("target.c"));
    run(target)?;
    let file = folder.join("actor");
    let mut actor = Command::new("cc");
    actor
        .args(["-Os", "-static", "-s", "-Wall", "-Wextra", "-Werror"])
        .arg("-Wno-missing-field-initializers")
        .arg(format!("-Wa,-I{}", folder.display()))
        .arg("-o")
        .arg(&file)
        .args(SOURCES.map(|name| sources.join(name)));
    run(actor)?;
    Ok(file)
}

/// Builds a program of this package that runs in guests; its file.
///
/// # Errors
/// When cargo fails.
pub fn guest(program: &str) -> Result<PathBuf, BuildError> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--release", "--package", "xtask"])
        .args(["--bin", program, "--features", "bpf-lsm"])
        .args(["--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = run(cargo)?;
    let executable = output
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| line.get("executable")?.as_str().map(PathBuf::from))
        .next_back();
    executable.ok_or_else(|| BuildError::Failed {
        program: "cargo".to_owned(),
        message: "it names no executable".to_owned(),
    })
}

/// Compiles the worker of `cargo xtask kernel` beside another program; its file.
///
/// # Errors
/// When there is no C compiler, or it refuses the source.
pub fn worker(beside: &Path) -> Result<PathBuf, BuildError> {
    let file = beside.with_file_name("kernel-guest-worker");
    let mut worker = Command::new("cc");
    worker
        .args(["-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror"])
        .arg("-o")
        .arg(&file)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernel/guest/worker.c"));
    run(worker)?;
    Ok(file)
}

/// The program that compiles profiles; its file.
///
/// # Errors
/// When it isn't installed.
pub fn apparmor_parser() -> Result<PathBuf, BuildError> {
    match gambeson::apparmor::Parser::find() {
        Ok(parser) => Ok(parser.program().to_owned()),
        Err(error) => Err(BuildError::Failed {
            program: "apparmor_parser".to_owned(),
            message: error.to_string(),
        }),
    }
}

/// The program that compiles modules; its file.
///
/// # Errors
/// When it isn't installed.
pub fn secilc() -> Result<PathBuf, BuildError> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut programs = std::env::split_paths(&folders).map(|folder| folder.join("secilc"));
    programs
        .find(|program| program.is_file())
        .ok_or_else(|| BuildError::Failed {
            program: "secilc".to_owned(),
            message: "it is in no directory of PATH; install the package `secilc`".to_owned(),
        })
}

fn run(mut command: Command) -> Result<String, BuildError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| BuildError::Start {
        program: program.clone(),
        error,
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(BuildError::Failed {
        program,
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_actor_compiles_without_warnings_and_shows_that_it_was_executed() {
        let folder = std::env::temp_dir().join(format!("actor-{}", std::process::id()));
        let actor = actor(&folder).unwrap();
        let target = folder.join("actor-target");
        for mut command in [Command::new(&actor), Command::new(&target)] {
            assert_eq!(command.status().unwrap().code(), Some(77));
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
