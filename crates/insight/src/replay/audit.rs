//! Records of the Linux audit log: several lines with one serial number are one event.

use std::borrow::Cow;

use gambeson_policy_model::{Event, EventPath, Operation, Verdict};

use super::record::{Owner, Told};

/// Records that wait for the last of their event.
#[derive(Debug, Default)]
pub(super) struct Pending {
    serial: Vec<u8>,
    call: Option<Call>,
    cwd: Vec<u8>,
    paths: Vec<Named>,
    args: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Call {
    name: Option<Kind>,
    flags: u64,
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
    Open(u8),
    Change,
}

const WRITES: u64 = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000;

/// A call's name, its number on x86-64 and on arm64, and what it does.
type NamedCall = (&'static [u8], &'static [u8], &'static [u8], Kind);

impl Kind {
    /// By name, or by number on x86-64 and on arm64.
    fn of(arch: &[u8], call: &[u8]) -> Option<Self> {
        let arm = arch == b"c00000b7";
        let known: &[NamedCall] = &[
            (b"execve", b"59", b"221", Self::Exec),
            (b"execveat", b"322", b"281", Self::Exec),
            (b"open", b"2", b"", Self::Open(1)),
            (b"openat", b"257", b"56", Self::Open(2)),
            (b"truncate", b"76", b"45", Self::Change),
            (b"creat", b"85", b"", Self::Change),
            (b"rename", b"82", b"", Self::Change),
            (b"renameat", b"264", b"38", Self::Change),
            (b"renameat2", b"316", b"276", Self::Change),
            (b"mkdir", b"83", b"", Self::Change),
            (b"mkdirat", b"258", b"34", Self::Change),
            (b"rmdir", b"84", b"", Self::Change),
            (b"unlink", b"87", b"", Self::Change),
            (b"unlinkat", b"263", b"35", Self::Change),
            (b"link", b"86", b"", Self::Change),
            (b"linkat", b"265", b"37", Self::Change),
            (b"symlink", b"88", b"", Self::Change),
            (b"symlinkat", b"266", b"36", Self::Change),
            (b"chmod", b"90", b"", Self::Change),
            (b"fchmodat", b"268", b"53", Self::Change),
            (b"chown", b"92", b"", Self::Change),
            (b"fchownat", b"260", b"54", Self::Change),
        ];
        known
            .iter()
            .find(|(name, x86, arm64, _)| call == *name || call == *if arm { arm64 } else { x86 })
            .map(|(.., kind)| *kind)
    }
}

/// The value of a field; what is quoted without its quotes.
fn field<'l>(line: &'l [u8], name: &str) -> Option<(&'l [u8], bool)> {
    let mut rest = line;
    while let Some(at) = memchr::memmem::find(rest, name.as_bytes()) {
        let starts = at == 0
            || rest
                .get(at - 1)
                .is_some_and(|byte| matches!(byte, b' ' | b'\x1d'));
        let behind = rest.get(at + name.len()..).unwrap_or_default();
        match behind.split_first() {
            Some((b'=', value)) if starts => {
                if let Some((b'"', quoted)) = value.split_first() {
                    let end = memchr::memchr(b'"', quoted).unwrap_or(quoted.len());
                    return Some((quoted.get(..end).unwrap_or_default(), true));
                }
                let end = value.iter().position(|byte| matches!(byte, b' ' | b'\x1d'));
                return Some((
                    value.get(..end.unwrap_or(value.len())).unwrap_or_default(),
                    false,
                ));
            }
            _ => rest = behind,
        }
    }
    None
}

/// A field that is quoted, or in hexadecimal digits where it holds what quotes can't.
fn text(line: &[u8], name: &str) -> Option<Vec<u8>> {
    let (value, quoted) = field(line, name)?;
    if quoted || value == b"(null)" {
        return (value != b"(null)").then(|| value.to_vec());
    }
    let (pairs, rest) = value.as_chunks::<2>();
    if !rest.is_empty() {
        return Some(value.to_vec());
    }
    pairs
        .iter()
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<Vec<u8>>>()
        .or_else(|| Some(value.to_vec()))
}

fn number(line: &[u8], name: &str, radix: u32) -> Option<u64> {
    let (value, _) = field(line, name)?;
    u64::from_str_radix(std::str::from_utf8(value).ok()?, radix).ok()
}

/// The serial number, with the time: `1364481363.243:24287`.
pub(super) fn serial(line: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(line, b"msg=audit(")?;
    let rest = line.get(at + 10..)?;
    rest.get(..memchr::memchr(b')', rest)?)
}

impl Pending {
    /// Takes a record up; where it is the first of another event, the one before is told.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<Told<'static>, String> {
        let Some(serial) = serial(line) else {
            return Err("a record of the audit log without its `msg=audit(…)`".to_owned());
        };
        let told = if serial == self.serial.as_slice() {
            Ok(Told::Partial)
        } else {
            let told = self.finish();
            self.serial = serial.to_vec();
            told
        };
        match field(line, "type").map(|(kind, _)| kind) {
            Some(b"SYSCALL") => {
                let arch = field(line, "arch").map_or(&[][..], |(arch, _)| arch);
                let call = field(line, "syscall").map_or(&[][..], |(call, _)| call);
                let kind = Kind::of(arch, call);
                let flags = match kind {
                    Some(Kind::Open(place)) => number(line, &format!("a{place}"), 16),
                    _ => None,
                };
                self.call = Some(Call {
                    name: kind,
                    flags: flags.unwrap_or(0),
                    exe: text(line, "exe").unwrap_or_default(),
                    uid: number(line, "fsuid", 10).and_then(|uid| u32::try_from(uid).ok()),
                    tty: field(line, "tty").is_some_and(|(tty, _)| tty != b"(none)"),
                    // EPERM and EACCES; what fails otherwise wasn't denied.
                    denied: field(line, "exit")
                        .is_some_and(|(exit, _)| matches!(exit, b"-1" | b"-13")),
                });
            }
            Some(b"CWD") => self.cwd = text(line, "cwd").unwrap_or_default(),
            Some(b"PATH") => {
                if let Some(path) = text(line, "name") {
                    let kind = field(line, "nametype").map(|(kind, _)| kind);
                    self.paths.push(Named {
                        path,
                        owner: number(line, "ouid", 10).and_then(|uid| u32::try_from(uid).ok()),
                        parent: kind == Some(b"PARENT"),
                    });
                }
            }
            Some(b"EXECVE") => {
                let count = number(line, "argc", 10).unwrap_or(0).min(4096);
                self.args = (1..count)
                    .filter_map(|place| text(line, &format!("a{place}")))
                    .collect();
            }
            _ => {}
        }
        told
    }

