//! The folder in which kernels, images and snapshots are kept, and the folders that runs use.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::VmError;

/// Names the cache's folder; the default is `~/.cache/gambeson-vm`.
const VARIABLE: &str = "GAMBESON_VM_CACHE";

/// The cache's folder, made if it isn't there. Nothing in it is precious.
pub(super) fn folder() -> Result<PathBuf, VmError> {
    let folder = match std::env::var_os(VARIABLE) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()
            .ok_or_else(|| VmError::Unavailable {
                reason: format!("there is no home folder for the cache; set {VARIABLE}"),
            })?
            .join(".cache/gambeson-vm"),
    };
    make(&folder)?;
    // The emulator runs elsewhere, and links in the way would confuse the guest's paths.
    fs::canonicalize(&folder).map_err(VmError::io(&folder))
}

/// Makes a folder and those above it.
pub(super) fn make(folder: &Path) -> Result<(), VmError> {
    fs::create_dir_all(folder).map_err(VmError::io(folder))
}

/// Waits until no other process or thread holds the lock of this name, and holds it until the
/// file is dropped.
pub(super) fn lock(cache: &Path, name: &str) -> Result<File, VmError> {
    let path = cache.join(format!("{name}.lock"));
    let file = File::create(&path).map_err(VmError::io(&path))?;
    file.lock().map_err(VmError::io(&path))?;
    Ok(file)
}

/// Writes a file in one step: it is there with all its content, or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), VmError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}", std::process::id()));
    let partial = PathBuf::from(partial);
    fs::write(&partial, bytes).map_err(VmError::io(&partial))?;
    fs::rename(&partial, path).map_err(VmError::io(path))
}

/// A folder of one run, removed with it.
#[derive(Debug)]
pub(super) struct Work(PathBuf);

impl Work {
    /// A new folder in the cache. What killed processes left behind goes first.
    pub(super) fn new(cache: &Path) -> Result<Self, VmError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let root = cache.join("work");
        make(&root)?;
        remove_abandoned(&root);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = root.join(format!("{}.{count}", std::process::id()));
        // A process of the same number may have left one.
        let _ = fs::remove_dir_all(&folder);
        make(&folder)?;
        Ok(Self(folder))
    }

    /// A path in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What stays is removed by a later run.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn remove_abandoned(root: &Path) {
    let Ok(folders) = fs::read_dir(root) else {
        return;
    };
    for folder in folders.flatten() {
        let name = folder.file_name();
        let owner = name.to_string_lossy();
        let owner = owner.split('.').next().unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}
