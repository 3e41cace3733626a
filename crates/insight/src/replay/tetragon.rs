//! Tetragon's JSON export.

use std::borrow::Cow;

use gambeson_policy_model::{Capability, Event, EventPath, Labels, Operation, Socket, Verdict};
use serde::Deserialize;

use super::record::{Owner, Told, sorted};

#[derive(Debug, Deserialize)]
struct Line {
    process_exec: Option<Happened>,
    process_kprobe: Option<Happened>,
    process_lsm: Option<Happened>,
    process_tracepoint: Option<Happened>,
}

#[derive(Debug, Deserialize)]
struct Happened {
    process: Option<Process>,
    parent: Option<Process>,
    #[serde(default)]
    function_name: String,
    #[serde(default)]
    args: Vec<Argument>,
    #[serde(default)]
    action: String,
}

#[derive(Debug, Deserialize)]
struct Process {
    #[serde(default)]
    binary: String,
    #[serde(default)]
    arguments: String,
    uid: Option<u32>,
    tty: Option<u32>,
    pod: Option<Pod>,
}

#[derive(Debug, Deserialize)]
struct Pod {
    #[serde(default)]
    namespace: String,
    container: Option<Container>,
    #[serde(default, alias = "labels")]
    pod_labels: Labels,
}

#[derive(Debug, Deserialize)]
struct Container {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
struct Argument {
    file_arg: Option<File>,
    path_arg: Option<File>,
    string_arg: Option<String>,
    int_arg: Option<i64>,
    uint_arg: Option<i64>,
    sock_arg: Option<Sock>,
    capability_arg: Option<Named>,
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    path: String,
}

#[derive(Debug, Deserialize)]
struct Sock {
    #[serde(default)]
    family: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    protocol: String,
}

#[derive(Debug, Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

pub(super) fn read(text: &str) -> Result<Told<'static>, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut assumed = Vec::new();
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
    let (operation, source) = if is_exec {
        let args = process.arguments.split_whitespace();
        let args: Vec<Cow<'static, [u8]>> = args
            .map(|arg| Cow::Owned(arg.as_bytes().to_vec()))
            .collect();
        if !args.is_empty() {
            assumed.push("the command line was split at spaces");
        }
        let operation = Operation::Exec {
            path: absolute(&process.binary)?,
            args,
        };
        assumed.push("the program that called exec is taken to be the parent's");
        let parent = happened.parent.as_ref();
        (
            operation,
            parent.map_or("", |parent| parent.binary.as_str()),
        )
    } else {
        match of_function(&happened, &mut assumed)? {
            Some(operation) => (operation, process.binary.as_str()),
            None => return Ok(Told::NoEvent),
        }
    };
    let recorded = match happened.action.as_str() {
        "KPROBE_ACTION_SIGKILL" | "KPROBE_ACTION_OVERRIDE" => Verdict::Block,
        _ => Verdict::Allow,
    };
    let event = Event::new(operation)
        .by(EventPath::from(source.to_owned()))
        .tty(process.tty.is_some_and(|tty| tty != 0));
    let event = match process.uid {
        Some(uid) => event.uid(uid),
        None => event,
    };
    let owner = match happened.process.and_then(|process| process.pod) {
        Some(pod) => Owner {
            is_known: true,
            is_host: false,
            namespace: pod.namespace,
            labels: sorted(pod.pod_labels),
            container: pod
                .container
                .map(|container| container.name)
                .unwrap_or_default(),
        },
        None => Owner {
            is_known: true,
            is_host: true,
            ..Owner::default()
        },
    };
    Ok(Told::Event {
        event,
        also: Vec::new(),
        owner,
        recorded,
        assumed,
    })
}

fn absolute(path: &str) -> Result<EventPath<'static>, String> {
    let of_path = EventPath::from(path.to_owned());
    match of_path.bytes() {
        Some(_) => Ok(of_path),
        None => Err(format!("`{path}` is no absolute path")),
    }
}

/// What a kernel function was called for; `None` where no rule speaks of it.
fn of_function(
    happened: &Happened,
    assumed: &mut Vec<&'static str>,
) -> Result<Option<Operation<'static>>, String> {
    let args = &happened.args;
    let function = happened.function_name.as_str();
    let file = || {
        let files = args
            .iter()
            .filter_map(|arg| arg.file_arg.as_ref().or(arg.path_arg.as_ref()));
        let strings = args.iter().filter_map(|arg| arg.string_arg.as_deref());
        files
            .map(|file| file.path.as_str())
            .chain(strings)
            .find(|path| path.starts_with('/'))
    };
    let number = args.iter().find_map(|arg| arg.int_arg.or(arg.uint_arg));
    if let Some(capability) = args.iter().find_map(|arg| arg.capability_arg.as_ref()) {
        return Capability::from_name(&capability.name)
            .map(|capability| Some(Operation::Capability(capability)))
            .ok_or_else(|| format!("`{}` is no capability", capability.name));
    }
    if let Some(sock) = args.iter().find_map(|arg| arg.sock_arg.as_ref()) {
        return socket(sock).map(|socket| Some(Operation::Socket(socket)));
    }
    let Some(path) = file() else {
        return Ok(None);
    };
    let path = absolute(path)?;
    let writes = match function {
        // MAY_WRITE and MAY_APPEND.
        "security_file_permission" | "file_permission" => number.is_some_and(|mask| mask & 10 != 0),
        // PROT_WRITE; PROT_EXEC is a mapping.
        "security_mmap_file" | "mmap_file" if number.is_some_and(|prot| prot & 4 != 0) => {
            return Ok(Some(Operation::MapExec { path }));
        }
        "security_mmap_file" | "mmap_file" => number.is_some_and(|prot| prot & 2 != 0),
        _ if [
            "truncate", "unlink", "rename", "mkdir", "rmdir", "link", "mknod", "chmod", "chown",
            "write", "setattr", "setxattr",
        ]
        .iter()
        .any(|part| function.contains(part)) =>
        {
            true
        }
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

fn socket(sock: &Sock) -> Result<Socket, String> {
    let bare = |text: &str, prefix: &str| {
        let text = text.to_ascii_lowercase();
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
            sock.family, sock.kind, sock.protocol
        )),
    }
}
