//! What a module needs to be put on top of a policy that is there, and to leave no trace when it goes.

use super::cil::Writer;
use super::contexts::FileContext;
use super::options::Base;

/// Classes outside the decision model: what a whole policy allows by not knowing them.
const OUTSIDE: [&str; 37] = [
    "unix_stream_socket",
    "unix_dgram_socket",
    "netlink_socket",
    "netlink_route_socket",
    "netlink_tcpdiag_socket",
    "netlink_nflog_socket",
    "netlink_xfrm_socket",
    "netlink_selinux_socket",
    "netlink_iscsi_socket",
    "netlink_audit_socket",
    "netlink_fib_lookup_socket",
    "netlink_connector_socket",
    "netlink_netfilter_socket",
    "netlink_dnrt_socket",
    "netlink_kobject_uevent_socket",
    "netlink_generic_socket",
    "netlink_scsitransport_socket",
    "netlink_rdma_socket",
    "netlink_crypto_socket",
    "alg_socket",
    "key_socket",
    "tun_socket",
    "sem",
    "msg",
    "msgq",
    "shm",
    "ipc",
    "key",
    "bpf",
    "perf_event",
    "io_uring",
    "user_namespace",
    "anon_inode",
    "memprotect",
    "association",
    "peer",
    "packet",
];

/// Declares what stands for objects that have none of the module's types.
pub(crate) fn begin(writer: &mut Writer, base: &Base) {
    writer.heading("objects that have labels of the policy below");
    writer.line(
        "(typeattribute @_labelled_below) (typeattribute @_foreign) (typeattribute @_all_objects)",
    );
    for attribute in &base.object_attributes {
        join(writer, "@_labelled_below", attribute);
    }
    writer.line("(typeattributeset @_foreign (and @_labelled_below (not (@_files))))");
    writer.line("(typeattributeset @_all_objects (@_labelled_below @_files))");
}

/// Makes the members of one attribute members of another, if there is such an attribute.
fn join(writer: &mut Writer, whole: &str, part: &str) {
    let begun = writer.optional("join");
    writer.line(&format!("(typeattributeset {whole} ({part}))"));
    writer.end_optional(begun);
}

/// Gives the module's types what other domains expect, and says who starts workloads.
pub(crate) fn end(writer: &mut Writer, base: &Base, entries: &[FileContext]) {
    writer.heading("what the policy below expects");
    writer.line("(roletype object_r @_files)");
    for attribute in &base.file_attributes {
        join(writer, attribute, "@_files");
    }
    for attribute in &base.domain_attributes {
        join(writer, attribute, "@_subjects");
        join(writer, "@_processes", attribute);
    }
    for attribute in ["port_type", "node_type", "netif_type"] {
        join(writer, "@_net", attribute);
    }
    let begun = writer.optional("associate");
    writer.line("(allow @_files filesystem_type (filesystem (associate)))");
    writer.end_optional(begun);
    for class in OUTSIDE {
        let begun = writer.optional(class);
        writer.line(&format!("(allow @_subjects @_processes ({class} (all)))"));
        writer.end_optional(begun);
    }
    for (class, permissions) in [("netif", "ingress egress"), ("node", "recvfrom sendto")] {
        let begun = writer.optional(class);
        writer.line(&format!(
            "(allow @_subjects @_net ({class} ({permissions})))"
        ));
        writer.end_optional(begun);
    }
    writer.heading("who starts workloads");
    for binder in &base.binders {
        let begun = writer.optional("bind");
        writer.line(&format!(
            "(allow {binder} @_subjects (process (transition sigchld sigkill sigstop signull signal getattr noatsecure siginh rlimitinh)))"
        ));
        writer.line(&format!("(allow @_subjects {binder} (process (sigchld)))"));
        writer.line(&format!("(allow @_subjects {binder} (fd (use)))"));
        writer.end_optional(begun);
    }
    writer.heading("file contexts");
    let level = base.level.as_deref().unwrap_or("s0");
    for entry in entries {
        let of = writer.type_name(entry.of);
        // Not through `line`: an expression may hold what stands for the prefix.
        writer.out.push_str(&format!(
            "(filecon \"{}\" any ({} object_r {of} (({level}) ({level}))))\n",
            entry.expression, base.user
        ));
    }
}
