/* The stage: a root of its own, a subject in it, a cgroup around it. Arguments, in order:
 *
 *   cgroup DIRECTORY      where the subject goes before it acts (left out: nowhere)
 *   label ATTRIBUTE TEXT  what it writes below /proc/self/attr before it acts: a profile of AppArmor's, a
 *                         context of SELinux's (left out: nothing)
 *   wait                  say `ready PID` before the subject acts, and wait for a line: the stage's root can
 *                         be seen at /proc/PID/root
 *   below DIRECTORY       make the root there, instead of in memory
 *   proc                  mount /proc
 *   cgroups DIRECTORY     show this cgroup hierarchy there
 *   uid NUMBER            the subject's
 *   tty                   the subject has a controlling terminal
 *   dir|file|program|actor MODE UID PATH      mode in octal; directories above are made
 *   text MODE UID PATH CONTENT
 *   copy PATH SOURCE      a copy of a file of the machine outside
 *   symlink PATH TARGET, link PATH TARGET, bind PATH TARGET, node PATH
 *   overlay PATH LOWER
 *   source PATH           start the actor; `source -` from a memfd. The rest is the actor's.
 *
 * One line is printed: `done ERRNO INDEX SIGNAL`, `unprepared ERRNO INDEX`, `died STATUS`,
 * `late`, or `stage WHAT: WHY`.
 */
#include "actor.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <termios.h>

enum { STRANGER = 4711, PATIENCE = 15000 /* ms */ };

static void fail(const char *what)
{
	printf("stage %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static void make_parents(const char *path)
{
	char *copy = strdup(path);

	for (char *at = copy + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		if (mkdir(copy, 0777) && errno != EEXIST)
			fail(copy);
		*at = '/';
	}
	free(copy);
}

static void write_file(const char *path, const char *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);

	if (fd < 0 || write(fd, bytes, length) != (ssize_t)length)
		fail(path);
	close(fd);
}

static void copy_file(int from, const char *path)
{
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL, 0777);

	if (to < 0 || copy_all(from, to))
		fail(path);
	close(to);
}

static void own(const char *path, const char *mode, const char *uid)
{
	if (lchown(path, atoi(uid), -1) || chmod(path, strtol(mode, NULL, 8)))
		fail(path);
}

/* The root lies on top of the first file system, as in every system that was started from an
 * initial one, and in every container on it. There is no pivot_root from that file system itself. */
static void enter_root(const char *below)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		fail("mount namespace");
	mkdir("/run/actor", 0755);
	if (below ? mount(below, "/run/actor", NULL, MS_BIND, NULL) : mount("none", "/run/actor", "tmpfs", 0, "mode=0777"))
		fail("root");
	if (chdir("/run/actor"))
		fail("root");
	if (mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		fail("move of the root");
}

static int terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;

	if (master < 0 || grantpt(master) || unlockpt(master))
		fail("terminal");
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	if (slave < 0)
		fail("terminal");
	return slave;
}

/* Another user with every capability: what the subject may do is for the policy to say. */
static void become_user(int uid)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (uid == 0)
		return;
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		fail("uid");
	if (syscall(SYS_capget, &head, data))
		fail("capget");
	data[0].inheritable = data[0].permitted;
	data[1].inheritable = data[1].permitted;
	if (syscall(SYS_capset, &head, data))
		fail("capset");
	for (int number = 0; number <= CAP_LAST_CAP; number++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) && errno != EINVAL)
			fail("ambient capabilities");
}

struct subject {
	const char *path;
	int uid, tty, self, page, proc;
	const char *label, *attribute;
	int wait;
	pid_t other;
	char **acts;
	int act_count;
};

static void start(struct subject *s)
{
	char page[16], other[32];
	char **list = calloc(s->act_count * 2 + 8, sizeof *list);
	int count = 0, fd = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	if (s->tty >= 0 && ioctl(s->tty, TIOCSCTTY, 0))
		fail("controlling terminal");
	snprintf(page, sizeof page, "%d", s->page);
	snprintf(other, sizeof other, "other=%d", (int)s->other);
	list[count++] = (char *)s->path;
	list[count++] = "--act";
	list[count++] = page;
	for (int i = 0; i < s->act_count; i++) {
		list[count++] = s->acts[i];
		if (!strncmp(s->acts[i], "do=", 3))
			list[count++] = other;
	}
	if (!strcmp(s->path, "-")) {
		fd = memfd_create("actor", MFD_CLOEXEC);
		if (fd < 0 || copy_all(s->self, fd))
			fail("memfd");
	}
	become_user(s->uid);
	char label[600], attribute[80], proc[32];
	char *environment[] = { NULL, NULL, NULL, NULL };
	if (s->label) {
		snprintf(label, sizeof label, "LABEL=%s", s->label);
		snprintf(attribute, sizeof attribute, "ATTRIBUTE=%s", s->attribute);
		snprintf(proc, sizeof proc, "PROC=%d", s->proc);
		environment[0] = label;
		environment[1] = attribute;
		environment[2] = proc;
	}
	if (fd >= 0)
		syscall(SYS_execveat, fd, "", list, environment, AT_EMPTY_PATH);
	else
		execve(s->path, list, environment);
	fail(s->path);
}

