/* Opening, changing and mapping what is in a file. */
#include "actor.h"
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/time.h>

/* ---- opening ---- */

static int open_read(struct act *a) { return opened(open(a->path, O_RDONLY)); }
static int open_write(struct act *a) { return opened(open(a->path, O_WRONLY)); }
static int open_both(struct act *a) { return opened(open(a->path, O_RDWR)); }
static int open_append(struct act *a) { return opened(open(a->path, O_WRONLY | O_APPEND)); }
static int open_create(struct act *a) { return opened(open(a->path, O_WRONLY | O_CREAT | O_EXCL, 0666)); }
static int open_truncate(struct act *a) { return opened(open(a->path, O_RDONLY | O_TRUNC)); }
static int open_write_truncate(struct act *a) { return opened(open(a->path, O_WRONLY | O_TRUNC)); }
static int open_directory(struct act *a) { return opened(open(a->path, O_RDONLY | O_DIRECTORY)); }
static int open_temporary(struct act *a) { return opened(open(a->path, O_WRONLY | O_TMPFILE, 0600)); }
static int open_path_only(struct act *a) { return opened(open(a->path, O_PATH)); }
static int creat_file(struct act *a) { return opened(creat(a->path, 0666)); }

static int by_openat2(struct act *a, int flags)
{
	struct open_how how = { .flags = flags };

	return opened(syscall(SYS_openat2, AT_FDCWD, a->path, &how, sizeof how));
}

static int openat2_read(struct act *a) { return by_openat2(a, O_RDONLY); }
static int openat2_write(struct act *a) { return by_openat2(a, O_WRONLY); }

/* From its directory, which was opened before. */
static int openat_read(struct act *a) { return opened(openat(a->fd, a->to, O_RDONLY)); }

static int dotted(struct act *a, char *name, size_t size)
{
	int length = snprintf(name, size, "/./..//.%s", a->path);

	return length < (int)size ? 0 : ENAMETOOLONG;
}

static int dotted_read(struct act *a)
{
	char name[4096];
	int error = dotted(a, name, sizeof name);

	return error ? error : opened(open(name, O_RDONLY));
}

static int root_read(struct act *a)
{
	char name[4096];

	snprintf(name, sizeof name, "/proc/self/root%s", a->path);
	return opened(open(name, O_RDONLY));
}

static int prepare_read(struct act *a) { return said(a->fd = open(a->path, O_RDONLY)); }
static int prepare_both(struct act *a) { return said(a->fd = open(a->path, O_RDWR)); }

static int reopen(struct act *a, int flags)
{
	char name[64];

	snprintf(name, sizeof name, "/proc/self/fd/%d", a->fd);
	return opened(open(name, flags));
}

static int reopen_read(struct act *a) { return reopen(a, O_RDONLY); }
static int reopen_write(struct act *a) { return reopen(a, O_WRONLY); }

static int prepare_memfd(struct act *a) { return said(a->fd = new_memfd()); }

static int prepare_pipe(struct act *a)
{
	int ends[2];

	if (pipe(ends))
		return errno;
	a->fd = ends[1];
	a->fd2 = ends[0];
	return 0;
}

/* An open file whose name is gone. */
static int prepare_deleted(struct act *a)
{
	a->fd = open(a->path, O_RDWR);
	return a->fd < 0 ? errno : said(unlink(a->path));
}

struct handle { struct file_handle head; unsigned char bytes[128]; };

static int prepare_handle(struct act *a)
{
	struct handle *handle = calloc(1, sizeof *handle);
	int mount;

	handle->head.handle_bytes = sizeof handle->bytes;
	a->memory = handle;
	if (name_to_handle_at(AT_FDCWD, a->path, &handle->head, &mount, 0))
		return errno;
	return said(a->fd = open("/", O_RDONLY | O_DIRECTORY));
}

static int handle_read(struct act *a) { return opened(open_by_handle_at(a->fd, a->memory, O_RDONLY)); }
static int handle_write(struct act *a) { return opened(open_by_handle_at(a->fd, a->memory, O_WRONLY)); }

/* ---- descriptors that were opened before ---- */

static int use_read(struct act *a) { char byte; return said(read(a->fd, &byte, 1)); }
static int use_write(struct act *a) { return said(write(a->fd, "x", 1)); }

static int send_descriptor(int socket, int fd)
{
	union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	struct iovec data = { .iov_base = "x", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };

	control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
	return said(sendmsg(socket, &message, 0));
}

static int prepare_sent(struct act *a, int flags)
{
	int ends[2], fd = open(a->path, flags);

	if (fd < 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, ends))
		return errno;
	a->fd = ends[0];
	int error = send_descriptor(ends[1], fd);
	close(fd);
	return error;
}

static int prepare_sent_read(struct act *a) { return prepare_sent(a, O_RDONLY); }
static int prepare_sent_write(struct act *a) { return prepare_sent(a, O_WRONLY); }

/* A refused descriptor is left out, and the message cut. */
static int receive(struct act *a)
{
	union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };

	if (recvmsg(a->fd, &message, 0) < 0)
		return errno;
	if (message.msg_controllen < sizeof(struct cmsghdr) || control.head.cmsg_type != SCM_RIGHTS)
		return EACCES;
	return 0;
}

