/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Walking the compiled tables: the trie of paths and directories, the names, and the automata of
 * patterns. `tables/trie.rs` and `tables/automaton.rs` of the matcher are the same in Rust.
 */
#ifndef GAMBESON_WALK_H
#define GAMBESON_WALK_H

#include "path.h"
#include "table.h"

#define STOP (1u << 31)
#define LONG_LABEL 8
#define IN_HEAD 7

static __always_inline u32 byte_at(struct gb_scratch *s, u32 index)
{
	return s->text[(s->walk.origin + index) & 8191];
}

static __always_inline u64 eight_at(struct gb_scratch *s, u32 index)
{
	return *(u64 *)&s->text[(s->walk.origin + index) & 8191];
}

/* Copies more of the path, if the byte at `index` is needed and not there. */
static __always_inline bool fetch(struct gb_scratch *s, u32 index)
{
	if (s->walk.origin || s->have > index || s->have >= s->length)
		return false;
	copy_component(s);
	return true;
}

static __always_inline void enter(struct gb_walk *w, u32 node, u32 base, u32 consumed)
{
	w->node = node;
	w->base = base;
	w->consumed = consumed;
}

static __always_inline struct gb_node *node_at(struct view *v, u32 number)
{
	return at(v->table, v->s->walk.nodes + number * sizeof(struct gb_node), sizeof(struct gb_node));
}

static __always_inline struct gb_place *place_at(struct view *v, u32 number)
{
	return at(v->table, v->s->walk.places + number * sizeof(struct gb_place), sizeof(struct gb_place));
}

/* Compares eight bytes of a long label's tail. */
static __always_inline long tail_step(struct view *v)
{
	struct gb_walk *w = &v->s->walk;
	u32 compared = w->tail_length - w->tail_left;
	u32 index = w->consumed + 1 + IN_HEAD + compared;
	u64 *expected, differing;
	struct gb_node *child;

	if (fetch(v->s, index + 7))
		return 0;
	expected = at(v->table, w->labels + w->tail + compared, 8);
	if (!expected)
		return 1;
	differing = *expected ^ eight_at(v->s, index);
	if (w->tail_left < 8)
		differing <<= 8 * (8 - w->tail_left);
	if (differing)
		return 1;
	if (w->tail_left > 8) {
		w->tail_left -= 8;
		return 0;
	}
	if (w->partial) {
		w->ended_in = w->tail_node;
		return 1;
	}
	child = node_at(v, w->tail_node);
	if (!child)
		return 1;
	enter(w, w->tail_node, child->base, w->consumed + 1 + IN_HEAD + w->tail_length);
	w->tail_left = 0;
	return 0;
}

/* Whether the first bytes of two words differ. */
static __always_inline bool differ(u64 differing, u32 bytes)
{
	return bytes && differing << (8 * (8 - bytes));
}

/* Goes to the child for the next byte, if its label is there too. */
static long trie_step(u32 i, struct view *v)
{
	struct gb_walk *w = &v->s->walk;
	struct gb_node *child;
	struct gb_place *place;
	u32 slot, label, rest, consumed;
	u64 differing;

	if (w->tail_left)
		return tail_step(v);
	consumed = w->consumed;
	if (consumed >= w->length)
		return 1;
	if (fetch(v->s, consumed + 1 + IN_HEAD))
		return 0;
	slot = w->base + byte_at(v->s, consumed);
	if (slot >= w->node_count)
		return 1;
	child = node_at(v, slot);
	if (!child || child->owner != w->node)
		return 1;
	label = child->head[1] >> 24;
	rest = w->length - consumed - 1;
	differing = eight_at(v->s, consumed + 1) ^ *(u64 *)child->head;
	if (label < LONG_LABEL) {
		if (rest < label) {
			/* The bytes end in the label, if they go with it so far. */
			if (!differ(differing, rest & 7))
				w->ended_in = slot;
			return 1;
		}
		if (!differ(differing, label & 7)) {
			enter(w, slot, child->base, consumed + 1 + label);
			return 0;
		}
		return 1;
	}
	if (rest < IN_HEAD) {
		if (!differ(differing, rest & 7))
			w->ended_in = slot;
		return 1;
	}
	if (differ(differing, IN_HEAD))
		return 1;
	place = place_at(v, slot);
	if (!place)
		return 1;
	w->tail = place->tail_start;
	w->tail_length = place->tail_len;
	w->partial = rest - IN_HEAD < place->tail_len;
	if (w->partial)
		w->tail_length = rest - IN_HEAD;
	w->tail_left = w->tail_length;
	w->tail_node = slot;
	if (w->tail_left)
		return 0;
	/* Where a label goes on, it does so by a byte at least, so the bytes end here. */
	w->ended_in = slot;
	return 1;
}

/* Walks `length` bytes of `text` from `origin` on. */
static __always_inline void walk_trie(struct view *v, const struct gb_trie *trie, u32 origin, u32 length)
{
	struct gb_walk *w = &v->s->walk;

	w->nodes = trie->nodes;
	w->node_count = trie->node_count;
	w->places = trie->places;
	w->regions = trie->regions;
	w->labels = trie->labels;
	w->origin = origin;
	w->length = length;
	w->tail_left = 0;
	w->ended_in = GB_NONE;
	enter(w, trie->start_node, trie->start_base, trie->start_consumed);
	bpf_loop(8192, trie_step, v, 0);
}

