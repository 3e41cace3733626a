//! Where the kernel's records are read: from its audit socket, or from its log.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;
use rustix::io::Errno;
use thiserror::Error;

use super::audit_socket::AuditSocket;
use crate::audit::{Record, RecordError};

const FILE: &str = "/dev/kmsg";

/// The longest line that the kernel hands out.
const LONGEST: usize = 8192;

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

/// The kernel's records of AppArmor, from when this was opened.
///
/// The audit socket has them whole, whether an audit daemon takes them or not, but only in the first
/// network namespace and with `CAP_AUDIT_READ`. The log cuts lines at about 1,000 bytes, and has what no
/// daemon takes. The socket is told of a record first: so the first one to come shows which of the two to
/// go by.
#[derive(Debug)]
pub struct KernelLog {
    // One of the two at least.
    socket: Option<AuditSocket>,
    file: Option<File>,
    last: Option<RecordError>,
}

/// Why records can't be read.
#[derive(Debug, Error)]
#[error(
    "can't read the kernel's records from its {place}: {source}; it takes root, the capability `audit_read`, \
     or `sysctl kernel.dmesg_restrict=0`"
)]
pub struct LogError {
    /// Which of them was the last to be had.
    pub place: &'static str,
    /// What the kernel says.
    #[source]
    pub source: io::Error,
}

/// What one of them gives.
#[derive(Debug, Default)]
struct Heard {
    records: Vec<Record>,
    polled: Polled,
    last: Option<RecordError>,
    /// Messages, whosever they are.
    messages: u64,
}

impl Heard {
    fn add(&mut self, parsed: Result<Option<Record>, RecordError>) {
        match parsed {
            Ok(Some(record)) => {
                self.polled.records += 1;
                self.records.push(record);
            }
            Ok(None) => {}
            Err(error) => {
                self.polled.malformed += 1;
                self.last = Some(error);
            }
        }
    }

    /// Whether anything of AppArmor has come, or should have.
    fn has_any(&self) -> bool {
        self.polled != Polled::default()
    }
}

impl KernelLog {
    /// Opens what can be had of both. What has been recorded already is passed over.
    ///
    /// # Errors
    /// When neither can be opened.
    pub fn open() -> Result<Self, LogError> {
        let socket = AuditSocket::open().ok();
        let file = match open_file() {
            Ok(file) => Some(file),
            Err(_) if socket.is_some() => None,
            Err(source) => {
                return Err(LogError {
                    place: "log, `/dev/kmsg`",
                    source,
                });
            }
        };
        Ok(Self {
            socket,
            file,
            last: None,
        })
    }

    /// Hands on the records that have come since. Doesn't wait.
    ///
    /// # Errors
    /// When the last source that was left can't be read any more.
    pub fn poll(&mut self, take: &mut dyn FnMut(Record)) -> Result<Polled, LogError> {
        // In this order: what stands in the log has been sent to the socket before.
        let mut logged = Heard::default();
        if let Some(file) = &mut self.file
            && let Err(source) = read_file(file, &mut logged)
        {
            self.file = None;
            self.is_left("log, `/dev/kmsg`", source)?;
        }
        let mut heard = Heard::default();
        if let Some(socket) = &self.socket
            && let Err(source) = read_socket(socket, &mut heard)
        {
            self.socket = None;
            self.is_left("audit socket", source.into())?;
        }
        if heard.messages > 0 || heard.has_any() {
            self.file = None;
        } else if logged.has_any() {
            self.socket = None;
            heard = logged;
        }
        heard.records.into_iter().for_each(take);
        self.last = heard.last.or(self.last.take());
        Ok(heard.polled)
    }

    /// An error where nothing can be read any more.
    fn is_left(&self, place: &'static str, source: io::Error) -> Result<(), LogError> {
        if self.socket.is_none() && self.file.is_none() {
            return Err(LogError { place, source });
        }
        Ok(())
    }

    /// What was wrong with the last line that was malformed.
    #[must_use]
    pub const fn last_error(&self) -> Option<&RecordError> {
        self.last.as_ref()
    }
}

fn open_file() -> io::Result<File> {
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    let mut file = options.read(true).custom_flags(nonblock).open(FILE)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

fn read_file(file: &mut File, heard: &mut Heard) -> io::Result<()> {
    let mut line = [0; LONGEST];
    loop {
        match file.read(&mut line) {
            Ok(0) => return Ok(()),
            Ok(len) => heard.add(Record::parse_kmsg(line.get(..len).unwrap_or_default())),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => return Ok(()),
                Some(Errno::INTR) => {}
                Some(Errno::PIPE) => heard.polled.overrun += 1,
                _ => return Err(error),
            },
        }
    }
}

fn read_socket(socket: &AuditSocket, heard: &mut Heard) -> Result<(), Errno> {
    loop {
        match socket.next() {
            Ok(Some(line)) => {
                heard.messages += 1;
                heard.add(Record::parse(&line));
            }
            Ok(None) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::NOBUFS) => heard.polled.overrun += 1,
            Err(error) => return Err(error),
        }
    }
}
