//! Events: who does what to which object.
//!
//! An operation with two names (rename, link) is two events, and the strictest verdict of the two
//! wins; a tie goes to the old name.

use std::borrow::Cow;

use crate::capability::Capability;
use crate::device::Device;
use crate::network::Socket;
use crate::preset::Preset;
use crate::rule::Class;

/// The path of an object or of an executable, as seen from the workload's root, or the reason why
/// there is none.
///
/// A path is absolute, has no NUL byte and at most [`EventPath::MAX_LENGTH`] bytes; whatever is not
/// such a path is unresolvable. It should be that of the resolved file, without `.`, `..`, empty
/// components or a slash at the end: rules are compared with it byte for byte.
///
/// ```
/// use gambeson_policy_model::EventPath;
/// assert_eq!(EventPath::from("/bin/sh").bytes(), Some(&b"/bin/sh"[..]));
/// assert_eq!(EventPath::from("memfd:x"), EventPath::UNRESOLVABLE);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct EventPath<'a>(Repr<'a>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
enum Repr<'a> {
    Path(Cow<'a, [u8]>),
    #[default]
    Unresolvable,
    Nameless,
}

impl<'a> EventPath<'a> {
    /// The most bytes that a path has, without the terminating NUL (`PATH_MAX` less one).
    pub const MAX_LENGTH: usize = 4095;

    /// A path that could not be computed.
    pub const UNRESOLVABLE: Self = Self(Repr::Unresolvable);

    /// An object without a name in a file system, such as a pipe or a socket: outside the file
    /// class, so that reading and writing it is always allowed.
    pub const NAMELESS: Self = Self(Repr::Nameless);

    /// Takes the bytes for a path if they can be one.
    #[must_use]
    pub fn new(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        let bytes = bytes.into();
        let is_path =
            bytes.first() == Some(&b'/') && bytes.len() <= Self::MAX_LENGTH && !bytes.contains(&0);
        if is_path {
            Self(Repr::Path(bytes))
        } else {
            Self::UNRESOLVABLE
        }
    }

    /// The path's bytes; `None` where there is no path.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Path(bytes) => Some(bytes),
            Repr::Unresolvable | Repr::Nameless => None,
        }
    }

    /// Whether the path can be that of a resolved file: no component is `.`, `..` or empty, and no
    /// slash is at the end. Rules match no other path on purpose, so a recorder that gives one is
    /// mistaken. What has no path is as resolved as it gets.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        match self.bytes() {
            None | Some(b"/") => true,
            Some(path) => path
                .split(|byte| *byte == b'/')
                .skip(1)
                .all(|component| !matches!(component, b"" | b"." | b"..")),
        }
    }

    /// Whether the object has no name in a file system.
    #[must_use]
    pub const fn is_nameless(&self) -> bool {
        matches!(self.0, Repr::Nameless)
    }

    /// The same path, owning its bytes.
    #[must_use]
    pub fn into_owned(self) -> EventPath<'static> {
        EventPath(match self.0 {
            Repr::Path(bytes) => Repr::Path(Cow::Owned(bytes.into_owned())),
            Repr::Unresolvable => Repr::Unresolvable,
            Repr::Nameless => Repr::Nameless,
        })
    }
}

impl<'a> From<&'a str> for EventPath<'a> {
    fn from(path: &'a str) -> Self {
        Self::new(path.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for EventPath<'a> {
    fn from(path: &'a [u8]) -> Self {
        Self::new(path)
    }
}

impl From<String> for EventPath<'_> {
    fn from(path: String) -> Self {
        Self::new(path.into_bytes())
    }
}

