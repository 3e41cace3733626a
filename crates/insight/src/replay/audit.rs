//! Records of the Linux audit log: several lines with one serial number are one event.

use std::borrow::Cow;

use gambeson_policy_model::{Event, EventPath, Operation, Socket, Verdict};

use super::owner::Owner;
use super::record::{Occurrence, Take, Told};
use crate::explain::Assumed;

/// Records that wait for the last of their event.
#[derive(Debug, Default)]
pub(super) struct Pending {
    serial: Vec<u8>,
    call: Option<Call>,
    cwd: Vec<u8>,
    paths: Vec<Named>,
    args: Vec<Vec<u8>>,
    /// The flags of an openat2, which aren't among its arguments.
    open_flags: Option<u64>,
}

#[derive(Debug)]
struct Call {
    kind: Option<Kind>,
    /// A name may be seen from a directory that isn't the process's own.
    elsewhere: bool,
    arguments: [u64; 4],
    exe: Vec<u8>,
    uid: Option<u32>,
    tty: bool,
    denied: bool,
}

#[derive(Debug)]
struct Named {
    path: Vec<u8>,
    owner: Option<u32>,
    parent: bool,
}

/// What a system call does to the files that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exec,
    /// With the number of the argument that holds the flags.
    Open(usize),
    /// The flags come in a record of their own.
    Open2,
    Create,
    Change,
    Socket,
}

const WRITES: u64 = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000;

/// The directory of the process itself, as a file descriptor in 32 bits.
const AT_FDCWD: u64 = 0xffff_ff9c;

/// Which arguments are directories that names are seen from.
type Directories = &'static [usize];

/// A call's name, its number on x86-64 and on arm64, what it does, and its directories.
type NamedCall = (
    &'static [u8],
    &'static [u8],
    &'static [u8],
    Kind,
    Directories,
);

const CALLS: [NamedCall; 29] = [
    (b"execve", b"59", b"221", Kind::Exec, &[]),
    (b"execveat", b"322", b"281", Kind::Exec, &[0]),
    (b"open", b"2", b"", Kind::Open(1), &[]),
    (b"openat", b"257", b"56", Kind::Open(2), &[0]),
    (b"openat2", b"437", b"437", Kind::Open2, &[0]),
    (b"creat", b"85", b"", Kind::Create, &[]),
    (b"truncate", b"76", b"45", Kind::Change, &[]),
    (b"rename", b"82", b"", Kind::Change, &[]),
    (b"renameat", b"264", b"38", Kind::Change, &[0, 2]),
    (b"renameat2", b"316", b"276", Kind::Change, &[0, 2]),
    (b"mkdir", b"83", b"", Kind::Change, &[]),
    (b"mkdirat", b"258", b"34", Kind::Change, &[0]),
    (b"mknod", b"133", b"", Kind::Change, &[]),
    (b"mknodat", b"259", b"33", Kind::Change, &[0]),
    (b"rmdir", b"84", b"", Kind::Change, &[]),
    (b"unlink", b"87", b"", Kind::Change, &[]),
    (b"unlinkat", b"263", b"35", Kind::Change, &[0]),
    (b"link", b"86", b"", Kind::Change, &[]),
    (b"linkat", b"265", b"37", Kind::Change, &[0, 2]),
    (b"symlink", b"88", b"", Kind::Change, &[]),
    (b"symlinkat", b"266", b"36", Kind::Change, &[1]),
    (b"chmod", b"90", b"", Kind::Change, &[]),
    (b"fchmodat", b"268", b"53", Kind::Change, &[0]),
    (b"fchmodat2", b"452", b"452", Kind::Change, &[0]),
    (b"chown", b"92", b"", Kind::Change, &[]),
    (b"lchown", b"94", b"", Kind::Change, &[]),
    (b"fchownat", b"260", b"54", Kind::Change, &[0]),
    (b"setxattr", b"188", b"5", Kind::Change, &[]),
    (b"socket", b"41", b"198", Kind::Socket, &[]),
];

