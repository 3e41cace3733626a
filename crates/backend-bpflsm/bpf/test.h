/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program that decides an event that user space describes: for tests of the walk in a kernel that
 * loads no LSM programs, and in every other. It is never attached.
 */
#ifndef GAMBESON_TEST_H
#define GAMBESON_TEST_H

#include "judge.h"

/* The two paths; `question` says how long they are. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__uint(value_size, 4096);
} test_paths SEC(".maps");

struct split {
	struct gb_scratch *s;
	u8 *path;
	u32 length, at, end;
};

/* Goes through the path from its end, noting a component at each slash. */
static long split_step(u32 i, struct split *p)
{
	u32 at = p->at - 1;

	if (!p->at)
		return 1;
	p->at = at;
	if (p->path[at & 4095] != '/')
		return 0;
	if (p->end > at + 1 && add_component(p->s, (u64)&p->path[(at + 1) & 4095], p->end - at - 1))
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
	u32 row = 0;

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
	s->source = 0;
	if (!v.head->sources_trivial) {
		take_path(s, 1, q->source_len);
		s->source = source_of_path(&v);
	}
	if (q->class == PROCESS || q->class == FILES) {
		take_path(s, 0, q->object_len);
		decide_path(&v);
		if (q->below)
			gb_judge_below(s->slot);
	} else {
		if (q->class == NETWORK)
			row = v.head->network;
		else if (q->class == CAPABILITIES)
			row = v.head->capabilities;
		else
			row = v.head->presets;
		s->rows[0] = word_at(v.table, row + q->row * 4);
		s->row_count = 1;
		gb_answer_for_subject(s->slot);
	}
	put_in_force(&v);
	q->verdict = s->verdict;
	q->cause = s->cause;
	q->rule = s->rule;
	q->source = s->source;
	release(s);
	return 0;
}

#endif
