//! Which processes a policy is bound to.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::error::BindError;
use super::options::Scope;

/// `CGROUP2_SUPER_MAGIC`
const CGROUP2: u64 = 0x6367_7270;

/// A scope as the programs know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ScopeKey {
    Cgroup(u64),
    Host,
}

impl ScopeKey {
    pub(super) fn of(scope: &Scope) -> Result<Self, BindError> {
        match scope {
            Scope::Cgroup(path) => cgroup_id(path).map(Self::Cgroup),
            Scope::Host => Ok(Self::Host),
        }
    }
}

impl Scope {
    /// For messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Cgroup(path) => path.display().to_string(),
            Self::Host => "host".to_owned(),
        }
    }
}

/// The id of a cgroup: the number of its directory's inode.
pub(super) fn cgroup_id(path: &Path) -> Result<u64, BindError> {
    let not_a_cgroup = |problem: String| BindError::NotACgroup {
        path: path.to_owned(),
        problem,
    };
    let file_system = rustix::fs::statfs(path).map_err(|error| not_a_cgroup(error.to_string()))?;
    if file_system.f_type.cast_unsigned() as u64 != CGROUP2 {
        return Err(not_a_cgroup("it lies in another file system".to_owned()));
    }
    let metadata = path
        .metadata()
        .map_err(|error| not_a_cgroup(error.to_string()))?;
    if !metadata.is_dir() {
        return Err(not_a_cgroup("it is no directory".to_owned()));
    }
    Ok(metadata.ino())
}
