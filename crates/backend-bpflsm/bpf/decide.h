/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From rows to a verdict: the steps of the decision model that are left when an event comes.
 * `decide/` of the matcher is the same in Rust.
 */
#ifndef GAMBESON_DECIDE_H
#define GAMBESON_DECIDE_H

#include "arguments.h"

/* An entry: nothing, a leaf, a block or a test; see `tables/entry.rs`. */
#define KIND(entry) ((entry) >> 30)
enum { NOTHING, LEAF, BLOCK_OF_EIGHT, TEST };
#define NUMBER(entry) ((entry) & 0x3fffffff)
#define DENIES(leaf) ((leaf) >> 24 & 1)
#define RULE(leaf) ((leaf) & 0xffffff)
#define RANK(leaf) ((leaf) >> 25 & 7)
#define UNSOURCED 4
#define WITH_RANK(leaf, rank) (((leaf) & ~(7u << 25)) | (rank) << 25)

/* Binary search among exceptions, which are sorted by class. */
static long search_step(u32 i, struct view *v)
{
	struct gb_search *b = &v->s->search;
	u32 middle = b->count / 2;
	u32 *exception;

	if (!b->count)
		return 1;
	exception = at(v->table, b->first + middle * 8, 8);
	if (!exception)
		return 1;
	if (exception[0] == b->wanted) {
		b->entry = exception[1];
		return 1;
	}
	if (exception[0] < b->wanted) {
		b->first += (middle + 1) * 8;
		b->count -= middle + 1;
	} else {
		b->count = middle;
	}
	return 0;
}

/* The entry of a source class, where the row's default has exceptions. */
static __always_inline u32 entry_for(struct view *v, u32 entry, u32 list)
{
	struct gb_search *b = &v->s->search;
	u32 *run;

	if (!list || !v->s->outcome.source)
		return entry;
	run = at(v->table, v->head->exception_lists + list * 8, 8);
	if (!run)
		return entry;
	b->first = v->head->exceptions + run[0] * 8;
	b->count = run[1];
	b->wanted = v->s->outcome.source;
	b->entry = entry;
	bpf_loop(32, search_step, v, 0);
	return b->entry;
}

/* One step from an entry towards the leaf that it stands for. */
static long follow_step(u32 i, struct view *v)
{
	u32 entry = v->s->outcome.entry;
	u32 *record;

	switch (KIND(entry)) {
	case BLOCK_OF_EIGHT:
		record = at(v->table, v->head->blocks + NUMBER(entry) * 32 + (v->s->holding & 7) * 4, 4);
		v->s->outcome.entry = record ? *record : 0;
		return 0;
	case TEST:
		v->s->tested = 1;
		record = at(v->table, v->head->tests + NUMBER(entry) * 16, 16);
		if (!record)
			v->s->outcome.entry = 0;
		else if (args_hold(v->s, record[0]))
			v->s->outcome.entry = record[2];
		else
			v->s->outcome.entry = record[1];
		return 0;
	default:
		return 1;
	}
}

/* The leaf that an entry stands for; 0 for none. */
static __always_inline u32 leaf_of(struct view *v, u32 entry)
{
	if (KIND(entry) <= LEAF)
		return entry;
	v->s->outcome.entry = entry;
	bpf_loop(1024, follow_step, v, 0);
	entry = v->s->outcome.entry;
	return KIND(entry) == LEAF ? entry : 0;
}

/* Step 3, with the smaller rule where both say the same. */
static __always_inline u32 deny_wins(u32 a, u32 b)
{
	if (DENIES(a) != DENIES(b))
		return DENIES(a) ? a : b;
	return RULE(a) <= RULE(b) ? a : b;
}

static __always_inline u32 join_patterns(u32 a, u32 b)
{
	u32 rank;

	if (!a || !b)
		return a ?: b;
	if ((RANK(a) < UNSOURCED) != (RANK(b) < UNSOURCED))
		return RANK(a) < UNSOURCED ? a : b;
	rank = RANK(a) < RANK(b) ? RANK(a) : RANK(b);
	a = deny_wins(a, b);
	return WITH_RANK(a, rank);
}

/* Puts what patterns say upon what paths and directories do. */
static __always_inline u32 put_upon(u32 base, u32 patterns)
{
	if (!base || !patterns)
		return base ?: patterns;
	if (RANK(base) < RANK(patterns))
		return base;
	/* "A pattern doesn't silence a deny of the deepest directory." */
	if (DENIES(base) && (RANK(patterns) & 3) == 2 && RANK(base) == RANK(patterns) + 1)
		return deny_wins(base, patterns);
	return patterns;
}

