//! Which rules name an object: found by hashes of what they name, not by going through them.

use std::collections::HashMap;
use std::hash::Hash;

use gambeson_policy_model::{
    Class, Event, Glob, Object, Operation, PathScope, Protocol, Rule, RuleId, Token,
};

use crate::glob_walk;
use crate::matching::{DIRECTORY, EXACT, NAME, Specificity};

/// A rule that names the object of an event, and how specifically.
pub(crate) type Named = (RuleId, Specificity);

/// The rules of one workload by what they name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    process: Paths,
    file: Paths,
    /// Protocols, capabilities and presets.
    words: HashMap<Object, Vec<RuleId>>,
    /// By domain in lower case, without a dot at its end.
    domains: HashMap<String, Vec<RuleId>>,
    syscalls: HashMap<String, Vec<(RuleId, Option<PathScope>)>>,
    devices: Vec<RuleId>,
}

/// The rules of a class whose objects are files.
#[derive(Debug, Clone, Default)]
struct Paths {
    exact: HashMap<Box<[u8]>, Vec<RuleId>>,
    execnames: HashMap<Box<[u8]>, Vec<RuleId>>,
    /// By path with its slash.
    directories: HashMap<Box<[u8]>, Vec<Within>>,
    /// Patterns by the directory that they begin with.
    below: HashMap<Box<[u8]>, Vec<Alternative>>,
    /// Patterns that begin with no directory but the root, by their last literal bytes.
    ending: HashMap<Box<[u8]>, Vec<Alternative>>,
    /// The lengths of those last bytes, in order.
    endings: Vec<usize>,
    /// All other patterns.
    elsewhere: Vec<Alternative>,
}

#[derive(Debug, Clone, Copy)]
struct Within {
    rule: RuleId,
    recursive: bool,
    /// Whether the directory itself is matched.
    itself: bool,
}

/// One alternative of a pattern.
#[derive(Debug, Clone)]
struct Alternative {
    rule: RuleId,
    tokens: Vec<Token>,
    /// The literal bytes at its end.
    ending: Vec<u8>,
}

fn push<K: Hash + Eq, V>(map: &mut HashMap<K, Vec<V>>, key: K, value: V) {
    map.entry(key).or_default().push(value);
}

/// A domain as the index knows it.
fn domain_key(domain: &str) -> String {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let labels: Vec<&str> = domain
        .split('.')
        .filter(|label| !label.is_empty())
        .collect();
    labels.join(".").to_ascii_lowercase()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

impl Index {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (id, rule) in (0..).map(RuleId).zip(rules) {
            match &rule.object {
                Object::Protocol(_) | Object::Capability(_) | Object::Preset(_) => {
                    push(&mut index.words, rule.object.clone(), id);
                }
                Object::Domain(domain) => push(&mut index.domains, domain_key(domain), id),
                Object::Syscalls { names, scope } => {
                    let mut names: Vec<&String> = names.iter().collect();
                    names.sort_unstable();
                    names.dedup();
                    for name in names {
                        push(&mut index.syscalls, name.clone(), (id, scope.clone()));
                    }
                }
                Object::Device(_) => index.devices.push(id),
                object => match rule.class {
                    Class::Process => index.process.add(id, object),
                    Class::File => index.file.add(id, object),
                    _ => {}
                },
            }
        }
        for paths in [&mut index.process, &mut index.file] {
            paths.endings = paths.ending.keys().map(|ending| ending.len()).collect();
            paths.endings.sort_unstable();
            paths.endings.dedup();
        }
        index
    }

    /// The rules that name the event's object, whatever its source.
    pub(crate) fn find(&self, rules: &[Rule], event: &Event<'_>) -> Vec<Named> {
        let mut found = Vec::new();
        match &event.operation {
            Operation::Exec { path, .. } | Operation::MapExec { path } => {
                if let Some(path) = path.bytes() {
                    self.process.find(path, &mut found);
                }
            }
            Operation::Read { path } | Operation::Write { path } => {
                if let Some(path) = path.bytes() {
                    self.file.find(path, &mut found);
                }
            }
            Operation::Socket(socket) => {
                for protocol in Protocol::ALL {
                    if protocol.matches(socket) {
                        let tier = if protocol == Protocol::All { 1 } else { 2 };
                        self.find_word(&Object::Protocol(protocol), tier, &mut found);
                    }
                }
            }
            Operation::Capability(used) => {
                self.find_word(&Object::Capability(*used), 1, &mut found);
            }
            Operation::Preset(preset) => self.find_word(&Object::Preset(*preset), 1, &mut found),
            Operation::Dns { domain } => self.find_domain(domain, &mut found),
            Operation::Syscall { name, path } => {
                let path = path.as_ref().and_then(|path| path.bytes());
                for (id, scope) in self.syscalls.get(name.as_ref()).into_iter().flatten() {
                    let specificity = match scope {
                        None => Some((1, 0)),
                        Some(scope) if !path.is_some_and(|path| scope.contains(path)) => None,
                        Some(PathScope::Directory(directory)) => {
                            Some((2, length(directory.path.as_bytes())))
                        }
                        Some(PathScope::Path(_)) => Some((3, 0)),
                    };
                    found.extend(specificity.map(|specificity| (*id, specificity)));
                }
            }
            Operation::Device(device) => {
                for id in &self.devices {
                    if let Some(Object::Device(wanted)) =
                        rules.get(id.0 as usize).map(|rule| &rule.object)
                        && wanted.matches(device)
                    {
                        found.push((*id, (1, wanted.specificity())));
                    }
                }
            }
            _ => {}
        }
        found
    }

    fn find_word(&self, word: &Object, tier: u8, found: &mut Vec<Named>) {
        let named = self.words.get(word).into_iter().flatten();
        found.extend(named.map(|id| (*id, (tier, 0))));
    }

    fn find_domain(&self, domain: &str, found: &mut Vec<Named>) {
        let domain = domain_key(domain);
        let mut rest = domain.as_str();
        loop {
            let labels = rest.split('.').filter(|label| !label.is_empty()).count();
            let named = self.domains.get(rest).into_iter().flatten();
            let depth = u32::try_from(labels).unwrap_or(u32::MAX);
            found.extend(named.map(|id| (*id, (1, depth))));
            rest = match rest.split_once('.') {
                Some((_, parent)) => parent,
                None if rest.is_empty() => return,
                None => "",
            };
        }
    }
}

