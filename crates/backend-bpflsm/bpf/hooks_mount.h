/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Mounts give files other names, so that rules about paths would no longer mean what they meant.
 * Where the policy has rules that can deny files or programs, mounting is denied, unless the binding
 * allows it.
 */
#ifndef GAMBESON_HOOKS_MOUNT_H
#define GAMBESON_HOOKS_MOUNT_H

#include "judge.h"

static __always_inline int mount_event(const struct path *path, u32 hook)
{
	u32 classes = CLASS_BIT(FILES) | CLASS_BIT(PROCESS);
	struct gb_scratch *s = OPEN_OR_RETURN(classes);
	struct view v;
	int result = 0;

	if (view_of(&v, s->slot) && (v.head->allow_list | v.head->can_deny) & classes && !(s->settings & GB_SET_MOUNTS_ALLOWED)) {
		if (path)
			resolve(s, path->dentry, path->mnt);
		s->class = FILES;
		set_holding(s, false, false);
		answer_with(s, BLOCK, GB_CAUSE_MOUNT, GB_NONE);
		result = carry_out(s, GB_OP_MOUNT, hook, false);
	}
	release(s);
	return result;
}

SEC("lsm/sb_mount")
int BPF_PROG(gb_sb_mount, const char *device, const struct path *path)
{
	return mount_event(path, GB_HOOK_SB_MOUNT);
}

SEC("lsm/move_mount")
int BPF_PROG(gb_move_mount, const struct path *from, const struct path *to)
{
	return mount_event(to, GB_HOOK_MOVE_MOUNT);
}

SEC("lsm/sb_umount")
int BPF_PROG(gb_sb_umount)
{
	return mount_event(NULL, GB_HOOK_SB_UMOUNT);
}

SEC("lsm/sb_pivotroot")
int BPF_PROG(gb_sb_pivotroot, const struct path *old, const struct path *new)
{
	return mount_event(new, GB_HOOK_SB_PIVOTROOT);
}

#endif
