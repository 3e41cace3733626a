//! The byte image of a compiled policy, and how hostile bytes are kept out.
//!
//! An image is little-endian: the eight bytes `GAMBESON`, then the format's version, the word
//! 0x01020304 as a tag of the byte order, the number of words that follow, and these words. They
//! are the tables in the order of [`Tables`]' fields, each as its number of records and then the
//! records; runs of bytes are given with their length and filled up to whole words.

use thiserror::Error;

use super::automaton::{Automaton, Globs};
use super::provenance::Provenance;
use super::record::Record;
use super::trie::Trie;
use super::{Tables, check};

const MAGIC: &[u8; 8] = b"GAMBESON";
const BYTE_ORDER: u32 = 0x0102_0304;
/// Bytes before the words that are counted.
const HEADER: usize = 20;

/// The version of the format that this crate reads and writes.
pub const IMAGE_VERSION: u32 = 3;

/// Why bytes are no image.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Not an image at all.
    #[error("this is no compiled policy: it doesn't begin with `GAMBESON`")]
    NotAnImage,
    /// Written by another version.
    #[error(
        "the image has format version {found}, this library reads {IMAGE_VERSION}; compile the policies anew"
    )]
    Version {
        /// The version found.
        found: u32,
    },
    /// Written in another byte order.
    #[error("the image's byte order tag is {found:#010x}, not 0x01020304")]
    ByteOrder {
        /// The tag found.
        found: u32,
    },
    /// Shorter or longer than it says.
    #[error(
        "the image is cut short or has bytes behind its end: {expected} bytes expected, {found} found"
    )]
    Length {
        /// What the header says.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// A table that runs over the end.
    #[error("the table at word {word} runs over the image's end")]
    Truncated {
        /// Where it begins.
        word: usize,
    },
    /// A table that refers to what is not there.
    #[error("table `{table}` is damaged: record {record} refers to what is not there")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The record's place.
        record: usize,
    },
}

/// Something that is written into an image and read back.
pub(crate) trait Section: Sized {
    fn write(&self, words: &mut Vec<u32>);
    fn read(reader: &mut Reader<'_>) -> Result<Self, ImageError>;
}

/// The words of an image, from the first not yet read.
pub(crate) struct Reader<'w> {
    words: &'w [u32],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u32], ImageError> {
        let word = self.at;
        let taken = self
            .words
            .get(word..)
            .and_then(|rest| rest.get(..count))
            .ok_or(ImageError::Truncated { word })?;
        self.at += count;
        Ok(taken)
    }

    fn count(&mut self) -> Result<usize, ImageError> {
        let word = self.at;
        let count = self.take(1)?.first().copied();
        count
            .map(|count| count as usize)
            .ok_or(ImageError::Truncated { word })
    }
}

