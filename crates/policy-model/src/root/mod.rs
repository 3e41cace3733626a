//! Rules as a workload's file system sees them.
//!
//! Events carry the paths of resolved files. Where the workload's root is given, symbolic links in
//! the directory part of a rule's path are followed in it, so that a rule on `/var/run/x` matches
//! on a system where `/var/run` leads to `/run`.

mod link;
mod pattern;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::glob::Glob;
use crate::rule::{Directory, Object, PathScope, Rule, Source};
use link::{Links, Stuck};

/// Why a root can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RootError {
    /// It can't be looked at.
    #[error("the workload's root `{}` can't be read: {error}", root.display())]
    Unreadable {
        /// The root as given.
        root: PathBuf,
        /// What the system says.
        #[source]
        error: std::io::Error,
    },
    /// It is something else.
    #[error("the workload's root `{}` is no directory", root.display())]
    NotADirectory {
        /// The root as given.
        root: PathBuf,
    },
}

/// Follows the symbolic links in rules' paths within `root`.
///
/// Of a `path`, a source or the scope of a system call, the directories are followed; of a `dir`,
/// all of it; of a pattern, the literal directories that each of its alternatives begins with. A
/// link's absolute target starts at `root`, and `..` never leads out of it. What isn't there is
/// kept as written, and so is a path with `.`, `..` or `//` in it, which matches nothing anyway.
///
/// A `path` or source whose last component is a link matches nothing: its object becomes
/// [`Object::Nothing`] or [`Source::Nothing`], and a warning names the real file. A link that can't
/// be followed (a loop, a target that is no UTF-8, missing permission) leaves the path as
/// written, with a warning.
///
/// The tree is looked at name by name, and no link is left to the system to follow. It should
/// not change meanwhile: between two looks a directory could be replaced by a link.
///
/// # Errors
/// When `root` itself is no readable directory.
pub fn resolve_in_root(rules: &mut [Rule], root: &Path) -> Result<Vec<Diagnostic>, RootError> {
    let unreadable = |error| RootError::Unreadable {
        root: root.to_owned(),
        error,
    };
    if !std::fs::metadata(root).map_err(unreadable)?.is_dir() {
        return Err(RootError::NotADirectory {
            root: root.to_owned(),
        });
    }
    let mut links = Links::new(root);
    let mut found = Vec::new();
    for rule in rules {
        let mut notes = Notes(Vec::new());
        resolve_object(rule, &mut links, &mut notes);
        for (place, source) in rule.sources.iter_mut().enumerate() {
            let field = format!(".fromSource[{place}]");
            resolve_source(source, &field, &mut links, &mut notes);
        }
        found.extend(notes.0.into_iter().map(|note| Diagnostic {
            code: note.code,
            severity: Severity::Warning,
            message: note.message,
            help: Some(note.help),
            location: rule.location.clone(),
            field: format!("spec.{}{}", rule.field_path(), note.field),
        }));
    }
    Ok(found)
}

/// A finding about one field of a rule.
#[derive(PartialEq, Eq)]
struct Note {
    field: String,
    code: Code,
    message: String,
    help: String,
}

struct Notes(Vec<Note>);

