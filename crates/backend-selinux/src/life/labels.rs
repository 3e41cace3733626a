//! Labels on disk: set, read again, and put back.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
use rustix::io::Errno;

use super::LifeError;
use crate::lower::{Module, ObjectType, UNLABELLED};

const ATTRIBUTE: &str = "security.selinux";

/// How often a tree is gone through, if files are moved in it meanwhile.
const PASSES: usize = 4;

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

/// Files by device and number, with their types.
type Known<'m> = HashMap<(u64, u64), &'m ObjectType>;

impl Labelling {
    /// The files whose labels were changed.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// How many names were looked at.
    #[must_use]
    pub const fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// Labels all files below `root` that the module has types for, and makes sure that they are.
    pub(super) fn label(&mut self, module: &Module, root: &Path) -> Result<(), LifeError> {
        refuse_scripts(module, root)?;
        let mut passes = 0;
        loop {
            passes += 1;
            let known = types(module, root)?;
            self.pass(module, root, &known)?;
            match verify(module, root, &known) {
                // A file that was moved meanwhile from where no pass had been to where one had.
                Err(LifeError::Unverified { .. }) if passes < PASSES => {}
                done => return done,
            }
        }
    }

    fn pass(&mut self, module: &Module, root: &Path, known: &Known<'_>) -> Result<(), LifeError> {
        self.looked_at = 0;
        walk(root, &mut |path, seen, metadata| {
            self.looked_at += 1;
            let Some(context) = context(module, known, seen, metadata) else {
                return Ok(());
            };
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

    /// Takes over what a replacement has labelled: what files had before the first policy is what counts.
    pub(super) fn go_on(&mut self, next: Self) {
        let known: HashSet<&PathBuf> = self.changes.iter().map(|change| &change.path).collect();
        let news: Vec<Change> = next
            .changes
            .into_iter()
            .filter(|change| !known.contains(&change.path))
            // It came about under a policy that is no longer there, and its label means nothing any more.
            .map(|change| Change {
                before: None,
                ..change
            })
            .collect();
        self.changes.extend(news);
        self.looked_at = next.looked_at;
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

/// The type of each file, which may have several names: hard links, and places where it is mounted. What the
/// strictest of them says holds for all.
fn types<'m>(module: &'m Module, root: &Path) -> Result<Known<'m>, LifeError> {
    let mut known: HashMap<(u64, u64), &'m ObjectType> = HashMap::new();
    walk(root, &mut |path, seen, metadata| {
        let Some(of) = module.type_of(seen) else {
            return Ok(());
        };
        let key = (metadata.dev(), metadata.ino());
        let first = known.entry(key).or_insert(of);
        match first.stricter(of) {
            Some(stricter) => {
                *first = stricter;
                Ok(())
            }
            None => Err(LifeError::TwoLabels {
                path: path.to_owned(),
                first: first.example.escape_ascii().to_string(),
                second: of.example.escape_ascii().to_string(),
            }),
        }
    })?;
    Ok(known)
}

/// The label that a file is to have.
fn context(
    module: &Module,
    known: &Known<'_>,
    seen: &[u8],
    metadata: &fs::Metadata,
) -> Option<String> {
    let of = known.get(&(metadata.dev(), metadata.ino())).copied();
    // One that came after the first look has one name.
    of.or_else(|| module.type_of(seen))
        .map(|of| module.context_of_files(of))
}

/// Reads every label again.
fn verify(module: &Module, root: &Path, known: &Known<'_>) -> Result<(), LifeError> {
    walk(root, &mut |path, seen, metadata| {
        let Some(expected) = context(module, known, seen, metadata) else {
            return Ok(());
        };
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

/// A source that is a script is never anybody's executable, but would be given a domain.
fn refuse_scripts(module: &Module, root: &Path) -> Result<(), LifeError> {
    for domain in module.domains() {
        let inside = domain.program.strip_prefix(b"/").unwrap_or_default();
        let path = root.join(OsStr::from_bytes(inside));
        let mut start = [0; 2];
        let is_script = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file())
            && fs::File::open(&path)
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
/// systems without labels of their own are passed over. A directory comes before what is in it, so that what
/// is made there afterwards is labelled as in it.
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
        // What the root itself is called may be a link, such as `/proc/self/root`.
        let metadata = if seen == b"/" {
            fs::metadata(&path)
        } else {
            fs::symlink_metadata(&path)
        };
        let metadata = match metadata {
            Ok(metadata) => metadata,
            // Gone since its directory was read.
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => continue,
            Err(source) => return Err(failed(&path, source)),
        };
        let place = if seen == b"/" {
            path.join(".")
        } else {
            path.clone()
        };
        match each(&place, &seen, &metadata) {
            Err(LifeError::Walk { source, .. } | LifeError::Label { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                continue;
            }
            done => done?,
        }
        if !metadata.is_dir() {
            continue;
        }
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => continue,
            Err(source) => return Err(failed(&path, source)),
        };
        for entry in entries {
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
