//! The event that an alert tells of.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gambeson_policy_model::{
    Alert, Capability, Device, DeviceClass, Event, EventPath, Operation, Preset, Socket,
};
use thiserror::Error;

/// The event of an alert, and what of it the alert leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlertedEvent {
    /// The event as far as it can be told.
    pub event: Event<'static>,
    /// What was assumed where the alert doesn't say.
    pub assumed: Vec<&'static str>,
}

/// Why an alert tells of no event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoEvent {
    /// An operation that isn't known.
    #[error(
        "`Operation` is `{0}`; it must be Process, File, Network, Capabilities, Syscall or Device"
    )]
    Operation(String),
    /// A field that doesn't name what the operation is on.
    #[error("`{field}` is `{value}`, which names no {what}")]
    Object {
        /// The field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it should name.
        what: &'static str,
    },
}

/// The event that an alert in KubeArmor's words tells of.
///
/// ```
/// use gambeson_insight::explain::event_of_alert;
/// use gambeson_policy_model::{Alert, Event};
/// let alert = Alert::from_kubearmor_json(
///     r#"{"Operation":"Process","Resource":"/bin/sh -c id","ParentProcessName":"/usr/sbin/nginx"}"#,
/// )?;
/// let alerted = event_of_alert(&alert)?;
/// let args = ["-c", "id"].map(str::as_bytes);
/// assert_eq!(alerted.event, Event::exec("/bin/sh").args(args).by("/usr/sbin/nginx").uid(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Where the alert's operation or what it is on isn't known.
pub fn event_of_alert(alert: &Alert) -> Result<AlertedEvent, NoEvent> {
    let (event, assumed) = event_of(&Told::from(alert))?;
    Ok(AlertedEvent {
        event: event.into_owned(),
        assumed: assumed.iter().collect(),
    })
}

/// The fields of an alert that tell its event.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told<'a> {
    pub(crate) operation: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) data: &'a str,
    pub(crate) event_data: Option<&'a BTreeMap<String, String>>,
    pub(crate) enforcer: &'a str,
    pub(crate) source: &'a str,
    pub(crate) process_name: &'a str,
    pub(crate) parent_process_name: &'a str,
    pub(crate) uid: i32,
    pub(crate) object_owner: i32,
    pub(crate) tty: &'a str,
}

impl<'a> From<&'a Alert> for Told<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            operation: &alert.operation,
            resource: &alert.resource,
            data: &alert.data,
            event_data: Some(&alert.event_data),
            enforcer: &alert.enforcer,
            source: &alert.source,
            process_name: &alert.process_name,
            parent_process_name: &alert.parent_process_name,
            uid: alert.uid,
            object_owner: alert.object_owner,
            tty: &alert.tty,
        }
    }
}

/// The event, and what is assumed of it.
pub(crate) fn event_of<'a>(alert: &Told<'a>) -> Result<(Event<'a>, Assumed), NoEvent> {
    let mut assumed = Assumed::default();
    let operation = operation(alert, &mut assumed)?;
    let is_exec = matches!(operation, Operation::Exec { .. });
    // Of an exec, the process is what it is about to become.
    let program = if is_exec {
        alert.parent_process_name
    } else {
        alert.process_name
    };
    let program = if program.is_empty() {
        alert.source.split_whitespace().next().unwrap_or_default()
    } else {
        program
    };
    let source = EventPath::from(program);
    if source.bytes().is_none() {
        assumed.push("the acting program is unknown, so the strictest outcome of all stands");
    }
    let is_file = operation.file().is_some();
    if is_file && alert.object_owner == 0 {
        assumed.push("the object's owner isn't told, so ownerOnly is taken not to hold");
    }
    let owner = (alert.object_owner != 0).then_some(alert.object_owner.cast_unsigned());
    let event = Event {
        operation,
        source,
        uid: Some(alert.uid.cast_unsigned()),
        owner: owner.filter(|_| is_file),
        tty: !alert.tty.is_empty() && alert.tty != "?",
    };
    Ok((event, assumed))
}

