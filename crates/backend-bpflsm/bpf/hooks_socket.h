/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hooks about sockets and capabilities. */
#ifndef GAMBESON_HOOKS_SOCKET_H
#define GAMBESON_HOOKS_SOCKET_H

#include "judge.h"

#define AF_NETLINK 16
#define AF_KEY 15
#define AF_ALG 38
#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262

#define TYPES 7
#define PROTOCOLS 8
#define PACKET_PROFILE (TYPES * PROTOCOLS)

/* The place of a protocol among those that rules tell apart. */
static __always_inline u32 protocol_place(u32 protocol)
{
	switch (protocol) {
	case 0: return 0;
	case IPPROTO_TCP:
	case IPPROTO_MPTCP: return 1;
	case 17: return 2; /* UDP */
	case 132: return 3; /* SCTP */
	case 33: return 4; /* DCCP */
	case 1: return 5; /* ICMP */
	case 58: return 6; /* ICMPv6 */
	default: return 7;
	}
}

/* The number of a socket's profile: `compile/network.rs` of the matcher. */
static __always_inline u32 profile_of(u32 family, u32 type, u32 protocol)
{
	if (family == AF_INET || family == AF_INET6)
		return (type >= 1 && type <= 6 ? type - 1 : 6) * PROTOCOLS + protocol_place(protocol);
	return family == AF_PACKET ? PACKET_PROFILE : PACKET_PROFILE + 1;
}

static __always_inline int socket_event(u32 family, u32 type, u32 protocol, u32 hook)
{
	struct gb_scratch *s;

	if (family == AF_UNIX || family == AF_NETLINK || family == AF_ALG || family == AF_KEY)
		return 0;
	s = OPEN_OR_RETURN(CLASS_BIT(NETWORK));
	s->event.detail[0] = family;
	s->event.detail[1] = type;
	s->event.detail[2] = protocol;
	return judge_row(s, NETWORK, profile_of(family, type, protocol), GB_OP_SOCKET, hook, false);
}

static __always_inline int used_socket_event(struct socket *socket, u32 hook)
{
	struct sock *sock = socket->sk;

	if (!sock)
		return 0;
	return socket_event(sock->__sk_common.skc_family, socket->type, sock->sk_protocol, hook);
}

SEC("lsm/socket_create")
int BPF_PROG(gb_socket_create, int family, int type, int protocol, int kern)
{
	/* The kernel's own sockets are nobody's. */
	return kern ? 0 : socket_event(family, type, protocol, GB_HOOK_SOCKET_CREATE);
}

SEC("lsm/socket_bind")
int BPF_PROG(gb_socket_bind, struct socket *socket)
{
	return used_socket_event(socket, GB_HOOK_SOCKET_BIND);
}

SEC("lsm/socket_connect")
int BPF_PROG(gb_socket_connect, struct socket *socket)
{
	return used_socket_event(socket, GB_HOOK_SOCKET_CONNECT);
}

SEC("lsm/socket_listen")
int BPF_PROG(gb_socket_listen, struct socket *socket)
{
	return used_socket_event(socket, GB_HOOK_SOCKET_LISTEN);
}

SEC("lsm/socket_accept")
int BPF_PROG(gb_socket_accept, struct socket *socket)
{
	return used_socket_event(socket, GB_HOOK_SOCKET_ACCEPT);
}

/* Capability. Checks that the kernel marks as not to be audited are decided, never reported. */
SEC("lsm/capable")
int BPF_PROG(gb_capable, const struct cred *cred, struct user_namespace *ns, int capability, unsigned int options)
{
	struct gb_scratch *s = OPEN_OR_RETURN(CLASS_BIT(CAPABILITIES));

	s->event.detail[0] = capability;
	return judge_row(s, CAPABILITIES, capability, GB_OP_CAPABILITY, GB_HOOK_CAPABLE, options & CAP_OPT_NOAUDIT);
}

#endif
