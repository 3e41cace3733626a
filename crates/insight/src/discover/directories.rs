//! Many files of a directory that are only read become one rule.

use std::collections::{BTreeMap, BTreeSet};

use gambeson_policy_model::{Class, Directory, Glob, Object, Token};

use super::draft::{Choices, Entry};
use super::names::Reason;

/// So many files of a directory make a rule for the directory.
const FILES: usize = 8;

/// So many files below a directory, in so many of its own directories, make a rule for all below.
const FILES_BELOW: usize = 32;
const DIRECTORIES_BELOW: usize = 4;

/// Directories that no rule is made for as a whole, with all below them.
const NEVER_BELOW: [&str; 10] = [
    "/proc/",
    "/sys/",
    "/dev/",
    "/root/",
    "/home/",
    "/tmp/",
    "/var/tmp/",
    "/boot/",
    "/run/secrets/",
    "/var/run/secrets/",
];

/// Directories that no rule is made for as a whole.
const NEVER: [&str; 8] = [
    "/",
    "/etc/",
    "/run/",
    "/var/run/",
    "/var/lib/",
    "/usr/",
    "/var/",
    "/opt/",
];

/// Names of directories that hold secrets.
const SECRET: [&str; 8] = [
    "secrets", "secret", "private", ".ssh", ".aws", ".kube", ".gnupg", ".docker",
];

/// Replaces files that are only read by the directories they are in, where there are many.
pub(super) fn directories(entries: &mut Vec<Entry>, choices: &Choices) {
    let written: Vec<String> = entries
        .iter()
        .filter(|entry| entry.class == Class::File && !entry.read_only)
        .map(|entry| match &entry.object {
            // What a pattern begins with.
            Object::Pattern(glob) => literal_start(glob),
            _ => entry.text(),
        })
        .collect();
    let mut files: BTreeSet<String> = BTreeSet::new();
    let mut mixed: BTreeSet<String> = BTreeSet::new();
    for entry in entries.iter() {
        if let (Class::File, Object::Path(path)) = (entry.class, &entry.object)
            && (!entry.read_only || !files.insert(path.clone()))
        {
            mixed.insert(path.clone());
        }
    }
    files.retain(|path| !mixed.contains(path));

    let mut chosen: Vec<Directory> = Vec::new();
    // Below: the deepest first, so that rules stay narrow.
    let mut below: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for file in &files {
        for (at, _) in file.match_indices('/') {
            let Some((directory, rest)) = file.split_at_checked(at + 1) else {
                continue;
            };
            let (count, inner) = below.entry(directory).or_default();
            *count += 1;
            if let Some((name, _)) = rest.split_once('/') {
                inner.insert(name);
            }
        }
    }
    let mut candidates: Vec<(&str, bool)> = Vec::new();
    for (directory, (count, inner)) in &below {
        if *count >= FILES_BELOW && inner.len() >= DIRECTORIES_BELOW {
            candidates.push((directory, true));
        }
    }
    let mut within: BTreeMap<&str, usize> = BTreeMap::new();
    for file in &files {
        if let Some((directory, _)) = file.rsplit_once('/')
            && let Some((directory, _)) = file.split_at_checked(directory.len() + 1)
        {
            *within.entry(directory).or_insert(0) += 1;
        }
    }
    for (directory, count) in &within {
        if *count >= FILES {
            candidates.push((directory, false));
        }
    }
    candidates.sort_by_key(|(directory, recursive)| {
        let depth = directory.matches('/').count();
        (!recursive, std::cmp::Reverse(depth), *directory)
    });
    for (directory, recursive) in candidates {
        let directory = Directory {
            path: directory.to_owned(),
            recursive,
        };
        let covered = chosen.iter().any(|other| {
            other.recursive
                && (directory.path.starts_with(&other.path)
                    || (recursive && other.path.starts_with(&directory.path)))
        });
        if !covered
            && may_be_named(&directory)
            && !choices.no_directory.contains(&directory.path)
            && !written.iter().any(|path| touches(&directory, path))
        {
            chosen.push(directory);
        }
    }
    for directory in chosen {
        replace(entries, directory, &files);
    }
}

/// Whether something written, or what its pattern begins with, may be in the directory.
fn touches(directory: &Directory, written: &str) -> bool {
    let path = directory.path.as_str();
    if path.starts_with(written) || path.trim_end_matches('/') == written {
        return true;
    }
    written
        .strip_prefix(path)
        .is_some_and(|rest| directory.recursive || !rest.contains('/'))
}

fn literal_start(glob: &Glob) -> String {
    let mut start = Vec::new();
    if let Some(tokens) = glob.alternatives().first() {
        for token in tokens {
            match token {
                Token::Byte(byte) => start.push(*byte),
                _ => break,
            }
        }
    }
    String::from_utf8_lossy(&start).into_owned()
}

/// Whether a directory may get a rule of its own.
fn may_be_named(directory: &Directory) -> bool {
    let path = directory.path.as_str();
    let depth = path.matches('/').count() - 1;
    let secret = path.split('/').any(|name| SECRET.contains(&name));
    !secret
        && !NEVER.contains(&path)
        && !NEVER_BELOW.iter().any(|never| path.starts_with(never))
        && (!directory.recursive || depth >= 2)
        && !path.contains(['*', '?', '[', '{'])
}

fn replace(entries: &mut Vec<Entry>, directory: Directory, files: &BTreeSet<String>) {
    let mut merged: Option<Entry> = None;
    entries.retain(|entry| {
        let inside = match &entry.object {
            Object::Path(path) => {
                entry.class == Class::File
                    && files.contains(path)
                    && directory.contains(path.as_bytes())
            }
            _ => false,
        };
        if !inside {
            return true;
        }
        match &mut merged {
            None => merged = Some(entry.clone()),
            Some(merged) => {
                merged.evidence.add(&entry.evidence);
                merged.names += 1;
            }
        }
        false
    });
    let Some(mut entry) = merged else {
        return;
    };
    entry.reasons = vec![if directory.recursive {
        Reason::DirectoryTree
    } else {
        Reason::Directory
    }];
    entry.sources = entry.evidence.named().filter(|named| named.len() == 1);
    if entry.sources.is_none() {
        entry.reasons.push(Reason::AnyProgram);
    }
    entry.thing = None;
    entry.object = Object::Directory(directory);
    entries.push(entry);
}