impl<R: Record> Section for Vec<R> {
    fn write(&self, words: &mut Vec<u32>) {
        words.push(self.len() as u32);
        self.iter().for_each(|record| record.write(words));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ImageError> {
        let word = reader.at;
        let truncated = ImageError::Truncated { word };
        let count = reader.count()?;
        let words = reader.take(count.checked_mul(R::WORDS).ok_or(truncated.clone())?)?;
        let records = words.chunks_exact(R::WORDS).map(R::read);
        records.collect::<Option<_>>().ok_or(truncated)
    }
}

/// A run of bytes.
impl Section for Bytes {
    fn write(&self, words: &mut Vec<u32>) {
        words.push(self.0.len() as u32);
        words.extend(self.0.chunks(4).map(|chunk| {
            let mut word = [0; 4];
            for (slot, byte) in word.iter_mut().zip(chunk) {
                *slot = *byte;
            }
            u32::from_le_bytes(word)
        }));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ImageError> {
        let count = reader.count()?;
        let words = reader.take(count.div_ceil(4))?;
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(count);
        Ok(Self(bytes))
    }
}

/// A run of bytes, told apart from records of one word. Read-only outside this crate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub(crate) Vec<u8>);

impl std::ops::Deref for Bytes {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

/// For the compiler: others have no way to a table that they may change.
impl std::ops::DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

/// A number of one record.
macro_rules! single {
    ($($kind:ty),+) => {
        $(impl Section for $kind {
            fn write(&self, words: &mut Vec<u32>) {
                Record::write(self, words);
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, ImageError> {
                let word = reader.at;
                let words = reader.take(<$kind as Record>::WORDS)?;
                Record::read(words).ok_or(ImageError::Truncated { word })
            }
        })+
    };
}
single!(u32, super::Head, super::trie::Start);

impl Section for Vec<Automaton> {
    fn write(&self, words: &mut Vec<u32>) {
        words.push(self.len() as u32);
        self.iter().for_each(|automaton| automaton.write(words));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ImageError> {
        let count = reader.count()?;
        // Each takes words of its own, so a hostile count ends with the words.
        (0..count).map(|_| Automaton::read(reader)).collect()
    }
}

/// Declares a structure as its sections, in this order.
macro_rules! sections {
    ($name:ty { $($field:ident),+ $(,)? }) => {
        impl Section for $name {
            fn write(&self, words: &mut Vec<u32>) {
                $(Section::write(&self.$field, words);)+
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, ImageError> {
                Ok(Self { $($field: Section::read(reader)?,)+ })
            }
        }
    };
}
sections!(Automaton {
    classes,
    start,
    states,
    slots
});
sections!(Globs {
    names,
    name_filter,
    name_bytes,
    forward,
    backward,
    starts
});
sections!(Trie {
    start,
    nodes,
    places,
    regions,
    labels
});
sections!(Provenance {
    text,
    policies,
    files,
    tags,
    tag_lists,
    messages,
    rules,
    apparmor
});
sections!(Tables {
    head,
    text,
    blocks,
    tests,
    lists,
    arguments,
    rows,
    exception_lists,
    exceptions,
    sources,
    process,
    process_globs,
    mapping,
    mapping_globs,
    file,
    file_globs,
    named,
    dns,
    network,
    capabilities,
    presets,
    syscalls,
    watches,
    members,
    devices,
});

/// Writes an image.
pub(crate) fn write(tables: &Tables, provenance: &Provenance) -> Vec<u8> {
    let mut words = Vec::new();
    Section::write(tables, &mut words);
    Section::write(provenance, &mut words);
    let mut bytes = Vec::with_capacity(HEADER + 4 * words.len());
    bytes.extend_from_slice(MAGIC);
    for word in [IMAGE_VERSION, BYTE_ORDER, words.len() as u32] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

/// Reads an image and checks everything that it refers to.
pub(crate) fn read(bytes: &[u8]) -> Result<(Tables, Provenance), ImageError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(ImageError::NotAnImage)?;
    let length = |expected| ImageError::Length {
        expected,
        found: bytes.len(),
    };
    let (header, rest) = rest
        .split_first_chunk::<12>()
        .ok_or_else(|| length(HEADER))?;
    let (header, _) = header.as_chunks::<4>();
    let [version, byte_order, count] = header else {
        return Err(length(HEADER));
    };
    let byte_order = u32::from_le_bytes(*byte_order);
    if byte_order != BYTE_ORDER {
        return Err(ImageError::ByteOrder { found: byte_order });
    }
    let version = u32::from_le_bytes(*version);
    if version != IMAGE_VERSION {
        return Err(ImageError::Version { found: version });
    }
    let expected = (u32::from_le_bytes(*count) as usize)
        .saturating_mul(4)
        .saturating_add(HEADER);
    if expected != bytes.len() {
        return Err(length(expected));
    }
    let (words, _) = rest.as_chunks::<4>();
    let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let mut reader = Reader {
        words: &words,
        at: 0,
    };
    let tables = Tables::read(&mut reader)?;
    let provenance = Provenance::read(&mut reader)?;
    if reader.at != words.len() {
        return Err(length(HEADER + 4 * reader.at));
    }
    check::tables(&tables)?;
    check::provenance(&tables, &provenance)?;
    Ok((tables, provenance))
}
