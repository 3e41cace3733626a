//! A stream cut into batches of whole lines, for several threads to judge.

use std::io::{self, ErrorKind, Read};

use super::audit::{is_record, serial};

/// Batches have about this many bytes.
const BATCH: usize = 1 << 20;

/// So much is asked for in one read.
const READ: usize = 1 << 18;

/// A longer line is no record.
const LONGEST: usize = 16 << 20;

/// Whole lines.
#[derive(Debug)]
pub(super) struct Batch {
    /// The number of the first line, from 1.
    pub(super) first: u64,
    buffer: Vec<u8>,
    length: usize,
}

impl Batch {
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// The buffer, for another batch; one that a long line has made large is given back.
    pub(super) fn into_buffer(self) -> Option<Vec<u8>> {
        (self.buffer.len() <= 2 * (BATCH + READ)).then_some(self.buffer)
    }
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

    /// The next batch; `None` at the end. `buffer` may be one that was used before, so that memory
    /// isn't asked of the system, and cleared by it, again and again.
    pub(super) fn next(&mut self, buffer: Option<Vec<u8>>) -> io::Result<Option<Batch>> {
        let mut buffer = buffer.unwrap_or_default();
        let mut filled = self.carried.len();
        let room = (BATCH + READ).max(filled + READ);
        if buffer.len() < room {
            buffer.resize(room, 0);
        }
        if let Some(start) = buffer.get_mut(..filled) {
            start.copy_from_slice(&self.carried);
        }
        self.carried.clear();
        let mut skipping = false;
        loop {
            let bytes = buffer.get(..filled).unwrap_or_default();
            let enough = filled >= BATCH || self.ended;
            if let (true, Some(length)) = (enough, cut(bytes, self.ended)) {
                let (batch, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
                self.carried.extend_from_slice(rest);
                let lines = memchr::memchr_iter(b'\n', batch).count() as u64;
                let whole = batch.last().is_none_or(|last| *last == b'\n');
                let first = self.line;
                self.line += lines + u64::from(!whole);
                return Ok(Some(Batch {
                    first,
                    buffer,
                    length,
                }));
            }
            if self.ended {
                return Ok(None);
            }
            if filled > LONGEST && memchr::memchr(b'\n', bytes).is_none() {
                filled = 0;
                skipping = true;
            }
            if buffer.len() < filled + READ {
                // Doubled, lest a long line is copied for every read of it.
                buffer.resize((2 * buffer.len()).max(filled + READ), 0);
            }
            let read = match self
                .stream
                .read(buffer.get_mut(filled..).unwrap_or_default())
            {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            filled += read;
            self.read += read as u64;
            self.ended = read == 0;
            if skipping {
                let bytes = buffer.get(..filled).unwrap_or_default();
                match memchr::memchr(b'\n', bytes) {
                    Some(end) => {
                        buffer.copy_within(end + 1..filled, 0);
                        filled -= end + 1;
                    }
                    None if self.ended => filled = 0,
                    None => {
                        filled = 0;
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
    if let (true, Some(last)) = (is_record(last), serial(last)) {
        while let Some((start, line)) = line_before(at)
            && serial(line) == Some(last)
        {
            at = start;
        }
    }
    // A batch of nothing but one event is cut where it can be.
    Some(if at == 0 { end } else { at })
}
