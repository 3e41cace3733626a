//! From what is written to what it means: inheritance, and the selector with its defaults.

use std::sync::Arc;

use super::{Common, SelectorSpec, Spec};
use crate::identity::{PolicyId, PolicyKind};
use crate::rule::{Action, Class, Rule, RuleList};
use crate::selector::{ContainerFilter, DEFAULT_NAMESPACE, Selector};

/// What is inherited on the way spec → section → rule. Each field goes its own way; what is
/// empty counts as absent.
#[derive(Clone)]
struct Inherited {
    severity: u8,
    tags: Arc<[String]>,
    message: Arc<str>,
    action: Option<Action>,
}

impl Inherited {
    fn none() -> Self {
        Self {
            severity: 0,
            tags: Arc::from([]),
            message: Arc::from(""),
            action: None,
        }
    }

    fn overridden_by(&self, common: &Common) -> Self {
        Self {
            severity: common.severity.unwrap_or(self.severity),
            tags: match &common.tags {
                Some(tags) if !tags.is_empty() => tags.as_slice().into(),
                _ => Arc::clone(&self.tags),
            },
            message: match &common.message {
                Some(message) if !message.is_empty() => message.as_str().into(),
                _ => Arc::clone(&self.message),
            },
            action: common.action.or(self.action),
        }
    }
}

/// The rules of a policy.
pub(super) fn rules(id: &Arc<PolicyId>, spec: &Spec) -> Vec<Rule> {
    let of_spec = Inherited::none().overridden_by(&spec.common);
    let mut rules = Vec::new();
    for (&section_class, section) in &spec.sections {
        let of_section = of_spec.overridden_by(&section.common);
        for (&list, entries) in &section.lists {
            let class = match list {
                RuleList::MatchDnsQueries => Class::Dns,
                _ => section_class,
            };
            for (index, entry) in (0u32..).zip(entries) {
                let of_entry = of_section.overridden_by(&entry.value.common);
                let action = match class {
                    // Such rules only watch.
                    Class::Syscalls => Some(Action::Audit),
                    // Presets inherit no action.
                    Class::Presets => entry.value.common.action,
                    _ => of_entry.action,
                };
                rules.extend(entry.value.objects.iter().map(|object| Rule {
                    policy: Arc::clone(id),
                    class,
                    list,
                    index,
                    object: object.clone(),
                    sources: entry.value.sources.clone().unwrap_or_default(),
                    action: action.unwrap_or_default(),
                    conditions: entry.value.conditions.clone(),
                    severity: of_entry.severity,
                    tags: Arc::clone(&of_entry.tags),
                    message: Arc::clone(&of_entry.message),
                    location: entry.location.clone(),
                }));
            }
        }
    }
    rules
}

/// Which workloads a policy applies to.
pub(super) fn selector(id: &PolicyId, spec: Option<&SelectorSpec>) -> Selector {
    let mut labels = spec.and_then(|s| s.labels.clone()).unwrap_or_default();
    let expressions = spec.and_then(|s| s.expressions.clone()).unwrap_or_default();
    if id.kind == PolicyKind::KubeArmorHostPolicy {
        return match spec {
            Some(_) => Selector::Nodes { labels },
            None => Selector::Nothing,
        };
    }
    let containers = labels
        .remove(ContainerFilter::LABEL)
        .map(|value| ContainerFilter::parse(&value))
        .unwrap_or_default();
    match id.kind {
        PolicyKind::KubeArmorPolicy => Selector::Pods {
            namespace: id
                .namespace
                .clone()
                .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
            labels,
            expressions,
            containers,
        },
        _ => Selector::Cluster {
            labels,
            expressions,
            containers,
        },
    }
}
