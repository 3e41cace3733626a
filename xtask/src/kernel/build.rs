//! Builds the programs that run in guests.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `kernel-guest`; its file.
///
/// # Errors
/// When cargo can't be started or fails.
pub fn guest() -> Result<PathBuf, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output = cargo
        .args(["build", "--quiet", "--release", "--package", "xtask"])
        .args(["--bin", "kernel-guest", "--features", "bpf-lsm"])
        .args(["--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| format!("cargo can't be started: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| line.get("executable")?.as_str().map(PathBuf::from))
        .last()
        .ok_or_else(|| "cargo names no executable".to_owned())
}

/// Builds the worker, statically linked, beside another program; its file.
///
/// # Errors
/// When the C compiler can't be started or fails.
pub fn worker(beside: &Path) -> Result<PathBuf, String> {
    let program = beside.with_file_name("kernel-guest-worker");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernel/guest/worker.c");
    let output = Command::new("cc")
        .args(["-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&program, &source])
        .output()
        .map_err(|error| format!("cc can't be started: {error}"))?;
    if output.status.success() {
        return Ok(program);
    }
    Err(format!(
        "cc failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}