fn operation<'a>(alert: &Told<'a>, assumed: &mut Assumed) -> Result<Operation<'a>, NoEvent> {
    if let Some(preset) = alert.enforcer.strip_prefix("PRESET-") {
        return Preset::from_name(preset)
            .map(Operation::Preset)
            .ok_or_else(|| wrong("Enforcer", alert.enforcer, "preset"));
    }
    let hook = datum(alert, "lsm").unwrap_or_default();
    match alert.operation {
        "Process" if hook.eq_ignore_ascii_case("mmap_file") => Ok(Operation::MapExec {
            path: path(alert.resource)?,
        }),
        "Process" => exec(alert, assumed),
        "File" => file(alert, hook, assumed),
        "Network" => match datum(alert, "domain").filter(|domain| !is_family(domain)) {
            Some(domain) => Ok(Operation::Dns {
                domain: domain.into(),
            }),
            None => socket(alert, assumed).map(Operation::Socket),
        },
        "Capabilities" => Capability::from_name(alert.resource.trim())
            .map(Operation::Capability)
            .ok_or_else(|| wrong("Resource", alert.resource, "capability")),
        "Syscall" => syscall(alert),
        "Device" => device(alert).map(Operation::Device),
        _ => Err(NoEvent::Operation(alert.operation.to_owned())),
    }
}

/// The arguments of a command line of which only the spaces between them are known.
pub(crate) fn split_args(text: &str) -> Vec<Cow<'_, [u8]>> {
    let args = text.split_ascii_whitespace();
    args.map(|arg| Cow::Borrowed(arg.as_bytes())).collect()
}

/// Whether the flags of an open, by their names, are those of a write.
pub(crate) fn opens_for_writing(flags: &str) -> bool {
    ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"]
        .iter()
        .any(|flag| flags.contains(flag))
}

/// What was assumed of an event: a few sentences, without allocating.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Assumed([Option<&'static str>; 6]);

impl Assumed {
    /// Adds a sentence. No record leaves more open than there is room for.
    pub(crate) fn push(&mut self, sentence: &'static str) {
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none()) {
            *free = Some(sentence);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.into_iter().flatten()
    }
}

fn wrong(field: &'static str, value: &str, what: &'static str) -> NoEvent {
    NoEvent::Object {
        field,
        value: value.to_owned(),
        what,
    }
}

/// A pair of the alert's data.
fn datum<'a>(alert: &Told<'a>, key: &str) -> Option<&'a str> {
    let mut pairs = alert
        .data
        .split_ascii_whitespace()
        .filter_map(|pair| pair.split_once('='));
    let of_data = pairs.find(|(name, _)| name.eq_ignore_ascii_case(key));
    of_data.map(|(_, value)| value).or_else(|| {
        let mut known = alert.event_data.into_iter().flatten();
        let known = known.find(|(name, _)| name.eq_ignore_ascii_case(key));
        known.map(|(_, value)| value.as_str())
    })
}

fn path(text: &str) -> Result<EventPath<'_>, NoEvent> {
    let path = EventPath::from(text);
    if path.bytes().is_none() {
        return Err(wrong("Resource", text, "absolute path"));
    }
    Ok(path)
}

/// The resource is the command line, the program first.
fn exec<'a>(alert: &Told<'a>, assumed: &mut Assumed) -> Result<Operation<'a>, NoEvent> {
    let line = alert.resource;
    // The program may have spaces in its name; the process's name tells where it ends.
    let program = if !alert.process_name.is_empty() && line.starts_with(alert.process_name) {
        alert.process_name
    } else {
        line.split_whitespace().next().unwrap_or_default()
    };
    let rest = line.strip_prefix(program).unwrap_or_default();
    let args = split_args(rest);
    if !args.is_empty() {
        assumed.push("the command line was split at spaces");
    }
    Ok(Operation::Exec {
        path: path(program)?,
        args,
    })
}

