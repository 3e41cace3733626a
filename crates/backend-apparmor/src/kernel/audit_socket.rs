//! The kernel's audit socket: its records, each whole, to whoever may read them.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with, sockopt,
};

/// `AUDIT_NLGRP_READLOG` of `linux/audit.h`, as a bit.
const READERS: u32 = 1;

/// What may wait to be read: some ten thousand records. In bytes.
const ROOM: usize = 16 << 20;

/// A message's head, `struct nlmsghdr`.
const HEAD: usize = 16;

/// `MAX_AUDIT_MESSAGE_LENGTH` of `linux/audit.h`.
const LONGEST: usize = 8_970;

/// A member of the group that reads along. Nothing is taken from an audit daemon.
#[derive(Debug)]
pub(super) struct AuditSocket(OwnedFd);

impl AuditSocket {
    /// Joins the group, which takes `CAP_AUDIT_READ`.
    pub(super) fn open() -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            Some(netlink::AUDIT),
        )?;
        // Without more room, more may be lost, which is told when it is.
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, ROOM);
        bind(&socket, &SocketAddrNetlink::new(0, READERS))?;
        Ok(Self(socket))
    }

    /// The next message, as the audit daemon would write it; `None` where none is waiting.
    pub(super) fn next(&self) -> Result<Option<Vec<u8>>, Errno> {
        let mut message = [0_u8; HEAD + LONGEST];
        match recv(&self.0, &mut message, RecvFlags::empty()) {
            Ok((len, _)) => Ok(Some(as_line(message.get(..len).unwrap_or_default()))),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// `type=1400 audit(1.000:2): …`. A head's length is wrong in some kernels: the message's own counts.
fn as_line(message: &[u8]) -> Vec<u8> {
    let Some((head, text)) = message.split_at_checked(HEAD) else {
        return Vec::new();
    };
    let kind = match head {
        [_, _, _, _, low, high, ..] => u16::from_ne_bytes([*low, *high]),
        _ => 0,
    };
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    [format!("type={kind} ").as_bytes(), text].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Record;

    #[test]
    fn a_message_is_a_line_with_its_kind() {
        let text = b"audit(1700000000.123:45): apparmor=\"DENIED\" operation=\"open\" profile=\"p\" name=\"/x\"\0";
        let mut message = vec![0; HEAD];
        message[4..6].copy_from_slice(&1400_u16.to_ne_bytes());
        message.extend(text);
        let record = Record::parse(&as_line(&message)).unwrap().unwrap();
        assert_eq!(record.serial, 45);
        assert_eq!(record.name.as_deref(), Some(&b"/x"[..]));
        assert_eq!(Record::parse(&as_line(&message[..10])), Ok(None));
    }
}
