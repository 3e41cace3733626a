//! From the fields of a line to the event they describe.

use std::borrow::Cow;

use super::bytes::Bytes;
use super::error::EventError;
use super::read::{RawEvent, Scalar, Text};
use crate::capability::Capability;
use crate::device::{Device, DeviceClass};
use crate::event::{Event, EventPath, Operation};
use crate::network::Socket;
use crate::preset::Preset;

/// Every operation's name, for messages and the schema.
pub(super) const OPERATIONS: [&str; 10] = [
    "exec",
    "read",
    "write",
    "map_exec",
    "socket",
    "capability",
    "syscall",
    "dns",
    "device",
    "preset",
];

/// How the kernel names files in memory, which have no path that could be computed.
pub(super) const IN_MEMORY: &[u8] = b"memfd:";

/// How the kernel names objects without a name in a file system.
pub(super) const NAMELESS: [&[u8]; 3] = [b"pipe:[", b"socket:[", b"anon_inode:"];

/// The most bytes of a domain in its written form, without the trailing dot (RFC 1035, 2.3.4).
const MAX_DOMAIN: usize = 253;

const A_FAMILY: &str = "an address family by name or number, such as `AF_INET` or 2";
const A_TYPE: &str = "a socket type by name or number, such as `SOCK_STREAM` or 1";
const A_PROTOCOL: &str = "a protocol by name or number, such as `tcp` or 6";
const A_CAPABILITY: &str = "a Linux capability by name or number, such as `net_raw` or 13";
const A_CLASS: &str = "a USB class by name or number, such as `MASS-STORAGE`, 8 or `0x08`";
const A_PRESET: &str = "filelessExec, anonymousMapExec, protectEnv, exec or protectProc";

/// Builds the event.
pub(super) fn event(mut raw: RawEvent<'_>) -> Result<Event<'_>, EventError> {
    let Some(Text(op)) = raw.op.take() else {
        return Err(EventError::NoOperation);
    };
    let operation = match op.as_ref() {
        "exec" => {
            let path = object(&mut raw, "exec")?;
            let args = arguments(&mut raw, &path)?;
            Operation::Exec { path, args }
        }
        "read" => Operation::Read {
            path: object(&mut raw, "read")?,
        },
        "write" => Operation::Write {
            path: object(&mut raw, "write")?,
        },
        "map_exec" => Operation::MapExec {
            path: object(&mut raw, "map_exec")?,
        },
        "socket" => Operation::Socket(socket(&raw)?),
        "capability" => Operation::Capability(capability(&raw)?),
        "syscall" => syscall(&mut raw)?,
        "dns" => Operation::Dns {
            domain: domain(&mut raw)?,
        },
        "device" => Operation::Device(device(&raw)?),
        "preset" => Operation::Preset(preset(&raw)?),
        _ => {
            return Err(EventError::UnknownOperation {
                op: op.into_owned(),
            });
        }
    };
    let source = match raw.source {
        Some(bytes) => path("source", bytes)?,
        None => EventPath::UNRESOLVABLE,
    };
    Ok(Event {
        operation,
        source,
        uid: raw.uid,
        owner: raw.owner,
        tty: raw.tty.unwrap_or(false),
    })
}

/// Takes the bytes for a path, or for the name of an object that has none.
fn path<'a>(field: &'static str, Bytes(bytes): Bytes<'a>) -> Result<EventPath<'a>, EventError> {
    if bytes.first() != Some(&b'/') {
        if bytes.is_empty() {
            return Err(EventError::EmptyPath { field });
        }
        if bytes.starts_with(IN_MEMORY) {
            return Ok(EventPath::UNRESOLVABLE);
        }
        if NAMELESS.iter().any(|prefix| bytes.starts_with(prefix)) {
            return Ok(EventPath::NAMELESS);
        }
        return Err(EventError::RelativePath {
            field,
            path: String::from_utf8_lossy(&bytes).into_owned(),
        });
    }
    let length = bytes.len();
    if length > EventPath::MAX_LENGTH {
        return Err(EventError::LongPath { field, length });
    }
    let path = EventPath::new(bytes);
    if path == EventPath::UNRESOLVABLE {
        return Err(EventError::Nul { field });
    }
    Ok(path)
}

fn object<'a>(raw: &mut RawEvent<'a>, op: &'static str) -> Result<EventPath<'a>, EventError> {
    match raw.path.take() {
        Some(Some(bytes)) => path("path", bytes),
        Some(None) => Ok(EventPath::UNRESOLVABLE),
        None => Err(EventError::Missing {
            op,
            field: "path",
            expected: "an absolute path, or null for one that could not be computed",
        }),
    }
}

/// The arguments after `argv[0]`.
fn arguments<'a>(
    raw: &mut RawEvent<'a>,
    path: &EventPath<'_>,
) -> Result<Vec<Cow<'a, [u8]>>, EventError> {
    let (field, list, leading) = match (raw.args.take(), raw.argv.take()) {
        (Some(_), Some(_)) => return Err(EventError::TwoArgumentLists),
        (None, None) => return Ok(Vec::new()),
        (None, Some(argv)) => ("argv", argv, 1),
        (Some(args), None) => {
            let leading = args
                .first()
                .is_some_and(|Bytes(first)| names_program(first, path));
            ("args", args, usize::from(leading))
        }
    };
    if list.iter().any(|Bytes(argument)| argument.contains(&0)) {
        return Err(EventError::Nul { field });
    }
    Ok(list
        .into_iter()
        .skip(leading)
        .map(|Bytes(argument)| argument)
        .collect())
}

