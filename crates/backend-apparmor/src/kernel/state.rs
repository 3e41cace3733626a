//! What the kernel says is in force.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{KernelError, StateError};
use super::places::{Places, shown};
use crate::Section;

/// What a loaded profile does with what it doesn't allow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Denies it.
    Enforce,
    /// Only reports it.
    Complain,
    /// Anything else that the kernel names, such as `kill` or `unconfined`.
    Other(String),
}

impl Mode {
    fn from_word(word: &str) -> Self {
        match word {
            "enforce" => Self::Enforce,
            "complain" => Self::Complain,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Complain => "complain",
            Self::Other(word) => word,
        })
    }
}

/// A profile that the kernel has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its full name.
    pub name: String,
    /// Its mode.
    pub mode: Mode,
    /// Where the kernel shows it.
    folder: PathBuf,
}

impl Loaded {
    /// What it was loaded from. `None` where the kernel doesn't show that.
    fn content(&self) -> Result<Option<Vec<u8>>, KernelError> {
        let path = self.folder.join("raw_data");
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(KernelError::of(format!("read {}", shown(&path)))(error)),
        }
    }
}

/// Whether what is loaded was compared byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// It is what was applied.
    Same,
    /// This kernel doesn't show what profiles were loaded from (`CONFIG_SECURITY_APPARMOR_EXPORT_BINARY`):
    /// names and modes were compared.
    NotShown,
}

/// What was applied, read back from the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// The workload's profiles.
    pub profiles: Vec<Loaded>,
    /// Whether their content was compared.
    pub content: Content,
}

/// One thing in which the kernel's state is not what was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// A profile isn't there.
    #[error("`{name}` is not loaded")]
    Missing {
        /// Which.
        name: String,
    },
    /// A profile that nobody asked for.
    #[error("`{name}` is loaded, and was not applied")]
    Unknown {
        /// Which.
        name: String,
    },
    /// It doesn't enforce.
    #[error("`{name}` is in mode {mode}")]
    Mode {
        /// Which.
        name: String,
        /// Its mode.
        mode: Mode,
    },
    /// It was loaded from something else.
    #[error("`{name}` was loaded from something else")]
    Content {
        /// Which.
        name: String,
    },
}

/// The profile of this name and those below it.
pub(super) fn loaded(places: &Places, name: &str) -> Result<Vec<Loaded>, KernelError> {
    let mut all = Vec::new();
    below(&places.profiles(), "", &mut |base| base == name, &mut all)?;
    Ok(all)
}

/// Adds the profiles of a directory that are wanted, and all below them.
fn below(
    directory: &Path,
    above: &str,
    wanted: &mut dyn FnMut(&str) -> bool,
    all: &mut Vec<Loaded>,
) -> Result<(), KernelError> {
    let failed = |path: &Path| KernelError::of(format!("read {}", shown(path)));
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let folder = entry.map_err(failed(directory))?.path();
        let line = |file: &str| {
            let path = folder.join(file);
            match fs::read_to_string(&path) {
                Ok(text) => Ok(Some(text.trim_end().to_owned())),
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed(&path)(error)),
            }
        };
        // The directory's name is the profile's, with some letters changed and a number behind.
        let Some(base) = line("name")? else { continue };
        if !wanted(&base) {
            continue;
        }
        let Some(mode) = line("mode")? else { continue };
        let name = format!("{above}{base}");
        all.push(Loaded {
            name: name.clone(),
            mode: Mode::from_word(&mode),
            folder: folder.clone(),
        });
        let children = folder.join("profiles");
        if children.is_dir() {
            below(&children, &format!("{name}//"), &mut |_| true, all)?;
        }
    }
    Ok(())
}

