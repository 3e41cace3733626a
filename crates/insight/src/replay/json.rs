//! Reading a few fields out of JSON, in one pass that copies nothing and builds nothing for the rest.
//!
//! What is left out is skipped, and only as far as that takes held to the grammar.

use std::borrow::Cow;

use super::text::{Number, Text};

/// What stands there is something else, or ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A place in a text.
#[derive(Debug)]
pub(super) struct Cursor<'l> {
    text: &'l str,
    at: usize,
}

/// Reads one value, of which nothing but space may follow.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn whole<'l>(
    text: &'l str,
    read: impl FnOnce(&mut Cursor<'l>) -> Result<(), Malformed>,
) -> Result<(), String> {
    let mut cursor = Cursor { text, at: 0 };
    let result = read(&mut cursor);
    cursor.space();
    if result.is_ok() && cursor.at == text.len() {
        return Ok(());
    }
    // Who reads all of it says best what is wrong.
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Err(error) => Err(error.to_string()),
        Ok(_) => Err(format!(
            "what stands at column {} is of another type than it should be",
            cursor.at + 1
        )),
    }
}

/// Where the first quote or backslash is.
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    // Most keys and values end within a few bytes, before a call for longer ones would have begun.
    let (near, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    for &chunk in near.iter().take(4) {
        let chunk = u64::from_le_bytes(chunk);
        let found = bytes_equal(chunk, b'"') | bytes_equal(chunk, b'\\');
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr::memchr2(b'"', b'\\', bytes.get(at..)?).map(|found| at + found)
}

/// The high bit of each of eight bytes that equals `byte`; of those above the lowest one that does, others
/// may be set too.
fn bytes_equal(eight: u64, byte: u8) -> u64 {
    let zero = eight ^ u64::from_ne_bytes([byte; 8]);
    zero.wrapping_sub(u64::from_ne_bytes([0x01; 8])) & !zero & u64::from_ne_bytes([0x80; 8])
}

impl<'l> Cursor<'l> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn since(&self, start: usize) -> Result<&'l str, Malformed> {
        self.text.get(start..self.at).ok_or(Malformed)
    }

    /// What is between quotes, the first of which was taken, and whether something in it is escaped.
    fn string(&mut self) -> Result<(&'l str, bool), Malformed> {
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).ok_or(Malformed)?;
            let found = quote_or_escape(rest).ok_or(Malformed)?;
            self.at += found;
            if self.peek() == Some(b'"') {
                let inner = self.since(start)?;
                self.at += 1;
                return Ok((inner, escaped));
            }
            escaped = true;
            self.at += 2;
        }
    }

    /// A number or a word.
    fn word(&mut self) -> Result<&'l str, Malformed> {
        let start = self.at;
        while matches!(
            self.peek(),
            Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.')
        ) {
            self.at += 1;
        }
        if self.at == start {
            return Err(Malformed);
        }
        self.since(start)
    }

    /// An object, or null. `each` is told every key, and must take the value.
    pub(super) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, &'l str) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.space();
        if !self.take(b'{') {
            return if self.word()? == "null" {
                Ok(())
            } else {
                Err(Malformed)
            };
        }
        self.space();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            if !self.take(b'"') {
                return Err(Malformed);
            }
            let (key, _) = self.string()?;
            self.space();
            if !self.take(b':') {
                return Err(Malformed);
            }
            self.space();
            each(self, key)?;
            self.space();
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(Malformed);
            }
        }
    }

    /// An array, or null. `each` must take an element.
    pub(super) fn array(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.space();
        if !self.take(b'[') {
            return if self.word()? == "null" {
                Ok(())
            } else {
                Err(Malformed)
            };
        }
        self.space();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.space();
            each(self)?;
            self.space();
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(Malformed);
            }
        }
    }

    /// A text, or null.
    pub(super) fn text(&mut self) -> Result<Text<'l>, Malformed> {
        if !self.take(b'"') {
            return if self.word()? == "null" {
                Ok(Text::default())
            } else {
                Err(Malformed)
            };
        }
        let start = self.at;
        match self.string()? {
            (inner, false) => Ok(Text::new(Cow::Borrowed(inner))),
            (_, true) => {
                let quoted = self.text.get(start - 1..self.at).ok_or(Malformed)?;
                let text: String = serde_json::from_str(quoted).map_err(|_| Malformed)?;
                Ok(Text::new(Cow::Owned(text)))
            }
        }
    }

    /// A number, if it is one: 64-bit integers come as texts from whatever follows protobuf's JSON, and
    /// null or a word stands where a number isn't known.
    pub(super) fn number(&mut self) -> Result<Number, Malformed> {
        if self.take(b'"') {
            return Ok(Number::of(self.string()?.0));
        }
        Ok(Number::of(self.word()?))
    }

    /// Whether the value is null, which isn't taken.
    pub(super) fn is_null(&self) -> bool {
        self.peek() == Some(b'n')
    }

    /// Any value, as it is written.
    pub(super) fn raw(&mut self) -> Result<&'l str, Malformed> {
        let start = self.at;
        self.skip()?;
        self.since(start)
    }

    /// Any value.
    pub(super) fn skip(&mut self) -> Result<(), Malformed> {
        let mut depth = 0_usize;
        loop {
            match self.peek().ok_or(Malformed)? {
                b'"' => {
                    self.at += 1;
                    self.string()?;
                }
                b'{' | b'[' => {
                    self.at += 1;
                    depth += 1;
                }
                b'}' | b']' if depth > 0 => {
                    self.at += 1;
                    depth -= 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => self.at += 1,
                _ => {
                    self.word()?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_quote_or_backslash_is_found_wherever_it_stands() {
        // Among them those that differ from what is sought by a bit, or by the lowest of a byte.
        for filler in *b"x#!]\x22\x5c\xa2\xdc\x00\xff" {
            for length in 0..80 {
                for at in 0..length {
                    for mark in *b"\"\\" {
                        let mut text = vec![filler; length];
                        text[at] = mark;
                        let first = text.iter().position(|byte| matches!(byte, b'"' | b'\\'));
                        assert_eq!(quote_or_escape(&text), first, "{filler} {length} {at}");
                    }
                }
            }
            let none = vec![filler; 50];
            assert_eq!(
                quote_or_escape(&none).is_none(),
                !matches!(filler, b'"' | b'\\')
            );
        }
    }

    #[test]
    fn fields_are_found_between_whatever_else_there_is() {
        let text = r#" { "a" : "x\"\u00e9" , "skip":{"b":[1,"}",{"c":null}],"\"":"\\"},"n":-3 ,"big":"77","o":{"k":[]}, "none":null } "#;
        let (mut a, mut n, mut big, mut o) =
            (Text::default(), Number::default(), Number::default(), "");
        whole(text, |cursor| {
            cursor.object(|cursor, key| {
                match key {
                    "a" => a = cursor.text()?,
                    "n" => n = cursor.number()?,
                    "big" => big = cursor.number()?,
                    "o" => o = cursor.raw()?,
                    "none" => assert!(cursor.text()?.is_empty()),
                    _ => cursor.skip()?,
                }
                Ok(())
            })
        })
        .unwrap();
        assert_eq!((a.as_str(), o), ("x\"é", r#"{"k":[]}"#));
        assert_eq!((n.value(), big.value()), (Some(-3), Some(77)));
    }

    #[test]
    fn what_is_cut_off_or_of_another_type_is_an_error_and_never_more() {
        let text = r#"{"a":"x\n","b":{"c":[1,2]},"d":1}"#;
        let read = |text: &str| {
            whole(text, |cursor| {
                cursor.object(|cursor, key| match key {
                    "a" => cursor.text().map(|_| ()),
                    _ => cursor.skip(),
                })
            })
        };
        assert_eq!(read(text), Ok(()));
        for end in 0..text.len() {
            assert!(
                text.get(..end).is_some_and(|cut| read(cut).is_err()),
                "{end}"
            );
        }
        assert!(read(r#"{"a":"\x"}"#).is_err());
        assert!(read(r#"{"a":"x"} {"#).is_err());
        let error = read(r#"{"a":1}"#).unwrap_err();
        assert!(
            error.ends_with("of another type than it should be"),
            "{error}"
        );
    }
}
