/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hooks about names and metadata: all of them are Writes. */
#ifndef GAMBESON_HOOKS_PATH_H
#define GAMBESON_HOOKS_PATH_H

#include "hooks_file.h"

struct super_block___device {
	u32 s_dev;
} RELOCATED;

struct inode___number {
	unsigned long i_ino;
} RELOCATED;

/* Whether a name is that of the enforcer's pins, or of their directory. */
static __always_inline bool is_pin(struct dentry *dentry)
{
	struct gb_control *c = control_of();
	struct super_block___device *sb;
	struct inode___number *inode;

	if (!c || !c->pin_device)
		return false;
	sb = (void *)dentry->d_sb;
	if (BPF_CORE_READ(sb, s_dev) != c->pin_device)
		return false;
	inode = (void *)inode_of(dentry);
	if (inode && BPF_CORE_READ(inode, i_ino) == c->pin_inode)
		return true;
	inode = (void *)inode_of(dentry->d_parent);
	return inode && BPF_CORE_READ(inode, i_ino) == c->pin_inode;
}

static __always_inline int guard_pin(struct dentry *dentry)
{
	struct gb_subject spare;

	if (!is_pin(dentry) || !subject(&spare))
		return 0;
	COUNT(tampering);
	return -EPERM;
}

/* A name in a directory. */
static __always_inline int name_event(const struct path *dir, struct dentry *dentry, u32 hook)
{
	int result = guard_pin(dentry);

	return result ?: file_event(dentry, dir->mnt, false, hook);
}

SEC("lsm/path_unlink")
int BPF_PROG(gb_path_unlink, const struct path *dir, struct dentry *dentry)
{
	return name_event(dir, dentry, GB_HOOK_PATH_UNLINK);
}

SEC("lsm/path_rmdir")
int BPF_PROG(gb_path_rmdir, const struct path *dir, struct dentry *dentry)
{
	return name_event(dir, dentry, GB_HOOK_PATH_RMDIR);
}

SEC("lsm/path_mkdir")
int BPF_PROG(gb_path_mkdir, const struct path *dir, struct dentry *dentry)
{
	return name_event(dir, dentry, GB_HOOK_PATH_MKDIR);
}

/* Regular files too, and the names of Unix sockets. */
SEC("lsm/path_mknod")
int BPF_PROG(gb_path_mknod, const struct path *dir, struct dentry *dentry)
{
	return name_event(dir, dentry, GB_HOOK_PATH_MKNOD);
}

SEC("lsm/path_symlink")
int BPF_PROG(gb_path_symlink, const struct path *dir, struct dentry *dentry)
{
	return name_event(dir, dentry, GB_HOOK_PATH_SYMLINK);
}

SEC("lsm/path_chmod")
int BPF_PROG(gb_path_chmod, const struct path *path)
{
	return file_event(path->dentry, path->mnt, false, GB_HOOK_PATH_CHMOD);
}

/* Since 6.1: its ids are structures, which trampolines couldn't pass on before. */
SEC("lsm/path_chown")
int BPF_PROG(gb_path_chown, const struct path *path)
{
	return file_event(path->dentry, path->mnt, false, GB_HOOK_PATH_CHOWN);
}

/* truncate; before 6.2 also ftruncate and O_TRUNC. */
SEC("lsm/path_truncate")
int BPF_PROG(gb_path_truncate, const struct path *path)
{
	return file_event(path->dentry, path->mnt, false, GB_HOOK_PATH_TRUNCATE);
}

static __always_inline bool is_directory(struct dentry *dentry)
{
	struct inode *inode = inode_of(dentry);

	return inode && (inode->i_mode & S_IFMT) == S_IFDIR;
}

/*
 * Two names: two events, the strictest verdict wins, a tie reports the old name. Where Block is only
 * reported the verdicts are Audit, and tie with an Audit.
 */
static __always_inline int two_names_event(struct dentry *old, struct vfsmount *old_mnt, struct dentry *new,
					   struct vfsmount *new_mnt, bool with_below, u32 hook)
{
	struct decision of_new;
	struct gb_scratch *s = OPEN_OR_RETURN(CLASS_BIT(FILES));
	int result;

