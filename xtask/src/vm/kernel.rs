//! Debian's kernels: found in its archive, unpacked into the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::archive::{Archive, Suite};
use super::{VmError, bzimage, cache, packages};

/// The kernels' names, oldest first.
pub const NAMES: [&str; 4] = ["5.10", "6.1", "6.12", "newest"];

/// The package that depends on a suite's newest kernel for virtual machines in a cloud: the
/// smallest of Debian's, and it has everything that enforcement needs.
const PACKAGE: &str = "linux-image-cloud-amd64";

/// For how long the archive is not asked again.
const FRESH: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Where a name is looked for, and how the release must start that is found there.
fn suites(name: &str) -> Option<(&'static [Suite], &'static str)> {
    Some(match name {
        "5.10" => (
            &[
                ("debian-security", "bullseye-security"),
                ("debian", "bullseye"),
            ],
            "5.10.",
        ),
        "6.1" => (
            &[
                ("debian-security", "bookworm-security"),
                ("debian", "bookworm"),
            ],
            "6.1.",
        ),
        "6.12" => (&[("debian", "bookworm-backports")], "6.12."),
        "newest" => (&[("debian", "trixie-backports"), ("debian", "sid")], ""),
        _ => return None,
    })
}

/// A kernel in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The name that it is asked for with, one of [`NAMES`].
    pub name: String,
    /// Debian's package.
    pub package: String,
    /// The package's version. A security update may keep the release.
    pub version: String,
    /// What `uname -r` says in the guest.
    pub release: String,
    /// Where it is unpacked: `vmlinux`, `config` and `modules/`.
    pub folder: PathBuf,
}

/// What a name stood for when the archive was last asked.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    package: String,
    version: String,
    release: String,
    /// Seconds since 1970.
    asked: u64,
}

impl Record {
    /// Keyed by version too, because an update may keep the release.
    fn folder(&self, cache: &Path) -> PathBuf {
        cache
            .join("kernels")
            .join(format!("{},{}", self.release, self.version))
    }

    fn is_fresh(&self) -> bool {
        let asked = UNIX_EPOCH + Duration::from_secs(self.asked);
        SystemTime::now()
            .duration_since(asked)
            .is_ok_and(|age| age < FRESH)
    }
}

impl Kernel {
    /// The kernel of this name, from the cache if the archive was asked within a week or can't be
    /// reached.
    ///
    /// # Errors
    ///
    /// When the name is none of [`NAMES`], when this machine can't run the rig, and when neither
    /// the archive nor the cache has the kernel.
    pub fn find(name: &str) -> Result<Self, VmError> {
        let (suites, start) = suites(name).ok_or_else(|| VmError::UnknownKernel {
            name: name.to_owned(),
        })?;
        let cache = cache::folder()?;
        cache::make(&cache.join("kernels"))?;
        if let Some(kernel) = Self::cached(name, &cache, Record::is_fresh) {
            packages::ensure()?;
            return Ok(kernel);
        }
        packages::ensure()?;
        // The lock keeps two processes from unpacking one kernel at once.
        let _lock = cache::lock(&cache, "kernels/find")?;
        if let Some(kernel) = Self::cached(name, &cache, Record::is_fresh) {
            return Ok(kernel);
        }
        match Self::fetch(name, suites, start, &cache) {
            Ok(kernel) => Ok(kernel),
            Err(error) => Self::cached(name, &cache, |_| true).ok_or_else(|| VmError::NoKernel {
                name: name.to_owned(),
                reason: error.to_string(),
            }),
        }
    }

    /// What the cache has under each name, without asking the archive.
    ///
    /// # Errors
    ///
    /// When there is no cache.
    pub fn all_cached() -> Result<Vec<Self>, VmError> {
        let cache = cache::folder()?;
        Ok(NAMES
            .iter()
            .filter_map(|name| Self::cached(name, &cache, |_| true))
            .collect())
    }

    /// The value of an option of the kernel's configuration, such as `y` for `CONFIG_BPF_LSM`.
    ///
    /// # Errors
    ///
    /// When the configuration can't be read.
    pub fn option(&self, name: &str) -> Result<Option<String>, VmError> {
        let path = self.folder.join("config");
        let config = fs::read_to_string(&path).map_err(VmError::io(path))?;
        Ok(option(&config, name).map(str::to_owned))
    }

    /// The uncompressed kernel.
    pub(super) fn vmlinux(&self) -> PathBuf {
        self.folder.join("vmlinux")
    }

    fn cached(name: &str, cache: &Path, wanted: impl Fn(&Record) -> bool) -> Option<Self> {
        let record = fs::read(record_path(cache, name)).ok()?;
        let record: Record = serde_json::from_slice(&record).ok()?;
        let folder = record.folder(cache);
        (wanted(&record) && folder.join("vmlinux").is_file()).then(|| Self {
            name: name.to_owned(),
            package: record.package,
            version: record.version,
            release: record.release,
            folder,
        })
    }

