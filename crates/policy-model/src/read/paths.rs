//! Paths and directories.
//!
//! Rules are compared with resolved paths, byte for byte. A path that no file can have would
//! match nothing without a word, so it is refused, or, leniently, kept as a rule that matches
//! nothing with a warning.

use super::context::{Context, Problem, Spot};
use crate::diagnostic::Code;
use crate::event::EventPath;
use crate::shape::MAX_SCHEMA_PATH;
use crate::text::shorten;

/// A path after its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checked {
    /// An absolute path without `.`, `..` and `//`.
    Path(String),
    /// No file has it; as it was written.
    Nothing(String),
}

/// What lenient reading says of a path that no file has.
const KEPT: &str = "it matches nothing";

impl Context<'_> {
    /// The path of a file.
    pub(super) fn file_path(&mut self, given: &str, at: Spot<'_>) -> Checked {
        let path = match self.resolved_path(given, at, true) {
            Checked::Path(path) => path,
            nothing @ Checked::Nothing(_) => return nothing,
        };
        if path == "/" {
            let problem = Problem::new(Code::TrailingSlash, "`/` is a directory, not a file")
                .help("name it under `matchDirectories` with `dir: /`");
            self.deviation(at, problem, "taken as the root directory itself");
            return Checked::Path(path);
        }
        match path.strip_suffix('/') {
            None => Checked::Path(path),
            Some(bare) => {
                let problem = Problem::new(
                    Code::TrailingSlash,
                    format!("`{}` ends in `/`, but no file's path does", shorten(given)),
                )
                .help("leave the slash out; a directory is named by a field `dir`");
                self.deviation(at, problem, "taken without it");
                Checked::Path(bare.to_owned())
            }
        }
    }

    /// The path of a directory; ends in `/`. Where the schema asks for no slash (not `in_schema`),
    /// a missing one is only a warning.
    pub(super) fn directory_path(&mut self, given: &str, at: Spot<'_>, in_schema: bool) -> Checked {
        let mut path = match self.resolved_path(given, at, false) {
            Checked::Path(path) => path,
            nothing @ Checked::Nothing(_) => return nothing,
        };
        if !path.ends_with('/') {
            const ASSUMED: &str = "taken as if it did";
            let message = format!("the directory `{}` doesn't end in `/`", shorten(given));
            let help = format!("write `{}/`", shorten(given));
            if in_schema {
                let problem = Problem::new(Code::MissingSlash, message).help(help);
                self.deviation(at, problem, ASSUMED);
            } else {
                let message = format!("{message}; {ASSUMED}");
                self.warning(at, Problem::new(Code::MissingSlash, message).help(help));
            }
            path.push('/');
        }
        Checked::Path(path)
    }

    /// A path or, where it ends in `/`, a directory.
    pub(super) fn path_or_directory(&mut self, given: &str, at: Spot<'_>) -> Checked {
        self.resolved_path(given, at, false)
    }

    /// What files and directories have in common; `limited` where the schema limits the length.
    fn resolved_path(&mut self, given: &str, at: Spot<'_>, limited: bool) -> Checked {
        let quoted = shorten(given);
        let problem = if given.is_empty() {
            Some((
                "the path is empty".to_owned(),
                Some("write an absolute path, such as `/usr/bin/nc`"),
            ))
        } else if given.contains('\0') {
            Some((
                format!("`{quoted}` holds a NUL byte, which no path can"),
                None,
            ))
        } else if !given.starts_with('/') {
            Some((
                format!("`{quoted}` is not absolute"),
                Some("paths begin at the root of the workload: write it with a leading `/`"),
            ))
        } else if given.len() > EventPath::MAX_LENGTH {
            Some((
                format!(
                    "the path has {} bytes; the kernel resolves at most {}",
                    given.len(),
                    EventPath::MAX_LENGTH
                ),
                None,
            ))
        } else {
            None
        };
        if let Some((message, help)) = problem {
            let mut problem = Problem::new(Code::InvalidPath, message);
            if let Some(help) = help {
                problem = problem.help(help);
            }
            self.deviation(at, problem, KEPT);
            return Checked::Nothing(given.to_owned());
        }
        if limited && given.chars().count() > MAX_SCHEMA_PATH {
            self.warning(
                at,
                Problem::new(
                    Code::LongPath,
                    format!("KubeArmor's schema takes at most {MAX_SCHEMA_PATH} characters here"),
                )
                .help(
                    "it is matched in full here, but a cluster with KubeArmor refuses the policy",
                ),
            );
        }
        match normalised(given) {
            None => Checked::Path(given.to_owned()),
            Some(path) => {
                let problem = Problem::new(
                    Code::InvalidPath,
                    format!("`{quoted}` holds `//`, `.` or `..`, which no resolved path has"),
                )
                .help(format!("write `{}`", shorten(&path)));
                self.deviation(at, problem, &format!("taken as `{}`", shorten(&path)));
                Checked::Path(path)
            }
        }
    }
}

/// The path without `//`, `.` and `..`; `None` if it has none of them.
fn normalised(path: &str) -> Option<String> {
    let body = path.strip_prefix('/').unwrap_or(path);
    let inner = body.strip_suffix('/').unwrap_or(body);
    let odd = |component: &str| matches!(component, "" | "." | "..");
    if body.is_empty() || !inner.split('/').any(odd) {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for component in body.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let is_directory = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let slash = if is_directory && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    Some(format!("/{}{slash}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn paths_are_normalised_as_the_kernel_would() {
        for (given, want) in [
            ("//", "/"),
            ("//bin/sh", "/bin/sh"),
            ("/a/../b", "/b"),
            ("/../etc/", "/etc/"),
            ("/a/./b//", "/a/b/"),
            ("/a/.", "/a/"),
            ("/..", "/"),
        ] {
            assert_eq!(normalised(given).as_deref(), Some(want), "{given}");
        }
        for fine in ["/", "/a", "/a/", "/a/b", "/...", "/.a/..b/"] {
            assert_eq!(normalised(fine), None, "{fine}");
        }
    }
}
