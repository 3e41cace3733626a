//! What a machine has of the mechanism. Probing fills it in; reports need no kernel.

use gambeson_matcher::backend;
use gambeson_matcher::backend::Finding;

/// What a machine has of SELinux.
///
/// ```
/// use gambeson_backend_selinux::Support;
/// use gambeson_matcher::backend::{Finding, Support as _};
/// assert!(Support::complete().can_enforce());
/// let permissive = Support::new().required(Finding::missing("enforcing", "`enforce` is 0"));
/// assert!(!permissive.can_enforce());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Support {
    findings: Vec<Finding>,
    /// The place of the first thing without which nothing is enforced.
    refused: Option<usize>,
}

impl Support {
    /// A machine of which nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A machine that has all that is needed.
    #[must_use]
    pub fn complete() -> Self {
        Self::new().required(Finding::present("selinuxfs", "taken for granted"))
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

    /// What keeps anything from being enforced.
    #[must_use]
    pub fn refusal(&self) -> Option<&Finding> {
        self.findings.get(self.refused?)
    }
}

impl backend::Support for Support {
    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn can_enforce(&self) -> bool {
        self.refused.is_none() && !self.findings.is_empty()
    }
}
