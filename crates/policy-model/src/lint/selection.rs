//! What policies select, and what they are called.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::warning;
use crate::diagnostic::{Code, Diagnostic};
use crate::identity::{Location, PolicyId};
use crate::selector::{Selector, Workload};

const fn selector_field(selector: &Selector) -> &'static str {
    match selector {
        Selector::Pods { .. } | Selector::Cluster { .. } => "spec.selector",
        Selector::Nodes { .. } | Selector::Nothing => "spec.nodeSelector",
    }
}

/// A selector without any restriction.
pub(super) fn selects_everything(selector: &Selector, location: &Location) -> Option<Diagnostic> {
    if !selector.selects_everything() {
        return None;
    }
    let everything = match selector {
        Selector::Pods { namespace, .. } => format!("every pod of the namespace `{namespace}`"),
        Selector::Cluster { .. } => "every pod of the cluster".to_owned(),
        Selector::Nodes { .. } | Selector::Nothing => "every node".to_owned(),
    };
    let help = match selector {
        Selector::Cluster { .. } => "narrow it by `matchExpressions`, unless this is meant",
        _ => "narrow it by `matchLabels`, unless this is meant",
    };
    Some(warning(
        Code::SelectsEverything,
        format!("the policy selects {everything}"),
        help,
        location,
        selector_field(selector).to_owned(),
    ))
}

/// A node label that KubeArmor reads as a regular expression.
pub(super) fn hostname_expression(selector: &Selector, location: &Location) -> Option<Diagnostic> {
    let Selector::Nodes { labels } = selector else {
        return None;
    };
    let key = labels.keys().find(|key| key.ends_with("/hostnamereg"))?;
    Some(warning(
        Code::SelectsNothing,
        format!("`{key}` is compared like any other label: regular expressions are not supported"),
        "list the names in `kubearmor.io/hostname`, separated by commas",
        location,
        selector_field(selector).to_owned(),
    ))
}

/// Looks for policies that select none of the workloads.
///
/// A host policy is judged by hosts and every other by pods; where none of its kind is given,
/// nothing is said of it.
#[must_use]
pub fn lint_unselected<'p>(
    policies: impl IntoIterator<Item = (&'p PolicyId, &'p Selector, &'p Location)>,
    workloads: &[Workload],
) -> Vec<Diagnostic> {
    let unselected = |selector: &Selector| {
        let of_hosts = matches!(selector, Selector::Nodes { .. } | Selector::Nothing);
        let mut of_kind = workloads
            .iter()
            .filter(|workload| workload.is_host() == of_hosts)
            .peekable();
        of_kind.peek().is_some() && !of_kind.any(|workload| selector.selects(workload))
    };
    policies
        .into_iter()
        .filter(|(_, selector, _)| unselected(selector))
        .map(|(policy, selector, location)| {
            warning(
                Code::SelectsNothing,
                format!("`{policy}` selects none of the given workloads"),
                "compare its namespace, labels and container names with the workloads'",
                location,
                selector_field(selector).to_owned(),
            )
        })
        .collect()
}

/// Looks for policies of one kind, namespace and name. Files that are never used together may
/// hold them; one set of policies may not.
#[must_use]
pub fn lint_duplicates<'p>(
    policies: impl IntoIterator<Item = (&'p PolicyId, &'p Location)>,
) -> Vec<Diagnostic> {
    let mut first: BTreeMap<&PolicyId, &Location> = BTreeMap::new();
    let mut found = Vec::new();
    for (policy, location) in policies {
        match first.entry(policy) {
            Entry::Vacant(entry) => {
                entry.insert(location);
            }
            Entry::Occupied(entry) => found.push(warning(
                Code::DuplicatePolicy,
                format!("`{policy}` is already defined at {}", entry.get()),
                "rename one of them: a set with both can't be compiled",
                location,
                "metadata.name".to_owned(),
            )),
        }
    }
    found
}
