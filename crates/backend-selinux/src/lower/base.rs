//! The small policy that makes a module whole where there is none to put it on.

use super::cil::Writer;
use super::sockets::SocketClass;
use super::vocabulary::{
    CAPABILITIES, FILE_CLASSES, FILE_COMMON, FILE_OWN, PROCESS_ALL, SOCKET_COMMON, SOCKET_OWN,
};
use gambeson_policy_model::Capability;

/// Initial identifiers in the kernel's order, with what each is a kind of.
const SIDS: [(&str, &str); 27] = [
    ("kernel", "kernel"),
    ("security", "proc"),
    ("unlabeled", "unknown"),
    ("fs", "unknown"),
    ("file", "unknown"),
    ("file_labels", "unknown"),
    ("init", "system"),
    ("any_socket", "net"),
    ("port", "net"),
    ("netif", "net"),
    ("netmsg", "net"),
    ("node", "net"),
    ("igmp_packet", "net"),
    ("icmp_socket", "net"),
    ("tcp_socket", "net"),
    ("sysctl_modprobe", "proc"),
    ("sysctl", "proc"),
    ("sysctl_fs", "proc"),
    ("sysctl_kernel", "proc"),
    ("sysctl_net", "proc"),
    ("sysctl_net_unix", "proc"),
    ("sysctl_vm", "proc"),
    ("sysctl_dev", "proc"),
    ("kmod", "system"),
    ("policy", "unknown"),
    ("scmp_packet", "net"),
    ("devnull", "dev"),
];

/// File systems whose files carry labels.
const LABELLED: [&str; 7] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "erofs", "squashfs"];

/// File systems that keep labels in memory.
const IN_MEMORY: [&str; 4] = ["tmpfs", "shm", "hugetlbfs", "mqueue"];

/// File systems without labels of their own, and a path where each is found.
pub(crate) const UNLABELLED: [(&str, &str); 16] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("selinuxfs", "/sys/fs/selinux"),
    ("securityfs", "/sys/kernel/security"),
    ("cgroup", "/sys/fs/cgroup"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("bpf", "/sys/fs/bpf"),
    ("tracefs", "/sys/kernel/tracing"),
    ("debugfs", "/sys/kernel/debug"),
    ("pstore", "/sys/fs/pstore"),
    ("configfs", "/sys/kernel/config"),
    ("fusectl", "/sys/fs/fuse/connections"),
    ("efivarfs", "/sys/firmware/efi/efivars"),
    ("binfmt_misc", "/proc/sys/fs/binfmt_misc"),
    ("devpts", "/dev/pts"),
    ("devtmpfs", "/dev"),
];

/// Object classes in the order in which they are declared.
fn classes() -> Vec<&'static str> {
    let mut classes = vec!["security", "process", "process2", "filesystem", "fd"];
    classes.extend(FILE_CLASSES);
    classes.extend(["capability", "capability2", "cap_userns", "cap2_userns"]);
    classes.extend(SocketClass::ALL.iter().flat_map(|class| class.names()));
    classes
}

