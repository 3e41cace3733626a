//! Following symbolic links without leaving a root.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::glob::GlobError;

/// How many links one path may lead through, as in the kernel (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// Why a path can't be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stuck {
    /// Too many links, probably a loop.
    Loop,
    /// A link's target is no UTF-8, as policies are.
    NotUtf8(String),
    /// The system doesn't tell.
    Io(String, ErrorKind),
    /// The pattern would become one that can't be.
    Pattern(GlobError),
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop => write!(f, "it leads through more than {MAX_LINKS} symbolic links"),
            Self::NotUtf8(link) => write!(f, "the target of the link `{link}` is no UTF-8"),
            Self::Io(path, kind) => write!(f, "looking at `{path}`: {kind}"),
            Self::Pattern(error) => error.fmt(f),
        }
    }
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The path in the root; a directory's ends in `/` where the question's did.
    pub(super) path: String,
    /// Whether there is anything.
    pub(super) exists: bool,
}

/// What a name in the root is.
enum Entry {
    Missing,
    Link(PathBuf),
    Other,
}

/// A root, and what is already known of its directories.
pub(super) struct Links<'r> {
    root: &'r Path,
    directories: HashMap<String, Result<Target, Stuck>>,
}

impl<'r> Links<'r> {
    pub(super) fn new(root: &'r Path) -> Self {
        Self {
            root,
            directories: HashMap::new(),
        }
    }

    /// Follows an absolute path that ends in `/`.
    pub(super) fn directory(&mut self, path: &str) -> Result<Target, Stuck> {
        if let Some(known) = self.directories.get(path) {
            return known.clone();
        }
        let found = if is_plain(path) {
            self.target(path)
        } else {
            Ok(Target {
                path: path.to_owned(),
                exists: false,
            })
        };
        self.directories.insert(path.to_owned(), found.clone());
        found
    }

    /// Whether the last component is a link; the directories before it are resolved already.
    pub(super) fn is_link(&self, resolved: &str) -> bool {
        matches!(self.look(resolved), Ok(Entry::Link(_)))
    }

    /// Follows every link of an absolute path.
    pub(super) fn target(&self, path: &str) -> Result<Target, Stuck> {
        let mut ahead: VecDeque<String> = components(path);
        let mut resolved = String::new();
        let mut exists = true;
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                resolved.truncate(resolved.rfind('/').unwrap_or(0));
                continue;
            }
            let parent = resolved.len();
            resolved.push('/');
            resolved.push_str(&name);
            if !exists {
                continue;
            }
            match self.look(&resolved)? {
                Entry::Other => {}
                Entry::Missing => exists = false,
                Entry::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Stuck::Loop);
                    }
                    let Some(target) = target.to_str() else {
                        return Err(Stuck::NotUtf8(resolved));
                    };
                    resolved.truncate(if target.starts_with('/') { 0 } else { parent });
                    let mut next = components(target);
                    next.append(&mut ahead);
                    ahead = next;
                }
            }
        }
        if path.ends_with('/') || resolved.is_empty() {
            resolved.push('/');
        }
        Ok(Target {
            path: resolved,
            exists,
        })
    }

    /// Looks at one name without following it.
    fn look(&self, resolved: &str) -> Result<Entry, Stuck> {
        let path = self.root.join(resolved.trim_start_matches('/'));
        let entry = || -> io::Result<Entry> {
            Ok(if fs::symlink_metadata(&path)?.is_symlink() {
                Entry::Link(fs::read_link(&path)?)
            } else {
                Entry::Other
            })
        };
        match entry() {
            Ok(entry) => Ok(entry),
            // A name with a NUL byte or one that is too long is no name of anything.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound
                        | ErrorKind::NotADirectory
                        | ErrorKind::InvalidInput
                        | ErrorKind::InvalidFilename
                ) =>
            {
                Ok(Entry::Missing)
            }
            Err(error) => Err(Stuck::Io(resolved.to_owned(), error.kind())),
        }
    }
}

/// The components of a path, but for empty ones and `.`.
fn components(path: &str) -> VecDeque<String> {
    path.split('/')
        .filter(|name| !name.is_empty() && *name != ".")
        .map(str::to_owned)
        .collect()
}

/// Whether the path is one that an event can carry, up to its links.
fn is_plain(path: &str) -> bool {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    path == "/" || !inner.split('/').any(|name| matches!(name, "" | "." | ".."))
}
