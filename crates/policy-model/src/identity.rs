//! Which object a rule was written in, and where.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The three kinds of policy. Kinds don't rank: a rule counts the same in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PolicyKind {
    /// Cluster-scoped; selects pods by namespace and label.
    KubeArmorClusterPolicy,
    /// Cluster-scoped; selects nodes.
    KubeArmorHostPolicy,
    /// Namespaced; selects pods by label.
    KubeArmorPolicy,
}

impl PolicyKind {
    /// Every kind, in bytewise order of its name.
    pub const ALL: [Self; 3] = [
        Self::KubeArmorClusterPolicy,
        Self::KubeArmorHostPolicy,
        Self::KubeArmorPolicy,
    ];

    /// The name as written in a policy's `kind`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KubeArmorClusterPolicy => "KubeArmorClusterPolicy",
            Self::KubeArmorHostPolicy => "KubeArmorHostPolicy",
            Self::KubeArmorPolicy => "KubeArmorPolicy",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What tells one policy object from another.
///
/// The order is the one in which ties between rules are attributed: name, then kind
/// (both bytewise), then namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId {
    /// `metadata.name`.
    pub name: String,
    /// The object's kind.
    pub kind: PolicyKind,
    /// `metadata.namespace`; `None` for the cluster-scoped kinds, `default` where a
    /// namespaced policy gives none.
    pub namespace: Option<String>,
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// A place in a file: both numbers count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The file as it was named when it was read; `<input>` for text without a name.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
