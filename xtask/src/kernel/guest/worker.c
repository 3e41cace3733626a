/*
 * A process under policy that does what it is told, in guests. Statically linked, so that starting
 * it opens and maps nothing but itself, and it talks through pipes, which no policy is about.
 *
 * It reads lines of fields between tabs: an operation and its operands. It answers each with a
 * line: an errno, 0 for success. `hammer` answers with three counts.
 *
 * Under any other name than `serve`, it ends at once with status 100, or does first what the
 * variable THEN says; status 101 says that this was denied.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_FIELDS 32
#define ENDED 100
#define ENDED_DENIED 101
#define FAILED_TO_START 102

static char line[65536];
static char *fields[MAX_FIELDS + 1];
static int field_count;
/* What `hold` holds. */
static int held = -1;

static int outcome(long result)
{
    return result < 0 ? errno : 0;
}

static int opened(const char *path, int flags)
{
    int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0777);

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

/* A descriptor is opened again by its link in /proc. */
static int reopened(int fd)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return opened(path, O_RDONLY);
}

static int map(const char *path)
{
    int result, fd = open(path, O_RDONLY | O_CLOEXEC);
    void *at;

    if (fd < 0)
        return errno;
    at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    result = at == MAP_FAILED ? errno : 0;
    if (at != MAP_FAILED)
        munmap(at, 4096);
    close(fd);
    return result;
}

