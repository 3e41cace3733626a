//! Text for people: safe to print on a terminal, short, and in the right number.

use std::fmt::Display;

pub(crate) use gambeson::explain::printable;

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
    fn a_long_path_keeps_its_ends() {
        assert_eq!(shortened("/usr/local/bin/node", 19), "/usr/local/bin/node");
        assert_eq!(shortened("/usr/local/bin/node", 10), "/u…in/node");
        assert_eq!(shortened("abc", 1), "…");
    }
}
