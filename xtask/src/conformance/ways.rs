//! The ways in which the actor does things, and what each needs around it.

/// What has to be at the path that a way works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// A file.
    File,
    /// A program.
    Program,
    /// A script; its interpreter is the second event's program.
    Script,
    /// A directory.
    Directory,
    /// Nothing, in a directory.
    Absent,
    /// Nothing that the stage makes: there is no path, or the actor makes it.
    Nothing,
}

/// What an errno says that is neither EPERM nor EACCES.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The operation could not be done: the scenario or the kernel is at fault.
    Broken,
    /// The operation got past every check: nobody listens, or the kernel lacks the thing itself.
    Passed,
}

/// One way.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Its name: what a step's `do` says.
    pub name: &'static str,
    /// What is at the path.
    pub object: Object,
    /// What is at the second path.
    pub second: Object,
    /// What another errno says.
    pub failure: Failure,
    /// Whether it needs `/proc`.
    pub proc: bool,
}

const fn way(name: &'static str, object: Object) -> Way {
    Way {
        name,
        object,
        second: Object::Nothing,
        failure: Failure::Broken,
        proc: false,
    }
}

impl Way {
    const fn to(self, second: Object) -> Self {
        Self { second, ..self }
    }

    const fn proc(self) -> Self {
        Self { proc: true, ..self }
    }

    const fn may_fail(self) -> Self {
        Self {
            failure: Failure::Passed,
            ..self
        }
    }

    /// The way of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        WAYS.iter().find(|way| way.name == name)
    }
}

use Object::{Absent, Directory, File, Nothing, Program, Script};

