//! Limits on what is read.

/// How much a reader takes. What goes beyond is an error that names the limit, never exhausted
/// memory or time.
///
/// ```
/// use gambeson_policy_model::{Limits, Reader};
/// let reader = Reader::new().limits(Limits { bytes: 16, ..Limits::default() });
/// assert!(reader.read_str("big.yaml", "kind: KubeArmorPolicy").has_errors());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file, and of its text once its aliases are expanded.
    pub bytes: usize,
    /// How deep lists and objects nest; at most [`Limits::MAX_DEPTH`] counts.
    pub depth: usize,
    /// Aliases (`*name`) in one document.
    pub aliases: usize,
    /// Keys and values of one file, aliases expanded.
    pub nodes: usize,
    /// Documents of one file, the items of lists included.
    pub documents: usize,
    /// Files of one folder.
    pub files: usize,
}

impl Limits {
    /// The deepest nesting that is ever read.
    pub const MAX_DEPTH: usize = 200;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 32 << 20,
            depth: 64,
            aliases: 1_000,
            nodes: 2_000_000,
            documents: 100_000,
            files: 100_000,
        }
    }
}
