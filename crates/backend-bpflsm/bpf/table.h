/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading a lowered table: an array of pages, in which no record lies in two. */
#ifndef GAMBESON_TABLE_H
#define GAMBESON_TABLE_H

#include "scratch.h"

static __always_inline void *table_of(u32 slot)
{
	return bpf_map_lookup_elem(&tables, &slot);
}

/* The record of `size` bytes (a power of two) at an offset, or NULL behind the end. */
static __always_inline void *at(void *table, u32 offset, u32 size)
{
	u32 page = offset / GB_PAGE;
	u8 *bytes = bpf_map_lookup_elem(table, &page);

	if (!bytes)
		return NULL;
	return bytes + (offset & (GB_PAGE - 1) & ~(size - 1));
}

static __always_inline u32 word_at(void *table, u32 offset)
{
	u32 *word = at(table, offset, 4);

	return word ? *word : 0;
}

/* What one decision looks at. Global functions, which take numbers alone, find it by the slot. */
struct view {
	struct gb_scratch *s;
	void *table;
	const struct gb_table *head;
};

static __always_inline bool view_table(struct view *v, u32 table)
{
	u32 first = 0;

	v->table = table_of(table);
	if (!v->table)
		return false;
	v->head = bpf_map_lookup_elem(v->table, &first);
	return v->head;
}

static __always_inline bool view_of(struct view *v, u32 slot)
{
	v->s = scratch_at(slot);
	return v->s && view_table(v, v->s->table);
}

#endif
