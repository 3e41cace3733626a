//! `key=value` pairs, as the kernel's audit system writes them.

use std::borrow::Cow;

/// The pairs of a record, from left to right. Whatever is no pair is passed over.
#[derive(Debug, Clone)]
pub(super) struct Fields<'r> {
    rest: &'r [u8],
}

/// A value as it stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'r> {
    /// Between quotes: the bytes are the value.
    Quoted(&'r [u8]),
    /// Without quotes: a number, a word, or a text that quotes could not hold, as hexadecimal digits.
    Bare(&'r [u8]),
}

impl<'r> Fields<'r> {
    pub(super) const fn new(body: &'r [u8]) -> Self {
        Self { rest: body }
    }
}

impl<'r> Iterator for Fields<'r> {
    type Item = (&'r [u8], Value<'r>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (word, after) = cut(self.rest.trim_ascii_start(), |byte| {
                byte == b'=' || byte.is_ascii_whitespace()
            });
            if word.is_empty() && after.is_empty() {
                return None;
            }
            let Some(after) = after.strip_prefix(b"=") else {
                // A word without a value.
                self.rest = after;
                continue;
            };
            let (value, rest) = match after.strip_prefix(b"\"") {
                Some(after) => {
                    let (text, rest) = cut(after, |byte| byte == b'"');
                    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
                    (Value::Quoted(text), rest)
                }
                None => {
                    let (text, rest) = cut(after, |byte| byte.is_ascii_whitespace());
                    (Value::Bare(text), rest)
                }
            };
            self.rest = rest;
            return Some((word, value));
        }
    }
}

/// Cuts before the first byte of which `is_end` holds.
fn cut(bytes: &[u8], is_end: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| is_end(*byte));
    bytes
        .split_at_checked(end.unwrap_or(bytes.len()))
        .unwrap_or((bytes, &[]))
}

impl<'r> Value<'r> {
    /// A text of any bytes. Without quotes it stands as hexadecimal digits.
    pub(super) fn text(self) -> Option<Cow<'r, [u8]>> {
        match self {
            Self::Quoted(text) => Some(Cow::Borrowed(text)),
            Self::Bare(digits) => hexadecimal(digits).map(Cow::Owned),
        }
    }

    /// A word that the kernel chose, and so never writes as digits.
    pub(super) fn word(self) -> Cow<'r, str> {
        let (Self::Quoted(word) | Self::Bare(word)) = self;
        String::from_utf8_lossy(word)
    }

    /// A number.
    pub(super) fn number<N: std::str::FromStr>(self) -> Option<N> {
        self.word().parse().ok()
    }
}

/// The bytes that pairs of hexadecimal digits stand for.
fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
            _ => None,
        })
        .collect()
}

/// The value of a hexadecimal digit.
pub(super) fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(body: &str) -> Vec<(String, Value<'_>)> {
        Fields::new(body.as_bytes())
            .map(|(key, value)| (String::from_utf8_lossy(key).into_owned(), value))
            .collect()
    }

    #[test]
    fn a_quoted_value_holds_blanks_and_equal_signs() {
        let found = pairs(r#"name="/a b=c" pid=7 comm="x""#);
        assert_eq!(found[0], ("name".into(), Value::Quoted(b"/a b=c")));
        assert_eq!(found[1], ("pid".into(), Value::Bare(b"7")));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn what_quotes_can_not_hold_stands_as_digits() {
        let (_, value) = pairs("name=2F612062").remove(0);
        assert_eq!(value.text().as_deref(), Some(&b"/a b"[..]));
        assert_eq!(Value::Bare(b"2F6").text(), None);
        assert_eq!(Value::Bare(b"zz").text(), None);
        assert_eq!(Value::Quoted(b"2F").text().as_deref(), Some(&b"2F"[..]));
    }

    #[test]
    fn what_is_no_pair_is_passed_over() {
        assert_eq!(
            pairs(" for nobody pid=1 "),
            [("pid".into(), Value::Bare(b"1"))]
        );
        assert_eq!(
            pairs("a=\"never closed"),
            [("a".into(), Value::Quoted(b"never closed"))]
        );
        assert_eq!(pairs("==="), [("".into(), Value::Bare(b"=="))]);
        assert!(pairs("   ").is_empty());
    }
}
