//! The kernel's log, where records go that no audit daemon takes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, netlink, sendto, socket_with,
};
use thiserror::Error;

use crate::event::{AvcError, AvcRecord};

const FILE: &str = "/dev/kmsg";

/// The longest line that the kernel hands out.
const LONGEST: usize = 8192;

/// How often to look for a line that has been asked for.
const LOOK: Duration = Duration::from_millis(1);

/// Messages of this kind are taken from user space even while auditing is switched off.
const AUDIT_USER_AVC: u16 = 1107;

/// A netlink message that asks for something.
const NLM_F_REQUEST: u16 = 1;

/// What came of looking at the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Polled {
    /// Records that were handed on.
    pub records: u64,
    /// How often lines were overwritten before they were read.
    pub overrun: u64,
    /// Lines that begin as records and don't go on as records.
    pub malformed: u64,
}

/// Why the log can't be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// It can't be opened or read.
    #[error("can't read `{FILE}`: {source}; it takes root, or `sysctl kernel.dmesg_restrict=0`")]
    Read {
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The kernel can't be asked for a line in it.
    #[error(
        "can't send a message for the audit log: {source}; it takes root, and a kernel with audit"
    )]
    Mark {
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The line that was asked for doesn't come.
    #[error(
        "the kernel's log doesn't say what was asked of it: an audit daemon has the records, or some were dropped"
    )]
    NoMark,
}

/// The kernel's log, from where it ended when this was opened.
#[derive(Debug)]
pub struct KernelLog {
    file: File,
    marks: u64,
    last: Option<AvcError>,
}

/// One line of the log.
enum Line {
    Record(Box<AvcRecord>),
    Malformed(AvcError),
    Other,
    Mark,
}

impl KernelLog {
    /// Opens the log. What stands in it already is passed over.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open() -> Result<Self, LogError> {
        let failed = |source| LogError::Read { source };
        let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .custom_flags(nonblock)
            .open(FILE)
            .map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self {
            file,
            marks: 0,
            last: None,
        })
    }

    /// Hands on the records that have come since. Doesn't wait.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn poll(&mut self, take: &mut dyn FnMut(AvcRecord)) -> Result<Polled, LogError> {
        self.look(None, take).map(|(polled, _)| polled)
    }

    /// Hands on every record of what was done before this call: asks the kernel for a line of this
    /// process's own, which comes after them.
    ///
    /// # Errors
    /// When the log can't be read, the kernel can't be asked, or the line doesn't come in time.
    pub fn catch_up(
        &mut self,
        patience: Duration,
        take: &mut dyn FnMut(AvcRecord),
    ) -> Result<Polled, LogError> {
        self.marks += 1;
        let mark = format!("gambeson-mark-{}-{}", std::process::id(), self.marks);
        send_mark(&mark).map_err(|error| LogError::Mark {
            source: error.into(),
        })?;
        let deadline = Instant::now() + patience;
        let mut all = Polled::default();
        loop {
            let (polled, found) = self.look(Some(&mark), take)?;
            all.records += polled.records;
            all.overrun += polled.overrun;
            all.malformed += polled.malformed;
            if found {
                return Ok(all);
            }
            if Instant::now() > deadline {
                return Err(LogError::NoMark);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What was wrong with the last line that was malformed.
    #[must_use]
    pub const fn last_error(&self) -> Option<&AvcError> {
        self.last.as_ref()
    }

    fn look(
        &mut self,
        mark: Option<&str>,
        take: &mut dyn FnMut(AvcRecord),
    ) -> Result<(Polled, bool), LogError> {
        let mut polled = Polled::default();
        let mut found = false;
        let mut buffer = [0; LONGEST];
        loop {
            let length = match self.file.read(&mut buffer) {
                Ok(0) => return Ok((polled, found)),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok((polled, found));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.raw_os_error() == Some(Errno::PIPE.raw_os_error()) => {
                    polled.overrun += 1;
                    continue;
                }
                Err(source) => return Err(LogError::Read { source }),
            };
            let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
            match line(&text, mark) {
                Line::Record(record) => {
                    polled.records += 1;
                    take(*record);
                }
                Line::Malformed(error) => {
                    polled.malformed += 1;
                    self.last = Some(error);
                }
                Line::Mark => found = true,
                Line::Other => {}
            }
        }
    }
}

/// Understands what one reading of the log gives: a head, the message, and lines of properties.
fn line(text: &str, mark: Option<&str>) -> Line {
    let message = text.split_once(';').map_or(text, |(_, message)| message);
    let message = message.lines().next().unwrap_or_default();
    let Some(record) = message.strip_prefix("audit: type=") else {
        return Line::Other;
    };
    if let Some(mark) = mark
        && record.starts_with("1107 ")
        && record.contains(mark)
    {
        return Line::Mark;
    }
    if !record.starts_with("1400 ") {
        return Line::Other;
    }
    match message.parse::<AvcRecord>() {
        Ok(record) => Line::Record(Box::new(record)),
        // Another security module's.
        Err(AvcError::NotAvc | AvcError::NoAccess) => Line::Other,
        Err(error) => Line::Malformed(error),
    }
}

fn send_mark(mark: &str) -> Result<(), Errno> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::AUDIT),
    )?;
    const HEADER: usize = 16;
    let length = u32::try_from(HEADER + mark.len() + 1).map_err(|_| Errno::MSGSIZE)?;
    let mut message = Vec::with_capacity(HEADER + mark.len() + 1);
    message.extend(length.to_ne_bytes());
    message.extend(AUDIT_USER_AVC.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    // The sequence number, and the sender, which the kernel fills in.
    message.extend([0; 8]);
    message.extend(mark.as_bytes());
    message.push(0);
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &message, SendFlags::empty(), &kernel).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_told_from_other_lines() {
        let record = "5,1,2,-;audit: type=1400 audit(1.2:3): avc:  denied  { read } for  pid=1 \
            scontext=a:b:c tcontext=d:e:f tclass=file permissive=0\n SUBSYSTEM=x\n";
        assert!(matches!(line(record, None), Line::Record(_)));
        let cut = "5,1,2,-;audit: type=1400 audit(1.2:3): avc:  denied  { read } for  pid=1";
        assert!(matches!(line(cut, None), Line::Malformed(_)));
        let other = "5,1,2,-;audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" operation=\"x\"";
        assert!(matches!(line(other, None), Line::Other));
        // What a process writes into the log by itself is no record.
        let own = "12,1,2,-;avc:  denied  { read } for  pid=1 scontext=a:b:c tcontext=d tclass=e";
        assert!(matches!(line(own, None), Line::Other));
        let mark = "5,1,2,-;audit: type=1107 audit(1.2:3): pid=7 uid=0 msg='gambeson-mark-7-1'";
        assert!(matches!(line(mark, Some("gambeson-mark-7-1")), Line::Mark));
        assert!(matches!(line(mark, Some("gambeson-mark-7-2")), Line::Other));
    }
}
