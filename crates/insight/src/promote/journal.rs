//! All files or none, and the way back.
//!
//! What is about to change is written down first. Then each file is replaced by renaming a whole new
//! one over it. Whatever happens in between, [`undo`] finds each file as it was or as it was to be.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::FileEdit;

/// The journal's name, beside the policies; files with a dot in front are no policies.
const NAME: &str = ".gambeson-promote.json";

/// Why files stay as they are.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A file that isn't what it was.
    #[error(
        "`{}` has changed since; nothing was written: bring back the text that it had, or change it by hand",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// There is no promotion to go back on.
    #[error("`{}` doesn't exist: there is no promotion to undo", path.display())]
    Nothing {
        /// The journal.
        path: PathBuf,
    },
    /// A journal that is none.
    #[error("`{}` is no journal of promotions: {message}", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A file that can't be read or written. The others are what they were.
    #[error("`{}` can't be {what}: {error}; no file was changed", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was to be done.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// A file that couldn't be replaced, and others that couldn't be brought back then.
    #[error(
        "`{}` can't be written: {error}; others were changed before and can't be brought back now: \
         `gambeson promote --undo` does it",
        path.display()
    )]
    Half {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// Promotions that can be undone, the last one last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Journal {
    version: u32,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    files: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: PathBuf,
    before: String,
    after: String,
}

const VERSION: u32 = 1;

/// Where the journal of promotions of policies is: in their folder.
#[must_use]
pub fn journal_path(policies: &Path) -> PathBuf {
    let folder = if policies.is_dir() {
        policies
    } else {
        policies.parent().unwrap_or(Path::new(""))
    };
    folder.join(NAME)
}

/// Writes what files become, all or none, and notes the way back in a journal.
///
/// # Errors
/// When a file isn't what it was when it was read, or one can't be written: then none is changed.
pub fn apply(edits: &[FileEdit], journal: &Path) -> Result<(), JournalError> {
    let files: Vec<Entry> = edits
        .iter()
        .filter(|edit| edit.before != edit.after)
        .map(|edit| {
            Ok(Entry {
                path: resolved(&edit.path)?,
                before: edit.before.clone(),
                after: edit.after.clone(),
            })
        })
        .collect::<Result<_, JournalError>>()?;
    if files.is_empty() {
        return Ok(());
    }
    for file in &files {
        if read(&file.path)? != file.before.as_bytes() {
            return Err(JournalError::Changed {
                path: file.path.clone(),
            });
        }
    }
    let former = load(journal)?;
    let mut noted = former.clone().unwrap_or_default();
    noted.version = VERSION;
    noted.steps.push(Step {
        files: files.clone(),
    });
    let prepared = prepare(files.iter().map(|file| (file.path.as_path(), &file.after)))?;
    store(journal, &noted)?;
    let written = replace(prepared, |path| {
        let file = files.iter().find(|file| file.path == path);
        file.map(|file| file.before.clone())
    });
    if let Err(error) = written {
        if !matches!(error, JournalError::Half { .. }) {
            // The files are what they were; that the journal is, too, is a matter of tidiness.
            let _ = match &former {
                Some(former) => store(journal, former),
                None => {
                    fs::remove_file(journal).map_err(|error| io_error(journal, "removed", error))
                }
            };
        }
        return Err(error);
    }
    Ok(())
}

/// Brings back the very bytes that files had before the last promotion; gives the files.
///
/// # Errors
/// When a file was changed since, or can't be written: then none is changed.
pub fn undo(journal: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let Some(mut noted) = load(journal)? else {
        return Err(JournalError::Nothing {
            path: journal.to_owned(),
        });
    };
    let Some(step) = noted.steps.pop() else {
        return Err(JournalError::Nothing {
            path: journal.to_owned(),
        });
    };
    let mut changed = Vec::new();
    for file in &step.files {
        let now = read(&file.path)?;
        if now == file.after.as_bytes() {
            changed.push(file);
        } else if now != file.before.as_bytes() {
            return Err(JournalError::Changed {
                path: file.path.clone(),
            });
        }
    }
    let prepared = prepare(
        changed
            .iter()
            .map(|file| (file.path.as_path(), &file.before)),
    )?;
    replace(prepared, |path| {
        let file = step.files.iter().find(|file| file.path == path);
        file.map(|file| file.after.clone())
    })?;
    if noted.steps.is_empty() {
        fs::remove_file(journal).map_err(|error| io_error(journal, "removed", error))?;
    } else {
        store(journal, &noted)?;
    }
    Ok(step.files.into_iter().map(|file| file.path).collect())
}

