/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hooks about execs, and what an exec leaves behind. */
#ifndef GAMBESON_HOOKS_EXEC_H
#define GAMBESON_HOOKS_EXEC_H

#include "hooks_file.h"

static const struct gb_pending nothing_pending;

/* Puts an exec aside until its arguments can be read. Returns whether there was room. */
__noinline int gb_put_aside(u32 slot, u32 argc)
{
	u64 task = (u64)bpf_get_current_task_btf();
	struct gb_scratch *s = scratch_at(slot);
	struct gb_pending *p;
	u32 place, length;

	if (!s || s->row_count > GB_PENDING_ROWS)
		return 0;
	p = bpf_map_lookup_elem(&pending, &task);
	if (!p) {
		bpf_map_update_elem(&pending, &task, &nothing_pending, 0);
		p = bpf_map_lookup_elem(&pending, &task);
	}
	if (!p)
		return 0;
	if (!p->count)
		p->generation = s->generation;
	place = p->count;
	if (place >= GB_PENDING || p->generation != s->generation)
		return 0;
	for (u32 i = 0; i < GB_PENDING_ROWS; i++)
		p->execs[place].rows[i] = s->rows[i];
	p->execs[place].row_count = s->row_count;
	p->execs[place].holding = s->holding;
	p->execs[place].source = s->source;
	p->execs[place].argc = argc;
	p->execs[place].flags = s->event.flags;
	copy_path(s);
	length = s->length;
	if (length > PENDING_PATH) {
		length = PENDING_PATH;
		p->execs[place].flags |= GB_EV_CUT;
	}
	p->execs[place].length = length;
	bpf_probe_read_kernel(p->execs[place].path, length, s->text);
	/* Once the arguments can be read, the program that executes is gone. */
	length = append_source(s, 0);
	if (length > PENDING_PATH) {
		length = PENDING_PATH;
		p->execs[place].flags |= GB_EV_CUT;
	}
	p->source_length = length;
	bpf_probe_read_kernel(p->source, length, s->text);
	p->count = place + 1;
	return 1;
}

static __always_inline int exec_event(struct linux_binprm *bprm, bool only_checked, u32 hook)
{
	struct file *file = bprm->file;
	struct dentry *dentry = file->f_path.dentry;
	struct gb_scratch *s = OPEN_OR_RETURN(CLASS_BIT(PROCESS));
	int result;

	resolve(s, dentry, file->f_path.mnt);
	s->class = PROCESS;
	set_holding(s, owns(owned_inode(dentry)), false);
	gb_decide_path(s->slot);
	if (s->tested) {
		/* The verdict hangs on arguments: only if it is the same either way, it is known now. */
		struct decision holding = decision_of(s);

		s->args = ARGS_FAIL;
		gb_answer_for_subject(s->slot);
		if ((s->rule != holding.rule || s->verdict != holding.verdict) && !only_checked &&
		    gb_put_aside(s->slot, bprm->argc)) {
			release(s);
			return 0;
		}
	}
	result = carry_out(s, GB_OP_EXEC, hook, false);
	release(s);
	return result;
}

/* Whether a program has no name in a file system. */
static __always_inline bool is_fileless(struct file *file)
{
	struct inode *inode = file->f_inode;
	u64 magic;

	if (!inode->i_nlink)
		return true;
	magic = inode->i_sb->s_magic;
	return (magic == TMPFS_MAGIC || magic == HUGETLBFS_MAGIC) && inode->i_sb->s_flags & SB_KERNMOUNT;
}

/* Exec, of a script and of its interpreter; preset filelessExec. */
SEC("lsm/bprm_check_security")
int BPF_PROG(gb_bprm_check_security, struct linux_binprm *bprm)
{
	int result = 0;

	if (is_fileless(bprm->file))
		result = preset_event(FILELESS_EXEC, GB_HOOK_BPRM_CHECK);
	return result ?: exec_event(bprm, false, GB_HOOK_BPRM_CHECK);
}

struct linux_binprm___check {
	unsigned int is_check : 1;
} RELOCATED;

/* Exec, where a program only asks whether it may (AT_EXECVE_CHECK, since 6.14). Its arguments are
 * the caller's word, so lists count as failed.
 */
