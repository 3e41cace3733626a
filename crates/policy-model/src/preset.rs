//! Presets: switches on named kernel situations.

use std::fmt;

/// A named kernel situation that a policy can block or audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Preset {
    /// Executing a file that has no name in a file system (memfd, shared memory).
    FilelessExec,
    /// Mapping anonymous memory executable.
    AnonymousMapExec,
    /// Reading another process's environment.
    ProtectEnv,
    /// Entering the container with a new process from outside.
    Exec,
    /// Reading another process's `/proc` entries.
    ProtectProc,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 5] = [
        Self::FilelessExec,
        Self::AnonymousMapExec,
        Self::ProtectEnv,
        Self::Exec,
        Self::ProtectProc,
    ];

    /// The name as written in a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FilelessExec => "filelessExec",
            Self::AnonymousMapExec => "anonymousMapExec",
            Self::ProtectEnv => "protectEnv",
            Self::Exec => "exec",
            Self::ProtectProc => "protectProc",
        }
    }

    /// The preset with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
