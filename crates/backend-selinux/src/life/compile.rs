//! Compiling a module with the system's compiler.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::LifeError;
use crate::lower::Module;

/// The newest format of binary policies that is asked for: kernels since 5.8 read it.
const POLICY_VERSION: &str = "33";

/// A compiled policy, as the kernel takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryPolicy(Vec<u8>);

/// A directory of this process that goes away with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gambeson-selinux-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Fails where something is there already, such as a link that somebody else has put there.
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl BinaryPolicy {
    /// Compiles a module that is a whole policy. The compiler holds it to its own `neverallow` rules.
    ///
    /// # Errors
    /// When `secilc` is missing or refuses the module, or the module is no whole policy.
    pub fn compile(module: &Module) -> Result<Self, LifeError> {
        if !module.is_whole() {
            return Err(LifeError::NotWhole);
        }
        Self::of_text(module.cil())
    }

    /// Compiles a whole policy's text.
    pub(super) fn of_text(cil: &str) -> Result<Self, LifeError> {
        let failed = |source| LifeError::Compiler { source };
        let scratch = Scratch::new().map_err(failed)?;
        let [text, policy] = ["module.cil", "policy"].map(|name| scratch.0.join(name));
        fs::write(&text, cil).map_err(failed)?;
        let done = Command::new("secilc")
            .args(["-c", POLICY_VERSION, "-f", "/dev/null", "-o"])
            .args([&policy, &text])
            .output()
            .map_err(failed)?;
        if !done.status.success() {
            let message = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            return Err(LifeError::Refused { message });
        }
        fs::read(&policy).map(Self).map_err(failed)
    }

    /// The policy's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
