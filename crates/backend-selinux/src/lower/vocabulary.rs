//! The kernel's object classes and permissions, as far as modules speak of them.

/// Classes of objects that have a path.
pub(crate) const FILE_CLASSES: [&str; 7] = [
    "file",
    "dir",
    "lnk_file",
    "chr_file",
    "blk_file",
    "sock_file",
    "fifo_file",
];

/// Permissions common to all of them.
pub(crate) const FILE_COMMON: &str = "ioctl read write create getattr setattr lock relabelfrom relabelto append map \
     unlink link rename execute quotaon mounton audit_access open execmod watch watch_mount watch_sb \
     watch_with_perm watch_reads";

/// Permissions that files and directories have besides.
pub(crate) const FILE_OWN: [(&str, &str); 2] = [
    ("file", "execute_no_trans entrypoint"),
    ("dir", "add_name remove_name reparent search rmdir"),
];

/// A set of permissions by class.
pub(crate) type Permissions = &'static [(&'static str, &'static str)];

/// What is no event: looking at a file, and keeping a directory's list of names. What matters for new
/// and vanishing names is the file's own label.
pub(crate) const ALWAYS: Permissions = &[
    ("file", "getattr ioctl lock map watch watch_reads"),
    (
        "dir",
        "getattr ioctl lock search write remove_name watch watch_reads",
    ),
    ("lnk_file", "getattr read"),
    ("chr_file", "getattr ioctl lock map"),
    ("blk_file", "getattr ioctl lock map"),
    ("sock_file", "getattr ioctl lock"),
    ("fifo_file", "getattr ioctl lock"),
];

/// Opening for reading.
pub(crate) const READ: Permissions = &[
    ("file", "read open"),
    ("dir", "read open"),
    ("chr_file", "read open"),
    ("blk_file", "read open"),
    ("sock_file", "read open"),
    ("fifo_file", "read open"),
];

/// Changing a file, its name or its metadata.
pub(crate) const WRITE: Permissions = &[
    ("file", "write append create unlink link rename setattr"),
    ("dir", "create unlink link rmdir setattr"),
    ("lnk_file", "write append create unlink link rename setattr"),
    ("chr_file", "write append create unlink link rename setattr"),
    ("blk_file", "write append create unlink link rename setattr"),
    (
        "sock_file",
        "write append create unlink link rename setattr",
    ),
    (
        "fifo_file",
        "write append create unlink link rename setattr",
    ),
];

/// Bringing a name into a directory: that of a new file is judged by its label, that of a file that is
/// moved there is not.
pub(crate) const ADD: Permissions = &[("dir", "add_name")];

/// Renaming a directory.
pub(crate) const RENAME: Permissions = &[("dir", "rename reparent")];

/// Mapping executable.
pub(crate) const MAP: Permissions = &[("file", "execute execmod"), ("chr_file", "execute")];

/// Executing without changing the domain.
pub(crate) const EXEC: Permissions = &[("file", "execute_no_trans")];

/// Being entered by a program: the kernel maps it for the new domain, which can't open it for that.
pub(crate) const ENTER: Permissions = &[("file", "entrypoint getattr read map execute")];

/// What an audited reading is told by.
pub(crate) const READ_AUDIT: Permissions = &[
    ("file", "open"),
    ("dir", "open"),
    ("chr_file", "open"),
    ("blk_file", "open"),
    ("fifo_file", "open"),
];

/// What an audited exec that changes the domain is told by.
pub(crate) const EXEC_AUDIT: Permissions = &[("file", "execute")];

/// Permissions of sockets that rules judge.
pub(crate) const SOCKET_JUDGED: &str = "create bind connect listen accept";

/// Permissions of sockets that are no event.
pub(crate) const SOCKET_ALWAYS: &str =
    "ioctl read write getattr setattr lock append map getopt setopt shutdown recvfrom sendto";

/// Permissions common to all sockets.
pub(crate) const SOCKET_COMMON: &str = "ioctl read write create getattr setattr lock relabelfrom relabelto append map \
     bind connect listen accept getopt setopt shutdown recvfrom sendto name_bind";

/// Socket classes that have permissions of their own.
pub(crate) const SOCKET_OWN: [(&str, &str); 6] = [
    ("tcp_socket", "node_bind name_connect"),
    ("udp_socket", "node_bind"),
    ("rawip_socket", "node_bind"),
    ("icmp_socket", "node_bind"),
    ("sctp_socket", "node_bind name_connect association"),
    ("dccp_socket", "node_bind name_connect"),
];

/// Classes of the families that only `all` matches. Families outside the class are not among them: what a
/// whole policy doesn't know is allowed.
pub(crate) const OTHER_SOCKETS: [&str; 28] = [
    "socket",
    "appletalk_socket",
    "ax25_socket",
    "ipx_socket",
    "netrom_socket",
    "atmpvc_socket",
    "x25_socket",
    "rose_socket",
    "decnet_socket",
    "atmsvc_socket",
    "rds_socket",
    "irda_socket",
    "pppox_socket",
    "llc_socket",
    "can_socket",
    "tipc_socket",
    "bluetooth_socket",
    "iucv_socket",
    "rxrpc_socket",
    "isdn_socket",
    "phonet_socket",
    "ieee802154_socket",
    "caif_socket",
    "nfc_socket",
    "vsock_socket",
    "kcm_socket",
    "qipcrtr_socket",
    "smc_socket",
];

/// Processes: what a workload may do to its own processes.
pub(crate) const PROCESS_OWN: &str = "fork sigchld sigkill sigstop signull signal ptrace getsched setsched getsession \
     getpgid setpgid getcap setcap share getattr noatsecure siginh setrlimit rlimitinh execmem execstack \
     execheap getrlimit";

/// What it may do to others.
pub(crate) const PROCESS_OTHERS: &str =
    "sigchld sigkill sigstop signull signal getsched getsession getpgid getcap getattr getrlimit";

/// All permissions of processes.
pub(crate) const PROCESS_ALL: &str = "fork transition sigchld sigkill sigstop signull signal ptrace getsched setsched \
     getsession getpgid setpgid getcap setcap share getattr setexec setfscreate noatsecure siginh \
     setrlimit rlimitinh dyntransition setcurrent execmem execstack execheap setkeycreate setsockcreate \
     getrlimit";

/// Capabilities from 0 to 31, in the order of their numbers.
pub(crate) const CAPABILITIES: usize = 32;