	resolve(s, new, new_mnt);
	decide_file(s, owns(owned_inode(new)), false, with_below && (is_directory(old) || is_directory(new)));
	put_in_force(s);
	of_new = decision_of(s);
	resolve(s, old, old_mnt);
	s->event.flags = 0;
	decide_file(s, owns(owned_inode(old)), false, with_below && is_directory(old));
	put_in_force(s);
	if (of_new.verdict > s->verdict) {
		resolve(s, new, new_mnt);
		answer_with(s, of_new.verdict, of_new.cause, of_new.rule);
	}
	result = carry_out(s, GB_OP_WRITE, hook, false);
	release(s);
	return result;
}

SEC("lsm/path_link")
int BPF_PROG(gb_path_link, struct dentry *old, const struct path *new_dir, struct dentry *new)
{
	/* A link never leaves its mount. */
	return two_names_event(old, new_dir->mnt, new, new_dir->mnt, false, GB_HOOK_PATH_LINK);
}

SEC("lsm/path_rename")
int BPF_PROG(gb_path_rename, const struct path *old_dir, struct dentry *old, const struct path *new_dir,
	     struct dentry *new)
{
	int result = guard_pin(old) ?: guard_pin(new);

	return result ?: two_names_event(old, old_dir->mnt, new, new_dir->mnt, true, GB_HOOK_PATH_RENAME);
}

/* ---- metadata, of which hooks tell the dentry alone ---- */

struct list_head {
	struct list_head *next;
} RELOCATED;

struct super_block___list {
	struct list_head s_mounts;
} RELOCATED;

struct mount___list {
	struct list_head mnt_instance;
} RELOCATED;

/* Since 6.17. */
struct super_block___chain {
	struct mount *s_mounts;
} RELOCATED;

struct mount___chain {
	struct mount *mnt_next_for_sb;
} RELOCATED;

#define MAX_MOUNTS 64

static __always_inline u64 mount_after(u64 mount)
{
	if (bpf_core_field_exists(struct mount___chain, mnt_next_for_sb))
		return (u64)BPF_CORE_READ((struct mount___chain *)mount, mnt_next_for_sb);
	return (u64)BPF_CORE_READ((struct mount___list *)mount, mnt_instance.next) -
	       bpf_core_field_offset(struct mount___list, mnt_instance);
}

static long mount_step(u32 i, struct gb_scratch **context)
{
	struct gb_scratch *s = *context;
	struct gb_mounts *m = &s->mounts;
	u64 mount = m->next;

	if (!mount || mount == m->end)
		return 1;
	m->next = mount_after(mount);
	if ((u64)BPF_CORE_READ((struct mount *)mount, mnt_ns) != m->own)
		return 0;
	reset_path(s);
	s->climb_dentry = m->dentry;
	s->climb_mount = mount;
	climb_on(s);
	/* Not below this mount's root: it shows another part of the file system. */
	if (s->status != RESOLVED)
		return 0;
	decide_file(s, m->owner, false, false);
	if (!m->shown || s->verdict > s->worst_mount.verdict) {
		s->worst_mount = decision_of(s);
		m->shown = mount;
	}
	return 0;
}

/*
 * A Write to a file of which only the dentry is known. Every mount of its file system in the
 * task's namespace that shows the file gives it a name; the strictest verdict stands. Where none
 * does, it is a layer of another file system, whose own name was judged.
 */
static __always_inline int metadata_event(struct dentry *dentry, u32 hook)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct nsproxy *namespaces = task->nsproxy;
	u64 sb = (u64)dentry->d_sb;
	bool owner = owns(owned_inode(dentry));
	struct gb_mounts *m;
	struct gb_scratch *s;
	int result = 0;

	s = OPEN_OR_RETURN(CLASS_BIT(FILES));
	m = &s->mounts;
	m->dentry = (u64)dentry;
	m->owner = owner;
	m->shown = 0;
	m->own = namespaces ? (u64)namespaces->mnt_ns : 0;
	if (bpf_core_field_exists(struct mount___chain, mnt_next_for_sb)) {
		m->next = (u64)BPF_CORE_READ((struct super_block___chain *)sb, s_mounts);
		m->end = 0;
	} else {
		u64 offset = bpf_core_field_offset(struct mount___list, mnt_instance);

		m->next = (u64)BPF_CORE_READ((struct super_block___list *)sb, s_mounts.next) - offset;
		m->end = sb + bpf_core_field_offset(struct super_block___list, s_mounts) - offset;
	}
	bpf_loop(MAX_MOUNTS, mount_step, &s, 0);
	if (m->next && m->next != m->end) {
		/* Too many to look at each. */
		reset_path(s);
		decide_file(s, owner, false, false);
		result = carry_out(s, GB_OP_WRITE, hook, false);
	} else if (m->shown) {
		reset_path(s);
		s->climb_dentry = m->dentry;
		s->climb_mount = m->shown;
		climb_on(s);
		take_decision(s, &s->worst_mount);
		result = carry_out(s, GB_OP_WRITE, hook, false);
	}
	release(s);
	return result;
}

