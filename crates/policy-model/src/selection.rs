//! The rules that apply to one workload.

use std::sync::Arc;

use crate::identity::{Location, PolicyId};
use crate::posture::{Enforcement, Postures};
use crate::rule::{Class, Object, Rule};

/// Everything that applies to one workload, ready to be compiled or evaluated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    rules: Vec<Rule>,
    apparmor: Vec<ApparmorText>,
    duplicates: Vec<Duplicate>,
    posture: Postures,
    enforcement: Enforcement,
}

/// Native AppArmor rules of a policy. No part of the decision model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApparmorText {
    /// The policy it stands in.
    pub policy: Arc<PolicyId>,
    /// The text as written.
    pub text: String,
    /// Where it is written.
    pub location: Location,
}

/// Two policies of one kind, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// What they share.
    pub policy: Arc<PolicyId>,
    /// Where the first is written.
    pub first: Location,
    /// Where the second is written.
    pub second: Location,
}

impl Selection {
    /// Rules that apply, in any order; they are brought into the order of attribution.
    #[must_use]
    pub fn new(mut rules: Vec<Rule>) -> Self {
        rules.sort_by(|a, b| a.attribution_key().cmp(&b.attribution_key()));
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Adds native AppArmor rules.
    #[must_use]
    pub fn with_apparmor(mut self, texts: Vec<ApparmorText>) -> Self {
        self.apparmor = texts;
        self
    }

    /// Adds what the whole set holds twice; compiling then fails.
    #[must_use]
    pub fn with_duplicates(mut self, duplicates: Vec<Duplicate>) -> Self {
        self.duplicates = duplicates;
        self
    }

    /// Sets the postures of the namespace's annotations; they go before the embedder's.
    #[must_use]
    pub const fn with_posture(mut self, posture: Postures) -> Self {
        self.posture = posture;
        self
    }

    /// Sets whether policies are carried out, reported or left out.
    #[must_use]
    pub const fn with_enforcement(mut self, enforcement: Enforcement) -> Self {
        self.enforcement = enforcement;
        self
    }

    /// The rules in the order of attribution; a rule's place is its [`crate::RuleId`].
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The files and directories below `directory` that file rules name, in order.
    ///
    /// Renaming a directory is a write to each of them as well as to the directory's two names;
    /// the strictest verdict of all stands.
    ///
    /// ```
    /// use gambeson_policy_model::PolicySet;
    /// # use gambeson_policy_model::Workload;
    /// let policies = PolicySet::from_str("
    /// apiVersion: security.kubearmor.com/v1
    /// kind: KubeArmorPolicy
    /// metadata: {name: web}
    /// spec:
    ///   file: {matchPaths: [{path: /etc/nginx/nginx.conf}]}
    /// ")?;
    /// let selection = policies.select(&Workload::pod("default"));
    /// assert_eq!(selection.named_below("/etc"), ["/etc/nginx/nginx.conf"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn named_below(&self, directory: &str) -> Vec<&str> {
        let directory = directory.strip_suffix('/').unwrap_or(directory);
        let below = |path: &&str| {
            path.strip_prefix(directory)
                .is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
        };
        let of_files = self.rules.iter().filter(|rule| rule.class == Class::File);
        let mut named: Vec<&str> = of_files
            .filter_map(|rule| match &rule.object {
                Object::Path(path) => Some(path.as_str()),
                Object::Directory(named) => named.path.strip_suffix('/'),
                _ => None,
            })
            .filter(below)
            .collect();
        named.sort_unstable();
        named.dedup();
        named
    }

    /// The native AppArmor rules.
    #[must_use]
    pub fn apparmor(&self) -> &[ApparmorText] {
        &self.apparmor
    }

    /// What the whole set holds twice.
    #[must_use]
    pub fn duplicates(&self) -> &[Duplicate] {
        &self.duplicates
    }

    /// The postures of the namespace's annotations.
    #[must_use]
    pub const fn posture(&self) -> Postures {
        self.posture
    }

    /// Whether policies are carried out, reported or left out.
    #[must_use]
    pub const fn enforcement(&self) -> Enforcement {
        self.enforcement
    }
}
