/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tests of an exec's arguments against a rule's list.
 *
 * They are read from the new program's own memory once it is set up: what the caller passed lies in
 * the caller's memory, where another thread could change it after it was looked at.
 */
#ifndef GAMBESON_ARGUMENTS_H
#define GAMBESON_ARGUMENTS_H

#include "walk.h"

/* How tests of arguments are answered: one way, the other, or from what is known of lists. */
enum args { ARGS_HOLD, ARGS_FAIL, ARGS_KNOWN };

#define FNV_OFFSET 0x811c9dc5u
#define FNV_PRIME 0x01000193u

/* Reads the argument at `address`: its length with the NUL, or less than 0. */
static __always_inline long read_argument(struct gb_scratch *s)
{
	long length = bpf_probe_read_user_str(s->argument, GB_MAX_ARGUMENT + 2, (void *)s->arg.address);

	/* Of an empty one the kernel says 0. */
	return length ? length : 1;
}

static long hash_step(u32 i, struct view *v)
{
	struct gb_argument_state *a = &v->s->arg;

	if (a->at >= a->length)
		return 1;
	a->hash = (a->hash ^ v->s->argument[a->at & GB_MAX_ARGUMENT]) * FNV_PRIME;
	a->at++;
	return 0;
}

static long same_step(u32 i, struct view *v)
{
	struct gb_argument_state *a = &v->s->arg;
	u32 left = a->length - a->at;
	u64 *expected, differing;

	if (a->at >= a->length)
		return 1;
	a->found = 0;
	expected = at(v->table, a->text + a->at, 8);
	if (!expected)
		return 1;
	differing = *expected ^ *(u64 *)&v->s->argument[a->at & GB_MAX_ARGUMENT];
	if (left < 8)
		differing <<= 8 * (8 - left);
	if (differing)
		return 1;
	a->found = 1;
	a->at += 8;
	return 0;
}

static long allowed_step(u32 i, struct view *v)
{
	struct gb_argument_state *a = &v->s->arg;
	struct gb_argument *allowed;

	if (i >= a->count || a->found)
		return 1;
	allowed = at(v->table, v->head->arguments + (a->first + i) * 16, 16);
	if (!allowed)
		return 1;
	if (allowed->hash != a->hash || allowed->len != a->length)
		return 0;
	a->text = v->head->text + allowed->start;
	a->at = 0;
	a->found = 1;
	bpf_loop((GB_MAX_ARGUMENT + 8) / 8, same_step, v, 0);
	return 0;
}

/* Reads one argument and looks it up in the list; stops at the first that is not there. */
static long argument_step(u32 i, struct view *v)
{
	struct gb_argument_state *a = &v->s->arg;
	long length;

	if (i >= v->s->argc)
		return 1;
	a->found = 0;
	length = read_argument(v->s);
	/* Longer ones than can be read are in no list. */
	if (length <= 0 || length > GB_MAX_ARGUMENT + 1)
		return 1;
	a->address += length;
	a->length = length - 1;
	a->hash = FNV_OFFSET;
	a->at = 0;
	bpf_loop(GB_MAX_ARGUMENT, hash_step, v, 0);
	bpf_loop(1 << 16, allowed_step, v, 0);
	if (!a->found)
		return 1;
	a->place++;
	return 0;
}

/* Whether every argument is in a list. */
__noinline int gb_all_allowed(u32 slot, u32 list)
{
	struct gb_argument_state *a;
	struct view v;
	u32 *run;

	if (!view_of(&v, slot))
		return 0;
	run = at(v.table, v.head->lists + list * 8, 8);
	if (!run)
		return 0;
	a = &v.s->arg;
	a->first = run[0];
	a->count = run[1];
	a->place = 0;
	a->address = v.s->argv;
	bpf_loop(1 << 16, argument_step, &v, 0);
	return a->place >= v.s->argc;
}

/*
 * Answers a test of arguments. A list that was not looked into yet counts as failed and is noted:
 * `answer_with_arguments` looks into it and asks again.
 */
static __always_inline bool args_hold(struct gb_scratch *s, u32 list)
{
	if (s->args != ARGS_KNOWN)
		return s->args == ARGS_HOLD;
	for (u32 i = 0; i < GB_MAX_LISTS; i++) {
		if (i >= s->known)
			break;
		if (s->lists[i] == list)
			return s->holds >> i & 1;
	}
	s->wanted = list;
	s->wants = 1;
	return false;
}

static long skip_step(u32 i, struct view *v)
{
	struct gb_argument_state *a = &v->s->arg;
	long length;

	if (!a->skip)
		return 1;
	length = read_argument(v->s);
	if (length <= 0)
		return 1;
	/* A long argument is passed over in pieces. */
	if (length == GB_MAX_ARGUMENT + 2) {
		a->address += length - 1;
		return 0;
	}
	a->address += length;
	a->skip--;
	return 0;
}

/* Finds the last `argc` of `all` arguments, which lie from `stack` on. Returns whether it did. */
__noinline int gb_find_arguments(u32 slot, u64 stack, u32 all)
{
	struct gb_argument_state *a;
	struct view v;

	if (!view_of(&v, slot))
		return 0;
	a = &v.s->arg;
	a->address = stack;
	a->skip = all > v.s->argc ? all - v.s->argc : 0;
	bpf_loop(1 << 16, skip_step, &v, 0);
	v.s->argv = a->address;
	return !a->skip;
}

#endif
