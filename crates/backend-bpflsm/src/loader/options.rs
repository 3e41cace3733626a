//! What an embedder can choose.

use std::path::PathBuf;

use gambeson_matcher::backend::Require;
use gambeson_policy_model::Class;

use crate::abi;

/// How the programs are loaded.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to pin programs, links and maps, so that enforcement outlives the process: a directory
    /// in a bpffs, which is made for root alone. Without it, enforcement ends with the [`Enforcer`](super::Enforcer).
    pub pin: Option<PathBuf>,
    /// Pieces of working memory; rounded up to a power of two from 64 to 1024. By default four for
    /// each CPU.
    pub scratch: Option<u32>,
    /// Size of the ring buffer of events in bytes; rounded up to a power of two, a page at least.
    pub ring_bytes: u32,
    /// Whether maps, programs and pins are kept from tasks under policy.
    pub protect: bool,
    /// Whether to prove at load that programs run and aren't skipped.
    pub self_test: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pin: None,
            scratch: None,
            ring_bytes: 4 << 20,
            protect: true,
            self_test: true,
        }
    }
}

/// What a policy is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The processes of a cgroup and of those below it, unless one of these is bound itself. The path is that
    /// of a directory of the cgroup file system, version 2.
    Cgroup(PathBuf),
    /// Every process that is in no bound cgroup and not exempt. This process is exempted.
    Host,
}

/// What a denied operation fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Errno {
    /// `EPERM`, operation not permitted.
    #[default]
    Eperm,
    /// `EACCES`, permission denied: as with KubeArmor.
    Eacces,
}

/// Whether the workload may mount. A bind mount gives a file another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mounts {
    /// Not where rules on files or programs can deny.
    #[default]
    Deny,
    /// Always.
    Allow,
}

/// How a policy is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindOptions {
    /// How closely the policy must be carried out for it to be bound at all; replacing it asks for
    /// the same.
    pub require: Require,
    /// What a denied operation fails with.
    pub errno: Errno,
    /// Whether the workload may mount.
    pub mounts: Mounts,
    /// The classes of which allowed events are reported, too.
    pub visibility: Vec<Class>,
    /// Never deny: what would be denied passes, and is reported as such.
    pub observe: bool,
    /// At most so many events a second; `None` for all.
    pub rate: Option<u32>,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self {
            require: Require::Strict,
            errno: Errno::default(),
            mounts: Mounts::default(),
            visibility: Vec::new(),
            observe: false,
            rate: None,
        }
    }
}

/// The programs pass over these bits: they are kept for a loader that adopts.
const REQUIRE_SHIFT: u32 = 28;

impl BindOptions {
    /// The workload's `settings`.
    pub(super) fn settings(&self) -> u32 {
        let mut settings = match self.require {
            Require::Exact => 2,
            Require::Strict => 0,
            Require::BestEffort => 1,
        } << REQUIRE_SHIFT;
        if self.errno == Errno::Eacces {
            settings |= abi::SET_EACCES;
        }
        if self.mounts == Mounts::Allow {
            settings |= abi::SET_MOUNTS_ALLOWED;
        }
        if self.observe {
            settings |= abi::SET_OBSERVE;
        }
        for class in &self.visibility {
            settings |= 1 << (abi::SET_VISIBLE_SHIFT + *class as u32);
        }
        settings
    }
}

/// What the settings of a workload require.
pub(super) fn require_of(settings: u32) -> Require {
    match settings >> REQUIRE_SHIFT {
        2 => Require::Exact,
        1 => Require::BestEffort,
        _ => Require::Strict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_is_what_the_programs_see() {
        assert_eq!(BindOptions::default().settings(), 0);
        let options = BindOptions {
            require: Require::Exact,
            errno: Errno::Eacces,
            mounts: Mounts::Allow,
            visibility: vec![Class::Process, Class::Presets],
            observe: true,
            rate: None,
        };
        assert_eq!(options.settings() & 0x0fff_ffff, 0b111 | 1 << 8 | 1 << 15);
        for require in [Require::Exact, Require::Strict, Require::BestEffort] {
            let options = BindOptions {
                require,
                ..BindOptions::default()
            };
            assert_eq!(require_of(options.settings()), require);
        }
    }
}
