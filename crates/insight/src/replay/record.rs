//! One recorded line, whatever wrote it.

use std::sync::LazyLock;

use gambeson_policy_model::{Event, Verdict};
use memchr::memmem::Finder;

use super::owner::Owner;
use super::{audit, falco, kubearmor, tetragon};
use crate::explain::Assumed;

/// What a line tells.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, on the stack; a box would be an allocation for each event"
)]
pub(crate) enum Told<'l> {
    /// An event.
    Event(Occurrence<'l>),
    /// Something that no rule judges, such as the end of a process.
    NoEvent,
    /// Nothing by itself: a record of the audit log that belongs to others.
    Partial,
}

/// An event as it was recorded.
#[derive(Debug)]
pub(crate) struct Occurrence<'l> {
    pub(crate) event: Event<'l>,
    /// Others that come of the same operation.
    pub(crate) also: Vec<Event<'l>>,
    pub(crate) owner: Owner<'l>,
    /// What became of it then.
    pub(crate) recorded: Verdict,
    /// What the record leaves open.
    pub(crate) assumed: Assumed,
    /// The serial number in the audit log, which begins with the time; empty in other formats.
    pub(super) serial: &'l [u8],
}

impl Occurrence<'_> {
    /// The time of an event of the audit log, in seconds. Few ask for it, so that it is read only then.
    pub(crate) fn audit_time(&self) -> Option<i64> {
        audit::time(self.serial)
    }
}

/// Takes what a line tells, or why it can't be used.
pub(super) type Take<'t> = &'t mut dyn FnMut(Result<Told<'_>, String>);

/// Keys that tell formats apart.
struct Keys {
    upper: Finder<'static>,
    lower: Finder<'static>,
    falco: Finder<'static>,
    tetragon: Finder<'static>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    upper: Finder::new(br#""Operation":"#),
    lower: Finder::new(br#""operation":"#),
    falco: Finder::new(br#""output_fields":"#),
    tetragon: Finder::new(br#""process_"#),
});

/// Reads a line. Records of the audit log that belong together come in `pending`.
pub(super) fn read(line: &[u8], pending: &mut audit::Pending, take: Take<'_>) {
    if audit::is_record(line) {
        return pending.read(line, take);
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return take(Err("the line is not UTF-8".to_owned()));
    };
    let has = |key: &Finder<'_>| key.find(line).is_some();
    let keys = &*KEYS;
    if line.starts_with(br#"{"op":"#) {
        own(text, take);
    } else if has(&keys.upper) || has(&keys.lower) {
        kubearmor::read(text, take);
    } else if has(&keys.falco) {
        falco::read(text, take);
    } else if has(&keys.tetragon) {
        tetragon::read(text, take);
    } else {
        own(text, take);
    }
}

fn own(text: &str, take: Take<'_>) {
    take(match Event::from_json(text) {
        Ok(event) => Ok(Told::Event(Occurrence {
            event,
            also: Vec::new(),
            owner: Owner::default(),
            recorded: Verdict::Allow,
            assumed: Assumed::default(),
            serial: b"",
        })),
        Err(error) => Err(error.to_string()),
    });
}
