/* The simplest use of each capability: one that fails with EPERM or EACCES without it, and needs
 * no other. What is worked on is a memfd wherever a file is needed. */
#include "actor.h"
#include <arpa/inet.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/io.h>
#include <sys/klog.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/timerfd.h>
#include <sys/timex.h>

enum { STRANGER = 4711 }; /* a user who is nobody here */

/* Some checks are content with CAP_SYS_ADMIN as well: it is given up before. */
static int drop_admin(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return errno;
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	return said(syscall(SYS_capset, &head, data));
}

/* A memfd of another owner, where `uid` says so. */
static int memory_file(struct act *a, int uid)
{
	a->fd = new_memfd();
	return a->fd < 0 ? errno : said(fchown(a->fd, uid, STRANGER));
}

static int prepare(struct act *a)
{
	struct rlimit limit = { 0, 0 };

	switch (a->number[0]) {
	case CAP_CHOWN:
	case CAP_LINUX_IMMUTABLE:
	case CAP_SETFCAP:
		a->fd = new_memfd();
		return said(a->fd);
	case CAP_FSETID:
		return memory_file(a, getuid());
	case CAP_FOWNER:
	case CAP_LEASE:
		return memory_file(a, getuid() + STRANGER);
	case CAP_DAC_OVERRIDE:
		/* A file that nobody may open, which only its own name reaches. */
		a->path = "/.actor-closed";
		a->fd = open(a->path, O_WRONLY | O_CREAT, 0);
		return said(a->fd);
	case CAP_DAC_READ_SEARCH: {
		struct file_handle *handle = calloc(1, sizeof *handle + 128);
		int mount;

		handle->handle_bytes = 128;
		a->memory = handle;
		a->fd = open("/", O_RDONLY | O_DIRECTORY);
		if (open("/.actor-closed", O_WRONLY | O_CREAT, 0) < 0)
			return errno;
		return said(name_to_handle_at(AT_FDCWD, "/.actor-closed", handle, &mount, 0));
	}
	case CAP_NET_ADMIN:
		return said(a->fd = socket(AF_UNIX, SOCK_DGRAM, 0));
	case CAP_NET_BIND_SERVICE:
		return said(a->fd = socket(AF_INET, SOCK_STREAM, 0));
	case CAP_AUDIT_WRITE:
	case CAP_AUDIT_CONTROL:
	case CAP_AUDIT_READ:
		return said(a->fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT));
	case CAP_IPC_LOCK:
		return said(setrlimit(RLIMIT_MEMLOCK, &limit));
	case CAP_SYS_NICE:
		return said(setrlimit(RLIMIT_NICE, &limit));
	case CAP_SYS_RESOURCE:
		return said(setrlimit(RLIMIT_CORE, &limit));
	case CAP_IPC_OWNER: {
		/* Someone else's segment that nobody may attach. */
		struct shmid_ds segment;
		int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);

		if (id < 0 || shmctl(id, IPC_STAT, &segment))
			return errno;
		segment.shm_perm.uid = getuid() + STRANGER;
		segment.shm_perm.gid = STRANGER;
		segment.shm_perm.mode = 0600;
		a->fd = id;
		return said(shmctl(id, IPC_SET, &segment));
	}
	case CAP_BLOCK_SUSPEND: {
		char name[64];

		a->fd = epoll_create1(0);
		snprintf(name, sizeof name, "/proc/self/fdinfo/%d", a->fd);
		return said(a->fd2 = open(name, O_RDONLY));
	}
	case CAP_PERFMON:
	case CAP_BPF:
	case CAP_CHECKPOINT_RESTORE:
		return drop_admin();
	default:
		return 0;
	}
}

/* A message to the audit system, and its answer. */
static int audit(struct act *a, int type)
{
	struct { struct nlmsghdr head; char room[1024]; } message = { .head = {
		.nlmsg_len = NLMSG_LENGTH(4), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK } };
	struct pollfd wait = { .fd = a->fd, .events = POLLIN };

	if (send(a->fd, &message, message.head.nlmsg_len, 0) < 0)
		return errno;
	if (poll(&wait, 1, 1000) != 1)
		return ETIMEDOUT;
	if (recv(a->fd, &message, sizeof message, 0) < 0)
		return errno;
	if (message.head.nlmsg_type != NLMSG_ERROR)
		return 0;
	return -((struct nlmsgerr *)NLMSG_DATA(&message.head))->error;
}

/* Without the capability the group's bit is dropped in silence. */
static int keep_group_bit(struct act *a)
{
	struct stat file;

	if (fchmod(a->fd, 02755) || fstat(a->fd, &file))
		return errno;
	return file.st_mode & S_ISGID ? 0 : EPERM;
}

/* Without the capability the flag is dropped in silence. */
static int keep_awake(struct act *a)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLWAKEUP };
	char text[512] = "";
	int ends[2];
	unsigned events;
	char *found;

	if (pipe(ends) || epoll_ctl(a->fd, EPOLL_CTL_ADD, ends[0], &event))
		return errno;
	if (pread(a->fd2, text, sizeof text - 1, 0) < 0)
		return errno;
	found = strstr(text, "events:");
	if (!found || sscanf(found, "events: %x", &events) != 1)
		return EIO;
	return events & EPOLLWAKEUP ? 0 : EPERM;
}

/* Another process with a number of our choice. */
static int choose_number(void)
{
	pid_t number = 20000 + getpid() % 1000;
	struct clone_args how = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&number, .set_tid_size = 1 };
	long child = syscall(SYS_clone3, &how, sizeof how);

	if (child == 0)
		_exit(0);
	if (child > 0)
		waitpid(child, NULL, 0);
	return said(child);
}