static void bind_process(int cgroup, pid_t process)
{
	char text[16];
	int length = snprintf(text, sizeof text, "%d", (int)process);

	if (cgroup >= 0 && write(cgroup, text, length) != length)
		fail("cgroup");
}

/* Lets whoever started the stage do what has to be done before the subject acts. */
static void wait_for_word(void)
{
	char word;

	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	do
		if (read(STDIN_FILENO, &word, 1) != 1)
			_exit(1);
	while (word != '\n');
}

static int run(struct subject *s, int cgroup)
{
	struct page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, s->page, 0);
	pid_t subject;
	int status = 0, ended = 0;

	if (page == MAP_FAILED)
		fail("page");
	s->other = fork();
	if (s->other == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* The policy may deny becoming someone else. */
		if (setresgid(STRANGER, STRANGER, STRANGER) || setresuid(STRANGER, STRANGER, STRANGER))
			_exit(1);
		int label = s->label ? open_label(s->proc, s->attribute) : -1;
		if (s->label && (label < 0 || take_label(label, s->label)))
			_exit(1);
		for (;;)
			pause();
	}
	subject = fork();
	if (subject == 0)
		start(s);
	for (int waited = 0; page->state != DONE && page->state != UNPREPARED; waited++) {
		if (page->state == READY) {
			bind_process(cgroup, s->other);
			bind_process(cgroup, subject);
			if (s->wait)
				wait_for_word();
			page->state = GO;
		}
		if (!ended && waitpid(subject, &status, WNOHANG) == subject)
			ended = waited + 1;
		/* What an orphan does may end after its parent. */
		if (ended && waited > ended + 2000) {
			printf("died %d\n", status);
			goto out;
		}
		if (waited > PATIENCE) {
			puts("late");
			goto out;
		}
		usleep(1000 - 900 * (waited < 1000));
	}
	if (page->state == UNPREPARED)
		printf("unprepared %d %d\n", page->error, page->index);
	else
		printf("done %d %d %d\n", page->error, page->index, page->killed);
out:
	fflush(stdout);
	kill(s->other, SIGKILL);
	if (!ended) {
		if (page->state != DONE)
			kill(subject, SIGKILL);
		waitpid(subject, NULL, 0);
	}
	waitpid(s->other, NULL, 0);
	return 0;
}

/* Builds what one entry of the tree says; how many arguments it took. */
static int build(char **entry, int left, int self, int *outside)
{
	extern const char target_start[], target_end[];
	const char *kind = entry[0], *path = entry[1];
	char options[8300];

	if (left >= 4 && (!strcmp(kind, "dir") || !strcmp(kind, "file") || !strcmp(kind, "program") || !strcmp(kind, "actor"))) {
		path = entry[3];
		make_parents(path);
		if (*kind == 'd' && mkdir(path, 0777) && errno != EEXIST)
			fail(path);
		/* What is in a layer of an overlay is there already. */
		if (*kind == 'f' && access(path, F_OK))
			write_file(path, "content\n", 8);
		if (*kind == 'p')
			write_file(path, target_start, target_end - target_start);
		if (*kind == 'a')
			copy_file(self, path);
		own(path, entry[1], entry[2]);
		return 4;
	}
	if (left >= 5 && !strcmp(kind, "text")) {
		make_parents(entry[3]);
		write_file(entry[3], entry[4], strlen(entry[4]));
		own(entry[3], entry[1], entry[2]);
		return 5;
	}
	if (left >= 2 && !strcmp(kind, "node")) {
		make_parents(path);
		if (mknod(path, S_IFCHR | 0666, (1 << 8) | 3))
			fail(path);
		return 2;
	}
	if (left < 3)
		return 0;
	make_parents(path);
	if (!strcmp(kind, "copy")) {
		copy_file(*outside++, path);
	} else if (!strcmp(kind, "symlink")) {
		if (symlink(entry[2], path))
			fail(path);
	} else if (!strcmp(kind, "link")) {
		if (link(entry[2], path))
			fail(path);
	} else if (!strcmp(kind, "bind")) {
		struct stat target;

		if (stat(entry[2], &target))
			fail(entry[2]);
		if (S_ISDIR(target.st_mode))
			mkdir(path, 0777);
		else
			write_file(path, "", 0);
		if (mount(entry[2], path, NULL, MS_BIND | MS_REC, NULL))
			fail(path);
	} else if (!strcmp(kind, "overlay")) {
		mkdir(path, 0777);
		mkdir("/.actor-upper", 0777);
		mkdir("/.actor-work", 0777);
		snprintf(options, sizeof options, "lowerdir=%s,upperdir=/.actor-upper,workdir=/.actor-work", entry[2]);
		if (mount("none", path, "overlay", 0, options))
			fail(path);
	} else
		return 0;
	return 3;
}

