//! The events on one object that rules tell apart: by program, by owner, by terminal, by arguments.

use std::borrow::Cow;
use std::collections::BTreeSet;

use gambeson_policy_model::{Event, EventPath, Operation, PathScope, Rule, Source};

use crate::explain::{UNKNOWN_PROGRAM, programs};

/// The most sets of lists that arguments are told apart by.
const ARGUMENTS: usize = 4096;

/// An event of every kind that the rules around its object tell apart. Those of a program that no
/// rule names come first.
pub(super) fn variants(operation: &Operation<'static>, rules: &[&Rule]) -> Vec<Event<'static>> {
    let mut sources = vec![UNKNOWN_PROGRAM.to_vec()];
    sources.extend(programs(rules.iter().copied()));
    let any = |wanted: fn(&Rule) -> bool| rules.iter().any(|rule| wanted(rule));
    let owners: &[bool] = if any(|rule| rule.conditions.owner_only) {
        &[false, true]
    } else {
        &[false]
    };
    let ttys: &[bool] = if any(|rule| rule.conditions.no_tty) {
        &[false, true]
    } else {
        &[false]
    };
    let arguments = match operation {
        Operation::Exec { .. } => arguments(rules),
        _ => vec![Vec::new()],
    };
    let mut events = Vec::new();
    for source in &sources {
        for owner in owners {
            for tty in ttys {
                for args in &arguments {
                    let event = Event::new(operation.clone())
                        .by(EventPath::new(source.clone()))
                        .uid(1000)
                        .owner(if *owner { 1000 } else { 0 })
                        .tty(*tty);
                    events.push(event.args(args.iter().map(|arg| Cow::Owned(arg.clone()))));
                }
            }
        }
    }
    events
}

/// The event with a name in place of the byte that stands for any.
pub(super) fn readable(event: &Event<'static>, fresh: &str) -> Event<'static> {
    let source = event.source.bytes().unwrap_or_default();
    if !source.contains(&0xff) {
        return event.clone();
    }
    let mut named = Vec::new();
    for byte in source {
        match byte {
            0xff => named.extend_from_slice(fresh.as_bytes()),
            byte => named.push(*byte),
        }
    }
    event.clone().by(EventPath::new(named))
}

/// The text of a source.
pub(super) fn source_text(source: &Source) -> &str {
    match source {
        Source::Scope(PathScope::Path(path)) | Source::Nothing(path) => path,
        Source::Scope(PathScope::Directory(directory)) => &directory.path,
    }
}

/// Lists of arguments, one for each set of `allowedArgs` that can hold together.
fn arguments(rules: &[&Rule]) -> Vec<Vec<Vec<u8>>> {
    let mut lists: Vec<&Vec<String>> = rules
        .iter()
        .map(|rule| &rule.conditions.allowed_args)
        .filter(|list| !list.is_empty())
        .collect();
    lists.sort_unstable();
    lists.dedup();
    if lists.is_empty() {
        return vec![Vec::new()];
    }
    let holds = |arg: &str| -> Vec<bool> {
        lists
            .iter()
            .map(|list| list.iter().any(|allowed| allowed == arg))
            .collect()
    };
    let known: BTreeSet<&str> = lists
        .iter()
        .flat_map(|list| list.iter().map(String::as_str))
        .collect();
    // One that no list holds.
    let mut stranger = "x".to_owned();
    while known.contains(stranger.as_str()) {
        stranger.push('x');
    }
    let mut single: Vec<(Vec<bool>, &str)> = Vec::new();
    for arg in known.iter().copied().chain([stranger.as_str()]) {
        let kind = holds(arg);
        if single.iter().all(|(other, _)| *other != kind) {
            single.push((kind, arg));
        }
    }
    // Without arguments every list holds; each argument more leaves those that hold it, too.
    let mut found: Vec<(Vec<bool>, Vec<Vec<u8>>)> = vec![(vec![true; lists.len()], Vec::new())];
    let mut done = 0;
    while let Some((kind, args)) = found.get(done).cloned() {
        done += 1;
        for (other, arg) in &single {
            let both: Vec<bool> = kind.iter().zip(other).map(|(a, b)| *a && *b).collect();
            if found.len() < ARGUMENTS && found.iter().all(|(seen, _)| *seen != both) {
                let mut args = args.clone();
                args.push(arg.as_bytes().to_vec());
                found.push((both, args));
            }
        }
    }
    found.into_iter().map(|(_, args)| args).collect()
}
