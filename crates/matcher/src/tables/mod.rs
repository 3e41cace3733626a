//! The tables of a compiled policy: plain arrays of fixed-width integers, no pointers.
//!
//! They are public for backends, which hand them to a kernel or enumerate them. `DESIGN.md` tells
//! how rules become tables and how a path is walked; [`CompiledPolicy::decide`] is that walk in user
//! space. **This layer changes with [`IMAGE_VERSION`]**: a backend is written for one version, and
//! anything else should use [`CompiledPolicy`] alone.
//!
//! Every number in the tables of a [`CompiledPolicy`] refers to something that is there: the compiler
//! writes no other, and a loaded image is refused otherwise.
//!
//! ```
//! use gambeson_matcher::{Compile, Config};
//! use gambeson_policy_model::{PolicySet, Workload};
//! let policies = PolicySet::from_str("
//! apiVersion: security.kubearmor.com/v1
//! kind: KubeArmorPolicy
//! metadata: {name: web}
//! spec:
//!   file: {matchPaths: [{path: /etc/shadow}]}
//! ")?;
//! let compiled = policies.select(&Workload::pod("default")).compile(&Config::default())?;
//! let tables = compiled.tables();
//! let leaf = tables.row(tables.file.find(b"/etc/shadow")).grant.as_leaf();
//! assert!(leaf.is_some_and(|leaf| leaf.denies()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`CompiledPolicy`]: crate::CompiledPolicy
//! [`CompiledPolicy::decide`]: crate::CompiledPolicy::decide
//! [`IMAGE_VERSION`]: crate::IMAGE_VERSION

pub mod automaton;
pub(crate) mod check;
pub mod entry;
pub(crate) mod image;
#[cfg(test)]
mod picture;
pub(crate) mod provenance;
pub(crate) mod record;
pub mod trie;

use gambeson_policy_model::{Class, Verdict};

pub use crate::compile::network::{PROFILES, profile as socket_profile};
pub use crate::decide::ObjectRows;
use automaton::Globs;
use entry::Entry;
pub use image::Bytes;
pub use record::Span;
use record::{Record, record};
use trie::Trie;

record! {
    /// What all decisions start from.
    pub Head {
        /// How many rules there are; ids are below.
        rules: u32,
        /// Bit by class: an Allow rule applies.
        allow_list: u32,
        /// Bit by class: some rule can deny.
        can_deny: u32,
        /// Bit by class: some rule watches.
        watches: u32,
        /// Two bits by class: the default posture.
        postures: u32,
        /// 1 where a Block becomes a report.
        audited: u32,
    }
}

impl Head {
    /// A class's bit.
    #[must_use]
    pub const fn bit(class: Class) -> u32 {
        1 << class as u32
    }

    /// Whether the class is in allow-list mode.
    #[must_use]
    pub const fn in_allow_list_mode(&self, class: Class) -> bool {
        self.allow_list & Self::bit(class) != 0
    }

    /// Whether some rule of the class can deny.
    #[must_use]
    pub const fn can_deny(&self, class: Class) -> bool {
        self.can_deny & Self::bit(class) != 0
    }

    /// Whether some rule of the class watches.
    #[must_use]
    pub const fn watches(&self, class: Class) -> bool {
        self.watches & Self::bit(class) != 0
    }

    pub(crate) const fn set_posture(&mut self, class: Class, posture: Verdict) {
        let shift = 2 * class as u32;
        self.postures = self.postures & !(3 << shift) | (posture as u32) << shift;
    }

    /// The class's default posture.
    #[must_use]
    pub const fn posture(&self, class: Class) -> Verdict {
        match self.postures >> (2 * class as u32) & 3 {
            0 => Verdict::Allow,
            1 => Verdict::Audit,
            _ => Verdict::Block,
        }
    }
}

record! {
    /// A test of an exec's arguments: against list `list`, then one of two entries. Either is a
    /// leaf, nothing, or a test with a smaller number.
    pub Test {
        /// The list's number.
        list: u32,
        /// Where some argument is not in the list.
        fails: Entry,
        /// Where all are.
        holds: Entry,
    }
}

record! {
    /// What the rules around one object say.
    ///
    /// Where that is a single leaf for every source, the leaf's own word stands for the row's
    /// number.
    pub Row {
        /// Who grants or denies, for source classes without an exception.
        grant: Entry,
        /// The list of exceptions to it; 0 for none.
        grant_exceptions: u32,
        /// Who watches, for source classes without an exception.
        watch: Entry,
        /// The list of exceptions to it; 0 for none.
        watch_exceptions: u32,
    }
}

impl Row {
    /// The leaf that a row's number is itself.
    #[must_use]
    pub const fn as_leaf(number: u32) -> Option<entry::Leaf> {
        match Entry(number).parts() {
            entry::Parts::Leaf(leaf) => Some(leaf),
            _ => None,
        }
    }
}

record! {
    /// An entry for one source class.
    pub Exception {
        /// The source class.
        class: u32,
        /// Its entry.
        entry: Entry,
    }
}

record! {
    /// A system call that rules watch.
    pub Syscall {
        /// Its name, in `text`.
        name: Span,
        /// Its watches, in `watches`.
        watches: Span,
    }
}