impl<'a> From<Cow<'a, str>> for EventPath<'a> {
    fn from(path: Cow<'a, str>) -> Self {
        match path {
            Cow::Borrowed(path) => path.into(),
            Cow::Owned(path) => path.into(),
        }
    }
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// Executing a file.
    Exec {
        /// The file.
        path: EventPath<'a>,
        /// The arguments after `argv[0]`.
        args: Vec<Cow<'a, [u8]>>,
    },
    /// Mapping a file executable in any other way than by executing it.
    MapExec {
        /// The file.
        path: EventPath<'a>,
    },
    /// Opening a file for reading.
    Read {
        /// The file.
        path: EventPath<'a>,
    },
    /// Changing a file, its name or its metadata.
    Write {
        /// The file.
        path: EventPath<'a>,
    },
    /// Creating or using a socket.
    Socket(Socket),
    /// Using a capability.
    Capability(Capability),
    /// Making a system call.
    Syscall {
        /// The system call's name.
        name: Cow<'a, str>,
        /// The file it is about, if any.
        path: Option<EventPath<'a>>,
    },
    /// Asking for a name.
    Dns {
        /// The domain.
        domain: Cow<'a, str>,
    },
    /// Attaching a USB device.
    Device(Device),
    /// A kernel situation.
    Preset(Preset),
}

impl Operation<'_> {
    /// The class whose rules judge it.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Exec { .. } | Self::MapExec { .. } => Class::Process,
            Self::Read { .. } | Self::Write { .. } => Class::File,
            Self::Socket(_) => Class::Network,
            Self::Capability(_) => Class::Capabilities,
            Self::Syscall { .. } => Class::Syscalls,
            Self::Dns { .. } => Class::Dns,
            Self::Device(_) => Class::Devices,
            Self::Preset(_) => Class::Presets,
        }
    }

    /// The operation's name in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Exec { .. } => "exec",
            Self::MapExec { .. } => "map_exec",
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Socket(_) => "socket",
            Self::Capability(_) => "capability",
            Self::Syscall { .. } => "syscall",
            Self::Dns { .. } => "dns",
            Self::Device(_) => "device",
            Self::Preset(_) => "preset",
        }
    }

    /// The same operation, owning its texts.
    #[must_use]
    pub fn into_owned(self) -> Operation<'static> {
        match self {
            Self::Exec { path, args } => Operation::Exec {
                path: path.into_owned(),
                args: args
                    .into_iter()
                    .map(|arg| Cow::Owned(arg.into_owned()))
                    .collect(),
            },
            Self::MapExec { path } => Operation::MapExec {
                path: path.into_owned(),
            },
            Self::Read { path } => Operation::Read {
                path: path.into_owned(),
            },
            Self::Write { path } => Operation::Write {
                path: path.into_owned(),
            },
            Self::Socket(socket) => Operation::Socket(socket),
            Self::Capability(capability) => Operation::Capability(capability),
            Self::Syscall { name, path } => Operation::Syscall {
                name: Cow::Owned(name.into_owned()),
                path: path.map(EventPath::into_owned),
            },
            Self::Dns { domain } => Operation::Dns {
                domain: Cow::Owned(domain.into_owned()),
            },
            Self::Device(device) => Operation::Device(device),
            Self::Preset(preset) => Operation::Preset(preset),
        }
    }

    /// The path of the file that is executed, mapped, read or written; `None` for operations
    /// on anything else.
    #[must_use]
    pub const fn file(&self) -> Option<&EventPath<'_>> {
        match self {
            Self::Exec { path, .. }
            | Self::MapExec { path }
            | Self::Read { path }
            | Self::Write { path } => Some(path),
            _ => None,
        }
    }
}

/// One event.
///
/// ```
/// use gambeson_policy_model::Event;
/// let event = Event::exec("/bin/sh").by("/usr/sbin/nginx").uid(33).owner(0);
/// assert_eq!(event.operation.name(), "exec");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// What is done.
    pub operation: Operation<'a>,
    /// The subject's executable. Unresolvable unless given: where a rule that matches the object
    /// names a source, the strictest outcome then stands.
    pub source: EventPath<'a>,
    /// The subject's fsuid. Unless both it and `owner` are given, `ownerOnly` doesn't hold.
    pub uid: Option<u32>,
    /// The uid that owns the object; for a new name, its parent directory's.
    pub owner: Option<u32>,
    /// Whether the subject has a controlling terminal.
    pub tty: bool,
}

