//! A stream cut into batches of whole lines, for several threads to judge.

use std::io::{self, ErrorKind, Read};

use super::audit::serial;

/// Batches have about this many bytes.
const BATCH: usize = 1 << 20;

/// A longer line is no record.
const LONGEST: usize = 16 << 20;

/// Whole lines.
#[derive(Debug)]
pub(super) struct Batch {
    /// The number of the first line, from 1.
    pub(super) first: u64,
    pub(super) bytes: Vec<u8>,
}

/// Cuts a stream. Records of the audit log with one serial number stay in one batch.
#[derive(Debug)]
pub(super) struct Batches<R> {
    stream: R,
    carried: Vec<u8>,
    line: u64,
    ended: bool,
    /// Lines that were too long.
    pub(super) too_long: Vec<u64>,
    /// How many bytes were read.
    pub(super) read: u64,
}

impl<R: Read> Batches<R> {
    pub(super) const fn new(stream: R) -> Self {
        Self {
            stream,
            carried: Vec::new(),
            line: 1,
            ended: false,
            too_long: Vec::new(),
            read: 0,
        }
    }

    /// The next batch; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Batch>> {
        let mut bytes = std::mem::take(&mut self.carried);
        let mut skipping = false;
        loop {
            let enough = bytes.len() >= BATCH || self.ended;
            if let (true, Some(cut)) = (enough, cut(&bytes, self.ended)) {
                self.carried = bytes.split_off(cut);
                let lines = memchr::memchr_iter(b'\n', &bytes).count() as u64;
                let whole = bytes.last().is_none_or(|last| *last == b'\n');
                let batch = Batch {
                    first: self.line,
                    bytes,
                };
                self.line += lines + u64::from(!whole);
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            if bytes.len() > LONGEST && memchr::memchr(b'\n', &bytes).is_none() {
                bytes.clear();
                skipping = true;
            }
            let before = bytes.len();
            bytes.resize(before + BATCH, 0);
            let free = bytes.get_mut(before..).unwrap_or_default();
            let read = match self.stream.read(free) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    bytes.truncate(before);
                    continue;
                }
                Err(error) => return Err(error),
            };
            bytes.truncate(before + read);
            self.read += read as u64;
            self.ended = read == 0;
            if skipping {
                match memchr::memchr(b'\n', &bytes) {
                    Some(end) => bytes = bytes.split_off(end + 1),
                    None if self.ended => bytes.clear(),
                    None => {
                        bytes.clear();
                        continue;
                    }
                }
                self.too_long.push(self.line);
                self.line += 1;
                skipping = false;
            }
        }
    }
}

/// Where to cut: behind the last whole line, or before the records that belong to it.
fn cut(bytes: &[u8], ended: bool) -> Option<usize> {
    if bytes.is_empty() {
        return None;
    }
    if ended {
        return Some(bytes.len());
    }
    let end = memchr::memrchr(b'\n', bytes)? + 1;
    let line_before = |end: usize| {
        let lines = bytes.get(..end.checked_sub(1)?)?;
        let start = memchr::memrchr(b'\n', lines).map_or(0, |at| at + 1);
        Some((start, lines.get(start..)?))
    };
    let mut at = end;
    let (_, last) = line_before(end)?;
    if let (true, Some(last)) = (last.starts_with(b"type="), serial(last)) {
        while let Some((start, line)) = line_before(at)
            && serial(line) == Some(last)
        {
            at = start;
        }
    }
    // A batch of nothing but one event is cut where it can be.
    Some(if at == 0 { end } else { at })
}
