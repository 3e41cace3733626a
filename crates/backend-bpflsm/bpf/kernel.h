/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel types that the programs look into. `preserve_access_index` makes the loader
 * relocate each access to the running kernel, so only names and nesting matter here.
 */
#ifndef GAMBESON_KERNEL_H
#define GAMBESON_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed int s32;
typedef signed long long s64;
/* The names that libbpf's headers use. */
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s32 __s32;
typedef s64 __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;
typedef _Bool bool;

#define true 1
#define false 0
#define NULL ((void *)0)

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

#define BPF_F_NO_PREALLOC (1U << 0)
#define BPF_F_INNER_MAP (1U << 12)
#define BPF_F_RDONLY_PROG (1U << 7)
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1ULL

/* include/uapi and include/linux, by their own names */
#define EPERM 1
#define ENOMEM 12
#define EACCES 13
#define SIGKILL 9
#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_CREATED 0x100000
#define FMODE_EXEC_OPEN 0x20 /* __FMODE_EXEC in f_flags: the kernel's own open for an exec */
#define TMPFILE_FLAG 020000000 /* __O_TMPFILE */
#define PROT_WRITE 0x2
#define PROT_EXEC 0x4
#define MAP_SHARED 0x01
#define VM_WRITE 0x2
#define VM_EXEC 0x4
#define VM_SHARED 0x8
#define S_IFMT 0170000
#define S_IFDIR 0040000
#define SB_KERNMOUNT (1 << 22)
#define PF_KTHREAD 0x00200000
#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6
#define PROC_SUPER_MAGIC 0x9fa0
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_PACKET 17
#define CAP_OPT_NOAUDIT 2
#define FS_IOC_SETFLAGS 0x40086602
#define FS_IOC32_SETFLAGS 0x40046602
#define FS_IOC_FSSETXATTR 0x401c5820

#define RELOCATED __attribute__((preserve_access_index))

struct qstr {
	union {
		struct {
			u32 hash;
			u32 len;
		};
		u64 hash_len;
	};
	const unsigned char *name;
} RELOCATED;

typedef struct {
	u32 val;
} kuid_t;

struct super_block {
	unsigned long s_flags;
	unsigned long s_magic;
} RELOCATED;

struct inode {
	u16 i_mode;
	kuid_t i_uid;
	unsigned int i_nlink;
	struct super_block *i_sb;
} RELOCATED;

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
} RELOCATED;

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
} RELOCATED;

struct mnt_namespace;

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
} RELOCATED;

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} RELOCATED;

struct file {
	u32 f_mode;
	unsigned int f_flags;
	struct path f_path;
	struct inode *f_inode;
} RELOCATED;

struct mm_struct {
	struct file *exe_file;
	unsigned long env_end;
} RELOCATED;

struct vm_area_struct {
	struct file *vm_file;
	unsigned long vm_flags;
} RELOCATED;

struct linux_binprm {
	struct file *file;
	int argc;
	unsigned long p;
} RELOCATED;

struct nsproxy {
	struct mnt_namespace *mnt_ns;
} RELOCATED;

struct tty_struct;

struct signal_struct {
	struct tty_struct *tty;
} RELOCATED;

struct cred {
	kuid_t fsuid;
} RELOCATED;

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct mm_struct *mm;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	const struct cred *cred;
} RELOCATED;

struct sock_common {
	unsigned short skc_family;
} RELOCATED;

struct sock {
	struct sock_common __sk_common;
	u16 sk_type;
	u16 sk_protocol;
} RELOCATED;

struct unix_sock {
	struct path path;
} RELOCATED;

struct socket {
	short type;
	struct sock *sk;
} RELOCATED;

struct kernfs_node {
	u64 id;
} RELOCATED;

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
} RELOCATED;

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
} RELOCATED;

struct bpf_map {
	u32 id;
} RELOCATED;

struct bpf_prog_aux {
	u32 id;
} RELOCATED;

struct bpf_prog {
	struct bpf_prog_aux *aux;
} RELOCATED;

struct user_namespace;
struct iattr;

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#endif
