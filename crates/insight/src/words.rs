//! Events and names for people: what an operation is on, and text that is safe to print.

use gambeson_policy_model::{Device, EventPath, Operation, Protocol, Socket};

/// What the operation is on, such as `/bin/sh` or `inet stream tcp`.
#[must_use]
pub fn described(operation: &Operation<'_>) -> String {
    match operation {
        Operation::Exec { path, .. }
        | Operation::MapExec { path }
        | Operation::Read { path }
        | Operation::Write { path } => file(path),
        Operation::Socket(of) => socket(of),
        Operation::Capability(capability) => capability.name().to_owned(),
        Operation::Syscall { name, path } => match path {
            Some(path) => format!("{} {}", printable(name.as_bytes()), file(path)),
            None => printable(name.as_bytes()),
        },
        Operation::Dns { domain } => printable(domain.as_bytes()),
        Operation::Device(of) => device(of),
        Operation::Preset(preset) => preset.name().to_owned(),
        // Operations may be added to the vocabulary; their name stands beside.
        _ => String::new(),
    }
}

/// Text from events and policies, made safe for a terminal: control characters and those that
/// turn the direction of writing are spelled out, so that a file's name can't rewrite the screen.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || turns_direction(c) {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            text.extend(std::ascii::escape_default(*byte).map(char::from));
        }
    }
    text
}

/// Marks, embeddings, overrides and isolates of the Unicode bidirectional algorithm, and the
/// separators that a terminal may take for the end of a line.
const fn turns_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

fn file(path: &EventPath<'_>) -> String {
    path.bytes()
        .map_or_else(|| "(unresolvable)".to_owned(), printable)
}

/// Family, type and protocol; numbers where there is no common name.
fn socket(socket: &Socket) -> String {
    let family = match socket.family {
        Socket::AF_UNIX => "unix",
        Socket::AF_INET => "inet",
        Socket::AF_INET6 => "inet6",
        Socket::AF_KEY => "key",
        Socket::AF_NETLINK => "netlink",
        Socket::AF_PACKET => "packet",
        Socket::AF_ALG => "alg",
        _ => "",
    };
    let kind = match socket.socket_type {
        Socket::SOCK_STREAM => "stream",
        Socket::SOCK_DGRAM => "dgram",
        Socket::SOCK_RAW => "raw",
        Socket::SOCK_RDM => "rdm",
        Socket::SOCK_SEQPACKET => "seqpacket",
        Socket::SOCK_DCCP => "dccp",
        _ => "",
    };
    let protocol = [
        Protocol::Tcp,
        Protocol::Udp,
        Protocol::Sctp,
        Protocol::Dccp,
        Protocol::Icmp,
        Protocol::Icmpv6,
    ]
    .into_iter()
    .find(|protocol| protocol.matches(socket));
    let named = |name: &str, what: &str, number: u32| match name {
        "" => format!("{what} {number}"),
        _ => name.to_owned(),
    };
    let mut text = named(family, "family", socket.family);
    text.push(' ');
    text.push_str(&named(kind, "type", socket.socket_type));
    match protocol {
        Some(protocol) => {
            text.push(' ');
            text.push_str(protocol.name());
        }
        None if socket.protocol != 0 => text.push_str(&format!(" protocol {}", socket.protocol)),
        None => {}
    }
    text
}

fn device(device: &Device) -> String {
    let mut text = device.class.to_string();
    for (name, value) in [
        ("subclass", device.subclass),
        ("protocol", device.protocol),
        ("level", device.level),
    ] {
        if let Some(value) = value {
            text.push_str(&format!(" {name} {value}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_drive_the_terminal() {
        assert_eq!(printable(b"/tmp/\x1b[2Jx\n"), "/tmp/\\u{1b}[2Jx\\n");
        assert_eq!(printable(b"/tmp/\xff"), "/tmp/\\xff");
        assert_eq!(
            printable("/tmp/\u{202e}gpj".as_bytes()),
            "/tmp/\\u{202e}gpj"
        );
        assert_eq!(printable("/tmp/größe".as_bytes()), "/tmp/größe");
    }

    #[test]
    fn sockets_are_named() {
        for (family, kind, protocol, text) in [
            (2, 1, 0, "inet stream tcp"),
            (10, 2, 17, "inet6 dgram udp"),
            (2, 3, 1, "inet raw icmp"),
            (17, 3, 768, "packet raw protocol 768"),
            (1, 1, 0, "unix stream"),
            (40, 1, 0, "family 40 stream"),
            (2, 9, 200, "inet type 9 protocol 200"),
        ] {
            assert_eq!(socket(&Socket::new(family, kind, protocol)), text);
        }
    }

    #[test]
    fn a_file_without_a_path_is_said_to_have_none() {
        let path = EventPath::UNRESOLVABLE;
        assert_eq!(described(&Operation::Read { path }), "(unresolvable)");
    }
}
