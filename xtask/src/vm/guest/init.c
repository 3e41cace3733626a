// Process 1 of the guest: mounts what a program expects of Linux, takes the payload out of the
// memory that it shares with the host, runs one command and hands back what it said.
//
// The payload, once unpacked:
//   /vm/argv     the command, each argument ended by a NUL
//   /vm/env      its environment, KEY=VALUE each ended by a NUL
//   /vm/stdin    its standard input (absent: /dev/null)
//   /vm/modules  kernel modules to load first, one path a line, in order (absent: none)
//   /out         whatever regular files the command leaves there go back to the host
//
// Results take two ways, none of which needs a driver, a module or a terminal:
//   - an emulated debug port, a byte at a time and never lost, for the short status record;
//   - the shared memory, for everything that may be long. The ports manage only about half a
//     megabyte a second under emulation.
//
// The compiler is told the addresses, ports and numbers below by the host's side (`-D`), so that
// they are written down once.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/random.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if !defined(SHARED_ADDRESS) || !defined(SHARED_SIZE) || !defined(SHARED_MAGIC) ||                 \
    !defined(PAYLOAD_OFFSET) || !defined(MODE_PARK) || !defined(MODE_RUN) ||                       \
    !defined(STATUS_PORT) || !defined(EXIT_PORT) || !defined(STREAM_STDOUT) ||                     \
    !defined(STREAM_STDERR) || !defined(STREAM_FILES) || !defined(STREAM_KERNEL_LOG)
#error "the host's side gives these numbers"
#endif

// The head of the shared memory. The payload follows at PAYLOAD_OFFSET, and the records of the
// output from output_start on, up to output_end.
struct shared {
    unsigned long long magic;
    unsigned long long mode;
    unsigned long long payload_length;
    unsigned long long wall_clock_ns;
    unsigned long long output_start;
    unsigned long long output_end;
    unsigned char seed[32];
};

static volatile struct shared *shared;

static void status(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void status(const char *format, ...) {
    char line[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 1)
        length = sizeof line - 1;
    outsb(STATUS_PORT, line, length);
}

static void stop(void) __attribute__((noreturn));
static void stop(void) {
    outb(0, EXIT_PORT);    // the emulator ends here
    reboot(RB_POWER_OFF);  // and here if it has no such port
    for (;;)
        pause();
}

static void fail(const char *what) __attribute__((noreturn));
static void fail(const char *what) {
    status("fail %s: %s\n", what, strerror(errno));
    stop();
}

// Appends one record to the output: the stream's number and the length, 32 bits each, then the
// bytes. The end moves last, so that the host never reads half a record of a guest it had to stop.
static void emit(unsigned stream, const void *bytes, size_t length) {
    unsigned head[2] = {stream, (unsigned)length};
    if (!length)
        return;
    if (shared->output_end + sizeof head + length > SHARED_SIZE) {
        errno = ENOSPC;
        fail("the output does not fit into the shared memory");
    }
    char *at = (char *)shared + shared->output_end;
    memcpy(at, head, sizeof head);
    memcpy(at + sizeof head, bytes, length);
    shared->output_end += sizeof head + length;
}

// The shared memory is a persistent-memory module at a fixed address. No driver claims it as long
// as none is loaded, and so /dev/mem gives it out.
static void map_shared(void) {
    int memory = open("/dev/mem", O_RDWR | O_CLOEXEC);
    if (memory < 0)
        fail("open /dev/mem");
    void *all = mmap(0, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, SHARED_ADDRESS);
    if (all == MAP_FAILED)
        fail("map the shared memory");
    close(memory);
    shared = all;
    if (shared->magic != SHARED_MAGIC) {
        errno = EINVAL;
        fail("the shared memory does not start as it should");
    }
}

static double uptime(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

// A file's bytes with a NUL after them; null where it can't be read.
static char *read_file(const char *path, size_t *length) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    size_t capacity = 1 << 16, used = 0;
    char *bytes = malloc(capacity + 1);
    ssize_t count;
    while (bytes && (count = read(file, bytes + used, capacity - used)) > 0) {
        used += count;
        if (used == capacity)
            bytes = realloc(bytes, (capacity *= 2) + 1);
    }
    close(file);
    if (!bytes)
        fail(path);
    bytes[used] = 0;
    *length = used;
    return bytes;
}

static void write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, text, strlen(text)) < 0)
        status("note write %s: %s\n", path, strerror(errno));
    if (file >= 0)
        close(file);
}

// Cuts a buffer at a separator; the array ends with a null.
static char **split(char *bytes, size_t length, char separator) {
    char **parts = calloc(length + 2, sizeof *parts);
    size_t count = 0;
    if (!parts)
        fail("memory");
    for (char *at = bytes; at < bytes + length;) {
        char *end = memchr(at, separator, bytes + length - at);
        if (!end)
            end = bytes + length;
        *end = 0;
        parts[count++] = at;
        at = end + 1;
    }
    return parts;
}

