//! Lines of a stream, in constant memory.

use std::io::{self, ErrorKind, Read};

/// The most bytes that a line may have, without its end.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// Where the buffer starts; it grows to hold the longest line, never beyond [`MAX_LINE`].
const BUFFER: usize = 256 << 10;

/// Reads a stream line by line, with a bound on the length of a line.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    inner: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How many bytes of `start..end` are known to hold no end of line.
    searched: usize,
    /// The rest of the current line is thrown away.
    skipping: bool,
    exhausted: bool,
    so_far: SoFar,
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SoFar {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Its bytes, without the end.
    Whole(&'a [u8]),
    /// It has more than [`MAX_LINE`] bytes.
    TooLong,
}

/// Why there is no next line.
#[derive(Debug)]
pub(crate) enum Interrupted {
    /// The stream can't be read.
    Read(io::Error),
    /// What the caller does before a read failed.
    BeforeRead(io::Error),
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            searched: 0,
            skipping: false,
            exhausted: false,
            so_far: SoFar::default(),
        }
    }

    /// How much was read; the lines are the number of the last one, from 1.
    pub(crate) const fn so_far(&self) -> SoFar {
        self.so_far
    }

    /// The next line; `None` at the end. Calls `before_read` whenever it has to read, which may
    /// block: the moment to flush answers.
    pub(crate) fn next(
        &mut self,
        mut before_read: impl FnMut(SoFar) -> io::Result<()>,
    ) -> Result<Option<Line<'_>>, Interrupted> {
        loop {
            let unsearched = self
                .buffer
                .get(self.start + self.searched..self.end)
                .unwrap_or_default();
            if let Some(offset) = memchr::memchr(b'\n', unsearched) {
                let from = self.start;
                let to = from + self.searched + offset;
                self.start = to + 1;
                self.searched = 0;
                self.so_far.lines += 1;
                return Ok(Some(self.line(from, to)));
            }
            self.searched = self.end - self.start;
            if self.searched > MAX_LINE {
                self.skipping = true;
            }
            if self.skipping {
                (self.start, self.end, self.searched) = (0, 0, 0);
            }
            if self.exhausted {
                if self.start == self.end && !self.skipping {
                    return Ok(None);
                }
                let (from, to) = (self.start, self.end);
                self.start = to;
                self.searched = 0;
                self.so_far.lines += 1;
                return Ok(Some(self.line(from, to)));
            }
            before_read(self.so_far).map_err(Interrupted::BeforeRead)?;
            self.fill().map_err(Interrupted::Read)?;
        }
    }

    fn line(&mut self, from: usize, to: usize) -> Line<'_> {
        if std::mem::take(&mut self.skipping) || to - from > MAX_LINE {
            return Line::TooLong;
        }
        Line::Whole(self.buffer.get(from..to).unwrap_or_default())
    }

    /// Reads once, after what is there already.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            // One byte more than a line may have, so that a longer one is seen to be longer.
            let longer = (self.buffer.len() * 2).min(MAX_LINE + 1);
            self.buffer.resize(longer, 0);
        }
        let free = self.buffer.get_mut(self.end..).unwrap_or_default();
        loop {
            match self.inner.read(free) {
                Ok(read) => {
                    self.end += read;
                    self.so_far.bytes += u64::try_from(read).unwrap_or_default();
                    self.exhausted = read == 0;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out at most `chunk` bytes a read.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let take = self.1.min(to.len()).min(self.0.len());
            to[..take].copy_from_slice(&self.0[..take]);
            self.0 = &self.0[take..];
            Ok(take)
        }
    }

    fn all(text: &[u8], chunk: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(Dribble(text, chunk));
        let mut seen = Vec::new();
        while let Some(line) = lines.next(|_| Ok(())).unwrap() {
            seen.push(match line {
                Line::Whole(bytes) => Some(bytes.to_vec()),
                Line::TooLong => None,
            });
            assert_eq!(lines.so_far().lines, seen.len() as u64);
        }
        assert!(lines.buffer.len() <= MAX_LINE + 1);
        seen
    }

    #[test]
    fn lines_do_not_depend_on_how_they_arrive() {
        let text = b"one\n\ntwo\r\nlast";
        let expected: Vec<Option<Vec<u8>>> = [&b"one"[..], b"", b"two\r", b"last"]
            .map(|line| Some(line.to_vec()))
            .into();
        for chunk in 1..=text.len() {
            assert_eq!(all(text, chunk), expected, "{chunk} bytes a read");
        }
    }

    #[test]
    fn an_end_without_text_is_no_line() {
        assert_eq!(all(b"", 1).len(), 0);
        assert_eq!(all(b"one\n", 1).len(), 1);
    }

    #[test]
    fn a_line_of_the_greatest_length_is_whole_and_a_longer_one_is_not() {
        for chunk in [4_000, 65_536, usize::MAX] {
            for (length, whole) in [
                (MAX_LINE, true),
                (MAX_LINE + 1, false),
                (3 * MAX_LINE, false),
            ] {
                for end in ["", "\n", "\nnext\n"] {
                    let mut text = vec![b'x'; length];
                    text.extend_from_slice(end.as_bytes());
                    let seen = all(&text, chunk);
                    assert_eq!(seen[0].is_some(), whole, "{length} bytes, {chunk} a read");
                    let rest: &[Option<Vec<u8>>] = if end.len() > 1 {
                        &[Some(b"next".to_vec())]
                    } else {
                        &[]
                    };
                    assert_eq!(&seen[1..], rest);
                }
            }
        }
    }

    #[test]
    fn answers_are_flushed_before_every_read() {
        let mut reads = 0;
        let mut lines = Lines::new(Dribble(b"a\nb\nc\n", 4));
        while lines
            .next(|_| {
                reads += 1;
                Ok(())
            })
            .unwrap()
            .is_some()
        {}
        // `a\nb\n`, `c\n`, and the end.
        assert_eq!(reads, 3);
    }
}
