//! One record of the audit system that AppArmor wrote.

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;

use super::fields::{Fields, nibble};

/// What a record says of what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// It was denied.
    Denied,
    /// It was allowed, and the profile wants to know of it.
    Audited,
    /// The profile complains only: it was allowed, and would have been denied.
    Complained,
    /// Whoever did it was killed.
    Killed,
    /// Something about profiles themselves, such as that one was loaded.
    Status,
    /// The kernel met an error of its own.
    Error,
    /// A hint for tools that write profiles.
    Hint,
}

impl Mark {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "DENIED" => Self::Denied,
            "AUDIT" => Self::Audited,
            "ALLOWED" => Self::Complained,
            "KILLED" => Self::Killed,
            "STATUS" => Self::Status,
            "ERROR" => Self::Error,
            "HINT" => Self::Hint,
            _ => return None,
        })
    }

    /// Whether it kept something from being done.
    #[must_use]
    pub const fn is_denial(self) -> bool {
        matches!(self, Self::Denied | Self::Killed)
    }
}

/// A record.
///
/// ```
/// use gambeson_backend_apparmor::audit::{Mark, Record};
/// let line = br#"audit: type=1400 audit(1763919270.912:8): apparmor="DENIED" operation="open" profile="web" name="/etc/shadow" pid=146 comm="cat" requested_mask="r" denied_mask="r" fsuid=33 ouid=0"#;
/// let record = Record::parse(line)?.ok_or("no record of AppArmor")?;
/// assert_eq!((record.mark, record.operation.as_str()), (Mark::Denied, "open"));
/// assert_eq!(record.name.as_deref(), Some(&b"/etc/shadow"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it says of what was done.
    pub mark: Mark,
    /// When, since 1970.
    pub time: Duration,
    /// The record's number; those of one operation share it.
    pub serial: u64,
    /// What was done, as the kernel calls it, such as `open`; empty where it doesn't say.
    pub operation: String,
    /// The profile that the subject was under.
    pub profile: Option<Vec<u8>>,
    /// The object's name, such as a path; a new profile's, of one that was loaded.
    pub name: Option<Vec<u8>>,
    /// The other name: the old one of a link, the profile after an exec.
    pub target: Option<Vec<u8>>,
    /// The other side's profile.
    pub peer: Option<Vec<u8>>,
    /// What the kernel remarks.
    pub info: Option<String>,
    /// The error that the operation met, negative.
    pub error: Option<i32>,
    /// The process's id.
    pub pid: Option<u32>,
    /// The thread's name.
    pub comm: Vec<u8>,
    /// What was asked for, in letters.
    pub requested: String,
    /// What of it was denied.
    pub denied: String,
    /// The subject's fsuid.
    pub fsuid: Option<u32>,
    /// Who owns the object.
    pub ouid: Option<u32>,
    /// A socket's family, by name.
    pub family: Option<String>,
    /// A socket's type, by name.
    pub socket_type: Option<String>,
    /// A socket's protocol.
    pub protocol: Option<u32>,
    /// A capability, by number.
    pub capability: Option<u32>,
}

/// Why a line that begins as a record of AppArmor is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The time or the number can't be read.
    #[error("an audit record's stamp `{text}` is not of the form `seconds.milliseconds:number`")]
    Stamp {
        /// What stands there.
        text: String,
    },
    /// An unknown mark.
    #[error("an audit record says `apparmor=\"{word}\"`, which is none of the words known")]
    Mark {
        /// The word.
        word: String,
    },
    /// A value that can't be read.
    #[error("an audit record's `{key}` can't be `{value}`")]
    Value {
        /// Of what.
        key: &'static str,
        /// The value.
        value: String,
    },
}

/// The types of records that are AppArmor's: all of today's kernels have the first.
const TYPES: [&str; 10] = [
    "1400",
    "AVC",
    "1501",
    "APPARMOR_AUDIT",
    "1502",
    "APPARMOR_ALLOWED",
    "1503",
    "APPARMOR_DENIED",
    "1505",
    "APPARMOR_STATUS",
];

/// Facilities of lines in `/dev/kmsg`: only the kernel's own have 0.
const LEVELS: u32 = 8;

impl Record {
    /// Reads a line of the audit daemon's log or stream, or of the system log. `None` where it holds no
    /// record of AppArmor.
    ///
    /// # Errors
    /// When it begins as such a record and doesn't go on as one.
    pub fn parse(line: &[u8]) -> Result<Option<Self>, RecordError> {
        let Some((stamp, body)) = find(line) else {
            return Ok(None);
        };
        // What auditd adds for people stands behind this byte.
        let body = body.split(|byte| *byte == 0x1d).next().unwrap_or_default();
        read(stamp, body).map(Some)
    }

