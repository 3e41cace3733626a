//! Text of policies that only one mechanism understands.

use std::fmt;

/// Native AppArmor rules of a policy that applies. No part of the decision model: a gap on every
/// backend but AppArmor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeText<'a> {
    /// The policy's `metadata.name`.
    pub policy: &'a str,
    /// The text as written.
    pub text: &'a str,
    /// The file as it was named when it was read.
    pub file: &'a str,
    /// Line, from 1.
    pub line: u32,
}

/// `web.yaml:14 apparmor of web-confined`
impl fmt::Display for NativeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} apparmor of {}", self.file, self.line, self.policy)
    }
}
