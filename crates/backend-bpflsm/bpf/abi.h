/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs and the loader agree on: the layout of lowered tables, of maps, and of events.
 * `src/abi.rs` says the same in Rust; a test compares both.
 */
#ifndef GAMBESON_ABI_H
#define GAMBESON_ABI_H

#define GB_ABI_VERSION 1

/* ---- lowered tables -------------------------------------------------------------------------
 * One policy is one BPF array of pages. Everything in it is little-endian 32-bit words; offsets are
 * in bytes from the table's start. A section starts at a multiple of 32, and records are padded to
 * a power of two, so that no record lies in two pages.
 */
#define GB_PAGE 4096
#define GB_MAGIC 0x47414d42 /* `GAMB` */

/* A trie: matcher's `Trie`. */
struct gb_trie {
	u32 start_node;
	u32 start_base; /* that node's */
	u32 start_consumed;
	u32 node_count;
	u32 nodes;   /* 16 bytes each: owner, base, head[2] */
	u32 places;  /* struct gb_place, 32 bytes each */
	u32 regions; /* struct gb_region, 16 bytes each */
	u32 labels;  /* bytes; each tail starts at a multiple of 8 and is filled up with zeros */
};

struct gb_node { u32 owner, base, head[2]; };

struct gb_place {
	u32 exact;       /* row */
	u32 exact_globs; /* row */
	u32 region;      /* number */
	u32 globs;       /* tuple number */
	u32 tail_start;  /* byte offset from `labels`, multiple of 8 */
	u32 tail_len;
	u32 below;       /* file trie only: number of the list of rows that a directory renamed with this
	                    path carries along: `below` lists; 0 for none */
	u32 pad;
};

struct gb_region { u32 directory_len, child, deep, pad; };

/* An automaton: matcher's `Automaton`. */
struct gb_automaton {
	u32 classes; /* 256 bytes */
	u32 start;
	u32 states;  /* 16 bytes each: base, default, accept, pad */
	u32 slots;   /* 8 bytes each: owner, next */
	u32 state_count;
	u32 slot_count;
	u32 pad[2];
};

/* Patterns and execnames: matcher's `Globs`. */
struct gb_globs {
	struct gb_trie names;
	u32 filter;       /* words */
	u32 filter_words; /* a power of two, or 0 */
	u32 name_bytes;
	u32 forward_count;
	u32 backward_count;
	u32 automata;     /* struct gb_automaton: forward ones, then backward ones */
	u32 starts;       /* words: forward_count for each tuple */
	u32 tuples;
};

/* The head of a table: its first page begins with it. */
struct gb_table {
	u32 magic;
	u32 abi;
	u32 size;           /* bytes, a multiple of GB_PAGE */
	u32 rules;
	u32 allow_list;     /* matcher's `Head`, bit by Class as u32 */
	u32 can_deny;
	u32 watches;
	u32 postures;       /* two bits by class: 0 Allow, 1 Audit, 2 Block */
	u32 audited;
	u32 unnamed[2];     /* classes of programs that no rule names: below the root, and deeper */
	u32 sources_trivial;/* 1: there is one source class, 0 */
	u32 rows;           /* 16 bytes each: grant, grant_exceptions, watch, watch_exceptions */
	u32 row_count;
	u32 blocks;         /* 32 bytes each: eight entries */
	u32 block_count;
	u32 tests;          /* 16 bytes each: list, fails, holds, pad */
	u32 test_count;
	u32 lists;          /* 8 bytes each: first argument's number, how many */
	u32 list_count;
	u32 arguments;      /* struct gb_argument, 16 bytes each, in a list sorted by hash */
	u32 argument_count;
	u32 text;           /* bytes of the arguments, each at a multiple of 8, filled up with zeros */
	u32 text_len;
	u32 exception_lists;/* 8 bytes each: first exception's number, how many */
	u32 exception_list_count;
	u32 exceptions;     /* 8 bytes each: class, entry; in a list sorted by class */
	u32 exception_count;
	u32 network;        /* words: rows by profile, 58 of them */
	u32 capabilities;   /* words: rows by capability number */
	u32 capability_count;
	u32 presets;        /* words: rows by place in Preset::ALL */
	u32 below_lists;    /* 8 bytes each: first pair's number, how many; number 0 is empty */
	u32 below_list_count;
	u32 below_pairs;    /* 8 bytes each: row, row of patterns */
	u32 below_pair_count;
	u32 pad[4];         /* 40 words up to here */
	struct gb_trie sources;
	struct gb_trie process;
	struct gb_trie mapping;
	struct gb_trie file;
	struct gb_trie dns;
	struct gb_globs process_globs; /* 16 words each */
	struct gb_globs mapping_globs;
	struct gb_globs file_globs;
};

