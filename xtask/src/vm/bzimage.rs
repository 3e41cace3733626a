//! The kernel proper, out of the compressed image that boot loaders start.
//!
//! The emulator starts an uncompressed kernel directly; decompressing it in the guest would take
//! longer than all the rest of the boot.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{VmError, tool};

/// Where Linux's x86 boot protocol keeps the number of setup sectors, its own mark, and the
/// offset and length of the compressed kernel.
const SETUP_SECTORS: usize = 0x1f1;
const MARK: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

const SECTOR: usize = 512;

/// How a kernel is compressed: the program that undoes it, and whether the uncompressed size
/// follows as four more bytes that are not the program's.
#[derive(Debug, PartialEq, Eq)]
struct Compression {
    program: &'static str,
    size_follows: bool,
}

/// Unpacks `image` to `kernel`; `scratch` is a file to use on the way.
pub(super) fn extract(image: &Path, kernel: &Path, scratch: &Path) -> Result<(), VmError> {
    let bytes = fs::read(image).map_err(VmError::io(image))?;
    let malformed = |message: &str| VmError::malformed(image, message);
    let payload = payload(&bytes).ok_or_else(|| malformed("not a bzImage"))?;
    let compression =
        compression(payload).ok_or_else(|| malformed("compressed in an unknown way"))?;
    let size = number(payload, payload.len().wrapping_sub(4));
    let compressed = if compression.size_follows {
        payload.split_at_checked(payload.len() - 4)
    } else {
        Some((payload, payload))
    };
    let (compressed, _) = compressed.ok_or_else(|| malformed("too short"))?;
    fs::write(scratch, compressed).map_err(VmError::io(scratch))?;
    let input = File::open(scratch).map_err(VmError::io(scratch))?;
    let output = File::create(kernel).map_err(VmError::io(kernel))?;
    tool::output(
        Command::new(compression.program)
            .arg("-dcq")
            .stdin(input)
            .stdout(Stdio::from(output)),
    )?;
    fs::remove_file(scratch).map_err(VmError::io(scratch))?;
    let unpacked = fs::metadata(kernel).map_err(VmError::io(kernel))?.len();
    if size.map(|size| size as u64) != Some(unpacked) {
        return Err(malformed(
            "the unpacked kernel has another size than its header says",
        ));
    }
    Ok(())
}

fn payload(image: &[u8]) -> Option<&[u8]> {
    if image.get(MARK..MARK + 4)? != b"HdrS" {
        return None;
    }
    // Zero means four, as in the oldest protocol.
    let setup = match image.get(SETUP_SECTORS)? {
        0 => 4,
        sectors => usize::from(*sectors),
    };
    let start = (setup + 1) * SECTOR + number(image, PAYLOAD_OFFSET)?;
    image.get(start..start.checked_add(number(image, PAYLOAD_LENGTH)?)?)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(four.try_into().ok()?)).ok()
}

fn compression(payload: &[u8]) -> Option<Compression> {
    let known: [(&[u8], &str, bool); 4] = [
        (b"\x28\xb5\x2f\xfd", "zstd", true),
        (b"\x02\x21\x4c\x18", "lz4", true),
        (b"\xfd7zXZ\0", "xz", true),
        // Gzip itself ends with the size.
        (b"\x1f\x8b\x08", "gzip", false),
    ];
    known
        .into_iter()
        .find(|(magic, ..)| payload.starts_with(magic))
        .map(|(_, program, size_follows)| Compression {
            program,
            size_follows,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image with one setup sector and this payload, 16 bytes into the second part.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 2 * SECTOR + 16];
        image[SETUP_SECTORS] = 1;
        image[MARK..MARK + 4].copy_from_slice(b"HdrS");
        image[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&16_u32.to_le_bytes());
        let length = u32::try_from(payload.len()).unwrap();
        image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&length.to_le_bytes());
        image.extend_from_slice(payload);
        image
    }

    #[test]
    fn the_header_says_where_the_kernel_is() {
        assert_eq!(payload(&image(b"the kernel")), Some(&b"the kernel"[..]));
    }

    #[test]
    fn what_is_no_image_or_cut_short_is_refused() {
        assert_eq!(payload(b"MZ"), None);
        assert_eq!(payload(&[0; 4096]), None);
        let whole = image(b"the kernel");
        assert_eq!(payload(&whole[..whole.len() - 1]), None);
    }

    #[test]
    fn compressions_are_told_apart() {
        let program = |bytes: &[u8]| compression(bytes).map(|it| (it.program, it.size_follows));
        assert_eq!(program(b"\x28\xb5\x2f\xfd..."), Some(("zstd", true)));
        assert_eq!(program(b"\x02\x21\x4c\x18..."), Some(("lz4", true)));
        assert_eq!(program(b"\xfd7zXZ\0..."), Some(("xz", true)));
        assert_eq!(program(b"\x1f\x8b\x08..."), Some(("gzip", false)));
        assert_eq!(program(b"BZh9"), None);
    }
}
