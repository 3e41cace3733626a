//! `apparmor_parser`, asked to compile without a kernel.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::blob::Blob;
use crate::features::Features;

/// Where a distribution puts the program.
const PLACES: [&str; 3] = [
    "/usr/sbin/apparmor_parser",
    "/sbin/apparmor_parser",
    "/usr/bin/apparmor_parser",
];

/// The program, where it is installed.
#[must_use]
pub fn find() -> Option<PathBuf> {
    PLACES
        .iter()
        .map(PathBuf::from)
        .find(|place| place.exists())
}

/// Whether tests that need the program can run. Where they can't, says so in a line.
///
/// # Panics
/// When the program is missing and `GAMBESON_TOOLS=require` demands it.
#[must_use]
#[expect(
    clippy::panic,
    reason = "a test that is demanded must fail where it can't run"
)]
pub fn is_there(test: &str) -> bool {
    if find().is_some() {
        return true;
    }
    if std::env::var_os("GAMBESON_TOOLS").is_some_and(|value| value == "require") {
        panic!("{test}: GAMBESON_TOOLS=require, and apparmor_parser is not installed");
    }
    eprintln!("{test}: skipped, apparmor_parser is not installed");
    false
}

/// Compiles profiles as for a kernel with these features; a rule that would not be enforced is an
/// error. Gives the bytes and the parser's own complaint where it refuses.
///
/// # Errors
/// With what the parser says.
pub fn compile(text: &str, kernel: &Features) -> Result<Vec<u8>, String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("gambeson-{}-{number}", std::process::id()));
    let said = |error: std::io::Error| error.to_string();
    std::fs::create_dir_all(&directory).map_err(said)?;
    let compiled = compile_in(&directory, text, kernel).map_err(said);
    std::fs::remove_dir_all(&directory).map_err(said)?;
    compiled?
}

fn compile_in(
    directory: &std::path::Path,
    text: &str,
    kernel: &Features,
) -> std::io::Result<Result<Vec<u8>, String>> {
    let (blob, of_kernel, of_policy) = (
        directory.join("blob"),
        directory.join("kernel"),
        directory.join("policy"),
    );
    std::fs::write(&of_kernel, kernel.to_string())?;
    std::fs::write(&of_policy, kernel.of_policy().to_string())?;
    let option = |name: &str, path: &PathBuf| {
        let mut option = std::ffi::OsString::from(name);
        option.push(path);
        option
    };
    let mut child = Command::new(find().unwrap_or_default())
        .args([
            "-q",
            "-Q",
            "-K",
            "-T",
            "--warn=rule-not-enforced",
            "--Werror=rule-not-enforced",
        ])
        .arg("--config-file=/dev/null")
        .arg(option("--kernel-features=", &of_kernel))
        .arg(option("--policy-features=", &of_policy))
        .arg("-o")
        .arg(&blob)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // Where the parser gives up early, its complaint tells more than the broken pipe.
        let _ = stdin.write_all(text.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(Ok(std::fs::read(&blob)?))
}

/// Compiles profiles, and reads what came out.
///
/// # Errors
/// With what the parser says, or what can't be read of its output.
pub fn load(text: &str, kernel: &Features) -> Result<Blob, String> {
    Blob::read(&compile(text, kernel)?).map_err(|error| error.to_string())
}