/// Whether an argument is the program's path or its last component, and so taken for `argv[0]`
/// at the head of `args`.
pub(super) fn names_program(argument: &[u8], path: &EventPath<'_>) -> bool {
    path.bytes().is_some_and(|path| {
        argument == path || path.rsplit(|byte| *byte == b'/').next() == Some(argument)
    })
}

/// A name or number that is looked up; `None` where the field isn't given.
fn lookup(
    field: &'static str,
    value: Option<&Scalar<'_>>,
    by_name: impl Fn(&str) -> Option<u32>,
    expected: &'static str,
) -> Result<Option<u32>, EventError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let found = match value {
        Scalar::Number(number) => u32::try_from(*number).ok(),
        Scalar::Name(name) => by_name(name),
    };
    match found {
        Some(number) => Ok(Some(number)),
        None => Err(unknown(field, value, expected)),
    }
}

fn unknown(field: &'static str, value: &Scalar<'_>, expected: &'static str) -> EventError {
    EventError::Unknown {
        field,
        value: match value {
            Scalar::Number(number) => number.to_string(),
            Scalar::Name(name) => name.clone().into_owned(),
        },
        expected,
    }
}

fn missing(op: &'static str, field: &'static str, expected: &'static str) -> EventError {
    EventError::Missing {
        op,
        field,
        expected,
    }
}

fn socket(raw: &RawEvent<'_>) -> Result<Socket, EventError> {
    let family = lookup(
        "family",
        raw.family.as_ref(),
        Socket::family_from_name,
        A_FAMILY,
    )?
    .ok_or_else(|| missing("socket", "family", A_FAMILY))?;
    let socket_type = lookup(
        "type",
        raw.socket_type.as_ref(),
        Socket::type_from_name,
        A_TYPE,
    )?
    .ok_or_else(|| missing("socket", "type", A_TYPE))?;
    let protocol = lookup(
        "protocol",
        raw.protocol.as_ref(),
        Socket::protocol_from_name,
        A_PROTOCOL,
    )?;
    Ok(Socket::new(family, socket_type, protocol.unwrap_or(0)))
}

fn capability(raw: &RawEvent<'_>) -> Result<Capability, EventError> {
    let field = "capability";
    let value = raw
        .capability
        .as_ref()
        .ok_or_else(|| missing(field, field, A_CAPABILITY))?;
    match value {
        Scalar::Number(number) => u8::try_from(*number).ok().and_then(Capability::from_number),
        Scalar::Name(name) => Capability::from_name(name),
    }
    .ok_or_else(|| unknown(field, value, A_CAPABILITY))
}

fn syscall<'a>(raw: &mut RawEvent<'a>) -> Result<Operation<'a>, EventError> {
    let field = "syscall";
    let expected = "the name of a system call, such as `unlink`";
    let Some(Text(name)) = raw.syscall.take() else {
        return Err(missing(field, field, expected));
    };
    if name.is_empty() {
        return Err(EventError::Unknown {
            field,
            value: String::new(),
            expected,
        });
    }
    let path = match raw.path.take() {
        Some(Some(bytes)) => Some(path("path", bytes)?),
        Some(None) => Some(EventPath::UNRESOLVABLE),
        None => None,
    };
    Ok(Operation::Syscall { name, path })
}

fn domain<'a>(raw: &mut RawEvent<'a>) -> Result<Cow<'a, str>, EventError> {
    let Some(Text(domain)) = raw.domain.take() else {
        return Err(missing("dns", "domain", "a domain such as `example.com`"));
    };
    let bare = domain.strip_suffix('.').unwrap_or(&domain);
    let problem = if bare.is_empty() {
        "it names nothing"
    } else if bare.len() > MAX_DOMAIN {
        "it has more than 253 bytes"
    } else if bare.split('.').any(str::is_empty) {
        "it has an empty label"
    } else if bare.contains('\0') {
        "it holds a NUL byte"
    } else {
        return Ok(domain);
    };
    Err(EventError::Domain {
        domain: domain.into_owned(),
        problem,
    })
}

fn device(raw: &RawEvent<'_>) -> Result<Device, EventError> {
    let value = raw
        .class
        .as_ref()
        .ok_or_else(|| missing("device", "class", A_CLASS))?;
    let class = match value {
        Scalar::Number(number) => u8::try_from(*number).ok().map(DeviceClass),
        Scalar::Name(name) => DeviceClass::from_text(name),
    }
    .ok_or_else(|| unknown("class", value, A_CLASS))?;
    let protocol = match raw.protocol.as_ref() {
        None => None,
        Some(value) => {
            let number = match value {
                Scalar::Number(number) => i32::try_from(*number).ok(),
                Scalar::Name(_) => None,
            };
            Some(number.ok_or_else(|| unknown("protocol", value, "a USB protocol number"))?)
        }
    };
    Ok(Device {
        class,
        subclass: raw.subclass,
        protocol,
        level: raw.level,
    })
}

fn preset(raw: &RawEvent<'_>) -> Result<Preset, EventError> {
    let field = "preset";
    let Some(Text(name)) = &raw.preset else {
        return Err(missing(field, field, A_PRESET));
    };
    Preset::from_name(name).ok_or_else(|| EventError::Unknown {
        field,
        value: name.clone().into_owned(),
        expected: A_PRESET,
    })
}