/// A call by its name, or by its number on x86-64 and on arm64: others number theirs otherwise.
fn known_call(arch: &[u8], call: &[u8]) -> Option<(Kind, Directories)> {
    let found = CALLS.iter().find(|(name, x86, arm64, ..)| {
        call == *name
            || match arch {
                b"c000003e" => call == *x86,
                b"c00000b7" => call == *arm64,
                _ => false,
            }
    });
    found.map(|(.., kind, directories)| (*kind, *directories))
}

/// Whether a line is a record of the audit log.
pub(super) fn is_record(line: &[u8]) -> bool {
    line.starts_with(b"type=") || line.starts_with(b"node=")
}

/// The fields of a record, each a name, its value without quotes, and whether it had any.
fn fields(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], bool)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            // The first behind what an enriched log adds has its separator before it.
            let start = rest.iter().position(|byte| !is_gap(*byte))?;
            rest = rest.get(start..)?;
            let end = memchr::memchr3(b'=', b' ', b'\x1d', rest)?;
            let (name, behind) = rest.split_at_checked(end)?;
            let (separator, value) = behind.split_first()?;
            if *separator != b'=' {
                rest = value;
                continue;
            }
            if let Some((b'"', quoted)) = value.split_first() {
                let end = memchr::memchr(b'"', quoted).unwrap_or(quoted.len());
                rest = quoted.get(end + 1..).unwrap_or_default();
                return Some((name, quoted.get(..end)?, true));
            }
            let end = memchr::memchr2(b' ', b'\x1d', value).unwrap_or(value.len());
            rest = value.get(end..).unwrap_or_default();
            return Some((name, value.get(..end)?, false));
        }
    })
}

const fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b'\x1d')
}

/// A text that is quoted, or in hexadecimal digits where it holds what quotes can't.
fn text(value: &[u8], quoted: bool) -> Option<Vec<u8>> {
    if quoted {
        return Some(value.to_vec());
    }
    if value == b"(null)" {
        return None;
    }
    let (pairs, rest) = value.as_chunks::<2>();
    if !rest.is_empty() {
        return Some(value.to_vec());
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok())
        .collect::<Option<Vec<u8>>>()
        .or_else(|| Some(value.to_vec()))
}

fn number(value: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(value).ok()?, radix).ok()
}

fn id(value: &[u8]) -> Option<u32> {
    number(value, 10).and_then(|id| u32::try_from(id).ok())
}

/// The serial number, with the time: `1364481363.243:24287`.
pub(super) fn serial(line: &[u8]) -> Option<&[u8]> {
    // It stands near the start.
    let head = line.get(..line.len().min(200))?;
    let at = memchr::memchr_iter(b'(', head).find(|at| {
        line.get(..*at)
            .is_some_and(|before| before.ends_with(b"msg=audit"))
    })?;
    let rest = line.get(at + 1..)?;
    rest.get(..memchr::memchr(b')', rest)?)
}

/// The time in a serial number, in seconds.
pub(super) fn time(serial: &[u8]) -> Option<i64> {
    let seconds = serial.split(|byte| *byte == b'.').next()?;
    std::str::from_utf8(seconds).ok()?.parse().ok()
}

impl Pending {
    /// Takes a record up; where it is the first of another event, the one before is told.
    pub(super) fn read(&mut self, line: &[u8], take: Take<'_>) {
        let Some(serial) = serial(line) else {
            return take(Err(
                "a record of the audit log without its `msg=audit(…)`".to_owned()
            ));
        };
        if serial == self.serial.as_slice() {
            take(Ok(Told::Partial));
        } else {
            self.finish(take);
            self.serial.extend_from_slice(serial);
        }
        let kind = fields(line).find(|(name, ..)| *name == b"type");
        match kind.map(|(_, kind, _)| kind) {
            Some(b"SYSCALL") => self.call = Some(Call::of(line)),
            Some(b"CWD") => {
                let cwd = fields(line).find(|(name, ..)| *name == b"cwd");
                self.cwd = cwd
                    .and_then(|(_, value, quoted)| text(value, quoted))
                    .unwrap_or_default();
            }
            Some(b"PATH") => self.paths.extend(Named::of(line)),
            Some(b"EXECVE") => arguments(line, &mut self.args),
            Some(b"OPENAT2") => {
                let flags = fields(line).find(|(name, ..)| *name == b"oflag");
                self.open_flags = flags.and_then(|(_, value, _)| number(value, 8));
            }
            _ => {}
        }
    }

