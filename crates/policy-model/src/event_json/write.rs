//! Events as text.

use std::fmt::Write as _;

use super::build::names_program;
use super::bytes;
use crate::event::{Event, EventPath, Operation};

/// One object, field by field.
struct Object(String);

impl Object {
    fn key(&mut self, key: &str) -> &mut String {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
        &mut self.0
    }

    fn text(&mut self, key: &str, text: &str) {
        bytes::write(self.key(key), text.as_bytes());
    }

    fn path(&mut self, key: &str, path: &EventPath<'_>) {
        let out = self.key(key);
        match path.bytes() {
            Some(path) => bytes::write(out, path),
            // Which of the nameless kinds it was makes no difference.
            None if path.is_nameless() => out.push_str("\"anon_inode:\""),
            None => out.push_str("null"),
        }
    }

    fn number(&mut self, key: &str, number: impl Into<i64>) {
        // Writing to a string never fails.
        let _ = write!(self.key(key), "{}", number.into());
    }

    fn list<'i>(&mut self, key: &str, items: impl Iterator<Item = &'i [u8]>) {
        let out = self.key(key);
        out.push('[');
        for (place, item) in items.enumerate() {
            if place > 0 {
                out.push(',');
            }
            bytes::write(out, item);
        }
        out.push(']');
    }
}

/// Writes the event.
pub(super) fn event(event: &Event<'_>) -> String {
    let mut object = Object(String::with_capacity(128));
    object.text("op", event.operation.name());
    match &event.operation {
        Operation::Exec { path, args } => {
            object.path("path", path);
            let items = args.iter().map(AsRef::as_ref);
            match args.first() {
                None => {}
                // At the head of `args` it would be taken for argv[0].
                Some(first) if names_program(first, path) => {
                    object.list("argv", std::iter::once(&b""[..]).chain(items));
                }
                Some(_) => object.list("args", items),
            }
        }
        Operation::MapExec { path } | Operation::Read { path } | Operation::Write { path } => {
            object.path("path", path);
        }
        Operation::Socket(socket) => {
            object.number("family", socket.family);
            object.number("type", socket.socket_type);
            object.number("protocol", socket.protocol);
        }
        Operation::Capability(capability) => object.text("capability", capability.name()),
        Operation::Syscall { name, path } => {
            object.text("syscall", name);
            if let Some(path) = path {
                object.path("path", path);
            }
        }
        Operation::Dns { domain } => object.text("domain", domain),
        Operation::Device(device) => {
            object.number("class", device.class.0);
            for (key, value) in [
                ("subclass", device.subclass),
                ("protocol", device.protocol),
                ("level", device.level),
            ] {
                if let Some(value) = value {
                    object.number(key, value);
                }
            }
        }
        Operation::Preset(preset) => object.text("preset", preset.name()),
    }
    if event.source != EventPath::UNRESOLVABLE {
        object.path("source", &event.source);
    }
    for (key, value) in [("uid", event.uid), ("owner", event.owner)] {
        if let Some(value) = value {
            object.number(key, value);
        }
    }
    if event.tty {
        object.key("tty").push_str("true");
    }
    let Object(mut text) = object;
    text.push('}');
    text
}
