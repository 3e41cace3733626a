//! `cargo xtask soak --selinux`: random nodes lowered to SELinux modules, compiled, and held to the
//! reference evaluator path by path.

use std::io;
use std::path::Path;
use std::process::Command;

/// Runs the crate's own comparison on so many paths; whether all of them agree. The judges are tools of
/// the system, so this needs `secilc`, `checkpolicy` and libselinux.
///
/// # Errors
/// When cargo can't be started.
pub fn soak(root: &Path, seed: u64, paths: u64) -> io::Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args(["test", "--release", "--package", "gambeson-backend-selinux"])
        .args(["--test", "offline", "--", "--ignored", "--exact"])
        .args(["verdicts::soaking", "--nocapture"])
        .env("GAMBESON_TOOLS", "require")
        .env("GAMBESON_SOAK", paths.to_string())
        .env("GAMBESON_SOAK_SEED", seed.to_string())
        .status()?;
    Ok(status.success())
}