impl Notes {
    /// Adds a finding, once: the alternatives of a pattern share directories.
    fn push(&mut self, note: Note) {
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    fn stuck(&mut self, field: String, path: &str, stuck: &Stuck) {
        self.push(Note {
            field,
            code: Code::UnresolvedLink,
            message: format!("`{path}` can't be followed in the workload's root: {stuck}"),
            help: "the rule keeps the path as written; write the path of the real file".to_owned(),
        });
    }

    fn symlink(&mut self, field: String, path: &str, real: &Result<link::Target, Stuck>) {
        let help = match real {
            Ok(target) if target.exists => format!("write the real file, `{}`", target.path),
            Ok(target) => format!("it leads to `{}`, which doesn't exist", target.path),
            Err(stuck) => format!("it leads nowhere: {stuck}"),
        };
        self.push(Note {
            field,
            code: Code::SymlinkRule,
            message: format!(
                "`{path}` is a symbolic link in the workload's root, so it matches nothing: events \
                 carry the path of the real file"
            ),
            help,
        });
    }
}

/// What became of one path.
enum Followed {
    AsWritten,
    Moved(String),
    /// The last component is a link.
    Link,
}

fn follow_path(path: &str, field: String, links: &mut Links<'_>, notes: &mut Notes) -> Followed {
    let Some((parent, name)) = path.rsplit_once('/') else {
        return Followed::AsWritten;
    };
    let directory = match links.directory(&format!("{parent}/")) {
        Ok(directory) => directory,
        Err(stuck) => {
            notes.stuck(field, path, &stuck);
            return Followed::AsWritten;
        }
    };
    let resolved = format!("{}{name}", directory.path);
    if directory.exists && links.is_link(&resolved) {
        notes.symlink(field, path, &links.target(&resolved));
        return Followed::Link;
    }
    if resolved == path {
        Followed::AsWritten
    } else {
        Followed::Moved(resolved)
    }
}

fn follow_directory(
    directory: &mut Directory,
    field: String,
    links: &mut Links<'_>,
    notes: &mut Notes,
) {
    match links.directory(&directory.path) {
        Ok(resolved) => directory.path = resolved.path,
        Err(stuck) => notes.stuck(field, &directory.path, &stuck),
    }
}

fn resolve_object(rule: &mut Rule, links: &mut Links<'_>, notes: &mut Notes) {
    let followed = match &mut rule.object {
        Object::Path(path) => match follow_path(path, ".path".to_owned(), links, notes) {
            Followed::AsWritten => None,
            Followed::Moved(resolved) => Some(Object::Path(resolved)),
            Followed::Link => Some(Object::Nothing(std::mem::take(path))),
        },
        Object::Directory(directory) => {
            follow_directory(directory, ".dir".to_owned(), links, notes);
            None
        }
        Object::Pattern(glob) => follow_pattern(glob, links, notes).map(Object::Pattern),
        Object::Syscalls {
            scope: Some(scope), ..
        } => match scope {
            PathScope::Directory(directory) => {
                follow_directory(directory, ".path".to_owned(), links, notes);
                None
            }
            PathScope::Path(path) => match follow_path(path, ".path".to_owned(), links, notes) {
                Followed::AsWritten => None,
                Followed::Moved(resolved) => {
                    *path = resolved;
                    None
                }
                Followed::Link => Some(Object::Nothing(std::mem::take(path))),
            },
        },
        _ => None,
    };
    if let Some(object) = followed {
        rule.object = object;
    }
}

fn resolve_source(source: &mut Source, field: &str, links: &mut Links<'_>, notes: &mut Notes) {
    let nothing = match source {
        Source::Scope(PathScope::Directory(directory)) => {
            follow_directory(directory, format!("{field}.dir"), links, notes);
            None
        }
        Source::Scope(PathScope::Path(path)) => {
            match follow_path(path, format!("{field}.path"), links, notes) {
                Followed::AsWritten => None,
                Followed::Moved(resolved) => {
                    *path = resolved;
                    None
                }
                Followed::Link => Some(std::mem::take(path)),
            }
        }
        Source::Nothing(_) => None,
    };
    if let Some(path) = nothing {
        *source = Source::Nothing(path);
    }
}

/// The pattern with its literal directories followed; `None` where nothing changes.
fn follow_pattern(glob: &Glob, links: &mut Links<'_>, notes: &mut Notes) -> Option<Glob> {
    let field = || ".pattern".to_owned();
    let written = glob.as_str();
    let resolved =
        pattern::with_directories(written, &mut |directory| match links.directory(directory) {
            Ok(resolved) => resolved.path,
            Err(stuck) => {
                notes.stuck(field(), directory, &stuck);
                directory.to_owned()
            }
        });
    // What is literal to its end can name a link just as a `path` can.
    for literal in pattern::literals(&resolved) {
        if let Some((parent, _)) = literal.rsplit_once('/')
            && links
                .directory(&format!("{parent}/"))
                .is_ok_and(|directory| directory.exists)
            && links.is_link(&literal)
        {
            notes.symlink(field(), &literal, &links.target(&literal));
        }
    }
    if resolved == written {
        return None;
    }
    match Glob::parse(&resolved) {
        Ok(glob) => Some(glob),
        Err(error) => {
            notes.stuck(field(), written, &Stuck::Pattern(error));
            None
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