static void mount_at(const char *type, const char *directory, const char *options) {
    mkdir(directory, 0755);
    // A kernel may lack a file system, or have mounted it already.
    if (mount(type, directory, type, 0, options) && errno != ENODEV && errno != ENOENT &&
        errno != EBUSY)
        status("note mount %s: %s\n", directory, strerror(errno));
}

static void set_up(void) {
    mount_at("proc", "/proc", 0);
    mount_at("sysfs", "/sys", 0);
    mount_at("devtmpfs", "/dev", 0);
    mount_at("devpts", "/dev/pts", "ptmxmode=0666");
    mount_at("tmpfs", "/dev/shm", "mode=1777");
    mount_at("tmpfs", "/tmp", "mode=1777");
    mount_at("tmpfs", "/run", "mode=755");
    mount_at("securityfs", "/sys/kernel/security", 0);
    mount_at("tracefs", "/sys/kernel/tracing", 0);
    mount_at("bpf", "/sys/fs/bpf", 0);
    mount_at("cgroup2", "/sys/fs/cgroup", 0);
    mount_at("selinuxfs", "/sys/fs/selinux", 0);
    // Otherwise audit records are dropped after ten in five seconds.
    write_file("/proc/sys/kernel/printk_ratelimit", "0\n");
    if (symlink("/proc/self/fd", "/dev/fd") || symlink("fd/0", "/dev/stdin") ||
        symlink("fd/1", "/dev/stdout") || symlink("fd/2", "/dev/stderr"))
        status("note links in /dev: %s\n", strerror(errno));
    if (sethostname("guest", 5))
        status("note sethostname: %s\n", strerror(errno));
    int inet = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (inet < 0 || ioctl(inet, SIOCSIFFLAGS, &loopback))
        status("note loopback: %s\n", strerror(errno));
    if (inet >= 0)
        close(inet);
}

static unsigned long hexadecimal(const char *digits) {
    char copy[9];
    memcpy(copy, digits, 8);
    copy[8] = 0;
    return strtoul(copy, 0, 16);
}

// Unpacks a cpio archive of the "newc" format, in which parents come first and nothing is a hard
// link. Owners are root's.
static void unpack(const char *at, const char *end) {
    while (at + 110 <= end) {
        unsigned long mode = hexadecimal(at + 14), size = hexadecimal(at + 54);
        unsigned long name_size = hexadecimal(at + 94);
        const char *name = at + 110;
        const char *data = at + ((110 + name_size + 3) & ~3ul);
        at = data + ((size + 3) & ~3ul);
        if (!strcmp(name, "TRAILER!!!"))
            return;
        char path[4097];
        snprintf(path, sizeof path, "/%s", name);
        if (S_ISDIR(mode)) {
            if (mkdir(path, mode & 07777) && errno != EEXIST)
                fail(path);
            if (chmod(path, mode & 07777))
                fail(path);
        } else if (S_ISLNK(mode)) {
            char target[4097];
            snprintf(target, sizeof target, "%.*s", (int)size, data);
            unlink(path);
            if (symlink(target, path))
                fail(path);
        } else if (S_ISREG(mode)) {
            unlink(path);
            int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode & 07777);
            if (file < 0)
                fail(path);
            for (size_t done = 0; done < size;) {
                ssize_t count = write(file, data + done, size - done);
                if (count <= 0)
                    fail(path);
                done += count;
            }
            if (fchmod(file, mode & 07777))
                fail(path);
            close(file);
        }
    }
}

// A saved guest wakes with the clock and the random numbers of the moment it was saved.
static void wake(void) {
    struct timespec now = {shared->wall_clock_ns / 1000000000, shared->wall_clock_ns % 1000000000};
    if (clock_settime(CLOCK_REALTIME, &now))
        status("note clock: %s\n", strerror(errno));
    int random = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    if (random < 0 || write(random, (const void *)shared->seed, sizeof shared->seed) < 0 ||
        ioctl(random, RNDRESEEDCRNG))
        status("note random: %s\n", strerror(errno));
    if (random >= 0)
        close(random);
}

static void load_modules(void) {
    size_t length;
    char *list = read_file("/vm/modules", &length);
    if (!list)
        return;
    for (char **path = split(list, length, '\n'); *path; path++) {
        int file = open(*path, O_RDONLY | O_CLOEXEC);
        if (file < 0 || (syscall(SYS_finit_module, file, "", 0) && errno != EEXIST))
            fail(*path);
        close(file);
    }
}

