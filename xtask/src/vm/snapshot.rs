//! Guests that have booted and wait, saved in the cache.
//!
//! A guest's memory is a file. Once it has booted and waits for its payload, the rest of its
//! state, which is small, is saved beside that file. A run maps the memory privately, so the file
//! stays as it was, and loads the state.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use super::qemu::{self, Emulator, Files, Memory};
use super::qmp::Monitor;
use super::shared::{self, Mode};
use super::{Machine, VmError, cache, tool};

/// How long a guest may take to boot.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// What the kernel still does when process 1 waits already.
const SETTLE: Duration = Duration::from_millis(300);
/// Snapshots that nobody used for this long are removed.
const KEEP: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A saved guest.
#[derive(Debug)]
pub(super) struct Snapshot {
    folder: PathBuf,
}

impl Snapshot {
    /// The snapshot of a machine, made if the cache doesn't have it.
    pub(super) fn of(machine: &Machine, base: &Path, cache: &Path) -> Result<Self, VmError> {
        let root = cache.join("snapshots");
        cache::make(&root)?;
        let key = key(machine, base)?;
        let snapshot = Self {
            folder: root.join(&key),
        };
        if !snapshot.is_ready() {
            // Whoever comes second finds it made.
            let _lock = cache::lock(&root, &key)?;
            if !snapshot.is_ready() {
                remove_unused(&root);
                snapshot.make(machine, base, cache)?;
            }
        }
        // Says that it is in use.
        let state = snapshot.state();
        File::open(&state)
            .and_then(|file| file.set_modified(SystemTime::now()))
            .map_err(VmError::io(&state))?;
        Ok(snapshot)
    }

    /// The guest's memory.
    pub(super) fn memory(&self) -> PathBuf {
        self.folder.join("memory")
    }

    /// The rest of the guest's state.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn is_ready(&self) -> bool {
        self.state().is_file()
    }

    fn make(&self, machine: &Machine, base: &Path, cache: &Path) -> Result<(), VmError> {
        let work = cache::Work::new(cache)?;
        shared::write(&work.path("shared"), Mode::Park, &[])?;
        let saved = work.path("saved");
        cache::make(&saved)?;
        let memory = saved.join("memory");
        let files = Files {
            base,
            memory: Memory::Saved(&memory),
            work: &work,
        };
        let mut emulator = Emulator::start(machine, &files, true, false)?;
        let mut monitor = Monitor::connect(&work.path("monitor"), &mut emulator)
            .map_err(|error| explain(error, &files))?;
        let deadline = Instant::now() + BOOT_LIMIT;
        while !files.status().contains("parked\n") {
            if emulator.has_ended() {
                return Err(died(&files));
            }
            if Instant::now() > deadline {
                return Err(VmError::TimedOut {
                    after: BOOT_LIMIT,
                    stdout: Vec::new(),
                    stderr: Vec::new(),
                    console: files.console(),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(SETTLE);
        monitor.save(&saved.join("state"), deadline)?;
        monitor.quit()?;
        emulator.wait_until(deadline);
        // What an interrupted process left.
        let _ = fs::remove_dir_all(&self.folder);
        fs::rename(&saved, &self.folder).map_err(VmError::io(&self.folder))
    }
}

/// An emulator that has nothing to say on its monitor may have said it elsewhere.
pub(super) fn explain(error: VmError, files: &Files<'_>) -> VmError {
    let complaints = files.complaints();
    if complaints.is_empty() {
        error
    } else {
        VmError::monitor(format!("{error}; {complaints}"))
    }
}

fn died(files: &Files<'_>) -> VmError {
    VmError::Died {
        emulator: files.complaints(),
        console: files.console(),
        stdout: Vec::new(),
        stderr: Vec::new(),
    }
}

/// Everything that a saved guest's state depends on.
fn key(machine: &Machine, base: &Path) -> Result<String, VmError> {
    let mut hasher = DefaultHasher::new();
    machine.kernel.folder.hash(&mut hasher);
    base.hash(&mut hasher);
    machine.command_line().hash(&mut hasher);
    (machine.memory_mib, machine.cpus).hash(&mut hasher);
    machine.count_instructions.hash(&mut hasher);
    qemu::PROCESSOR.hash(&mut hasher);
    include_str!("qemu.rs").hash(&mut hasher);
    emulator_version()?.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

/// Asked for once in a process.
fn emulator_version() -> Result<&'static str, VmError> {
    static VERSION: OnceLock<String> = OnceLock::new();
    if let Some(version) = VERSION.get() {
        return Ok(version);
    }
    let version = tool::text(Command::new(qemu::PROGRAM).arg("--version"))?;
    Ok(VERSION.get_or_init(|| version))
}

fn remove_unused(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    for folder in entries.flatten().map(|entry| entry.path()) {
        let used = fs::metadata(folder.join("state")).and_then(|is| is.modified());
        let unused = used.is_ok_and(|used| used.elapsed().is_ok_and(|age| age > KEEP));
        if unused {
            // Another process may be removing it too.
            let _ = fs::remove_dir_all(&folder);
        }
    }
}