/// Whether it is a write is told by the flags or the hook; of `FILE_OPEN` alone it isn't told.
fn file<'a>(alert: &Told<'a>, hook: &str, assumed: &mut Assumed) -> Result<Operation<'a>, NoEvent> {
    let path = path(alert.resource)?;
    let flags = datum(alert, "flags").unwrap_or_default();
    let call = datum(alert, "syscall").unwrap_or_default();
    let writes = if !flags.is_empty() {
        opens_for_writing(flags)
    } else if matches!(hook, "" | "FILE_OPEN" | "FILE_PERMISSION") {
        let changes = !call.is_empty() && !call.to_ascii_uppercase().contains("OPEN");
        if !changes {
            assumed
                .push("the alert doesn't say whether the file was to be written; taken as a read");
        }
        changes
    } else {
        true
    };
    Ok(if writes {
        Operation::Write { path }
    } else {
        Operation::Read { path }
    })
}

/// Whether it is an address family, and no domain of the DNS.
fn is_family(domain: &str) -> bool {
    domain
        .get(..3)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("AF_"))
}

fn socket(alert: &Told<'_>, assumed: &mut Assumed) -> Result<Socket, NoEvent> {
    let field = |key: &str| {
        let pairs = alert
            .resource
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(name, _)| name.eq_ignore_ascii_case(key));
        values.next().map(|(_, value)| value.to_ascii_lowercase())
    };
    let bare =
        |value: String, prefix: &str| value.strip_prefix(prefix).unwrap_or(&value).to_owned();
    let protocol = field("protocol").map_or(Some(0), |name| Socket::protocol_from_name(&name));
    let by_protocol = || {
        let of_protocol = match field("protocol")?.as_str() {
            "tcp" => Socket::SOCK_STREAM,
            "udp" => Socket::SOCK_DGRAM,
            _ => return None,
        };
        Some(of_protocol)
    };
    let socket_type = match field("type") {
        Some(name) => {
            let name = bare(name, "sock_");
            let number = name.parse().ok();
            number.or_else(|| Socket::type_from_name(&name))
        }
        None => by_protocol(),
    };
    if field("type").is_none() {
        assumed.push("the socket's type isn't told; taken from its protocol");
    }
    // Of connections, it stands in the data.
    let of_data = || {
        let domain = datum(alert, "domain").filter(|domain| is_family(domain));
        domain.map(str::to_ascii_lowercase)
    };
    let family = field("domain").or_else(of_data);
    let family = family.map(|name| bare(name, "af_"));
    if family.is_none() {
        assumed.push("the address family isn't told; taken as inet");
    }
    let family = family.map_or(Some(Socket::AF_INET), |name| {
        Socket::family_from_name(&name)
    });
    match (family, socket_type, protocol) {
        (Some(family), Some(socket_type), Some(protocol)) => {
            Ok(Socket::new(family, socket_type, protocol))
        }
        _ => Err(wrong("Resource", alert.resource, "socket")),
    }
}

fn syscall<'a>(alert: &Told<'a>) -> Result<Operation<'a>, NoEvent> {
    let call = datum(alert, "syscall")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let name = call.strip_prefix("sys_").unwrap_or(&call);
    if name.is_empty() {
        return Err(wrong("Data", alert.data, "system call"));
    }
    let path = EventPath::from(alert.resource);
    Ok(Operation::Syscall {
        name: Cow::Owned(name.to_owned()),
        path: path.bytes().is_some().then_some(path),
    })
}

fn device(alert: &Told<'_>) -> Result<Device, NoEvent> {
    let class = alert
        .resource
        .strip_prefix("USB ")
        .unwrap_or(alert.resource);
    let class = DeviceClass::from_text(class.trim())
        .ok_or_else(|| wrong("Resource", alert.resource, "USB class"))?;
    Ok(Device {
        class,
        subclass: None,
        protocol: None,
        level: None,
    })
}