    /// Tells what the records so far come to.
    pub(super) fn finish(&mut self, take: Take<'_>) {
        if self.serial.is_empty() {
            return take(Ok(Told::Partial));
        }
        let told = self.told();
        take(told);
        self.serial.clear();
        self.call = None;
        self.cwd.clear();
        self.paths.clear();
        self.args.clear();
        self.open_flags = None;
    }

    fn told(&self) -> Result<Told<'_>, String> {
        let Some(call) = &self.call else {
            return Ok(Told::NoEvent);
        };
        let Some(kind) = call.kind else {
            return Ok(Told::NoEvent);
        };
        let mut assumed = Assumed::default();
        let exe = || EventPath::from(call.exe.as_slice());
        if kind == Kind::Socket {
            // The type's upper bits are flags of the descriptor.
            let [family, socket_type, protocol, _] = call
                .arguments
                .map(|number| (number & u64::from(u32::MAX)) as u32);
            let socket = Socket::new(family, socket_type & 0xf, protocol);
            let event = Event::new(Operation::Socket(socket)).by(exe());
            return Ok(self.occurrence(call, event, Vec::new(), assumed));
        }
        assumed.push("paths are taken as they were given, links not resolved");
        let mut files = self.paths.iter().filter(|named| !named.parent);
        let Some(named) = files.next() else {
            return Err("a call of the audit log without the PATH record of its file".to_owned());
        };
        let first = self.path(call, named)?;
        let flags = match kind {
            Kind::Open(place) => call.arguments.get(place).copied(),
            Kind::Open2 => self.open_flags,
            _ => Some(WRITES),
        };
        let (operation, source) = match kind {
            Kind::Exec => {
                assumed.push(
                    "the program that called exec isn't recorded, so the strictest outcome stands",
                );
                let args = self.args.iter();
                let args = args.map(|arg| Cow::Borrowed(arg.as_slice())).collect();
                (
                    Operation::Exec { path: first, args },
                    EventPath::UNRESOLVABLE,
                )
            }
            _ if flags.unwrap_or(0) & WRITES == 0 => (Operation::Read { path: first }, exe()),
            _ => (Operation::Write { path: first }, exe()),
        };
        let mut event = Event::new(operation).by(source);
        event.owner = named.owner;
        // What has two names changes both.
        let also = match kind {
            Kind::Change => files
                .map(|named| {
                    Ok(Event {
                        operation: Operation::Write {
                            path: self.path(call, named)?,
                        },
                        owner: named.owner,
                        ..event.clone()
                    })
                })
                .collect::<Result<_, String>>()?,
            _ => Vec::new(),
        };
        Ok(self.occurrence(call, event, also, assumed))
    }
}

impl Pending {
    fn path<'p>(&self, call: &Call, named: &'p Named) -> Result<EventPath<'p>, String> {
        if call.elsewhere && !named.path.starts_with(b"/") {
            return Err(
                "the path is seen from a directory that the record doesn't name".to_owned(),
            );
        }
        Ok(resolved(&self.cwd, &named.path))
    }

    fn occurrence<'p>(
        &'p self,
        call: &Call,
        event: Event<'p>,
        also: Vec<Event<'p>>,
        assumed: Assumed,
    ) -> Told<'p> {
        let by_caller = |event: Event<'p>| Event {
            uid: call.uid,
            tty: call.tty,
            ..event
        };
        Told::Event(Occurrence {
            event: by_caller(event),
            also: also.into_iter().map(by_caller).collect(),
            owner: Owner::default(),
            recorded: if call.denied {
                Verdict::Block
            } else {
                Verdict::Allow
            },
            assumed,
            serial: &self.serial,
        })
    }
}