int stage(int count, char **arguments)
{
	struct subject subject = { .tty = -1, .proc = -1 };
	int cgroup = -1, with_proc = 0, outside[16], outside_count = 0, at;
	const char *cgroups = NULL, *below = NULL;
	int hierarchy = -1;

	umask(0);
	subject.self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	subject.page = memfd_create("page", 0);
	if (subject.self < 0 || subject.page < 0 || ftruncate(subject.page, 4096))
		fail("page");
	/* What is outside is opened before it is out of reach. */
	for (at = 0; at + 2 < count; at++)
		if (!strcmp(arguments[at], "copy") && outside_count < 16) {
			outside[outside_count] = open(arguments[at + 2], O_RDONLY | O_CLOEXEC);
			if (outside[outside_count++] < 0)
				fail(arguments[at + 2]);
		}
	for (at = 0; at < count; at++) {
		if (!strcmp(arguments[at], "cgroup") && at + 1 < count) {
			char name[4096];

			snprintf(name, sizeof name, "%s/cgroup.procs", arguments[++at]);
			cgroup = open(name, O_WRONLY | O_CLOEXEC);
			if (cgroup < 0)
				fail(name);
		} else if (!strcmp(arguments[at], "label") && at + 2 < count) {
			subject.attribute = arguments[++at];
			subject.label = arguments[++at];
			subject.proc = open("/proc", O_RDONLY | O_DIRECTORY);
			if (subject.proc < 0)
				fail("/proc");
		} else if (!strcmp(arguments[at], "cgroups") && at + 1 < count) {
			cgroups = arguments[++at];
			hierarchy = syscall(SYS_open_tree, AT_FDCWD, cgroups, 1 | O_CLOEXEC);
			if (hierarchy < 0)
				fail(cgroups);
		} else if (!strcmp(arguments[at], "below") && at + 1 < count)
			below = arguments[++at];
		else if (!strcmp(arguments[at], "wait"))
			subject.wait = 1;
		else if (!strcmp(arguments[at], "proc"))
			with_proc = 1;
		else if (!strcmp(arguments[at], "tty"))
			subject.tty = terminal();
		else if (!strcmp(arguments[at], "uid") && at + 1 < count)
			subject.uid = atoi(arguments[++at]);
		else
			break;
	}
	enter_root(below);
	if (with_proc) {
		mkdir("/proc", 0555);
		if (mount("proc", "/proc", "proc", 0, NULL))
			fail("/proc");
	}
	if (cgroups) {
		char name[4096];

		snprintf(name, sizeof name, "%s/.", cgroups);
		make_parents(name);
		if (syscall(SYS_move_mount, hierarchy, "", AT_FDCWD, cgroups, 4))
			fail(cgroups);
	}
	int used_outside = 0;
	while (at < count && strcmp(arguments[at], "source")) {
		int taken = build(arguments + at, count - at, subject.self, outside + used_outside);

		if (!taken) {
			errno = EINVAL;
			fail(arguments[at]);
		}
		used_outside += !strcmp(arguments[at], "copy");
		at += taken;
	}
	if (at + 1 >= count) {
		errno = EINVAL;
		fail("no source");
	}
	subject.path = arguments[at + 1];
	subject.acts = arguments + at + 2;
	subject.act_count = count - at - 2;
	return run(&subject, cgroup);
}
