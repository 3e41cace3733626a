//! Archives in cpio's "newc" format, which the kernel and the guest unpack.

/// Kinds of entries, as in `stat`'s mode.
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// The kernel expects the end of an archive to be padded to a block.
const BLOCK: usize = 512;

/// An archive that is being written. Every entry belongs to root.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    inode: u32,
}

impl Writer {
    /// A directory with these permissions.
    pub(super) fn directory(&mut self, path: &[u8], permissions: u32) {
        self.entry(path, DIRECTORY | permissions, &[], (0, 0));
    }

    /// A regular file.
    pub(super) fn file(&mut self, path: &[u8], permissions: u32, content: &[u8]) {
        self.entry(path, REGULAR | permissions, content, (0, 0));
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, path: &[u8], target: &[u8]) {
        self.entry(path, LINK | 0o777, target, (0, 0));
    }

    /// A character device with its major and minor numbers.
    pub(super) fn device(&mut self, path: &[u8], permissions: u32, number: (u32, u32)) {
        self.entry(path, CHARACTER_DEVICE | permissions, &[], number);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry(b"TRAILER!!!", 0, &[], (0, 0));
        self.pad(BLOCK);
        self.bytes
    }

    fn entry(&mut self, path: &[u8], mode: u32, content: &[u8], device: (u32, u32)) {
        // No two entries are one file.
        self.inode += 1;
        let name = path.strip_prefix(b"/").unwrap_or(path);
        let fields = [
            self.inode,
            mode,
            0, // owner
            0, // group
            1, // links
            0, // time of change
            length(content.len()),
            0, // the archive's own device
            0,
            device.0,
            device.1,
            length(name.len() + 1),
            0, // checksum, unused in this format
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
        self.pad(4);
        self.bytes.extend_from_slice(content);
        self.pad(4);
    }

    fn pad(&mut self, to: usize) {
        let padded = self.bytes.len().next_multiple_of(to);
        self.bytes.resize(padded, 0);
    }
}

/// Lengths are 32 bits. What is longer than that is refused before it is written to the guest's
/// memory, which is smaller.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_a_name_and_its_content_each_padded() {
        let mut writer = Writer::default();
        writer.file(b"/etc/x", 0o640, b"hello");
        let bytes = writer.finish();
        let field = |at: usize| std::str::from_utf8(&bytes[6 + at * 8..14 + at * 8]).unwrap();
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(field(0), "00000001", "inode");
        assert_eq!(field(1), "000081A0", "mode");
        assert_eq!(field(4), "00000001", "links");
        assert_eq!(field(6), "00000005", "size");
        assert_eq!(field(11), "00000006", "size of the name");
        assert_eq!(&bytes[110..116], b"etc/x\0");
        assert_eq!(&bytes[116..124], b"hello\0\0\0");
        assert_eq!(&bytes[124..130], b"070701", "the trailer");
        assert_eq!(bytes.len() % BLOCK, 0);
    }

    #[test]
    fn devices_carry_their_numbers() {
        let mut writer = Writer::default();
        writer.device(b"/dev/console", 0o600, (5, 1));
        let bytes = writer.finish();
        assert_eq!(&bytes[14..22], b"00002180");
        assert_eq!(&bytes[78..94], b"0000000500000001");
    }
}
