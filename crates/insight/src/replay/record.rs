//! One recorded line, whatever wrote it.

use gambeson_policy_model::{Alert, Event, Labels, Verdict, Workload};
use memchr::memmem;

use super::{audit, falco, tetragon};
use crate::explain::event_of_alert;

/// Who an event belongs to, as far as its record says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Owner {
    /// Whether the record says anything at all.
    pub(super) is_known: bool,
    pub(super) is_host: bool,
    pub(super) namespace: String,
    /// `k=v` pairs.
    pub(super) labels: Vec<(String, String)>,
    pub(super) container: String,
}

impl Owner {
    pub(super) fn workload(&self) -> Workload {
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
pub(super) enum Told<'l> {
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

fn kubearmor(text: &str) -> Result<Told<'static>, String> {
    let alert = Alert::from_kubearmor_json(text).map_err(|error| error.to_string())?;
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
