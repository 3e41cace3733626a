//! What a kernel's AppArmor can mediate: the tree below `/sys/kernel/security/apparmor/features`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A kernel's AppArmor features: a target level.
///
/// They are a tree of names with texts at its leaves, such as `network_v8/af_mask`. The parser writes
/// and reads the same tree as one flat text, which is what [`Display`](fmt::Display) gives.
///
/// ```
/// use gambeson_backend_apparmor::Features;
/// let features = Features::linux_6_1();
/// assert!(features.lists("mount/mask", "pivot_root"));
/// assert!(!features.has("dbus"));
/// let flat = features.to_string();
/// assert_eq!(Features::from_flat(&flat)?, features);
/// # Ok::<(), gambeson_backend_apparmor::FeaturesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features {
    leaves: BTreeMap<String, String>,
}

/// Why features can't be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FeaturesError {
    /// A file or directory of the tree.
    #[error("can't read `{}`", .path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A flat text that is no tree.
    #[error("line {line}: {problem}; give the text that `apparmor_parser` keeps as `.features`")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

/// How deep a tree may be.
const DEPTH: usize = 16;

impl Features {
    /// Those of Linux 6.1, as Debian 12 builds it.
    #[must_use]
    pub fn linux_6_1() -> Self {
        Self::shipped(include_str!("../features/6.1"))
    }

    /// Those of Linux 6.12, as Debian 13 builds it.
    #[must_use]
    pub fn linux_6_12() -> Self {
        Self::shipped(include_str!("../features/6.12"))
    }

    fn shipped(text: &str) -> Self {
        // That they can be read is tested.
        Self::from_flat(text).unwrap_or_default()
    }

    /// Reads the tree below a directory, such as `/sys/kernel/security/apparmor/features`.
    ///
    /// # Errors
    /// When a file or directory can't be read.
    pub fn from_dir(directory: impl AsRef<Path>) -> Result<Self, FeaturesError> {
        let mut features = Self::default();
        features.read_dir(directory.as_ref(), "", 0)?;
        Ok(features)
    }

    fn read_dir(
        &mut self,
        directory: &Path,
        prefix: &str,
        depth: usize,
    ) -> Result<(), FeaturesError> {
        let unreadable = |path: &Path| {
            let path = path.to_path_buf();
            |source| FeaturesError::Unreadable { path, source }
        };
        for entry in std::fs::read_dir(directory).map_err(unreadable(directory))? {
            let entry = entry.map_err(unreadable(directory))?;
            let path = entry.path();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if path.is_dir() {
                if depth < DEPTH {
                    self.read_dir(&path, &format!("{name}/"), depth + 1)?;
                }
                continue;
            }
            let bytes = std::fs::read(&path).map_err(unreadable(&path))?;
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            self.leaves.insert(name, text);
        }
        Ok(())
    }

    /// Reads the flat text.
    ///
    /// # Errors
    /// When braces don't match.
    pub fn from_flat(text: &str) -> Result<Self, FeaturesError> {
        let mut features = Self::default();
        let mut path: Vec<&str> = Vec::new();
        // What was written since the last brace, and whether a brace was opened there.
        let mut rest = text;
        let mut line = 1;
        let mut leaf = false;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, behind) = rest.split_at(at);
            line += before.matches('\n').count();
            let malformed = |problem| FeaturesError::Malformed { line, problem };
            let said = before.trim();
            if behind.starts_with('{') {
                if said.is_empty() {
                    return Err(malformed("a brace without a name"));
                }
                if path.len() >= DEPTH {
                    return Err(malformed("too many braces within one another"));
                }
                path.push(said);
                leaf = true;
            } else {
                if leaf {
                    features.leaves.insert(path.join("/"), said.to_owned());
                } else if !said.is_empty() {
                    return Err(malformed("a text behind names"));
                }
                if path.pop().is_none() {
                    return Err(malformed("a brace closed that was never opened"));
                }
                leaf = false;
            }
            rest = behind.get(1..).unwrap_or_default();
        }
        if !path.is_empty() || !rest.trim().is_empty() {
            let problem = "the text ends within braces or behind them";
            return Err(FeaturesError::Malformed { line, problem });
        }
        Ok(features)
    }

    /// Whether there is such a feature or group of features, such as `network_v8`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.leaves.contains_key(name)
            || self.leaves.keys().any(|key| {
                key.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
    }

    /// The text of a feature.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.leaves.get(name).map(String::as_str)
    }

    /// Whether the text of a feature lists a word.
    #[must_use]
    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.words(name).any(|listed| listed == word)
    }

    /// The words that the text of a feature lists.
    pub fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        self.get(name).unwrap_or_default().split_whitespace()
    }

    /// The same without a feature or group of features.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.leaves.retain(|key, _| {
            key.strip_prefix(name)
                .is_none_or(|rest| !rest.is_empty() && !rest.starts_with('/'))
        });
        self
    }

    /// The features that profiles are compiled for: those of this kernel that profiles of this
    /// library speak of. To be given to the parser as its policy features.
    ///
    /// A kernel leaves alone what a profile was not compiled for. So a class that this library
    /// doesn't know – a future one, or one that the parser knows better – is not denied by profiles
    /// that never mention it.
    #[must_use]
    pub fn of_policy(&self) -> Self {
        let mut own = self.clone();
        own.leaves.retain(|key, _| {
            let (group, _) = key.split_once('/').unwrap_or((key, ""));
            MENTIONED.contains(&group)
        });
        own.without("namespaces/mask").without("network_v8/af_unix")
    }
}

