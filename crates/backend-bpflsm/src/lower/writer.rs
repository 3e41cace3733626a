//! The bytes of a table, section by section.

use std::collections::HashMap;

use gambeson_matcher::tables::Span;

use super::LowerError;
use crate::abi::{PAGE, Record};

/// What a section begins at a multiple of: the size of the largest record.
const SECTION: usize = 32;

/// What texts begin at a multiple of, so that programs can compare eight bytes at a time.
const TEXT: usize = 8;

/// A table under construction.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Leaves so many bytes for the head.
    pub(super) fn new(head: usize) -> Self {
        Self {
            bytes: vec![0; head],
        }
    }

    /// Writes records behind the others, and gives the offset of the first.
    pub(super) fn section<R: Record>(&mut self, records: &[R]) -> Result<u32, LowerError> {
        self.fill(SECTION);
        let at = self.offset()?;
        self.bytes.reserve(records.len() * R::SIZE);
        for record in records {
            record.write(&mut self.bytes);
        }
        Ok(at)
    }

    /// Fills the last page up. Gives the size.
    pub(super) fn finish(&mut self) -> Result<u32, LowerError> {
        self.fill(PAGE);
        self.offset()
    }

    /// The bytes, with the head in front.
    pub(super) fn with_head(mut self, head: &[u8]) -> Vec<u8> {
        for (slot, byte) in self.bytes.iter_mut().zip(head) {
            *slot = *byte;
        }
        self.bytes
    }

    fn fill(&mut self, multiple: usize) {
        let len = self.bytes.len().next_multiple_of(multiple);
        self.bytes.resize(len, 0);
    }

    fn offset(&self) -> Result<u32, LowerError> {
        u32::try_from(self.bytes.len()).map_err(|_| LowerError::TooLarge {
            limit: u32::MAX as usize,
        })
    }
}

/// Runs of bytes, each at a multiple of eight and filled up with zeros. Equal runs of the compiled
/// tables stay one.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    placed: HashMap<Span, u32>,
}

impl Texts {
    /// The place of a run.
    pub(super) fn add(&mut self, span: Span, bytes: &[u8]) -> Result<u32, LowerError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if let Some(at) = self.placed.get(&span) {
            return Ok(*at);
        }
        let at = u32::try_from(self.bytes.len()).map_err(|_| LowerError::TooLarge {
            limit: u32::MAX as usize,
        })?;
        self.bytes.extend_from_slice(bytes);
        let len = self.bytes.len().next_multiple_of(TEXT);
        self.bytes.resize(len, 0);
        self.placed.insert(span, at);
        Ok(at)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
