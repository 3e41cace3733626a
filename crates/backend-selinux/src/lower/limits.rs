//! Limits on what is lowered.

/// Limits on a module. Beyond them lowering fails, and says what is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowerLimits {
    /// The most types of files.
    pub types: usize,
    /// The most domains.
    pub domains: usize,
    /// The most file-context entries. The kernel has no part in them, but relabelling tries them
    /// one after the other.
    pub entries: usize,
    /// The most states that the patterns below one directory may be followed through.
    pub states: usize,
}

impl Default for LowerLimits {
    fn default() -> Self {
        Self {
            types: 1 << 13,
            domains: 1 << 13,
            entries: 1 << 18,
            states: 1 << 15,
        }
    }
}
