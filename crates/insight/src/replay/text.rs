//! Values of records: texts that stay where they are, numbers that may be texts.

use std::borrow::Cow;

/// A text; null and what is missing are empty. Borrowed where nothing in it is escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    pub(super) const fn new(text: Cow<'a, str>) -> Self {
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A number, if it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Number(Option<i64>);

impl Number {
    /// The number that a word stands for.
    pub(super) fn of(word: &str) -> Self {
        Self(match word {
            "true" => Some(1),
            "false" => Some(0),
            word => word.parse().ok(),
        })
    }

    pub(super) const fn value(self) -> Option<i64> {
        self.0
    }

    /// The number as a user's id; those that only stand for "none" are none.
    pub(super) fn uid(self) -> Option<u32> {
        let uid = u32::try_from(self.0?).ok()?;
        (uid != u32::MAX).then_some(uid)
    }
}