/* An allowed argument. The hash is FNV-1a, 32 bits, over its bytes. */
struct gb_argument { u32 hash, start, len, pad; };

#define GB_MAX_ARGUMENT 4095   /* bytes; a longer one in a policy is a gap */
#define GB_MAX_LISTS 16        /* lists of arguments that one decision looks into; further ones count as failed */
#define GB_PENDING 2           /* execs of one task that can wait for their arguments: a script and its interpreter */
#define GB_PENDING_ROWS 4      /* rows that each of them can have; beyond, its lists count as failed */
#define GB_MAX_BELOW 64        /* pairs in a list; longer lists are cut to one pair that denies: stricter gap */

/* ---- maps -------------------------------------------------------------------------------------
 * tables    ARRAY_OF_MAPS[GB_MAX_TABLES], inner ARRAY of GB_PAGE values, BPF_F_INNER_MAP|BPF_F_RDONLY_PROG, frozen
 * workloads ARRAY[GB_MAX_WORKLOADS] of struct gb_workload
 * rates     ARRAY[GB_MAX_WORKLOADS] of struct gb_rate
 * scopes    HASH cgroup id (u64) -> u32 workload number, or GB_EXEMPT
 * subjects  TASK_STORAGE of struct gb_subject
 * control   ARRAY[1] of struct gb_control
 * counters  ARRAY[1] of struct gb_counters (updated with atomic additions)
 * events    RINGBUF of struct gb_event, each as long as its text
 * scratch   ARRAY[n], n a power of two from 64 to 1024
 * strays    HASH address of a task -> struct gb_subject: labels of tasks that left their cgroup
 * pending   HASH address of a task -> execs that wait for their arguments; the programs' own
 * protected HASH id of a map, or id of a program | 1 << 31, -> anything: not to be had by tasks under policy
 */
#define GB_MAX_TABLES 16384
#define GB_MAX_WORKLOADS 16384
#define GB_NONE 0xffffffffu
#define GB_EXEMPT 0xfffffffeu

struct gb_workload {
	u64 current;     /* generation << 32 | table slot; one word, so that it changes at once. The slot is
	                    GB_NONE where the workload is not bound. */
	u32 incarnation; /* which binding of this number it is; never 0 for a bound one */
	u32 settings;    /* GB_SET_* */
	u32 rate;        /* events a second; 0 for no limit */
	u32 pad;
};

enum {
	GB_SET_EACCES = 1 << 0,       /* deny with EACCES instead of EPERM */
	GB_SET_MOUNTS_ALLOWED = 1 << 1,
	GB_SET_OBSERVE = 1 << 2,      /* never deny: Block is reported as such and passes */
	GB_SET_VISIBLE_SHIFT = 8,     /* bits 8..: Allow is reported for this Class */
};

struct gb_rate { u64 second, count, left_out, pad; }; /* of events: in this second, and left out since the last one */

struct gb_control {
	u32 epoch;         /* raised whenever scopes change: tasks that belonged nowhere are looked up again */
	u32 host_workload; /* GB_NONE for none */
	u32 pin_device;    /* s_dev of the file system that holds the pins; 0 without pins */
	u32 pad;
	u64 pin_inode;     /* inode number of the pins' directory */
};

/* Cached with each task. */
struct gb_subject {
	u32 workload;      /* GB_NONE, GB_EXEMPT or a number */
	u32 incarnation;
	u32 epoch;         /* when it was last looked up by its cgroup */
	u32 source;        /* source class under `source_generation`; GB_NONE where unresolvable */
	u32 source_generation; /* of the workload's table; 0 where not computed */
	u32 pad[3];
};

struct gb_counters {
	u64 lost;          /* events for which the ring had no room */
	u64 throttled;     /* events beyond a workload's rate */
	u64 denied;        /* verdicts carried out as denials */
	u64 audited;       /* verdicts Audit */
	u64 unresolved;    /* objects without a path */
	u64 too_long;      /* of these: beyond 4095 bytes */
	u64 detached;      /* of these: not below the workload's root */
	u64 no_scratch;    /* denied because no scratch was free */
	u64 no_table;      /* denied because a table was missing */
	u64 no_storage;    /* forks refused because the label could not be copied */
	u64 unresolved_source;
	u64 tampering;     /* attempts on our maps and programs */
	u64 doomed;        /* programs killed because of their arguments */
	u64 pad[3];
};

/* ---- events ------------------------------------------------------------------------------- */
enum gb_operation {
	GB_OP_READ = 1, GB_OP_WRITE = 2, GB_OP_EXEC = 3, GB_OP_MAP_EXEC = 4, GB_OP_SOCKET = 5,
	GB_OP_CAPABILITY = 6, GB_OP_PRESET = 7, GB_OP_DNS = 8, GB_OP_MOUNT = 9,
};