static int make_map(void)
{
	union bpf_attr how = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };

	return opened(syscall(SYS_bpf, BPF_MAP_CREATE, &how, sizeof how));
}

static int count_events(void)
{
	struct perf_event_attr how = { .type = PERF_TYPE_SOFTWARE, .size = sizeof how, .config = PERF_COUNT_SW_CONTEXT_SWITCHES };

	return opened(syscall(SYS_perf_event_open, &how, 0, -1, -1, 0));
}

static int bind_port(struct act *a)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(81) };

	return said(bind(a->fd, (struct sockaddr *)&address, sizeof address));
}

static int listen_to_audit(struct act *a)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };

	return said(bind(a->fd, (struct sockaddr *)&address, sizeof address));
}

/* VFS_CAP_REVISION_2 and two pairs of masks. */
static int give_capabilities(struct act *a)
{
	static const uint32_t value[5] = { 0x02000000, 1 << CAP_KILL, 0, 0, 0 };

	return said(fsetxattr(a->fd, "security.capability", value, sizeof value, 0));
}

static int use_files(struct act *a)
{
	int flags = FS_APPEND_FL;

	switch (a->number[0]) {
	case CAP_CHOWN: return said(fchown(a->fd, STRANGER, STRANGER));
	case CAP_DAC_OVERRIDE: return opened(open(a->path, O_WRONLY));
	case CAP_DAC_READ_SEARCH: return opened(open_by_handle_at(a->fd, a->memory, O_PATH));
	case CAP_FOWNER: return said(fchmod(a->fd, 0640));
	case CAP_FSETID: return keep_group_bit(a);
	case CAP_LINUX_IMMUTABLE: return said(ioctl(a->fd, FS_IOC_SETFLAGS, &flags));
	case CAP_MKNOD: return said(mknod("/.actor-node", S_IFCHR | 0600, (1 << 8) | 3));
	case CAP_LEASE: return said(fcntl(a->fd, F_SETLEASE, F_WRLCK));
	case CAP_SETFCAP: return give_capabilities(a);
	default: return -1;
	}
}

static int use_sockets(struct act *a)
{
	int yes = 1;

	switch (a->number[0]) {
	case CAP_NET_BIND_SERVICE: return bind_port(a);
	case CAP_NET_ADMIN: return said(setsockopt(a->fd, SOL_SOCKET, SO_DEBUG, &yes, sizeof yes));
	case CAP_NET_RAW: return opened(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	case CAP_AUDIT_WRITE: return audit(a, AUDIT_USER);
	case CAP_AUDIT_CONTROL: return audit(a, AUDIT_GET);
	case CAP_AUDIT_READ: return listen_to_audit(a);
	default: return -1;
	}
}

static int use_processes(struct act *a)
{
	static char page[4096];
	struct rlimit limit = { 0, 4096 };

	switch (a->number[0]) {
	case CAP_KILL: return said(kill(a->other, 0));
	case CAP_SETGID: return said(setgroups(0, NULL));
	case CAP_SETUID: return said(setresuid(-1, STRANGER, -1));
	case CAP_SETPCAP: return said(prctl(PR_CAPBSET_DROP, CAP_WAKE_ALARM));
	case CAP_IPC_LOCK: return said(mlock(page, sizeof page));
	case CAP_IPC_OWNER: return shmat(a->fd, NULL, 0) == (void *)-1 ? errno : 0;
	case CAP_SYS_PTRACE: return said(ptrace(PTRACE_SEIZE, a->other, NULL, NULL));
	case CAP_SYS_NICE: return said(setpriority(PRIO_PROCESS, 0, -1));
	case CAP_SYS_RESOURCE: return said(setrlimit(RLIMIT_CORE, &limit));
	case CAP_CHECKPOINT_RESTORE: return choose_number();
	default: return -1;
	}
}

static int use_system(struct act *a)
{
	struct timex clock = { .modes = 0 };

	switch (a->number[0]) {
	case CAP_SYS_MODULE: return said(syscall(SYS_delete_module, "no_such_module", O_NONBLOCK));
	case CAP_SYS_RAWIO: return said(ioperm(0x80, 1, 1));
	case CAP_SYS_CHROOT: return said(chroot("/"));
	case CAP_SYS_PACCT: return said(syscall(SYS_acct, NULL));
	case CAP_SYS_ADMIN: return said(sethostname("guest", 5));
	case CAP_SYS_BOOT: return said(reboot(RB_DISABLE_CAD));
	case CAP_SYS_TIME:
		adjtimex(&clock);
		clock.modes = ADJ_ESTERROR;
		return said(adjtimex(&clock));
	case CAP_SYS_TTY_CONFIG: return said(vhangup());
	case CAP_SYSLOG: return said(klogctl(9, NULL, 0));
	case CAP_WAKE_ALARM: return opened(timerfd_create(CLOCK_BOOTTIME_ALARM, 0));
	case CAP_BLOCK_SUSPEND: return keep_awake(a);
	case CAP_PERFMON: return count_events();
	case CAP_BPF: return make_map();
	default: return ENOSYS;
	}
}

/* Only a refusal is of interest: a kernel without the thing itself has asked all the same. */
static int use(struct act *a)
{
	int error = use_files(a);

	if (error == -1)
		error = use_sockets(a);
	if (error == -1)
		error = use_processes(a);
	if (error == -1)
		error = use_system(a);
	return error;
}

const struct way capability_ways[] = {
	{ "capability", prepare, use },
	{ 0 },
};