/* What the trie holds for the path, once it was walked. */
static __always_inline u32 value_of(struct view *v, struct gb_place *place)
{
	struct gb_scratch *s = v->s;
	struct gb_region *region;
	u32 last_slash;

	if (s->walk.consumed >= s->walk.length)
		return place->exact;
	region = at(v->table, s->walk.regions + place->region * sizeof(struct gb_region), sizeof(struct gb_region));
	if (!region)
		return 0;
	last_slash = s->length - s->leaf_length - 1;
	return last_slash >= region->directory_len ? region->deep : region->child;
}

static __always_inline void add_row(struct gb_scratch *s, u32 row)
{
	u32 count = s->row_count;

	if (!row)
		return;
	s->rows[count & (MAX_ROWS - 1)] = row;
	s->row_count = count + 1;
}

/* ---- names ---- */

/* Looks the last component up among the names of patterns and execnames. */
static __always_inline void add_name_row(struct view *v, const struct gb_globs *globs)
{
	struct gb_scratch *s = v->s;
	u32 length = s->leaf_length & 0xff;
	u32 words = globs->filter_words, count = globs->name_bytes, last, bit;
	struct gb_place *place;
	u64 kept;

	if (!words || !s->count || length + 1 < count)
		return;
	s->text[NAME_AT - 1] = '/';
	bpf_probe_read_kernel(&s->text[NAME_AT], length, (void *)s->names[0]);
	/* The name's last bytes, the last one lowest. */
	last = *(u32 *)&s->text[NAME_AT + length - 4];
	kept = __builtin_bswap32(last) & ((1ull << (8 * (count & 7))) - 1);
	bit = (u32)(kept * 0x9e3779b97f4a7c15ull >> 32) & (32 * words - 1);
	if (!(word_at(v->table, globs->filter + bit / 32 * 4) >> (bit % 32) & 1))
		return;
	walk_trie(v, &globs->names, NAME_AT, length);
	if (s->walk.consumed < s->walk.length)
		return;
	place = place_at(v, s->walk.node);
	/* A name behind `**` wants a byte between its slashes. */
	if (place)
		add_row(s, s->length - length - 1 >= 2 ? place->exact : place->exact_globs);
}

/* ---- automata ---- */

static long run_step(u32 i, struct view *v)
{
	struct gb_run *r = &v->s->run;
	u32 *state, *slot, place, current = r->state;
	u8 *class;

	if (current & STOP || !r->left)
		return 1;
	state = at(v->table, r->states + current * 16, 16);
	class = at(v->table, r->classes + v->s->text[r->from & 8191], 1);
	if (!state || !class) {
		r->state = STOP;
		return 1;
	}
	place = state[0] + *class;
	r->state = state[1];
	if (place < r->slot_count) {
		slot = at(v->table, r->slots + place * 8, 8);
		if (slot && slot[0] == current)
			r->state = slot[1];
	}
	r->from += r->direction;
	r->left--;
	return 0;
}

/*
 * Runs an automaton and adds the row that it ends on: from `state` over the text from `from` on;
 * without a state over all of it, backwards.
 */
__noinline int gb_run_automaton(u32 slot, u32 automaton, u32 state, u32 from)
{
	struct gb_automaton *a;
	struct gb_run *r;
	struct view v;
	u32 *end;

	if (!view_of(&v, slot))
		return 0;
	a = at(v.table, automaton, sizeof(struct gb_automaton));
	if (!a)
		return 0;
	r = &v.s->run;
	r->classes = a->classes;
	r->states = a->states;
	r->slots = a->slots;
	r->slot_count = a->slot_count;
	if (state == GB_NONE) {
		r->state = a->start;
		r->from = v.s->length - 1;
		r->left = v.s->length;
		r->direction = -1;
	} else {
		r->state = state;
		r->from = from;
		r->left = v.s->length - from;
		r->direction = 1;
	}
	bpf_loop(MAX_PATH + 1, run_step, &v, 0);
	end = at(v.table, r->states + (r->state & ~STOP) * 16, 16);
	if (end)
		add_row(v.s, end[2]);
	return 0;
}

static long automata_step(u32 i, struct view *v)
{
	struct gb_automata *a = &v->s->automata;
	u32 state = GB_NONE;

	if (i >= a->count)
		return 1;
	if (i < a->forward_count) {
		state = a->starts ? word_at(v->table, a->starts + i * 4) : 0;
		if (!state)
			return 0;
	}
	gb_run_automaton(v->s->slot, a->first + i * sizeof(struct gb_automaton), state, a->consumed);
	return 0;
}

/* Adds the rows of the patterns that match a path which left the trie with this tuple of states. */
static __always_inline void add_pattern_rows(struct view *v, const struct gb_globs *globs, u32 tuple)
{
	struct gb_automata *a = &v->s->automata;

	a->consumed = v->s->walk.consumed;
	add_name_row(v, globs);
	if (!tuple && !globs->backward_count)
		return;
	copy_path(v->s);
	a->first = globs->automata;
	a->forward_count = globs->forward_count;
	a->count = globs->forward_count + globs->backward_count;
	a->starts = tuple ? globs->starts + tuple * globs->forward_count * 4 : 0;
	bpf_loop(MAX_ROWS - 2, automata_step, v, 0);
}

/*
 * Finds all that the tables have on the path: `rows[0]` of paths and directories, then those of
 * patterns.
 */
static __noinline void find_path(struct view *v, const struct gb_trie *trie, const struct gb_globs *globs)
{
	struct gb_scratch *s = v->s;
	struct gb_place *place;

	s->row_count = 1;
	s->rows[0] = 0;
	walk_trie(v, trie, 0, s->length);
	place = place_at(v, s->walk.node);
	if (!place)
		return;
	s->rows[0] = value_of(v, place);
	if (s->walk.consumed >= s->walk.length)
		add_row(s, place->exact_globs);
	else
		add_pattern_rows(v, globs, place->globs);
}

#endif
