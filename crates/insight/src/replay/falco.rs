//! Falco's JSON output.

use std::borrow::Cow;
use std::collections::HashMap;

use gambeson_policy_model::{Event, EventPath, Operation, Socket, Verdict};
use serde::Deserialize;
use serde_json::Value;

use super::record::{Owner, Told};

#[derive(Debug, Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    output_fields: HashMap<Cow<'l, str>, Value>,
}

pub(super) fn read(text: &str) -> Result<Told<'static>, String> {
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let field = |name: &str| {
        let value = line.output_fields.get(name).and_then(Value::as_str);
        // Falco's ways of saying that it doesn't know.
        value.filter(|value| !matches!(*value, "" | "<NA>" | "N/A"))
    };
    let number = |name: &str| line.output_fields.get(name).and_then(Value::as_u64);
    let mut assumed = Vec::new();
    let Some(kind) = field("evt.type") else {
        return Err(
            "`output_fields` has no `evt.type`; add %evt.type to the rule's output".to_owned(),
        );
    };
    let path = |name: &str| -> Result<EventPath<'static>, String> {
        let path = field(name).ok_or_else(|| format!("`output_fields` has no `{name}`"))?;
        let of_path = EventPath::from(path.to_owned());
        match of_path.bytes() {
            Some(_) => Ok(of_path),
            None => Err(format!("`{name}` is `{path}`, which is no absolute path")),
        }
    };
    let program = field("proc.exepath");
    let (operation, source) = match kind {
        "execve" | "execveat" => {
            let line = field("proc.cmdline").unwrap_or_default();
            let args = line.split_whitespace().skip(1);
            let args: Vec<Cow<'static, [u8]>> = args
                .map(|arg| Cow::Owned(arg.as_bytes().to_vec()))
                .collect();
            if !args.is_empty() {
                assumed.push("the command line was split at spaces");
            }
            assumed.push("the program that called exec is taken to be the parent's");
            let path = path("proc.exepath")?;
            (Operation::Exec { path, args }, field("proc.pexepath"))
        }
        "open" | "openat" | "openat2" | "creat" => {
            let flags = field("evt.arg.flags").unwrap_or_default();
            let said = line.output_fields.get("evt.is_open_write");
            let writes = match said.and_then(Value::as_bool) {
                Some(writes) => writes,
                None if !flags.is_empty() => {
                    ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"]
                        .iter()
                        .any(|flag| flags.contains(flag))
                }
                None if kind == "creat" => true,
                None => {
                    assumed.push(
                        "the record doesn't say whether the file was to be written; taken as a read",
                    );
                    false
                }
            };
            let path = path("fd.name")?;
            let operation = if writes {
                Operation::Write { path }
            } else {
                Operation::Read { path }
            };
            (operation, program)
        }
        "unlink" | "unlinkat" | "mkdir" | "mkdirat" | "rmdir" | "rename" | "renameat"
        | "renameat2" | "chmod" | "fchmodat" | "chown" | "fchownat" | "link" | "linkat"
        | "symlink" | "symlinkat" => {
            let name = [
                "fs.path.name",
                "fs.path.source",
                "evt.arg.path",
                "evt.arg.name",
                "fd.name",
            ]
            .into_iter()
            .find(|name| field(name).is_some());
            let path = path(name.unwrap_or("fs.path.name"))?;
            (Operation::Write { path }, program)
        }
        "connect" | "accept" | "accept4" | "bind" | "listen" | "sendto" => {
            let (kind, protocol) = match field("fd.l4proto") {
                Some("tcp") => (Socket::SOCK_STREAM, 6),
                Some("udp") => (Socket::SOCK_DGRAM, 17),
                Some("icmp") => (Socket::SOCK_DGRAM, 1),
                Some("raw") => (Socket::SOCK_RAW, 255),
                _ => return Err("`fd.l4proto` doesn't name a protocol".to_owned()),
            };
            let family = if field("fd.type") == Some("ipv6") {
                Socket::AF_INET6
            } else {
                Socket::AF_INET
            };
            (
                Operation::Socket(Socket::new(family, kind, protocol)),
                program,
            )
        }
        _ => return Ok(Told::NoEvent),
    };
    let mut event = Event::new(operation)
        .by(EventPath::from(source.unwrap_or_default().to_owned()))
        .tty(number("proc.tty").is_some_and(|tty| tty != 0));
    event.uid = number("user.uid").and_then(|uid| u32::try_from(uid).ok());
    let namespace = field("k8s.ns.name").map(str::to_owned);
    let container = field("container.id").filter(|id| *id != "host");
    let owner = Owner {
        is_known: namespace.is_some() || container.is_some(),
        is_host: false,
        namespace: namespace.unwrap_or_default(),
        labels: field("k8s.pod.labels").map_or_else(Vec::new, labels),
        container: field("container.name").unwrap_or_default().to_owned(),
    };
    Ok(Told::Event {
        event,
        also: Vec::new(),
        owner,
        recorded: Verdict::Allow,
        assumed,
    })
}

/// `app:web, tier:front`, or with `=`.
fn labels(text: &str) -> Vec<(String, String)> {
    let pairs = text
        .split(',')
        .filter_map(|pair| pair.trim().split_once([':', '=']));
    let mut pairs: Vec<(String, String)> = pairs
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect();
    pairs.sort();
    pairs
}
