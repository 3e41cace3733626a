//! Programs of the host that the rig runs.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::VmError;

/// Where programs are looked for beside PATH: an ordinary user's often lacks the system's own.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/bin"];

/// The program's file, or `None` where there is none.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Runs a command to its end; its standard output, or an error with what it said.
pub(super) fn output(command: &mut Command) -> Result<Vec<u8>, VmError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |message: String| VmError::Tool {
        program: program.clone(),
        message,
    };
    // A caller may have opened files for the input or the output.
    let output = command
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!(
        "{}: {}",
        output.status,
        said.trim().replace('\n', "; ")
    )))
}

/// The same as text.
pub(super) fn text(command: &mut Command) -> Result<String, VmError> {
    Ok(String::from_utf8_lossy(&output(command)?).into_owned())
}
