//! What the programs and the loader agree on: `bpf/abi.h` in Rust. A test compares both.
//!
//! Records are written and read field by field, in the byte order of the kernels that are
//! supported, little-endian; nothing is reinterpreted.

mod record;

pub use record::{FieldLayout, Record};
use record::{constants, record};

constants! {
    /// The version of this interface.
    GB_ABI_VERSION ABI_VERSION: u32 = 1,
    /// Bytes of a page of a lowered table.
    GB_PAGE PAGE: usize = 4096,
    /// The first word of a lowered table.
    GB_MAGIC MAGIC: u32 = 0x4741_4d42,
    /// The most bytes of an allowed argument.
    GB_MAX_ARGUMENT MAX_ARGUMENT: usize = 4095,
    /// The most pairs in a list of what lies below a directory.
    GB_MAX_BELOW MAX_BELOW: usize = 64,
    /// Slots for lowered tables.
    GB_MAX_TABLES MAX_TABLES: u32 = 16384,
    /// Slots for workloads.
    GB_MAX_WORKLOADS MAX_WORKLOADS: u32 = 16384,
    /// How many execs of a task can wait for their arguments.
    GB_PENDING PENDING: usize = 2,
    /// How many rows each of them can have.
    GB_PENDING_ROWS PENDING_ROWS: usize = 4,
    /// How many lists of arguments one decision looks into.
    GB_MAX_LISTS MAX_LISTS: usize = 16,
    /// No number.
    GB_NONE NONE: u32 = 0xffff_ffff,
    /// In place of a workload's number: exempt from every policy.
    GB_EXEMPT EXEMPT: u32 = 0xffff_fffe,
    /// In place of a path's length in a [`Question`]: the object has no name in a file system.
    GB_NAMELESS NAMELESS: u32 = 0xffff_fffd,
    /// Setting: deny with EACCES instead of EPERM.
    GB_SET_EACCES SET_EACCES: u32 = 1 << 0,
    /// Setting: mounting is allowed.
    GB_SET_MOUNTS_ALLOWED SET_MOUNTS_ALLOWED: u32 = 1 << 1,
    /// Setting: never deny.
    GB_SET_OBSERVE SET_OBSERVE: u32 = 1 << 2,
    /// The first of the bits that say of which classes Allow is reported.
    GB_SET_VISIBLE_SHIFT SET_VISIBLE_SHIFT: u32 = 8,
    /// Operation: opening for reading.
    GB_OP_READ OP_READ: u8 = 1,
    /// Operation: changing a file, its name or its metadata.
    GB_OP_WRITE OP_WRITE: u8 = 2,
    /// Operation: executing.
    GB_OP_EXEC OP_EXEC: u8 = 3,
    /// Operation: mapping executable.
    GB_OP_MAP_EXEC OP_MAP_EXEC: u8 = 4,
    /// Operation: creating or using a socket.
    GB_OP_SOCKET OP_SOCKET: u8 = 5,
    /// Operation: using a capability.
    GB_OP_CAPABILITY OP_CAPABILITY: u8 = 6,
    /// Operation: a kernel situation.
    GB_OP_PRESET OP_PRESET: u8 = 7,
    /// Operation: asking for a name.
    GB_OP_DNS OP_DNS: u8 = 8,
    /// Operation: mounting.
    GB_OP_MOUNT OP_MOUNT: u8 = 9,
    /// Hook.
    GB_HOOK_FILE_OPEN HOOK_FILE_OPEN: u8 = 1,
    /// Hook.
    GB_HOOK_FILE_RECEIVE HOOK_FILE_RECEIVE: u8 = 2,
    /// Hook.
    GB_HOOK_FILE_TRUNCATE HOOK_FILE_TRUNCATE: u8 = 3,
    /// Hook.
    GB_HOOK_PATH_TRUNCATE HOOK_PATH_TRUNCATE: u8 = 4,
    /// Hook.
    GB_HOOK_MMAP_FILE HOOK_MMAP_FILE: u8 = 5,
    /// Hook.
    GB_HOOK_FILE_MPROTECT HOOK_FILE_MPROTECT: u8 = 6,
    /// Hook.
    GB_HOOK_PATH_UNLINK HOOK_PATH_UNLINK: u8 = 7,
    /// Hook.
    GB_HOOK_PATH_RMDIR HOOK_PATH_RMDIR: u8 = 8,
    /// Hook.
    GB_HOOK_PATH_MKDIR HOOK_PATH_MKDIR: u8 = 9,
    /// Hook.
    GB_HOOK_PATH_MKNOD HOOK_PATH_MKNOD: u8 = 10,
    /// Hook.
    GB_HOOK_PATH_SYMLINK HOOK_PATH_SYMLINK: u8 = 11,
    /// Hook.
    GB_HOOK_PATH_LINK HOOK_PATH_LINK: u8 = 12,
    /// Hook.
    GB_HOOK_PATH_RENAME HOOK_PATH_RENAME: u8 = 13,
    /// Hook.
    GB_HOOK_PATH_CHMOD HOOK_PATH_CHMOD: u8 = 14,
    /// Hook.
    GB_HOOK_PATH_CHOWN HOOK_PATH_CHOWN: u8 = 15,
    /// Hook.
    GB_HOOK_INODE_SETATTR HOOK_INODE_SETATTR: u8 = 16,
    /// Hook.
    GB_HOOK_INODE_SETXATTR HOOK_INODE_SETXATTR: u8 = 17,
    /// Hook.
    GB_HOOK_INODE_REMOVEXATTR HOOK_INODE_REMOVEXATTR: u8 = 18,
    /// Hook.
    GB_HOOK_INODE_SET_ACL HOOK_INODE_SET_ACL: u8 = 19,
    /// Hook.
    GB_HOOK_INODE_REMOVE_ACL HOOK_INODE_REMOVE_ACL: u8 = 20,
    /// Hook.
    GB_HOOK_FILE_IOCTL HOOK_FILE_IOCTL: u8 = 21,
    /// Hook.
    GB_HOOK_UNIX_CONNECT HOOK_UNIX_CONNECT: u8 = 22,
    /// Hook.
    GB_HOOK_UNIX_SEND HOOK_UNIX_SEND: u8 = 23,
    /// Hook.
    GB_HOOK_BPRM_CHECK HOOK_BPRM_CHECK: u8 = 24,
    /// Hook.
    GB_HOOK_BPRM_COMMITTED HOOK_BPRM_COMMITTED: u8 = 25,
    /// Hook.
    GB_HOOK_SOCKET_CREATE HOOK_SOCKET_CREATE: u8 = 26,
    /// Hook.
    GB_HOOK_SOCKET_BIND HOOK_SOCKET_BIND: u8 = 27,
    /// Hook.
    GB_HOOK_SOCKET_CONNECT HOOK_SOCKET_CONNECT: u8 = 28,
    /// Hook.
    GB_HOOK_SOCKET_LISTEN HOOK_SOCKET_LISTEN: u8 = 29,
    /// Hook.
    GB_HOOK_SOCKET_ACCEPT HOOK_SOCKET_ACCEPT: u8 = 30,
    /// Hook.
    GB_HOOK_SOCKET_SENDMSG HOOK_SOCKET_SENDMSG: u8 = 31,
    /// Hook.
    GB_HOOK_CAPABLE HOOK_CAPABLE: u8 = 32,
    /// Hook.
    GB_HOOK_SB_MOUNT HOOK_SB_MOUNT: u8 = 33,
    /// Hook.
    GB_HOOK_MOVE_MOUNT HOOK_MOVE_MOUNT: u8 = 34,
    /// Hook.
    GB_HOOK_SB_UMOUNT HOOK_SB_UMOUNT: u8 = 35,
    /// Hook.
    GB_HOOK_SB_PIVOTROOT HOOK_SB_PIVOTROOT: u8 = 36,
    /// Hook.
    GB_HOOK_SB_REMOUNT HOOK_SB_REMOUNT: u8 = 37,
    /// Hook.
    GB_HOOK_BPRM_CREDS HOOK_BPRM_CREDS: u8 = 38,
    /// Cause: nothing speaks of the event.
    GB_CAUSE_NONE CAUSE_NONE: u8 = 0,
    /// Cause: a rule.
    GB_CAUSE_RULE CAUSE_RULE: u8 = 1,
    /// Cause: the class's default posture.
    GB_CAUSE_POSTURE CAUSE_POSTURE: u8 = 2,
    /// Cause: mounting isn't allowed.
    GB_CAUSE_MOUNT CAUSE_MOUNT: u8 = 3,
    /// Cause: the engine could not decide, and denied.
    GB_CAUSE_ENGINE CAUSE_ENGINE: u8 = 4,
    /// Event: the object has no path.
    GB_EV_UNRESOLVED EV_UNRESOLVED: u32 = 1 << 0,
    /// Event: the source has no path.
    GB_EV_UNRESOLVED_SOURCE EV_UNRESOLVED_SOURCE: u32 = 1 << 1,
    /// Event: the subject owns the object.
    GB_EV_OWNER EV_OWNER: u32 = 1 << 2,
    /// Event: the subject has a controlling terminal.
    GB_EV_TTY EV_TTY: u32 = 1 << 3,
    /// Event: decided by a rule about a path below the renamed directory.
    GB_EV_BELOW EV_BELOW: u32 = 1 << 4,
    /// Event: the text was cut.
    GB_EV_CUT EV_CUT: u32 = 1 << 5,
    /// Event: the program was killed before its first instruction.
    GB_EV_KILLED EV_KILLED: u32 = 1 << 6,
    /// Event: a Block that was only observed.
    GB_EV_PASSED EV_PASSED: u32 = 1 << 7,
}

