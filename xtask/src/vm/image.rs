//! A tree of files for the guest, copied from the host.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use super::cpio::Writer;
use super::{VmError, tool};

/// Folders that are links into `/usr` in the guest, as on Debian.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// A tree of files. The first entry of a path stays; parents are made as needed.
#[derive(Debug, Default)]
pub(super) struct Image {
    writer: Writer,
    paths: BTreeSet<PathBuf>,
}

impl Image {
    /// An empty folder.
    pub(super) fn directory(&mut self, path: &Path, permissions: u32) {
        if let Some(path) = self.add(path) {
            self.writer
                .directory(path.as_os_str().as_bytes(), permissions);
        }
    }

    /// A file with this content.
    pub(super) fn file(&mut self, path: &Path, permissions: u32, content: &[u8]) {
        if let Some(path) = self.add(path) {
            self.writer
                .file(path.as_os_str().as_bytes(), permissions, content);
        }
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, path: &Path, target: &Path) {
        if let Some(path) = self.add(path) {
            self.writer
                .link(path.as_os_str().as_bytes(), target.as_os_str().as_bytes());
        }
    }

    /// The links of a merged `/usr`, which must come before anything in them.
    pub(super) fn merged_usr(&mut self) {
        for folder in MERGED {
            self.directory(&Path::new("/usr").join(folder), 0o755);
            let path = Path::new("/").join(folder);
            self.writer.link(
                path.as_os_str().as_bytes(),
                Path::new("usr").join(folder).as_os_str().as_bytes(),
            );
            self.paths.insert(path);
        }
    }

    /// A character device.
    pub(super) fn device(&mut self, path: &Path, permissions: u32, number: (u32, u32)) {
        if let Some(path) = self.add(path) {
            self.writer
                .device(path.as_os_str().as_bytes(), permissions, number);
        }
    }

    /// A copy of a host's file or folder with all that is in it. Links are copied as links;
    /// devices, sockets and pipes are left out.
    pub(super) fn tree(&mut self, host: &Path, guest: &Path) -> Result<(), VmError> {
        let is = fs::symlink_metadata(host).map_err(VmError::io(host))?;
        let permissions = is.permissions().mode() & 0o7777;
        if is.is_symlink() {
            let target = fs::read_link(host).map_err(VmError::io(host))?;
            self.link(guest, &target);
        } else if is.is_file() {
            let content = fs::read(host).map_err(VmError::io(host))?;
            self.file(guest, permissions, &content);
        } else if is.is_dir() {
            self.directory(guest, permissions);
            let mut names = Vec::new();
            for entry in fs::read_dir(host).map_err(VmError::io(host))? {
                names.push(entry.map_err(VmError::io(host))?.file_name());
            }
            // In order, so that equal trees make equal images.
            names.sort();
            for name in names {
                self.tree(&host.join(&name), &guest.join(&name))?;
            }
        }
        Ok(())
    }

    /// A copy of a program, and of the libraries that it is linked with.
    pub(super) fn executable(&mut self, host: &Path, guest: &Path) -> Result<(), VmError> {
        let content = fs::read(host).map_err(VmError::io(host))?;
        self.file(guest, 0o755, &content);
        // A script or a static program has none, which ldd calls a failure.
        if let Ok(list) = tool::text(Command::new("ldd").arg(host)) {
            for library in libraries(&list) {
                let content = fs::read(library).map_err(VmError::io(library))?;
                self.file(library, 0o755, &content);
            }
        }
        Ok(())
    }

    /// The archive for the guest.
    pub(super) fn finish(self) -> Vec<u8> {
        self.writer.finish()
    }

    /// Takes a path, in the guest's spelling, if it is new; makes the folders above it.
    fn add(&mut self, path: &Path) -> Option<PathBuf> {
        let path = guest_path(path);
        if path == Path::new("/") || self.paths.contains(&path) {
            return None;
        }
        if let Some(parent) = path.parent() {
            self.directory(parent, 0o755);
        }
        self.paths.insert(path.clone());
        Some(path)
    }
}

/// The path as the guest has it: absolute, and through `/usr` where a folder of the root is a
/// link to there. An entry for the link itself would replace it with a folder.
fn guest_path(path: &Path) -> PathBuf {
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let mut guest = PathBuf::from("/");
    if parts
        .first()
        .is_some_and(|first| MERGED.iter().any(|folder| first == folder))
    {
        guest.push("usr");
    }
    guest.extend(parts);
    guest
}

/// The files in ldd's list.
fn libraries(list: &str) -> impl Iterator<Item = &Path> {
    list.lines().filter_map(|line| {
        let (before, _) = line.rsplit_once(" (0x")?;
        let file = before
            .split_once("=> ")
            .map_or(before, |(_, file)| file)
            .trim();
        file.starts_with('/').then(|| Path::new(file))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_through_usr_as_in_the_guest() {
        let guest = |path: &str| guest_path(Path::new(path));
        assert_eq!(guest("/bin/sh"), Path::new("/usr/bin/sh"));
        assert_eq!(
            guest("/lib64/ld-linux-x86-64.so.2"),
            Path::new("/usr/lib64/ld-linux-x86-64.so.2")
        );
        assert_eq!(guest("/binary"), Path::new("/binary"));
        assert_eq!(guest("/usr/bin/sh"), Path::new("/usr/bin/sh"));
        assert_eq!(guest("/a/./b/../c"), Path::new("/a/c"));
    }

    #[test]
    fn ldd_lists_libraries_and_the_loader() {
        let list = "\tlinux-vdso.so.1 (0x00007ffd2a5f2000)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0e5a200000)\n\
                    \tlibgone.so => not found\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f0e5a4f1000)\n";
        let found: Vec<&Path> = libraries(list).collect();
        assert_eq!(
            found,
            [
                Path::new("/lib/x86_64-linux-gnu/libc.so.6"),
                Path::new("/lib64/ld-linux-x86-64.so.2")
            ]
        );
    }

    #[test]
    fn the_first_entry_of_a_path_stays_and_parents_come_before_it() {
        let mut image = Image::default();
        image.file(Path::new("/srv/data/x"), 0o644, b"first");
        image.file(Path::new("/srv/data/x"), 0o644, b"second");
        let text = String::from_utf8(image.finish()).unwrap();
        let folder = text.find("srv/data\0").unwrap();
        let file = text.find("srv/data/x\0").unwrap();
        assert!(text.find("srv\0").unwrap() < folder && folder < file);
        assert!(text.contains("first") && !text.contains("second"));
    }
}
