//! A cgroup for one command.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

/// So long may processes take to end that were killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// And so often is looked.
const LOOK: Duration = Duration::from_millis(10);

/// Why a cgroup can't be had, or not be removed.
#[derive(Debug, Error)]
pub(crate) enum CgroupError {
    /// There is nowhere to make it.
    #[error(
        "no cgroup file system of version 2 is mounted; mount one with `mount -t cgroup2 none /sys/fs/cgroup`, or name a cgroup with --cgroup-parent"
    )]
    NoMount,
    /// A step failed.
    #[error("cgroup `{}` can't be {what}: {error}", path.display())]
    Step {
        path: PathBuf,
        what: &'static str,
        error: io::Error,
    },
    /// Something in it doesn't end.
    #[error("cgroup `{}` can't be removed: processes in it don't end", path.display())]
    StillThere { path: PathBuf },
}

/// A cgroup that is removed again, with the processes in it.
#[derive(Debug)]
pub(super) struct FreshCgroup {
    path: PathBuf,
    removed: bool,
}

impl FreshCgroup {
    /// Makes it below `parent`; without one, below this process's own.
    pub(super) fn make(parent: Option<&Path>) -> Result<Self, CgroupError> {
        let parent = match parent {
            Some(parent) => parent.to_owned(),
            None => own().ok_or(CgroupError::NoMount)?,
        };
        let path = parent.join(format!("gambeson-{}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self {
                path,
                removed: false,
            }),
            Err(error) => Err(CgroupError::Step {
                path,
                what: "made",
                error,
            }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends what is left in it, removes it, and names what was left.
    pub(super) fn end(mut self) -> Result<Vec<String>, CgroupError> {
        let left = processes(&self.path)
            .into_iter()
            .map(|pid| named(&pid))
            .collect();
        self.remove()?;
        Ok(left)
    }

    fn remove(&mut self) -> Result<(), CgroupError> {
        self.removed = true;
        let end = Instant::now() + PATIENCE;
        while is_populated(&self.path) {
            if Instant::now() >= end {
                return Err(CgroupError::StillThere {
                    path: self.path.clone(),
                });
            }
            // Those below it, too, and those that are being forked.
            fs::write(self.path.join("cgroup.kill"), "1").map_err(|error| CgroupError::Step {
                path: self.path.clone(),
                what: "emptied",
                error,
            })?;
            std::thread::sleep(LOOK);
        }
        remove_below(&self.path).map_err(|error| CgroupError::Step {
            path: self.path.clone(),
            what: "removed",
            error,
        })
    }
}

impl Drop for FreshCgroup {
    fn drop(&mut self) {
        if !self.removed {
            // Something else went wrong, and is what is told.
            let _ = self.remove();
        }
    }
}

/// The directory of the cgroup that this process is in.
fn own() -> Option<PathBuf> {
    let mount = mount_in(&fs::read_to_string("/proc/self/mountinfo").ok()?)?;
    let own = fs::read_to_string("/proc/self/cgroup").ok();
    let below = own.as_deref().and_then(own_in).map(|own| mount.join(own));
    // Where this is another cgroup namespace's mount, the path leads nowhere.
    Some(below.filter(|path| path.is_dir()).unwrap_or(mount))
}

/// The mount point of the first cgroup2 in a mountinfo.
fn mount_in(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let kind = file_system.split(' ').next()?;
        (kind == "cgroup2").then(|| PathBuf::from(unescaped(point)))
    })
}

/// A mountinfo writes a blank as `\040`.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

/// The path of the version-2 cgroup in a `/proc/<pid>/cgroup`, below the mount.
fn own_in(cgroups: &str) -> Option<&str> {
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (!path.split('/').any(|part| part == "..")).then_some(path)
}

/// Whether there are processes in it or below it.
fn is_populated(cgroup: &Path) -> bool {
    fs::read_to_string(cgroup.join("cgroup.events"))
        .is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
}

/// The ids of the processes in it and below it.
fn processes(cgroup: &Path) -> Vec<String> {
    let own = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let mut all: Vec<String> = own.lines().map(str::to_owned).collect();
    for below in children(cgroup) {
        all.extend(processes(&below));
    }
    all
}

/// `1234 (sleep)`
fn named(pid: &str) -> String {
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("{pid} ({})", name.trim_end()),
        Err(_) => pid.to_owned(),
    }
}

fn children(cgroup: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(cgroup) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn remove_below(cgroup: &Path) -> io::Result<()> {
    for below in children(cgroup) {
        remove_below(&below)?;
    }
    fs::remove_dir(cgroup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_among_others() {
        let mounts = "24 30 0:22 / /proc rw,nosuid shared:12 - proc proc rw\n\
                      29 23 0:26 / /sys/fs/cgroup\\040two rw shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_in(mounts), Some(PathBuf::from("/sys/fs/cgroup two")));
        assert_eq!(mount_in("24 30 0:22 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn the_own_cgroup_is_that_of_version_2() {
        assert_eq!(
            own_in("12:cpu:/old\n0::/user.slice/a.scope\n"),
            Some("user.slice/a.scope")
        );
        assert_eq!(own_in("0::/\n"), Some(""));
        assert_eq!(own_in("0::/../other\n"), None, "outside of the namespace");
        assert_eq!(own_in("1:cpu:/\n"), None);
    }
}
