//! How policies are lowered.

use crate::name::ProfileName;
use crate::profile::{Profile, Section};

/// How policies are lowered.
///
/// ```
/// use gambeson_backend_apparmor::{Mounts, Options};
/// let options = Options::named("gambeson.web".parse()?).mounts(Mounts::Allow);
/// assert_eq!(options.name.as_str(), "gambeson.web");
/// # Ok::<(), gambeson_backend_apparmor::ProfileNameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Options {
    /// What the profile is called.
    pub name: ProfileName,
    /// Whether the workload may mount.
    pub mounts: Mounts,
    /// What becomes of policies' own AppArmor rules.
    pub native: Native,
    /// The profiles that these ones take the place of: see [`Options::after`].
    pub earlier: Vec<Section>,
}

/// Whether a workload may mount. A mount gives files other paths, under which rules don't know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mounts {
    /// Not where rules on files or programs can deny.
    #[default]
    DenyWhereRulesDeny,
    /// Always.
    Allow,
}

/// What becomes of the `apparmor:` text of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Native {
    /// It becomes part of the profile, as far as it can be read.
    #[default]
    Merge,
    /// It is left out, and that is reported.
    LeaveOut,
}

impl Options {
    /// The defaults under a name.
    #[must_use]
    pub fn named(name: ProfileName) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// Sets whether the workload may mount.
    #[must_use]
    pub const fn mounts(mut self, mounts: Mounts) -> Self {
        self.mounts = mounts;
        self
    }

    /// For profiles that take the place of others of the same name, under which processes may be.
    ///
    /// A kernel keeps those below a workload's own profile that the new ones don't name, with their old
    /// rules. So names are kept where they are for the same programs, are never given to other ones, and a
    /// name that isn't needed any more stays, with the rules that now hold for its programs.
    #[must_use]
    pub fn after(mut self, earlier: &Profile) -> Self {
        self.earlier = earlier.sections().iter().skip(1).cloned().collect();
        self
    }

    /// Sets what becomes of policies' own AppArmor rules.
    #[must_use]
    pub const fn native(mut self, native: Native) -> Self {
        self.native = native;
        self
    }
}
