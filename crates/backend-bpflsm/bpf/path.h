/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a dentry and a mount to a path as seen from the workload's root.
 *
 * First the components are collected from the leaf to the root: only where each name lies and how
 * long it is. Their bytes are copied later, from the root to the leaf, as far as the walk over the
 * tables asks for them; most walks leave the trie after one or two components.
 *
 * The root is that of the mount namespace, never a chroot's. What doesn't hang below it (detached
 * and foreign mounts, files in memory) is unresolved, as is what is longer than a path can be.
 */
#ifndef GAMBESON_PATH_H
#define GAMBESON_PATH_H

#include "scratch.h"

#define MOUNT_OF(vfsmount)                                                     \
	((struct mount *)((u64)(vfsmount) -                                    \
			  bpf_core_field_offset(struct mount, mnt)))

/* Types an address, so that it can be read without a helper call; since 6.2. */
extern void *bpf_rdonly_cast(const void *address, u32 type) __ksym __weak;

#define TYPED(address, type)                                                   \
	((struct type *)bpf_rdonly_cast((void *)(address),                     \
					bpf_core_type_id_kernel(struct type)))

/*
 * Notes components until the mount's root or a root that is not its mount's. The type of the dentry is
 * known to the verifier, unless it is a plain address. Returns whether the turn was not long enough.
 */
static __always_inline bool note_components(struct gb_scratch *s, struct dentry **at, u64 root, bool plain)
{
	u32 count = s->count, total = s->length, k;
	u64 *names = &s->names[count & (MAX_COMPONENTS - 1)];
	u16 *lengths = &s->lengths[count & (MAX_COMPONENTS - 1)];
	struct dentry *dentry = *at, *parent;

	for (k = 0; k < AT_ONCE; k++) {
		u32 length;

		if ((u64)dentry == root)
			break;
		parent = plain ? BPF_CORE_READ(dentry, d_parent) : dentry->d_parent;
		if (dentry == parent)
			break;
		names[k] = (u64)(plain ? BPF_CORE_READ(dentry, d_name.name) : dentry->d_name.name);
		length = plain ? BPF_CORE_READ(dentry, d_name.len) : dentry->d_name.len;
		lengths[k] = length;
		total += length + 1;
		dentry = parent;
	}
	*at = dentry;
	s->count = count + k;
	s->length = total;
	if (total > MAX_PATH) {
		s->status = TOO_LONG;
		return false;
	}
	return k == AT_ONCE;
}

/* Crosses from a mount's root to where it is mounted. Returns whether it is mounted on another. */
static __always_inline bool cross_mount(struct gb_scratch *s, u64 mount)
{
	u64 above, point;

	if (bpf_rdonly_cast) {
		struct mount *m = TYPED(mount, mount);

		above = (u64)m->mnt_parent;
		point = (u64)m->mnt_mountpoint;
	} else {
		above = (u64)BPF_CORE_READ((struct mount *)mount, mnt_parent);
		point = (u64)BPF_CORE_READ((struct mount *)mount, mnt_mountpoint);
	}
	if (above == mount) {
		*(volatile u32 *)&s->status = RESOLVED;
		return false;
	}
	*(volatile u64 *)&s->climb_dentry = point;
	*(volatile u64 *)&s->climb_mount = above;
	return true;
}

/* Some steps towards the root. The place is kept in memory as plain addresses. */
static long climb_step(u32 i, struct gb_scratch **context)
{
	struct gb_scratch *s = *context;
	u64 mount = s->climb_mount;
	struct dentry *dentry;
	bool more;
	u64 root;

	if (bpf_rdonly_cast) {
		root = (u64)TYPED(mount, mount)->mnt.mnt_root;
		dentry = TYPED(s->climb_dentry, dentry);
		more = note_components(s, &dentry, root, false);
	} else {
		root = (u64)BPF_CORE_READ((struct mount *)mount, mnt.mnt_root);
		dentry = (struct dentry *)s->climb_dentry;
		more = note_components(s, &dentry, root, true);
	}
	s->climb_dentry = (u64)dentry;
	if (more)
		return 0;
	/* A root that is not its mount's is disconnected. */
	return s->status == TOO_LONG || (u64)dentry != root || !cross_mount(s, mount);
}

/* Where a typed climb within one mount is. */
struct climb {
	struct gb_scratch *s;
	struct dentry *dentry;
	struct dentry *root;
};

/*
 * Some steps towards the mount's root, with pointers that the verifier knows: before 6.2 the only
 * way to read without a helper call.
 */
static long typed_step(u32 i, struct climb *climb)
{
	return !note_components(climb->s, &climb->dentry, (u64)climb->root, false);
}

/* What a mount that belongs to no namespace, but to the kernel itself, makes of its files. */
static __always_inline u32 status_of_internal(u64 mount)
{
	struct super_block *sb = BPF_CORE_READ((struct mount *)mount, mnt.mnt_sb);
	u64 magic;

	/* The clone of a mount that a user made: overlayfs opens its layers through one, after
	 * the file was judged by its own name.
	 */
	if (!(BPF_CORE_READ(sb, s_flags) & SB_KERNMOUNT))
		return NAMELESS;
	magic = BPF_CORE_READ(sb, s_magic);
	return magic == TMPFS_MAGIC || magic == HUGETLBFS_MAGIC ? UNRESOLVED : NAMELESS;
}

