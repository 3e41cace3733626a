//! A draft must allow what it was made of: what its own rules would deny or report is drafted anew,
//! narrower names first, then without `readOnly`.

use std::collections::{BTreeMap, HashMap};

use gambeson_matcher::{Compile as _, Config};
use gambeson_policy_model::{Event, Object, PolicySet, Postures, Reader, Verdict};

use super::beyond::{Generalisation, of_unseen};
use super::draft::{Choices, Entry, entries, events};
use super::facts::{Facts, Thing};
use super::gather::Subject;
use super::yaml::{Head, Written, write};
use super::{DRAFTED, DiscoverError};
use crate::words::described;

/// A policy of a draft, before it is handed out.
pub(super) struct Candidate {
    pub(super) subject: Subject,
    pub(super) name: String,
    pub(super) entries: Vec<Entry>,
    pub(super) written: Written,
}

/// Every policy, and events that none of them can allow.
pub(super) struct Verified {
    pub(super) candidates: Vec<Candidate>,
    pub(super) policies: PolicySet,
    pub(super) denied: Vec<String>,
}

/// No draft is made anew more often: each time, something is generalised less.
const ROUNDS: usize = 1_000;

/// Drafts until the drafts allow what they were made of.
pub(super) fn drafts(
    facts: &BTreeMap<Subject, Facts>,
    audit: bool,
) -> Result<Verified, DiscoverError> {
    let names = names(facts.keys());
    let mut choices: HashMap<&Subject, Choices> = HashMap::new();
    for _ in 0..ROUNDS {
        let candidates: Vec<Candidate> = facts
            .iter()
            .zip(&names)
            .map(|((subject, of), name)| {
                let chosen = choices.get(subject).cloned().unwrap_or_default();
                candidate(facts, (subject, of), name, &chosen, audit)
            })
            .collect();
        let policies = read(&candidates)?;
        let mut denied = Vec::new();
        let mut changed = false;
        for (subject, of) in facts {
            for (event, blamed) in disagreeing(&policies, subject, of, audit)? {
                let found = blamed.and_then(|blamed| {
                    let candidate = candidates.iter().find(|candidate| {
                        candidate.name == blamed.0 && candidate.subject.namespace == blamed.1
                    })?;
                    let place = candidate.written.rules.get(&blamed.2)?;
                    let subject = facts.get_key_value(&candidate.subject)?.0;
                    Some((subject, candidate.entries.get(*place)?))
                });
                let better = found.is_some_and(|(subject, entry)| {
                    let choices = choices.entry(subject).or_default();
                    let of = facts.get(subject);
                    narrow(choices, entry, of)
                });
                if better {
                    changed = true;
                } else {
                    let what = described(&event.operation);
                    denied.push(format!("{} {what}", event.operation.name()));
                }
            }
        }
        if !changed {
            return Ok(Verified {
                candidates,
                policies,
                denied,
            });
        }
    }
    Err(DiscoverError::Unsettled)
}

fn candidate(
    all: &BTreeMap<Subject, Facts>,
    (subject, facts): (&Subject, &Facts),
    name: &str,
    choices: &Choices,
    audit: bool,
) -> Candidate {
    let entries = entries(facts, choices, subject.namespace.is_none());
    let unseen: Vec<Generalisation> = DRAFTED
        .into_iter()
        .filter(|class| !entries.iter().any(|entry| entry.class == *class))
        .map(of_unseen)
        .collect();
    let written = write(
        &Head {
            subject,
            name,
            except: &except(subject, all.keys()),
            audit,
            seen: facts.seen(),
            unseen: &unseen,
        },
        &entries,
    );
    Candidate {
        subject: subject.clone(),
        name: name.to_owned(),
        entries,
        written,
    }
}

/// A label of every other subject whose labels are this one's and more: its pods have a draft.
fn except<'s>(subject: &Subject, all: impl Iterator<Item = &'s Subject>) -> Vec<String> {
    let mut labels: Vec<String> = all
        .filter(|other| {
            subject.namespace.is_some()
                && other.namespace == subject.namespace
                && other.labels.len() > subject.labels.len()
                && subject
                    .labels
                    .iter()
                    .all(|(key, value)| other.labels.get(key) == Some(value))
        })
        .filter_map(|other| {
            let mut more = other.labels.iter();
            let more = more.find(|(key, _)| !subject.labels.contains_key(*key));
            more.map(|(key, value)| format!("{key}={value}"))
        })
        .collect();
    labels.sort();
    labels.dedup();
    labels
}