enum gb_hook { /* which hook saw it: for the reader of an event */
	GB_HOOK_FILE_OPEN = 1, GB_HOOK_FILE_RECEIVE, GB_HOOK_FILE_TRUNCATE, GB_HOOK_PATH_TRUNCATE, GB_HOOK_MMAP_FILE,
	GB_HOOK_FILE_MPROTECT, GB_HOOK_PATH_UNLINK, GB_HOOK_PATH_RMDIR, GB_HOOK_PATH_MKDIR, GB_HOOK_PATH_MKNOD,
	GB_HOOK_PATH_SYMLINK, GB_HOOK_PATH_LINK, GB_HOOK_PATH_RENAME, GB_HOOK_PATH_CHMOD, GB_HOOK_PATH_CHOWN,
	GB_HOOK_INODE_SETATTR, GB_HOOK_INODE_SETXATTR, GB_HOOK_INODE_REMOVEXATTR, GB_HOOK_INODE_SET_ACL,
	GB_HOOK_INODE_REMOVE_ACL, GB_HOOK_FILE_IOCTL, GB_HOOK_UNIX_CONNECT, GB_HOOK_UNIX_SEND, GB_HOOK_BPRM_CHECK,
	GB_HOOK_BPRM_COMMITTED, GB_HOOK_SOCKET_CREATE, GB_HOOK_SOCKET_BIND, GB_HOOK_SOCKET_CONNECT,
	GB_HOOK_SOCKET_LISTEN, GB_HOOK_SOCKET_ACCEPT, GB_HOOK_SOCKET_SENDMSG, GB_HOOK_CAPABLE, GB_HOOK_SB_MOUNT,
	GB_HOOK_MOVE_MOUNT, GB_HOOK_SB_UMOUNT, GB_HOOK_SB_PIVOTROOT, GB_HOOK_SB_REMOUNT, GB_HOOK_BPRM_CREDS,
};

enum gb_cause { GB_CAUSE_NONE = 0, GB_CAUSE_RULE = 1, GB_CAUSE_POSTURE = 2, GB_CAUSE_MOUNT = 3, GB_CAUSE_ENGINE = 4 };
/* ENGINE: denied because the engine could not decide (no scratch, no table). */

enum {
	GB_EV_UNRESOLVED = 1 << 0,        /* the object has no path */
	GB_EV_UNRESOLVED_SOURCE = 1 << 1,
	GB_EV_OWNER = 1 << 2,             /* the subject's fsuid owns the object */
	GB_EV_TTY = 1 << 3,
	GB_EV_BELOW = 1 << 4,             /* decided by a rule about a path below the renamed directory */
	GB_EV_CUT = 1 << 5,               /* the text was cut */
	GB_EV_KILLED = 1 << 6,            /* the program was killed before its first instruction */
	GB_EV_PASSED = 1 << 7,            /* a Block that was only observed */
};

struct gb_event {
	u64 time;          /* ns, CLOCK_MONOTONIC */
	u64 cgroup;
	u32 workload;
	u32 incarnation;
	u32 generation;
	u32 rule;          /* GB_NONE without one */
	u8 verdict;        /* 0 Allow, 1 Audit, 2 Block: gambeson_policy_model::Verdict as u8 */
	u8 cause;
	u8 operation;
	u8 hook;
	u32 pid, tgid, ppid, uid;
	u32 source;        /* class */
	u32 flags;         /* GB_EV_* */
	u32 detail[4];     /* socket: family, type, protocol; capability: number; preset: place in Preset::ALL */
	char comm[16];
	u32 throttled;     /* events of this workload left out since the last one */
	u16 object_len;    /* bytes of `text` */
	u16 source_len;    /* bytes behind the object's */
	u32 pad;
	/* 104 bytes up to here; then the object's path, then the source's */
};

/* ---- trials -----------------------------------------------------------------------------------
 * What the program `gb_test` is asked: its context. The paths lie in the map `test_paths`.
 */
#define GB_NAMELESS 0xfffffffdu

struct gb_question {
	u32 table;      /* slot of `tables` */
	u32 class;      /* Class as u32 */
	u32 mapping;    /* 1: a file is mapped, not executed */
	u32 holding;    /* bit 0 owner, 1 read, 2 no terminal */
	u32 row;        /* of anything but a path: place in `network`, `capabilities` or `presets` */
	u32 source_len; /* bytes of the source's path; GB_NONE: unresolvable */
	u32 object_len; /* bytes of the object's path; GB_NONE: unresolvable, GB_NAMELESS: it has none */
	u32 below;      /* 1: a directory is renamed */
	/* the answer */
	u32 verdict, cause, rule, source;
};

#endif
