//! Paths and sets of bytes in the regular expressions of `file_contexts`.
//!
//! Only ASCII without white space may stand in the file, so other bytes are written as sets of one
//! number. A backslash stands only before characters that end the literal part for every reader of
//! the file: some compare a literal beginning with the path as it is, backslash and all.

use std::fmt::Write as _;

use gambeson_policy_model::ByteSet;

/// Appends a byte. True if the expression stays a literal for readers of the file.
pub(crate) fn push_byte(out: &mut String, byte: u8) -> bool {
    match byte {
        b'.' | b'^' | b'$' | b'?' | b'*' | b'+' | b'|' | b'[' | b'(' | b'{' => {
            out.push('\\');
            out.push(char::from(byte));
            true
        }
        b'/' | b'_' | b'-' | b',' | b'%' | b'@' | b'~' | b'=' | b':' | b'!' | b'&' => {
            out.push(char::from(byte));
            true
        }
        _ if byte.is_ascii_alphanumeric() => {
            out.push(char::from(byte));
            true
        }
        _ => {
            let _ = write!(out, "[\\x{byte:02x}]");
            false
        }
    }
}

/// A literal path, and whether readers of the file take it for one.
pub(crate) fn literal(path: &[u8]) -> (String, bool) {
    let mut out = String::with_capacity(path.len());
    let mut is_literal = true;
    for byte in path {
        is_literal &= push_byte(&mut out, *byte);
    }
    (out, is_literal)
}

/// Appends an expression for one byte of the set.
pub(crate) fn push_set(out: &mut String, set: &ByteSet) {
    let members: Vec<u8> = set.iter().filter(|byte| *byte != 0).collect();
    let missing = 255 - members.len();
    if let [only] = members.as_slice() {
        push_byte(out, *only);
        return;
    }
    if missing == 0 {
        out.push('.');
    } else if missing == 1 && !set.contains(b'/') {
        out.push_str("[^/]");
    } else if missing < members.len() {
        let others: Vec<u8> = (1..=u8::MAX).filter(|byte| !set.contains(*byte)).collect();
        push_ranges(out, "[^", &others);
    } else {
        push_ranges(out, "[", &members);
    }
}

fn push_ranges(out: &mut String, open: &str, members: &[u8]) {
    out.push_str(open);
    let mut rest = members;
    while let Some((first, behind)) = rest.split_first() {
        let run = (1..)
            .zip(behind)
            .take_while(|(offset, byte)| usize::from(**byte) == usize::from(*first) + *offset)
            .count();
        push_member(out, *first);
        if run > 0 {
            out.push('-');
            push_member(out, first.saturating_add(run as u8));
        }
        rest = behind.get(run..).unwrap_or_default();
    }
    out.push(']');
}

fn push_member(out: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() {
        out.push(char::from(byte));
    } else {
        let _ = write!(out, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ascii_without_blanks_is_written() {
        assert_eq!(literal(b"/etc/a.b"), ("/etc/a\\.b".to_owned(), true));
        assert_eq!(
            literal("/a b/é)".as_bytes()).0,
            "/a[\\x20]b/[\\xc3][\\xa9][\\x29]"
        );
        assert!(!literal(b"/a b").1);
        let mut set = ByteSet::EMPTY;
        "abcx]".bytes().for_each(|byte| set.insert(byte));
        let mut out = String::new();
        push_set(&mut out, &set);
        assert_eq!(out, "[\\x5da-cx]");
    }
}
