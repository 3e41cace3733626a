/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program that decides an event that user space describes: for tests of the walk in a kernel that
 * loads no LSM programs, and in every other. It is never attached.
 */
#ifndef GAMBESON_TEST_H
#define GAMBESON_TEST_H

#include "judge.h"

/* The two paths; `question` says how long they are. Behind them, as behind a name in its dentry, more bytes can
 * be read.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__uint(value_size, 4096 + INLINE_NAME);
} test_paths SEC(".maps");

struct split {
	struct gb_scratch *s;
	u8 *path;
	u32 length, at, end;
};

/* Notes one more component. Returns whether there was room. */
static __always_inline bool add_component(struct gb_scratch *s, u64 name, u32 length)
{
	u32 count = s->count;
	u32 total = s->length + length + 1;

	if (count >= MAX_COMPONENTS || total > MAX_PATH) {
		s->status = TOO_LONG;
		return false;
	}
	s->names[count & (MAX_COMPONENTS - 1)] = name;
	s->lengths[count & (MAX_COMPONENTS - 1)] = length;
	s->count = count + 1;
	s->length = total;
	return true;
}

/* Goes through the path from its end, noting a component at each slash. */
static long split_step(u32 i, struct split *p)
{
	u32 at = p->at - 1;

	if (!p->at)
		return 1;
	p->at = at;
	if (p->path[at & 4095] != '/')
		return 0;
	if (p->end > at + 1 && !add_component(p->s, (u64)&p->path[(at + 1) & 4095], p->end - at - 1))
		return 1;
	p->end = at;
	return 0;
}

static __noinline int take_path(struct gb_scratch *s, u32 which, u32 length)
{
	struct split p;

	reset_path(s);
	if (length == GB_NAMELESS)
		s->status = NAMELESS;
	if (length > MAX_PATH)
		return 0;
	p.s = s;
	p.path = bpf_map_lookup_elem(&test_paths, &which);
	if (!p.path)
		return 0;
	p.length = length;
	p.at = length;
	p.end = length;
	s->status = RESOLVED;
	bpf_loop(4096, split_step, &p, 0);
	finish_path(s);
	return 1;
}

SEC("syscall")
int gb_test(struct gb_question *q)
{
	struct view v;
	struct gb_scratch *s;

	if (!view_table(&v, q->table))
		return 1;
	s = v.s = claim();
	if (!s)
		return 2;
	s->table = q->table;
	s->mapping = q->mapping;
	s->args = ARGS_HOLD;
	s->class = q->class;
	s->holding = q->holding;
	s->event.flags = 0;
	s->row_count = 0;
	s->audited = v.head->audited;
	s->source = 0;
	if (!v.head->sources_trivial) {
		take_path(s, 1, q->source_len);
		s->source = gb_source_of_path(s->slot);
	}
	if (q->class == PROCESS || q->class == FILES) {
		take_path(s, 0, q->object_len);
		gb_decide_path(s->slot);
		if (q->below)
			gb_judge_below(s->slot);
	} else {
		gb_decide_row(s->slot, q->class, q->row);
	}
	put_in_force(s);
	q->verdict = s->verdict;
	q->cause = s->cause;
	q->rule = s->rule;
	q->source = s->source;
	release(s);
	return 0;
}

#endif