    /// Reads a line of `/dev/kmsg`, which escapes some bytes, and which others than the kernel can
    /// write to: what they wrote is no record.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_kmsg(line: &[u8]) -> Result<Option<Self>, RecordError> {
        let mut parts = line.splitn(2, |byte| *byte == b';');
        let (Some(head), Some(text)) = (parts.next(), parts.next()) else {
            return Ok(None);
        };
        let first = head.split(|byte| *byte == b',').next().unwrap_or_default();
        let priority = std::str::from_utf8(first)
            .ok()
            .and_then(|word| word.parse::<u32>().ok());
        if priority.is_none_or(|priority| priority >= LEVELS) {
            return Ok(None);
        }
        let text = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Self::parse(&unescaped(text))
    }
}

/// The stamp and the body of a record of AppArmor.
fn find(line: &[u8]) -> Option<(&[u8], &[u8])> {
    // What stands before is the log's, and can't hold a whole head: names are quoted or digits.
    let at = line.windows(5).position(|window| window == b"type=")?;
    let rest = line.get(at + 5..)?;
    let blank = rest.iter().position(|byte| *byte == b' ')?;
    let (kind, rest) = rest.split_at_checked(blank)?;
    if !TYPES.iter().any(|known| known.as_bytes() == kind) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let rest = rest.strip_prefix(b"msg=").unwrap_or(rest);
    let rest = rest.strip_prefix(b"audit(")?;
    let end = rest.iter().position(|byte| *byte == b')')?;
    let (stamp, rest) = rest.split_at_checked(end)?;
    let body = rest.strip_prefix(b"):")?.trim_ascii_start();
    body.starts_with(b"apparmor=").then_some((stamp, body))
}

fn time_and_serial(stamp: &[u8]) -> Option<(Duration, u64)> {
    let stamp = std::str::from_utf8(stamp).ok()?;
    let (time, serial) = stamp.split_once(':')?;
    let (seconds, thousandths) = time.split_once('.')?;
    let seconds = Duration::from_secs(seconds.parse().ok()?);
    let thousandths: u16 = thousandths.parse().ok()?;
    let time = seconds.checked_add(Duration::from_millis(thousandths.into()))?;
    Some((time, serial.parse().ok()?))
}

fn read(stamp: &[u8], body: &[u8]) -> Result<Record, RecordError> {
    let (time, serial) = time_and_serial(stamp).ok_or_else(|| RecordError::Stamp {
        text: String::from_utf8_lossy(stamp).into_owned(),
    })?;
    let mut record = Record {
        mark: Mark::Error,
        time,
        serial,
        operation: String::new(),
        profile: None,
        name: None,
        target: None,
        peer: None,
        info: None,
        error: None,
        pid: None,
        comm: Vec::new(),
        requested: String::new(),
        denied: String::new(),
        fsuid: None,
        ouid: None,
        family: None,
        socket_type: None,
        protocol: None,
        capability: None,
    };
    for (key, value) in Fields::new(body) {
        let wrong = |key| RecordError::Value {
            key,
            value: value.word().into_owned(),
        };
        let text = |key| value.text().map(Cow::into_owned).ok_or_else(|| wrong(key));
        let number = |key| value.number::<u32>().ok_or_else(|| wrong(key));
        match key {
            b"apparmor" => {
                let word = value.word();
                record.mark = Mark::from_word(&word).ok_or_else(|| RecordError::Mark {
                    word: word.into_owned(),
                })?;
            }
            b"operation" => record.operation = value.word().into_owned(),
            b"profile" => record.profile = Some(text("profile")?),
            b"name" => record.name = Some(text("name")?),
            b"target" => record.target = Some(text("target")?),
            b"peer" => record.peer = Some(text("peer")?),
            b"info" => record.info = Some(value.word().into_owned()),
            b"error" => record.error = Some(value.number().ok_or_else(|| wrong("error"))?),
            b"pid" => record.pid = Some(number("pid")?),
            b"comm" => record.comm = text("comm")?,
            b"requested_mask" => record.requested = value.word().into_owned(),
            b"denied_mask" => record.denied = value.word().into_owned(),
            b"fsuid" => record.fsuid = Some(number("fsuid")?),
            b"ouid" => record.ouid = Some(number("ouid")?),
            b"family" => record.family = Some(value.word().into_owned()),
            b"sock_type" => record.socket_type = Some(value.word().into_owned()),
            b"protocol" => record.protocol = Some(number("protocol")?),
            b"capability" => record.capability = Some(number("capability")?),
            _ => {}
        }
    }
    Ok(record)
}

/// `/dev/kmsg` writes a backslash and what can't be printed as `\x5c`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match rest {
            [b'\\', b'x', high, low, ..] => nibble(*high).zip(nibble(*low)),
            _ => None,
        };
        if let (Some((high, low)), Some(after)) = (escaped, rest.get(4..)) {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(first);
            rest = after;
        }
    }
    out
}

#[cfg(test)]
mod tests;
