//! Who acts: the source classes of each policy, with a program of each; and what a program may do to
//! a path.

use std::collections::BTreeMap;

use gambeson_matcher::CompiledPolicy;
use gambeson_policy_model::{Decision, Event, EventPath, Operation, Verdict};

use super::tries::{is_resolved, strings};

/// A byte that no policy text holds.
pub(crate) const UNNAMED: u8 = 0xff;

/// A policy, and the programs that its rules tell apart.
#[derive(Debug)]
pub(crate) struct Policy<'p> {
    pub(crate) compiled: &'p CompiledPolicy,
    /// The source classes by number, the one of unnamed programs first.
    pub(crate) sources: Vec<SourceClass>,
}

/// Programs that no rule of the policy tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceClass {
    /// The compiled policy's number of it.
    pub(crate) number: u32,
    /// One of them.
    pub(crate) program: Vec<u8>,
}

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Opening it for reading.
    Read,
    /// Changing it, its name or its metadata.
    Write,
    /// Executing it.
    Exec,
    /// Mapping it executable in any other way.
    MapExec,
    /// Renaming it, where it is a directory with files below it that rules name.
    Rename,
}

impl Access {
    /// Every access.
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::Write,
        Self::Exec,
        Self::MapExec,
        Self::Rename,
    ];
}

/// The verdicts on each [`Access`] to one path by programs of one source class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Verdicts(pub(crate) [Verdict; 5]);

impl Verdicts {
    pub(crate) fn of(self, access: Access) -> Verdict {
        let [read, write, exec, map, rename] = self.0;
        match access {
            Access::Read => read,
            Access::Write => write,
            Access::Exec => exec,
            Access::MapExec => map,
            Access::Rename => rename,
        }
    }

    /// What can be enforced: the kernel reads a program to execute it, and maps it executable.
    pub(crate) fn enforced(self, access: Access) -> Verdict {
        let verdict = self.of(access);
        let needs_too: &[Access] = match access {
            Access::Exec => &[Access::Read, Access::MapExec],
            _ => &[],
        };
        if needs_too
            .iter()
            .any(|access| self.of(*access) == Verdict::Block)
        {
            Verdict::Block
        } else {
            verdict
        }
    }
}

/// An argument that no list allows.
const UNLISTED_ARGUMENT: &[u8] = &[UNNAMED, 1, UNNAMED];

/// An event of which everything is as bad as it can be: no condition that labels can't see holds.
pub(crate) fn worst_event<'e>(operation: Operation<'e>, source: &'e [u8]) -> Event<'e> {
    Event::new(operation).by(source).tty(true)
}

/// The operation of an access to a file.
pub(crate) fn operation(access: Access, path: EventPath<'_>) -> Operation<'_> {
    match access {
        Access::Read => Operation::Read { path },
        Access::Write | Access::Rename => Operation::Write { path },
        Access::Exec => Operation::Exec {
            path,
            args: vec![UNLISTED_ARGUMENT.into()],
        },
        Access::MapExec => Operation::MapExec { path },
    }
}

impl<'p> Policy<'p> {
    pub(crate) fn new(compiled: &'p CompiledPolicy) -> Self {
        let trie = &compiled.tables().sources;
        let mut programs: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut add = |program: Vec<u8>| {
            if is_resolved(&program) {
                let class = trie.find(&program);
                programs.entry(class).or_insert(program);
            }
        };
        // What most programs are comes first, and is what a process is taken for at the start.
        add(vec![b'/', UNNAMED, b'/', UNNAMED]);
        add(vec![b'/', UNNAMED]);
        for (node, string) in strings(trie) {
            let place = trie.places.get(node as usize).copied().unwrap_or_default();
            let region = trie.regions.get(place.region as usize);
            let length = region.map_or(0, |region| region.directory_len as usize);
            let directory = string.get(..length).unwrap_or_default();
            add([directory, &[UNNAMED]].concat());
            add([directory, &[UNNAMED, b'/', UNNAMED]].concat());
            add(string);
        }
        let unnamed = trie.find(&[b'/', UNNAMED, b'/', UNNAMED]);
        let mut sources: Vec<SourceClass> = programs
            .into_iter()
            .map(|(number, program)| SourceClass { number, program })
            .collect();
        sources.sort_by_key(|class| class.number != unnamed);
        Self { compiled, sources }
    }

    /// The place in `sources` of the class that a program is of.
    pub(crate) fn source_of(&self, program: &[u8]) -> usize {
        let number = self.compiled.tables().sources.find(program);
        let place = self.sources.iter().position(|class| class.number == number);
        place.unwrap_or(0)
    }

    pub(crate) fn decide(&self, access: Access, path: EventPath<'_>, source: &[u8]) -> Decision {
        let event = worst_event(operation(access, path), source);
        self.compiled.decide(&event)
    }

    /// The verdicts on a path; renaming it is taken for a write to it alone.
    pub(crate) fn verdicts(&self, path: &EventPath<'_>, source: &[u8]) -> Verdicts {
        Verdicts(Access::ALL.map(|access| self.decide(access, path.clone(), source).verdict))
    }
}
