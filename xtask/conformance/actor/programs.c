/* Executing programs and mapping code. */
#include "actor.h"
#include <sys/personality.h>

/* The program of target.c, for those ways that need one without a name. */
__asm__(".section .rodata\n.global target_start\n.global target_end\n"
	"target_start: .incbin \"actor-target\"\ntarget_end:\n.previous");

static char *environment[] = { "PATH=/bin:/usr/bin", NULL };

/* Executes in the calling process; returns only with an errno. */
static int replace(struct act *a, const char *name, const char *first)
{
	const char *list[MAX_ARGUMENTS + 3] = { name };
	int count = 1;

	if (first)
		list[count++] = first;
	for (int i = 0; i < a->argument_count; i++)
		list[count++] = a->arguments[i];
	execve(name, (char **)list, environment);
	return errno;
}

static int replace_at(struct act *a, int fd, const char *name, int flags)
{
	const char *list[MAX_ARGUMENTS + 2] = { a->path ? a->path : "program" };

	for (int i = 0; i < a->argument_count; i++)
		list[i + 1] = a->arguments[i];
	syscall(SYS_execveat, fd, name, list, environment, flags);
	return errno;
}

/* Executes in a child: the program's exit status tells success, the shared page a refusal. */
static int executed(struct act *a, int (*body)(struct act *))
{
	pid_t child;
	int status;

	a->page->exec_error = 0;
	child = fork();
	if (child < 0)
		return errno;
	if (child == 0) {
		a->page->exec_error = body(a);
		_exit(1);
	}
	if (waitpid(child, &status, 0) < 0)
		return errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXECUTED)
		return 0;
	if (a->page->exec_error)
		return a->page->exec_error;
	if (WIFSIGNALED(status)) {
		a->page->killed = WTERMSIG(status);
		return EPERM;
	}
	/* The dynamic loader reports a refused library with its exit status. */
	return EACCES;
}

static int by_path(struct act *a) { return replace(a, a->path, NULL); }
static int exec_path(struct act *a) { return executed(a, by_path); }

static int by_loader(struct act *a) { return replace(a, a->to, a->path); }
static int exec_loader(struct act *a) { return executed(a, by_loader); }

static int by_directory(struct act *a) { return replace_at(a, a->fd, a->to, 0); }
static int exec_at(struct act *a) { return executed(a, by_directory); }

static int by_descriptor(struct act *a) { return replace_at(a, a->fd, "", AT_EMPTY_PATH); }
static int exec_descriptor(struct act *a) { return executed(a, by_descriptor); }

static int by_proc(struct act *a)
{
	char name[64];

	snprintf(name, sizeof name, "/proc/self/fd/%d", a->fd);
	return replace(a, name, NULL);
}

static int exec_proc(struct act *a) { return executed(a, by_proc); }

static int fill_memfd(struct act *a)
{
	extern const char target_start[], target_end[];
	size_t length = target_end - target_start;

	a->fd = new_memfd();
	if (a->fd < 0)
		return errno;
	return write(a->fd, target_start, length) == (ssize_t)length ? 0 : EIO;
}

static int prepare_deleted(struct act *a)
{
	a->fd = open(a->path, O_PATH);
	return a->fd < 0 ? errno : said(unlink(a->path));
}

/* A relative path from the directory. */
static int by_relative(struct act *a)
{
	if (fchdir(a->fd))
		return errno;
	return replace(a, a->to, NULL);
}

static int exec_relative(struct act *a) { return executed(a, by_relative); }

/* ---- code in files ---- */

static int prepare_read(struct act *a) { return said(a->fd = open(a->path, O_RDONLY)); }

static int map(struct act *a, int protection, int flags)
{
	a->memory = mmap(NULL, 4096, protection, flags, a->fd, 0);
	return a->memory == MAP_FAILED ? errno : 0;
}

static int map_code(struct act *a) { return map(a, PROT_READ | PROT_EXEC, MAP_PRIVATE); }
static int map_code_shared(struct act *a) { return map(a, PROT_READ | PROT_EXEC, MAP_SHARED); }
static int map_code_only(struct act *a) { return map(a, PROT_EXEC, MAP_PRIVATE); }

static int open_and_map(struct act *a)
{
	int error = prepare_read(a);

	return error ? error : map_code(a);
}

static int map_implied(struct act *a)
{
	if (personality(READ_IMPLIES_EXEC) < 0)
		return errno;
	return map(a, PROT_READ, MAP_PRIVATE);
}

static int prepare_data(struct act *a)
{
	int error = prepare_read(a);

	return error ? error : map(a, PROT_READ, MAP_PRIVATE);
}

static int protect_code(struct act *a) { return said(mprotect(a->memory, 4096, PROT_READ | PROT_EXEC)); }

/* ---- code in memory without a file ---- */

static int map_anonymous(struct act *a) { return map(a, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS); }
static int prepare_anonymous(struct act *a) { return map(a, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS); }

/* ---- going on as another program ---- */

/* The acts that follow are done by the copy of the actor at the path. It prepares them under the
 * policy, and says again that it is ready. */
static int become(struct act *a)
{
	const char *list[64] = { a->path, "--act", a->page_number };
	int count = 3;

	for (char **word = a->rest; word && *word && count < 63; word++)
		list[count++] = *word;
	execve(a->path, (char **)list, environment);
	return errno;
}

const struct way program_ways[] = {
	{ "execve", NULL, exec_path },
	{ "script", NULL, exec_path },
	{ "execveat", prepare_directory, exec_at },
	{ "execve-relative", prepare_directory, exec_relative },
	{ "execveat-empty", prepare_path_only, exec_descriptor },
	{ "exec-proc-fd", prepare_path_only, exec_proc },
	{ "exec-memfd", fill_memfd, exec_descriptor },
	{ "exec-memfd-proc", fill_memfd, exec_proc },
	{ "exec-deleted", prepare_deleted, exec_descriptor },
	{ "ld-so", NULL, exec_loader },
	{ "mmap-exec", prepare_read, map_code },
	{ "mmap-exec-shared", prepare_read, map_code_shared },
	{ "mmap-exec-only", prepare_read, map_code_only },
	{ "open-mmap-exec", NULL, open_and_map },
	{ "mmap-exec-implied", prepare_read, map_implied },
	{ "mprotect-exec", prepare_data, protect_code },
	{ "mmap-exec-memfd", fill_memfd, map_code },
	{ "mmap-anonymous-exec", NULL, map_anonymous },
	{ "mprotect-anonymous-exec", prepare_anonymous, protect_code },
	{ "become", NULL, become },
	{ 0 },
};
