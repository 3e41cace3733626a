/* Sockets and DNS queries. */
#include "actor.h"
#include <arpa/inet.h>
#include <netinet/in.h>

/* An address of the loopback interface, or no more than the family. */
static socklen_t loopback(struct sockaddr_storage *address, int family, int port)
{
	memset(address, 0, sizeof *address);
	address->ss_family = family;
	if (family == AF_INET6) {
		struct sockaddr_in6 *six = (void *)address;
		six->sin6_addr = in6addr_loopback;
		six->sin6_port = htons(port);
		return sizeof *six;
	}
	struct sockaddr_in *four = (void *)address;
	if (family == AF_INET) {
		four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		four->sin_port = htons(port);
	}
	return sizeof *four;
}

static int create(struct act *a) { return opened(socket(a->number[0], a->number[1], a->number[2])); }

static int create_pair(struct act *a)
{
	int ends[2];

	return said(socketpair(a->number[0], a->number[1], a->number[2], ends));
}

static int prepare_socket(struct act *a)
{
	return said(a->fd = socket(a->number[0], a->number[1] | SOCK_NONBLOCK, a->number[2]));
}

static int use_address(struct act *a, int (*call)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_storage address;
	socklen_t length = loopback(&address, a->number[0], a->number[3]);

	return said(call(a->fd, (struct sockaddr *)&address, length));
}

static int connect_socket(struct act *a) { return use_address(a, connect); }
static int bind_socket(struct act *a) { return use_address(a, bind); }
static int listen_socket(struct act *a) { return said(listen(a->fd, 4)); }

static int create_connect(struct act *a)
{
	int error = prepare_socket(a);

	return error ? error : connect_socket(a);
}

static int prepare_bound(struct act *a)
{
	int error = prepare_socket(a);

	return error ? error : bind_socket(a);
}

static int prepare_pending(struct act *a)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	int error = prepare_bound(a);

	if (error)
		return error;
	if (listen(a->fd, 4) || getsockname(a->fd, (struct sockaddr *)&address, &length))
		return errno;
	a->fd2 = socket(a->number[0], a->number[1], a->number[2]);
	return said(connect(a->fd2, (struct sockaddr *)&address, length));
}

static int accept_socket(struct act *a) { return opened(accept(a->fd, NULL, NULL)); }

static int send_socket(struct act *a)
{
	struct sockaddr_storage address;
	socklen_t length = loopback(&address, a->number[0], a->number[3] ? a->number[3] : 9);

	return said(sendto(a->fd, "x", 1, 0, (struct sockaddr *)&address, length));
}

/* ---- DNS ---- */

static int query(const char *domain, unsigned char *bytes, int size)
{
	static const unsigned char head[12] = { 0x12, 0x34, 1, 0, 0, 1 };
	int at = sizeof head;

	memcpy(bytes, head, sizeof head);
	while (*domain) {
		int length = strcspn(domain, ".");
		if (length > 63 || at + length + 6 > size)
			return -1;
		bytes[at++] = length;
		memcpy(bytes + at, domain, length);
		at += length;
		domain += length + (domain[length] == '.');
	}
	memcpy(bytes + at, "\0\0\1\0\1", 5);
	return at + 5;
}

static int prepare_resolver(struct act *a)
{
	a->number[0] = AF_INET;
	a->number[1] = SOCK_DGRAM;
	a->number[2] = 0;
	a->number[3] = 53;
	return prepare_socket(a);
}

static int prepare_connected_resolver(struct act *a)
{
	int error = prepare_resolver(a);

	return error ? error : connect_socket(a);
}

static int prepare_stream_resolver(struct act *a)
{
	int server = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	a->number[0] = AF_INET;
	a->number[1] = SOCK_STREAM;
	a->number[2] = 0;
	a->number[3] = 53;
	a->fd = server;
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind_socket(a) || listen(server, 1))
		return errno;
	a->fd = socket(AF_INET, SOCK_STREAM, 0);
	return connect_socket(a);
}

static int ask(struct act *a, ssize_t (*send_it)(struct act *, struct msghdr *))
{
	unsigned char bytes[512];
	struct sockaddr_storage address;
	struct iovec data = { .iov_base = bytes, .iov_len = 0 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_name = &address };
	int length = query(a->path, bytes, sizeof bytes);

	if (length < 0)
		return EINVAL;
	data.iov_len = length;
	message.msg_namelen = loopback(&address, AF_INET, 53);
	return said(send_it(a, &message));
}

static ssize_t send_to(struct act *a, struct msghdr *m)
{
	return sendto(a->fd, m->msg_iov->iov_base, m->msg_iov->iov_len, 0, m->msg_name, m->msg_namelen);
}

static ssize_t send_message(struct act *a, struct msghdr *m) { return sendmsg(a->fd, m, 0); }

static ssize_t send_many(struct act *a, struct msghdr *m)
{
	struct mmsghdr many = { .msg_hdr = *m };

	return sendmmsg(a->fd, &many, 1, 0);
}

static ssize_t write_it(struct act *a, struct msghdr *m) { return write(a->fd, m->msg_iov->iov_base, m->msg_iov->iov_len); }

/* Over TCP the query's length comes first. */
static ssize_t write_framed(struct act *a, struct msghdr *m)
{
	unsigned char frame[2 + 512];
	size_t length = m->msg_iov->iov_len;

	frame[0] = length >> 8;
	frame[1] = length;
	memcpy(frame + 2, m->msg_iov->iov_base, length);
	return write(a->fd, frame, length + 2);
}

static int ask_sendto(struct act *a) { return ask(a, send_to); }
static int ask_sendmsg(struct act *a) { return ask(a, send_message); }
static int ask_sendmmsg(struct act *a) { return ask(a, send_many); }
static int ask_write(struct act *a) { return ask(a, write_it); }
static int ask_stream(struct act *a) { return ask(a, write_framed); }

const struct way socket_ways[] = {
	{ "socket", NULL, create },
	{ "socketpair", NULL, create_pair },
	{ "connect", prepare_socket, connect_socket },
	{ "socket-connect", NULL, create_connect },
	{ "bind", prepare_socket, bind_socket },
	{ "listen", prepare_bound, listen_socket },
	{ "accept", prepare_pending, accept_socket },
	{ "sendto", prepare_socket, send_socket },
	{ "dns-sendto", prepare_resolver, ask_sendto },
	{ "dns-sendmsg", prepare_resolver, ask_sendmsg },
	{ "dns-sendmmsg", prepare_resolver, ask_sendmmsg },
	{ "dns-write", prepare_connected_resolver, ask_write },
	{ "dns-tcp", prepare_stream_resolver, ask_stream },
	{ 0 },
};
