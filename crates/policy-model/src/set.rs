//! A set of policies, and what of it applies to a workload.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use thiserror::Error;

use crate::diagnostic::Diagnostic;
use crate::policy::Policy;
use crate::posture::Enforcement;
use crate::reader::{InvalidPolicies, ReadError, Reader};
use crate::selection::{Duplicate, Selection};
use crate::selector::Workload;

/// Policies that were read without error.
///
/// ```
/// use gambeson_policy_model::{PolicySet, Workload};
/// let policies = PolicySet::from_str(r#"
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: { name: no-shells, namespace: production }
/// spec:
///   selector: { matchLabels: { app: web } }
///   process: { matchPaths: [{ path: /bin/sh }] }
/// "#)?;
/// let web = Workload::pod("production").label("app", "web");
/// assert_eq!(policies.select(&web).rules().len(), 1);
/// assert_eq!(policies.select(&Workload::pod("staging")).rules().len(), 0);
/// # Ok::<(), gambeson_policy_model::LoadError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    policies: Vec<Policy>,
    duplicates: Vec<Duplicate>,
    warnings: Vec<Diagnostic>,
}

/// Why a set of policies can't be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Nothing could be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was read has errors.
    #[error(transparent)]
    Invalid(#[from] InvalidPolicies),
}

impl PolicySet {
    /// A set of these policies.
    #[must_use]
    pub fn new(policies: Vec<Policy>) -> Self {
        Self::with_warnings(policies, Vec::new())
    }

    pub(crate) fn with_warnings(policies: Vec<Policy>, warnings: Vec<Diagnostic>) -> Self {
        let mut first = HashMap::with_capacity(policies.len());
        let mut duplicates = Vec::new();
        for policy in &policies {
            let earlier = *first
                .entry(policy.id())
                .or_insert_with(|| policy.location());
            if !std::ptr::eq(earlier, policy.location()) {
                duplicates.push(Duplicate {
                    policy: policy.id().clone(),
                    first: earlier.clone(),
                    second: policy.location().clone(),
                });
            }
        }
        Self {
            policies,
            duplicates,
            warnings,
        }
    }

    /// Reads a file or a folder strictly.
    ///
    /// # Errors
    /// When it can't be read, or what is read has errors.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Ok(Reader::new().read_path(path)?.into_set()?)
    }

    /// Reads a text strictly.
    ///
    /// # Errors
    /// When it has errors.
    #[expect(
        clippy::should_implement_trait,
        reason = "the trait would have to be imported for the one call that every embedder makes"
    )]
    pub fn from_str(text: &str) -> Result<Self, LoadError> {
        Ok(Reader::new().read_str("<input>", text).into_set()?)
    }

    /// Reads a stream strictly.
    ///
    /// # Errors
    /// When it can't be read, or what is read has errors.
    pub fn from_reader(reader: impl io::Read) -> Result<Self, LoadError> {
        Ok(Reader::new().read_from("<input>", reader)?.into_set()?)
    }

    /// The policies, in the order they were read.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// What was doubtful when they were read.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Policies that share kind, namespace and name with an earlier one.
    #[must_use]
    pub fn duplicates(&self) -> &[Duplicate] {
        &self.duplicates
    }

    /// What applies to a workload: the rules of the policies that select it, unless its pod has
    /// enforcement disabled, and the duplicates of the whole set.
    #[must_use]
    pub fn select(&self, workload: &Workload) -> Selection {
        let is_enabled = workload.enforcement_mode() != Enforcement::Disabled;
        let selecting: Vec<&Policy> = self
            .policies
            .iter()
            .filter(|policy| is_enabled && policy.selector().selects(workload))
            .collect();
        let rules = selecting
            .iter()
            .flat_map(|policy| policy.rules())
            .cloned()
            .collect();
        let apparmor = selecting
            .iter()
            .filter_map(|policy| policy.apparmor().cloned())
            .collect();
        Selection::new(rules)
            .with_apparmor(apparmor)
            .with_duplicates(self.duplicates.clone())
            .with_posture(workload.postures())
            .with_enforcement(workload.enforcement_mode())
    }
}
