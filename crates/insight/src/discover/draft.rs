//! From facts to rules: the narrowest that a policy can say, and what they allow beyond.

use std::collections::BTreeSet;

use gambeson_policy_model::{Class, Event, EventPath, Glob, Object, Operation, RuleList};

use super::directories::directories;
use super::facts::{Evidence, Facts, Names, Program, Thing};
use super::gather::{is_plain_path, socket_of};
use super::names::{Reason, Template, Values};

/// So many programs are named by one rule, where some read and others write.
const NAMED: usize = 8;

/// What a draft doesn't do after all, since its own evidence would be denied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Choices {
    /// Names of these aren't generalised.
    pub(super) literal: BTreeSet<Thing>,
    /// These directories get no rule of their own.
    pub(super) no_directory: BTreeSet<String>,
    /// Rules on these objects aren't read-only.
    pub(super) full: BTreeSet<String>,
}

/// A rule of a draft.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) class: Class,
    pub(super) object: Object,
    /// The programs it is confined to; `None` for any.
    pub(super) sources: Option<Vec<Program>>,
    pub(super) read_only: bool,
    pub(super) evidence: Evidence,
    /// How many names it stands for; the least where there were more than are told apart.
    pub(super) names: usize,
    pub(super) reasons: Vec<Reason>,
    pub(super) thing: Option<Thing>,
    /// Whether it is for a host, whose schema asks some rules to name programs.
    pub(super) of_host: bool,
}

impl Entry {
    /// The object as it is written.
    pub(super) fn text(&self) -> String {
        match &self.object {
            Object::Path(path) => path.clone(),
            Object::Directory(directory) => directory.path.clone(),
            Object::Pattern(glob) => glob.as_str().to_owned(),
            Object::Protocol(protocol) => protocol.name().to_owned(),
            Object::Domain(domain) => domain.clone(),
            Object::Capability(capability) => capability.name().to_owned(),
            _ => String::new(),
        }
    }

    pub(super) const fn list(&self) -> RuleList {
        match &self.object {
            Object::Directory(_) => RuleList::MatchDirectories,
            Object::Pattern(_) => RuleList::MatchPatterns,
            Object::Protocol(_) => RuleList::MatchProtocols,
            Object::Domain(_) => RuleList::MatchDnsQueries,
            Object::Capability(_) => RuleList::MatchCapabilities,
            _ => RuleList::MatchPaths,
        }
    }
}

/// Names that become one rule.
struct Group {
    values: Vec<Option<Box<str>>>,
    evidence: Evidence,
    names: usize,
}

/// The rules of one workload.
pub(super) fn entries(facts: &Facts, choices: &Choices, is_host: bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (thing, names) in &facts.0 {
        match thing {
            Thing::Process(template) | Thing::File(template) => {
                for group in groups(thing, names, choices) {
                    of_path(thing, template, group, choices, &mut entries);
                }
            }
            _ => entries.extend(of_word(thing, names, is_host)),
        }
    }
    directories(&mut entries, choices);
    entries.sort_by_cached_key(|entry| {
        // Sections stay together: that of the network holds two classes.
        let section = super::DRAFTED
            .iter()
            .position(|class| *class == entry.class);
        (
            section,
            entry.list(),
            entry.text(),
            entry.sources.clone(),
            !entry.read_only,
        )
    });
    entries
}

/// Which names of a template become one rule.
fn groups(thing: &Thing, names: &Names, choices: &Choices) -> Vec<Group> {
    if let Some(common) = &names.common {
        return vec![Group {
            values: common.values.to_vec(),
            evidence: common.evidence.clone(),
            names: super::facts::NAMES + 1,
        }];
    }
    let all: Vec<(&Values, &Evidence)> = names.known.iter().collect();
    let alone = |of: &[(&Values, &Evidence)]| -> Vec<Group> {
        of.iter()
            .map(|(values, evidence)| Group {
                values: values.iter().cloned().map(Some).collect(),
                evidence: (*evidence).clone(),
                names: 1,
            })
            .collect()
    };
    if choices.literal.contains(thing) {
        return alone(&all);
    }
    // What is written stays apart from what is only read, unless it needs a pattern itself.
    let (written, read): (Vec<_>, Vec<_>) = all
        .iter()
        .copied()
        .partition(|(_, evidence)| evidence.uses().writes);
    if together(thing, &written).is_some() {
        return together(thing, &all).map_or_else(|| alone(&all), |group| vec![group]);
    }
    let mut groups = alone(&written);
    match together(thing, &read) {
        Some(group) => groups.push(group),
        None => groups.extend(alone(&read)),
    }
    groups
}

/// One group for names that differ in enough places, and often enough.
fn together(thing: &Thing, names: &[(&Values, &Evidence)]) -> Option<Group> {
    let (Thing::Process(template) | Thing::File(template)) = thing else {
        return None;
    };
    let ((first, evidence), rest) = names.split_first()?;
    let mut values: Vec<Option<Box<str>>> = first.iter().cloned().map(Some).collect();
    let mut evidence = (*evidence).clone();
    for (other, theirs) in rest {
        for (own, other) in values.iter_mut().zip(other.iter()) {
            if own.as_ref() != Some(other) {
                *own = None;
            }
        }
        evidence.add(theirs);
    }
    let least = match template.reasons(&values) {
        reasons if reasons.contains(&Reason::Hash) || reasons.contains(&Reason::Random) => 2,
        _ => 3,
    };
    (names.len() >= least).then_some(Group {
        values,
        evidence,
        names: names.len(),
    })
}