    fn fetch(name: &str, suites: &[Suite], start: &str, cache: &Path) -> Result<Self, VmError> {
        let missing = |reason: String| VmError::NoKernel {
            name: name.to_owned(),
            reason,
        };
        let archive = Archive::open(&cache.join("apt").join(name), suites)?;
        let version = archive.newest(PACKAGE)?.ok_or_else(|| {
            let suites: Vec<&str> = suites.iter().map(|(_, suite)| *suite).collect();
            missing(format!("no {PACKAGE} in {}", suites.join(", ")))
        })?;
        let package = archive
            .dependencies(PACKAGE, &version)?
            .into_iter()
            .find(|package| package.starts_with("linux-image-"))
            .ok_or_else(|| missing(format!("{PACKAGE} {version} depends on no kernel")))?;
        let release = package
            .strip_prefix("linux-image-")
            .unwrap_or_default()
            .to_owned();
        if !release.starts_with(start) {
            return Err(missing(format!("{PACKAGE} {version} is {release}")));
        }
        let record = Record {
            package,
            version,
            release,
            asked: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |now| now.as_secs()),
        };
        let folder = record.folder(cache);
        if !folder.join("vmlinux").is_file() {
            unpack(&archive, &record, cache, &folder)?;
        }
        let json = serde_json::to_vec(&record).map_err(|error| missing(error.to_string()))?;
        cache::write_whole(&record_path(cache, name), &json)?;
        let kernel = Self {
            name: name.to_owned(),
            package: record.package,
            version: record.version,
            release: record.release,
            folder,
        };
        if name == "newest" {
            kernel.can_enforce()?;
        }
        Ok(kernel)
    }

    /// Refuses a kernel that was built without what programs need.
    fn can_enforce(&self) -> Result<(), VmError> {
        for name in ["CONFIG_BPF_LSM", "CONFIG_DEBUG_INFO_BTF"] {
            if self.option(name)?.as_deref() != Some("y") {
                return Err(VmError::NoKernel {
                    name: self.name.clone(),
                    reason: format!("{} is built without {name}", self.release),
                });
            }
        }
        Ok(())
    }
}

fn record_path(cache: &Path, name: &str) -> PathBuf {
    cache.join("kernels").join(format!("{name}.json"))
}

/// Downloads a kernel and puts into `folder` what the rig needs of it.
fn unpack(archive: &Archive, record: &Record, cache: &Path, folder: &Path) -> Result<(), VmError> {
    let work = cache::Work::new(cache)?;
    let (scratch, tree) = (work.path("packages"), work.path("tree"));
    let release = &record.release;
    // Newer kernels come in several packages, all of the same release.
    let parts = archive
        .dependencies(&record.package, &record.version)?
        .into_iter()
        .filter(|package| {
            package.starts_with("linux-") && package.ends_with(&format!("-{release}"))
        });
    for package in std::iter::once(record.package.clone()).chain(parts) {
        archive.unpack(&package, &record.version, &scratch, &tree)?;
    }
    let modules = first_that_exists(&[
        tree.join("lib/modules").join(release),
        tree.join("usr/lib/modules").join(release),
    ])?;
    let image = first_that_exists(&[
        tree.join(format!("boot/vmlinuz-{release}")),
        modules.join("vmlinuz"),
    ])?;
    let config = first_that_exists(&[
        tree.join(format!("boot/config-{release}")),
        modules.join("config"),
    ])?;
    let ready = work.path("kernel");
    cache::make(&ready)?;
    bzimage::extract(&image, &ready.join("vmlinux"), &work.path("compressed"))?;
    for (from, to) in [(&config, "config"), (&modules, "modules")] {
        fs::rename(from, ready.join(to)).map_err(VmError::io(from))?;
    }
    // What an interrupted process left.
    let _ = fs::remove_dir_all(folder);
    fs::rename(&ready, folder).map_err(VmError::io(folder))
}

fn first_that_exists(paths: &[PathBuf]) -> Result<PathBuf, VmError> {
    if let Some(path) = paths.iter().find(|path| path.exists()) {
        return Ok(path.clone());
    }
    let path = paths.first().cloned().unwrap_or_default();
    Err(VmError::malformed(&path, "not in the kernel's packages"))
}

/// An option's value in a kernel configuration.
fn option<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    config
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_suites() {
        for name in NAMES {
            assert!(suites(name).is_some(), "{name}");
        }
        assert!(matches!(
            Kernel::find("2.4"),
            Err(VmError::UnknownKernel { name }) if name == "2.4"
        ));
    }

    #[test]
    fn an_option_that_is_not_set_has_no_value() {
        let config = "CONFIG_BPF=y\nCONFIG_BPF_LSM=y\n# CONFIG_KUNIT is not set\n";
        assert_eq!(option(config, "CONFIG_BPF_LSM"), Some("y"));
        assert_eq!(option(config, "CONFIG_BPF"), Some("y"));
        assert_eq!(option(config, "CONFIG_KUNIT"), None);
        assert_eq!(option(config, "CONFIG_B"), None);
    }
}
