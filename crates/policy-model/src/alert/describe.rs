//! How an alert tells what was done, by whom and to what.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Alert;
use super::context::AlertContext;
use crate::event::{Event, EventPath, Operation};
use crate::network::{Protocol, Socket};
use crate::preset::Preset;

/// Fills in what the event says.
pub(super) fn event(alert: &mut Alert, event: &Event<'_>, context: &AlertContext) {
    let acting = text(&event.source);
    let command_line = if context.command_line.is_empty() {
        acting.clone().into_owned()
    } else {
        context.command_line.clone()
    };
    alert.operation = operation(&event.operation).to_owned();
    alert.resource = resource(&event.operation);
    if alert.resource.is_empty() {
        alert.resource.clone_from(&context.resource);
    }
    alert.data = data(&event.operation, &context.data);
    alert.event_data = pairs(&alert.data);
    match &event.operation {
        // The process is what it is about to become.
        Operation::Exec { path, .. } => {
            alert.process_name = text(path).into_owned();
            alert.parent_process_name = acting.clone().into_owned();
            alert.source = acting.into_owned();
        }
        operation => {
            if matches!(operation, Operation::Socket(_)) {
                alert.event_data.extend(pairs(&alert.resource));
            }
            alert.process_name = acting.into_owned();
            alert
                .parent_process_name
                .clone_from(&context.parent_process);
            alert.source = command_line;
        }
    }
    if let Operation::Preset(preset) = &event.operation
        && alert.enforcer.is_empty()
    {
        alert.enforcer = format!("PRESET-{preset}");
    }
    alert.uid = signed(context.uid.or(event.uid));
    alert.object_owner = signed(event.owner);
}

/// KubeArmor keeps user ids in signed numbers.
fn signed(uid: Option<u32>) -> i32 {
    uid.unwrap_or_default().cast_signed()
}

fn text<'p>(path: &'p EventPath<'_>) -> Cow<'p, str> {
    String::from_utf8_lossy(path.bytes().unwrap_or_default())
}

const fn operation(operation: &Operation<'_>) -> &'static str {
    match operation {
        Operation::Exec { .. } | Operation::MapExec { .. } => "Process",
        Operation::Read { .. } | Operation::Write { .. } => "File",
        Operation::Socket(_) | Operation::Dns { .. } => "Network",
        Operation::Capability(_) => "Capabilities",
        Operation::Syscall { .. } => "Syscall",
        Operation::Device(_) => "Device",
        Operation::Preset(Preset::ProtectEnv | Preset::ProtectProc) => "File",
        Operation::Preset(_) => "Process",
    }
}

fn resource(operation: &Operation<'_>) -> String {
    match operation {
        Operation::Exec { path, args } => {
            let mut line = text(path).into_owned();
            for argument in args {
                line.push(' ');
                line.push_str(&String::from_utf8_lossy(argument));
            }
            line
        }
        Operation::MapExec { path }
        | Operation::Read { path }
        | Operation::Write { path }
        | Operation::Syscall {
            path: Some(path), ..
        } => text(path).into_owned(),
        Operation::Syscall { path: None, .. } | Operation::Preset(_) => String::new(),
        Operation::Socket(socket) => socket_resource(*socket),
        Operation::Capability(capability) => capability.name().to_owned(),
        Operation::Dns { domain } => domain.clone().into_owned(),
        Operation::Device(device) => format!("USB {}", device.class),
    }
}

/// `protocol=TCP type=SOCK_STREAM`, or the type alone where no protocol is known.
fn socket_resource(socket: Socket) -> String {
    let socket_type = match socket.socket_type {
        Socket::SOCK_STREAM => "SOCK_STREAM".to_owned(),
        Socket::SOCK_DGRAM => "SOCK_DGRAM".to_owned(),
        Socket::SOCK_RAW => "SOCK_RAW".to_owned(),
        Socket::SOCK_RDM => "SOCK_RDM".to_owned(),
        Socket::SOCK_SEQPACKET => "SOCK_SEQPACKET".to_owned(),
        Socket::SOCK_DCCP => "SOCK_DCCP".to_owned(),
        Socket::SOCK_PACKET => "SOCK_PACKET".to_owned(),
        number => number.to_string(),
    };
    let protocol = [
        Protocol::Tcp,
        Protocol::Udp,
        Protocol::Icmp,
        Protocol::Icmpv6,
        Protocol::Sctp,
        Protocol::Dccp,
    ]
    .into_iter()
    .find(|protocol| protocol.matches(&socket));
    match protocol {
        Some(protocol) => format!(
            "protocol={} type={socket_type}",
            protocol.name().to_ascii_uppercase()
        ),
        None => format!("type={socket_type}"),
    }
}

/// What the mechanism says, with what KubeArmor adds for some operations.
fn data(operation: &Operation<'_>, said: &str) -> String {
    let added = match operation {
        Operation::Dns { domain } => format!("domain={domain}"),
        Operation::Syscall { name, .. } if said.is_empty() => {
            format!("syscall=SYS_{}", name.to_ascii_uppercase())
        }
        _ => return said.to_owned(),
    };
    if said.is_empty() {
        added
    } else {
        format!("{said} {added}")
    }
}

/// The `k=v` pairs of a text, with capitalised keys.
fn pairs(text: &str) -> BTreeMap<String, String> {
    text.split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(key, value)| {
            let mut rest = key.chars();
            let first = rest.next()?.to_ascii_uppercase();
            Some((format!("{first}{}", rest.as_str()), value.to_owned()))
        })
        .collect()
}
