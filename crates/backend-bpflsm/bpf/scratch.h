/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Working memory of one decision.
 *
 * LSM programs can be preempted by one another, so per-CPU memory would be shared by two decisions.
 * Slots are claimed and given back instead. When none is free, the caller denies and counts.
 */
#ifndef GAMBESON_SCRATCH_H
#define GAMBESON_SCRATCH_H

#include "maps.h"

#define MAX_PATH 4095
#define MAX_COMPONENTS 2048
#define AT_ONCE 16 /* components in one turn of a climb: a turn costs more than a component */
#define MAX_ROWS 128
#define CLAIM_TRIES 16
#define NAME_AT 4608 /* where in `text` a lone name is put; behind any path being copied */
#define TEXT_SIZE 8704

enum path_status { RESOLVED, NAMELESS, UNRESOLVED, TOO_LONG };

/*
 * The state of each loop lies in the scratch too, not on the stack: what the verifier reads from a
 * map it knows nothing of, so that all turns of a loop look alike to it.
 */
struct gb_walk { /* of a trie */
	u32 nodes, node_count, places, regions, labels;
	/* the bytes: `length` of them from `origin` in `text` */
	u32 origin, length;
	/* where the walk is */
	u32 node, base, consumed;
	/* a long label whose tail is being compared: where it is, how much is left, and whose it is */
	u32 tail, tail_left, tail_node, tail_length;
	u32 partial; /* the bytes end within that tail */
	/* the node in whose label the bytes ended; GB_NONE where they didn't */
	u32 ended_in;
};

struct gb_run { /* of an automaton */
	u32 classes, states, slots, slot_count;
	u32 state;
	u32 from;      /* the next byte's place in `text` */
	u32 left;      /* how many bytes are left */
	u32 direction; /* added to `from` */
};

struct gb_automata { /* those of one class */
	u32 first, starts, forward_count, count;
	u32 consumed;
};

struct gb_search { /* for an exception */
	u32 first, count, wanted, entry;
};

struct gb_outcome { /* of the rows */
	u32 source;
	u32 grant;    /* of paths and directories; 0 where none */
	u32 patterns; /* of patterns */
	u32 watch;
	u32 entry;    /* being followed to its leaf */
};

struct decision {
	u32 verdict, cause, rule;
};

struct gb_sources { /* asked for, one by one */
	u32 row;      /* which of the rows */
	u32 watching; /* which of its two lists */
	u32 next;     /* which exception of the list */
};

struct gb_below {
	u32 first, count;
	u32 better; /* a pair decided more strictly than the name itself */
};

struct gb_mounts { /* of one file system */
	u64 dentry;
	u64 next;  /* the mount to look at; 0 at the end */
	u64 end;   /* what the list ends with */
	u64 shown; /* a mount that gave the worst decision */
	u64 own;   /* mount namespace */
	u32 owner;
	u32 pad;
};

struct gb_argument_state {
	u32 first, count;   /* the list's arguments */
	u32 hash, length;   /* of the argument looked at */
	u32 place;          /* which of the program's arguments it is */
	u32 at;             /* byte that is looked at next */
	u64 address;        /* where the next argument lies */
	u32 text;           /* offset of the list's argument compared with */
	u32 found;
	u32 skip;           /* arguments to be passed over */
};

struct gb_scratch {
	u32 owner;        /* who claimed it; 0 while it is free */
	u32 slot;

	/* the policy */
	u32 table;        /* slot of `tables` */
	u32 generation;
	u32 workload;
	u32 incarnation;
	u32 settings;
	u32 audited;      /* a Block becomes a report */
	u32 rate;
	u32 source;       /* class of the subject's program, or GB_NONE */

	/* the object's path: components, leaf first, and as much of its text as was needed */
	u32 status;       /* enum path_status */
	u32 count;        /* components */
	u32 left;         /* components not yet in `text` */
	u32 length;       /* bytes of the whole path */
	u32 have;         /* bytes in `text` */
	u32 leaf_length;  /* bytes of the last component */
	u32 told_source;  /* the subject's program lies behind the path in `text` already: so many bytes */
	u64 climb_dentry;
	u64 climb_mount;

	/* the question */
	u32 class;        /* enum class */
	u32 mapping;      /* process rules asked about a mapping */
	u32 holding;      /* bit 0 owner, 1 read, 2 no terminal */
	u32 args;         /* enum args */
	u32 tested;       /* whether a test of arguments was met */
	u32 argc;         /* arguments to be tested, without argv[0] */
	u64 argv;         /* user address of the first of them */
	u32 lists[GB_MAX_LISTS]; /* lists of arguments looked into */
	u32 known;        /* how many */
	u32 holds;        /* bit by place in `lists` */
	u32 wants;        /* a list is wanted that is not among them: */
	u32 wanted;

	/* what the tables have on the object */
	u32 rows[MAX_ROWS];
	u32 row_count;

	/* the answer */
	u32 verdict;
	u32 cause;
	u32 rule;
	struct decision worst; /* so far, where several are asked for */
	struct decision worst_below;
	struct decision worst_mount;

	/* loops */
	struct gb_walk walk;
	struct gb_run run;
	struct gb_automata automata;
	struct gb_search search;
	struct gb_outcome outcome;
	struct gb_sources sources;
	struct gb_below below;
	struct gb_mounts mounts;
	struct gb_argument_state arg;

	struct gb_event event;
	u8 text[TEXT_SIZE]; /* behind the event: they are sent together */
	u8 argument[GB_MAX_ARGUMENT + 9];
	/* A turn of a climb may end behind what a path can hold. */
	u16 lengths[MAX_COMPONENTS + AT_ONCE];
	u64 names[MAX_COMPONENTS + AT_ONCE];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct gb_scratch);
} scratch SEC(".maps");

static __always_inline struct gb_scratch *scratch_at(u32 slot)
{
	return bpf_map_lookup_elem(&scratch, &slot);
}

static __always_inline struct gb_scratch *claim(void)
{
	u32 pid = (u32)bpf_get_current_pid_tgid();
	u32 first = pid * 0x9e3779b1u >> 16;

	for (u32 k = 0; k < CLAIM_TRIES; k++) {
		u32 slot = (first + k) & gb_scratch_mask;
		struct gb_scratch *s = scratch_at(slot);

		if (s && __sync_val_compare_and_swap(&s->owner, 0, pid | 1u << 31) == 0) {
			s->slot = slot;
			return s;
		}
	}
	COUNT(no_scratch);
	return NULL;
}

static __always_inline void release(struct gb_scratch *s)
{
	__sync_lock_test_and_set(&s->owner, 0);
}

#endif