/* Steps 1 and 2 among those that watch: patterns and execnames rank alike. */
static __always_inline u32 first_to_watch(u32 a, u32 b)
{
	u32 rank_a = RANK(a), rank_b = RANK(b);

	if (!a || !b)
		return a ?: b;
	if ((rank_a & 3) == 1)
		rank_a++;
	if ((rank_b & 3) == 1)
		rank_b++;
	if (rank_a != rank_b)
		return rank_a < rank_b ? a : b;
	return RULE(a) <= RULE(b) ? a : b;
}

/* Takes one of the rows that the tables have on the object into account. */
static long row_step(u32 i, struct view *v)
{
	struct gb_scratch *s = v->s;
	struct gb_outcome *o = &s->outcome;
	u32 number, grant, watch = 0;
	u32 *row = NULL;

	if (i >= s->row_count || i >= MAX_ROWS)
		return 1;
	number = s->rows[i & (MAX_ROWS - 1)];
	grant = number;
	if (KIND(number) != LEAF) {
		row = number ? at(v->table, v->head->rows + number * 16, 16) : NULL;
		grant = row ? leaf_of(v, entry_for(v, row[0], row[1])) : 0;
	}
	if (row && !s->mapping && (v->head->watches >> (s->class & 7) & 1))
		watch = leaf_of(v, entry_for(v, row[2], row[3]));
	if (i)
		o->patterns = join_patterns(o->patterns, grant);
	else
		o->grant = grant;
	o->watch = first_to_watch(o->watch, watch);
	return 0;
}

static __always_inline u32 posture_of(const struct gb_table *head, u32 class)
{
	u32 posture = head->postures >> (2 * (class & 7)) & 3;

	return posture > BLOCK ? BLOCK : posture;
}

static __always_inline void answer_with(struct gb_scratch *s, u32 verdict, u32 cause, u32 rule)
{
	s->verdict = verdict;
	s->cause = cause;
	s->rule = rule;
}

/* The decision for one source class, from the rows in the scratch. */
__noinline int gb_answer(u32 slot, u32 source)
{
	struct gb_outcome *o;
	struct gb_scratch *s;
	struct view v;
	u32 leaf;

	if (!view_of(&v, slot))
		return 0;
	s = v.s;
	o = &s->outcome;
	o->source = source;
	o->grant = o->patterns = o->watch = 0;
	bpf_loop(MAX_ROWS, row_step, &v, 0);
	leaf = put_upon(o->grant, o->patterns);
	if (leaf && DENIES(leaf))
		answer_with(s, BLOCK, GB_CAUSE_RULE, RULE(leaf));
	else if (s->mapping)
		/* "Only a denial counts … and an allowed mapping names no rule." */
		answer_with(s, ALLOW, GB_CAUSE_NONE, GB_NONE);
	else if (leaf)
		answer_with(s, ALLOW, GB_CAUSE_RULE, RULE(leaf));
	else if (v.head->allow_list >> (s->class & 7) & 1)
		answer_with(s, posture_of(v.head, s->class), GB_CAUSE_POSTURE, GB_NONE);
	else
		answer_with(s, ALLOW, GB_CAUSE_NONE, GB_NONE);
	if (o->watch && s->verdict != BLOCK)
		answer_with(s, AUDIT, GB_CAUSE_RULE, RULE(o->watch));
	return 0;
}

/* A decision put aside. */
static __always_inline struct decision decision_of(struct gb_scratch *s)
{
	struct decision d = { s->verdict, s->cause, s->rule };

	return d;
}

static __always_inline void take_decision(struct gb_scratch *s, const struct decision *d)
{
	answer_with(s, d->verdict, d->cause, d->rule);
}

/* The order among equal verdicts: rules by number, then the posture, then nothing. */
static __always_inline u64 order_of(u32 cause, u32 rule)
{
	return cause == GB_CAUSE_RULE ? rule : cause == GB_CAUSE_NONE ? 2ull << 32 : 1ull << 32;
}

/* Keeps the decision in the scratch if it is stricter than the worst so far. */
static __always_inline void keep_stricter(struct gb_scratch *s)
{
	if (s->verdict > s->worst.verdict ||
	    (s->verdict == s->worst.verdict &&
	     order_of(s->cause, s->rule) < order_of(s->worst.cause, s->worst.rule)))
		s->worst = decision_of(s);
}