record! {
    /// One rule that watches a system call.
    pub Watch {
        /// 0 whatever it is about, 1 below a directory, 2 in or directly below a directory, 3 a file.
        scope: u32,
        /// The file or directory, in `text`.
        path: Span,
        /// The source classes it is confined to, in `members`; none for all.
        sources: Span,
        /// 1 where it is confined to sources, even if no class is one.
        sourced: u32,
        /// The rule.
        rule: u32,
    }
}

record! {
    /// One rule about USB devices.
    pub DeviceRow {
        /// The class.
        class: u32,
        /// The sub-class; see `given`.
        subclass: u32,
        /// The protocol; see `given`.
        protocol: u32,
        /// The level; see `given`.
        level: u32,
        /// Bits 0 to 2: sub-class, protocol and level are given.
        given: u32,
        /// 0 grants, 1 denies, 2 watches.
        effect: u32,
        /// The rule.
        rule: u32,
    }
}

impl Watch {
    /// Whatever the call is about.
    pub const ANYWHERE: u32 = 0;
    /// Everything below a directory, and itself.
    pub const BELOW: u32 = 1;
    /// A directory and its direct children.
    pub const CHILDREN: u32 = 2;
    /// One file.
    pub const FILE: u32 = 3;
}

impl DeviceRow {
    /// The rule grants.
    pub const GRANTS: u32 = 0;
    /// The rule denies.
    pub const DENIES: u32 = 1;
    /// The rule watches.
    pub const WATCHES: u32 = 2;
}

/// All tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tables {
    /// What all decisions start from.
    pub head: Head,
    /// Bytes that other tables have runs of.
    pub text: Bytes,
    /// Entries by the state of the conditions, see [`entry::Holding`]. None of them is a block.
    pub blocks: Vec<[Entry; 8]>,
    /// Tests of an exec's arguments.
    pub tests: Vec<Test>,
    /// Lists of allowed arguments, each a run of `arguments`.
    pub lists: Vec<Span>,
    /// Arguments, each a run of `text`; sorted within a list.
    pub arguments: Vec<Span>,
    /// What rules say around an object. The first says nothing.
    pub rows: Vec<Row>,
    /// Lists of exceptions, each a run of `exceptions`; the first is empty.
    pub exception_lists: Vec<Span>,
    /// Sorted by class within a list.
    pub exceptions: Vec<Exception>,
    /// Source classes by executable.
    pub sources: Trie,
    /// Rows by executed path.
    pub process: Trie,
    /// Patterns and execnames of the process class.
    pub process_globs: Globs,
    /// What counts for mappings where process is in allow-list mode; empty elsewhere.
    pub mapping: Trie,
    /// Execnames that count for mappings in allow-list mode.
    pub mapping_globs: Globs,
    /// Rows by path that is read or written.
    pub file: Trie,
    /// Patterns of the file class.
    pub file_globs: Globs,
    /// Nodes of `file` whose byte strings rules name: files, and directories without their slash.
    /// In order. What [`Selection::named_below`](gambeson_policy_model::Selection::named_below) is
    /// about: renaming a directory writes to all of these below it.
    pub named: Vec<u32>,
    /// Rows by a domain's labels, from the last to the first, each behind a slash.
    pub dns: Trie,
    /// Rows by [`socket_profile`].
    pub network: Vec<u32>,
    /// Rows by capability number.
    pub capabilities: Vec<u32>,
    /// Rows by place in [`gambeson_policy_model::Preset::ALL`].
    pub presets: Vec<u32>,
    /// Sorted by name.
    pub syscalls: Vec<Syscall>,
    /// Rules that watch system calls.
    pub watches: Vec<Watch>,
    /// Source classes of watches, sorted within a watch.
    pub members: Vec<u32>,
    /// Rules about USB devices.
    pub devices: Vec<DeviceRow>,
}

impl Tables {
    /// Puts bytes into `text`.
    pub(crate) fn add_text(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(bytes);
        Span {
            start,
            len: bytes.len() as u32,
        }
    }

    /// Size of the tables in bytes.
    pub(crate) fn bytes(&self) -> usize {
        fn of<R: Record>(records: &[R]) -> usize {
            4 * R::WORDS * records.len()
        }
        let tries = [
            &self.sources,
            &self.process,
            &self.mapping,
            &self.file,
            &self.dns,
        ];
        let globs = [&self.process_globs, &self.mapping_globs, &self.file_globs];
        4 * Head::WORDS
            + self.text.len()
            + of(&self.blocks)
            + of(&self.tests)
            + of(&self.lists)
            + of(&self.arguments)
            + of(&self.rows)
            + of(&self.exception_lists)
            + of(&self.exceptions)
            + tries.iter().map(|trie| trie.bytes()).sum::<usize>()
            + of(&self.named)
            + globs.iter().map(|globs| globs.bytes()).sum::<usize>()
            + of(&self.network)
            + of(&self.capabilities)
            + of(&self.presets)
            + of(&self.syscalls)
            + of(&self.watches)
            + of(&self.members)
            + of(&self.devices)
    }
}