static int make_socket(int family, int type, int protocol)
{
    int fd = socket(family, type, protocol);

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

/* Fields 2 and on are the new program's arguments; field 1 is what it does then. */
static int execute(void)
{
    char *arguments[MAX_FIELDS], then[8300];
    char *environment[] = { then, NULL };
    int pipes[2], status, error = 0;
    pid_t child;

    snprintf(then, sizeof(then), "THEN=%s", fields[2]);
    arguments[0] = "then";
    for (int i = 3; i <= field_count; i++)
        arguments[i - 2] = i < field_count ? fields[i] : NULL;
    if (pipe2(pipes, O_CLOEXEC))
        return errno;
    child = fork();
    if (child == 0) {
        execve(fields[1], arguments, environment);
        error = errno;
        if (write(pipes[1], &error, sizeof(error)) != sizeof(error))
            _exit(FAILED_TO_START + 1);
        _exit(FAILED_TO_START);
    }
    close(pipes[1]);
    if (child < 0) {
        close(pipes[0]);
        return errno;
    }
    if (read(pipes[0], &error, sizeof(error)) != sizeof(error))
        error = 0;
    close(pipes[0]);
    waitpid(child, &status, 0);
    if (error)
        return error;
    /* A program that may not run with its arguments is killed before its first instruction. */
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGKILL ? EPERM : 1000 + WTERMSIG(status);
    return WEXITSTATUS(status) == ENDED ? 0 :
           WEXITSTATUS(status) == ENDED_DENIED ? EPERM : 2000 + WEXITSTATUS(status);
}

/* Goes to a file component by component: its path may be longer than a system call takes. */
static int walk(char *path)
{
    char *next = path + 1, *slash;
    int result = 0;

    if (chdir("/"))
        return errno;
    while (!result && (slash = strchr(next, '/'))) {
        *slash = 0;
        result = outcome(chdir(next));
        next = slash + 1;
    }
    if (!result)
        result = opened(next, O_RDONLY);
    if (chdir("/") && !result)
        result = errno;
    return result;
}

static int in_chroot(const char *root, const char *path)
{
    int status;
    pid_t child = fork();

    if (child < 0)
        return errno;
    if (child == 0) {
        if (chroot(root) || chdir("/"))
            _exit(200);
        _exit(opened(path, O_RDONLY));
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

static int in_detached_mount(const char *directory, const char *name)
{
    int result, file, tree = syscall(428 /* open_tree */, AT_FDCWD, directory, 1 | O_CLOEXEC);

    if (tree < 0)
        return errno;
    file = openat(tree, name, O_RDONLY | O_CLOEXEC);
    result = file < 0 ? errno : 0;
    if (file >= 0)
        close(file);
    close(tree);
    return result;
}

static int in_memory(void)
{
    int result, fd = memfd_create("memory", MFD_CLOEXEC);

    if (fd < 0)
        return errno;
    result = reopened(fd);
    close(fd);
    return result;
}

static int hold(const char *path)
{
    held = open(path, O_PATH | O_CLOEXEC);
    return outcome(held);
}

/* The operation in `fields`; a negative number for none that is known. */
static int do_once(void)
{
    const char *what = fields[0], *a = fields[1], *b = fields[2], *c = fields[3];

#define IS(name, operands) (field_count > (operands) && !strcmp(what, name))
    if (IS("exec", 2))
        return execute();
    if (IS("read", 1))
        return opened(a, O_RDONLY);
    if (IS("write", 1))
        return opened(a, O_WRONLY);
    if (IS("read-write", 1))
        return opened(a, O_RDWR);
    if (IS("create", 1))
        return opened(a, O_WRONLY | O_CREAT | O_EXCL);
    if (IS("map", 1))
        return map(a);
    if (IS("unlink", 1))
        return outcome(unlink(a));
    if (IS("mkdir", 1))
        return outcome(mkdir(a, 0777));
    if (IS("rmdir", 1))
        return outcome(rmdir(a));
    if (IS("chmod", 1))
        return outcome(chmod(a, 0777));
    if (IS("truncate", 1)) {
        struct stat is;
        return stat(a, &is) ? errno : outcome(truncate(a, is.st_size));
    }
    if (IS("symlink", 1))
        return outcome(symlink("nowhere", a));
    if (IS("link", 2))
        return outcome(link(a, b));
    if (IS("rename", 2))
        return outcome(rename(a, b));
    if (IS("socket", 3))
        return make_socket(atoi(a), atoi(b), atoi(c));
    if (IS("sys_admin", 0))
        return outcome(sethostname("guest", 5));
    if (IS("walk", 1))
        return walk(fields[1]);
    if (IS("chroot", 2))
        return in_chroot(a, b);
    if (IS("detached", 2))
        return in_detached_mount(a, b);
    if (IS("memory", 0))
        return in_memory();
    if (IS("hold", 1))
        return hold(a);
    if (IS("held", 0))
        return reopened(held);
    return -1;
}

static int has_input(void)
{
    struct pollfd input = { .fd = 0, .events = POLLIN };

    return poll(&input, 1, 0) != 0;
}

/* `hammer TIMES OPERATION OPERAND...`: does it again and again, so often, or with 0 until there is
 * input. Counts successes, denials and other errors.
 */
static void hammer(void)
{
    long times = atol(fields[1]), done = 0, allowed = 0, denied = 0, other = 0;

    memmove(fields, fields + 2, sizeof(fields[0]) * (MAX_FIELDS - 2));
    field_count -= 2;
    while (times ? done < times : done % 16 || !has_input()) {
        int result = do_once();

        done++;
        if (!result)
            allowed++;
        /* As programs answer, and as AppArmor does. Root meets no other denial. */
        else if (result == EPERM || result == EACCES)
            denied++;
        else
            other++;
    }
    printf("%ld\t%ld\t%ld\n", allowed, denied, other);
}

static void split(char *text)
{
    memset(fields, 0, sizeof(fields));
    field_count = 0;
    while (text && field_count < MAX_FIELDS)
        fields[field_count++] = strsep(&text, "\t");
}

static int serve(int with_terminal)
{
    setsid();
    if (with_terminal) {
        int terminal = posix_openpt(O_RDWR | O_NOCTTY);

        /* The first terminal that the leader of a session opens is the session's. */
        if (terminal < 0 || grantpt(terminal) || unlockpt(terminal) ||
            open(ptsname(terminal), O_RDWR) < 0)
            return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("0\n");
    /* Not by stdio: `has_input` must see what is not read yet. */
    for (size_t have = 0;;) {
        char *end;

        while (!(end = memchr(line, '\n', have))) {
            ssize_t got = read(0, line + have, sizeof(line) - have);

            if (got <= 0)
                return 0;
            have += got;
        }
        *end = 0;
        split(line);
        if (!strcmp(fields[0], "hammer"))
            hammer();
        else if (strcmp(fields[0], "stop"))
            printf("%d\n", do_once());
        have -= end + 1 - line;
        memmove(line, end + 1, have);
    }
}

int main(int argc, char **argv)
{
    char *then;

    umask(0);
    if (argc > 0 && !strcmp(argv[0], "serve"))
        return serve(argc > 1 && !strcmp(argv[1], "terminal"));
    then = getenv("THEN");
    if (!then || !*then)
        return ENDED;
    fields[0] = "read";
    fields[1] = then;
    field_count = 2;
    return do_once() == EPERM ? ENDED_DENIED : ENDED;
}
