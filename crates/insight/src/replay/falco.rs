//! Falco's JSON output.

use gambeson_policy_model::{Event, EventPath, Operation, Socket, Verdict};

use super::json::{Cursor, Malformed, whole};
use super::owner::{Kind, LabelText, Owner};
use super::record::{Occurrence, Take, Told};
use super::text::{Number, Text};
use crate::explain::{Assumed, opens_for_writing, split_args};

/// The fields that tell the event, where the rule's output names them.
#[derive(Debug, Default)]
struct Fields<'l> {
    kind: Text<'l>,
    flags: Text<'l>,
    arg_path: Text<'l>,
    arg_name: Text<'l>,
    is_open_write: Number,
    fd_name: Text<'l>,
    path_name: Text<'l>,
    path_source: Text<'l>,
    path_target: Text<'l>,
    protocol: Text<'l>,
    fd_type: Text<'l>,
    program: Text<'l>,
    parent: Text<'l>,
    command_line: Text<'l>,
    tty: Number,
    uid: Number,
    namespace: Text<'l>,
    labels: Text<'l>,
    container_id: Text<'l>,
    container: Text<'l>,
}

impl<'l> Fields<'l> {
    fn read(&mut self, cursor: &mut Cursor<'l>) -> Result<(), Malformed> {
        cursor.object(|cursor, key| {
            match key {
                "evt.type" => self.kind = cursor.text()?,
                "evt.arg.flags" => self.flags = cursor.text()?,
                "evt.arg.path" => self.arg_path = cursor.text()?,
                "evt.arg.name" => self.arg_name = cursor.text()?,
                "evt.is_open_write" => self.is_open_write = cursor.number()?,
                "fd.name" => self.fd_name = cursor.text()?,
                "fs.path.name" => self.path_name = cursor.text()?,
                "fs.path.source" => self.path_source = cursor.text()?,
                "fs.path.target" => self.path_target = cursor.text()?,
                "fd.l4proto" => self.protocol = cursor.text()?,
                "fd.type" => self.fd_type = cursor.text()?,
                "proc.exepath" => self.program = cursor.text()?,
                "proc.pexepath" => self.parent = cursor.text()?,
                "proc.cmdline" => self.command_line = cursor.text()?,
                "proc.tty" => self.tty = cursor.number()?,
                "user.uid" => self.uid = cursor.number()?,
                "k8s.ns.name" => self.namespace = cursor.text()?,
                "k8s.pod.labels" => self.labels = cursor.text()?,
                "container.id" => self.container_id = cursor.text()?,
                "container.name" => self.container = cursor.text()?,
                _ => cursor.skip()?,
            }
            Ok(())
        })
    }
}

/// A field's value, unless Falco says in one of its ways that it doesn't know.
fn known<'f>(field: &'f Text<'_>) -> Option<&'f str> {
    Some(field.as_str()).filter(|value| !matches!(*value, "" | "<NA>" | "N/A"))
}

/// The path that a field holds.
fn path<'f>(field: &'f Text<'_>, name: &str) -> Result<EventPath<'f>, String> {
    let path = known(field).ok_or_else(|| format!("`output_fields` has no `{name}`"))?;
    let of_path = EventPath::from(path);
    match of_path.bytes() {
        Some(_) => Ok(of_path),
        None => Err(format!("`{name}` is `{path}`, which is no absolute path")),
    }
}

pub(super) fn read(text: &str, take: Take<'_>) {
    let mut fields = Fields::default();
    let read = whole(text, |cursor| {
        cursor.object(|cursor, key| match key {
            "output_fields" => fields.read(cursor),
            _ => cursor.skip(),
        })
    });
    take(read.and_then(|()| told(&fields)));
}

