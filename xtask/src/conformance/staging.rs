//! From a step to what the stage is told: the tree, the subject and its acts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use gambeson::policy_model::{Capability, Event, EventPath, Operation, Preset, Socket};

use super::ways::{Failure, Object, Way};
use crate::scenario::{Entry, First, InKernel, Scenario, Step, With};

/// Where the dynamic loader is, here and there.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// The kernel's AF_MAX and SOCK_MAX: beyond them it refuses before it asks anyone.
const FAMILIES: u32 = 46;
const SOCKET_TYPES: u32 = 11;

/// The capabilities for whose use there is no simple way.
const UNUSED: [&str; 3] = ["net_broadcast", "mac_override", "mac_admin"];

/// What one step needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staging {
    /// The stage's arguments, but for the cgroup.
    pub arguments: Vec<OsString>,
    /// The subject's program; `None` where it has no path.
    pub source: Option<Vec<u8>>,
    /// The way of the last act.
    pub way: &'static str,
    /// Whether an errno that is no refusal is a success.
    pub failure: Failure,
    /// Whether the cgroup hierarchy must be seen inside.
    pub cgroups: bool,
}

/// What to do with a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// This.
    Run(Staging),
    /// Nothing, for this reason.
    Skip(String),
    /// The step is not well-formed.
    Wrong(String),
}

/// Plans one step.
#[must_use]
pub fn plan(scenario: &Scenario, step: &Step) -> Plan {
    match staging(scenario, step) {
        Ok(staging) => Plan::Run(staging),
        Err(plan) => plan,
    }
}

fn skip(why: impl Into<String>) -> Plan {
    Plan::Skip(why.into())
}

fn wrong(why: impl Into<String>) -> Plan {
    Plan::Wrong(why.into())
}

fn staging(scenario: &Scenario, step: &Step) -> Result<Staging, Plan> {
    if step.kernel == Some(InKernel::Skip) {
        return Err(skip(step.why.clone().unwrap_or_default()));
    }
    let lines: Vec<String> = step.events().map(ToString::to_string).collect();
    let events: Vec<Event<'_>> = lines
        .iter()
        .map(|line| Event::from_json(line))
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    let name = match (&step.way, events.first()) {
        (Some(name), _) => name.as_str(),
        (None, Some(event)) => simplest(event)?,
        (None, None) => return Err(wrong("a step without events needs a `do`")),
    };
    let way = find(name)?;
    let mut cast = Cast::new(step, &events, way)?;
    for entry in &scenario.tree {
        cast.tree.add(entry);
    }
    for event in &events {
        check(event, step.way.is_some())?;
    }
    cast.place(step, &events)?;
    cast.arguments(step, &events)
}

fn find(name: &str) -> Result<&'static Way, Plan> {
    Way::find(name).ok_or_else(|| wrong(format!("there is no way `{name}`")))
}

/// The simplest way in which an event comes about.
fn simplest(event: &Event<'_>) -> Result<&'static str, Plan> {
    if let Some(path) = event.operation.file() {
        return simplest_on(event, path);
    }
    match &event.operation {
        Operation::Socket(_) => Ok("socket"),
        Operation::Capability(_) => Ok("capability"),
        Operation::Dns { .. } => Ok("dns-sendto"),
        Operation::Preset(Preset::FilelessExec) => Ok("exec-memfd"),
        Operation::Preset(Preset::AnonymousMapExec) => Ok("mmap-anonymous-exec"),
        Operation::Preset(Preset::ProtectEnv) => Ok("proc-environ"),
        Operation::Preset(Preset::ProtectProc) => Ok("proc-status"),
        Operation::Preset(Preset::Exec) => Err(skip("no process enters from outside")),
        Operation::Syscall { .. } => Err(skip("system calls are watched by no backend here")),
        Operation::Device(_) => Err(skip("there is no USB device")),
        _ => Err(skip("the actor knows no way to it")),
    }
}

fn simplest_on(event: &Event<'_>, path: &EventPath<'_>) -> Result<&'static str, Plan> {
    let operation = &event.operation;
    let Some(bytes) = path.bytes() else {
        return match (operation, path.is_nameless()) {
            (Operation::Read { .. }, true) => Ok("reopen-pipe"),
            (Operation::Write { .. }, true) => Ok("reopen-pipe-write"),
            (_, true) => Err(skip("what has no name can't be executed")),
            (Operation::Read { .. }, false) => Ok("reopen-memfd"),
            (Operation::Write { .. }, false) => Ok("reopen-memfd-write"),
            (Operation::Exec { .. }, false) => Ok("exec-memfd"),
            (_, false) => Ok("mmap-exec-memfd"),
        };
    };
    // A directory, or the running program, can't be opened for writing.
    let closed = bytes == b"/" || event.source.bytes() == Some(bytes);
    Ok(match operation {
        Operation::Exec { .. } => "execve",
        Operation::MapExec { .. } => "mmap-exec",
        Operation::Write { .. } if closed => "chmod",
        Operation::Write { .. } => "open-write",
        _ => "open",
    })
}

