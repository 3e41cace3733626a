//! The tools that judge a module: the compiler, and what reads its output back.

use std::path::PathBuf;
use std::process::Command;

/// A directory that goes away with its owner.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("gambeson-selinux-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether all tools are there. If not, says so in a line; an error where they are required.
pub(crate) fn present(tools: &[&str]) -> bool {
    let missing: Vec<&&str> = tools
        .iter()
        .filter(|tool| {
            let directories = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
            !directories
                .iter()
                .any(|directory| PathBuf::from(directory).join(tool).exists())
        })
        .collect();
    if missing.is_empty() {
        return true;
    }
    let required = std::env::var("GAMBESON_TOOLS").is_ok_and(|value| value == "require");
    assert!(!required, "{missing:?} are required and not installed");
    println!("SKIPPED: {missing:?} are not installed");
    false
}

/// Compiles CIL to a binary policy.
pub(crate) fn compile(scratch: &Scratch, texts: &[&str]) -> Result<PathBuf, String> {
    let files: Vec<PathBuf> = (0..)
        .zip(texts)
        .map(|(number, text)| scratch.write(&format!("{number}.cil"), text))
        .collect();
    let policy = scratch.0.join("policy");
    let done = Command::new("secilc")
        .args(["-c", "33", "-o"])
        .arg(&policy)
        .arg("-f")
        .arg(scratch.0.join("file_contexts"))
        .args(files)
        .output()
        .unwrap();
    if done.status.success() {
        Ok(policy)
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }
}

/// The binary policy in CIL again.
pub(crate) fn decompile(scratch: &Scratch, policy: &PathBuf) -> String {
    let out = scratch.0.join("decompiled");
    let done = Command::new("checkpolicy")
        .args(["-b", "-C", "-o"])
        .arg(&out)
        .arg(policy)
        .output();
    let done = done.unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    std::fs::read_to_string(out).unwrap()
}
