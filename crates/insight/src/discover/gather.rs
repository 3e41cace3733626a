//! From records to facts: who owns an event, what of it a policy can say, and what is left out.

use std::collections::{BTreeMap, HashMap};

use gambeson_policy_model::{
    ContainerFilter, Event, EventPath, Glob, Operation, Protocol, Socket, Verdict, Workload,
};

use super::facts::{Evidence, Facts, Program, Seen, Thing, Uses};
use super::names::{Template, Values};
use super::times;
use crate::replay::{At, Kind, Occurrence, Owner, Taker, Told, Unusable};
use crate::words::{described, printable};

/// How many lines of each sort are kept as samples.
const SAMPLES: usize = 10;

/// The longest path that a cluster with KubeArmor takes in a field `path`, in characters.
pub(super) const LONGEST_PATH: usize = 200;

/// Labels that a pod gets anew with every roll-out.
const CHANGING_LABELS: [&str; 8] = [
    "pod-template-hash",
    "pod-template-generation",
    "controller-revision-hash",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-completion-index",
];

/// Whom a draft is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Subject {
    /// `None` for the host.
    pub(super) namespace: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) container: Option<String>,
}

impl Subject {
    pub(super) fn of(workload: &Workload) -> Self {
        let labels = workload.labels().iter();
        Self {
            namespace: workload.namespace().map(str::to_owned),
            labels: labels
                .filter(|(key, _)| {
                    !CHANGING_LABELS.contains(&key.as_str()) && *key != ContainerFilter::LABEL
                })
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            container: workload.container_name().map(str::to_owned),
        }
    }

    pub(super) fn workload(&self) -> Workload {
        let mut workload = match &self.namespace {
            Some(namespace) => Workload::pod(namespace.as_str()),
            None => Workload::host(),
        };
        for (key, value) in &self.labels {
            workload = workload.label(key, value);
        }
        match &self.container {
            Some(container) => workload.container(container.as_str()),
            None => workload,
        }
    }
}

/// Events that a draft doesn't speak of although a policy might deny them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// The first of them: line, and what it was on.
    pub samples: Vec<(u64, String)>,
}

impl LeftOut {
    pub(super) fn add(&mut self, line: u64, what: String) {
        self.count += 1;
        self.samples.push((line, what));
        self.keep_first();
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.samples.extend(other.samples);
        self.keep_first();
    }

    fn keep_first(&mut self) {
        if self.samples.len() > 2 * SAMPLES {
            self.finish();
        }
    }

    pub(super) fn finish(&mut self) {
        self.samples.sort();
        self.samples.truncate(SAMPLES);
    }
}

/// What reading came to, beside the facts.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) lines: u64,
    pub(super) events: u64,
    pub(super) no_event: u64,
    pub(super) unusable: u64,
    pub(super) samples: Vec<Unusable>,
    pub(super) assumed: BTreeMap<&'static str, u64>,
    pub(super) left_out: BTreeMap<&'static str, LeftOut>,
    pub(super) no_rule: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn unusable(&mut self, line: u64, error: String) {
        self.unusable += 1;
        self.samples.push(Unusable { line, error });
        if self.samples.len() > 2 * SAMPLES {
            self.finish();
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        self.events += other.events;
        self.no_event += other.no_event;
        self.unusable += other.unusable;
        self.samples.extend(other.samples);
        for (key, count) in other.assumed {
            *self.assumed.entry(key).or_insert(0) += count;
        }
        for (key, count) in other.no_rule {
            *self.no_rule.entry(key).or_insert(0) += count;
        }
        for (key, left) in other.left_out {
            self.left_out.entry(key).or_default().merge(left);
        }
        self.finish();
    }

    pub(super) fn finish(&mut self) {
        self.samples.sort();
        self.samples.truncate(SAMPLES);
        for left in self.left_out.values_mut() {
            left.finish();
        }
    }
}

/// Why an event becomes no fact.
enum Skip {
    /// No rule is needed for it to be allowed.
    NoRule(&'static str),
    /// No rule can, or should, allow it.
    LeftOut(&'static str),
}

/// One thread's facts.
pub(super) struct Gatherer<'w> {
    default: &'w Subject,
    facts: BTreeMap<Subject, Facts>,
    tally: Tally,
    /// By what tells owners apart.
    subjects: HashMap<Box<[u8]>, Result<Subject, String>>,
    owner_key: Vec<u8>,
    programs: HashMap<Box<[u8]>, Option<Program>>,
}

/// What one thread gathered.
pub(super) struct Gathered {
    pub(super) facts: BTreeMap<Subject, Facts>,
    pub(super) tally: Tally,
}

/// Beyond this many, what was looked up is forgotten.
const REMEMBERED: usize = 10_000;

impl<'w> Gatherer<'w> {
    pub(super) fn new(default: &'w Subject) -> Self {
        Self {
            default,
            facts: BTreeMap::new(),
            tally: Tally::default(),
            subjects: HashMap::new(),
            owner_key: Vec::new(),
            programs: HashMap::new(),
        }
    }