/// Whether there can be such an event at all.
fn check(event: &Event<'_>, has_way: bool) -> Result<(), Plan> {
    for path in event.operation.file().into_iter().chain([&event.source]) {
        if !path.is_resolved() {
            return Err(skip("the path is not that of a resolved file"));
        }
        let long = |bytes: &[u8]| {
            bytes
                .split(|byte| *byte == b'/')
                .any(|name| name.len() > 255)
        };
        if path.bytes().is_some_and(long) {
            return Err(skip("a file's name has at most 255 bytes"));
        }
    }
    if event.source.bytes() == Some(b"/") {
        return Err(skip("a directory is no program"));
    }
    match &event.operation {
        Operation::Exec { path, .. } | Operation::MapExec { path }
            if path.bytes() == Some(b"/") =>
        {
            Err(skip("a directory is no program"))
        }
        Operation::Socket(socket)
            if socket.family >= FAMILIES || socket.socket_type >= SOCKET_TYPES =>
        {
            Err(skip(
                "the kernel refuses such a socket before it asks anyone",
            ))
        }
        Operation::Capability(capability) if !has_way => usable(*capability),
        Operation::Dns { domain } => {
            let labels = domain.strip_suffix('.').unwrap_or(domain).split('.');
            let mut lengths = labels.map(str::len);
            if lengths.all(|length| (1..64).contains(&length)) && domain.len() < 254 {
                Ok(())
            } else {
                Err(skip("no query can carry such a name"))
            }
        }
        _ => Ok(()),
    }
}

fn usable(capability: Capability) -> Result<(), Plan> {
    if UNUSED.contains(&capability.name()) {
        return Err(skip("these kernels have no use for the capability"));
    }
    Ok(())
}

/// The files of one step's root, each with what the stage is told.
#[derive(Debug, Default)]
struct Tree {
    entries: Vec<Vec<OsString>>,
    /// What is at a path: whether it is a directory.
    known: BTreeMap<Vec<u8>, bool>,
}

impl Tree {
    fn push(&mut self, path: &[u8], is_directory: bool, words: Vec<OsString>) {
        self.known.insert(path.to_vec(), is_directory);
        self.entries.push(words);
    }

    /// An entry that the scenario gives.
    fn add(&mut self, entry: &Entry) {
        let path = entry.path.trim_end_matches('/');
        let path = if path.is_empty() { "/" } else { path };
        let is_directory = entry.path.ends_with('/');
        let links = [
            ("symlink", &entry.symlink),
            ("link", &entry.link),
            ("bind", &entry.bind),
            ("overlay", &entry.overlay),
        ];
        for (kind, target) in links {
            if let Some(target) = target {
                let words = [kind, path, target].map(OsString::from).to_vec();
                return self.push(path.as_bytes(), is_directory, words);
            }
        }
        let kind = match entry {
            _ if is_directory => "dir",
            Entry { program: true, .. } => "program",
            Entry { subject: true, .. } => "actor",
            Entry {
                content: Some(_), ..
            } => "text",
            _ => "file",
        };
        let mode = entry.mode.as_deref().unwrap_or("0777");
        let owner = entry.owner.unwrap_or(0).to_string();
        let mut words: Vec<OsString> = [kind, mode, &owner, path].map(OsString::from).to_vec();
        words.extend(entry.content.as_ref().map(OsString::from));
        self.push(path.as_bytes(), is_directory, words);
    }

    /// A file that an event names, unless the scenario gives it.
    fn make(&mut self, kind: &str, owner: u32, path: &[u8]) {
        if !self.known.contains_key(path) {
            let mut words = [kind, "0777", &owner.to_string()]
                .map(OsString::from)
                .to_vec();
            words.push(OsString::from_vec(path.to_vec()));
            self.push(path, kind == "dir", words);
        }
    }

    /// The directory in which something is to be made.
    fn make_parent(&mut self, owner: u32, path: &[u8]) {
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let parent = path.get(..end).unwrap_or_default();
        self.make("dir", owner, if parent.is_empty() { b"/" } else { parent });
    }

    /// A path at which there is a file while another lies below it.
    fn conflict(&self) -> Option<&[u8]> {
        let files = self
            .known
            .iter()
            .filter(|(_, is_directory)| !**is_directory);
        let mut conflicts = files.filter(|(path, _)| {
            let below = |other: &&Vec<u8>| {
                other.len() > path.len()
                    && other.starts_with(path)
                    && other.get(path.len()) == Some(&b'/')
            };
            // A link may well be to a directory.
            let is_link = self.entries.iter().any(|words| {
                let kind = words.first().and_then(|word| word.to_str());
                matches!(kind, Some("symlink" | "bind" | "overlay"))
                    && words
                        .get(1)
                        .is_some_and(|word| word.as_encoded_bytes() == path.as_slice())
            });
            !is_link && self.known.keys().any(|other| below(&other))
        });
        conflicts.next().map(|(path, _)| path.as_slice())
    }
}