/* Asks for one of the source classes that a row names. */
static long source_step(u32 i, struct view *v)
{
	struct gb_scratch *s = v->s;
	struct gb_sources *q = &s->sources;
	u32 number, *row, *run = NULL, *exception;

	if (q->row >= s->row_count || q->row >= MAX_ROWS)
		return 1;
	number = s->rows[q->row & (MAX_ROWS - 1)];
	if (number && KIND(number) != LEAF) {
		row = at(v->table, v->head->rows + number * 16, 16);
		if (row)
			run = at(v->table, v->head->exception_lists + (q->watching ? row[3] : row[1]) * 8, 8);
	}
	if (!run || q->next >= run[1]) {
		q->next = 0;
		if (q->watching)
			q->row++;
		q->watching = !q->watching;
		return 0;
	}
	exception = at(v->table, v->head->exceptions + (run[0] + q->next) * 8, 8);
	q->next++;
	if (exception) {
		gb_answer(s->slot, exception[0]);
		keep_stricter(s);
	}
	return 0;
}

/* The decision for the subject. Where its source is unresolvable, the strictest outcome of all
 * sources stands.
 */
__noinline int gb_answer_for_subject(u32 slot)
{
	struct gb_scratch *s;
	struct view v;

	if (!view_of(&v, slot))
		return 0;
	s = v.s;
	if (s->source != GB_NONE)
		return gb_answer(slot, s->source);
	gb_answer(slot, v.head->unnamed[0]);
	s->worst = decision_of(s);
	gb_answer(slot, v.head->unnamed[1]);
	keep_stricter(s);
	s->sources.row = s->sources.watching = s->sources.next = 0;
	bpf_loop(1 << 16, source_step, &v, 0);
	take_decision(s, &s->worst);
	return 0;
}

static long asking_step(u32 i, struct view *v)
{
	struct gb_scratch *s = v->s;
	u32 known = s->known;

	if (s->wants) {
		/* Further lists count as failed. */
		if (known >= GB_MAX_LISTS)
			return 1;
		s->lists[known & (GB_MAX_LISTS - 1)] = s->wanted;
		s->holds |= gb_all_allowed(s->slot, s->wanted) << (known & (GB_MAX_LISTS - 1));
		s->known = known + 1;
	}
	s->wants = 0;
	gb_answer_for_subject(s->slot);
	return !s->wants;
}

/* The decision on an exec whose arguments can be read. Apart from the walk over entries, which is as
 * deep in calls as the kernel allows already.
 */
static __always_inline void answer_with_arguments(struct view *v)
{
	struct gb_scratch *s = v->s;

	s->args = ARGS_KNOWN;
	s->known = s->holds = s->wants = s->wanted = 0;
	bpf_loop(GB_MAX_LISTS + 1, asking_step, v, 0);
}

/* The decision on an object without a path. */
static __always_inline void answer_unresolvable(struct view *v)
{
	u32 class = v->s->class & 7;

	if (!((v->head->allow_list | v->head->can_deny) >> class & 1))
		answer_with(v->s, ALLOW, GB_CAUSE_NONE, GB_NONE);
	else
		answer_with(v->s, posture_of(v->head, class) == BLOCK ? BLOCK : AUDIT, GB_CAUSE_POSTURE, GB_NONE);
}

/* Decides about the path in the scratch, or about what has none. */
static __always_inline void decide_path(struct view *v)
{
	struct gb_scratch *s = v->s;

	/* What has no name is outside the file class, and in that of processes as what has no path. */
	if (s->status == NAMELESS && s->class == FILES) {
		answer_with(s, ALLOW, GB_CAUSE_NONE, GB_NONE);
		return;
	}
	if (s->status != RESOLVED) {
		COUNT(unresolved);
		s->row_count = 0;
		answer_unresolvable(v);
		return;
	}
	gb_find(s->slot, s->class == FILES ? TRIE_FILE :
			 s->mapping && (v->head->allow_list >> PROCESS & 1) ? TRIE_MAPPING : TRIE_PROCESS);
	gb_answer_for_subject(s->slot);
}

/* The source class of the program whose path is in the scratch. */
static __always_inline u32 source_of_path(struct view *v)
{
	if (v->s->status != RESOLVED) {
		COUNT(unresolved_source);
		return GB_NONE;
	}
	gb_find(v->s->slot, TRIE_SOURCES);
	return v->s->rows[0];
}

#endif
