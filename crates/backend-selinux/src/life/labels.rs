//! Labels on disk: set, read again, and put back.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
use rustix::io::Errno;

use super::LifeError;
use crate::lower::{Module, UNLABELLED};

const ATTRIBUTE: &str = "security.selinux";

/// The longest label that is read.
const LONGEST: usize = 4096;

/// A file whose label was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// Its label before; `None` where it had none.
    pub before: Option<Vec<u8>>,
}

/// What was labelled, in the order in which it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labelling {
    changes: Vec<Change>,
    looked_at: usize,
}

impl Labelling {
    /// The files whose labels were changed.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// How many files were looked at.
    #[must_use]
    pub const fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// Labels all files below `root` that the module has types for.
    pub(super) fn label(&mut self, module: &Module, root: &Path) -> Result<(), LifeError> {
        refuse_scripts(module, root)?;
        // Files with several names, with the label and the name that came first. A directory has one,
        // and shows by its second that something is mounted twice.
        let mut several: HashMap<(u64, u64), (String, PathBuf)> = HashMap::new();
        walk(root, &mut |path, seen, metadata| {
            self.looked_at += 1;
            let Some(of) = module.type_of(seen) else {
                return Ok(());
            };
            let context = module.context_of_files(of);
            if metadata.is_dir() || metadata.nlink() > 1 {
                let key = (metadata.dev(), metadata.ino());
                let first = several.entry(key);
                let (label, first) = first.or_insert_with(|| (context.clone(), path.to_owned()));
                if *label != context {
                    return Err(LifeError::TwoLabels {
                        first: first.clone(),
                        second: path.to_owned(),
                    });
                }
            }
            let before = read(path)?;
            if before.as_deref().map(without_end) == Some(context.as_bytes()) {
                return Ok(());
            }
            set(path, context.as_bytes())?;
            self.changes.push(Change {
                path: path.to_owned(),
                before,
            });
            Ok(())
        })
    }

    /// Reads every label again.
    pub(super) fn verify(&self, module: &Module, root: &Path) -> Result<(), LifeError> {
        walk(root, &mut |path, seen, _| {
            let Some(of) = module.type_of(seen) else {
                return Ok(());
            };
            let expected = module.context_of_files(of);
            let found = read(path)?.unwrap_or_default();
            if without_end(&found) == expected.as_bytes() {
                return Ok(());
            }
            Err(LifeError::Unverified {
                path: path.to_owned(),
                found: String::from_utf8_lossy(without_end(&found)).into_owned(),
                expected,
            })
        })
    }

    /// Puts the labels back, the last one first. Files that are gone need none.
    pub(super) fn undo(self) -> Result<(), LifeError> {
        for change in self.changes.into_iter().rev() {
            let Some(before) = change.before else {
                continue;
            };
            match set(&change.path, &before) {
                Err(LifeError::Label { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
        Ok(())
    }
}

/// A source that is a script is never anybody's executable, but would be given a domain.
fn refuse_scripts(module: &Module, root: &Path) -> Result<(), LifeError> {
    for domain in module.domains() {
        let inside = domain.program.strip_prefix(b"/").unwrap_or_default();
        let path = root.join(OsStr::from_bytes(inside));
        let mut start = [0; 2];
        let is_script = fs::File::open(&path)
            .and_then(|mut file| file.read_exact(&mut start))
            .is_ok()
            && &start == b"#!";
        if is_script {
            return Err(LifeError::Script { path });
        }
    }
    Ok(())
}

/// Is called with a file, what workloads see it as, and what it is.
type Visit<'v> = dyn FnMut(&Path, &[u8], &fs::Metadata) -> Result<(), LifeError> + 'v;

/// Calls `each` with every file below `root`: where it is, what workloads see it as, and what it is. File
/// systems without labels of their own are passed over.
fn walk(root: &Path, each: &mut Visit<'_>) -> Result<(), LifeError> {
    let failed = |path: &Path, source| LifeError::Walk {
        path: path.to_owned(),
        source,
    };
    let mut todo: Vec<(PathBuf, Vec<u8>)> = vec![(root.to_owned(), b"/".to_vec())];
    while let Some((path, seen)) = todo.pop() {
        let unlabelled = UNLABELLED.iter().any(|(name, place)| {
            !matches!(*name, "devpts" | "devtmpfs") && place.as_bytes() == seen
        });
        if unlabelled {
            continue;
        }
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            // Gone since its directory was read.
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => continue,
            Err(source) => return Err(failed(&path, source)),
        };
        each(&path, &seen, &metadata)?;
        if !metadata.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&path).map_err(|source| failed(&path, source))? {
            let name = entry.map_err(|source| failed(&path, source))?.file_name();
            let slash: &[u8] = if seen.ends_with(b"/") { b"" } else { b"/" };
            let inside = [seen.as_slice(), slash, name.as_bytes()].concat();
            todo.push((path.join(&name), inside));
        }
    }
    Ok(())
}

/// Labels end with a zero byte in some kernels' answers.
fn without_end(label: &[u8]) -> &[u8] {
    label.strip_suffix(b"\0").unwrap_or(label)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, LifeError> {
    let mut buffer = vec![0; LONGEST];
    match lgetxattr(path, ATTRIBUTE, buffer.as_mut_slice()) {
        Ok(length) => {
            buffer.truncate(length);
            Ok(Some(buffer))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(source) => Err(LifeError::Walk {
            path: path.to_owned(),
            source: source.into(),
        }),
    }
}

fn set(path: &Path, label: &[u8]) -> Result<(), LifeError> {
    lsetxattr(path, ATTRIBUTE, label, XattrFlags::empty()).map_err(|source| LifeError::Label {
        path: path.to_owned(),
        source: source.into(),
    })
}