    fn subject(&mut self, owner: &Owner<'_>) -> Result<Subject, String> {
        if owner.kind == Kind::Unknown {
            return Ok(self.default.clone());
        }
        owner.key(&mut self.owner_key);
        if let Some(known) = self.subjects.get(self.owner_key.as_slice()) {
            return known.clone();
        }
        let subject = owner.workload().map(|workload| Subject::of(&workload));
        if self.subjects.len() >= REMEMBERED {
            self.subjects.clear();
        }
        let key = self.owner_key.as_slice().into();
        self.subjects.insert(key, subject.clone());
        subject
    }

    /// The program, if a rule can name it.
    fn program(&mut self, source: &EventPath<'_>) -> Option<Program> {
        let bytes = source.bytes()?;
        if let Some(known) = self.programs.get(bytes) {
            return known.clone();
        }
        let program = std::str::from_utf8(bytes)
            .ok()
            .filter(|path| {
                source.is_resolved()
                    && is_plain_path(path)
                    && is_visible(path)
                    && !Template::of(path).0.is_settled()
            })
            .map(Program::from);
        if self.programs.len() >= REMEMBERED {
            self.programs.clear();
        }
        self.programs.insert(bytes.into(), program.clone());
        program
    }

    fn occurrence(&mut self, at: At<'_>, occurrence: &Occurrence<'_>) {
        let subject = match self.subject(&occurrence.owner) {
            Ok(subject) => subject,
            Err(error) => return self.tally.unusable(at.line, error),
        };
        for assumption in occurrence.assumed.iter() {
            *self.tally.assumed.entry(assumption).or_insert(0) += 1;
        }
        let time = occurrence.audit_time();
        let time = time.or_else(|| times::of_line(at.text));
        for event in std::iter::once(&occurrence.event).chain(&occurrence.also) {
            self.event(&subject, (at.line, time), event, occurrence.recorded);
        }
    }

    fn event(
        &mut self,
        subject: &Subject,
        (line, time): (u64, Option<i64>),
        event: &Event<'_>,
        recorded: Verdict,
    ) {
        self.tally.events += 1;
        let found = if recorded == Verdict::Block {
            Err(Skip::LeftOut("it was denied when it was recorded"))
        } else {
            thing(&event.operation)
        };
        let (thing, values, uses) = match found {
            Ok(found) => found,
            Err(Skip::NoRule(why)) => {
                *self.tally.no_rule.entry(why).or_insert(0) += 1;
                return;
            }
            Err(Skip::LeftOut(why)) => {
                let what = described(&event.operation);
                let what = format!("{} {what}", event.operation.name());
                self.tally.left_out.entry(why).or_default().add(line, what);
                return;
            }
        };
        let seen = Seen {
            count: 1,
            audited: u64::from(recorded == Verdict::Audit),
            lines: (line, line),
            times: time.map(|time| (time, time)),
        };
        let program = self.program(&event.source);
        let path = event.operation.file().and_then(EventPath::bytes);
        let path = path.map(String::from_utf8_lossy).unwrap_or_default();
        let evidence = Evidence::of(seen, program, uses, path.into());
        match self.facts.get_mut(subject) {
            Some(facts) => facts.add(thing, values, evidence),
            None => {
                let facts = self.facts.entry(subject.clone()).or_default();
                facts.add(thing, values, evidence);
            }
        }
    }
}

impl Taker for Gatherer<'_> {
    type Part = Gathered;

    fn line(&mut self) {
        self.tally.lines += 1;
    }

    fn told(&mut self, at: At<'_>, told: Result<Told<'_>, String>) {
        match told {
            Ok(Told::Partial) => {}
            Ok(Told::NoEvent) => self.tally.no_event += 1,
            Err(error) => self.tally.unusable(at.line, error),
            Ok(Told::Event(occurrence)) => self.occurrence(at, &occurrence),
        }
    }

    fn finish(self) -> Gathered {
        Gathered {
            facts: self.facts,
            tally: self.tally,
        }
    }
}

