//! The kernel's hooks: which events of the decision model each carries, and what is lost without it.

use gambeson_matcher::backend::Outcome;
use gambeson_policy_model::{Class, Preset};

use crate::abi;
use crate::support::KernelVersion;

/// An LSM hook that programs are attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// The kernel's name of it, as in `bpf_lsm_<name>`.
    pub name: &'static str,
    /// Its number in events; `None` where it reports none.
    pub number: Option<u8>,
    /// The first kernel on which programs can be attached to it.
    pub since: KernelVersion,
    /// What carries its events on older kernels.
    pub before: Before,
    /// What it carries.
    pub carries: &'static [Carried],
}

/// What carries a hook's events on kernels that don't have it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing: they pass.
    Nothing,
    /// These hooks.
    Hooks(&'static [&'static str]),
    /// Such kernels have no such operation.
    NoSuchOperation,
}

/// Events that a hook carries, and what becomes of rules without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// The rules that they are judged by.
    pub rules: Rules,
    /// The events, as a report names them.
    pub what: &'static str,
    /// What becomes of a denying rule where the hook is missing.
    pub missing: Outcome,
}

/// Some of a policy's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Those of a class.
    Of(Class),
    /// Those about a kernel situation.
    About(Preset),
    /// Those that are conditioned on arguments.
    AllowedArgs,
    /// All that name paths, taken together.
    Paths,
}

impl Hook {
    /// The hook with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<&'static Self> {
        HOOKS.iter().find(|hook| hook.name == name)
    }

    /// The hook with this number in events.
    #[must_use]
    pub fn from_number(number: u8) -> Option<&'static Self> {
        HOOKS.iter().find(|hook| hook.number == Some(number))
    }
}

/// The first kernel with LSM programs.
const FIRST: KernelVersion = KernelVersion::new(5, 7);

const fn hook(name: &'static str, number: u8, carries: &'static [Carried]) -> Hook {
    Hook {
        name,
        number: Some(number),
        since: FIRST,
        before: Before::Nothing,
        carries,
    }
}

impl Hook {
    const fn since(mut self, major: u16, minor: u16, before: Before) -> Self {
        self.since = KernelVersion::new(major, minor);
        self.before = before;
        self
    }

    const fn unnumbered(mut self) -> Self {
        self.number = None;
        self
    }
}

const fn all(rules: Rules, what: &'static str) -> Carried {
    Carried {
        rules,
        what,
        missing: Outcome::Unenforced,
    }
}

const fn some(rules: Rules, what: &'static str) -> Carried {
    Carried {
        rules,
        what,
        missing: Outcome::Looser,
    }
}

const FILE: Rules = Rules::Of(Class::File);
const PROCESS: Rules = Rules::Of(Class::Process);
const NETWORK: Rules = Rules::Of(Class::Network);
const CAPABILITIES: Rules = Rules::Of(Class::Capabilities);
const MOUNTING: &[Carried] = &[some(Rules::Paths, "mounts that rename a path")];

