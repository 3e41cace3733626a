//! Default postures: what decides where a class is in allow-list mode and no rule grants or denies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::decision::Verdict;
use crate::rule::Class;

/// One posture for each group of classes, where given.
///
/// ```
/// use gambeson_policy_model::{Class, Postures, Verdict};
/// let given: Postures = "file=block,network=audit".parse()?;
/// assert_eq!(given.of(Class::Process), Verdict::Block);
/// assert_eq!(given.of(Class::Capabilities), Verdict::Audit);
/// # Ok::<(), gambeson_policy_model::PostureError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Postures {
    /// Files and processes.
    pub file: Option<Verdict>,
    /// Sockets and DNS.
    pub network: Option<Verdict>,
    /// Capabilities.
    pub capabilities: Option<Verdict>,
    /// USB devices of a host.
    pub device: Option<Verdict>,
}

/// A posture that isn't one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PostureError {
    /// No `=` in an item.
    #[error("`{item}` is not of the form `class=posture`")]
    NotAPair {
        /// The item as given.
        item: String,
    },
    /// An unknown class.
    #[error("`{class}` has no posture; file, network, capabilities and device have one")]
    UnknownClass {
        /// The class as given.
        class: String,
    },
    /// An unknown posture.
    #[error("`{posture}` is not a posture; write allow, audit or block")]
    UnknownPosture {
        /// The posture as given.
        posture: String,
    },
}

/// `allow`, `audit` or `block`, in any case.
///
/// # Errors
/// When the text is none of the three.
pub fn parse_posture(text: &str) -> Result<Verdict, PostureError> {
    [Verdict::Allow, Verdict::Audit, Verdict::Block]
        .into_iter()
        .find(|verdict| verdict.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| PostureError::UnknownPosture {
            posture: text.to_owned(),
        })
}

impl Postures {
    /// The posture of a class: process takes file's, DNS takes network's, and the default is Audit.
    #[must_use]
    pub fn of(&self, class: Class) -> Verdict {
        match class {
            Class::Process | Class::File => self.file,
            Class::Network | Class::Dns => self.network,
            Class::Capabilities => self.capabilities,
            Class::Devices => self.device,
            Class::Syscalls | Class::Presets => None,
        }
        .unwrap_or(Verdict::Audit)
    }

    /// These postures, and `fallback`'s where these give none.
    #[must_use]
    pub fn or(self, fallback: Self) -> Self {
        Self {
            file: self.file.or(fallback.file),
            network: self.network.or(fallback.network),
            capabilities: self.capabilities.or(fallback.capabilities),
            device: self.device.or(fallback.device),
        }
    }

    /// Sets the posture of one of `file`, `network`, `capabilities` and `device`.
    ///
    /// # Errors
    /// When the class has no posture or the posture is none.
    pub fn set(&mut self, class: &str, posture: &str) -> Result<(), PostureError> {
        let slot = match class {
            "file" => &mut self.file,
            "network" => &mut self.network,
            "capabilities" => &mut self.capabilities,
            "device" => &mut self.device,
            _ => {
                return Err(PostureError::UnknownClass {
                    class: class.to_owned(),
                });
            }
        };
        *slot = Some(parse_posture(posture)?);
        Ok(())
    }

    /// Reads the namespace annotations `kubearmor-file-posture`, `kubearmor-network-posture` and
    /// `kubearmor-capabilities-posture`. As in KubeArmor, a value that is no posture counts as
    /// not given.
    #[must_use]
    pub fn from_annotations<'a>(annotations: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut postures = Self::default();
        for (key, value) in annotations {
            if let Some(class) = annotated_class(key) {
                // Ignored on purpose: see above.
                let _ = postures.set(class, value);
            }
        }
        postures
    }
}

impl FromStr for Postures {
    type Err = PostureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut postures = Self::default();
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let (class, posture) = item.split_once('=').ok_or_else(|| PostureError::NotAPair {
                item: item.to_owned(),
            })?;
            postures.set(class.trim(), posture.trim())?;
        }
        Ok(postures)
    }
}

/// What the pod's annotation `kubearmor-policy` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enforcement {
    /// Policies are carried out.
    #[default]
    Enabled,
    /// A Block becomes a report: what would be denied passes, with verdict Audit.
    Audited,
    /// No policy applies.
    Disabled,
}

impl Enforcement {
    /// The value of the annotation.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "enabled" => Some(Self::Enabled),
            "audited" => Some(Self::Audited),
            "disabled" => Some(Self::Disabled),
            _ => None,
        }
    }
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enabled => "enabled",
            Self::Audited => "audited",
            Self::Disabled => "disabled",
        })
    }
}

/// The class whose posture a namespace's annotation gives, such as `file`.
pub(crate) fn annotated_class(key: &str) -> Option<&str> {
    key.strip_prefix("kubearmor-")?.strip_suffix("-posture")
}