/// What a rule would have to name.
fn thing(operation: &Operation<'_>) -> Result<(Thing, Values, Uses), Skip> {
    let uses = |reads, writes| Uses {
        count: 1,
        reads,
        writes,
    };
    let of_path = |path: &EventPath<'_>, make: fn(Template) -> Thing, uses| {
        let path = writable(path)?;
        let (template, values) = Template::of(path);
        let widest = template.pattern(&vec![None; values.len()]);
        if !is_plain_path(path) && Glob::quote(path).len().max(widest.len()) > Glob::MAX_LENGTH {
            return Err(Skip::LeftOut("the path is too long for a pattern"));
        }
        Ok((make(template), values, uses))
    };
    match operation {
        Operation::Exec { path, .. } => of_path(path, Thing::Process, uses(true, false)),
        Operation::Read { path } | Operation::Write { path } if path.is_nameless() => Err(
            Skip::NoRule("pipes and sockets, which have no name in a file system"),
        ),
        Operation::Read { path } => of_path(path, Thing::File, uses(true, false)),
        Operation::Write { path } => of_path(path, Thing::File, uses(false, true)),
        Operation::MapExec { .. } => Err(Skip::NoRule(
            "mappings of executable files, which no default posture denies",
        )),
        Operation::Socket(socket) if !socket.in_class() => Err(Skip::NoRule(
            "sockets of families that no rule speaks of, such as AF_UNIX",
        )),
        Operation::Socket(socket) => Ok((
            Thing::Protocol(narrowest(socket)),
            Values::default(),
            uses(true, false),
        )),
        Operation::Capability(capability) if !capability.in_kubearmor_schema() => Err(
            Skip::LeftOut("KubeArmor's schema doesn't have the capability"),
        ),
        Operation::Capability(capability) => Ok((
            Thing::Capability(*capability),
            Values::default(),
            uses(true, false),
        )),
        Operation::Dns { domain } => {
            let domain = domain.strip_suffix('.').unwrap_or(domain);
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if !domain.chars().all(is_name) || domain.split('.').any(str::is_empty) {
                return Err(Skip::LeftOut("the domain can't be written in a policy"));
            }
            let domain = domain.to_ascii_lowercase().into();
            Ok((Thing::Domain(domain), Values::default(), uses(true, false)))
        }
        Operation::Syscall { .. } => Err(Skip::NoRule("system calls, which rules only watch")),
        Operation::Device(_) => Err(Skip::NoRule("USB devices, which drafts leave open")),
        _ => Err(Skip::NoRule(
            "situations of presets, which drafts leave open",
        )),
    }
}

/// The narrowest protocol that matches a socket of the network class.
fn narrowest(socket: &Socket) -> Protocol {
    [
        Protocol::Tcp,
        Protocol::Udp,
        Protocol::Sctp,
        Protocol::Dccp,
        Protocol::Icmp,
        Protocol::Icmpv6,
        Protocol::Packet,
        Protocol::Rdm,
        Protocol::Seqpacket,
        Protocol::Dgram,
        Protocol::Stream,
        Protocol::Raw,
    ]
    .into_iter()
    .find(|protocol| protocol.matches(socket))
    .unwrap_or(Protocol::All)
}

/// A socket that the protocol is the narrowest description of.
pub(super) fn socket_of(protocol: Protocol) -> Socket {
    let inet = |kind, protocol| Socket::new(Socket::AF_INET, kind, protocol);
    match protocol {
        Protocol::Tcp => inet(Socket::SOCK_STREAM, 6),
        Protocol::Udp => inet(Socket::SOCK_DGRAM, 17),
        Protocol::Sctp => inet(Socket::SOCK_STREAM, 132),
        Protocol::Dccp => inet(Socket::SOCK_DCCP, 33),
        Protocol::Icmp => inet(Socket::SOCK_RAW, 1),
        Protocol::Icmpv6 => inet(Socket::SOCK_RAW, 58),
        Protocol::Packet => Socket::new(Socket::AF_PACKET, Socket::SOCK_RAW, 768),
        Protocol::Rdm => inet(Socket::SOCK_RDM, 200),
        Protocol::Seqpacket => inet(Socket::SOCK_SEQPACKET, 200),
        Protocol::Dgram => inet(Socket::SOCK_DGRAM, 136),
        Protocol::Stream => inet(Socket::SOCK_STREAM, 200),
        Protocol::Raw => inet(Socket::SOCK_RAW, 255),
        // A family of none of the names.
        Protocol::All => Socket::new(40, Socket::SOCK_STREAM, 0),
    }
}

/// The path as text, if the text of a policy can hold it so that a reader sees what it says.
fn writable<'p>(path: &'p EventPath<'_>) -> Result<&'p str, Skip> {
    let Some(bytes) = path.bytes() else {
        return Err(Skip::LeftOut(
            "the file has no path that could be computed, so that no rule can allow it",
        ));
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(Skip::LeftOut(
            "the path isn't UTF-8, which the text of a policy is",
        ));
    };
    if !path.is_resolved() {
        return Err(Skip::LeftOut(
            "the path has `.`, `..`, `//` or a slash at the end: it isn't that of a resolved file",
        ));
    }
    if !is_visible(text) {
        return Err(Skip::LeftOut(
            "the path holds control characters, or such as turn the direction of writing",
        ));
    }
    Ok(text)
}

fn is_visible(text: &str) -> bool {
    printable(text.as_bytes()) == text
}

/// Whether a field `path` can hold it and says nothing that reads like a pattern.
pub(super) fn is_plain_path(path: &str) -> bool {
    path != "/"
        && path.chars().count() <= LONGEST_PATH
        && !path.contains(['*', '?'])
        && !(path.contains('[') && path.contains(']'))
        && !(path.contains('{') && path.contains('}'))
}