struct iattr {
	unsigned int ia_valid;
} RELOCATED;

/* Times alone: changes of mode, owner and size have hooks of their own. */
#define ATTR_TIMES (1 << 4 | 1 << 5)
#define ATTR_ELSEWHERE (1 << 0 | 1 << 1 | 1 << 2 | 1 << 3)

static __always_inline int setattr_event(struct dentry *dentry, struct iattr *attr)
{
	u32 valid = attr->ia_valid;

	if (!(valid & ATTR_TIMES) || valid & ATTR_ELSEWHERE)
		return 0;
	return metadata_event(dentry, GB_HOOK_INODE_SETATTR);
}

SEC("lsm/inode_setattr")
int BPF_PROG(gb_inode_setattr__2, struct dentry *dentry, struct iattr *attr)
{
	return setattr_event(dentry, attr);
}

SEC("lsm/inode_setattr")
int BPF_PROG(gb_inode_setattr__3, void *idmap, struct dentry *dentry, struct iattr *attr)
{
	return setattr_event(dentry, attr);
}

SEC("lsm/inode_setxattr")
int BPF_PROG(gb_inode_setxattr, void *idmap, struct dentry *dentry)
{
	return metadata_event(dentry, GB_HOOK_INODE_SETXATTR);
}

SEC("lsm/inode_removexattr")
int BPF_PROG(gb_inode_removexattr, void *idmap, struct dentry *dentry)
{
	return metadata_event(dentry, GB_HOOK_INODE_REMOVEXATTR);
}

/* Since 6.2; before, ACLs are xattrs. */
SEC("lsm/inode_set_acl")
int BPF_PROG(gb_inode_set_acl, void *idmap, struct dentry *dentry)
{
	return metadata_event(dentry, GB_HOOK_INODE_SET_ACL);
}

SEC("lsm/inode_remove_acl")
int BPF_PROG(gb_inode_remove_acl, void *idmap, struct dentry *dentry)
{
	return metadata_event(dentry, GB_HOOK_INODE_REMOVE_ACL);
}

/* Attribute flags by their own system call, since 6.17. */
SEC("lsm/inode_file_setattr")
int BPF_PROG(gb_inode_file_setattr, struct dentry *dentry)
{
	return metadata_event(dentry, GB_HOOK_INODE_SETATTR);
}

/* ---- Unix sockets that have a path ---- */

static __always_inline int unix_event(u64 sock, u32 hook)
{
	struct unix_sock *u = (void *)sock;
	u64 dentry, mnt;
	struct inode *inode;
	struct task_struct *task = bpf_get_current_task_btf();
	struct gb_scratch *s;
	bool owner = false;
	int result;

	dentry = (u64)BPF_CORE_READ(u, path.dentry);
	mnt = (u64)BPF_CORE_READ(u, path.mnt);
	if (!dentry || !mnt)
		return 0;
	s = OPEN_OR_RETURN(CLASS_BIT(FILES));
	inode = BPF_CORE_READ((struct dentry *)dentry, d_inode);
	if (inode)
		owner = BPF_CORE_READ(inode, i_uid.val) == task->cred->fsuid.val;
	resolve_at(s, dentry, mnt);
	decide_file(s, owner, false, false);
	result = carry_out(s, GB_OP_WRITE, hook, false);
	release(s);
	return result;
}

SEC("lsm/unix_stream_connect")
int BPF_PROG(gb_unix_stream_connect, struct sock *sock, struct sock *other)
{
	return unix_event((u64)other, GB_HOOK_UNIX_CONNECT);
}

SEC("lsm/unix_may_send")
int BPF_PROG(gb_unix_may_send, struct socket *sock, struct socket *other)
{
	return unix_event((u64)BPF_CORE_READ(other, sk), GB_HOOK_UNIX_SEND);
}

#endif
