//! Tetragon's JSON export.

use std::borrow::Cow;

use gambeson_policy_model::{Capability, Event, EventPath, Operation, Socket, Verdict};

use super::json::{Cursor, Malformed, whole};
use super::owner::{Kind, LabelText, Owner};
use super::record::{Occurrence, Take, Told};
use super::text::{Number, Text};
use crate::explain::Assumed;

#[derive(Debug, Default)]
struct Line<'l> {
    process_exec: Option<Happened<'l>>,
    process_kprobe: Option<Happened<'l>>,
    process_lsm: Option<Happened<'l>>,
    process_tracepoint: Option<Happened<'l>>,
}

#[derive(Debug, Default)]
struct Happened<'l> {
    process: Option<Process<'l>>,
    parent: Text<'l>,
    function_name: Text<'l>,
    event: Text<'l>,
    args: Vec<Argument<'l>>,
    action: Text<'l>,
}

#[derive(Debug, Default)]
struct Process<'l> {
    binary: Text<'l>,
    arguments: Text<'l>,
    uid: Number,
    tty: Number,
    pod: Option<Pod<'l>>,
    docker: Text<'l>,
}

#[derive(Debug, Default)]
struct Pod<'l> {
    namespace: Text<'l>,
    container: Text<'l>,
    // `labels` are those of an identity, a part of these.
    pod_labels: Option<&'l str>,
}

/// One of these is given.
#[derive(Debug, Default)]
struct Argument<'l> {
    file_arg: Option<Text<'l>>,
    linux_binprm_arg: Option<Text<'l>>,
    string_arg: Option<Text<'l>>,
    int_arg: Number,
    sock_arg: Option<Sock<'l>>,
    capability_arg: Option<Text<'l>>,
}

#[derive(Debug, Default)]
struct Sock<'l> {
    family: Text<'l>,
    kind: Text<'l>,
    protocol: Text<'l>,
}

/// Reads itself out of an object, taking what it knows.
trait Read<'l>: Default {
    fn field(&mut self, cursor: &mut Cursor<'l>, key: &'l str) -> Result<(), Malformed>;

    fn read(cursor: &mut Cursor<'l>) -> Result<Self, Malformed> {
        let mut read = Self::default();
        cursor.object(|cursor, key| read.field(cursor, key))?;
        Ok(read)
    }
}

impl<'l> Read<'l> for Line<'l> {
    fn field(&mut self, cursor: &mut Cursor<'l>, key: &'l str) -> Result<(), Malformed> {
        match key {
            "process_exec" => self.process_exec = Some(Happened::read(cursor)?),
            "process_kprobe" => self.process_kprobe = Some(Happened::read(cursor)?),
            "process_lsm" => self.process_lsm = Some(Happened::read(cursor)?),
            "process_tracepoint" => self.process_tracepoint = Some(Happened::read(cursor)?),
            _ => cursor.skip()?,
        }
        Ok(())
    }
}

impl<'l> Read<'l> for Happened<'l> {
    fn field(&mut self, cursor: &mut Cursor<'l>, key: &'l str) -> Result<(), Malformed> {
        match key {
            "process" if !cursor.is_null() => self.process = Some(Process::read(cursor)?),
            // Of the parent, no more than its program is asked.
            "parent" => cursor.object(|cursor, key| match key {
                "binary" => cursor.text().map(|binary| self.parent = binary),
                _ => cursor.skip(),
            })?,
            "function_name" => self.function_name = cursor.text()?,
            "event" => self.event = cursor.text()?,
            "action" => self.action = cursor.text()?,
            "args" => cursor.array(|cursor| {
                self.args.push(Argument::read(cursor)?);
                Ok(())
            })?,
            _ => cursor.skip()?,
        }
        Ok(())
    }
}

impl<'l> Read<'l> for Process<'l> {
    fn field(&mut self, cursor: &mut Cursor<'l>, key: &'l str) -> Result<(), Malformed> {
        match key {
            "binary" => self.binary = cursor.text()?,
            "arguments" => self.arguments = cursor.text()?,
            "uid" => self.uid = cursor.number()?,
            "tty" => self.tty = cursor.number()?,
            "docker" => self.docker = cursor.text()?,
            "pod" if !cursor.is_null() => self.pod = Some(Pod::read(cursor)?),
            _ => cursor.skip()?,
        }
        Ok(())
    }
}

impl<'l> Read<'l> for Pod<'l> {
    fn field(&mut self, cursor: &mut Cursor<'l>, key: &'l str) -> Result<(), Malformed> {
        match key {
            "namespace" => self.namespace = cursor.text()?,
            "container" => cursor.object(|cursor, key| match key {
                "name" => cursor.text().map(|name| self.container = name),
                _ => cursor.skip(),
            })?,
            "pod_labels" if !cursor.is_null() => self.pod_labels = Some(cursor.raw()?),
            _ => cursor.skip()?,
        }
        Ok(())
    }
}

