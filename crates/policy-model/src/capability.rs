//! Linux capabilities.

use std::fmt;

/// A Linux capability, by its number in `linux/capability.h`.
///
/// ```
/// use gambeson_policy_model::Capability;
/// let raw = Capability::from_name("CAP_NET_RAW").unwrap();
/// assert_eq!((raw.name(), raw.number()), ("net_raw", 13));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Capability(u8);

/// Names without `CAP_`, in the order of their numbers (`linux/capability.h`, Linux 6.12).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// How many of them KubeArmor's schema accepts: those up to `mac_admin`.
const IN_SCHEMA: u8 = 34;

impl Capability {
    /// How many capabilities there are.
    pub const COUNT: usize = NAMES.len();

    /// Every capability, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        (0u8..).take(NAMES.len()).map(Self)
    }

    /// The capability with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        (usize::from(number) < NAMES.len()).then_some(Self(number))
    }

    /// The capability with this name, with or without `CAP_`, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let bare = match name.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("cap_") => name.get(4..)?,
            _ => name,
        };
        Self::all().find(|capability| capability.name().eq_ignore_ascii_case(bare))
    }

    /// The kernel's name without `CAP_`, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    /// The number in `linux/capability.h`.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether KubeArmor's schema accepts it in a policy (`api/security.kubearmor.com/v1/common.go`).
    #[must_use]
    pub const fn in_kubearmor_schema(self) -> bool {
        self.0 < IN_SCHEMA
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
