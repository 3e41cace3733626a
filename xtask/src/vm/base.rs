//! The part of the guest's files that every run shares: process 1 and busybox.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::image::Image;
use super::{VmError, cache, qemu, shared, tool};

const INIT: &str = include_str!("guest/init.c");

const FOLDERS: [&str; 11] = [
    "/usr/bin",
    "/usr/sbin",
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/root",
    "/vm",
    "/var/tmp",
    "/home",
    "/etc",
];

/// The guest's users and groups: root, and one that has no rights.
const ACCOUNTS: [(&str, &str); 3] = [
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    ),
    ("/etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    (
        "/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
    ),
];

/// The base image's file, made if the cache doesn't have it. Its name tells its content.
pub(super) fn image(cache: &Path) -> Result<PathBuf, VmError> {
    let busybox = tool::find("busybox").ok_or_else(|| VmError::Unavailable {
        reason: "there is no busybox".to_owned(),
    })?;
    let definitions: Vec<String> = shared::definitions()
        .into_iter()
        .chain(qemu::definitions())
        .collect();
    let is = fs::metadata(&busybox).map_err(VmError::io(&busybox))?;
    let mut hasher = DefaultHasher::new();
    INIT.hash(&mut hasher);
    // What this file puts together.
    include_str!("base.rs").hash(&mut hasher);
    include_str!("cpio.rs").hash(&mut hasher);
    include_str!("image.rs").hash(&mut hasher);
    definitions.hash(&mut hasher);
    (is.len(), is.modified().ok()).hash(&mut hasher);
    let path = cache.join(format!("base-{:016x}.cpio", hasher.finish()));
    if path.is_file() {
        return Ok(path);
    }
    let _lock = cache::lock(cache, "base")?;
    if !path.is_file() {
        let work = cache::Work::new(cache)?;
        let init = compile(&definitions, &work)?;
        cache::write_whole(&path, &assemble(&init, &busybox)?)?;
    }
    Ok(path)
}

fn compile(definitions: &[String], work: &cache::Work) -> Result<PathBuf, VmError> {
    let (source, program) = (work.path("init.c"), work.path("init"));
    fs::write(&source, INIT).map_err(VmError::io(&source))?;
    tool::output(
        Command::new("cc")
            .args(["-O2", "-static", "-s", "-Wall", "-Wextra"])
            .args(definitions)
            .arg("-o")
            .args([&program, &source]),
    )?;
    Ok(program)
}

fn assemble(init: &Path, busybox: &Path) -> Result<Vec<u8>, VmError> {
    let mut image = Image::default();
    image.merged_usr();
    for folder in FOLDERS {
        image.directory(Path::new(folder), 0o755);
    }
    image.directory(Path::new("/tmp"), 0o1777);
    image.directory(Path::new("/out"), 0o1777);
    // The kernel opens the console before process 1 can mount /dev.
    image.device(Path::new("/dev/console"), 0o600, (5, 1));
    image.device(Path::new("/dev/null"), 0o666, (1, 3));
    image.executable(init, Path::new("/init"))?;
    image.executable(busybox, Path::new("/usr/bin/busybox"))?;
    for name in tool::text(Command::new(busybox).arg("--list"))?.lines() {
        image.link(&Path::new("/usr/bin").join(name), Path::new("busybox"));
    }
    for (path, text) in ACCOUNTS {
        image.file(Path::new(path), 0o644, text.as_bytes());
    }
    Ok(image.finish())
}
