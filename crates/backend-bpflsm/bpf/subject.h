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

static __always_inline bool is_bound(u32 workload, u32 incarnation)
{
	struct gb_workload *w;

	if (workload >= GB_MAX_WORKLOADS)
		return false;
	w = bpf_map_lookup_elem(&workloads, &workload);
	return w && w->incarnation == incarnation && (u32)w->current != GB_NONE;
}

/* Labels the running task by its cgroup, or the host. Works on `label`, whose old label stays
 * unless a scope within it took over.
 */
static __noinline void look_up(struct gb_subject *label, const struct gb_control *c, struct task_struct *task)
{
	bool bound = is_bound(label->workload, label->incarnation);
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

	if (stray && is_bound(stray->workload, stray->incarnation)) {
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

/*
 * The running task's label, or NULL if it is under no policy. `spare` stands in where storage can't
 * be had.
 */
static __always_inline struct gb_subject *subject(struct gb_subject *spare)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct gb_subject *label = bpf_task_storage_get(&subjects, task, 0, 0);
	struct gb_control *c = control_of();

	if (!c)
		return NULL;
	if (!label) {
		label = bpf_task_storage_get(&subjects, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (label) {
			/* New storage is zeros, and workload 0 a valid number. */
			if (!label->incarnation && label->workload == 0)
				label->workload = GB_NONE;
		} else {
			return stray_label(spare, c, task) ? spare : NULL;
		}
		look_up(label, c, task);
	} else if (label->workload == GB_EXEMPT) {
		return NULL;
	} else if (label->epoch != c->epoch ||
		   (label->workload != GB_NONE && !is_bound(label->workload, label->incarnation))) {
		look_up(label, c, task);
	}
	return label->workload >= GB_MAX_WORKLOADS ? NULL : label;
}

#endif