/// Who acts, in which root.
struct Cast {
    way: &'static Way,
    uid: u32,
    /// Who owns what no event gives an owner.
    nobody: u32,
    tty: bool,
    source: Option<Vec<u8>>,
    tree: Tree,
}

impl Cast {
    fn new(step: &Step, events: &[Event<'_>], way: &'static Way) -> Result<Self, Plan> {
        let first = events.first();
        let owner = first.and_then(|event| event.owner);
        // Without both, the subject is not the owner.
        let uid = first.and_then(|event| event.uid);
        let uid = uid.unwrap_or(u32::from(owner == Some(0)));
        let source = match &step.source {
            Some(source) => Some(source.as_bytes().to_vec()),
            None => first.and_then(|event| event.source.bytes().map(<[u8]>::to_vec)),
        };
        if first.is_none() && source.is_none() {
            return Err(wrong("a step without events needs a `source`"));
        }
        Ok(Self {
            way,
            uid,
            nobody: if uid == 65534 { 65533 } else { 65534 },
            tty: first.is_some_and(|event| event.tty),
            source,
            tree: Tree::default(),
        })
    }

    /// Puts everything in its place.
    fn place(&mut self, step: &Step, events: &[Event<'_>]) -> Result<(), Plan> {
        if let Some(source) = self.source.clone() {
            self.tree.make("actor", self.nobody, &source);
        }
        if self.way.name == "ld-so" {
            let words = ["copy", LOADER, LOADER].map(OsString::from).to_vec();
            self.tree.push(LOADER.as_bytes(), false, words);
        }
        for (number, event) in events.iter().enumerate() {
            let Some(path) = event.operation.file().and_then(EventPath::bytes) else {
                continue;
            };
            let owner = event.owner.unwrap_or(self.nobody);
            let second = step.with.to.as_deref().map(str::as_bytes) == Some(path);
            let object = match (number, &event.operation) {
                _ if second => self.way.second,
                (0, Operation::Exec { .. }) if self.way.object == Object::Script => {
                    let interpreter = events.get(1).and_then(|event| event.operation.file());
                    let interpreter = interpreter.and_then(EventPath::bytes);
                    self.script(owner, path, interpreter)?;
                    continue;
                }
                (_, Operation::Exec { .. } | Operation::MapExec { .. }) => Object::Program,
                (0, _) => self.way.object,
                // Whatever else the step is about is there already, or is made by it.
                _ => Object::Nothing,
            };
            self.object(object, owner, path);
        }
        if let Some(name) = &step.with.path {
            // Where an event gives the file, another name for it is the scenario's matter.
            if events.is_empty() || self.way.object == Object::Absent {
                self.object(self.way.object, self.nobody, name.as_bytes());
            }
        }
        if let Some(name) = &step.with.to {
            self.object(self.way.second, self.nobody, name.as_bytes());
        }
        if let Some(path) = self.tree.conflict() {
            let path = String::from_utf8_lossy(path);
            return Err(skip(format!("`{path}` can't be a file and a directory")));
        }
        Ok(())
    }

    fn script(&mut self, owner: u32, path: &[u8], interpreter: Option<&[u8]>) -> Result<(), Plan> {
        let interpreter =
            interpreter.ok_or_else(|| wrong("a script needs its interpreter's event"))?;
        let content = [b"#!", interpreter, b"\n"].concat();
        let owner = owner.to_string();
        let mut words = ["text", "0777", &owner].map(OsString::from).to_vec();
        words.extend([path.to_vec(), content].map(OsString::from_vec));
        if !self.tree.known.contains_key(path) {
            self.tree.push(path, false, words);
        }
        Ok(())
    }

    fn object(&mut self, object: Object, owner: u32, path: &[u8]) {
        match object {
            Object::File if path == b"/" => self.tree.make("dir", owner, path),
            Object::File => self.tree.make("file", owner, path),
            Object::Program => self.tree.make("program", owner, path),
            Object::Directory => self.tree.make("dir", owner, path),
            Object::Absent => self.tree.make_parent(owner, path),
            Object::Script | Object::Nothing => {}
        }
    }

    fn arguments(self, step: &Step, events: &[Event<'_>]) -> Result<Staging, Plan> {
        let ways: Vec<&Way> = step
            .first
            .iter()
            .map(|first| find(&first.way))
            .collect::<Result<_, _>>()?;
        let mut words: Vec<OsString> = Vec::new();
        if self.way.proc || ways.iter().any(|way| way.proc) {
            words.push("proc".into());
        }
        words.extend(["uid".into(), self.uid.to_string().into()]);
        if self.tty {
            words.push("tty".into());
        }
        words.extend(self.tree.entries.into_iter().flatten());
        words.push("source".into());
        let source = self.source.clone();
        words.push(self.source.map_or_else(|| "-".into(), OsString::from_vec));
        for First { way, with } in &step.first {
            words.push(format!("do={way}").into());
            words.extend(second_words(with));
        }
        words.push(format!("do={}", self.way.name).into());
        words.extend(second_words(&step.with));
        if let Some(event) = events.first() {
            words.extend(event_words(event, &step.with));
        }
        let cgroups = |name: &str| name.starts_with("cgroup-");
        Ok(Staging {
            arguments: words,
            source,
            way: self.way.name,
            failure: self.way.failure,
            cgroups: cgroups(self.way.name) || ways.iter().any(|way| cgroups(way.name)),
        })
    }
}

fn second_words(with: &With) -> impl Iterator<Item = OsString> {
    let path = with.path.as_ref().map(|path| format!("path={path}").into());
    let to = with.to.as_ref().map(|to| format!("to={to}").into());
    path.into_iter().chain(to)
}

fn word(key: &str, value: &[u8]) -> OsString {
    OsString::from_vec([key.as_bytes(), b"=", value].concat())
}

/// What the actor needs of the event.
fn event_words(event: &Event<'_>, with: &With) -> Vec<OsString> {
    let mut words = Vec::new();
    if let (None, Some(path)) = (
        &with.path,
        event.operation.file().and_then(EventPath::bytes),
    ) {
        words.push(word("path", path));
    }
    match &event.operation {
        Operation::Exec { args, .. } => {
            words.extend(args.iter().map(|argument| word("argument", argument)));
        }
        Operation::Socket(Socket {
            family,
            socket_type,
            protocol,
        }) => {
            let port = with.port.unwrap_or(0);
            words.push(format!("numbers={family},{socket_type},{protocol},{port}").into());
        }
        Operation::Capability(capability) => {
            words.push(format!("numbers={}", capability.number()).into());
        }
        Operation::Dns { domain } => words.push(word("path", domain.as_bytes())),
        _ => {}
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::read_folder;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_step_can_be_staged_or_says_why_not() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
        let (mut scenarios, mut ways) = (0, BTreeSet::new());
        for file in read_folder(&folder).unwrap() {
            for scenario in &file.scenarios {
                let mut runs = false;
                for step in &scenario.steps {
                    match plan(scenario, step) {
                        Plan::Run(staging) => {
                            runs = true;
                            ways.insert(staging.way);
                        }
                        Plan::Skip(why) => assert!(!why.is_empty()),
                        Plan::Wrong(why) => {
                            panic!("{}: {}: {why}", file.path.display(), scenario.name)
                        }
                    }
                }
                scenarios += usize::from(runs);
            }
        }
        assert!(
            scenarios >= 300,
            "only {scenarios} scenarios run in a kernel"
        );
        assert!(ways.len() >= 100, "only {} ways are used", ways.len());
    }

    fn plan_of(step: &str) -> Plan {
        let scenario: Scenario =
            serde_json::from_str(r#"{"name": "s", "policies": "", "workload": {}, "steps": []}"#)
                .unwrap();
        plan(&scenario, &serde_json::from_str(step).unwrap())
    }

    fn arguments(step: &str) -> String {
        match plan_of(step) {
            Plan::Run(staging) => staging
                .arguments
                .iter()
                .map(|word| word.to_string_lossy())
                .collect::<Vec<_>>()
                .join(" "),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_subject_owns_nothing_unless_the_event_says_so() {
        let read = |more: &str| {
            arguments(&format!(
                r#"{{"event": {{"op": "read", "path": "/f", "source": "/a"{more}}}, "verdict": "Allow"}}"#
            ))
        };
        assert!(read("").starts_with("uid 0 actor 0777 65534 /a file 0777 65534 /f "));
        assert!(read(r#", "owner": 0"#).starts_with("uid 1 "));
        assert!(
            read(r#", "uid": 7, "owner": 7"#).contains("uid 7 actor 0777 65534 /a file 0777 7 /f")
        );
    }

    #[test]
    fn a_file_can_not_be_a_directory_too() {
        let step =
            r#"{"event": {"op": "read", "path": "/a/f", "source": "/a"}, "verdict": "Allow"}"#;
        assert!(matches!(plan_of(step), Plan::Skip(_)));
    }

    #[test]
    fn an_unknown_way_is_a_mistake() {
        let step = r#"{"event": {"op": "read", "path": "/f"}, "do": "dream", "verdict": "Allow"}"#;
        assert!(matches!(plan_of(step), Plan::Wrong(_)));
    }
}
