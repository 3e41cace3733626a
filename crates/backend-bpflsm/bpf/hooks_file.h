/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hooks about opened and mapped files. */
#ifndef GAMBESON_HOOKS_FILE_H
#define GAMBESON_HOOKS_FILE_H

#include "judge.h"

/* One event about one path, of a task with such a label. */
static __always_inline int file_event_of(struct gb_subject *label, struct dentry *dentry, struct vfsmount *mnt,
					 bool reading, u32 hook)
{
	struct gb_scratch *s = OPEN_FOR_OR_RETURN(label, CLASS_BIT(FILES));
	int result;

	resolve(s, dentry, mnt);
	decide_file(s, owns(owned_inode(dentry)), reading, false);
	result = carry_out(s, reading ? GB_OP_READ : GB_OP_WRITE, hook, false);
	release(s);
	return result;
}

static __always_inline int file_event(struct dentry *dentry, struct vfsmount *mnt, bool reading, u32 hook)
{
	return file_event_of(kept_label(), dentry, mnt, reading, hook);
}

/* Places in `Preset::ALL`. */
enum { FILELESS_EXEC, ANONYMOUS_MAP_EXEC, PROTECT_ENV, PRESET_EXEC, PROTECT_PROC };

/* A kernel situation that a preset names. */
static __always_inline int preset_event(u32 preset, u32 hook)
{
	struct gb_scratch *s = OPEN_OR_RETURN(CLASS_BIT(PRESETS));

	s->event.detail[0] = preset;
	return judge_row(s, PRESETS, preset, GB_OP_PRESET, hook, false);
}

struct pid;

struct proc_inode {
	struct pid *pid;
	struct inode vfs_inode;
} RELOCATED;

struct signal_struct___pids {
	struct pid *pids[4];
} RELOCATED;

#define PIDTYPE_TGID 1

/* Whether a file of /proc tells of another process. */
static __always_inline bool tells_of_another(struct inode *inode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct signal_struct___pids *signal = (void *)task->signal;
	struct proc_inode *proc = (void *)((u64)inode - bpf_core_field_offset(struct proc_inode, vfs_inode));
	struct pid *its = BPF_CORE_READ(proc, pid);
	struct pid *own = BPF_CORE_READ(signal, pids[PIDTYPE_TGID]);

	return its && its != own;
}

static __always_inline bool is_environ(struct dentry *dentry)
{
	u64 name = 0;

	if (dentry->d_name.len != 7)
		return false;
	bpf_probe_read_kernel(&name, 7, dentry->d_name.name);
	return name == 0x6e6f7269766e65ull; /* `environ`, the first letter lowest */
}

/* Read, or Write where it is opened for writing too; presets protectEnv and protectProc. */
SEC("lsm/file_open")
int BPF_PROG(gb_file_open, struct file *file)
{
	struct gb_subject *label = kept_label();
	struct inode *inode;
	u32 flags, mode;

	if (is_free(label))
		return 0;
	inode = file->f_inode;
	flags = file->f_flags;
	mode = file->f_mode;
	/* The kernel's own open for an exec is part of the exec. */
	if (flags & FMODE_EXEC_OPEN)
		return 0;
	if (inode->i_sb->s_magic == PROC_SUPER_MAGIC && tells_of_another(inode)) {
		int result = 0;

		if (is_environ(file->f_path.dentry))
			result = preset_event(PROTECT_ENV, GB_HOOK_FILE_OPEN);
		if (!result)
			result = preset_event(PROTECT_PROC, GB_HOOK_FILE_OPEN);
		if (result)
			return result;
	}
	/* A file that the open itself created was judged as a new name (path_mknod). */
	if (mode & FMODE_CREATED && !(flags & TMPFILE_FLAG))
		return 0;
	return file_event_of(label, file->f_path.dentry, file->f_path.mnt, !(mode & FMODE_WRITE), GB_HOOK_FILE_OPEN);
}

/* Read or Write of a descriptor that another process sent. */
SEC("lsm/file_receive")
int BPF_PROG(gb_file_receive, struct file *file)
{
	return file_event(file->f_path.dentry, file->f_path.mnt, !(file->f_mode & FMODE_WRITE),
			  GB_HOOK_FILE_RECEIVE);
}