static __always_inline void reset_path(struct gb_scratch *s)
{
	s->status = UNRESOLVED;
	s->count = 0;
	s->length = 0;
	s->have = 0;
}

/* The rest of `resolve`, once all components are noted. */
static __always_inline void finish_path(struct gb_scratch *s)
{
	if (s->status == TOO_LONG) {
		COUNT(too_long);
		s->status = UNRESOLVED;
	}
	if (s->status != RESOLVED)
		return;
	s->left = s->count;
	s->leaf_length = s->lengths[0];
	if (s->count == 0) {
		s->text[0] = '/';
		s->length = 1;
		s->have = 1;
		s->leaf_length = 0;
	}
}

/* Climbs from `climb_dentry` and `climb_mount`. */
static __always_inline void climb_on(struct gb_scratch *s)
{
	bpf_loop(MAX_COMPONENTS, climb_step, &s, 0);
	finish_path(s);
}

/*
 * Whether a mount belongs to the mount namespace of the running task; else the path's status is
 * final.
 */
static __always_inline bool in_own_namespace(struct gb_scratch *s, u64 mount)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct nsproxy *namespaces = task->nsproxy;
	u64 own = namespaces ? (u64)namespaces->mnt_ns : 0;
	u64 its;

	if (bpf_rdonly_cast)
		its = (u64)TYPED(mount, mount)->mnt_ns;
	else
		its = (u64)BPF_CORE_READ((struct mount *)mount, mnt_ns);
	if (its && its == own)
		return true;
	if ((s64)its < 0 && (s64)its >= -4095)
		s->status = status_of_internal(mount);
	else
		COUNT(detached);
	return false;
}

/* Resolves a dentry below a mount. Both come from a hook's arguments. */
static __noinline void resolve(struct gb_scratch *s, struct dentry *dentry, struct vfsmount *mnt)
{
	u64 mount = (u64)MOUNT_OF(mnt);

	reset_path(s);
	if (!in_own_namespace(s, mount))
		return;
	if (bpf_rdonly_cast) {
		s->climb_dentry = (u64)dentry;
	} else {
		struct climb climb = { .s = s, .dentry = dentry, .root = mnt->mnt_root };

		bpf_loop(MAX_COMPONENTS / AT_ONCE + 1, typed_step, &climb, 0);
		s->climb_dentry = (u64)climb.dentry;
	}
	s->climb_mount = mount;
	climb_on(s);
}

/* Resolves a dentry below a mount, both by their addresses alone. */
static __noinline void resolve_at(struct gb_scratch *s, u64 dentry, u64 mnt)
{
	u64 mount = (u64)MOUNT_OF(mnt);

	reset_path(s);
	if (!in_own_namespace(s, mount))
		return;
	s->climb_dentry = dentry;
	s->climb_mount = mount;
	climb_on(s);
}

struct timespec64 {
	s64 tv_sec;
	s64 tv_nsec;
} RELOCATED;

/* A name shorter than this lies within its dentry (the least DNAME_INLINE_LEN), with so many bytes. */
#define INLINE_NAME 32

/*
 * Copies a name. Of one within its dentry all words, for reading them is cheaper than a helper call: none
 * of them can lie across the end of what is mapped, of which a word would read as zeros.
 */
static __always_inline void copy_name(u8 *to, u64 from, u32 length)
{
	if (bpf_rdonly_cast && length < INLINE_NAME) {
		for (u32 k = 0; k < INLINE_NAME / 16; k++) {
			struct timespec64 *words = TYPED(from + 16 * k, timespec64);

			((u64 *)to)[2 * k] = words->tv_sec;
			((u64 *)to)[2 * k + 1] = words->tv_nsec;
			if (length <= 16)
				break;
		}
		return;
	}
	bpf_probe_read_kernel(to, length, (void *)from);
}

/* Copies the next component to `text`, where other text may lie before the path. */
static __always_inline void copy_component(struct gb_scratch *s)
{
	u32 left = s->left - 1;
	u32 have = s->have & 8191;
	u32 length = s->lengths[left & (MAX_COMPONENTS - 1)] & 0xff;

	s->text[have] = '/';
	copy_name(&s->text[have + 1], s->names[left & (MAX_COMPONENTS - 1)], length);
	s->left = left;
	s->have = have + 1 + length;
}

static long copy_step(u32 i, struct gb_scratch **context)
{
	struct gb_scratch *s = *context;

	if (s->have >= s->length || !s->left)
		return 1;
	copy_component(s);
	return 0;
}

/* Copies all that is left of the path. */
static __always_inline void copy_path(struct gb_scratch *s)
{
	if (s->have < s->length)
		bpf_loop(MAX_COMPONENTS, copy_step, &s, 0);
}

#endif
