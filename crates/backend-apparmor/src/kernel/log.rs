//! The kernel's log, where records go that no audit daemon takes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;

use thiserror::Error;

use crate::audit::{Record, RecordError};

const FILE: &str = "/dev/kmsg";

/// As the kernel's headers have it.
const O_NONBLOCK: i32 = if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
    0o200
} else if cfg!(target_arch = "sparc64") {
    0x4000
} else {
    0o4000
};

/// The longest line that the kernel hands out.
const LONGEST: usize = 8192;

/// The number of the error for lines that were overwritten before they were read.
const EPIPE: i32 = 32;

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

/// The kernel's log, from where it ended when this was opened.
#[derive(Debug)]
pub struct KernelLog {
    file: File,
    last: Option<RecordError>,
}

/// Why the log can't be read.
#[derive(Debug, Error)]
#[error("can't read `{FILE}`: {source}; it takes root, or `sysctl kernel.dmesg_restrict=0`")]
pub struct LogError {
    /// What the kernel says.
    #[source]
    pub source: io::Error,
}

impl From<io::Error> for LogError {
    fn from(source: io::Error) -> Self {
        Self { source }
    }
}

impl KernelLog {
    /// Opens the log. What stands in it already is passed over.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open() -> Result<Self, LogError> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).custom_flags(O_NONBLOCK).open(FILE)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, last: None })
    }

    /// Hands on the records that have come since. Doesn't wait.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn poll(&mut self, take: &mut dyn FnMut(Record)) -> Result<Polled, LogError> {
        let mut polled = Polled::default();
        let mut line = [0; LONGEST];
        loop {
            let len = match self.file.read(&mut line) {
                Ok(0) => return Ok(polled),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(polled),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.raw_os_error() == Some(EPIPE) => {
                    polled.overrun += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            match Record::parse_kmsg(line.get(..len).unwrap_or_default()) {
                Ok(Some(record)) => {
                    polled.records += 1;
                    take(record);
                }
                Ok(None) => {}
                Err(error) => {
                    polled.malformed += 1;
                    self.last = Some(error);
                }
            }
        }
    }

    /// What was wrong with the last line that was malformed.
    #[must_use]
    pub const fn last_error(&self) -> Option<&RecordError> {
        self.last.as_ref()
    }
}