/// Declares everything up to the types.
pub(crate) fn begin(writer: &mut Writer) {
    writer.line("(handleunknown allow)");
    writer.line("(mls false)");
    for capability in [
        "network_peer_controls",
        "open_perms",
        "extended_socket_class",
        "cgroup_seclabel",
        "nnp_nosuid_transition",
        "genfs_seclabel_symlinks",
    ] {
        writer.line(&format!("(policycap {capability})"));
    }
    writer.heading("object classes that rules are about; the kernel knows them by name");
    let names: Vec<&str> = Capability::all().map(Capability::name).collect();
    let (low, high) = names.split_at(CAPABILITIES.min(names.len()));
    writer.line(&format!("(common @_file ({FILE_COMMON}))"));
    writer.line(&format!("(common @_sock ({SOCKET_COMMON}))"));
    writer.line(&format!("(common @_cap ({}))", low.join(" ")));
    writer.line(&format!("(common @_cap2 ({}))", high.join(" ")));
    writer.line(
        "(class security (compute_av compute_create compute_member check_context load_policy compute_relabel \
         compute_user setenforce setbool setsecparam setcheckreqprot read_policy validate_trans))",
    );
    writer.line(&format!("(class process ({PROCESS_ALL}))"));
    writer.line("(class process2 (nnp_transition nosuid_transition))");
    writer.line(
        "(class filesystem (mount remount unmount getattr relabelfrom relabelto associate quotamod quotaget watch))",
    );
    writer.line("(class fd (use))");
    for class in FILE_CLASSES {
        let own = FILE_OWN.iter().find(|(name, _)| *name == class);
        let own = own.map_or("", |(_, own)| own);
        writer.line(&format!(
            "(class {class} ({own})) (classcommon {class} @_file)"
        ));
    }
    for (class, common) in [
        ("capability", "cap"),
        ("capability2", "cap2"),
        ("cap_userns", "cap"),
        ("cap2_userns", "cap2"),
    ] {
        writer.line(&format!(
            "(class {class} ()) (classcommon {class} @_{common})"
        ));
    }
    for class in SocketClass::ALL.iter().flat_map(|class| class.names()) {
        let own = SOCKET_OWN.iter().find(|(name, _)| *name == class);
        let own = own.map_or("", |(_, own)| own);
        writer.line(&format!(
            "(class {class} ({own})) (classcommon {class} @_sock)"
        ));
    }
    writer.line(&format!("(classorder ({}))", classes().join(" ")));
    writer.heading("initial identifiers, in the kernel's order");
    let names: Vec<&str> = SIDS.iter().map(|(name, _)| *name).collect();
    for name in &names {
        writer.line(&format!("(sid {name})"));
    }
    writer.line(&format!("(sidorder ({}))", names.join(" ")));
    writer.heading("levels are not used, but the language wants one");
    writer.line(
        "(sensitivity s0) (sensitivityorder (s0)) (category c0) (categoryorder (c0)) (sensitivitycategory s0 (c0))",
    );
    writer.line("(level @_low (s0)) (levelrange @_range (@_low @_low))");
    writer.line("(user system_u) (role system_r) (role object_r)");
    writer.line("(userrole system_u system_r) (userrole system_u object_r)");
    writer.line("(userlevel system_u @_low) (userrange system_u @_range)");
    writer.line("(type @_system_t) (type @_kernel_t) (type @_unknown_t) (type @_net_t)");
    writer.line("(typeattribute @_all) (typeattributeset @_all (all))");
    writer.line("(roletype object_r @_all)");
    writer.line(
        "(typeattribute @_all_objects) (typeattributeset @_all_objects (@_files @_unknown_t))",
    );
}

/// Says how files get their labels.
pub(crate) fn end(writer: &mut Writer) {
    let kinds = [
        ("system", "system_r", "@_system_t".to_owned()),
        ("kernel", "system_r", "@_kernel_t".to_owned()),
        ("unknown", "object_r", "@_unknown_t".to_owned()),
        ("net", "object_r", "@_net_t".to_owned()),
        ("proc", "object_r", "@_proc_t".to_owned()),
        ("dev", "object_r", "@_devtmpfs_t".to_owned()),
    ];
    writer.heading("labels of what has none");
    for (kind, role, name) in &kinds {
        writer.line(&format!(
            "(context @_c_{kind} (system_u {role} {name} @_range))"
        ));
    }
    for (sid, kind) in SIDS {
        writer.line(&format!("(sidcontext {sid} @_c_{kind})"));
    }
    for name in LABELLED {
        writer.line(&format!("(fsuse xattr {name} @_c_unknown)"));
    }
    writer.line("(fsuse xattr overlay @_c_unknown)");
    writer.line("(fsuse task pipefs @_c_unknown) (fsuse task sockfs @_c_unknown)");
    for name in IN_MEMORY {
        writer.line(&format!("(fsuse trans {name} @_c_unknown)"));
    }
    for name in ["rootfs", "ramfs"] {
        writer.line(&format!("(genfscon {name} / @_c_unknown)"));
    }
    for (number, (name, _)) in UNLABELLED.iter().enumerate() {
        writer.line(&format!(
            "(context @_fs_{number} (system_u object_r @_{name}_t @_range))"
        ));
        if matches!(*name, "devpts" | "devtmpfs") {
            // Their files can be relabelled, too.
            writer.line(&format!("(fsuse trans {name} @_fs_{number})"));
        } else {
            writer.line(&format!("(genfscon {name} / @_fs_{number})"));
        }
    }
    writer.heading("what is under no policy may do everything");
    for class in classes() {
        writer.line(&format!("(allow @_system_t @_all ({class} (all)))"));
        writer.line(&format!("(allow @_kernel_t @_all ({class} (all)))"));
    }
    // What was started before there was any policy is taken for the kernel, whose sockets nobody judges. It
    // leaves that behind with its next program.
    writer.line("(typetransition @_kernel_t @_all_objects process @_system_t)");
    // A file of any type may lie in a file system of any type.
    writer.line("(allow @_all @_all (filesystem (associate)))");
}