impl<'l> Read<'l> for Argument<'l> {
    fn field(&mut self, cursor: &mut Cursor<'l>, key: &'l str) -> Result<(), Malformed> {
        match key {
            "file_arg" | "path_arg" => self.file_arg = Some(member(cursor, "path")?),
            "linux_binprm_arg" => self.linux_binprm_arg = Some(member(cursor, "path")?),
            "capability_arg" => self.capability_arg = Some(member(cursor, "name")?),
            "string_arg" => self.string_arg = Some(cursor.text()?),
            "int_arg" | "uint_arg" | "long_arg" | "size_arg" => self.int_arg = cursor.number()?,
            "sock_arg" => self.sock_arg = Some(Sock::read(cursor)?),
            _ => cursor.skip()?,
        }
        Ok(())
    }
}

impl<'l> Read<'l> for Sock<'l> {
    fn field(&mut self, cursor: &mut Cursor<'l>, key: &'l str) -> Result<(), Malformed> {
        match key {
            "family" => self.family = cursor.text()?,
            "type" => self.kind = cursor.text()?,
            "protocol" => self.protocol = cursor.text()?,
            _ => cursor.skip()?,
        }
        Ok(())
    }
}

/// One text of an object.
fn member<'l>(cursor: &mut Cursor<'l>, name: &str) -> Result<Text<'l>, Malformed> {
    let mut found = Text::default();
    cursor.object(|cursor, key| {
        if key == name {
            found = cursor.text()?;
            return Ok(());
        }
        cursor.skip()
    })?;
    Ok(found)
}

pub(super) fn read(text: &str, take: Take<'_>) {
    let mut line = Line::default();
    let read = whole(text, |cursor| {
        cursor.object(|cursor, key| line.field(cursor, key))
    });
    take(read.and_then(|()| told(&line)));
}

fn told<'f>(line: &'f Line<'_>) -> Result<Told<'f>, String> {
    let mut assumed = Assumed::default();
    let (happened, is_exec) = match line {
        Line {
            process_exec: Some(happened),
            ..
        } => (happened, true),
        Line {
            process_kprobe: Some(happened),
            ..
        }
        | Line {
            process_lsm: Some(happened),
            ..
        }
        | Line {
            process_tracepoint: Some(happened),
            ..
        } => (happened, false),
        // The end of a process, a library that was loaded, and the like.
        _ => return Ok(Told::NoEvent),
    };
    let Some(process) = &happened.process else {
        return Err("`process` is missing".to_owned());
    };
    let mut also = Vec::new();
    let (operation, source) = if is_exec {
        let args = arguments(process.arguments.as_str());
        if !args.is_empty() {
            assumed.push("the command line was split at spaces");
        }
        let operation = Operation::Exec {
            path: absolute(process.binary.as_str())?,
            args,
        };
        assumed.push("the program that called exec is taken to be the parent's");
        (operation, happened.parent.as_str())
    } else {
        let Some(operation) = of_function(happened, &mut assumed)? else {
            return Ok(Told::NoEvent);
        };
        also.extend(second_name(happened, &operation));
        (operation, process.binary.as_str())
    };
    let recorded = match happened.action.as_str() {
        "KPROBE_ACTION_SIGKILL" | "KPROBE_ACTION_OVERRIDE" => Verdict::Block,
        _ => Verdict::Allow,
    };
    let mut event = Event::new(operation)
        .by(EventPath::from(source))
        .tty(process.tty.value().is_some_and(|tty| tty != 0));
    event.uid = process.uid.uid();
    let also = also
        .into_iter()
        .map(|operation| Event {
            operation,
            ..event.clone()
        })
        .collect();
    // A container that is no pod's belongs to a workload that the record doesn't name.
    let owner = match &process.pod {
        Some(pod) => Owner {
            kind: Kind::Pod,
            namespace: pod.namespace.as_str(),
            labels: pod.pod_labels.map_or(LabelText::None, LabelText::Object),
            container: pod.container.as_str(),
        },
        None if process.docker.is_empty() => Owner {
            kind: Kind::Host,
            ..Owner::default()
        },
        None => Owner::default(),
    };
    Ok(Told::Event(Occurrence {
        event,
        also,
        owner,
        recorded,
        assumed,
        serial: b"",
    }))
}

impl Happened<'_> {
    fn function(&self) -> &str {
        if self.function_name.is_empty() {
            self.event.as_str()
        } else {
            self.function_name.as_str()
        }
    }

    /// Whether the function changes a file, by its name.
    fn changes(&self) -> bool {
        let function = self.function();
        CHANGING.iter().any(|part| function.contains(part))
            && !READING.iter().any(|part| function.contains(part))
    }

    /// The files that are named, in order.
    fn files(&self) -> impl Iterator<Item = &str> {
        let files = self.args.iter().filter_map(|arg| arg.file_arg.as_ref());
        let strings = self.args.iter().filter_map(|arg| arg.string_arg.as_ref());
        files
            .map(Text::as_str)
            .chain(strings.map(Text::as_str))
            .filter(|path| path.starts_with('/'))
    }
}

