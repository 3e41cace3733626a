//! Sockets by the kernel's object classes.

use gambeson_matcher::tables::{PROFILES, socket_profile};
use gambeson_policy_model::{Event, Socket, Verdict};

use super::subject::Policy;
use super::vocabulary::OTHER_SOCKETS;

/// A class of sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketClass {
    /// A class of AF_INET and AF_INET6, or of AF_PACKET.
    Of(&'static str),
    /// All classes of other families.
    Others,
}

impl SocketClass {
    pub(crate) const ALL: [Self; 8] = [
        Self::Of("tcp_socket"),
        Self::Of("udp_socket"),
        Self::Of("rawip_socket"),
        Self::Of("icmp_socket"),
        Self::Of("sctp_socket"),
        Self::Of("dccp_socket"),
        Self::Of("packet_socket"),
        Self::Others,
    ];

    /// The kernel's names.
    pub(crate) fn names(self) -> Vec<&'static str> {
        match self {
            Self::Of(name) => vec![name],
            Self::Others => {
                let mut names = OTHER_SOCKETS.to_vec();
                names.push("xdp_socket");
                names
            }
        }
    }

    /// The class that the kernel gives a socket.
    pub(crate) fn of(socket: &Socket) -> Self {
        match (socket.family, socket.socket_type, socket.protocol) {
            (Socket::AF_PACKET, ..) => Self::Of("packet_socket"),
            (Socket::AF_INET | Socket::AF_INET6, kind, protocol) => {
                Self::Of(match (kind, protocol) {
                    (Socket::SOCK_STREAM | Socket::SOCK_SEQPACKET, 0 | 6 | 262) => "tcp_socket",
                    (Socket::SOCK_STREAM | Socket::SOCK_SEQPACKET, 132) => "sctp_socket",
                    (Socket::SOCK_DGRAM, 0 | 17) => "udp_socket",
                    (Socket::SOCK_DGRAM, 1 | 58) => "icmp_socket",
                    (Socket::SOCK_DCCP, _) => "dccp_socket",
                    _ => "rawip_socket",
                })
            }
            _ => Self::Others,
        }
    }

    /// Sockets of the class that a kernel makes, each telling rules apart that others don't.
    pub(crate) fn examples(self) -> Vec<Socket> {
        let inet = |kind, protocol| Socket::new(Socket::AF_INET, kind, protocol);
        let mut examples: Vec<Socket> = match self {
            Self::Of("tcp_socket") => [0, 6, 262].map(|p| inet(Socket::SOCK_STREAM, p)).into(),
            Self::Of("udp_socket") => [0, 17].map(|p| inet(Socket::SOCK_DGRAM, p)).into(),
            Self::Of("icmp_socket") => [1, 58].map(|p| inet(Socket::SOCK_DGRAM, p)).into(),
            Self::Of("sctp_socket") => vec![
                inet(Socket::SOCK_STREAM, 132),
                inet(Socket::SOCK_SEQPACKET, 132),
            ],
            Self::Of("dccp_socket") => [0, 33].map(|p| inet(Socket::SOCK_DCCP, p)).into(),
            Self::Of("packet_socket") => {
                vec![Socket::new(Socket::AF_PACKET, Socket::SOCK_RAW, 0)]
            }
            Self::Of(_) => {
                let protocols = [0, 1, 6, 17, 33, 58, 132, 255];
                let mut raw: Vec<Socket> = protocols.map(|p| inet(Socket::SOCK_RAW, p)).into();
                // UDP-Lite, which is no protocol that rules name.
                raw.push(inet(Socket::SOCK_DGRAM, 136));
                raw
            }
            Self::Others => vec![Socket::new(40, Socket::SOCK_STREAM, 0)],
        };
        // What rules can't tell apart needs no second look.
        let mut seen = [false; PROFILES];
        examples.retain(|socket| {
            seen.get_mut(socket_profile(socket))
                .is_some_and(|seen| !std::mem::replace(seen, true))
        });
        examples
    }

    /// The verdicts on its sockets, the strictest last.
    pub(crate) fn verdicts(self, policy: &Policy<'_>, source: &[u8]) -> Vec<Verdict> {
        let mut verdicts: Vec<Verdict> = self
            .examples()
            .into_iter()
            .map(|socket| {
                let event = Event::socket(socket).by(source).tty(true);
                policy.compiled.decide(&event).verdict
            })
            .collect();
        verdicts.sort_unstable();
        verdicts.dedup();
        verdicts
    }
}