record! {
    /// Where a trie's tables lie.
    gb_trie Trie {
        /// The node that walks begin at.
        start_node: u32,
        /// That node's base.
        start_base: u32,
        /// How many bytes of a path that node stands for.
        start_consumed: u32,
        /// How many nodes there are; never 0.
        node_count: u32,
        /// [`Node`]s.
        nodes: u32,
        /// [`Place`]s, one for each node.
        places: u32,
        /// [`Region`]s.
        regions: u32,
        /// Tails of long labels.
        labels: u32,
    }
}

record! {
    /// A node: see the matcher's `tables::trie::Node`.
    gb_node Node {
        /// The parent.
        owner: u32,
        /// Added to the next byte to find the child.
        base: u32,
        /// The label's first seven bytes and its length.
        head: [u32; 2],
    }
}

record! {
    /// What holds at a node and behind it.
    gb_place Place {
        /// The row of the node's own byte string.
        exact: u32,
        /// The row of the patterns that match it.
        exact_globs: u32,
        /// The region of longer paths.
        region: u32,
        /// The tuple of states.
        globs: u32,
        /// Where the label goes on, from `labels`.
        tail_start: u32,
        /// How many bytes that are.
        tail_len: u32,
        /// The list of what lies below; 0 for none.
        below: u32,
        /// Nothing.
        pad: u32,
    }
}

