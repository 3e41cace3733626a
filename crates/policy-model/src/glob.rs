//! The glob dialect of `matchPatterns`.
//!
//! | written | matches |
//! |---|---|
//! | `?` | one byte that is not `/` |
//! | `*` | any run of bytes without `/` |
//! | `**` | any run of bytes |
//! | `[abc]`, `[a-z]`, `[^a]` | one byte of the set, or not of it; never `/` |
//! | `{a,b}` | either; at least one comma |
//! | `\x` | the byte `x` itself |
//!
//! A run that fills a whole component needs at least one byte: `/etc/*` doesn't match `/etc/`, nor
//! `/**/x` match `/x`. Only a run at the very beginning of the pattern may be empty. Three stars or
//! more are `**`. Braces are expanded before anything else is asked of a pattern; brackets and
//! quoted bytes are whole items there. An empty set, a brace without a comma, anything unbalanced
//! and a backslash at the end are errors. This is a dialect of its own: AppArmor's parser and
//! shells differ in places.

mod parse;

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// The set without members.
    pub const EMPTY: Self = Self([0; 4]);

    /// Whether the byte is in the set.
    #[must_use]
    pub fn contains(&self, byte: u8) -> bool {
        self.0
            .get(usize::from(byte >> 6))
            .is_some_and(|word| (word >> (byte & 63)) & 1 == 1)
    }

    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    /// Takes a byte out.
    pub fn remove(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word &= !(1 << (byte & 63));
        }
    }

    /// The members, in order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|byte| self.contains(*byte))
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    fn invert(&mut self) {
        for word in &mut self.0 {
            *word = !*word;
        }
    }
}

impl fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(char::from)).finish()
    }
}

/// One item of a glob after its braces are expanded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Token {
    /// This byte.
    Byte(u8),
    /// One byte of the set, which never holds `/`. `?` is the set of all others.
    Set(ByteSet),
    /// `*`: a run without `/`.
    Star {
        /// Whether the run needs at least one byte.
        nonempty: bool,
    },
    /// `**`: any run.
    DoubleStar {
        /// Whether the run needs at least one byte.
        nonempty: bool,
    },
}

impl Token {
    /// Whether the token can consume this byte.
    #[must_use]
    pub fn accepts(&self, byte: u8) -> bool {
        match self {
            Self::Byte(want) => *want == byte,
            Self::Set(set) => set.contains(byte),
            Self::Star { .. } => byte != b'/',
            Self::DoubleStar { .. } => true,
        }
    }

    /// Whether the token is a run, and if so whether it needs at least one byte.
    #[must_use]
    pub const fn run(&self) -> Option<bool> {
        match self {
            Self::Star { nonempty } | Self::DoubleStar { nonempty } => Some(*nonempty),
            _ => None,
        }
    }
}

/// What is wrong with a glob.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GlobError {
    /// The pattern is empty.
    #[error("the pattern is empty")]
    Empty,
    /// A `[` without its `]`.
    #[error("the bracket opened at byte {at} is never closed; write `\\[` for a bracket itself")]
    UnclosedBracket {
        /// Offset in bytes.
        at: usize,
    },
    /// A `]` without its `[`.
    #[error("the bracket closed at byte {at} was never opened; write `\\]` for a bracket itself")]
    UnopenedBracket {
        /// Offset in bytes.
        at: usize,
    },
    /// `[]` or `[^]`.
    #[error("the brackets at byte {at} hold nothing")]
    EmptyBrackets {
        /// Offset in bytes.
        at: usize,
    },
    /// `[z-a]`.
    #[error("the range at byte {at} runs backwards")]
    BackwardRange {
        /// Offset in bytes.
        at: usize,
    },
    /// A `{` without its `}`.
    #[error("the brace opened at byte {at} is never closed; write `\\{{` for a brace itself")]
    UnclosedBrace {
        /// Offset in bytes.
        at: usize,
    },
    /// A `}` without its `{`.
    #[error("the brace closed at byte {at} was never opened; write `\\}}` for a brace itself")]
    UnopenedBrace {
        /// Offset in bytes.
        at: usize,
    },
    /// `{a}`.
    #[error("the braces at byte {at} hold no comma; alternatives are written `{{a,b}}`")]
    BraceWithoutComma {
        /// Offset in bytes.
        at: usize,
    },
    /// A backslash at the very end.
    #[error("the backslash at the end quotes nothing")]
    TrailingBackslash,
    /// Too many alternatives.
    #[error("the braces expand to more than {limit} alternatives or {bytes} bytes in all")]
    TooManyAlternatives {
        /// The most alternatives.
        limit: usize,
        /// The most bytes.
        bytes: usize,
    },
    /// Too long.
    #[error("the pattern has {length} bytes; at most {limit} are allowed")]
    TooLong {
        /// Its length.
        length: usize,
        /// The most bytes.
        limit: usize,
    },
    /// A NUL byte, which no path can hold.
    #[error("the pattern holds a NUL byte, which no path can")]
    Nul,
}

