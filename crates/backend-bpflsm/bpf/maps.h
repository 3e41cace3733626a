/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps, and what the loader sets before it loads. */
#ifndef GAMBESON_MAPS_H
#define GAMBESON_MAPS_H

#include "kernel.h"
#include "abi.h"

/* Classes of the decision model: `Class as u32`. */
enum class { PROCESS, FILES, NETWORK, CAPABILITIES, DNS, SYSCALLS, DEVICES, PRESETS };

enum verdict { ALLOW, AUDIT, BLOCK };

/* Set before loading; the verifier takes it for a constant. */
const volatile u32 gb_scratch_mask = 63; /* slots less one */

struct page_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP | BPF_F_RDONLY_PROG);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, GB_PAGE);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, GB_MAX_TABLES);
	__type(key, u32);
	__array(values, struct page_map);
} tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GB_MAX_WORKLOADS);
	__type(key, u32);
	__type(value, struct gb_workload);
} workloads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GB_MAX_WORKLOADS);
	__type(key, u32);
	__type(value, struct gb_rate);
} rates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * GB_MAX_WORKLOADS);
	__type(key, u64);
	__type(value, u32);
} scopes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct gb_subject);
} subjects SEC(".maps");

/* Labels where storage can't be had (see `stray_label`), and of tasks that left their cgroup, which
 * wouldn't tell either.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct gb_subject);
} strays SEC(".maps");

/* Execs whose verdict waits until their arguments can be read from the new program's own memory: a
 * script's and its interpreter's.
 */
/* Bytes of a path that are kept for the event; elements of the map are limited to a page. */
#define PENDING_PATH 1280

struct gb_pending {
	u32 generation;    /* of the table that the rows are of */
	u32 count;
	u32 doomed;        /* denied: the new program is to be killed */
	u32 pad;
	struct {
		u32 rows[GB_PENDING_ROWS]; /* of the path, then of patterns */
		u32 row_count;
		u32 holding;
		u32 source;
		u32 argc;    /* how many arguments, with argv[0], the exec had */
		u32 flags;   /* of the event */
		u32 length;  /* of the path */
		u8 path[PENDING_PATH];
	} execs[GB_PENDING];
	u32 source_length;
	u8 source[PENDING_PATH]; /* path of the program that executes */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct gb_pending);
} pending SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct gb_control);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct gb_counters);
} counters SEC(".maps");

/* Ids of our maps, and of our programs with the highest bit set. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, u32);
} protected SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

#define COUNT(field)                                                           \
	({                                                                     \
		u32 zero_ = 0;                                                 \
		struct gb_counters *counters_ =                                \
			bpf_map_lookup_elem(&counters, &zero_);                \
		if (counters_)                                                 \
			__sync_fetch_and_add(&counters_->field, 1);            \
	})

#endif