fn told<'f>(fields: &'f Fields<'_>) -> Result<Told<'f>, String> {
    let mut assumed = Assumed::default();
    let Some(kind) = known(&fields.kind) else {
        return Err(
            "`output_fields` has no `evt.type`; add %evt.type to the rule's output".to_owned(),
        );
    };
    let mut also = None;
    let mut source = known(&fields.program);
    let operation = match kind {
        "execve" | "execveat" => {
            // What stands first is the program itself.
            let line = known(&fields.command_line).unwrap_or_default().trim_start();
            let rest = line.split_once(|c: char| c.is_ascii_whitespace());
            let args = split_args(rest.map_or("", |(_, rest)| rest));
            if !args.is_empty() {
                assumed.push("the command line was split at spaces");
            }
            assumed.push("the program that called exec is taken to be the parent's");
            source = known(&fields.parent);
            Operation::Exec {
                path: path(&fields.program, "proc.exepath")?,
                args,
            }
        }
        "open" | "openat" | "openat2" | "creat" => {
            let flags = known(&fields.flags);
            let writes = match (fields.is_open_write.value(), flags) {
                (Some(writes), _) => writes != 0,
                (None, Some(flags)) => opens_for_writing(flags),
                (None, None) if kind == "creat" => true,
                (None, None) => {
                    assumed.push(
                        "the record doesn't say whether the file was to be written; taken as a read",
                    );
                    false
                }
            };
            let path = path(&fields.fd_name, "fd.name")?;
            if writes {
                Operation::Write { path }
            } else {
                Operation::Read { path }
            }
        }
        "unlink" | "unlinkat" | "mkdir" | "mkdirat" | "rmdir" | "rename" | "renameat"
        | "renameat2" | "chmod" | "fchmodat" | "chown" | "lchown" | "fchownat" | "link"
        | "linkat" | "symlink" | "symlinkat" => {
            let (field, name) = [
                (&fields.path_name, "fs.path.name"),
                (&fields.path_source, "fs.path.source"),
                (&fields.arg_path, "evt.arg.path"),
                (&fields.arg_name, "evt.arg.name"),
                (&fields.fd_name, "fd.name"),
            ]
            .into_iter()
            .find(|(field, _)| known(field).is_some())
            .unwrap_or((&fields.path_name, "fs.path.name"));
            // What has two names changes both. A symbolic link's target is only text.
            if known(&fields.path_target).is_some() && !kind.starts_with("symlink") {
                also = Some(path(&fields.path_target, "fs.path.target")?);
            }
            Operation::Write {
                path: path(field, name)?,
            }
        }
        "connect" | "accept" | "accept4" | "bind" | "listen" | "sendto" => {
            let (kind, protocol) = match (known(&fields.protocol), known(&fields.fd_type)) {
                (Some("tcp"), _) => (Socket::SOCK_STREAM, 6),
                (Some("udp"), _) => (Socket::SOCK_DGRAM, 17),
                (Some("icmp"), _) => (Socket::SOCK_DGRAM, 1),
                (Some("raw"), _) => (Socket::SOCK_RAW, 255),
                (_, Some("unix")) => {
                    assumed.push("the unix socket's type isn't told; taken as a stream");
                    (Socket::SOCK_STREAM, 0)
                }
                _ => return Err("`fd.l4proto` doesn't name a protocol".to_owned()),
            };
            let family = match known(&fields.fd_type) {
                Some("ipv6") => Socket::AF_INET6,
                Some("unix") => Socket::AF_UNIX,
                _ => Socket::AF_INET,
            };
            Operation::Socket(Socket::new(family, kind, protocol))
        }
        _ => return Ok(Told::NoEvent),
    };
    let tty = fields.tty.value().is_some_and(|tty| tty != 0);
    let mut event = Event::new(operation)
        .by(EventPath::from(source.unwrap_or_default()))
        .tty(tty);
    event.uid = fields.uid.uid();
    let also = also.map(|path| Event {
        operation: Operation::Write { path },
        ..event.clone()
    });
    let namespace = known(&fields.namespace);
    let container = known(&fields.container_id).filter(|id| *id != "host");
    let kind = if namespace.is_some() {
        Kind::Pod
    } else if container.is_none() && known(&fields.container_id).is_some() {
        Kind::Host
    } else {
        Kind::Unknown
    };
    let owner = Owner {
        kind,
        namespace: namespace.unwrap_or_default(),
        labels: known(&fields.labels).map_or(LabelText::None, LabelText::Pairs),
        container: known(&fields.container)
            .filter(|_| kind == Kind::Pod)
            .unwrap_or_default(),
    };
    Ok(Told::Event(Occurrence {
        event,
        also: also.into_iter().collect(),
        owner,
        recorded: Verdict::Allow,
        assumed,
        serial: b"",
    }))
}
