/* Mounts, namespaces, cgroups and other processes. */
#include "actor.h"
#include <sys/ptrace.h>
#include <sys/uio.h>

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#endif
enum { RECURSIVE = 0x8000 };

static int bind_mount(struct act *a) { return said(mount(a->path, a->to, NULL, MS_BIND | MS_REC, NULL)); }
static int mount_memory(struct act *a) { return said(mount("none", a->path, "tmpfs", 0, NULL)); }
static int prepare_layer(struct act *a) { (void)a; return said(mkdir("/.actor-layer", 0777)); }

static int mount_overlay(struct act *a)
{
	char options[8192];

	/* `to` is the mount point, `path` the lower directory. */
	snprintf(options, sizeof options, "lowerdir=%s:/.actor-layer", a->path);
	return said(mount("none", a->to, "overlay", 0, options));
}
static int prepare_mounted(struct act *a) { return said(mount(a->path, a->path, NULL, MS_BIND, NULL)); }
static int remount(struct act *a) { return said(mount(NULL, a->path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL)); }
static int move_mount_old(struct act *a) { return said(mount(a->path, a->to, NULL, MS_MOVE, NULL)); }
static int unmount(struct act *a) { return said(umount2(a->path, MNT_DETACH)); }

static int tree(struct act *a)
{
	return said(a->fd = syscall(SYS_open_tree, AT_FDCWD, a->path, OPEN_TREE_CLONE | RECURSIVE));
}

static int attach(struct act *a)
{
	int error = tree(a);

	return error ? error : said(syscall(SYS_move_mount, a->fd, "", AT_FDCWD, a->to, MOVE_MOUNT_F_EMPTY_PATH));
}

/* Opens `to` in a detached copy of the tree at `path`. */
static int open_in_tree(struct act *a)
{
	int error = tree(a);

	return error ? error : opened(openat(a->fd, a->to, O_RDONLY));
}

static int write_in_tree(struct act *a)
{
	int error = tree(a);

	return error ? error : opened(openat(a->fd, a->to, O_WRONLY));
}

static int change_root(struct act *a) { return chroot(a->path) ? errno : said(chdir("/")); }
static int pivot(struct act *a) { return chdir(a->path) ? errno : said(syscall(SYS_pivot_root, ".", ".")); }

static int leave_mounts(struct act *a) { (void)a; return said(unshare(CLONE_NEWNS)); }
static int leave_users(struct act *a) { (void)a; return said(unshare(CLONE_NEWUSER)); }
static int leave_network(struct act *a) { (void)a; return said(unshare(CLONE_NEWNET)); }
static int leave_cgroups(struct act *a) { (void)a; return said(unshare(CLONE_NEWCGROUP)); }

/* The parent waits; what follows is done by the child. */
static int go_on_in_child(struct act *a)
{
	pid_t child = fork();

	(void)a;
	if (child < 0)
		return errno;
	if (child == 0)
		return 0;
	waitpid(child, NULL, 0);
	_exit(0);
}

static int leave_pids(struct act *a) { return unshare(CLONE_NEWPID) ? errno : go_on_in_child(a); }

/* What follows is done by a process without a parent in the workload. */
static int become_orphan(struct act *a)
{
	pid_t child = fork();

	(void)a;
	if (child > 0)
		_exit(0);
	if (child < 0)
		return errno;
	setsid();
	usleep(2000);
	return 0;
}

static int prepare_namespace(struct act *a)
{
	char name[64];

	snprintf(name, sizeof name, "/proc/%d/ns/mnt", (int)a->other);
	return said(a->fd = open(name, O_RDONLY));
}

static int enter_mounts(struct act *a) { return said(setns(a->fd, CLONE_NEWNS)); }

static int prepare_cgroup(struct act *a)
{
	char name[4096];

	snprintf(name, sizeof name, "%s/cgroup.procs", a->path);
	return said(a->fd = open(name, O_WRONLY));
}

static int move_to_cgroup(struct act *a) { return write(a->fd, "0", 1) == 1 ? 0 : errno; }

static int make_cgroup(struct act *a)
{
	char name[4096];

	if (mkdir(a->path, 0755) && errno != EEXIST)
		return errno;
	snprintf(name, sizeof name, "%s/cgroup.procs", a->path);
	a->fd = open(name, O_WRONLY);
	return a->fd < 0 ? errno : move_to_cgroup(a);
}

/* ---- other processes ---- */

static int trace(struct act *a)
{
	if (ptrace(PTRACE_SEIZE, a->other, NULL, NULL))
		return errno;
	return 0;
}

static int read_of_other(struct act *a, const char *what, int flags)
{
	char name[64], byte;
	int fd;

	snprintf(name, sizeof name, "/proc/%d/%s", (int)a->other, what);
	fd = open(name, flags);
	return fd < 0 ? errno : said(read(fd, &byte, 1));
}

static int read_environment(struct act *a) { return read_of_other(a, "environ", O_RDONLY); }
static int read_status(struct act *a) { return read_of_other(a, "status", O_RDONLY); }

static int open_memory(struct act *a)
{
	char name[64];

	snprintf(name, sizeof name, "/proc/%d/mem", (int)a->other);
	return opened(open(name, O_RDWR));
}

static int read_own_environment(struct act *a) { (void)a; return opened(open("/proc/self/environ", O_RDONLY)); }

static int write_memory(struct act *a)
{
	static char byte = 'x';
	struct iovec here = { &byte, 1 };

	/* The other process is a fork of a program with the same addresses. */
	return said(process_vm_writev(a->other, &here, 1, &here, 1, 0)) == EPERM ? EPERM : 0;
}

/* What another root is called from outside: /proc/PID/root. */
static int read_through_other_root(struct act *a)
{
	char name[4096];

	snprintf(name, sizeof name, "/proc/%d/root%s", (int)a->other, a->path);
	return opened(open(name, O_RDONLY));
}

static int nothing(struct act *a) { (void)a; return 0; }

const struct way room_ways[] = {
	{ "bind-mount", NULL, bind_mount },
	{ "mount-tmpfs", NULL, mount_memory },
	{ "mount-overlay", prepare_layer, mount_overlay },
	{ "remount", prepare_mounted, remount },
	{ "mount-move", prepare_mounted, move_mount_old },
	{ "umount", prepare_mounted, unmount },
	{ "umount-cover", NULL, unmount },
	{ "move-mount", NULL, attach },
	{ "open-tree", NULL, open_in_tree },
	{ "open-tree-write", NULL, write_in_tree },
	{ "chroot", NULL, change_root },
	{ "pivot-root", prepare_mounted, pivot },
	{ "unshare-mount", NULL, leave_mounts },
	{ "unshare-user", NULL, leave_users },
	{ "unshare-pid", NULL, leave_pids },
	{ "unshare-net", NULL, leave_network },
	{ "unshare-cgroup", NULL, leave_cgroups },
	{ "setns-mount", prepare_namespace, enter_mounts },
	{ "fork", NULL, go_on_in_child },
	{ "orphan", NULL, become_orphan },
	{ "cgroup-move", prepare_cgroup, move_to_cgroup },
	{ "cgroup-make", NULL, make_cgroup },
	{ "ptrace", NULL, trace },
	{ "proc-environ", NULL, read_environment },
	{ "proc-environ-own", NULL, read_own_environment },
	{ "proc-status", NULL, read_status },
	{ "proc-mem", NULL, open_memory },
	{ "process-vm-writev", NULL, write_memory },
	{ "open-other-root", NULL, read_through_other_root },
	{ "nothing", NULL, nothing },
	{ 0 },
};
