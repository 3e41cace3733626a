/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who acts: the workload that a task belongs to.
 *
 * A task gets its label at its first hook, from the deepest bound cgroup above it, keeps it wherever
 * it moves, and hands it on at fork. Only a scope bound deeper below the label's own takes it over.
 * Tasks that belong nowhere are marked too, until scopes or cgroups change (`control.epoch`).
 */
#ifndef GAMBESON_SUBJECT_H
#define GAMBESON_SUBJECT_H

#include "maps.h"

#define MAX_CGROUP_DEPTH 64

static __always_inline struct gb_control *control_of(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

struct ancestry {
	u32 labelled; /* the label that the task has */
	u32 met;      /* whether the label's own scope is among the ancestors */
	u32 deepest;  /* workload of the deepest bound ancestor */
};

static long ancestor_step(u32 level, struct ancestry *a)
{
	u64 id = bpf_get_current_ancestor_cgroup_id(level);
	u32 *workload;

	if (!id)
		return 1;
	workload = bpf_map_lookup_elem(&scopes, &id);
	if (!workload)
		return 0;
	if (*workload == a->labelled)
		a->met = 1;
	a->deepest = *workload;
	return 0;
}

/* The workload that a label names, or NULL where it isn't bound any more. */
static __always_inline struct gb_workload *workload_of(const struct gb_subject *label)
{
	u32 number = label->workload;
	struct gb_workload *w;

	if (number >= GB_MAX_WORKLOADS)
		return NULL;
	w = bpf_map_lookup_elem(&workloads, &number);
	return w && w->incarnation == label->incarnation && (u32)w->current != GB_NONE ? w : NULL;
}

/* Labels the running task by its cgroup, or the host. Works on `label`, whose old label stays
 * unless a scope within it took over.
 */
static __noinline void look_up(struct gb_subject *label, const struct gb_control *c, struct task_struct *task)
{
	bool bound = workload_of(label);
	struct ancestry a = { .labelled = bound ? label->workload : GB_NONE, .met = 0, .deepest = GB_NONE };
	struct gb_workload *w;

	bpf_loop(MAX_CGROUP_DEPTH, ancestor_step, &a, 0);
	label->epoch = c->epoch;
	/* The host is the widest scope: whatever is bound takes over from it. */
	if (bound && label->workload != c->host_workload && !a.met)
		return;
	if (a.deepest == GB_NONE && !(task->flags & PF_KTHREAD))
		a.deepest = c->host_workload;
	if (a.deepest == label->workload && (bound || a.deepest >= GB_EXEMPT))
		return;
	__builtin_memset(label, 0, sizeof(*label));
	label->epoch = c->epoch;
	label->workload = a.deepest;
	if (a.deepest >= GB_MAX_WORKLOADS)
		return;
	w = bpf_map_lookup_elem(&workloads, &a.deepest);
	if (w)
		label->incarnation = w->incarnation;
}

/*
 * The label where storage can't be had: before 6.2, while another task on this CPU is within it; later, on
 * processors without cmpxchg16b, never. The source class is not kept with it. Returns whether
 * the task is under a policy.
 */
static __noinline int stray_label(struct gb_subject *spare, const struct gb_control *c, struct task_struct *task)
{
	u64 key = (u64)task;
	struct gb_subject *stray = bpf_map_lookup_elem(&strays, &key);

	if (stray && workload_of(stray)) {
		*spare = *stray;
		spare->source_generation = 0;
		return 1;
	}
	__builtin_memset(spare, 0, sizeof(*spare));
	spare->workload = GB_NONE;
	look_up(spare, c, task);
	if (spare->workload >= GB_MAX_WORKLOADS)
		return 0;
	if (spare->workload != c->host_workload)
		bpf_map_update_elem(&strays, &key, spare, 0);
	return 1;
}

/* The label that is kept with the running task, if any is. */
static __always_inline struct gb_subject *kept_label(void)
{
	return bpf_task_storage_get(&subjects, bpf_get_current_task_btf(), 0, 0);
}

/* Whether a kept label says that the task is under no policy: most are, and leave hooks at once. */
static __always_inline bool is_free(const struct gb_subject *label)
{
	const struct gb_control *c;

	if (!label)
		return false;
	if (label->workload != GB_NONE)
		return label->workload == GB_EXEMPT;
	c = control_of();
	return c && label->epoch == c->epoch;
}

/* Whether a kept label is as good as one looked up now. */
static __always_inline struct gb_workload *workload_in_force(const struct gb_subject *label)
{
	const struct gb_control *c = control_of();

	return label && c && label->epoch == c->epoch ? workload_of(label) : NULL;
}

/*
 * The running task's label by its cgroup, or NULL if it is under no policy. Given the one that is kept;
 * `spare` stands in where storage can't be had.
 */
static __always_inline struct gb_subject *renewed_label(struct gb_subject *label, struct gb_subject *spare)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct gb_control *c = control_of();

	if (!c)
		return NULL;
	if (!label) {
		label = bpf_task_storage_get(&subjects, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!label)
			return stray_label(spare, c, task) ? spare : NULL;
		/* New storage is zeros, and workload 0 a valid number. */
		if (!label->incarnation && label->workload == 0)
			label->workload = GB_NONE;
	}
	look_up(label, c, task);
	return label->workload >= GB_MAX_WORKLOADS ? NULL : label;
}

/* The running task's label, or NULL if it is under no policy. */
static __always_inline struct gb_subject *subject(struct gb_subject *spare)
{
	struct gb_subject *label = kept_label();

	if (is_free(label))
		return NULL;
	return workload_in_force(label) ? label : renewed_label(label, spare);
}

#endif