impl Call {
    fn of(line: &[u8]) -> Self {
        let (mut arch, mut number_of, mut name): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
        let mut call = Self {
            kind: None,
            elsewhere: false,
            arguments: [0; 4],
            exe: Vec::new(),
            uid: None,
            tty: false,
            denied: false,
        };
        for (field, value, quoted) in fields(line) {
            match field {
                b"arch" => arch = value,
                b"syscall" => number_of = value,
                // An enriched log says it in words as well.
                b"SYSCALL" => name = value,
                b"exe" => call.exe = text(value, quoted).unwrap_or_default(),
                b"fsuid" => call.uid = id(value),
                b"tty" => call.tty = value != b"(none)",
                // EPERM and EACCES; what fails otherwise wasn't denied.
                b"exit" => call.denied = matches!(value, b"-1" | b"-13" | b"EPERM" | b"EACCES"),
                [b'a', place @ b'0'..=b'3'] => {
                    let place = call.arguments.get_mut(usize::from(*place - b'0'));
                    if let (Some(place), Some(value)) = (place, number(value, 16)) {
                        *place = value;
                    }
                }
                _ => {}
            }
        }
        let known = known_call(arch, number_of).or_else(|| known_call(arch, name));
        if let Some((kind, directories)) = known {
            call.kind = Some(kind);
            let mut directories = directories
                .iter()
                .filter_map(|place| call.arguments.get(*place));
            call.elsewhere =
                directories.any(|directory| directory & u64::from(u32::MAX) != AT_FDCWD);
        }
        call
    }
}

impl Named {
    fn of(line: &[u8]) -> Option<Self> {
        let mut path = None;
        let (mut owner, mut parent) = (None, false);
        for (field, value, quoted) in fields(line) {
            match field {
                b"name" => path = text(value, quoted),
                b"ouid" => owner = id(value),
                b"nametype" => parent = value == b"PARENT",
                _ => {}
            }
        }
        Some(Self {
            path: path?,
            owner,
            parent,
        })
    }
}

/// Adds the arguments of an exec, without the program's own name. Long ones come in parts, many of
/// them in several records.
fn arguments(line: &[u8], args: &mut Vec<Vec<u8>>) {
    for (field, value, quoted) in fields(line) {
        let Some(place) = field.strip_prefix(b"a") else {
            continue;
        };
        let digits = place
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let Some((place, part)) = place.split_at_checked(digits) else {
            continue;
        };
        // `a1_len` is only their length.
        if part.first().is_some_and(|byte| *byte != b'[') {
            continue;
        }
        let Some(place) = number(place, 10).and_then(|place| place.checked_sub(1)) else {
            continue;
        };
        let Some(place) = usize::try_from(place).ok().filter(|place| *place < 4096) else {
            continue;
        };
        if args.len() <= place {
            args.resize(place + 1, Vec::new());
        }
        if let (Some(arg), Some(text)) = (args.get_mut(place), text(value, quoted)) {
            arg.extend(text);
        }
    }
}

/// A path seen from a directory, without `.` and `..`.
fn resolved<'p>(cwd: &[u8], path: &'p [u8]) -> EventPath<'p> {
    let given = EventPath::from(path);
    if given.bytes().is_some() && given.is_resolved() {
        return given;
    }
    let whole = if path.starts_with(b"/") {
        path.to_vec()
    } else {
        [cwd, b"/", path].concat()
    };
    let mut components: Vec<&[u8]> = Vec::new();
    for component in whole.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                components.pop();
            }
            component => components.push(component),
        }
    }
    let mut path = Vec::with_capacity(whole.len());
    for component in &components {
        path.push(b'/');
        path.extend_from_slice(component);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    EventPath::new(path)
}
