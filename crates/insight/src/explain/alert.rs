//! The event that an alert tells of.

use std::borrow::Cow;

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
    let mut assumed = Vec::new();
    let operation = operation(alert, &mut assumed)?;
    let is_exec = matches!(operation, Operation::Exec { .. });
    // Of an exec, the process is what it is about to become.
    let program = if is_exec {
        &alert.parent_process_name
    } else {
        &alert.process_name
    };
    let program = if program.is_empty() {
        alert.source.split_whitespace().next().unwrap_or_default()
    } else {
        program
    };
    let source = EventPath::from(program.to_owned());
    if source.bytes().is_none() {
        assumed.push("the acting program is unknown, so the strictest outcome of all stands");
    }
    let is_file = operation.file().is_some();
    if is_file && alert.object_owner == 0 {
        assumed.push("the object's owner isn't told, so ownerOnly is taken not to hold");
    }
    let owner = (alert.object_owner != 0).then_some(alert.object_owner.cast_unsigned());
    Ok(AlertedEvent {
        event: Event {
            operation,
            source,
            uid: Some(alert.uid.cast_unsigned()),
            owner: owner.filter(|_| is_file),
            tty: !alert.tty.is_empty() && alert.tty != "?",
        },
        assumed,
    })
}

fn operation(
    alert: &Alert,
    assumed: &mut Vec<&'static str>,
) -> Result<Operation<'static>, NoEvent> {
    if let Some(preset) = alert.enforcer.strip_prefix("PRESET-") {
        return Preset::from_name(preset)
            .map(Operation::Preset)
            .ok_or_else(|| wrong("Enforcer", &alert.enforcer, "preset"));
    }
    let hook = datum(alert, "lsm").unwrap_or_default();
    match alert.operation.as_str() {
        "Process" if hook.eq_ignore_ascii_case("mmap_file") => Ok(Operation::MapExec {
            path: path(&alert.resource)?,
        }),
        "Process" => exec(alert, assumed),
        "File" => file(alert, &hook, assumed),
        "Network" => match datum(alert, "domain") {
            Some(domain) => Ok(Operation::Dns {
                domain: Cow::Owned(domain),
            }),
            None => socket(alert, assumed).map(Operation::Socket),
        },
        "Capabilities" => Capability::from_name(alert.resource.trim())
            .map(Operation::Capability)
            .ok_or_else(|| wrong("Resource", &alert.resource, "capability")),
        "Syscall" => syscall(alert),
        "Device" => device(alert).map(Operation::Device),
        _ => Err(NoEvent::Operation(alert.operation.clone())),
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
fn datum(alert: &Alert, key: &str) -> Option<String> {
    let pairs = alert
        .data
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='));
    let of_data = pairs
        .filter(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, value)| value.to_owned())
        .next();
    of_data.or_else(|| {
        let known = alert.event_data.iter();
        let mut known = known.filter(|(name, _)| name.eq_ignore_ascii_case(key));
        known.next().map(|(_, value)| value.clone())
    })
}

fn path(text: &str) -> Result<EventPath<'static>, NoEvent> {
    let path = EventPath::from(text.to_owned());
    if path.bytes().is_none() {
        return Err(wrong("Resource", text, "absolute path"));
    }
    Ok(path)
}

/// The resource is the command line, the program first.
fn exec(alert: &Alert, assumed: &mut Vec<&'static str>) -> Result<Operation<'static>, NoEvent> {
    let line = alert.resource.as_str();
    // The program may have spaces in its name; the process's name tells where it ends.
    let program = if !alert.process_name.is_empty() && line.starts_with(&alert.process_name) {
        alert.process_name.as_str()
    } else {
        line.split_whitespace().next().unwrap_or_default()
    };
    let rest = line.strip_prefix(program).unwrap_or_default();
    let args: Vec<Cow<'static, [u8]>> = rest
        .split_whitespace()
        .map(|arg| Cow::Owned(arg.as_bytes().to_vec()))
        .collect();
    if !args.is_empty() {
        assumed.push("the command line was split at spaces");
    }
    Ok(Operation::Exec {
        path: path(program)?,
        args,
    })
}

/// Whether it is a write is told by the flags or the hook; of `FILE_OPEN` alone it isn't told.
fn file(
    alert: &Alert,
    hook: &str,
    assumed: &mut Vec<&'static str>,
) -> Result<Operation<'static>, NoEvent> {
    let path = path(&alert.resource)?;
    let flags = datum(alert, "flags").unwrap_or_default();
    let call = datum(alert, "syscall").unwrap_or_default();
    let writes = if !flags.is_empty() {
        ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"]
            .iter()
            .any(|flag| flags.contains(flag))
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

fn socket(alert: &Alert, assumed: &mut Vec<&'static str>) -> Result<Socket, NoEvent> {
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
    let socket_type = match field("type") {
        Some(name) => {
            let name = bare(name, "sock_");
            let number = name.parse().ok();
            number.or_else(|| Socket::type_from_name(&name))
        }
        None => None,
    };
    let family = field("domain").map(|name| bare(name, "af_"));
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
        _ => Err(wrong("Resource", &alert.resource, "socket")),
    }
}

fn syscall(alert: &Alert) -> Result<Operation<'static>, NoEvent> {
    let call = datum(alert, "syscall")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let name = call.strip_prefix("sys_").unwrap_or(&call);
    if name.is_empty() {
        return Err(wrong("Data", &alert.data, "system call"));
    }
    let path = EventPath::from(alert.resource.clone());
    Ok(Operation::Syscall {
        name: Cow::Owned(name.to_owned()),
        path: path.bytes().is_some().then_some(path),
    })
}

fn device(alert: &Alert) -> Result<Device, NoEvent> {
    let class = alert
        .resource
        .strip_prefix("USB ")
        .unwrap_or(&alert.resource);
    let class = DeviceClass::from_text(class.trim())
        .ok_or_else(|| wrong("Resource", &alert.resource, "USB class"))?;
    Ok(Device {
        class,
        subclass: None,
        protocol: None,
        level: None,
    })
}