/// Every hook, in the order of numbers; then those that report nothing.
pub const HOOKS: &[Hook] = &[
    hook(
        "file_open",
        abi::HOOK_FILE_OPEN,
        &[
            all(FILE, "opening files"),
            all(Rules::About(Preset::ProtectEnv), "reading environments"),
            all(
                Rules::About(Preset::ProtectProc),
                "reading other processes' entries",
            ),
        ],
    ),
    hook(
        "file_receive",
        abi::HOOK_FILE_RECEIVE,
        &[some(FILE, "files received from other processes")],
    ),
    hook(
        "file_truncate",
        abi::HOOK_FILE_TRUNCATE,
        &[some(FILE, "truncating opened files")],
    )
    .since(6, 2, Before::Hooks(&["path_truncate"])),
    hook(
        "path_truncate",
        abi::HOOK_PATH_TRUNCATE,
        &[some(FILE, "truncating files")],
    ),
    hook(
        "mmap_file",
        abi::HOOK_MMAP_FILE,
        &[
            some(PROCESS, "mapping files executable"),
            some(FILE, "shared writable mappings"),
            all(
                Rules::About(Preset::AnonymousMapExec),
                "mapping memory executable",
            ),
        ],
    ),
    hook(
        "file_mprotect",
        abi::HOOK_FILE_MPROTECT,
        &[
            some(PROCESS, "making mappings executable"),
            some(FILE, "making shared mappings writable"),
            some(
                Rules::About(Preset::AnonymousMapExec),
                "making memory executable",
            ),
        ],
    ),
    hook(
        "path_unlink",
        abi::HOOK_PATH_UNLINK,
        &[some(FILE, "removing files")],
    ),
    hook(
        "path_rmdir",
        abi::HOOK_PATH_RMDIR,
        &[some(FILE, "removing directories")],
    ),
    hook(
        "path_mkdir",
        abi::HOOK_PATH_MKDIR,
        &[some(FILE, "making directories")],
    ),
    hook(
        "path_mknod",
        abi::HOOK_PATH_MKNOD,
        &[some(FILE, "making files and nodes")],
    ),
    hook(
        "path_symlink",
        abi::HOOK_PATH_SYMLINK,
        &[some(FILE, "making symbolic links")],
    ),
    hook(
        "path_link",
        abi::HOOK_PATH_LINK,
        &[some(FILE, "making hard links")],
    ),
    hook(
        "path_rename",
        abi::HOOK_PATH_RENAME,
        &[some(FILE, "renaming")],
    ),
    hook(
        "path_chmod",
        abi::HOOK_PATH_CHMOD,
        &[some(FILE, "changing modes")],
    ),
    // Its arguments are structures, which programs could not be passed before.
    hook(
        "path_chown",
        abi::HOOK_PATH_CHOWN,
        &[some(FILE, "changing owners")],
    )
    .since(6, 1, Before::Nothing),
    hook(
        "inode_setattr",
        abi::HOOK_INODE_SETATTR,
        &[some(FILE, "changing times")],
    ),
    hook(
        "inode_setxattr",
        abi::HOOK_INODE_SETXATTR,
        &[some(FILE, "setting extended attributes")],
    ),
    hook(
        "inode_removexattr",
        abi::HOOK_INODE_REMOVEXATTR,
        &[some(FILE, "removing extended attributes")],
    ),
    hook(
        "inode_set_acl",
        abi::HOOK_INODE_SET_ACL,
        &[some(FILE, "setting access control lists")],
    )
    .since(6, 2, Before::Hooks(&["inode_setxattr"])),
    hook(
        "inode_remove_acl",
        abi::HOOK_INODE_REMOVE_ACL,
        &[some(FILE, "removing access control lists")],
    )
    .since(6, 2, Before::Hooks(&["inode_removexattr"])),
    hook(
        "file_ioctl",
        abi::HOOK_FILE_IOCTL,
        &[some(FILE, "setting attribute flags")],
    ),
    hook(
        "unix_stream_connect",
        abi::HOOK_UNIX_CONNECT,
        &[some(FILE, "connecting to Unix sockets")],
    ),
    hook(
        "unix_may_send",
        abi::HOOK_UNIX_SEND,
        &[some(FILE, "sending to Unix sockets")],
    ),
    hook(
        "bprm_check_security",
        abi::HOOK_BPRM_CHECK,
        &[
            all(PROCESS, "executing files"),
            all(
                Rules::About(Preset::FilelessExec),
                "executing files without a name",
            ),
        ],
    ),
    hook(
        "bprm_committed_creds",
        abi::HOOK_BPRM_COMMITTED,
        &[all(Rules::AllowedArgs, "judging arguments")],
    ),
    hook(
        "socket_create",
        abi::HOOK_SOCKET_CREATE,
        &[all(NETWORK, "creating sockets")],
    ),
    hook(
        "socket_bind",
        abi::HOOK_SOCKET_BIND,
        &[some(NETWORK, "binding sockets")],
    ),
    hook(
        "socket_connect",
        abi::HOOK_SOCKET_CONNECT,
        &[some(NETWORK, "connecting sockets")],
    ),
    hook(
        "socket_listen",
        abi::HOOK_SOCKET_LISTEN,
        &[some(NETWORK, "listening")],
    ),
    hook(
        "socket_accept",
        abi::HOOK_SOCKET_ACCEPT,
        &[some(NETWORK, "accepting connections")],
    ),
    // Sending is no event of the decision model.
    hook("socket_sendmsg", abi::HOOK_SOCKET_SENDMSG, &[]),
    hook(
        "capable",
        abi::HOOK_CAPABLE,
        &[all(CAPABILITIES, "using capabilities")],
    ),
    hook("sb_mount", abi::HOOK_SB_MOUNT, MOUNTING),
    hook("move_mount", abi::HOOK_MOVE_MOUNT, MOUNTING),
    hook("sb_umount", abi::HOOK_SB_UMOUNT, MOUNTING),
    hook("sb_pivotroot", abi::HOOK_SB_PIVOTROOT, MOUNTING),
    // Mounting anew with other flags renames nothing.
    hook("sb_remount", abi::HOOK_SB_REMOUNT, &[]),
    hook(
        "bprm_creds_for_exec",
        abi::HOOK_BPRM_CREDS,
        &[some(PROCESS, "asking whether a file may be executed")],
    ),
    hook(
        "file_ioctl_compat",
        0,
        &[some(FILE, "setting attribute flags from 32-bit programs")],
    )
    .since(6, 8, Before::Hooks(&["file_ioctl"]))
    .unnumbered(),
    hook(
        "inode_file_setattr",
        0,
        &[some(FILE, "setting attribute flags by their system call")],
    )
    .since(6, 17, Before::NoSuchOperation)
    .unnumbered(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_of_the_interface_is_told_of_once() {
        let of_interface = abi::CONSTANTS
            .iter()
            .filter(|(name, _)| name.starts_with("GB_HOOK_"));
        for (name, number) in of_interface.clone() {
            let found: Vec<&Hook> = HOOKS
                .iter()
                .filter(|hook| hook.number.map(u64::from) == Some(*number))
                .collect();
            assert_eq!(found.len(), 1, "{name}");
        }
        let numbered = HOOKS.iter().filter(|hook| hook.number.is_some()).count();
        assert_eq!(numbered, of_interface.count());
    }

    #[test]
    fn hooks_that_stand_in_exist_earlier() {
        for hook in HOOKS {
            if let Before::Hooks(names) = hook.before {
                for name in names {
                    let other = Hook::from_name(name).expect("a hook");
                    assert!(other.since < hook.since, "{name}");
                }
            }
        }
    }
}
