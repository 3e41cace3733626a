//! Where the kernel shows AppArmor.

use std::path::{Path, PathBuf};

/// The directories. Tests have others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    /// AppArmor's part of securityfs.
    pub(super) apparmor: PathBuf,
    /// The list of security modules that are active.
    pub(super) lsm: PathBuf,
    /// Whether AppArmor is enabled.
    pub(super) enabled: PathBuf,
    /// The file system of processes.
    pub(super) proc: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            apparmor: PathBuf::from("/sys/kernel/security/apparmor"),
            lsm: PathBuf::from("/sys/kernel/security/lsm"),
            enabled: PathBuf::from("/sys/module/apparmor/parameters/enabled"),
            proc: PathBuf::from("/proc"),
        }
    }
}

impl Places {
    /// What the kernel can mediate.
    pub(super) fn features(&self) -> PathBuf {
        self.apparmor.join("features")
    }

    /// Takes profiles that must be new.
    pub(super) fn load(&self) -> PathBuf {
        self.apparmor.join(".load")
    }

    /// Takes profiles in place of those of the same names.
    pub(super) fn replace(&self) -> PathBuf {
        self.apparmor.join(".replace")
    }

    /// Takes the name of a profile that is to go.
    pub(super) fn remove(&self) -> PathBuf {
        self.apparmor.join(".remove")
    }

    /// What is loaded, a directory for each profile.
    pub(super) fn profiles(&self) -> PathBuf {
        self.apparmor.join("policy/profiles")
    }

    /// A file of a task that tells or changes its profile. Kernels before 5.8 have it one level up, where
    /// another module may own it.
    pub(super) fn attribute(&self, task: &str, name: &str) -> PathBuf {
        let folder = self.proc.join(task).join("attr");
        let own = folder.join("apparmor");
        if own.is_dir() {
            own.join(name)
        } else {
            folder.join(name)
        }
    }
}

/// A path for an error.
pub(super) fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}
