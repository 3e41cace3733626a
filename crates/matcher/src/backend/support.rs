//! What a kernel has of a mechanism.

use std::fmt;

/// One thing that was looked for in a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked for.
    pub name: &'static str,
    /// Whether it is there.
    pub present: bool,
    /// How that was found out, or why it is missing.
    pub reason: String,
    /// What to do about it, where something can be done.
    pub remedy: Option<String>,
}

impl Finding {
    /// Something that is there.
    #[must_use]
    pub fn present(name: &'static str, reason: impl Into<String>) -> Self {
        Self {
            name,
            present: true,
            reason: reason.into(),
            remedy: None,
        }
    }

    /// Something that is missing.
    #[must_use]
    pub fn missing(name: &'static str, reason: impl Into<String>) -> Self {
        Self {
            name,
            present: false,
            reason: reason.into(),
            remedy: None,
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// `btf: missing: /sys/kernel/btf/vmlinux doesn't exist; boot a kernel with CONFIG_DEBUG_INFO_BTF`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.present { "present" } else { "missing" };
        write!(f, "{}: {state}: {}", self.name, self.reason)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// What a kernel has of a mechanism and what is missing, with the reason.
pub trait Support {
    /// Everything that was looked for.
    fn findings(&self) -> &[Finding];

    /// Whether the mechanism enforces anything on this kernel.
    fn can_enforce(&self) -> bool;
}