/// The arguments of a command line in which those with spaces stand in quotes.
fn arguments(text: &str) -> Vec<Cow<'_, [u8]>> {
    let mut args = Vec::new();
    let mut rest = text.trim_ascii_start();
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('"').and_then(|inner| {
            let (arg, behind) = inner.split_once('"')?;
            let ends = behind.is_empty() || behind.starts_with(' ');
            (ends && arg.contains(' ')).then_some((arg, behind))
        });
        let (arg, behind) = match quoted {
            Some(found) => found,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        args.push(Cow::Borrowed(arg.as_bytes()));
        rest = behind.trim_ascii_start();
    }
    args
}

/// The other file that a call with two names changes.
fn second_name<'f>(happened: &'f Happened<'_>, first: &Operation<'_>) -> Option<Operation<'f>> {
    let function = happened.function();
    let two = function.contains("rename")
        || (function.contains("link")
            && !function.contains("unlink")
            && !function.contains("symlink"));
    let path = happened.files().nth(1)?;
    (two && matches!(first, Operation::Write { .. })).then(|| Operation::Write {
        path: EventPath::from(path),
    })
}

fn absolute(path: &str) -> Result<EventPath<'_>, String> {
    let of_path = EventPath::from(path);
    match of_path.bytes() {
        Some(_) => Ok(of_path),
        None => Err(format!("`{path}` is no absolute path")),
    }
}

/// Functions with one of these in their names change a file.
const CHANGING: [&str; 13] = [
    "truncate", "unlink", "rename", "mkdir", "rmdir", "link", "mknod", "chmod", "chown", "write",
    "setattr", "setxattr", "create",
];

/// And these don't.
const READING: [&str; 3] = ["readlink", "follow_link", "getattr"];

/// What a kernel function was called for; `None` where no rule speaks of it.
fn of_function<'f>(
    happened: &'f Happened<'_>,
    assumed: &mut Assumed,
) -> Result<Option<Operation<'f>>, String> {
    let args = &happened.args;
    if let Some(capability) = args.iter().find_map(|arg| arg.capability_arg.as_ref()) {
        let name = capability.as_str();
        return Capability::from_name(name)
            .map(|capability| Some(Operation::Capability(capability)))
            .ok_or_else(|| format!("`{name}` is no capability"));
    }
    if let Some(sock) = args.iter().find_map(|arg| arg.sock_arg.as_ref()) {
        return socket(sock).map(|socket| Some(Operation::Socket(socket)));
    }
    if let Some(program) = args.iter().find_map(|arg| arg.linux_binprm_arg.as_ref()) {
        assumed.push("the arguments of an exec aren't told; taken to be none");
        return Ok(Some(Operation::Exec {
            path: absolute(program.as_str())?,
            args: Vec::new(),
        }));
    }
    // What a symbolic link points to is only text.
    let named = if happened.function().contains("symlink") {
        happened.files().last()
    } else {
        happened.files().next()
    };
    let Some(path) = named else {
        return Ok(None);
    };
    let path = absolute(path)?;
    let mut numbers = args.iter().filter_map(|arg| arg.int_arg.value());
    let number = numbers.next();
    let writes = match happened.function() {
        // MAY_WRITE and MAY_APPEND.
        "security_file_permission" | "file_permission" => number.is_some_and(|mask| mask & 10 != 0),
        // PROT_WRITE; PROT_EXEC is a mapping.
        "security_mmap_file" | "mmap_file" if number.is_some_and(|prot| prot & 4 != 0) => {
            return Ok(Some(Operation::MapExec { path }));
        }
        // Only a shared mapping writes to the file.
        "security_mmap_file" | "mmap_file" => {
            number.is_some_and(|prot| prot & 2 != 0)
                && numbers.next().is_none_or(|flags| flags & 1 != 0)
        }
        _ if happened.changes() => true,
        _ => {
            assumed
                .push("the record doesn't say whether the file was to be written; taken as a read");
            false
        }
    };
    Ok(Some(if writes {
        Operation::Write { path }
    } else {
        Operation::Read { path }
    }))
}

fn socket(sock: &Sock<'_>) -> Result<Socket, String> {
    let bare = |text: &Text<'_>, prefix: &str| {
        let text = text.as_str().to_ascii_lowercase();
        text.strip_prefix(prefix).unwrap_or(&text).to_owned()
    };
    let protocol = match bare(&sock.protocol, "ipproto_").as_str() {
        "" | "ip" => Some(0),
        name => Socket::protocol_from_name(name),
    };
    let family = Socket::family_from_name(&bare(&sock.family, "af_"));
    let kind = Socket::type_from_name(&bare(&sock.kind, "sock_"));
    match (family, kind, protocol) {
        (Some(family), Some(kind), Some(protocol)) => Ok(Socket::new(family, kind, protocol)),
        _ => Err(format!(
            "`{} {} {}` is no socket that is known",
            sock.family.as_str(),
            sock.kind.as_str(),
            sock.protocol.as_str()
        )),
    }
}
