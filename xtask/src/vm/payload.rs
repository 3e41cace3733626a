//! What goes into a guest: a command and the files that it needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::image::Image;
use super::{Machine, VmError, module};

/// A command, and the files that it needs in the guest.
///
/// The guest has busybox with all its commands in `/usr/bin`, and little else. Where two things
/// are to be at one path, files come first, then programs, then trees.
///
/// ```
/// use xtask::vm::Payload;
///
/// let payload = Payload::new(["/bin/sh", "-c", "wc -l < /srv/data; echo $MODE"])
///     .file("/srv/data", 0o644, "one\ntwo\n")
///     .env("MODE", "quick");
/// assert_eq!(payload.argv.len(), 3);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Payload {
    /// The command; looked for along the guest's PATH if it has no slash.
    pub argv: Vec<String>,
    /// The environment beside PATH, HOME and LANG.
    pub env: BTreeMap<String, String>,
    /// The standard input; without it `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// Files: path in the guest, permissions, content.
    pub files: Vec<(PathBuf, u32, Vec<u8>)>,
    /// Programs with the libraries they are linked with: path on the host, path in the guest.
    pub executables: Vec<(PathBuf, PathBuf)>,
    /// Files and folders with all that is in them: path on the host, path in the guest.
    pub trees: Vec<(PathBuf, PathBuf)>,
    /// Kernel modules to load first; what they depend on is loaded too.
    pub modules: Vec<String>,
}

impl Payload {
    /// A command and its arguments.
    #[must_use]
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Adds a file.
    #[must_use]
    pub fn file(
        mut self,
        guest: impl Into<PathBuf>,
        permissions: u32,
        content: impl Into<Vec<u8>>,
    ) -> Self {
        self.files.push((guest.into(), permissions, content.into()));
        self
    }

    /// Adds a program of the host, with the libraries that it is linked with.
    #[must_use]
    pub fn executable(mut self, host: impl Into<PathBuf>, guest: impl Into<PathBuf>) -> Self {
        self.executables.push((host.into(), guest.into()));
        self
    }

    /// Adds a copy of a host's file or folder.
    #[must_use]
    pub fn tree(mut self, host: impl Into<PathBuf>, guest: impl Into<PathBuf>) -> Self {
        self.trees.push((host.into(), guest.into()));
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets the standard input.
    #[must_use]
    pub fn stdin(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(content.into());
        self
    }

    /// Loads a kernel module first.
    #[must_use]
    pub fn module(mut self, name: impl Into<String>) -> Self {
        self.modules.push(name.into());
        self
    }

    /// The archive that the guest unpacks.
    pub(super) fn archive(&self, machine: &Machine) -> Result<Vec<u8>, VmError> {
        let mut image = Image::default();
        let private = |name: &str| Path::new("/vm").join(name);
        let mut env: BTreeMap<&str, &str> = BTreeMap::from([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("LANG", "C"),
        ]);
        env.extend(self.env.iter().map(|(name, value)| (&**name, &**value)));
        let env = env.iter().map(|(name, value)| format!("{name}={value}"));
        image.file(
            &private("argv"),
            0o600,
            &ended_by_nul(self.argv.iter().cloned()),
        );
        image.file(&private("env"), 0o600, &ended_by_nul(env));
        if let Some(stdin) = &self.stdin {
            image.file(&private("stdin"), 0o600, stdin);
        }
        let mut list = String::new();
        for (name, content) in module::load_order(&machine.kernel, &self.modules)? {
            let path = private(&format!("module/{name}.ko"));
            image.file(&path, 0o600, &content);
            list.push_str(&format!("{}\n", path.display()));
        }
        if !list.is_empty() {
            image.file(&private("modules"), 0o600, list.as_bytes());
        }
        for (path, permissions, content) in &self.files {
            image.file(path, *permissions, content);
        }
        for (host, guest) in &self.executables {
            image.executable(host, guest)?;
        }
        for (host, guest) in &self.trees {
            image.tree(host, guest)?;
        }
        Ok(image.finish())
    }
}

fn ended_by_nul(words: impl Iterator<Item = String>) -> Vec<u8> {
    words.flat_map(|word| (word + "\0").into_bytes()).collect()
}