SEC("lsm/bprm_creds_for_exec")
int BPF_PROG(gb_bprm_creds_for_exec, struct linux_binprm *bprm)
{
	u64 task = (u64)bpf_get_current_task_btf();

	/* What an exec that failed left behind. */
	bpf_map_delete_elem(&pending, &task);
	if (!bpf_core_field_exists(struct linux_binprm___check, is_check))
		return 0;
	if (!BPF_CORE_READ_BITFIELD_PROBED((struct linux_binprm___check *)bprm, is_check))
		return 0;
	return exec_event(bprm, true, GB_HOOK_BPRM_CREDS);
}

/* Decides an exec that was put aside. Returns whether it is denied. */
__noinline int gb_judge_pending(u32 slot, u32 place, u64 stack, u32 argc)
{
	u64 task = (u64)bpf_get_current_task_btf();
	struct gb_pending *p = bpf_map_lookup_elem(&pending, &task);
	struct gb_scratch *s;
	u32 length, told;
	struct view v;
	int result;

	if (!p || place >= GB_PENDING || place >= p->count)
		return 0;
	if (!view_of(&v, slot))
		return 1;
	s = v.s;
	/* If the policy was replaced meanwhile, what waited belongs to the old one. */
	if (p->generation != s->generation)
		return 1;
	s->class = PROCESS;
	s->status = RESOLVED;
	s->holding = p->execs[place].holding;
	s->event.flags = p->execs[place].flags;
	s->source = p->execs[place].source;
	for (u32 i = 0; i < GB_PENDING_ROWS; i++)
		s->rows[i] = p->execs[place].rows[i];
	s->row_count = p->execs[place].row_count;
	/* A script's own arguments are the last ones of its interpreter's. */
	s->argc = p->execs[place].argc ? p->execs[place].argc - 1 : 0;
	if (gb_find_arguments(slot, stack, argc)) {
		answer_with_arguments(&v);
	} else {
		s->args = ARGS_FAIL;
		gb_answer_for_subject(slot);
	}
	put_in_force(s);
	if (s->verdict == BLOCK && !(s->settings & GB_SET_OBSERVE))
		s->event.flags |= GB_EV_KILLED;
	/* What was kept of the paths, as if they had been resolved just now. */
	length = p->execs[place].length;
	if (length > PENDING_PATH)
		length = PENDING_PATH;
	bpf_probe_read_kernel(s->text, length, p->execs[place].path);
	s->have = s->length = length;
	told = p->source_length;
	if (told > PENDING_PATH)
		told = PENDING_PATH;
	bpf_probe_read_kernel(&s->text[length], told, p->source);
	s->told_source = told;
	result = carry_out(s, GB_OP_EXEC, GB_HOOK_BPRM_COMMITTED, false);
	s->told_source = 0;
	return result != 0;
}

/* Ends the exec under way: the new program is killed before its first instruction. */
static __always_inline void doom(void)
{
	u64 task = (u64)bpf_get_current_task_btf();
	struct gb_pending *p = bpf_map_lookup_elem(&pending, &task);

	if (p)
		p->doomed = 1;
	COUNT(doomed);
	bpf_send_signal(SIGKILL);
}

/*
 * The new program's memory is set up and its arguments lie there: execs that waited for them are
 * decided. It is too late for an error, so a denied program is killed before its first
 * instruction. Then its source class is computed, once.
 */
SEC("lsm/bprm_committed_creds")
int BPF_PROG(gb_bprm_committed_creds, struct linux_binprm *bprm)
{
	u64 task = (u64)bpf_get_current_task_btf();
	struct gb_pending *waiting = bpf_map_lookup_elem(&pending, &task);
	struct gb_subject spare, *label = kept_label();
	struct view v;
	int opened = is_free(label) ? NO_CASE : gb_open(~0u, label);

	if (opened >= NO_CASE || !view_of(&v, opened)) {
		/* What waits can't be decided any more, so it must not run. */
		if (waiting)
			doom();
		return 0;
	}
	if (waiting) {
		u64 stack = bprm->p;
		u32 argc = bprm->argc;

		if (gb_judge_pending(opened, 0, stack, argc) | gb_judge_pending(opened, 1, stack, argc))
			doom();
		else
			bpf_map_delete_elem(&pending, &task);
	}
	label = subject(&spare);
	if (label) {
		resolve(v.s, bprm->file->f_path.dentry, bprm->file->f_path.mnt);
		label->source = v.head->sources_trivial ? 0 : gb_source_of_path(opened);
		label->source_generation = v.s->generation;
	}
	release(v.s);
	return 0;
}

#endif
