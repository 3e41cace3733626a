//! What a kernel has of the mechanism. Probing fills it in; reports need no kernel.

use gambeson_matcher::backend;
use gambeson_matcher::backend::Finding;

use crate::features::Features;

/// What a kernel has of AppArmor.
///
/// ```
/// use gambeson_backend_apparmor::{Features, Support};
/// use gambeson_matcher::backend::{Finding, Support as _};
/// let support = Support::new(Features::linux_6_12());
/// assert!(support.can_enforce());
/// let without = support.required(
///     Finding::missing("apparmor", "`apparmor` isn't in /sys/kernel/security/lsm")
///         .remedy("boot with lsm=…,apparmor"),
/// );
/// assert!(!without.can_enforce());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    features: Features,
    findings: Vec<Finding>,
    /// The place of the first thing without which nothing is enforced.
    refused: Option<usize>,
}

/// What profiles can say where the kernel has it: the feature, and what it is.
const MEDIATIONS: [(&str, &str); 6] = [
    ("file", "file/mask"),
    ("capabilities", "caps/mask"),
    ("network", "network_v8/af_mask"),
    ("mount", "mount/mask"),
    ("named transitions", "domain/change_onexec"),
    ("profiles loaded as one", "policy/set_load"),
];

impl Support {
    /// A kernel with these features. Nothing can be enforced on one that can't mediate files or change
    /// profiles on exec.
    #[must_use]
    pub fn new(features: Features) -> Self {
        let mut support = Self {
            findings: Vec::new(),
            refused: None,
            features,
        };
        for (name, feature) in MEDIATIONS {
            let finding = match support.features.get(feature) {
                Some(text) => Finding::present(name, format!("`{feature}` is `{text}`")),
                None => Finding::missing(name, format!("the kernel has no feature `{feature}`")),
            };
            support = if matches!(
                name,
                "file" | "named transitions" | "profiles loaded as one"
            ) {
                support.required(finding)
            } else {
                support.with(finding)
            };
        }
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

    /// Adds something that is good to know.
    #[must_use]
    pub fn with(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// The kernel's features.
    #[must_use]
    pub const fn features(&self) -> &Features {
        &self.features
    }

    /// The first thing found missing without which nothing is enforced.
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
        self.refused.is_none()
    }
}
