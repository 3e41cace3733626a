//! Debian's archive, asked through a private state of apt: the host's own sources, lists and
//! packages are neither used nor changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{VmError, cache, tool};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A part of the archive: its name at the end of a mirror's address, and a suite in it.
pub(super) type Suite = (&'static str, &'static str);

/// Some suites of the archive.
#[derive(Debug)]
pub(super) struct Archive {
    folder: PathBuf,
}

impl Archive {
    /// Fetches the suites' lists of packages; `folder` keeps apt's private state.
    pub(super) fn open(folder: &Path, suites: &[Suite]) -> Result<Self, VmError> {
        for part in ["lists/partial", "archives/partial"] {
            cache::make(&folder.join(part))?;
        }
        let archive = Self {
            folder: folder.to_owned(),
        };
        let mirrors = mirrors();
        let sources: String = suites
            .iter()
            .map(|(part, suite)| {
                let mirror = mirror(&mirrors, part);
                format!("deb [arch=amd64 signed-by={KEYRING}] {mirror} {suite} main\n")
            })
            .collect();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(VmError::io(path))
        };
        write("sources.list", &sources)?;
        let place = folder.display();
        write(
            "apt.conf",
            &format!(
                "Dir::Etc::SourceList \"{place}/sources.list\";\n\
                 Dir::Etc::SourceParts \"/dev/null\";\n\
                 Dir::State::Lists \"{place}/lists\";\n\
                 Dir::Cache \"{place}\";\n\
                 APT::Sandbox::User \"\";\n\
                 Acquire::Languages \"none\";\n\
                 Acquire::Retries \"2\";\n\
                 Acquire::http::Timeout \"20\";\n"
            ),
        )?;
        // Without this, apt takes a suite that can't be fetched for a warning.
        tool::output(
            archive
                .command("apt-get")
                .args(["-qq", "--error-on=any", "update"]),
        )?;
        Ok(archive)
    }

    /// The highest version of a package in any of the suites.
    pub(super) fn newest(&self, package: &str) -> Result<Option<String>, VmError> {
        let table = tool::text(self.command("apt-cache").args(["madison", package]))?;
        let mut newest: Option<&str> = None;
        for version in versions(&table) {
            if newest.is_none_or(|newest| is_later(version, newest)) {
                newest = Some(version);
            }
        }
        Ok(newest.map(str::to_owned))
    }

    /// The packages that one depends on, without alternatives and versions.
    pub(super) fn dependencies(
        &self,
        package: &str,
        version: &str,
    ) -> Result<Vec<String>, VmError> {
        let record = tool::text(
            self.command("apt-cache")
                .args(["show", &format!("{package}={version}")]),
        )?;
        Ok(dependencies(&record))
    }

    /// Downloads a package and unpacks it into a folder.
    pub(super) fn unpack(
        &self,
        package: &str,
        version: &str,
        scratch: &Path,
        into: &Path,
    ) -> Result<(), VmError> {
        cache::make(scratch)?;
        tool::output(
            self.command("apt-get")
                .args(["-qq", "download", &format!("{package}={version}")])
                .current_dir(scratch),
        )?;
        for file in fs::read_dir(scratch).map_err(VmError::io(scratch))? {
            let file = file.map_err(VmError::io(scratch))?.path();
            tool::output(Command::new("dpkg-deb").arg("-x").arg(&file).arg(into))?;
            fs::remove_file(&file).map_err(VmError::io(&file))?;
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.folder.join("apt.conf"))
            .env("LC_ALL", "C");
        command
    }
}

/// The addresses from which the host itself gets packages.
fn mirrors() -> Vec<String> {
    let list = tool::text(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Identifier: Packages",
    ]));
    list.unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The address of a part of the archive: the host's own mirror if it has one.
fn mirror(mirrors: &[String], part: &str) -> String {
    mirrors
        .iter()
        .find(|address| address.trim_end_matches('/').ends_with(&format!("/{part}")))
        .cloned()
        .unwrap_or_else(|| format!("http://deb.debian.org/{part}"))
}

/// The second column of `apt-cache madison`.
fn versions(table: &str) -> impl Iterator<Item = &str> {
    table
        .lines()
        .filter(|line| !line.contains(" Sources"))
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
}

fn is_later(version: &str, than: &str) -> bool {
    tool::output(Command::new("dpkg").args(["--compare-versions", version, "gt", than])).is_ok()
}

fn dependencies(record: &str) -> Vec<String> {
    record
        .lines()
        .find_map(|line| line.strip_prefix("Depends:"))
        .unwrap_or_default()
        .split(',')
        .filter(|dependency| !dependency.contains('|'))
        .filter_map(|dependency| dependency.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_the_second_column_of_binary_packages() {
        let table = " linux-image-cloud-amd64 | 6.1.192-2 | http://m/debian-security s/main amd64 Packages\n\
                      linux-image-cloud-amd64 | 6.1.176-1 | http://m/debian s/main amd64 Packages\n\
                      linux-signed-amd64 | 6.1.1 | http://m/debian s/main Sources\n";
        let found: Vec<&str> = versions(table).collect();
        assert_eq!(found, ["6.1.192-2", "6.1.176-1"]);
    }

    #[test]
    fn dependencies_lose_versions_and_alternatives() {
        let record = "Package: linux-image-7.3\n\
                      Depends: dracut | initramfs-tools (>= 0.120), linux-base-7.3 (= 7.3-1), kmod\n";
        assert_eq!(dependencies(record), ["linux-base-7.3", "kmod"]);
    }

    #[test]
    fn the_hosts_mirror_comes_first() {
        let mirrors = ["http://mirror.example/debian/".to_owned()];
        assert_eq!(mirror(&mirrors, "debian"), "http://mirror.example/debian/");
        assert_eq!(
            mirror(&mirrors, "debian-security"),
            "http://deb.debian.org/debian-security"
        );
    }
}