/* Write: ftruncate and O_TRUNC, since 6.2. */
SEC("lsm/file_truncate")
int BPF_PROG(gb_file_truncate, struct file *file)
{
	return file_event(file->f_path.dentry, file->f_path.mnt, false, GB_HOOK_FILE_TRUNCATE);
}

static __always_inline int ioctl_event(struct file *file, unsigned int command)
{
	if (command != FS_IOC_SETFLAGS && command != FS_IOC32_SETFLAGS && command != FS_IOC_FSSETXATTR)
		return 0;
	return file_event(file->f_path.dentry, file->f_path.mnt, false, GB_HOOK_FILE_IOCTL);
}

/* Write: attribute flags. */
SEC("lsm/file_ioctl")
int BPF_PROG(gb_file_ioctl, struct file *file, unsigned int command)
{
	return ioctl_event(file, command);
}

/* As above, from 32-bit programs; since 6.8. */
SEC("lsm/file_ioctl_compat")
int BPF_PROG(gb_file_ioctl_compat, struct file *file, unsigned int command)
{
	return ioctl_event(file, command);
}

/* Whether the task is within an exec: the new memory's environment is not set up before the program
 * and its ELF interpreter are mapped, and no program can unset it.
 */
static __always_inline bool in_exec(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mm_struct *mm = task->mm;

	return mm && !mm->env_end;
}

/* Fails where the exec under way is denied: then not even the program's file is mapped. */
static __always_inline int is_doomed(void)
{
	u64 task = (u64)bpf_get_current_task_btf();
	struct gb_pending *p = bpf_map_lookup_elem(&pending, &task);

	return p && p->doomed ? -EPERM : 0;
}

/* A file mapped executable, by whatever but an exec. */
static __always_inline int mapping_event(struct file *file, u32 hook)
{
	struct dentry *dentry = file->f_path.dentry;
	struct gb_scratch *s = OPEN_OR_RETURN(CLASS_BIT(PROCESS));
	int result;

	resolve(s, dentry, file->f_path.mnt);
	s->class = PROCESS;
	s->mapping = 1;
	set_holding(s, owns(owned_inode(dentry)), false);
	gb_decide_path(s->slot);
	result = carry_out(s, GB_OP_MAP_EXEC, hook, false);
	release(s);
	return result;
}

/* Mapping; Write where the mapping is shared and writable; preset anonymousMapExec. */
SEC("lsm/mmap_file")
int BPF_PROG(gb_mmap_file, struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)
{
	int result = 0;

	if (!(prot & (PROT_EXEC | PROT_WRITE)))
		return 0;
	if (in_exec())
		return is_doomed();
	/* As with inodes: some verifiers take it for granted that there is a file. */
	if (bpf_rdonly_cast)
		file = TYPED(file, file);
	if (!file)
		return prot & PROT_EXEC ? preset_event(ANONYMOUS_MAP_EXEC, GB_HOOK_MMAP_FILE) : 0;
	if (prot & PROT_EXEC)
		result = mapping_event(file, GB_HOOK_MMAP_FILE);
	if (!result && prot & PROT_WRITE && flags & MAP_SHARED)
		result = file_event(file->f_path.dentry, file->f_path.mnt, false, GB_HOOK_MMAP_FILE);
	return result;
}

/* As mmap_file, for what becomes executable or writable later. */
SEC("lsm/file_mprotect")
int BPF_PROG(gb_file_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)
{
	unsigned long flags = vma->vm_flags;
	struct file *file = vma->vm_file;
	int result = 0;

	if (prot & PROT_EXEC && !(flags & VM_EXEC)) {
		if (!file)
			return preset_event(ANONYMOUS_MAP_EXEC, GB_HOOK_FILE_MPROTECT);
		result = mapping_event(file, GB_HOOK_FILE_MPROTECT);
	}
	if (!result && file && prot & PROT_WRITE && flags & VM_SHARED && !(flags & VM_WRITE))
		result = file_event(file->f_path.dentry, file->f_path.mnt, false, GB_HOOK_FILE_MPROTECT);
	return result;
}

#endif