fn of_path(
    thing: &Thing,
    template: &Template,
    group: Group,
    choices: &Choices,
    entries: &mut Vec<Entry>,
) {
    let literal = template.literal(&group.values);
    let object = match &literal {
        Some(path) if is_plain_path(path) => Object::Path(path.clone()),
        _ => match Glob::parse(&template.pattern(&group.values)) {
            Ok(glob) => Object::Pattern(glob),
            // Both lengths were checked when the path was read.
            Err(_) => return,
        },
    };
    let is_path = matches!(object, Object::Path(_));
    let named = group.evidence.named().filter(|_| is_path);
    let mut entry = Entry {
        class: thing.class(),
        object,
        sources: None,
        read_only: false,
        names: group.names,
        reasons: template.reasons(&group.values),
        thing: Some(thing.clone()),
        of_host: false,
        evidence: group.evidence,
    };
    let uses = entry.evidence.uses();
    entry.read_only = entry.class == Class::File && !uses.writes;
    if entry.read_only && choices.full.contains(&entry.text()) {
        entry.read_only = false;
        entry.reasons.push(Reason::AlsoWrites);
    }
    match named {
        Some(named) if named.len() == 1 => entry.sources = Some(named),
        Some(named) if entry.class == Class::File && uses.writes && named.len() <= NAMED => {
            let part = |writes: bool| -> Option<Evidence> {
                let mut part = entry.evidence.clone();
                part.programs.retain(|_, uses| uses.writes == writes);
                (!part.programs.is_empty()).then_some(part)
            };
            if let (Some(readers), Some(writers)) = (part(false), part(true)) {
                for (evidence, read_only) in [(readers, true), (writers, false)] {
                    let read_only = read_only && !choices.full.contains(&entry.text());
                    entries.push(Entry {
                        sources: evidence.named(),
                        evidence: with_counts(evidence),
                        read_only,
                        ..entry.clone()
                    });
                }
                return;
            }
            entry.reasons.push(Reason::AnyProgram);
        }
        _ => entry.reasons.push(Reason::AnyProgram),
    }
    entries.push(entry);
}

/// The evidence of some programs alone: how often they were seen is known, when isn't.
fn with_counts(mut evidence: Evidence) -> Evidence {
    evidence.seen.count = evidence.uses().count;
    evidence
}

fn of_word(thing: &Thing, names: &Names, is_host: bool) -> Option<Entry> {
    let evidence = names.evidence().next()?.clone();
    let (object, mut reasons) = match thing {
        Thing::Protocol(protocol) => (Object::Protocol(*protocol), vec![Reason::Protocol]),
        Thing::Domain(domain) => (Object::Domain(domain.to_string()), vec![Reason::SubDomains]),
        Thing::Capability(capability) => (Object::Capability(*capability), Vec::new()),
        Thing::Process(_) | Thing::File(_) => return None,
    };
    // The schema asks rules for hosts to name programs.
    let most = if is_host { usize::MAX } else { 1 };
    let sources = evidence.named().filter(|named| named.len() <= most);
    if sources.is_none() {
        reasons.push(Reason::AnyProgram);
    }
    Some(Entry {
        class: thing.class(),
        object,
        sources,
        read_only: false,
        names: 1,
        reasons,
        evidence,
        of_host: is_host,
        thing: Some(thing.clone()),
    })
}

/// An event of every sort that facts stand for.
pub(super) fn events(facts: &Facts) -> impl Iterator<Item = Event<'static>> {
    facts.0.iter().flat_map(|(thing, names)| {
        names
            .evidence()
            .flat_map(|evidence| of_evidence(thing, evidence))
    })
}

fn of_evidence(thing: &Thing, evidence: &Evidence) -> Vec<Event<'static>> {
    let mut events = Vec::new();
    let named = evidence.programs.iter();
    let named = named.map(|(name, uses)| (name.clone(), *uses));
    let many = evidence.many.map(|uses| (None, uses));
    for (program, uses) in named.chain(many) {
        let mut push = |operation: Operation<'static>| {
            let event = Event::new(operation);
            events.push(match &program {
                Some(program) => event.by(program.to_string()),
                None => event,
            });
        };
        let path = || EventPath::from(evidence.example.to_string());
        match thing {
            Thing::Process(_) => push(Operation::Exec {
                path: path(),
                args: Vec::new(),
            }),
            Thing::File(_) => {
                if uses.reads {
                    push(Operation::Read { path: path() });
                }
                if uses.writes {
                    push(Operation::Write { path: path() });
                }
            }
            Thing::Protocol(protocol) => push(Operation::Socket(socket_of(*protocol))),
            Thing::Domain(domain) => push(Operation::Dns {
                domain: domain.to_string().into(),
            }),
            Thing::Capability(capability) => push(Operation::Capability(*capability)),
        }
    }
    events
}