/// A parsed glob.
///
/// ```
/// use gambeson_policy_model::Glob;
/// let glob = Glob::parse("/etc/{nginx,ssl}/*.conf")?;
/// assert!(glob.matches(b"/etc/nginx/site.conf"));
/// assert!(!glob.matches(b"/etc/nginx/conf.d/site.conf"));
/// # Ok::<(), gambeson_policy_model::GlobError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Glob {
    text: Arc<str>,
    alternatives: Arc<[Vec<Token>]>,
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Glob {}

impl std::hash::Hash for Glob {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Glob {
    /// The longest pattern, in bytes: the longest path the kernel resolves.
    pub const MAX_LENGTH: usize = 4096;
    /// The most alternatives that braces may expand to.
    pub const MAX_ALTERNATIVES: usize = 4096;
    /// The most bytes of all alternatives together.
    pub const MAX_EXPANDED: usize = 1 << 20;

    /// Parses a pattern.
    ///
    /// # Errors
    /// Says what is wrong and at which byte of the pattern.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(GlobError::Empty);
        }
        if bytes.len() > Self::MAX_LENGTH {
            return Err(GlobError::TooLong {
                length: bytes.len(),
                limit: Self::MAX_LENGTH,
            });
        }
        if bytes.contains(&0) {
            return Err(GlobError::Nul);
        }
        Ok(Self {
            text: text.into(),
            alternatives: parse::alternatives(bytes)?.into(),
        })
    }

    /// The pattern that matches just this text.
    ///
    /// ```
    /// use gambeson_policy_model::Glob;
    /// assert_eq!(Glob::quote("/usr/bin/["), r"/usr/bin/\[");
    /// ```
    #[must_use]
    pub fn quote(text: &str) -> String {
        crate::glob_text::quote(text)
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The alternatives that braces expand to, in order; one where there are no braces.
    #[must_use]
    pub fn alternatives(&self) -> &[Vec<Token>] {
        &self.alternatives
    }

    /// Whether any alternative matches the whole path. Slow and obvious; takes time in the
    /// product of the pattern's and the path's length.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        self.alternatives
            .iter()
            .any(|tokens| matches_tokens(tokens, path))
    }

    /// The directory, ending in `/`, that an alternative ranks as: it is literal but for a final
    /// `/**`.
    ///
    /// ```
    /// use gambeson_policy_model::Glob;
    /// let glob = Glob::parse("/usr/**")?;
    /// assert_eq!(Glob::as_directory(&glob.alternatives()[0]).as_deref(), Some(&b"/usr/"[..]));
    /// # Ok::<(), gambeson_policy_model::GlobError>(())
    /// ```
    #[must_use]
    pub fn as_directory(alternative: &[Token]) -> Option<Vec<u8>> {
        let (Token::DoubleStar { nonempty: true }, literal) = alternative.split_last()? else {
            return None;
        };
        let directory = literal_bytes(literal)?;
        directory.ends_with(b"/").then_some(directory)
    }
}

/// The bytes of tokens that are all bytes.
fn literal_bytes(tokens: &[Token]) -> Option<Vec<u8>> {
    tokens
        .iter()
        .map(|token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        })
        .collect()
}

