/* The actor performs, for real, the operations of which the decision model speaks.
 *
 * One program, two parts. As the stage (`--stage`) it builds a root of its own, starts a copy of
 * itself at the subject's path, moves that process into a cgroup and tells it to go. As the actor
 * (`--act`) it prepares what has to exist before any policy judges it, waits for the word, acts,
 * and leaves its errno in memory shared with the stage, which no policy touches. Executed in any
 * other way it exits with EXECUTED, and so shows that it could be.
 */
#ifndef ACTOR_H
#define ACTOR_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { EXECUTED = 77 };

/* How far the actor got. */
enum state { STARTED, READY, GO, DONE, UNPREPARED };

/* The page that the stage and the actor share. */
struct page {
	volatile int state;
	volatile int error;  /* errno; 0 for success */
	volatile int index;  /* of the act that failed */
	volatile int killed; /* the signal that ended an executed program */
	volatile int exec_error; /* errno of an execve in a child */
};

enum { MAX_ARGUMENTS = 64 };

/* One act: how, and on what. */
struct act {
	const struct way *way;
	const char *path; /* the object, by the name that the system call is given */
	const char *to;   /* the second name */
	const char *arguments[MAX_ARGUMENTS + 1]; /* of an executed program, without argv[0] */
	int argument_count;
	long number[4];   /* family, type, protocol, port; or a capability */
	pid_t other;      /* another process, of another user */
	int fd, fd2;      /* what was prepared */
	void *memory;
	struct page *page;
	char **rest;      /* the arguments of the acts that follow, up to NULL */
	const char *page_number; /* the page's descriptor, as an argument */
};

/* A way of doing it. `prepare` runs before the policy binds, `perform` after it; both return 0 or
 * an errno. */
struct way {
	const char *name;
	int (*prepare)(struct act *);
	int (*perform)(struct act *);
};

extern const struct way file_ways[], name_ways[], program_ways[], socket_ways[], capability_ways[],
	room_ways[], ring_ways[];

/* Preparations that several ways share: opening the object's directory (`to` becomes its name in there),
 * and the object itself as a path alone. */
int prepare_directory(struct act *a);
int prepare_path_only(struct act *a);

/* What a call said, as 0 or an errno. */
static inline int said(long result)
{
	return result < 0 ? errno : 0;
}

/* The same for a descriptor that is of no further use. */
static inline int opened(int fd)
{
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Runs a function in a child; 0 or the errno that it returned. */
int in_child(struct act *act, int (*body)(struct act *));

/* A memfd, executable and writable. */
int new_memfd(void);

/* Copies what is in one file to another. */
int copy_all(int from, int to);

/* AppArmor and SELinux let nobody but a process itself change its profile or domain. Opens what that
 * takes, below this descriptor of /proc, which is closed. */
int open_label(int proc, const char *attribute);

/* Writes what asks for it; 0 or an errno. */
int take_label(int fd, const char *text);

int stage(int count, char **arguments);
int perform(int count, char **arguments);

#endif