/// Groups of features that profiles say something of, or that tell how they are loaded.
const MENTIONED: [&str; 13] = [
    "capability",
    "caps",
    "domain",
    "file",
    "mount",
    "namespaces",
    "network",
    "network_v8",
    "policy",
    "ptrace",
    "query",
    "rlimit",
    "signal",
];

/// The flat text, in the order of names.
impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut open: Vec<&str> = Vec::new();
        for (key, text) in &self.leaves {
            let parts: Vec<&str> = key.split('/').collect();
            let Some((leaf, groups)) = parts.split_last() else {
                continue;
            };
            let shared = open.iter().zip(groups).take_while(|(a, b)| a == b).count();
            while open.len() > shared {
                open.pop();
                f.write_str("}\n")?;
            }
            for group in groups.iter().skip(shared) {
                open.push(group);
                write!(f, "{group} {{")?;
            }
            writeln!(f, "{leaf} {{{text}\n}}")?;
        }
        open.iter().try_for_each(|_| f.write_str("}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_features_can_be_read_and_written() {
        for features in [Features::linux_6_1(), Features::linux_6_12()] {
            assert!(features.has("network_v8") && features.lists("file/mask", "mmap_exec"));
            assert_eq!(
                Features::from_flat(&features.to_string()).unwrap(),
                features
            );
        }
        assert!(Features::linux_6_12().lists("namespaces/mask", "userns_create"));
        assert!(!Features::linux_6_12().of_policy().has("io_uring"));
        assert!(!Features::linux_6_12().of_policy().has("namespaces/mask"));
        assert!(Features::linux_6_12().of_policy().has("namespaces/profile"));
    }

    #[test]
    fn a_tree_of_files_reads_as_its_flat_text() {
        let directory = tempfile();
        std::fs::create_dir_all(directory.join("mount/deep")).unwrap();
        std::fs::write(directory.join("mount/mask"), "mount umount\n").unwrap();
        std::fs::write(directory.join("mount/deep/x"), "yes\n").unwrap();
        std::fs::write(directory.join("capability"), "0xffffff\n").unwrap();
        let features = Features::from_dir(&directory).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(features.get("mount/mask"), Some("mount umount"));
        assert_eq!(
            features.to_string(),
            "capability {0xffffff\n}\nmount {deep {x {yes\n}\n}\nmask {mount umount\n}\n}\n"
        );
        assert!(Features::from_dir("/does/not/exist").is_err());
    }

    fn tempfile() -> PathBuf {
        std::env::temp_dir().join(format!("gambeson-features-{}", std::process::id()))
    }

    #[test]
    fn texts_that_are_no_tree_are_refused_with_their_line() {
        for (text, line) in [
            ("a {b\n", 2),
            ("}\n", 1),
            ("a {b {c\n}\n", 3),
            ("{x}", 1),
            ("a {}\nb", 1),
        ] {
            match Features::from_flat(text) {
                Err(FeaturesError::Malformed { line: found, .. }) => {
                    assert!(found <= line, "{text:?}: {found}");
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
