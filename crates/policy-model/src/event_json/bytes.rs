//! Bytes in JSON strings.
//!
//! JSON's strings are Unicode, paths are bytes. A byte that is no part of UTF-8 travels as the
//! escape of a lone surrogate, `\udc80` to `\udcff` (PEP 383).

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A JSON string as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes<'a>(pub(super) Cow<'a, [u8]>);

impl<'de> Deserialize<'de> for Bytes<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl<'de> Visitor<'de> for BytesVisitor {
            type Value = Bytes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Bytes<'de>, E> {
                // Borrowed means without escapes, and so without surrogates.
                Ok(Bytes(Cow::Borrowed(bytes)))
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes<'de>, E> {
                match unescape(bytes) {
                    Some(bytes) => Ok(Bytes(Cow::Owned(bytes))),
                    None => Err(E::custom(
                        "a lone surrogate stands for no byte; only `\\udc80` to `\\udcff` do",
                    )),
                }
            }
        }
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

/// Turns surrogates, which serde_json leaves as three bytes each where it is asked for bytes,
/// into the bytes they stand for. `None` for a surrogate that stands for none.
fn unescape(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    loop {
        match bytes {
            [] => return Some(out),
            // U+DC80 to U+DCFF.
            [0xed, high @ 0xb2..=0xb3, low @ 0x80..=0xbf, rest @ ..] => {
                out.push(((high & 1) << 6) | (low & 0x3f) | 0x80);
                bytes = rest;
            }
            // Every other surrogate.
            [0xed, 0xa0..=0xbf, ..] => return None,
            [byte, rest @ ..] => {
                out.push(*byte);
                bytes = rest;
            }
        }
    }
}

/// Writes bytes as a JSON string.
pub(super) fn write(out: &mut String, bytes: &[u8]) {
    use fmt::Write as _;

    out.push('"');
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        // What needs no escape is copied in one piece.
        while let Some(at) = rest.find(|character| matches!(character, '"' | '\\' | ..' ')) {
            let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
            out.push_str(plain);
            let mut tail = tail.chars();
            match tail.next() {
                Some('"') => out.push_str("\\\""),
                Some('\\') => out.push_str("\\\\"),
                Some('\n') => out.push_str("\\n"),
                Some('\t') => out.push_str("\\t"),
                Some('\r') => out.push_str("\\r"),
                Some(control) => {
                    // Writing to a string never fails.
                    let _ = write!(out, "\\u{:04x}", u32::from(control));
                }
                None => {}
            }
            rest = tail.as_str();
        }
        out.push_str(rest);
        for byte in chunk.invalid() {
            let _ = write!(out, "\\udc{byte:02x}");
        }
    }
    out.push('"');
}
