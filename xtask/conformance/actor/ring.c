/* The same by io_uring, without the system calls of their own. */
#include "actor.h"
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <netinet/in.h>

struct ring {
	int fd;
	struct io_uring_params params;
	char *submission, *completion;
	struct io_uring_sqe *entries;
};

static int new_ring(struct act *a, unsigned flags)
{
	struct ring *r = calloc(1, sizeof *r);

	r->params.flags = flags;
	r->params.sq_thread_idle = 1000;
	r->fd = syscall(SYS_io_uring_setup, 4, &r->params);
	if (r->fd < 0)
		return errno;
	r->submission = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQ_RING);
	r->completion = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_CQ_RING);
	r->entries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES);
	if (r->submission == MAP_FAILED || r->completion == MAP_FAILED || (void *)r->entries == MAP_FAILED)
		return errno;
	a->memory = r;
	return 0;
}

static int prepare_ring(struct act *a) { return new_ring(a, 0); }
static int prepare_polled_ring(struct act *a) { return new_ring(a, IORING_SETUP_SQPOLL); }

/* Submits one entry and waits for its result: 0 or an errno. */
static int submit(struct act *a, const struct io_uring_sqe *entry)
{
	struct ring *r = a->memory;
	unsigned *tail = (unsigned *)(r->submission + r->params.sq_off.tail);
	unsigned *list = (unsigned *)(r->submission + r->params.sq_off.array);
	volatile unsigned *head = (unsigned *)(r->completion + r->params.cq_off.head);
	volatile unsigned *done = (unsigned *)(r->completion + r->params.cq_off.tail);
	unsigned mask = *(unsigned *)(r->submission + r->params.sq_off.ring_mask);
	int polled = r->params.flags & IORING_SETUP_SQPOLL;

	r->entries[*tail & mask] = *entry;
	list[*tail & mask] = *tail & mask;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, polled ? 0 : 1, 1,
		    IORING_ENTER_GETEVENTS | (polled ? IORING_ENTER_SQ_WAKEUP : 0), NULL, 0) < 0)
		return errno;
	for (int i = 0; *head == *done; i++) {
		if (i == 10000)
			return ETIMEDOUT;
		usleep(100);
	}
	struct io_uring_cqe *result = (struct io_uring_cqe *)(r->completion + r->params.cq_off.cqes);
	return result->res < 0 ? -result->res : 0;
}

static int open_by_ring(struct act *a, int flags, int async)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)a->path,
		.open_flags = flags, .flags = async ? IOSQE_ASYNC : 0 };

	return submit(a, &entry);
}

static int ring_open(struct act *a) { return open_by_ring(a, O_RDONLY, 0); }
static int ring_open_async(struct act *a) { return open_by_ring(a, O_RDONLY, 1); }
static int ring_open_write(struct act *a) { return open_by_ring(a, O_WRONLY, 0); }

static int ring_unlink(struct act *a)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = (uintptr_t)a->path };

	return submit(a, &entry);
}

static int ring_rename(struct act *a)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_RENAMEAT, .fd = AT_FDCWD, .addr = (uintptr_t)a->path,
		.len = AT_FDCWD, .addr2 = (uintptr_t)a->to };

	return submit(a, &entry);
}

static int ring_make_directory(struct act *a)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_MKDIRAT, .fd = AT_FDCWD, .addr = (uintptr_t)a->path, .len = 0777 };

	return submit(a, &entry);
}

static int ring_socket(struct act *a)
{
	struct io_uring_sqe entry = { .opcode = 45 /* IORING_OP_SOCKET, Linux 5.19 */, .fd = a->number[0],
		.off = a->number[1], .len = a->number[2] };

	return submit(a, &entry);
}

static int prepare_socket(struct act *a)
{
	int error = prepare_ring(a);

	return error ? error : said(a->fd = socket(a->number[0], a->number[1], a->number[2]));
}

static int ring_connect(struct act *a)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(a->number[3] ? a->number[3] : 9) };
	struct io_uring_sqe entry = { .opcode = IORING_OP_CONNECT, .fd = a->fd, .addr = (uintptr_t)&address, .off = sizeof address };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return submit(a, &entry);
}

const struct way ring_ways[] = {
	{ "io-uring-open", prepare_ring, ring_open },
	{ "io-uring-open-async", prepare_ring, ring_open_async },
	{ "io-uring-open-polled", prepare_polled_ring, ring_open },
	{ "io-uring-open-write", prepare_ring, ring_open_write },
	{ "io-uring-unlink", prepare_ring, ring_unlink },
	{ "io-uring-rename", prepare_ring, ring_rename },
	{ "io-uring-mkdir", prepare_ring, ring_make_directory },
	{ "io-uring-socket", prepare_ring, ring_socket },
	{ "io-uring-connect", prepare_socket, ring_connect },
	{ 0 },
};