/// Every way.
pub const WAYS: &[Way] = &[
    // Opening a file.
    way("open", File),
    way("open-write", File),
    way("open-both", File),
    way("open-append", File),
    way("open-create", Absent),
    way("creat", Absent),
    way("open-truncate", File),
    way("open-write-truncate", File),
    way("open-directory", Directory),
    way("open-temporary", Directory),
    way("open-path-only", File),
    way("openat", File),
    way("openat2", File),
    way("openat2-write", File),
    way("open-dotted", File),
    way("open-proc-root", File).proc(),
    way("reopen", File).proc(),
    way("reopen-write", File).proc(),
    way("reopen-memfd", Nothing).proc(),
    way("reopen-memfd-write", Nothing).proc(),
    way("reopen-pipe", Nothing).proc(),
    way("reopen-pipe-write", Nothing).proc(),
    way("reopen-deleted", File).proc(),
    way("reopen-deleted-write", File).proc(),
    way("open-by-handle", File),
    way("open-by-handle-write", File),
    // Using a descriptor of before the policy, or another process's.
    way("read-inherited", File),
    way("write-inherited", File),
    way("receive", File),
    way("receive-write", File),
    way("pidfd-getfd", File),
    // Size and content.
    way("truncate", File),
    way("ftruncate", File),
    way("fallocate", File),
    way("fallocate-inherited", File),
    way("mmap-shared-write", File),
    way("mmap-shared-read", File),
    way("mmap-private-write", File),
    way("mprotect-shared-write", File),
    way("stat", File),
    way("access", File),
    way("chdir", Directory),
    way("readlink", Nothing),
    way("copy", File).to(Absent),
    // Names.
    way("rename", File).to(Absent),
    way("rename-exchange", File).to(File),
    way("rename-noreplace", File).to(Absent),
    way("rename-whiteout", File).to(Absent),
    way("link", File).to(Absent),
    way("link-descriptor", File).to(Absent).proc(),
    way("link-empty", File).to(Absent),
    way("symlink", Absent),
    way("mknod", Absent),
    way("mknod-file", Absent),
    way("mkfifo", Absent),
    way("mkdir", Absent),
    way("rmdir", Directory),
    way("unlink", File),
    // Metadata.
    way("chmod", File),
    way("fchmod", File),
    way("fchmodat", File),
    way("chown", File),
    way("lchown", File),
    way("fchown", File),
    way("setxattr", File),
    way("lsetxattr", File),
    way("fsetxattr", File),
    way("removexattr", File),
    way("set-acl", File),
    way("remove-acl", File),
    way("utimensat", File),
    way("utimensat-now", File),
    way("futimens", File),
    way("chattr", File),
    // Unix sockets with a path.
    way("unix-connect", Absent),
    way("unix-connect-datagram", Absent),
    way("unix-send", Absent),
    way("unix-send-connected", Absent),
    way("unix-bind", Absent),
    // Executing.
    way("execve", Program),
    way("script", Script),
    way("execveat", Program),
    way("execve-relative", Program),
    way("execveat-empty", Program),
    way("exec-proc-fd", Program).proc(),
    way("exec-memfd", Nothing),
    way("exec-memfd-proc", Nothing).proc(),
    way("exec-deleted", Program),
    way("ld-so", Program),
    // Mapping code.
    way("mmap-exec", Program),
    way("mmap-exec-shared", Program),
    way("mmap-exec-only", Program),
    way("open-mmap-exec", Program),
    way("mmap-exec-implied", Program),
    way("mprotect-exec", Program),
    way("mmap-exec-memfd", Nothing),
    way("mmap-anonymous-exec", Nothing),
    way("mprotect-anonymous-exec", Nothing),
    // Going on as another program.
    way("become", Nothing),
    // Sockets.
    way("socket", Nothing).may_fail(),
    way("socketpair", Nothing).may_fail(),
    way("connect", Nothing).may_fail(),
    way("socket-connect", Nothing).may_fail(),
    way("bind", Nothing).may_fail(),
    way("listen", Nothing).may_fail(),
    way("accept", Nothing),
    way("sendto", Nothing).may_fail(),
    way("dns-sendto", Nothing).may_fail(),
    way("dns-sendmsg", Nothing).may_fail(),
    way("dns-sendmmsg", Nothing).may_fail(),
    way("dns-write", Nothing).may_fail(),
    way("dns-tcp", Nothing).may_fail(),
    // Capabilities.
    way("capability", Nothing).may_fail().proc(),
    // Mounts.
    way("bind-mount", Nothing),
    way("mount-tmpfs", Nothing),
    way("mount-overlay", Nothing),
    way("remount", Nothing),
    way("mount-move", Nothing),
    way("umount", Nothing),
    way("umount-cover", Nothing),
    way("move-mount", Nothing),
    way("open-tree", Nothing),
    way("open-tree-write", Nothing),
    way("chroot", Nothing),
    way("pivot-root", Nothing),
    // Namespaces, cgroups and processes.
    way("unshare-mount", Nothing),
    way("unshare-user", Nothing),
    way("unshare-pid", Nothing),
    way("unshare-net", Nothing),
    way("unshare-cgroup", Nothing),
    way("setns-mount", Nothing).proc(),
    way("fork", Nothing),
    way("orphan", Nothing),
    way("cgroup-move", Nothing),
    way("cgroup-make", Nothing),
    way("ptrace", Nothing),
    way("proc-environ", Nothing).proc(),
    way("proc-environ-own", Nothing).proc(),
    way("proc-status", Nothing).proc(),
    way("proc-mem", Nothing).proc(),
    way("process-vm-writev", Nothing),
    way("open-other-root", File).proc(),
    way("nothing", Nothing),
    // By io_uring.
    way("io-uring-open", File),
    way("io-uring-open-async", File),
    way("io-uring-open-polled", File),
    way("io-uring-open-write", File),
    way("io-uring-unlink", File),
    way("io-uring-rename", File).to(Absent),
    way("io-uring-mkdir", Absent),
    way("io-uring-socket", Nothing).may_fail(),
    way("io-uring-connect", Nothing).may_fail(),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The names in the tables of the actor's sources.
    fn names_in_the_actor() -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/actor");
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let lines = text.lines().filter_map(|line| line.strip_prefix("\t{ \""));
            names.extend(lines.filter_map(|line| Some(line.split_once('"')?.0.to_owned())));
        }
        names
    }

    #[test]
    fn the_actor_knows_every_way_and_no_other() {
        let ours: BTreeSet<String> = WAYS.iter().map(|way| way.name.to_owned()).collect();
        assert_eq!(ours.len(), WAYS.len(), "a way is named twice");
        assert_eq!(ours, names_in_the_actor());
    }
}
