/* Names and metadata: what is changed without opening the file. */
#include "actor.h"
#include <linux/fs.h>
#include <sys/time.h>

static int rename_to(struct act *a) { return said(rename(a->path, a->to)); }
static int exchange(struct act *a) { return said(renameat2(AT_FDCWD, a->path, AT_FDCWD, a->to, RENAME_EXCHANGE)); }
static int rename_unless(struct act *a) { return said(renameat2(AT_FDCWD, a->path, AT_FDCWD, a->to, RENAME_NOREPLACE)); }
static int rename_whiteout(struct act *a) { return said(renameat2(AT_FDCWD, a->path, AT_FDCWD, a->to, RENAME_WHITEOUT)); }
static int link_to(struct act *a) { return said(link(a->path, a->to)); }

static int link_descriptor(struct act *a)
{
	char name[64];

	snprintf(name, sizeof name, "/proc/self/fd/%d", a->fd);
	return said(linkat(AT_FDCWD, name, AT_FDCWD, a->to, AT_SYMLINK_FOLLOW));
}

static int link_empty(struct act *a) { return said(linkat(a->fd, "", AT_FDCWD, a->to, AT_EMPTY_PATH)); }
static int symlink_at(struct act *a) { return said(symlink(a->to ? a->to : "/nowhere", a->path)); }
static int make_node(struct act *a) { return said(mknod(a->path, S_IFCHR | 0666, (1 << 8) | 3)); }
static int make_file(struct act *a) { return said(mknod(a->path, S_IFREG | 0666, 0)); }
static int make_fifo(struct act *a) { return said(mkfifo(a->path, 0666)); }
static int make_directory(struct act *a) { return said(mkdir(a->path, 0777)); }
static int remove_directory(struct act *a) { return said(rmdir(a->path)); }
static int unlink_path(struct act *a) { return said(unlink(a->path)); }

static int prepare_read(struct act *a) { return said(a->fd = open(a->path, O_RDONLY)); }
static int change_mode(struct act *a) { return said(chmod(a->path, 0600)); }
static int change_mode_fd(struct act *a) { return said(fchmod(a->fd, 0600)); }
static int change_mode_at(struct act *a) { return said(fchmodat(AT_FDCWD, a->path, 0600, 0)); }
static int change_owner(struct act *a) { return said(chown(a->path, 4711, 4711)); }
static int change_owner_link(struct act *a) { return said(lchown(a->path, 4711, 4711)); }
static int change_owner_fd(struct act *a) { return said(fchown(a->fd, 4711, 4711)); }

/* `trusted.` is the one name space for root that every file system here has. */
static const char attribute[] = "trusted.actor";

static int set_attribute(struct act *a) { return said(setxattr(a->path, attribute, "x", 1, 0)); }
static int set_attribute_link(struct act *a) { return said(lsetxattr(a->path, attribute, "x", 1, 0)); }
static int set_attribute_fd(struct act *a) { return said(fsetxattr(a->fd, attribute, "x", 1, 0)); }
static int prepare_attribute(struct act *a) { return set_attribute(a); }
static int remove_attribute(struct act *a) { return said(removexattr(a->path, attribute)); }

/* A POSIX ACL as the kernel takes it: a version, then tag, permission and id of each entry. */
struct acl_entry { uint16_t tag, permission; uint32_t id; };
struct acl { uint32_t version; struct acl_entry entries[5]; };

static const struct acl list = { 2, {
	{ 0x01, 7, UINT32_MAX }, { 0x02, 6, 4711 }, { 0x04, 5, UINT32_MAX },
	{ 0x10, 7, UINT32_MAX }, { 0x20, 5, UINT32_MAX },
} };

static int set_acl(struct act *a) { return said(setxattr(a->path, "system.posix_acl_access", &list, sizeof list, 0)); }
static int remove_acl(struct act *a) { return said(removexattr(a->path, "system.posix_acl_access")); }

static int set_times(struct act *a)
{
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	return said(utimensat(AT_FDCWD, a->path, times, 0));
}