// One file of /out: the lengths of the path, relative to it, and of the content, 64 bits each,
// then both.
static int emit_out_file(const char *path, const struct stat *is, int kind, struct FTW *walk) {
    static const char root[] = "/out/";
    (void)is;
    (void)walk;
    if (kind != FTW_F)
        return 0;
    struct stat file;
    if (lstat(path, &file) || !S_ISREG(file.st_mode))
        return 0;
    size_t length;
    char *bytes = read_file(path, &length);
    if (!bytes)
        return 0;
    const char *name = path + sizeof root - 1;
    unsigned long long lengths[2] = {strlen(name), length};
    emit(STREAM_FILES, lengths, sizeof lengths);
    emit(STREAM_FILES, name, lengths[0]);
    emit(STREAM_FILES, bytes, length);
    free(bytes);
    return 0;
}

static void emit_kernel_log(void) {
    enum { READ_ALL = 3, SIZE_BUFFER = 10 };
    int size = klogctl(SIZE_BUFFER, 0, 0);
    char *log = size > 0 ? malloc(size) : 0;
    if (log && (size = klogctl(READ_ALL, log, size)) > 0)
        emit(STREAM_KERNEL_LOG, log, size);
}

static void become(char **argv, char **environment, const int output[2], int failure) {
    setsid();
    int input = open("/vm/stdin", O_RDONLY);
    if (input < 0)
        input = open("/dev/null", O_RDONLY);
    dup2(input, 0);
    if (input > 0)
        close(input);
    dup2(output[0], 1);
    dup2(output[1], 2);
    iopl(0);  // the ports are process 1's alone
    execvpe(argv[0], argv, environment);
    int reason = errno;
    if (write(failure, &reason, sizeof reason) < 0)
        _exit(126);
    _exit(127);
}

// Runs the command and passes on what it writes; its wait status.
static int run(char **argv, char **environment) {
    int out[2], err[2], failure[2];
    if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) || pipe2(failure, O_CLOEXEC))
        fail("pipe");
    fcntl(out[0], F_SETPIPE_SZ, 1 << 20);
    fcntl(err[0], F_SETPIPE_SZ, 1 << 20);
    pid_t command = fork();
    if (command < 0)
        fail("fork");
    if (!command)
        become(argv, environment, (int[]){out[1], err[1]}, failure[1]);
    close(out[1]);
    close(err[1]);
    close(failure[1]);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);

    static char buffer[1 << 16];
    struct pollfd streams[2] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
    int result = 0, ended = 0;
    while (streams[0].fd >= 0 || streams[1].fd >= 0 || !ended) {
        int read_any = 0;
        if (streams[0].fd >= 0 || streams[1].fd >= 0)
            poll(streams, 2, ended ? 0 : 20);
        else
            usleep(2000);
        for (int i = 0; i < 2; i++) {
            if (streams[i].fd < 0)
                continue;
            ssize_t count = read(streams[i].fd, buffer, sizeof buffer);
            if (count > 0) {
                emit(i ? STREAM_STDERR : STREAM_STDOUT, buffer, count);
                read_any = 1;
            } else if (count == 0) {
                streams[i].fd = -1;
            }
        }
        // A process left behind may hold the pipes for ever; what it writes now is not awaited.
        if (ended && !read_any)
            break;
        int wait_status;
        pid_t child;
        while ((child = waitpid(-1, &wait_status, WNOHANG)) > 0)
            if (child == command) {
                result = wait_status;
                ended = 1;
            }
    }
    int reason;
    if (read(failure[0], &reason, sizeof reason) == sizeof reason) {
        errno = reason;
        fail(argv[0]);
    }
    return result;
}

int main(void) {
    double booted = uptime();
    if (iopl(3)) {
        perror("iopl");  // the console is all that is left to say it on
        return 1;
    }
    set_up();
    map_shared();
    struct utsname kernel;
    uname(&kernel);
    if (shared->mode == MODE_PARK) {
        // Saved here, and woken with another file in the place of the shared memory.
        status("parked\n");
        while (shared->mode != MODE_RUN)
            usleep(500);
        booted = uptime();
    }
    status("release %s\n", kernel.release);
    wake();
    unpack((char *)shared + PAYLOAD_OFFSET,
           (char *)shared + PAYLOAD_OFFSET + shared->payload_length);
    load_modules();

    size_t length;
    char *bytes = read_file("/vm/argv", &length);
    if (!bytes || !length)
        fail("/vm/argv");
    char **argv = split(bytes, length, 0);
    bytes = read_file("/vm/env", &length);
    if (!bytes)
        fail("/vm/env");
    char **environment = split(bytes, length, 0);
    // The command is looked for along its own PATH.
    for (char **variable = environment; *variable; variable++)
        if (!strncmp(*variable, "PATH=", 5))
            putenv(*variable);

    double ready = uptime();
    int result = run(argv, environment);
    double done = uptime();
    nftw("/out", emit_out_file, 16, FTW_PHYS);
    emit_kernel_log();
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    status("times %.6f %.6f %.6f\n", booted, ready - booted, done - ready);
    status("max-rss-kib %ld\n", usage.ru_maxrss);
    if (WIFSIGNALED(result))
        status("signal %d\n", WTERMSIG(result));
    else
        status("exit %d\n", WEXITSTATUS(result));
    stop();
}