record! {
    /// What holds for paths that leave the trie behind a node.
    gb_region Region {
        /// The length of the deepest directory, with its slash.
        directory_len: u32,
        /// What holds for its direct children.
        child: u32,
        /// What holds below them.
        deep: u32,
        /// Nothing.
        pad: u32,
    }
}

record! {
    /// Where an automaton's tables lie.
    gb_automaton Automaton {
        /// The class of each byte: 256 bytes.
        classes: u32,
        /// The state that backward walks start in.
        start: u32,
        /// States of four words: base, default successor, accepted row, nothing.
        states: u32,
        /// Slots of two words: owner, successor.
        slots: u32,
        /// How many states there are.
        state_count: u32,
        /// How many slots there are.
        slot_count: u32,
        /// Nothing.
        pad: [u32; 2],
    }
}

record! {
    /// Where the tables of patterns and execnames lie.
    gb_globs Globs {
        /// Last components.
        names: Trie,
        /// A bit for what the last bytes of each name hash to.
        filter: u32,
        /// How many words the filter has: a power of two, or 0.
        filter_words: u32,
        /// How many last bytes are hashed.
        name_bytes: u32,
        /// How many automata walk from where the trie ends.
        forward_count: u32,
        /// How many automata walk from the path's end.
        backward_count: u32,
        /// [`Automaton`] records: forward ones, then backward ones.
        automata: u32,
        /// States, `forward_count` for each tuple.
        starts: u32,
        /// How many tuples there are.
        tuples: u32,
    }
}

