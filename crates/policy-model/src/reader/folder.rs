//! The policy files of a folder.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::ReadError;

/// A file, or what can't be looked into and why.
pub(super) type Found = Result<PathBuf, (PathBuf, io::Error)>;

/// Every `*.yaml`, `*.yml` and `*.json` below a folder, in the order of their paths.
///
/// Each real file and folder is visited once, so that links that form a loop end. Hidden ones
/// are left out: a mounted ConfigMap holds its files a second and a third time in them.
pub(super) fn policy_files(root: &Path, limit: usize) -> Result<Vec<Found>, ReadError> {
    let root_error = |source| ReadError::Io {
        path: root.to_owned(),
        source,
    };
    let mut seen = HashSet::from([root.canonicalize().map_err(root_error)?]);
    let mut found: Vec<Found> = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(folder) = pending.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if folder == root => return Err(root_error(error)),
            Err(error) => {
                found.push(Err((folder, error)));
                continue;
            }
        };
        // Sorted before links are told apart, so that which of several names is kept doesn't
        // depend on the file system.
        let mut paths = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => paths.push(entry.path()),
                Err(error) => found.push(Err((folder.clone(), error))),
            }
        }
        paths.sort();
        for path in paths {
            visit(path, &mut seen, &mut pending, &mut found);
            if found.len() > limit {
                return Err(ReadError::TooManyFiles {
                    path: root.to_owned(),
                    limit,
                });
            }
        }
    }
    found.sort_by(|a, b| path_of(a).cmp(path_of(b)));
    Ok(found)
}

fn visit(
    path: PathBuf,
    seen: &mut HashSet<PathBuf>,
    pending: &mut Vec<PathBuf>,
    found: &mut Vec<Found>,
) {
    let is_hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    if is_hidden {
        return;
    }
    let is_policy = path
        .extension()
        .and_then(OsStr::to_str)
        .is_some_and(|extension| matches!(extension, "yaml" | "yml" | "json"));
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) => {
            if is_policy {
                found.push(Err((path, error)));
            }
            return;
        }
    };
    if real.is_dir() {
        if seen.insert(real) {
            pending.push(path);
        }
    } else if is_policy && real.is_file() && seen.insert(real) {
        found.push(Ok(path));
    }
}

/// Whether a file holds tests of policies and nothing else: by its name, and because nothing in it
/// is of a kind. A policy under such a name is read as any other.
pub(super) fn holds_tests(file: &Path) -> bool {
    let name = file
        .file_name()
        .map(OsStr::as_encoded_bytes)
        .unwrap_or_default();
    if ![&b".test.yaml"[..], b".test.yml"]
        .iter()
        .any(|end| name.ends_with(end))
    {
        return false;
    }
    let of_a_kind = |line: &str| {
        // Objects in braces or in lists could be anything.
        ["kind", "apiVersion", "\"", "'", "{", "-"]
            .iter()
            .any(|begin| line.starts_with(begin) && !line.starts_with("---"))
    };
    // What can't be read is reported by who reads it.
    std::fs::read_to_string(file).is_ok_and(|text| !text.lines().any(of_a_kind))
}

fn path_of(found: &Found) -> &Path {
    match found {
        Ok(path) | Err((path, _)) => path,
    }
}
