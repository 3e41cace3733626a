//! The tables of a compiled policy: plain arrays of fixed-width integers, no pointers.

pub(crate) mod automaton;
pub(crate) mod check;
pub(crate) mod entry;
pub(crate) mod image;
#[cfg(test)]
mod picture;
pub(crate) mod provenance;
pub(crate) mod record;
pub(crate) mod trie;

use gambeson_policy_model::{Class, Verdict};

use automaton::Globs;
use entry::Entry;
use image::Bytes;
use record::{Record, Span, record};
use trie::Trie;

record! {
    /// What all decisions start from.
    Head {
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
    pub(crate) const fn bit(class: Class) -> u32 {
        1 << class as u32
    }

    pub(crate) const fn in_allow_list_mode(&self, class: Class) -> bool {
        self.allow_list & Self::bit(class) != 0
    }

    pub(crate) const fn can_deny(&self, class: Class) -> bool {
        self.can_deny & Self::bit(class) != 0
    }

    pub(crate) const fn watches(&self, class: Class) -> bool {
        self.watches & Self::bit(class) != 0
    }

    pub(crate) const fn set_posture(&mut self, class: Class, posture: Verdict) {
        let shift = 2 * class as u32;
        self.postures = self.postures & !(3 << shift) | (posture as u32) << shift;
    }

    pub(crate) const fn posture(&self, class: Class) -> Verdict {
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
    Test {
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
    Row {
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
    pub(crate) const fn as_leaf(number: u32) -> Option<entry::Leaf> {
        match Entry(number).parts() {
            entry::Parts::Leaf(leaf) => Some(leaf),
            _ => None,
        }
    }
}

record! {
    /// An entry for one source class.
    Exception {
        /// The source class.
        class: u32,
        /// Its entry.
        entry: Entry,
    }
}

record! {
    /// A system call that rules watch.
    Syscall {
        /// Its name, in `text`.
        name: Span,
        /// Its watches, in `watches`.
        watches: Span,
    }
}

record! {
    /// One rule that watches a system call.
    Watch {
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
    DeviceRow {
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
    pub(crate) const ANYWHERE: u32 = 0;
    pub(crate) const BELOW: u32 = 1;
    pub(crate) const CHILDREN: u32 = 2;
    pub(crate) const FILE: u32 = 3;
}

impl DeviceRow {
    pub(crate) const GRANTS: u32 = 0;
    pub(crate) const DENIES: u32 = 1;
    pub(crate) const WATCHES: u32 = 2;
}

/// All tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tables {
    pub(crate) head: Head,
    pub(crate) text: Bytes,
    pub(crate) blocks: Vec<[Entry; 8]>,
    pub(crate) tests: Vec<Test>,
    /// Lists of allowed arguments, each a run of `arguments`.
    pub(crate) lists: Vec<Span>,
    /// Arguments, each a run of `text`; sorted within a list.
    pub(crate) arguments: Vec<Span>,
    pub(crate) rows: Vec<Row>,
    /// Lists of exceptions, each a run of `exceptions`; the first is empty.
    pub(crate) exception_lists: Vec<Span>,
    /// Sorted by class within a list.
    pub(crate) exceptions: Vec<Exception>,
    /// Source classes by executable.
    pub(crate) sources: Trie,
    pub(crate) process: Trie,
    pub(crate) process_globs: Globs,
    /// What counts for mappings where process is in allow-list mode; empty elsewhere.
    pub(crate) mapping: Trie,
    pub(crate) mapping_globs: Globs,
    pub(crate) file: Trie,
    pub(crate) file_globs: Globs,
    pub(crate) dns: Trie,
    /// Rows by [`crate::compile::network::profile`].
    pub(crate) network: Vec<u32>,
    /// Rows by capability number.
    pub(crate) capabilities: Vec<u32>,
    /// Rows by place in [`gambeson_policy_model::Preset::ALL`].
    pub(crate) presets: Vec<u32>,
    /// Sorted by name.
    pub(crate) syscalls: Vec<Syscall>,
    pub(crate) watches: Vec<Watch>,
    /// Source classes of watches, sorted within a watch.
    pub(crate) members: Vec<u32>,
    pub(crate) devices: Vec<DeviceRow>,
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
