//! Sockets, divided by what rules can tell apart.

use gambeson_policy_model::Socket;

/// Types that rules tell apart, and one that stands for all others.
const TYPES: [u32; 7] = [
    Socket::SOCK_STREAM,
    Socket::SOCK_DGRAM,
    Socket::SOCK_RAW,
    Socket::SOCK_RDM,
    Socket::SOCK_SEQPACKET,
    Socket::SOCK_DCCP,
    0,
];

/// Protocols that rules tell apart, and one that stands for all others. MPTCP (262) counts as TCP.
const PROTOCOLS: [u32; 8] = [0, 6, 17, 132, 33, 1, 58, 255];

const PACKET: usize = TYPES.len() * PROTOCOLS.len();
const OTHER_FAMILY: usize = PACKET + 1;

/// How many profiles there are.
pub const PROFILES: usize = OTHER_FAMILY + 1;

/// The number of a socket's profile. Sockets of one profile match the same rules.
#[must_use]
pub fn profile(socket: &Socket) -> usize {
    match socket.family {
        Socket::AF_INET | Socket::AF_INET6 => {
            let place = |list: &[u32], wanted: u32| {
                let place = list.iter().position(|known| *known == wanted);
                place.unwrap_or(list.len() - 1)
            };
            let protocol = if socket.protocol == 262 {
                6
            } else {
                socket.protocol
            };
            place(&TYPES, socket.socket_type) * PROTOCOLS.len() + place(&PROTOCOLS, protocol)
        }
        Socket::AF_PACKET => PACKET,
        _ => OTHER_FAMILY,
    }
}

/// A socket of each profile, in order.
pub(crate) fn representatives() -> impl Iterator<Item = Socket> {
    let inet = TYPES.iter().flat_map(|kind| {
        PROTOCOLS
            .iter()
            .map(|protocol| Socket::new(Socket::AF_INET, *kind, *protocol))
    });
    inet.chain([
        Socket::new(Socket::AF_PACKET, Socket::SOCK_RAW, 0),
        Socket::new(u32::MAX, Socket::SOCK_STREAM, 0),
    ])
}