/// Whether the tokens match all of `path`.
#[must_use]
pub fn matches_tokens(tokens: &[Token], path: &[u8]) -> bool {
    // `reach[i]`: the tokens so far match the first `i` bytes.
    let mut reach = vec![false; path.len() + 1];
    if let Some(start) = reach.first_mut() {
        *start = true;
    }
    for token in tokens {
        let mut next = vec![false; path.len() + 1];
        let run = token.run();
        let mut inside = false;
        for (i, slot) in next.iter_mut().enumerate() {
            let here = reach.get(i).copied().unwrap_or(false);
            let consumed = i.checked_sub(1).and_then(|last| path.get(last));
            let before = i
                .checked_sub(1)
                .and_then(|last| reach.get(last).copied())
                .unwrap_or(false);
            let accepted = consumed.is_some_and(|byte| token.accepts(*byte));
            match run {
                None => *slot = before && accepted,
                Some(nonempty) => {
                    inside = accepted && (inside || before);
                    *slot = inside || (here && !nonempty);
                }
            }
        }
        reach = next;
    }
    reach.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::parse(pattern).unwrap().matches(path.as_bytes())
    }

    #[test]
    fn runs_and_components() {
        for (pattern, path, expected) in [
            ("/etc/*", "/etc/passwd", true),
            ("/etc/*", "/etc/", false),
            ("/etc/*", "/etc/ssl/x", false),
            ("/etc/p*", "/etc/p", true),
            ("/**", "/", false),
            ("/**", "/a/b", true),
            ("/**/x", "/x", false),
            ("/**/x", "/a/x", true),
            ("/**/x", "/a/b/x", true),
            ("**/x", "/x", true),
            ("**/x", "/a/x", true),
            ("*/x", "/x", true),
            ("*/x", "/a/x", false),
            ("/a**b", "/ab", true),
            ("/a**b", "/a/c/b", true),
            ("/a/**/b", "/a/b", false),
            ("/a/**/b", "/a//b", false),
            ("/a/**/b", "/a/x/b", true),
            ("/a***", "/a", true),
            ("/a?c", "/abc", true),
            ("/a?c", "/a/c", false),
            ("/[a-c]x", "/bx", true),
            ("/[^a-c]x", "/bx", false),
            ("/[^a]x", "//x", false),
            ("/a\\*", "/a*", true),
            ("/a\\*", "/ab", false),
            ("/{a,b{c,d}}/x", "/bd/x", true),
            ("/{a,b{c,d}}/x", "/b/x", false),
            ("/{,*}", "/", true),
            ("/[{,}]", "/,", true),
            ("/a,b", "/a,b", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn mistakes_have_names() {
        for (pattern, error) in [
            ("", GlobError::Empty),
            ("/[a", GlobError::UnclosedBracket { at: 1 }),
            ("/a]", GlobError::UnopenedBracket { at: 2 }),
            ("/[]", GlobError::EmptyBrackets { at: 1 }),
            ("/[z-a]", GlobError::BackwardRange { at: 2 }),
            ("/{a,b", GlobError::UnclosedBrace { at: 1 }),
            ("/a}", GlobError::UnopenedBrace { at: 2 }),
            ("/{a}", GlobError::BraceWithoutComma { at: 1 }),
            ("/a\\", GlobError::TrailingBackslash),
            ("/a\0", GlobError::Nul),
        ] {
            assert_eq!(Glob::parse(pattern), Err(error), "{pattern}");
        }
        let many = "{a,b}".repeat(20);
        assert!(matches!(
            Glob::parse(&many),
            Err(GlobError::TooManyAlternatives { .. })
        ));
        let deep = "{a,".repeat(1000);
        assert!(matches!(
            Glob::parse(&deep),
            Err(GlobError::UnclosedBrace { .. })
        ));
    }

    #[test]
    fn directories_in_disguise() {
        let directory = |pattern: &str| {
            let glob = Glob::parse(pattern).unwrap();
            Glob::as_directory(&glob.alternatives()[0])
        };
        assert_eq!(directory("/**").as_deref(), Some(&b"/"[..]));
        assert_eq!(directory("/a\\*/**").as_deref(), Some(&b"/a*/"[..]));
        assert_eq!(directory("/a*/**"), None);
        assert_eq!(directory("/a**"), None);
        assert_eq!(directory("**"), None);
    }
}