/// Compares what is loaded with what was applied.
pub(super) fn compare(
    loaded: Vec<Loaded>,
    sections: &[Section],
    bytes: &[u8],
) -> Result<Confirmed, StateError> {
    let mut differences = Vec::new();
    let mut content = Content::Same;
    for section in sections {
        if !loaded.iter().any(|profile| profile.name == section.name) {
            differences.push(Difference::Missing {
                name: section.name.clone(),
            });
        }
    }
    for profile in &loaded {
        let name = profile.name.clone();
        if !sections.iter().any(|section| section.name == name) {
            differences.push(Difference::Unknown { name });
            continue;
        }
        if profile.mode != Mode::Enforce {
            differences.push(Difference::Mode {
                name: name.clone(),
                mode: profile.mode.clone(),
            });
        }
        match profile.content()? {
            Some(shown) if shown == bytes => {}
            Some(_) => differences.push(Difference::Content { name }),
            None => content = Content::NotShown,
        }
    }
    if differences.is_empty() {
        Ok(Confirmed {
            profiles: loaded,
            content,
        })
    } else {
        Err(StateError::Differs { differences })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory as the kernel shows it.
    struct Shown(Places);

    impl Shown {
        fn new(name: &str) -> Self {
            let root =
                std::env::temp_dir().join(format!("gambeson-state-{}-{name}", std::process::id()));
            let places = Places {
                apparmor: root,
                ..Places::default()
            };
            fs::create_dir_all(places.profiles()).unwrap();
            Self(places)
        }

        fn profile(&self, folder: &str, name: &str, mode: &str, content: Option<&[u8]>) {
            let folder = self.0.profiles().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("name"), format!("{name}\n")).unwrap();
            fs::write(folder.join("mode"), format!("{mode}\n")).unwrap();
            if let Some(content) = content {
                fs::write(folder.join("raw_data"), content).unwrap();
            }
        }

        fn differences(&self, sections: &[Section]) -> Vec<Difference> {
            match compare(loaded(&self.0, "web").unwrap(), sections, b"blob") {
                Ok(_) => Vec::new(),
                Err(StateError::Differs { differences }) => differences,
                Err(error) => panic!("{error}"),
            }
        }
    }

    impl Drop for Shown {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.apparmor);
        }
    }

    fn sections(names: &[&str]) -> Vec<Section> {
        let section = |name: &&str| Section {
            name: (*name).to_owned(),
            class: 0,
            classes: vec![0],
            program: b"/x".to_vec(),
        };
        names.iter().map(section).collect()
    }

    #[test]
    fn what_is_as_applied_is_confirmed() {
        let shown = Shown::new("same");
        shown.profile("web.3", "web", "enforce", Some(b"blob"));
        shown.profile("web.3/profiles/bash.4", "bash", "enforce", Some(b"blob"));
        shown.profile("website.5", "website", "complain", None);
        let loaded = loaded(&shown.0, "web").unwrap();
        let confirmed = compare(loaded, &sections(&["web", "web//bash"]), b"blob").unwrap();
        assert_eq!(confirmed.content, Content::Same);
        assert_eq!(confirmed.profiles.len(), 2);
    }

    #[test]
    fn every_difference_is_told() {
        let shown = Shown::new("differs");
        shown.profile("web.3", "web", "complain", Some(b"blob"));
        shown.profile("web.3/profiles/old.4", "old", "enforce", Some(b"other"));
        let name = |name: &str| name.to_owned();
        assert_eq!(
            shown.differences(&sections(&["web", "web//bash"])),
            [
                Difference::Missing {
                    name: name("web//bash")
                },
                Difference::Mode {
                    name: name("web"),
                    mode: Mode::Complain
                },
                Difference::Unknown {
                    name: name("web//old")
                },
            ]
        );
        shown.profile("web.3", "web", "enforce", Some(b"changed"));
        let differences = shown.differences(&sections(&["web", "web//old"]));
        assert_eq!(differences[0], Difference::Content { name: name("web") });
    }

    #[test]
    fn a_kernel_that_shows_no_content_is_told_apart() {
        let shown = Shown::new("hidden");
        shown.profile("web.3", "web", "enforce", None);
        let loaded = loaded(&shown.0, "web").unwrap();
        let confirmed = compare(loaded, &sections(&["web"]), b"blob").unwrap();
        assert_eq!(confirmed.content, Content::NotShown);
    }
}