record! {
    /// The head of a lowered table.
    gb_table Table {
        /// [`MAGIC`].
        magic: u32,
        /// [`ABI_VERSION`].
        abi: u32,
        /// Bytes of the whole table.
        size: u32,
        /// How many rules there are.
        rules: u32,
        /// Bit by class: in allow-list mode.
        allow_list: u32,
        /// Bit by class: some rule can deny.
        can_deny: u32,
        /// Bit by class: some rule watches.
        watches: u32,
        /// Two bits by class: the default posture.
        postures: u32,
        /// 1 where a Block becomes a report.
        audited: u32,
        /// Classes of programs that no rule names: right below the root, and deeper.
        unnamed: [u32; 2],
        /// 1 where there is one source class.
        sources_trivial: u32,
        /// Rows of four words.
        rows: u32,
        /// How many rows there are.
        row_count: u32,
        /// Blocks of eight entries.
        blocks: u32,
        /// How many blocks there are.
        block_count: u32,
        /// Tests of four words: list, fails, holds, nothing.
        tests: u32,
        /// How many tests there are.
        test_count: u32,
        /// Lists of arguments: first, count.
        lists: u32,
        /// How many lists there are.
        list_count: u32,
        /// [`Argument`]s.
        arguments: u32,
        /// How many arguments there are.
        argument_count: u32,
        /// Bytes of arguments.
        text: u32,
        /// How many bytes that are.
        text_len: u32,
        /// Lists of exceptions: first, count.
        exception_lists: u32,
        /// How many lists of exceptions there are.
        exception_list_count: u32,
        /// Exceptions: source class, entry.
        exceptions: u32,
        /// How many exceptions there are.
        exception_count: u32,
        /// Rows by socket profile.
        network: u32,
        /// Rows by capability number.
        capabilities: u32,
        /// How many capabilities have a row.
        capability_count: u32,
        /// Rows by place in `Preset::ALL`.
        presets: u32,
        /// Lists of what lies below: first pair, count.
        below_lists: u32,
        /// How many such lists there are; number 0 is empty.
        below_list_count: u32,
        /// Pairs: row, row of patterns.
        below_pairs: u32,
        /// How many pairs there are.
        below_pair_count: u32,
        /// Nothing.
        pad: [u32; 4],
        /// Source classes by executable.
        sources: Trie,
        /// Rows by executed path.
        process: Trie,
        /// Rows by mapped path, in allow-list mode.
        mapping: Trie,
        /// Rows by path that is read or written.
        file: Trie,
        /// Rows by domain.
        dns: Trie,
        /// Patterns and execnames of the process class.
        process_globs: Globs,
        /// Execnames that count for mappings, in allow-list mode.
        mapping_globs: Globs,
        /// Patterns of the file class.
        file_globs: Globs,
    }
}

record! {
    /// An allowed argument.
    gb_argument Argument {
        /// [`fnv1a`] of its bytes.
        hash: u32,
        /// Where its bytes begin, from `text`.
        start: u32,
        /// How many bytes it has.
        len: u32,
        /// Nothing.
        pad: u32,
    }
}

record! {
    /// A workload's policy and settings.
    gb_workload Workload {
        /// The generation, shifted by 32, and the table's slot.
        current: u64,
        /// Which binding of this number it is; never 0 for a bound one.
        incarnation: u32,
        /// `SET_*`.
        settings: u32,
        /// Events a second; 0 for no limit.
        rate: u32,
        /// Nothing.
        pad: u32,
    }
}

record! {
    /// How many events a workload had.
    gb_rate Rate {
        /// The second.
        second: u64,
        /// How many in it.
        count: u64,
        /// How many were left out since the last one.
        left_out: u64,
        /// Nothing.
        pad: u64,
    }
}

record! {
    /// What holds for all programs.
    gb_control Control {
        /// Raised whenever scopes change.
        epoch: u32,
        /// The host's workload; [`NONE`] for none.
        host_workload: u32,
        /// The device of the file system that holds the pins; 0 without pins.
        pin_device: u32,
        /// Nothing.
        pad: u32,
        /// The inode of the pins' directory.
        pin_inode: u64,
    }
}

record! {
    /// What is kept with each task.
    gb_subject Subject {
        /// The workload; [`NONE`] or [`EXEMPT`] instead of one.
        workload: u32,
        /// Which binding of it.
        incarnation: u32,
        /// When the task was last looked up by its cgroup.
        epoch: u32,
        /// Its source class.
        source: u32,
        /// The generation of the table that the source class is of; 0 where not computed.
        source_generation: u32,
        /// Nothing.
        pad: [u32; 3],
    }
}

