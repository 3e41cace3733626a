//! Text for people: safe to print on a terminal, short, and in the right number.

use std::fmt::Display;

/// Text from events and policies, made safe for a terminal: control characters and those that
/// turn the direction of writing are spelled out, so that a file's name can't rewrite the screen.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || turns_direction(c) {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            text.extend(std::ascii::escape_default(*byte).map(char::from));
        }
    }
    text
}

/// Marks, embeddings, overrides and isolates of the Unicode bidirectional algorithm, and the
/// separators that a terminal may take for the end of a line.
const fn turns_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Leaves out the middle of a text that has more than `width` characters.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    // The end of a path says more than its beginning.
    let kept = width.saturating_sub(1);
    let head = kept / 4;
    let tail = kept - head;
    text.chars()
        .take(head)
        .chain(std::iter::once('…'))
        .chain(text.chars().skip(length - tail))
        .collect()
}

/// `1 event`, `2 events`.
pub(crate) fn counted<N: Copy + Display + PartialEq + From<u8>>(count: N, what: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_drive_the_terminal() {
        assert_eq!(printable(b"/tmp/\x1b[2Jx\n"), "/tmp/\\u{1b}[2Jx\\n");
        assert_eq!(printable(b"/tmp/\xff"), "/tmp/\\xff");
        assert_eq!(
            printable("/tmp/\u{202e}gpj".as_bytes()),
            "/tmp/\\u{202e}gpj"
        );
        assert_eq!(printable("/tmp/größe".as_bytes()), "/tmp/größe");
    }

    #[test]
    fn a_long_path_keeps_its_ends() {
        assert_eq!(shortened("/usr/local/bin/node", 19), "/usr/local/bin/node");
        assert_eq!(shortened("/usr/local/bin/node", 10), "/u…in/node");
        assert_eq!(shortened("abc", 1), "…");
    }
}