fn io_error(path: &Path, what: &'static str, error: io::Error) -> JournalError {
    JournalError::Io {
        path: path.to_owned(),
        what,
        error,
    }
}

/// The file itself where a link leads to it: what is renamed over a link would replace the link.
fn resolved(path: &Path) -> Result<PathBuf, JournalError> {
    path.canonicalize()
        .map_err(|error| io_error(path, "found", error))
}

fn read(path: &Path) -> Result<Vec<u8>, JournalError> {
    fs::read(path).map_err(|error| io_error(path, "read", error))
}

fn load(journal: &Path) -> Result<Option<Journal>, JournalError> {
    let bytes = match fs::read(journal) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(journal, "read", error)),
    };
    let damaged = |message: String| JournalError::Damaged {
        path: journal.to_owned(),
        message,
    };
    let noted: Journal =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if noted.version != VERSION {
        return Err(damaged(format!(
            "its version is {}, not {VERSION}",
            noted.version
        )));
    }
    Ok(Some(noted))
}

fn store(journal: &Path, noted: &Journal) -> Result<(), JournalError> {
    let text = serde_json::to_string_pretty(noted)
        .map_err(|error| io_error(journal, "written", io::Error::other(error)))?;
    let prepared = prepare([(journal, &(text + "\n"))].into_iter())?;
    replace(prepared, |_| None)
}

/// A file that is to be renamed over another. Removed where it isn't.
struct Prepared {
    new: PathBuf,
    path: PathBuf,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // It is gone where it was renamed.
        let _ = fs::remove_file(&self.new);
    }
}

/// Writes every new file beside the old one, to the disk.
fn prepare<'f>(
    files: impl Iterator<Item = (&'f Path, &'f String)>,
) -> Result<Vec<Prepared>, JournalError> {
    files
        .map(|(path, text)| {
            let mut name = std::ffi::OsString::from(".");
            name.push(path.file_name().unwrap_or_default());
            name.push(format!(".{}.new", std::process::id()));
            let prepared = Prepared {
                new: path.with_file_name(name),
                path: path.to_owned(),
            };
            let write = || -> io::Result<()> {
                let mut file = fs::File::create(&prepared.new)?;
                file.write_all(text.as_bytes())?;
                if let Ok(metadata) = fs::metadata(path) {
                    file.set_permissions(metadata.permissions())?;
                }
                file.sync_all()
            };
            write().map_err(|error| io_error(path, "written", error))?;
            Ok(prepared)
        })
        .collect()
}

/// Renames every new file over the old one; where one can't be, the others are brought back.
fn replace(
    prepared: Vec<Prepared>,
    former: impl Fn(&Path) -> Option<String>,
) -> Result<(), JournalError> {
    let mut done: Vec<PathBuf> = Vec::new();
    for file in &prepared {
        if let Err(error) = fs::rename(&file.new, &file.path) {
            for path in &done {
                let back = former(path).map(|text| {
                    let back = prepare([(path.as_path(), &text)].into_iter());
                    back.is_ok_and(|back| {
                        back.iter()
                            .all(|file| fs::rename(&file.new, &file.path).is_ok())
                    })
                });
                if back != Some(true) {
                    return Err(JournalError::Half {
                        path: file.path.clone(),
                        error,
                    });
                }
            }
            return Err(io_error(&file.path, "written", error));
        }
        done.push(file.path.clone());
    }
    Ok(())
}
