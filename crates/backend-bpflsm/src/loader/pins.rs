//! Pins: what keeps programs, links and maps in the kernel when the process is gone.
//!
//! They lie in `<directory>/v<ABI>_<hash of the object>`, so that a loader takes up only what it could
//! have made itself, and in this one directory, which the programs guard. The map `control` is pinned
//! last and unpinned last: without it, the pins are not complete.

use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use libbpf_rs::{Link, MapCore as _, MapHandle, ProgramHandle};

use super::error::{KernelError, LoadError};
use super::object::{self, Loaded, LoadedProgram};
use crate::abi;

/// `BPF_FS_MAGIC`
const BPFFS: u64 = 0xcafe_4a11;

/// What the names of pins begin with.
const LINK: &str = "link_";
const PROGRAM: &str = "program_";
const MAP: &str = "map_";
/// Pinned last.
const SEAL: &str = "control";

/// The pins of one version of the programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pins {
    root: PathBuf,
    own: PathBuf,
}

impl Pins {
    pub(super) fn new(root: &Path) -> Self {
        let mut hasher = DefaultHasher::new();
        object::embedded().hash(&mut hasher);
        let own = format!("v{}_{:016x}", abi::ABI_VERSION, hasher.finish());
        Self {
            root: root.to_owned(),
            own: root.join(own),
        }
    }

    /// Whether there are any of this version.
    pub(super) fn exist(&self) -> bool {
        self.own.exists()
    }

    pub(super) fn directory(&self) -> &Path {
        &self.own
    }

    fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.own.join(format!("{kind}{name}"))
    }

    /// The device that the directory is on, as the kernel numbers it, and the directory's inode.
    pub(super) fn place(&self) -> Result<(u32, u64), KernelError> {
        let metadata = fs::metadata(&self.own).map_err(KernelError::io(open(&self.own)))?;
        let (major, minor) = (
            rustix::fs::major(metadata.dev()),
            rustix::fs::minor(metadata.dev()),
        );
        Ok((major << 20 | minor, metadata.ino()))
    }

    /// Pins everything. Where that fails, nothing stays pinned.
    pub(super) fn pin(&self, loaded: &mut Loaded) -> Result<(), LoadError> {
        self.make_directories()?;
        let result = self.pin_all(loaded);
        if result.is_err() {
            // What can't be removed is named by the next attempt.
            let _ = self.remove();
        }
        result.map_err(LoadError::from)
    }

    fn pin_all(&self, loaded: &mut Loaded) -> Result<(), KernelError> {
        for program in &loaded.programs {
            let path = self.path(PROGRAM, &program.name);
            program
                .handle
                .pin(&path)
                .map_err(KernelError::of(pin(&path)))?;
        }
        for (name, link) in &mut loaded.links {
            let path = self.path(LINK, name);
            link.pin(&path).map_err(KernelError::of(pin(&path)))?;
        }
        let (seal, others): (Vec<_>, Vec<_>) =
            loaded.maps.iter_mut().partition(|map| map.name() == SEAL);
        for map in others.into_iter().chain(seal) {
            // A bpffs takes no name with a dot; such maps belong to sections and to programs alone.
            let Some(name) = map.name().to_str().filter(|name| !name.contains('.')) else {
                continue;
            };
            let path = self.path(MAP, name);
            map.pin(&path).map_err(KernelError::of(pin(&path)))?;
        }
        Ok(())
    }

    /// Opens what an earlier run pinned; `None` where there is nothing.
    pub(super) fn open(&self) -> Result<Option<Loaded>, LoadError> {
        if !self.exist() {
            return Ok(None);
        }
        self.check_owner(&self.own)?;
        let damaged = |missing: String| LoadError::DamagedPins {
            path: self.own.clone(),
            missing,
        };
        if !self.path(MAP, SEAL).exists() {
            return Err(damaged(format!("map `{SEAL}`")));
        }
        let mut loaded = Loaded {
            programs: Vec::new(),
            maps: Vec::new(),
            links: Vec::new(),
        };
        for (name, path) in entries(&self.own)? {
            let failed = KernelError::of(open(&path));
            if let Some(name) = name.strip_prefix(PROGRAM) {
                loaded.programs.push(LoadedProgram {
                    name: name.to_owned(),
                    handle: ProgramHandle::from_pinned_path(&path).map_err(failed)?,
                });
            } else if let Some(name) = name.strip_prefix(LINK) {
                let link = Link::open(&path).map_err(failed)?;
                loaded.links.push((name.to_owned(), link));
            } else if name.starts_with(MAP) {
                let map = MapHandle::from_pinned_path(&path).map_err(failed)?;
                loaded.maps.push(map);
            }
        }
        let linked = |name: &str| loaded.links.iter().any(|(link, _)| link == name);
        match loaded
            .programs
            .iter()
            .find(|program| program.name != TEST_PROGRAM && !linked(&program.name))
        {
            Some(program) => Err(damaged(format!("link `{}`", program.name))),
            None => Ok(Some(loaded)),
        }
    }

    /// Removes the pins of this version; links first, so that nothing enforces half of it.
    pub(super) fn remove(&self) -> Result<(), KernelError> {
        remove_version(&self.own)
    }

    /// Removes the pins of every other version.
    pub(super) fn remove_others(&self) -> Result<usize, KernelError> {
        let mut removed = 0;
        for (_, path) in versions(&self.root)? {
            if path != self.own {
                remove_version(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn make_directories(&self) -> Result<(), LoadError> {
        let problem = |problem: String| LoadError::PinDirectory {
            path: self.root.clone(),
            problem,
        };
        let existing = self.root.ancestors().find(|path| path.exists());
        let file_system = existing
            .map(rustix::fs::statfs)
            .ok_or_else(|| problem("no directory above it exists".to_owned()))?
            .map_err(|error| problem(error.to_string()))?;
        if file_system.f_type.cast_unsigned() as u64 != BPFFS {
            return Err(problem(
                "it is in no bpffs; mount one with `mount -t bpf bpf /sys/fs/bpf`".to_owned(),
            ));
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(&self.own)
            .map_err(|error| problem(error.to_string()))?;
        self.check_owner(&self.root)?;
        fs::set_permissions(&self.root, fs::Permissions::from_mode(0o700))
            .map_err(|error| problem(error.to_string()))
    }

    /// Pins that another user could have made or changed are not taken up.
    fn check_owner(&self, path: &Path) -> Result<(), LoadError> {
        let problem = |problem: String| LoadError::PinDirectory {
            path: path.to_owned(),
            problem,
        };
        let metadata = fs::symlink_metadata(path).map_err(|error| problem(error.to_string()))?;
        let own = rustix::process::geteuid().as_raw();
        if !metadata.is_dir() {
            Err(problem("it is no directory".to_owned()))
        } else if metadata.uid() != own {
            Err(problem(format!(
                "it belongs to uid {}, not to {own}",
                metadata.uid()
            )))
        } else {
            Ok(())
        }
    }
}

/// Not attached to anything, so that it has no link.
pub(super) const TEST_PROGRAM: &str = "gb_test";

/// Removes the pins of every version below a directory.
pub(super) fn clear(root: &Path) -> Result<usize, KernelError> {
    let versions = versions(root)?;
    for (_, path) in &versions {
        remove_version(path)?;
    }
    Ok(versions.len())
}

fn pin(path: &Path) -> String {
    format!("pin `{}`", path.display())
}

fn open(path: &Path) -> String {
    format!("open pin `{}`", path.display())
}

/// The directories of versions below a directory.
fn versions(root: &Path) -> Result<Vec<(String, PathBuf)>, KernelError> {
    let mut versions = entries(root)?;
    versions.retain(|(name, _)| {
        name.strip_prefix('v')
            .and_then(|rest| rest.split_once('_'))
            .is_some_and(|(abi, hash)| abi.parse::<u32>().is_ok() && hash.len() == 16)
    });
    Ok(versions)
}

fn entries(directory: &Path) -> Result<Vec<(String, PathBuf)>, KernelError> {
    let step = || format!("list `{}`", directory.display());
    let listing = match fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(KernelError::new(step(), error)),
    };
    let mut entries = Vec::new();
    for entry in listing {
        let entry = entry.map_err(KernelError::io(step()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        entries.push((name, entry.path()));
    }
    entries.sort();
    Ok(entries)
}

fn remove_version(own: &Path) -> Result<(), KernelError> {
    let step = |path: &Path| format!("remove pin `{}`", path.display());
    let mut pins = entries(own)?;
    let seal = format!("{MAP}{SEAL}");
    pins.sort_by_key(|(name, _)| (*name == seal, !name.starts_with(LINK)));
    for (_, path) in &pins {
        fs::remove_file(path).map_err(KernelError::io(step(path)))?;
    }
    match fs::remove_dir(own) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(KernelError::new(step(own), error));
        }
        _ => {}
    }
    Ok(())
}
