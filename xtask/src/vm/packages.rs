//! The Debian packages that the rig needs on the host.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::{VmError, tool};

/// A program, or a file if it starts with a slash, and the package it comes from.
const NEEDED: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("cc", "gcc"),
    ("/usr/lib/x86_64-linux-gnu/libc.a", "libc6-dev"),
    ("ldd", "libc-bin"),
    ("setpriv", "util-linux"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
    ("lz4", "lz4"),
    ("gzip", "gzip"),
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    (
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "debian-archive-keyring",
    ),
];

/// Sees that everything is there, and installs what isn't where that is allowed. Looks only once
/// in a process.
pub(super) fn ensure() -> Result<(), VmError> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
                return Err("the rig runs on x86-64 Linux only".to_owned());
            }
            let missing = missing();
            if missing.is_empty() {
                return Ok(());
            }
            install(&missing)
        })
        .clone()
        .map_err(|reason| VmError::Unavailable { reason })
}

fn missing() -> BTreeSet<&'static str> {
    NEEDED
        .iter()
        .filter(|(what, _)| !(Path::new(what).is_file() || tool::find(what).is_some()))
        .map(|(_, package)| *package)
        .collect()
}

fn install(packages: &BTreeSet<&'static str>) -> Result<(), String> {
    let list = |packages: &BTreeSet<&str>| packages.iter().copied().collect::<Vec<_>>().join(" ");
    let wanted = list(packages);
    let remedy = format!("missing packages: {wanted}; as root: apt-get install {wanted}");
    // This process's own folder belongs to whom it acts for.
    let root = std::fs::metadata("/proc/self").is_ok_and(|is| is.uid() == 0);
    if !root || tool::find("apt-get").is_none() {
        return Err(remedy);
    }
    let installed = tool::output(Command::new("apt-get").args(["-qq", "update"])).and_then(|_| {
        tool::output(
            Command::new("apt-get")
                .args(["-qq", "install", "--yes", "--no-install-recommends"])
                .args(packages)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    });
    if let Err(error) = installed {
        return Err(format!("{remedy} ({error})"));
    }
    let still = missing();
    if still.is_empty() {
        Ok(())
    } else {
        Err(format!("still missing after apt-get: {}", list(&still)))
    }
}