static int set_times_now(struct act *a) { return said(utimensat(AT_FDCWD, a->path, NULL, 0)); }
static int set_times_fd(struct act *a)
{
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	return said(futimens(a->fd, times));
}

static int set_flags(struct act *a)
{
	int flags = FS_NODUMP_FL;

	return said(ioctl(a->fd, FS_IOC_SETFLAGS, &flags));
}

/* ---- sockets with a path ---- */

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	strncpy(name.sun_path, path, sizeof name.sun_path - 1);
	return name;
}

static int named_socket(const char *path, int type)
{
	struct sockaddr_un name = address(path);
	int fd = socket(AF_UNIX, type, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof name) || (type == SOCK_STREAM && listen(fd, 4)))
		return -1;
	return chmod(path, 0777) ? -1 : fd;
}

static int prepare_stream(struct act *a)
{
	a->fd2 = named_socket(a->path, SOCK_STREAM);
	return a->fd2 < 0 ? errno : said(a->fd = socket(AF_UNIX, SOCK_STREAM, 0));
}

static int prepare_datagram(struct act *a)
{
	a->fd2 = named_socket(a->path, SOCK_DGRAM);
	return a->fd2 < 0 ? errno : said(a->fd = socket(AF_UNIX, SOCK_DGRAM, 0));
}

static int connect_named(struct act *a)
{
	struct sockaddr_un name = address(a->path);

	return said(connect(a->fd, (struct sockaddr *)&name, sizeof name));
}

static int send_named(struct act *a)
{
	struct sockaddr_un name = address(a->path);

	return said(sendto(a->fd, "x", 1, 0, (struct sockaddr *)&name, sizeof name));
}

static int prepare_connected(struct act *a)
{
	int error = prepare_datagram(a);

	return error ? error : connect_named(a);
}

static int send_connected(struct act *a) { return said(send(a->fd, "x", 1, 0)); }

static int prepare_unbound(struct act *a) { return said(a->fd = socket(AF_UNIX, SOCK_STREAM, 0)); }

static int bind_named(struct act *a)
{
	struct sockaddr_un name = address(a->path);

	return said(bind(a->fd, (struct sockaddr *)&name, sizeof name));
}

const struct way name_ways[] = {
	{ "rename", NULL, rename_to },
	{ "rename-exchange", NULL, exchange },
	{ "rename-noreplace", NULL, rename_unless },
	{ "rename-whiteout", NULL, rename_whiteout },
	{ "link", NULL, link_to },
	{ "link-descriptor", prepare_path_only, link_descriptor },
	{ "link-empty", prepare_path_only, link_empty },
	{ "symlink", NULL, symlink_at },
	{ "mknod", NULL, make_node },
	{ "mknod-file", NULL, make_file },
	{ "mkfifo", NULL, make_fifo },
	{ "mkdir", NULL, make_directory },
	{ "rmdir", NULL, remove_directory },
	{ "unlink", NULL, unlink_path },
	{ "chmod", NULL, change_mode },
	{ "fchmod", prepare_read, change_mode_fd },
	{ "fchmodat", NULL, change_mode_at },
	{ "chown", NULL, change_owner },
	{ "lchown", NULL, change_owner_link },
	{ "fchown", prepare_read, change_owner_fd },
	{ "setxattr", NULL, set_attribute },
	{ "lsetxattr", NULL, set_attribute_link },
	{ "fsetxattr", prepare_read, set_attribute_fd },
	{ "removexattr", prepare_attribute, remove_attribute },
	{ "set-acl", NULL, set_acl },
	{ "remove-acl", set_acl, remove_acl },
	{ "utimensat", NULL, set_times },
	{ "utimensat-now", NULL, set_times_now },
	{ "futimens", prepare_read, set_times_fd },
	{ "chattr", prepare_read, set_flags },
	{ "unix-connect", prepare_stream, connect_named },
	{ "unix-connect-datagram", prepare_datagram, connect_named },
	{ "unix-send", prepare_datagram, send_named },
	{ "unix-send-connected", prepare_connected, send_connected },
	{ "unix-bind", prepare_unbound, bind_named },
	{ 0 },
};
