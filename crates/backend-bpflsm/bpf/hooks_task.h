/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hooks that keep labels with their tasks, and workloads off the enforcer's own maps and programs. */
#ifndef GAMBESON_HOOKS_TASK_H
#define GAMBESON_HOOKS_TASK_H

#include "judge.h"

/* A child is what its parent is. */
SEC("lsm/task_alloc")
int BPF_PROG(gb_task_alloc, struct task_struct *child)
{
	struct gb_subject spare, *label = subject(&spare), *copy;
	struct gb_control *c = control_of();
	u64 key = (u64)child;

	if (!label || !c || label->workload == c->host_workload)
		return 0;
	copy = bpf_task_storage_get(&subjects, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (copy) {
		*copy = *label;
		/* It may be born into another cgroup, and that into a scope of its own. */
		copy->epoch = 0;
		return 0;
	}
	if (!bpf_map_update_elem(&strays, &key, label, 0))
		return 0;
	COUNT(no_storage);
	return -ENOMEM;
}

SEC("lsm/task_free")
int BPF_PROG(gb_task_free, struct task_struct *task)
{
	u64 key = (u64)task;

	bpf_map_delete_elem(&strays, &key);
	bpf_map_delete_elem(&pending, &key);
	return 0;
}

struct upward {
	u64 state; /* the subsystem state of the cgroup to look at */
	u32 workload;
};

/* Looks for the deepest bound cgroup, upwards. */
static long upward_step(u32 i, struct upward *u)
{
	struct cgroup_subsys_state *state = (void *)u->state;
	u64 id = BPF_CORE_READ(state, cgroup, kn, id);
	u32 *workload = bpf_map_lookup_elem(&scopes, &id);

	if (workload) {
		u->workload = *workload;
		return 1;
	}
	u->state = (u64)BPF_CORE_READ(state, parent);
	return !u->state;
}

/*
 * A task changes its cgroup. Into a bound one: it is labelled at once, so that it can't leave again
 * without a label. Out of one: its label stays. Tasks that belonged nowhere are looked up again.
 */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(gb_cgroup_attach, struct cgroup *to, const char *path, struct task_struct *task)
{
	struct gb_subject *label = bpf_task_storage_get(&subjects, task, 0, 0);
	struct upward u = { .state = (u64)&to->self, .workload = GB_NONE };
	struct gb_control *c = control_of();
	struct gb_subject entering = {};
	u64 key = (u64)task;
	struct gb_workload *w;

	if (!c)
		return 0;
	if (!__sync_add_and_fetch(&c->epoch, 1))
		__sync_add_and_fetch(&c->epoch, 1);
	if (label && label->workload < GB_MAX_WORKLOADS && label->workload != c->host_workload) {
		bpf_map_update_elem(&strays, &key, label, 0);
		return 0;
	}
	if (label && label->workload == GB_EXEMPT)
		return 0;
	bpf_loop(MAX_CGROUP_DEPTH, upward_step, &u, 0);
	if (u.workload >= GB_MAX_WORKLOADS)
		return 0;
	w = bpf_map_lookup_elem(&workloads, &u.workload);
	if (!w)
		return 0;
	entering.workload = u.workload;
	entering.incarnation = w->incarnation;
	label = bpf_task_storage_get(&subjects, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (label)
		*label = entering;
	else
		bpf_map_update_elem(&strays, &key, &entering, 0);
	return 0;
}

static __always_inline int guard(u32 id)
{
	struct gb_subject spare;

	if (!bpf_map_lookup_elem(&protected, &id) || !subject(&spare))
		return 0;
	COUNT(tampering);
	return -EPERM;
}

SEC("lsm/bpf_map")
int BPF_PROG(gb_bpf_map, struct bpf_map *map)
{
	return guard(map->id);
}

SEC("lsm/bpf_prog")
int BPF_PROG(gb_bpf_prog, struct bpf_prog *prog)
{
	return guard(prog->aux->id | 1u << 31);
}

#endif
