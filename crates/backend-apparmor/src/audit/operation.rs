//! What the kernel calls an operation, in the model's words.

use gambeson_policy_model::{Capability, EventPath, Operation, Socket};

use super::record::Record;

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// Operations that the model judges; those of one record are one operation with two names.
    Model(Vec<Operation<'static>>),
    /// A change of what is mounted here.
    Mount(EventPath<'static>),
    /// Something that the model doesn't speak of, such as stat.
    Other,
}

/// The path of what a record names. What the kernel could not resolve has an empty name, one without a
/// slash before it, or one such as `/memfd:x//deleted`.
fn path(name: Option<&Vec<u8>>) -> EventPath<'static> {
    let path = match name {
        // Directories are told with a slash behind.
        Some(name) if name.len() > 1 => {
            let bare = name.strip_suffix(b"/").unwrap_or(name);
            EventPath::new(bare.to_vec())
        }
        Some(name) => EventPath::new(name.clone()),
        None => EventPath::UNRESOLVABLE,
    };
    if path.is_resolved() {
        path
    } else {
        EventPath::UNRESOLVABLE
    }
}

/// Families that only the kernel has names for (`include/linux/socket.h`).
const FAMILIES: [(&str, u32); 3] = [("qipcrtr", 42), ("smc", 43), ("mctp", 45)];

impl Record {
    /// The object's path. Of what it could not resolve, the kernel gives what it has.
    fn object(&self) -> EventPath<'static> {
        let lost = self
            .info
            .as_deref()
            .is_some_and(|info| info.starts_with("Failed name lookup"));
        if lost {
            EventPath::UNRESOLVABLE
        } else {
            path(self.name.as_ref())
        }
    }

    /// Whether any of these letters was asked for.
    fn asks(&self, letters: &[char]) -> bool {
        // Before and after `::` stand the letters for owner and others.
        self.requested.contains(letters)
    }

    /// What was done, in the model's words.
    pub(super) fn about(&self) -> About {
        let name = || self.object();
        let write = || Operation::Write { path: name() };
        About::Model(match self.operation.as_str() {
            "exec" => vec![Operation::Exec {
                path: name(),
                args: Vec::new(),
            }],
            "open" | "file_perm" | "file_receive" | "file_inherit" | "file_mmap"
            | "file_mprotect" | "file_lock" => self.use_of_file(),
            "mknod" | "mkdir" | "rmdir" | "unlink" | "symlink" | "truncate" | "chmod" | "chown"
            | "rename_src" | "rename_dest" => vec![write()],
            "link" => {
                let old = Operation::Write {
                    path: path(self.target.as_ref()),
                };
                vec![old, write()]
            }
            "mount" | "umount" | "pivotroot" => return About::Mount(name()),
            "capable" => {
                let number = self.capability.and_then(|number| u8::try_from(number).ok());
                match number.and_then(Capability::from_number) {
                    Some(capability) => vec![Operation::Capability(capability)],
                    None => return About::Other,
                }
            }
            _ => match self.socket() {
                Some(socket) => vec![Operation::Socket(socket)],
                None => return About::Other,
            },
        })
    }

    /// Using a file that is open, or opening it.
    fn use_of_file(&self) -> Vec<Operation<'static>> {
        let name = || self.object();
        let mut operations = Vec::new();
        if self.asks(&['m', 'x']) {
            operations.push(Operation::MapExec { path: name() });
        }
        if self.asks(&['w', 'a', 'c', 'd', 'l']) {
            operations.push(Operation::Write { path: name() });
        } else if self.asks(&['r']) {
            operations.push(Operation::Read { path: name() });
        }
        operations
    }

    fn socket(&self) -> Option<Socket> {
        let name = self.family.as_deref()?;
        let newer = FAMILIES.iter().find(|(known, _)| *known == name);
        let family = newer
            .map(|(_, number)| *number)
            .or_else(|| Socket::family_from_name(name))?;
        let kind = Socket::type_from_name(self.socket_type.as_deref()?)?;
        Some(Socket::new(family, kind, self.protocol.unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(body: &str) -> About {
        let line = format!("type=1400 audit(1.0:1): apparmor=\"DENIED\" profile=\"p\" {body}");
        Record::parse(line.as_bytes()).unwrap().unwrap().about()
    }

    fn read(path: &str) -> Operation<'_> {
        Operation::Read { path: path.into() }
    }

    fn write(path: &str) -> Operation<'_> {
        Operation::Write { path: path.into() }
    }

    #[test]
    fn opening_for_both_is_a_write() {
        let open = |mask: &str| {
            about(&format!(
                r#"operation="open" name="/f" requested_mask="{mask}""#
            ))
        };
        assert_eq!(open("r"), About::Model(vec![read("/f")]));
        for mask in ["wr", "w", "ac", "wrc"] {
            assert_eq!(open(mask), About::Model(vec![write("/f")]), "{mask}");
        }
    }

    #[test]
    fn a_link_changes_two_names_the_old_one_first() {
        assert_eq!(
            about(r#"operation="link" name="/new" target="/old" requested_mask="l""#),
            About::Model(vec![write("/old"), write("/new")])
        );
    }

    #[test]
    fn mapping_is_a_matter_of_what_is_asked_for() {
        let map = |mask: &str| {
            about(&format!(
                r#"operation="file_mmap" name="/f" requested_mask="{mask}""#
            ))
        };
        let map_exec = Operation::MapExec { path: "/f".into() };
        assert_eq!(map("rm"), About::Model(vec![map_exec, read("/f")]));
        assert_eq!(map("wr"), About::Model(vec![write("/f")]));
    }

    #[test]
    fn directories_are_told_with_a_slash() {
        assert_eq!(
            about(r#"operation="mkdir" name="/d/" requested_mask="c""#),
            About::Model(vec![write("/d")])
        );
        assert_eq!(
            about(r#"operation="open" name="/" requested_mask="r""#),
            About::Model(vec![read("/")])
        );
    }

    #[test]
    fn sockets_and_capabilities() {
        assert_eq!(
            about(
                r#"operation="create" family="inet" sock_type="raw" protocol=1 requested_mask="create""#
            ),
            About::Model(vec![Operation::Socket(Socket::new(2, 3, 1))])
        );
        assert_eq!(
            about(r#"operation="capable" capability=21 capname="sys_admin""#),
            About::Model(vec![Operation::Capability(
                Capability::from_name("sys_admin").unwrap()
            )])
        );
        assert_eq!(about(r#"operation="capable" capability=300"#), About::Other);
    }

    #[test]
    fn stat_is_no_operation_of_the_model() {
        assert_eq!(
            about(r#"operation="getattr" name="/f" requested_mask="r""#),
            About::Other
        );
        assert_eq!(
            about(r#"operation="ptrace" requested_mask="trace""#),
            About::Other
        );
    }

    #[test]
    fn what_has_no_path_is_unresolvable() {
        let nowhere = Operation::Read {
            path: EventPath::UNRESOLVABLE,
        };
        let in_memory = Operation::Exec {
            path: EventPath::UNRESOLVABLE,
            args: Vec::new(),
        };
        assert_eq!(
            about(r#"operation="exec" name="/memfd:x//deleted" requested_mask="x""#),
            About::Model(vec![in_memory])
        );
        assert_eq!(
            about(
                r#"operation="open" info="Failed name lookup - disconnected path" error=-13 name="/x" requested_mask="r""#
            ),
            About::Model(vec![nowhere])
        );
    }
}
