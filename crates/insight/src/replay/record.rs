//! One recorded line, whatever wrote it.

use gambeson_policy_model::{Alert, Event, Labels, Verdict, Workload};
use memchr::memmem;
use serde::Deserialize;

use super::{audit, falco, tetragon};
use crate::explain::event_of_alert;

/// Who an event belongs to, as far as its record says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Owner {
    /// Whether the record says anything at all.
    pub(crate) is_known: bool,
    pub(crate) is_host: bool,
    pub(crate) namespace: String,
    /// `k=v` pairs.
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) container: String,
}

impl Owner {
    pub(crate) fn workload(&self) -> Workload {
        let mut workload = if self.is_host {
            Workload::host()
        } else {
            Workload::pod(self.namespace.as_str())
        };
        for (key, value) in &self.labels {
            workload = workload.label(key, value);
        }
        if !self.container.is_empty() {
            workload = workload.container(self.container.as_str());
        }
        workload
    }
}

/// What a line tells.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, on the stack; a box would be an allocation for each event"
)]
pub(crate) enum Told<'l> {
    /// An event.
    Event {
        event: Event<'l>,
        /// Others that come of the same operation.
        also: Vec<Event<'static>>,
        owner: Owner,
        /// What became of it then.
        recorded: Verdict,
        /// What the record leaves open.
        assumed: Vec<&'static str>,
    },
    /// Something that no rule judges, such as the end of a process.
    NoEvent,
    /// Nothing by itself: a record of the audit log that belongs to others.
    Partial,
}

/// Reads a line. Records of the audit log that belong together come in `pending`.
pub(super) fn read<'l>(line: &'l [u8], pending: &mut audit::Pending) -> Result<Told<'l>, String> {
    if line.starts_with(b"type=") || line.starts_with(b"node=") {
        return pending.read(line);
    }
    let text = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8".to_owned())?;
    let has = |key: &str| memmem::find(line, key.as_bytes()).is_some();
    if line.starts_with(br#"{"op":"#) {
        return own(text);
    }
    if has(r#""Operation":"#) || has(r#""operation":"#) {
        return kubearmor(text);
    }
    if has(r#""output_fields":"#) {
        return falco::read(text);
    }
    if has(r#""process_"#) {
        return tetragon::read(text);
    }
    own(text)
}

fn own(text: &str) -> Result<Told<'_>, String> {
    Ok(Told::Event {
        event: Event::from_json(text).map_err(|error| error.to_string())?,
        also: Vec::new(),
        owner: Owner::default(),
        recorded: Verdict::Allow,
        assumed: Vec::new(),
    })
}

/// The fields of an alert that tell its event. Reading all of them, and keeping those that aren't
/// known, would take several times as long.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Fields {
    #[serde(alias = "namespaceName")]
    namespace_name: String,
    #[serde(alias = "labels")]
    labels: String,
    #[serde(rename = "ContainerID", alias = "containerID")]
    container_id: String,
    #[serde(alias = "containerName")]
    container_name: String,
    #[serde(rename = "UID", alias = "uid")]
    uid: i32,
    #[serde(rename = "oid")]
    object_owner: i32,
    #[serde(alias = "parentProcessName")]
    parent_process_name: String,
    #[serde(alias = "processName")]
    process_name: String,
    #[serde(alias = "source")]
    source: String,
    #[serde(alias = "operation")]
    operation: String,
    #[serde(alias = "resource")]
    resource: String,
    #[serde(alias = "data")]
    data: String,
    #[serde(alias = "enforcer")]
    enforcer: String,
    #[serde(alias = "action")]
    action: String,
    #[serde(alias = "result")]
    result: String,
    #[serde(rename = "TTY", alias = "tty")]
    tty: String,
}

impl From<Fields> for Alert {
    fn from(fields: Fields) -> Self {
        let mut alert = Self::default();
        alert.namespace_name = fields.namespace_name;
        alert.labels = fields.labels;
        alert.container_id = fields.container_id;
        alert.container_name = fields.container_name;
        alert.uid = fields.uid;
        alert.object_owner = fields.object_owner;
        alert.parent_process_name = fields.parent_process_name;
        alert.process_name = fields.process_name;
        alert.source = fields.source;
        alert.operation = fields.operation;
        alert.resource = fields.resource;
        alert.data = fields.data;
        alert.enforcer = fields.enforcer;
        alert.action = fields.action;
        alert.result = fields.result;
        alert.tty = fields.tty;
        alert
    }
}

fn kubearmor(text: &str) -> Result<Told<'static>, String> {
    let fields: Fields = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let alert = Alert::from(fields);
    if matches!(
        alert.operation.as_str(),
        "AlertThreshold" | "NetworkFirewall"
    ) {
        return Ok(Told::NoEvent);
    }
    let alerted = event_of_alert(&alert).map_err(|error| error.to_string())?;
    let passed = alert.result.is_empty() || alert.result == "Passed";
    let recorded = if !passed {
        Verdict::Block
    } else if alert.action.starts_with("Audit") {
        Verdict::Audit
    } else {
        Verdict::Allow
    };
    Ok(Told::Event {
        event: alerted.event,
        also: Vec::new(),
        owner: Owner {
            is_known: true,
            is_host: alert.container_id.is_empty() && alert.namespace_name.is_empty(),
            namespace: alert.namespace_name,
            labels: pairs(&alert.labels),
            container: alert.container_name,
        },
        recorded,
        assumed: alerted.assumed,
    })
}

/// `k=v,k=v`
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// Labels in order.
pub(super) fn sorted(labels: Labels) -> Vec<(String, String)> {
    labels.into_iter().collect()
}