impl Paths {
    fn add(&mut self, rule: RuleId, object: &Object) {
        match object {
            Object::Path(path) => push(&mut self.exact, path.as_bytes().into(), rule),
            Object::ExecName(name) => push(&mut self.execnames, name.as_bytes().into(), rule),
            Object::Directory(directory) => {
                let within = Within {
                    rule,
                    recursive: directory.recursive,
                    itself: true,
                };
                push(
                    &mut self.directories,
                    directory.path.as_bytes().into(),
                    within,
                );
            }
            Object::Pattern(glob) => {
                for tokens in glob.alternatives() {
                    self.add_alternative(rule, tokens);
                }
            }
            _ => {}
        }
    }

    fn add_alternative(&mut self, rule: RuleId, tokens: &[Token]) {
        if let Some(directory) = Glob::as_directory(tokens) {
            let within = Within {
                rule,
                recursive: true,
                itself: false,
            };
            push(&mut self.directories, directory.into(), within);
            return;
        }
        let byte = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        };
        let mut beginning: Vec<u8> = tokens.iter().map_while(byte).collect();
        let mut ending: Vec<u8> = tokens.iter().rev().map_while(byte).collect();
        ending.reverse();
        let slash = beginning.iter().rposition(|byte| *byte == b'/');
        beginning.truncate(slash.map_or(0, |slash| slash + 1));
        let alternative = Alternative {
            rule,
            tokens: tokens.to_vec(),
            ending: ending.clone(),
        };
        if beginning.len() > 1 {
            push(&mut self.below, beginning.into(), alternative);
        } else if !ending.is_empty() {
            push(&mut self.ending, ending.into(), alternative);
        } else {
            self.elsewhere.push(alternative);
        }
    }

    fn find(&self, path: &[u8], found: &mut Vec<Named>) {
        let exact = self.exact.get(path).into_iter().flatten();
        found.extend(exact.map(|id| (*id, (EXACT, 0))));
        let slash = path.iter().rposition(|byte| *byte == b'/');
        let name = path
            .get(slash.map_or(0, |slash| slash + 1)..)
            .unwrap_or_default();
        let named = self.execnames.get(name).into_iter().flatten();
        found.extend(named.map(|id| (*id, (NAME, 0))));
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (slash, _) in slashes {
            let (directory, inside) = path.split_at_checked(slash + 1).unwrap_or_default();
            for within in self.directories.get(directory).into_iter().flatten() {
                let matches = match inside {
                    [] => within.itself,
                    inside => within.recursive || !inside.contains(&b'/'),
                };
                if matches {
                    found.push((within.rule, (DIRECTORY, length(directory))));
                }
            }
            self.find_patterns(self.below.get(directory), path, found);
        }
        if !self.directories.is_empty() {
            let mut itself = path.to_vec();
            itself.push(b'/');
            for within in self
                .directories
                .get(itself.as_slice())
                .into_iter()
                .flatten()
            {
                if within.itself {
                    found.push((within.rule, (DIRECTORY, length(&itself))));
                }
            }
        }
        for count in &self.endings {
            let start = path.len().checked_sub(*count);
            if let Some(ending) = start.and_then(|start| path.get(start..)) {
                self.find_patterns(self.ending.get(ending), path, found);
            }
        }
        self.find_patterns(Some(&self.elsewhere), path, found);
    }

    fn find_patterns(
        &self,
        patterns: Option<&Vec<Alternative>>,
        path: &[u8],
        found: &mut Vec<Named>,
    ) {
        for alternative in patterns.into_iter().flatten() {
            if path.ends_with(&alternative.ending) && glob_walk::matches(&alternative.tokens, path)
            {
                found.push((alternative.rule, (NAME, 0)));
            }
        }
    }
}