/* A child of before the policy that holds the file open. */
static int prepare_holder(struct act *a)
{
	int fd = open(a->path, O_RDONLY);
	pid_t holder;

	if (fd < 0)
		return errno;
	holder = fork();
	if (holder == 0)
		for (prctl(PR_SET_PDEATHSIG, SIGKILL);;)
			pause();
	close(fd);
	a->number[3] = fd;
	return said(a->fd = syscall(SYS_pidfd_open, holder, 0));
}

static int take_descriptor(struct act *a) { return opened(syscall(SYS_pidfd_getfd, a->fd, a->number[3], 0)); }

/* ---- size and content ---- */

static int truncate_path(struct act *a) { return said(truncate(a->path, 1)); }
static int truncate_fd(struct act *a) { return said(ftruncate(a->fd, 1)); }
static int allocate(struct act *a)
{
	int fd = open(a->path, O_WRONLY);

	return fd < 0 ? errno : said(fallocate(fd, 0, 0, 4096));
}
static int allocate_fd(struct act *a) { return said(fallocate(a->fd, 0, 0, 4096)); }

static int map(struct act *a, int protection, int flags)
{
	a->memory = mmap(NULL, 4096, protection, flags, a->fd, 0);
	return a->memory == MAP_FAILED ? errno : 0;
}

static int map_shared_write(struct act *a) { return map(a, PROT_READ | PROT_WRITE, MAP_SHARED); }
static int map_shared_read(struct act *a) { return map(a, PROT_READ, MAP_SHARED); }
static int map_private_write(struct act *a) { return map(a, PROT_READ | PROT_WRITE, MAP_PRIVATE); }

static int prepare_shared_map(struct act *a)
{
	int error = prepare_both(a);

	return error ? error : map(a, PROT_READ, MAP_SHARED);
}

static int protect_write(struct act *a) { return said(mprotect(a->memory, 4096, PROT_READ | PROT_WRITE)); }

/* ---- what is no event ---- */

static int stat_path(struct act *a) { struct stat s; return said(stat(a->path, &s)); }
static int access_path(struct act *a) { return said(access(a->path, R_OK)); }
static int change_directory(struct act *a) { return said(chdir(a->path)); }
static int read_link(struct act *a) { char text[64]; return said(readlink(a->path, text, sizeof text)); }

static int copy_file(struct act *a)
{
	int from = open(a->path, O_RDONLY), to, error;

	if (from < 0)
		return errno;
	to = open(a->to, O_WRONLY | O_CREAT | O_TRUNC, 0777);
	if (to < 0)
		return errno;
	error = copy_all(from, to);
	close(from);
	close(to);
	return error;
}

const struct way file_ways[] = {
	{ "open", NULL, open_read },
	{ "open-write", NULL, open_write },
	{ "open-both", NULL, open_both },
	{ "open-append", NULL, open_append },
	{ "open-create", NULL, open_create },
	{ "creat", NULL, creat_file },
	{ "open-truncate", NULL, open_truncate },
	{ "open-write-truncate", NULL, open_write_truncate },
	{ "open-directory", NULL, open_directory },
	{ "open-temporary", NULL, open_temporary },
	{ "open-path-only", NULL, open_path_only },
	{ "openat", prepare_directory, openat_read },
	{ "openat2", NULL, openat2_read },
	{ "openat2-write", NULL, openat2_write },
	{ "open-dotted", NULL, dotted_read },
	{ "open-proc-root", NULL, root_read },
	{ "reopen", prepare_path_only, reopen_read },
	{ "reopen-write", prepare_path_only, reopen_write },
	{ "reopen-memfd", prepare_memfd, reopen_read },
	{ "reopen-memfd-write", prepare_memfd, reopen_write },
	{ "reopen-pipe", prepare_pipe, reopen_read },
	{ "reopen-pipe-write", prepare_pipe, reopen_write },
	{ "reopen-deleted", prepare_deleted, reopen_read },
	{ "reopen-deleted-write", prepare_deleted, reopen_write },
	{ "open-by-handle", prepare_handle, handle_read },
	{ "open-by-handle-write", prepare_handle, handle_write },
	{ "read-inherited", prepare_read, use_read },
	{ "write-inherited", prepare_both, use_write },
	{ "receive", prepare_sent_read, receive },
	{ "receive-write", prepare_sent_write, receive },
	{ "pidfd-getfd", prepare_holder, take_descriptor },
	{ "truncate", NULL, truncate_path },
	{ "ftruncate", prepare_both, truncate_fd },
	{ "fallocate", NULL, allocate },
	{ "fallocate-inherited", prepare_both, allocate_fd },
	{ "mmap-shared-write", prepare_both, map_shared_write },
	{ "mmap-shared-read", prepare_read, map_shared_read },
	{ "mmap-private-write", prepare_read, map_private_write },
	{ "mprotect-shared-write", prepare_shared_map, protect_write },
	{ "stat", NULL, stat_path },
	{ "access", NULL, access_path },
	{ "chdir", NULL, change_directory },
	{ "readlink", NULL, read_link },
	{ "copy", NULL, copy_file },
	{ 0 },
};
