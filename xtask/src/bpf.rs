//! `cargo xtask bpf`: the object with the BPF programs, from its source.
//!
//! The object is kept with the source, so that nobody needs clang to build the workspace. The same
//! compiler makes the same bytes of it in any folder, so that anyone can check that it is what the
//! source says.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of clang and LLVM that the object is built with: another gives other bytes.
pub const LLVM: u32 = 14;

/// The source and the object, in the folder of the programs.
const SOURCE: &str = "gambeson.bpf.c";
const OBJECT: &str = "gambeson.bpf.o";

/// Where the headers of libbpf are.
const HEADERS: &str = "/usr/include";

/// Why there is no object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BpfError {
    /// A tool of the wrong version, or none.
    #[error(
        "needs `{tool}` of version {LLVM}{}: on Debian 12 or Ubuntu 22.04, \
         `apt-get install clang-{LLVM} llvm-{LLVM} libbpf-dev`",
        .found.as_ref().map_or_else(String::new, |found| format!(", and found {found}"))
    )]
    Tool {
        /// What is needed.
        tool: &'static str,
        /// What there is.
        found: Option<String>,
    },
    /// libbpf's headers are missing.
    #[error("`{HEADERS}/bpf/bpf_helpers.h` is missing: `apt-get install libbpf-dev`")]
    Headers,
    /// A tool that failed.
    #[error("`{command}` failed:\n{output}")]
    Failed {
        /// What was run.
        command: String,
        /// What it said.
        output: String,
    },
    /// A file that can't be read or written.
    #[error("`{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What became of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is as it was.
    Same,
    /// It was written anew.
    Written,
    /// It isn't what its source gives.
    Differs {
        /// The first byte that differs.
        at: usize,
    },
}

impl Outcome {
    /// Whether the object now is what its source gives.
    #[must_use]
    pub const fn is_as_wanted(self) -> bool {
        !matches!(self, Self::Differs { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => write!(f, "{OBJECT} is what its source gives"),
            Self::Written => write!(f, "{OBJECT} is written anew"),
            Self::Differs { at } => write!(
                f,
                "{OBJECT} is not what its source gives, from byte {at} on: run `cargo xtask bpf`; \
                 if nobody changed the source, the headers of libbpf are other ones"
            ),
        }
    }
}

/// Builds the object in its place.
///
/// # Errors
/// When a tool is missing or fails; the object then is as it was.
pub fn build(folder: &Path) -> Result<Outcome, BpfError> {
    let fresh = compile(folder)?;
    let path = folder.join(OBJECT);
    if fs::read(&path).is_ok_and(|kept| kept == fresh) {
        return Ok(Outcome::Same);
    }
    fs::write(&path, fresh).map_err(file(&path))?;
    Ok(Outcome::Written)
}

/// Compares the object with what its source gives, and writes nothing.
///
/// # Errors
/// When a tool is missing or fails, or there is no object.
pub fn check(folder: &Path) -> Result<Outcome, BpfError> {
    let fresh = compile(folder)?;
    let path = folder.join(OBJECT);
    let kept = fs::read(&path).map_err(file(&path))?;
    if fresh == kept {
        return Ok(Outcome::Same);
    }
    let alike = fresh.iter().zip(&kept).take_while(|(a, b)| a == b);
    Ok(Outcome::Differs { at: alike.count() })
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> BpfError {
    let path = path.to_owned();
    |source| BpfError::File { path, source }
}

/// The object that the source in a folder gives.
fn compile(folder: &Path) -> Result<Vec<u8>, BpfError> {
    let clang = tool("clang")?;
    let strip = tool("llvm-strip")?;
    if !Path::new(HEADERS).join("bpf/bpf_helpers.h").exists() {
        return Err(BpfError::Headers);
    }
    let object = std::env::temp_dir().join(format!("gambeson-{}.bpf.o", std::process::id()));
    let built = run(Command::new(&clang)
        .current_dir(folder)
        .args([
            "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror",
        ])
        // The folder's own name must not be in the object.
        .args([
            "-fdebug-compilation-dir=.",
            "-I",
            HEADERS,
            "-c",
            SOURCE,
            "-o",
        ])
        .arg(&object))
    .and_then(|()| run(Command::new(&strip).arg("-g").arg(&object)))
    .and_then(|()| fs::read(&object).map_err(file(&object)));
    // Nothing is lost where it was never written.
    let _ = fs::remove_file(&object);
    built
}

/// The name of a tool of the right version.
fn tool(name: &'static str) -> Result<String, BpfError> {
    let mut found = None;
    for candidate in [format!("{name}-{LLVM}"), name.to_owned()] {
        let Ok(output) = Command::new(&candidate).arg("--version").output() else {
            continue;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match version(&said) {
            Some(LLVM) => return Ok(candidate),
            version => {
                found = version
                    .map(|version| format!("version {version}"))
                    .or(found)
            }
        }
    }
    Err(BpfError::Tool { tool: name, found })
}

/// The number in ``clang version 14.0.6`` or ``LLVM version 14.0.6``.
fn version(said: &str) -> Option<u32> {
    let (_, behind) = said.split_once("version ")?;
    behind.split('.').next()?.trim().parse().ok()
}

fn run(command: &mut Command) -> Result<(), BpfError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |output: String| BpfError::Failed {
        command: name,
        output,
    };
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(failed(String::from_utf8_lossy(&output.stderr).into_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_tools_say() {
        assert_eq!(version("Debian clang version 14.0.6\nTarget: x"), Some(14));
        assert_eq!(
            version("llvm-strip, compatible with GNU strip\nDebian LLVM version 14.0.6\n"),
            Some(14)
        );
        assert_eq!(version("clang version 19.1.0-rc1 (https://x)"), Some(19));
        assert_eq!(version("no such thing"), None);
    }

    #[test]
    fn the_object_is_the_same_from_any_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/backend-bpflsm/bpf");
        if matches!(tool("clang"), Err(BpfError::Tool { .. })) {
            println!("skipped: no clang of version {LLVM}");
            return;
        }
        let other = std::env::temp_dir().join(format!("gambeson-bpf-{}", std::process::id()));
        fs::create_dir_all(&other).expect("a folder");
        for entry in fs::read_dir(&folder).expect("the programs' folder") {
            let path = entry.expect("a file").path();
            let name = path.file_name().expect("a name");
            fs::copy(&path, other.join(name)).expect("a copy");
        }
        let here = compile(&folder).expect("an object");
        assert_eq!(compile(&other).expect("an object"), here);
        // What was built in one folder is what the other's source gives.
        assert!(build(&other).expect("an object").is_as_wanted());
        assert_eq!(check(&other).expect("an object"), Outcome::Same);
        fs::write(other.join(OBJECT), &here[..100]).expect("a file");
        assert_eq!(
            check(&other).expect("an object"),
            Outcome::Differs { at: 100 }
        );
        fs::remove_dir_all(&other).expect("a folder that can be removed");
    }
}