/// Every policy as a strict reader takes it.
fn read(candidates: &[Candidate]) -> Result<PolicySet, DiscoverError> {
    let mut reading = gambeson_policy_model::Reading::default();
    for candidate in candidates {
        let name = match &candidate.subject.namespace {
            Some(namespace) => format!("{namespace}/{}", candidate.name),
            None => candidate.name.clone(),
        };
        reading.extend(Reader::new().read_str(&name, &candidate.written.text));
    }
    Ok(reading.into_set()?)
}

/// Whose rule is to blame: policy, namespace and field.
type Blamed = (String, Option<String>, String);

/// The events of a workload that aren't allowed as they were, and the rule that says otherwise.
fn disagreeing(
    policies: &PolicySet,
    subject: &Subject,
    facts: &Facts,
    audit: bool,
) -> Result<Vec<(Event<'static>, Option<Blamed>)>, DiscoverError> {
    let posture = if audit {
        Verdict::Audit
    } else {
        Verdict::Block
    };
    let config = Config::default().posture(Postures {
        file: Some(posture),
        network: Some(posture),
        capabilities: Some(posture),
        device: Some(posture),
    });
    let compiled = policies.select(&subject.workload()).compile(&config)?;
    let mut found = Vec::new();
    for event in events(facts) {
        let decision = compiled.decide(&event);
        if decision.verdict == Verdict::Allow {
            continue;
        }
        let rule = decision.rule().and_then(|id| compiled.rule(id));
        let blamed = rule.map(|rule| {
            let namespace = rule.namespace.map(str::to_owned);
            (rule.policy.to_owned(), namespace, rule.field_path())
        });
        found.push((event, blamed));
    }
    Ok(found)
}

/// Has a rule generalise less, or be less strict; says whether that is possible.
fn narrow(choices: &mut Choices, entry: &Entry, facts: Option<&Facts>) -> bool {
    if let Object::Directory(directory) = &entry.object {
        return choices.no_directory.insert(directory.path.clone());
    }
    let Some(thing @ (Thing::File(_) | Thing::Process(_))) = &entry.thing else {
        return false;
    };
    let names = facts.and_then(|facts| facts.0.get(thing));
    let told_apart = names.is_some_and(|names| names.common.is_none());
    (entry.names > 1 && told_apart && choices.literal.insert(thing.clone()))
        || (entry.read_only && choices.full.insert(entry.text()))
        // Other rules of this draft may have been narrowed in the same round.
        || choices.literal.contains(thing) && entry.names > 1
}

/// A name for each policy, told apart within a namespace.
fn names<'s>(subjects: impl Iterator<Item = &'s Subject>) -> Vec<String> {
    let mut taken: HashMap<(Option<String>, String), usize> = HashMap::new();
    subjects
        .map(|subject| {
            let base = base_name(subject);
            let count = taken
                .entry((subject.namespace.clone(), base.clone()))
                .or_insert(0);
            *count += 1;
            match *count {
                1 => base,
                count => format!("{base}-{count}"),
            }
        })
        .collect()
}

fn base_name(subject: &Subject) -> String {
    let labels = &subject.labels;
    let of_label = ["app.kubernetes.io/name", "app", "k8s-app", "name"]
        .iter()
        .find_map(|key| labels.get(*key))
        .or_else(|| labels.values().next());
    let whole = match (&subject.namespace, of_label) {
        (None, _) => "node",
        (Some(_), Some(label)) => label.as_str(),
        (Some(namespace), None) => namespace.as_str(),
    };
    let mut name = format!("discovered-{whole}");
    if let Some(container) = subject.container.as_deref()
        && container != whole
    {
        name.push('-');
        name.push_str(container);
    }
    let mut clean = String::new();
    for c in name.chars().take(200) {
        let c = c.to_ascii_lowercase();
        let c = if c.is_ascii_alphanumeric() { c } else { '-' };
        if !(c == '-' && clean.ends_with('-')) {
            clean.push(c);
        }
    }
    clean.trim_end_matches('-').to_owned()
}

/// What is said of an event that no draft can allow.
pub(super) const DENIED: &str = "the other rules of the draft deny it";
