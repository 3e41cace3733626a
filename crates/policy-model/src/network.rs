//! Sockets, and the protocols that rules name.

use std::fmt;

/// What `network.matchProtocols[].protocol` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, with MPTCP.
    Tcp,
    /// UDP.
    Udp,
    /// Raw sockets of the IP families, and every AF_PACKET socket.
    Raw,
    /// ICMP, on a datagram or raw socket.
    Icmp,
    /// ICMPv6, on a datagram or raw socket.
    Icmpv6,
    /// SCTP.
    Sctp,
    /// SOCK_STREAM.
    Stream,
    /// SOCK_DGRAM.
    Dgram,
    /// SOCK_RDM.
    Rdm,
    /// SOCK_SEQPACKET.
    Seqpacket,
    /// DCCP.
    Dccp,
    /// AF_PACKET.
    Packet,
    /// Everything in the class.
    All,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 13] = [
        Self::Tcp,
        Self::Udp,
        Self::Raw,
        Self::Icmp,
        Self::Icmpv6,
        Self::Sctp,
        Self::Stream,
        Self::Dgram,
        Self::Rdm,
        Self::Seqpacket,
        Self::Dccp,
        Self::Packet,
        Self::All,
    ];

    /// The name as written in a policy, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Raw => "raw",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
            Self::Sctp => "sctp",
            Self::Stream => "stream",
            Self::Dgram => "dgram",
            Self::Rdm => "rdm",
            Self::Seqpacket => "seqpacket",
            Self::Dccp => "dccp",
            Self::Packet => "packet",
            Self::All => "all",
        }
    }

    /// The protocol with this name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }

    /// Whether a rule with this protocol matches the socket.
    ///
    /// ```
    /// use gambeson_policy_model::{Protocol, Socket};
    /// let tcp = Socket::new(Socket::AF_INET, Socket::SOCK_STREAM, 0);
    /// assert!(Protocol::Tcp.matches(&tcp) && Protocol::Stream.matches(&tcp));
    /// let unix = Socket::new(Socket::AF_UNIX, Socket::SOCK_STREAM, 0);
    /// assert!(!Protocol::All.matches(&unix));
    /// ```
    #[must_use]
    pub fn matches(self, socket: &Socket) -> bool {
        if !socket.in_class() {
            return false;
        }
        let inet = matches!(socket.family, Socket::AF_INET | Socket::AF_INET6);
        let kind = socket.socket_type;
        let raw = kind == Socket::SOCK_RAW;
        // Protocol 0 stands for the socket type's default.
        let by_default = |of: u32| socket.protocol == 0 && kind == of;
        let by_number = |numbers: &[u32]| numbers.contains(&socket.protocol);
        match self {
            Self::All => true,
            Self::Packet => socket.family == Socket::AF_PACKET,
            Self::Raw => socket.family == Socket::AF_PACKET || (inet && raw),
            _ if !inet => false,
            Self::Tcp => !raw && (by_number(&[6, 262]) || by_default(Socket::SOCK_STREAM)),
            Self::Udp => !raw && (by_number(&[17]) || by_default(Socket::SOCK_DGRAM)),
            Self::Sctp => !raw && (by_number(&[132]) || by_default(Socket::SOCK_SEQPACKET)),
            Self::Dccp => !raw && (by_number(&[33]) || by_default(Socket::SOCK_DCCP)),
            Self::Icmp => (raw || kind == Socket::SOCK_DGRAM) && by_number(&[1]),
            Self::Icmpv6 => (raw || kind == Socket::SOCK_DGRAM) && by_number(&[58]),
            Self::Stream => kind == Socket::SOCK_STREAM,
            Self::Dgram => kind == Socket::SOCK_DGRAM,
            Self::Rdm => kind == Socket::SOCK_RDM,
            Self::Seqpacket => kind == Socket::SOCK_SEQPACKET,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A socket, by the three numbers of `socket(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Socket {
    /// The address family, `AF_…`.
    pub family: u32,
    /// The socket type, `SOCK_…`, without the flags SOCK_NONBLOCK and SOCK_CLOEXEC.
    pub socket_type: u32,
    /// The protocol; 0 for the type's default.
    pub protocol: u32,
}

#[expect(missing_docs, reason = "the names of the Linux headers say it all")]
impl Socket {
    pub const AF_UNIX: u32 = 1;
    pub const AF_INET: u32 = 2;
    pub const AF_INET6: u32 = 10;
    pub const AF_KEY: u32 = 15;
    pub const AF_NETLINK: u32 = 16;
    pub const AF_PACKET: u32 = 17;
    pub const AF_ALG: u32 = 38;
    pub const SOCK_STREAM: u32 = 1;
    pub const SOCK_DGRAM: u32 = 2;
    pub const SOCK_RAW: u32 = 3;
    pub const SOCK_RDM: u32 = 4;
    pub const SOCK_SEQPACKET: u32 = 5;
    pub const SOCK_DCCP: u32 = 6;
    pub const SOCK_PACKET: u32 = 10;
}

/// Address families by name (`include/linux/socket.h`).
const FAMILIES: [(&str, u32); 45] = [
    ("unspec", 0),
    ("unix", 1),
    ("local", 1),
    ("inet", 2),
    ("ax25", 3),
    ("ipx", 4),
    ("appletalk", 5),
    ("netrom", 6),
    ("bridge", 7),
    ("atmpvc", 8),
    ("x25", 9),
    ("inet6", 10),
    ("rose", 11),
    ("decnet", 12),
    ("netbeui", 13),
    ("security", 14),
    ("key", 15),
    ("netlink", 16),
    ("route", 16),
    ("packet", 17),
    ("ash", 18),
    ("econet", 19),
    ("atmsvc", 20),
    ("rds", 21),
    ("sna", 22),
    ("irda", 23),
    ("pppox", 24),
    ("wanpipe", 25),
    ("llc", 26),
    ("ib", 27),
    ("mpls", 28),
    ("can", 29),
    ("tipc", 30),
    ("bluetooth", 31),
    ("iucv", 32),
    ("rxrpc", 33),
    ("isdn", 34),
    ("phonet", 35),
    ("ieee802154", 36),
    ("caif", 37),
    ("alg", 38),
    ("nfc", 39),
    ("vsock", 40),
    ("kcm", 41),
    ("xdp", 44),
];

/// Socket types by name (`include/linux/net.h`).
const TYPES: [(&str, u32); 7] = [
    ("stream", Socket::SOCK_STREAM),
    ("dgram", Socket::SOCK_DGRAM),
    ("raw", Socket::SOCK_RAW),
    ("rdm", Socket::SOCK_RDM),
    ("seqpacket", Socket::SOCK_SEQPACKET),
    ("dccp", Socket::SOCK_DCCP),
    ("packet", Socket::SOCK_PACKET),
];

/// Protocols by name (`include/uapi/linux/in.h`).
const PROTOCOLS: [(&str, u32); 14] = [
    ("ip", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("sctp", 132),
    ("udplite", 136),
    ("raw", 255),
    ("mptcp", 262),
];

/// Looks a name up, with or without its prefix, in any case.
fn by_name(table: &[(&str, u32)], prefix: &str, name: &str) -> Option<u32> {
    let bare = match name.get(..prefix.len()) {
        Some(start) if start.eq_ignore_ascii_case(prefix) => name.get(prefix.len()..)?,
        _ => name,
    };
    table
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(bare))
        .map(|(_, number)| *number)
}

impl Socket {
    /// SOCK_NONBLOCK, SOCK_CLOEXEC and whatever else is or'ed to a type lies above these bits.
    const TYPE_MASK: u32 = 0xf;

    /// A socket from the arguments of `socket(2)`; flags in the type are cut off.
    ///
    /// Like the kernel (`net/socket.c`), takes the obsolete pair of AF_INET and SOCK_PACKET for
    /// AF_PACKET.
    #[must_use]
    pub const fn new(family: u32, socket_type: u32, protocol: u32) -> Self {
        let socket_type = socket_type & Self::TYPE_MASK;
        let family = if family == Self::AF_INET && socket_type == Self::SOCK_PACKET {
            Self::AF_PACKET
        } else {
            family
        };
        Self {
            family,
            socket_type,
            protocol,
        }
    }

    /// Whether the network class speaks of the socket at all. AF_UNIX, AF_NETLINK, AF_ALG and
    /// AF_KEY are outside: always allowed.
    #[must_use]
    pub const fn in_class(&self) -> bool {
        !matches!(
            self.family,
            Self::AF_UNIX | Self::AF_NETLINK | Self::AF_ALG | Self::AF_KEY
        )
    }

    /// The number of a family such as `AF_INET` or `inet`.
    #[must_use]
    pub fn family_from_name(name: &str) -> Option<u32> {
        by_name(&FAMILIES, "AF_", name).or_else(|| by_name(&FAMILIES, "PF_", name))
    }

    /// The number of a type such as `SOCK_STREAM` or `stream`.
    #[must_use]
    pub fn type_from_name(name: &str) -> Option<u32> {
        by_name(&TYPES, "SOCK_", name)
    }

    /// The number of a protocol such as `IPPROTO_TCP` or `tcp`.
    #[must_use]
    pub fn protocol_from_name(name: &str) -> Option<u32> {
        by_name(&PROTOCOLS, "IPPROTO_", name)
            .or_else(|| name.eq_ignore_ascii_case("icmp6").then_some(58))
    }
}
