//! What a kernel has of the mechanism. The loader fills it in; reports need no kernel.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use gambeson_matcher::backend;
use gambeson_matcher::backend::Finding;
use thiserror::Error;

use crate::hooks::{HOOKS, Hook};

/// A kernel's version, as far as it tells what the kernel can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

impl KernelVersion {
    /// A version.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that doesn't begin with a kernel's version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` doesn't begin with a kernel's version, such as `6.1`")]
pub struct KernelVersionError {
    /// The text as given.
    pub text: String,
}

/// Takes a release as the kernel gives it.
///
/// ```
/// use gambeson_backend_bpflsm::KernelVersion;
/// assert_eq!("6.1.0-13-amd64".parse(), Ok(KernelVersion::new(6, 1)));
/// assert_eq!("7.3-rc1".parse(), Ok(KernelVersion::new(7, 3)));
/// assert!("linux".parse::<KernelVersion>().is_err());
/// ```
impl FromStr for KernelVersion {
    type Err = KernelVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text
            .split(|letter: char| !letter.is_ascii_digit())
            .map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self { major, minor }),
            _ => Err(KernelVersionError {
                text: text.to_owned(),
            }),
        }
    }
}

/// What a kernel has of BPF LSM.
///
/// ```
/// use gambeson_backend_bpflsm::{KernelVersion, Support};
/// use gambeson_matcher::backend::{Finding, Support as _};
/// let support = Support::complete(KernelVersion::new(6, 12));
/// assert!(support.can_enforce() && support.has_hook("path_chown"));
/// let without = support.required(
///     Finding::missing("lsm list", "`bpf` isn't in /sys/kernel/security/lsm")
///         .remedy("boot with lsm=…,bpf"),
/// );
/// assert!(!without.can_enforce());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    kernel: KernelVersion,
    findings: Vec<Finding>,
    /// The place of the first thing without which nothing is enforced.
    refused: Option<usize>,
    hooks: BTreeSet<&'static str>,
    sees_dns: bool,
}

impl Support {
    /// A kernel without any hook, of which nothing is known yet.
    #[must_use]
    pub const fn new(kernel: KernelVersion) -> Self {
        Self {
            kernel,
            findings: Vec::new(),
            refused: None,
            hooks: BTreeSet::new(),
            sees_dns: false,
        }
    }

    /// A kernel of this version with every hook that such a kernel has.
    #[must_use]
    pub fn complete(kernel: KernelVersion) -> Self {
        let mut support = Self::new(kernel);
        let there = HOOKS.iter().filter(|hook| hook.since <= kernel);
        support.hooks = there.map(|hook| hook.name).collect();
        support
    }

    /// Adds something without which nothing is enforced.
    #[must_use]
    pub fn required(mut self, finding: Finding) -> Self {
        if !finding.present {
            self.refused.get_or_insert(self.findings.len());
        }
        self.findings.push(finding);
        self
    }

    /// Adds something that enforcement doesn't hang on.
    #[must_use]
    pub fn noted(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// Adds a hook that programs can be attached to.
    #[must_use]
    pub fn with_hook(mut self, hook: &'static Hook) -> Self {
        self.hooks.insert(hook.name);
        self
    }

    /// Takes a hook away.
    #[must_use]
    pub fn without_hook(mut self, name: &str) -> Self {
        self.hooks.remove(name);
        self
    }

    /// Says whether names that are asked for are seen.
    #[must_use]
    pub const fn with_dns(mut self, sees_dns: bool) -> Self {
        self.sees_dns = sees_dns;
        self
    }

    /// The kernel's version.
    #[must_use]
    pub const fn kernel(&self) -> KernelVersion {
        self.kernel
    }

    /// Whether programs can be attached to the hook.
    #[must_use]
    pub fn has_hook(&self, name: &str) -> bool {
        self.hooks.contains(name)
    }

    /// Whether names that are asked for are seen.
    #[must_use]
    pub const fn sees_dns(&self) -> bool {
        self.sees_dns
    }

    /// What nothing is enforced without, if it is missing.
    #[must_use]
    pub fn refusal(&self) -> Option<&Finding> {
        self.refused.and_then(|place| self.findings.get(place))
    }
}

impl backend::Support for Support {
    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn can_enforce(&self) -> bool {
        self.refused.is_none() && !self.hooks.is_empty()
    }
}
