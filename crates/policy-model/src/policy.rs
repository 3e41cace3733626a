//! A policy as it is written, and what follows from it: its selector and its rules.

mod resolve;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::identity::{Location, PolicyId};
use crate::rule::{Action, Class, Conditions, Object, Rule, RuleList, Source};
use crate::selection::ApparmorText;
use crate::selector::{Expression, Labels, Selector};

/// One KubeArmorPolicy, KubeArmorHostPolicy or KubeArmorClusterPolicy.
///
/// Two policies are equal if they are written alike, wherever they stand.
///
/// ```
/// use gambeson_policy_model::{Action, Reader};
/// let reading = Reader::new().read_str("web.yaml", r#"
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: { name: no-shells, namespace: production }
/// spec:
///   selector: { matchLabels: { app: web } }
///   process:
///     matchPaths:
///       - path: /bin/sh
///     action: Block
///   severity: 7
/// "#);
/// let policy = reading.documents()[0].policy.as_ref().unwrap();
/// let rule = &policy.rules()[0];
/// assert_eq!((rule.action, rule.severity, rule.location.line), (Action::Block, 7, 9));
/// ```
#[derive(Debug, Clone)]
pub struct Policy {
    id: Arc<PolicyId>,
    location: Location,
    metadata: Metadata,
    spec: Spec,
    selector: Selector,
    rules: Vec<Rule>,
    apparmor: Option<ApparmorText>,
}

/// What a policy's `metadata` says beside the name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `metadata.namespace`, where it is given; [`PolicyId::namespace`] has the default.
    pub namespace: Option<String>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `metadata.annotations`.
    pub annotations: Labels,
}

/// A policy's `spec` as it is written: what is absent is inherited, or has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// `selector` or `nodeSelector`.
    pub selector: Option<SelectorSpec>,
    /// The sections of match lists; presets are a section with one list.
    pub sections: BTreeMap<Class, Section>,
    /// `apparmor`: native AppArmor rules.
    pub apparmor: Option<Written<String>>,
    /// Severity, tags, message and action of the whole policy.
    pub common: Common,
}

/// A selector as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectorSpec {
    /// `matchLabels`, the container filter among them.
    pub labels: Option<Labels>,
    /// `matchExpressions`.
    pub expressions: Option<Vec<Expression>>,
}

/// A section such as `process`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// The match lists.
    pub lists: BTreeMap<RuleList, Vec<Written<Entry>>>,
    /// Severity, tags, message and action of the section.
    pub common: Common,
}

/// The fields that a rule inherits from its section, and a section from its policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Common {
    /// 1 to 10.
    pub severity: Option<u8>,
    /// Tags; an empty list is none.
    pub tags: Option<Vec<String>>,
    /// Message; an empty one is none.
    pub message: Option<String>,
    /// Action.
    pub action: Option<Action>,
}

/// One entry of a match list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it matches: one object, or several where a comma list was read leniently.
    pub objects: Vec<Object>,
    /// `fromSource`.
    pub sources: Option<Vec<Source>>,
    /// The conditions.
    pub conditions: Conditions,
    /// Severity, tags, message and action of the entry.
    pub common: Common,
}

/// Something written in a policy, and where. Two are equal if their values are, wherever they
/// stand.
#[derive(Clone)]
pub struct Written<T> {
    /// What is written.
    pub value: T,
    /// Where it begins.
    pub location: Location,
}

impl<T: PartialEq> PartialEq for Written<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Written<T> {}

impl<T: fmt::Debug> fmt::Debug for Written<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.value, self.location)
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.metadata == other.metadata
            && self.spec == other.spec
            && self.selector == other.selector
    }
}

impl Eq for Policy {}

impl Policy {
    pub(crate) fn new(id: PolicyId, location: Location, metadata: Metadata, spec: Spec) -> Self {
        let id = Arc::new(id);
        let selector = resolve::selector(&id, spec.selector.as_ref());
        let rules = resolve::rules(&id, &spec);
        let apparmor = spec.apparmor.as_ref().map(|written| ApparmorText {
            policy: Arc::clone(&id),
            text: written.value.clone(),
            location: written.location.clone(),
        });
        Self {
            id,
            location,
            metadata,
            spec,
            selector,
            rules,
            apparmor,
        }
    }

    /// Kind, namespace and name.
    #[must_use]
    pub const fn id(&self) -> &Arc<PolicyId> {
        &self.id
    }

    /// Where the policy begins.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// Labels and annotations of the policy itself.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The policy as it is written.
    #[must_use]
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Which workloads it applies to.
    #[must_use]
    pub const fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Its rules, with everything inherited, in the order of sections and lists.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Its native AppArmor rules.
    #[must_use]
    pub const fn apparmor(&self) -> Option<&ApparmorText> {
        self.apparmor.as_ref()
    }

    /// The policy as YAML, in one canonical order and with nothing that wasn't given.
    ///
    /// Reading a strictly read policy's YAML strictly gives an equal policy. What lenient reading
    /// took for a rule that matches nothing is written as it stood.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        crate::write::policy(self)
    }
}