impl<'a> Event<'a> {
    /// An operation by a subject of which nothing is known yet.
    #[must_use]
    pub const fn new(operation: Operation<'a>) -> Self {
        Self {
            operation,
            source: EventPath::UNRESOLVABLE,
            uid: None,
            owner: None,
            tty: false,
        }
    }

    /// Executing a file, without arguments.
    #[must_use]
    pub fn exec(path: impl Into<EventPath<'a>>) -> Self {
        Self::new(Operation::Exec {
            path: path.into(),
            args: Vec::new(),
        })
    }

    /// Mapping a file executable.
    #[must_use]
    pub fn map_exec(path: impl Into<EventPath<'a>>) -> Self {
        Self::new(Operation::MapExec { path: path.into() })
    }

    /// Opening a file for reading.
    #[must_use]
    pub fn read(path: impl Into<EventPath<'a>>) -> Self {
        Self::new(Operation::Read { path: path.into() })
    }

    /// Changing a file, its name or its metadata.
    #[must_use]
    pub fn write(path: impl Into<EventPath<'a>>) -> Self {
        Self::new(Operation::Write { path: path.into() })
    }

    /// Creating or using a socket.
    #[must_use]
    pub const fn socket(socket: Socket) -> Self {
        Self::new(Operation::Socket(socket))
    }

    /// Using a capability.
    #[must_use]
    pub const fn capability(capability: Capability) -> Self {
        Self::new(Operation::Capability(capability))
    }

    /// Making a system call that is about no file.
    #[must_use]
    pub fn syscall(name: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Operation::Syscall {
            name: name.into(),
            path: None,
        })
    }

    /// Asking for a name.
    #[must_use]
    pub fn dns(domain: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Operation::Dns {
            domain: domain.into(),
        })
    }

    /// Attaching a USB device.
    #[must_use]
    pub const fn device(device: Device) -> Self {
        Self::new(Operation::Device(device))
    }

    /// A kernel situation.
    #[must_use]
    pub const fn preset(preset: Preset) -> Self {
        Self::new(Operation::Preset(preset))
    }

    /// Names the subject's executable.
    #[must_use]
    pub fn by(mut self, source: impl Into<EventPath<'a>>) -> Self {
        self.source = source.into();
        self
    }

    /// Gives an exec its arguments after `argv[0]`; other operations have none.
    #[must_use]
    pub fn args<A: Into<Cow<'a, [u8]>>>(mut self, list: impl IntoIterator<Item = A>) -> Self {
        if let Operation::Exec { args, .. } = &mut self.operation {
            *args = list.into_iter().map(Into::into).collect();
        }
        self
    }

    /// Gives a system call the file it is about; other operations keep what they have.
    #[must_use]
    pub fn about(mut self, file: impl Into<EventPath<'a>>) -> Self {
        if let Operation::Syscall { path, .. } = &mut self.operation {
            *path = Some(file.into());
        }
        self
    }

    /// The subject's fsuid.
    #[must_use]
    pub const fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// The uid that owns the object.
    #[must_use]
    pub const fn owner(mut self, owner: u32) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Whether the subject has a controlling terminal.
    #[must_use]
    pub const fn tty(mut self, tty: bool) -> Self {
        self.tty = tty;
        self
    }

    /// The same event, owning its texts.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        Event {
            operation: self.operation.into_owned(),
            source: self.source.into_owned(),
            uid: self.uid,
            owner: self.owner,
            tty: self.tty,
        }
    }

    /// Whether the subject is known to own the object.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.uid.is_some() && self.uid == self.owner
    }
}