record! {
    /// What the programs count.
    gb_counters Counters {
        /// Events for which the ring had no room.
        lost: u64,
        /// Events beyond a workload's rate.
        throttled: u64,
        /// Verdicts carried out as denials.
        denied: u64,
        /// Verdicts Audit.
        audited: u64,
        /// Objects without a path.
        unresolved: u64,
        /// Of these: beyond 4,095 bytes.
        too_long: u64,
        /// Of these: not below the workload's root.
        detached: u64,
        /// Denied because no scratch was free.
        no_scratch: u64,
        /// Denied because a table was missing.
        no_table: u64,
        /// Forks refused because the label could not be copied.
        no_storage: u64,
        /// Sources without a path.
        unresolved_source: u64,
        /// Attempts on our maps and programs.
        tampering: u64,
        /// Programs killed because of their arguments.
        doomed: u64,
        /// Nothing.
        pad: [u64; 3],
    }
}

record! {
    /// The head of an event; the object's path and then the source's follow behind it.
    gb_event Event {
        /// Nanoseconds, CLOCK_MONOTONIC.
        time: u64,
        /// The cgroup's id.
        cgroup: u64,
        /// The workload.
        workload: u32,
        /// Which binding of it.
        incarnation: u32,
        /// The generation of the policy that decided.
        generation: u32,
        /// The rule; [`NONE`] without one.
        rule: u32,
        /// The verdict: 0 Allow, 1 Audit, 2 Block.
        verdict: u8,
        /// `CAUSE_*`.
        cause: u8,
        /// `OP_*`.
        operation: u8,
        /// `HOOK_*`.
        hook: u8,
        /// The thread.
        pid: u32,
        /// The process.
        tgid: u32,
        /// Its parent.
        ppid: u32,
        /// The user.
        uid: u32,
        /// The source class.
        source: u32,
        /// `EV_*`.
        flags: u32,
        /// Of a socket family, type and protocol; of a capability its number; of a preset its place.
        detail: [u32; 4],
        /// The thread's name.
        comm: [u8; 16],
        /// Events of this workload left out since the last one.
        throttled: u32,
        /// Bytes of the object's path.
        object_len: u16,
        /// Bytes of the source's path.
        source_len: u16,
        /// Nothing.
        pad: u32,
    }
}

record! {
    /// What the program for trials is asked, and its answer.
    gb_question Question {
        /// The table's slot.
        table: u32,
        /// The class, as a number.
        class: u32,
        /// 1 where a file is mapped, not executed.
        mapping: u32,
        /// The conditions' state: bit 0 owner, 1 reading, 2 no terminal.
        holding: u32,
        /// Of anything but a path: its place among the table's rows of the class.
        row: u32,
        /// Bytes of the source's path; [`NONE`] where it is unresolvable.
        source_len: u32,
        /// Bytes of the object's path; [`NONE`] where it is unresolvable, or [`NAMELESS`].
        object_len: u32,
        /// 1 where a directory is renamed.
        below: u32,
        /// The answer's verdict: 0 Allow, 1 Audit, 2 Block.
        verdict: u32,
        /// Its cause: `CAUSE_*`.
        cause: u32,
        /// The rule; [`NONE`] without one.
        rule: u32,
        /// The source class.
        source: u32,
    }
}

/// Every record, for comparing with the header: its C name, its size and its fields' names, offsets
/// and sizes.
pub const RECORDS: &[(&str, usize, &[FieldLayout])] = &[
    (Trie::C_NAME, Trie::SIZE, Trie::FIELDS),
    (Node::C_NAME, Node::SIZE, Node::FIELDS),
    (Place::C_NAME, Place::SIZE, Place::FIELDS),
    (Region::C_NAME, Region::SIZE, Region::FIELDS),
    (Automaton::C_NAME, Automaton::SIZE, Automaton::FIELDS),
    (Globs::C_NAME, Globs::SIZE, Globs::FIELDS),
    (Table::C_NAME, Table::SIZE, Table::FIELDS),
    (Argument::C_NAME, Argument::SIZE, Argument::FIELDS),
    (Workload::C_NAME, Workload::SIZE, Workload::FIELDS),
    (Rate::C_NAME, Rate::SIZE, Rate::FIELDS),
    (Control::C_NAME, Control::SIZE, Control::FIELDS),
    (Subject::C_NAME, Subject::SIZE, Subject::FIELDS),
    (Counters::C_NAME, Counters::SIZE, Counters::FIELDS),
    (Event::C_NAME, Event::SIZE, Event::FIELDS),
    (Question::C_NAME, Question::SIZE, Question::FIELDS),
];

/// The hash of an argument: FNV-1a, 32 bits.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests;
