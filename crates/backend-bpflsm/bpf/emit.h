/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Events for user space. They follow the verdict and never change it. */
#ifndef GAMBESON_EMIT_H
#define GAMBESON_EMIT_H

#include "decide.h"
#include "subject.h"

#define SECOND 1000000000ull

/* Whether the workload may report one more event in this second. */
static __always_inline bool within_rate(struct gb_scratch *s, u32 *left_out)
{
	struct gb_rate *r;
	u32 workload = s->workload;
	u64 second = bpf_ktime_get_ns() / SECOND;
	u64 before;

	*left_out = 0;
	if (!s->rate)
		return true;
	r = bpf_map_lookup_elem(&rates, &workload);
	if (!r)
		return true;
	before = r->second;
	if (before != second && __sync_val_compare_and_swap(&r->second, before, second) == before)
		__sync_lock_test_and_set(&r->count, 0);
	if (__sync_fetch_and_add(&r->count, 1) >= s->rate) {
		__sync_fetch_and_add(&r->left_out, 1);
		COUNT(throttled);
		return false;
	}
	if (r->left_out)
		*left_out = __sync_lock_test_and_set(&r->left_out, 0);
	return true;
}

/* Puts the path of the running program behind `from` bytes of text. Uses up the object's path. */
static __always_inline u32 append_source(struct gb_scratch *s, u32 from)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mm_struct *mm = task->mm;
	struct file *exe;
	u32 length;

	if (!mm)
		return 0;
	exe = mm->exe_file;
	if (!exe)
		return 0;
	resolve(s, exe->f_path.dentry, exe->f_path.mnt);
	if (s->status != RESOLVED)
		return 0;
	length = s->length;
	/* From here on `have` is a place in `text`, not in the path. */
	s->have = from;
	s->length = from + length;
	if (!s->count) {
		s->text[from & 4095] = '/';
		return 1;
	}
	bpf_loop(MAX_COMPONENTS, copy_step, &s, 0);
	return length;
}

/* Sends what the scratch holds. The event's operation, hook, flags and detail are set. */
__noinline int gb_emit(u32 slot)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct gb_scratch *s = scratch_at(slot);
	u64 ids = bpf_get_current_pid_tgid();
	u32 object = 0, source, left_out, size;
	struct gb_event *e;

	if (!s || !within_rate(s, &left_out))
		return 0;
	e = &s->event;
	e->throttled = left_out;
	if (s->status == RESOLVED) {
		copy_path(s);
		object = s->length;
	} else if (s->status == UNRESOLVED) {
		e->flags |= GB_EV_UNRESOLVED;
	}
	if (s->source == GB_NONE)
		e->flags |= GB_EV_UNRESOLVED_SOURCE;
	e->time = bpf_ktime_get_ns();
	e->cgroup = bpf_get_current_cgroup_id();
	e->workload = s->workload;
	e->incarnation = s->incarnation;
	e->generation = s->generation;
	e->rule = s->rule;
	e->verdict = s->verdict;
	e->cause = s->cause;
	e->pid = (u32)ids;
	e->tgid = ids >> 32;
	e->ppid = task->real_parent->tgid;
	e->uid = (u32)bpf_get_current_uid_gid();
	e->source = s->source;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	source = s->told_source ?: append_source(s, object);
	e->object_len = object;
	e->source_len = source;
	size = sizeof(*e) + object + source;
	if (size > sizeof(*e) + 8192)
		size = sizeof(*e) + 8192;
	if (bpf_ringbuf_output(&events, e, size, 0))
		COUNT(lost);
	return 0;
}

#endif
