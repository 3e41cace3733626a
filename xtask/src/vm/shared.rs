//! The memory that the guest shares with the host, as a file on the host: a head, the payload,
//! and the output that the guest appends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::VmError;

/// The file's size. It is sparse: only what is written takes room.
pub(super) const SIZE: usize = 512 << 20;
/// Where the guest finds it, above all of its own memory.
pub(super) const ADDRESS: u64 = 1 << 32;
/// What the output has at the least.
const OUTPUT_ROOM: usize = 256 << 20;
/// The file's first eight bytes.
const MAGIC: u64 = 0x4d56_4e4f_5345_4247;
/// Where the payload starts: the head has the first page.
const PAYLOAD_OFFSET: usize = 4096;
const PAGE: usize = 4096;
/// The numbers of the head, and the random bytes after them.
const FIELDS: usize = 6;
const SEED: usize = 32;

/// What the guest does once it has booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It waits to be saved.
    Park = 1,
    /// It unpacks the payload and runs the command.
    Run = 2,
}

/// What a piece of the output is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    /// The command's standard output.
    Stdout = 1,
    /// The command's standard error.
    Stderr = 2,
    /// The files that the command left in `/out`.
    Files = 3,
    /// The kernel's log.
    KernelLog = 4,
}

/// The numbers above for the guest's compiler.
pub(super) fn definitions() -> Vec<String> {
    [
        ("SHARED_ADDRESS", ADDRESS),
        ("SHARED_SIZE", SIZE as u64),
        ("SHARED_MAGIC", MAGIC),
        ("PAYLOAD_OFFSET", PAYLOAD_OFFSET as u64),
        ("MODE_PARK", Mode::Park as u64),
        ("MODE_RUN", Mode::Run as u64),
        ("STREAM_STDOUT", Stream::Stdout as u64),
        ("STREAM_STDERR", Stream::Stderr as u64),
        ("STREAM_FILES", Stream::Files as u64),
        ("STREAM_KERNEL_LOG", Stream::KernelLog as u64),
    ]
    .iter()
    .map(|(name, value)| format!("-D{name}={value}"))
    .collect()
}

/// Writes the file for a guest.
pub(super) fn write(path: &Path, mode: Mode, payload: &[u8]) -> Result<(), VmError> {
    let output = (PAYLOAD_OFFSET + payload.len()).next_multiple_of(PAGE);
    if output + OUTPUT_ROOM > SIZE {
        return Err(VmError::PayloadTooLarge {
            bytes: payload.len(),
            limit: SIZE - OUTPUT_ROOM - PAYLOAD_OFFSET,
        });
    }
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(0));
    let fields: [u64; FIELDS] = [
        MAGIC,
        mode as u64,
        payload.len() as u64,
        clock,
        output as u64,
        output as u64,
    ];
    // Two runs of one snapshot must not share their random numbers.
    let mut seed = [0; SEED];
    let random = Path::new("/dev/urandom");
    File::open(random)
        .and_then(|mut file| file.read_exact(&mut seed))
        .map_err(VmError::io(random))?;
    let mut head: Vec<u8> = fields
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect();
    head.extend_from_slice(&seed);
    let write = || {
        let mut file = File::create(path)?;
        file.set_len(SIZE as u64)?;
        file.write_all(&head)?;
        file.seek(SeekFrom::Start(PAYLOAD_OFFSET as u64))?;
        file.write_all(payload)
    };
    write().map_err(VmError::io(path))
}

/// The output that the guest has left so far, by stream.
pub(super) fn read(path: &Path) -> Result<BTreeMap<Stream, Vec<u8>>, VmError> {
    let mut file = File::open(path).map_err(VmError::io(path))?;
    let mut head = [0; FIELDS * 8];
    file.read_exact(&mut head).map_err(VmError::io(path))?;
    let field = |number: usize| {
        head.chunks_exact(8)
            .nth(number)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u64::from_le_bytes)
            .unwrap_or_default()
    };
    let (start, end) = (field(FIELDS - 2), field(FIELDS - 1));
    // The guest may have written anything there.
    if start > end || end > SIZE as u64 {
        return Err(VmError::malformed(path, "the output's bounds are wrong"));
    }
    let mut records = Vec::new();
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.take(end - start).read_to_end(&mut records))
        .map_err(VmError::io(path))?;
    streams(&records).ok_or_else(|| VmError::malformed(path, "the output is garbled"))
}

/// Puts the records of each stream together.
fn streams(mut records: &[u8]) -> Option<BTreeMap<Stream, Vec<u8>>> {
    let mut streams: BTreeMap<Stream, Vec<u8>> = BTreeMap::new();
    while !records.is_empty() {
        let (stream, rest) = records.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (bytes, rest) = rest.split_at_checked(length)?;
        let stream = match u32::from_le_bytes(*stream) {
            1 => Stream::Stdout,
            2 => Stream::Stderr,
            3 => Stream::Files,
            4 => Stream::KernelLog,
            _ => return None,
        };
        streams.entry(stream).or_default().extend_from_slice(bytes);
        records = rest;
    }
    Some(streams)
}

/// The files of `/out`, by their path relative to it.
pub(super) fn files(mut stream: &[u8]) -> Option<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    while !stream.is_empty() {
        let (name, rest) = stream.split_first_chunk::<8>()?;
        let (content, rest) = rest.split_first_chunk::<8>()?;
        let length = |bytes: &[u8; 8]| usize::try_from(u64::from_le_bytes(*bytes)).ok();
        let (name, rest) = rest.split_at_checked(length(name)?)?;
        let (content, rest) = rest.split_at_checked(length(content)?)?;
        files.insert(
            String::from_utf8_lossy(name).into_owned(),
            content.to_owned(),
        );
        stream = rest;
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stream: u32, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap();
        [&stream.to_le_bytes()[..], &length.to_le_bytes(), bytes].concat()
    }

    #[test]
    fn records_are_put_together_by_stream() {
        let records = [record(1, b"one "), record(2, b"oops"), record(1, b"two")].concat();
        let streams = streams(&records).unwrap();
        assert_eq!(streams[&Stream::Stdout], b"one two");
        assert_eq!(streams[&Stream::Stderr], b"oops");
        assert!(!streams.contains_key(&Stream::Files));
    }

    #[test]
    fn garbled_records_are_refused() {
        let whole = record(1, b"text");
        for length in 1..whole.len() {
            assert_eq!(streams(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(streams(&record(9, b"text")), None);
        assert_eq!(streams(&record(0, b"")), None);
    }

    #[test]
    fn files_have_names_and_content() {
        let file = |name: &str, content: &[u8]| {
            [
                &(name.len() as u64).to_le_bytes()[..],
                &(content.len() as u64).to_le_bytes(),
                name.as_bytes(),
                content,
            ]
            .concat()
        };
        let stream = [file("a", b"1"), file("d/b", b"")].concat();
        let found = files(&stream).unwrap();
        assert_eq!(found["a"], b"1");
        assert_eq!(found["d/b"], b"");
        assert_eq!(files(&stream[..stream.len() - 1]), None);
        assert_eq!(files(&u64::MAX.to_le_bytes().repeat(2)), None);
    }
}
