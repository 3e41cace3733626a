//! How a module is made: by itself, or on top of a policy that is there.

use super::limits::LowerLimits;

/// How a module is made.
///
/// ```
/// use gambeson_backend_selinux::{Base, LowerOptions};
/// let appliance = LowerOptions::default();
/// let distribution = LowerOptions::on_top_of(Base::default()).prefix("site");
/// assert!(appliance.base().is_none() && distribution.base().is_some());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowerOptions {
    pub(crate) base: Option<Base>,
    pub(crate) prefix: String,
    pub(crate) limits: LowerLimits,
    pub(crate) generation: u32,
}

impl Default for LowerOptions {
    fn default() -> Self {
        Self {
            base: None,
            prefix: "gambeson".to_owned(),
            limits: LowerLimits::default(),
            generation: 0,
        }
    }
}

impl LowerOptions {
    /// A module on top of a policy that is there: it can be added to it and removed again.
    #[must_use]
    pub fn on_top_of(base: Base) -> Self {
        Self {
            base: Some(base),
            ..Self::default()
        }
    }

    /// Sets what all names of the module begin with: `gambeson` unless set.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the limits.
    #[must_use]
    pub const fn limits(mut self, limits: LowerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the generation: types of files and domains of another one have other names, so that both can be
    /// in force while files are relabelled.
    #[must_use]
    pub const fn generation(mut self, generation: u32) -> Self {
        self.generation = generation;
        self
    }

    /// What the names of types and domains begin with, behind the prefix.
    pub(crate) fn tag(&self) -> String {
        match self.generation {
            0 => String::new(),
            generation => format!("g{generation}_"),
        }
    }

    /// The policy that is there; `None` for a module that is a whole policy.
    #[must_use]
    pub const fn base(&self) -> Option<&Base> {
        self.base.as_ref()
    }
}

/// What a module must know of the policy that it is put on top of. The default fits refpolicy and what
/// descends from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The user of all contexts.
    pub user: String,
    /// The role of processes.
    pub role: String,
    /// The level of all contexts; `None` for a policy without levels.
    pub level: Option<String>,
    /// Attributes that types of files get, so that other domains keep their access.
    pub file_attributes: Vec<String>,
    /// Attributes of all types of objects that workloads may meet besides the module's own.
    pub object_attributes: Vec<String>,
    /// Attributes that domains get.
    pub domain_attributes: Vec<String>,
    /// Types or attributes of processes that may start workloads.
    pub binders: Vec<String>,
}

impl Default for Base {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            user: "system_u".to_owned(),
            role: "system_r".to_owned(),
            level: None,
            file_attributes: list(&[
                "file_type",
                "non_security_file_type",
                "non_auth_file_type",
                "exec_type",
                "entry_type",
                "mountpoint",
            ]),
            object_attributes: list(&[
                "file_type",
                "device_node",
                "proc_type",
                "sysctl_type",
                "filesystem_type",
                "ttynode",
                "ptynode",
                "tmpfsfile",
            ]),
            domain_attributes: list(&["domain"]),
            binders: list(&[
                "unconfined_t",
                "init_t",
                "initrc_t",
                "container_runtime_t",
                "sysadm_t",
            ]),
        }
    }
}