    /// The time of the event, in seconds.
    pub(super) fn time(&self) -> Option<i64> {
        let seconds = self.serial.split(|byte| *byte == b'.').next()?;
        std::str::from_utf8(seconds).ok()?.parse().ok()
    }

    /// What the records so far come to.
    pub(super) fn finish(&mut self) -> Result<Told<'static>, String> {
        let Self {
            call,
            cwd,
            paths,
            args,
            ..
        } = std::mem::take(self);
        let Some(call) = call else {
            return Ok(Told::Partial);
        };
        let Some(kind) = call.name else {
            return Ok(Told::NoEvent);
        };
        let mut assumed = vec!["paths are taken as they were given, links not resolved"];
        let mut files = paths.iter().filter(|named| !named.parent);
        let Some(named) = files.next() else {
            return Err("a call of the audit log without the PATH record of its file".to_owned());
        };
        let path = resolved(&cwd, &named.path);
        let (operation, source) = match kind {
            Kind::Exec => {
                assumed.push(
                    "the program that called exec isn't recorded, so the strictest outcome stands",
                );
                let args = args.into_iter().map(Cow::Owned).collect();
                (Operation::Exec { path, args }, EventPath::UNRESOLVABLE)
            }
            Kind::Open(_) if call.flags & WRITES == 0 => {
                (Operation::Read { path }, EventPath::new(call.exe))
            }
            Kind::Open(_) | Kind::Change => (Operation::Write { path }, EventPath::new(call.exe)),
        };
        let mut event = Event::new(operation).by(source).tty(call.tty);
        event.uid = call.uid;
        event.owner = named.owner;
        // What has two names changes both.
        let also = match kind {
            Kind::Change => files
                .map(|named| Event {
                    operation: Operation::Write {
                        path: resolved(&cwd, &named.path),
                    },
                    owner: named.owner,
                    ..event.clone()
                })
                .collect(),
            Kind::Exec | Kind::Open(_) => Vec::new(),
        };
        Ok(Told::Event {
            event,
            owner: Owner::default(),
            also,
            recorded: if call.denied {
                Verdict::Block
            } else {
                Verdict::Allow
            },
            assumed,
        })
    }
}

/// A path seen from a directory, without `.` and `..`.
fn resolved(cwd: &[u8], path: &[u8]) -> EventPath<'static> {
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
