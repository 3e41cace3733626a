//! One operation of a worker, the files that it needs, and the events that it is.

use std::path::Path;

use gambeson::matcher::testing::Random;
use gambeson::policy_model::Socket;
use gambeson::prelude::*;

use super::super::workload::{Error, Who};
use super::tree;

/// What happens in a step of an operation: one event, or one of two names.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// One for each name, the old one first.
    named: Vec<Event<'static>>,
    /// Directories that are renamed: everything named below them is written.
    renamed: Vec<String>,
}

impl Step {
    fn of(event: Event<'static>) -> Self {
        Self {
            named: vec![event],
            renamed: Vec::new(),
        }
    }

    /// All events that it is.
    pub(super) fn events<'a>(&'a self, selection: &'a Selection) -> Vec<Event<'a>> {
        let mut events: Vec<Event<'a>> = self.named.clone();
        let subject = self.named.first();
        for directory in &self.renamed {
            for path in selection.named_below(directory) {
                let mut event = Event::write(path);
                if let Some(subject) = subject {
                    event.source = subject.source.clone();
                    event.uid = subject.uid;
                    event.tty = subject.tty;
                }
                events.push(event);
            }
        }
        events
    }

    /// Whether it is of a class: some families of sockets are outside.
    pub(super) fn is_of_a_class(&self) -> bool {
        self.named.iter().all(|event| match &event.operation {
            Operation::Socket(socket) => socket.in_class(),
            _ => true,
        })
    }

    /// Whether only its verdict is the model's word: of a directory that is renamed, which of
    /// several rules is named isn't.
    pub(super) const fn is_loose(&self) -> bool {
        !self.renamed.is_empty()
    }
}

/// An operation.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    fields: Vec<String>,
    /// Done one after the other until one is denied.
    pub(super) steps: Vec<Step>,
    /// Whether it may fail for other reasons, too.
    pub(super) may_fail: bool,
}

/// Whoever acts.
struct Subject<'a> {
    program: &'a str,
    who: Who,
}

impl Subject<'_> {
    fn does(&self, operation: Operation<'static>, owner: Option<u32>) -> Event<'static> {
        Event {
            operation,
            source: self.program.to_owned().into(),
            uid: Some(self.who.uid),
            owner,
            tty: self.who.terminal,
        }
    }

    fn reads(&self, path: &str) -> Result<Event<'static>, Error> {
        let event = Operation::Read {
            path: path.to_owned().into(),
        };
        Ok(self.does(event, Some(tree::owner(path)?)))
    }

    fn writes(&self, path: &str) -> Result<Event<'static>, Error> {
        let event = Operation::Write {
            path: path.to_owned().into(),
        };
        Ok(self.does(event, Some(tree::owner(path)?)))
    }
}

/// Ways to write to a file that is there.
const CHANGES: [&str; 5] = ["write", "read-write", "unlink", "truncate", "chmod"];
/// Ways to make a new name.
const NEW_NAMES: [&str; 3] = ["create", "mkdir", "symlink"];

impl Plan {
    /// Something that a process of this program can do; `None` where what was thrown can't be.
    pub(super) fn random(
        random: &mut Random,
        program: &str,
        who: Who,
        programs: &[String],
    ) -> Result<Option<Self>, Error> {
        let subject = Subject { program, who };
        let event = random.event();
        let usable = |path: &gambeson::policy_model::EventPath<'_>| -> Option<String> {
            let path = String::from_utf8(path.bytes()?.to_vec()).ok()?;
            let parts: Vec<&str> = path.split('/').skip(1).collect();
            let is_name = |part: &&str| !part.is_empty();
            let inside = programs
                .iter()
                .any(|program| tree::is_within(&path, program));
            (parts.iter().all(is_name) && !inside && tree::is_ours(&path)).then_some(path)
        };
        match &event.operation {
            Operation::Socket(socket) if who.uid == 0 => Ok(Some(Self::socket(&subject, socket))),
            Operation::Capability(_) if who.uid == 0 => Ok(Some(Self {
                // Which capabilities are asked for shows in the events themselves.
                fields: vec!["sys_admin".to_owned()],
                steps: Vec::new(),
                may_fail: false,
            })),
            Operation::Exec { path, args } => {
                let Some(path) = usable(path).filter(|path| !is_above(path, programs)) else {
                    return Ok(None);
                };
                let args: Vec<String> = args
                    .iter()
                    .map(|arg| String::from_utf8_lossy(arg).into_owned())
                    .collect();
                let then = random.path();
                Self::exec(random, &subject, &path, args, usable(&then.into())).map(Some)
            }
            Operation::MapExec { path } => {
                let Some(path) = usable(path).filter(|path| !is_above(path, programs)) else {
                    return Ok(None);
                };
                tree::make_object(random, &path)?;
                let read = subject.reads(&path)?;
                let mapping = Operation::MapExec {
                    path: path.clone().into(),
                };
                let mapped = subject.does(mapping, read.owner);
                Ok(Some(Self {
                    fields: vec!["map".to_owned(), path],
                    steps: vec![Step::of(read), Step::of(mapped)],
                    may_fail: false,
                }))
            }
            Operation::Read { path } => {
                let Some(path) = usable(path) else {
                    return Ok(None);
                };
                if !Path::new(&path).is_dir() {
                    tree::make_object(random, &path)?;
                }
                let read = subject.reads(&path)?;
                Ok(Some(Self {
                    fields: vec!["read".to_owned(), path],
                    steps: vec![Step::of(read)],
                    may_fail: false,
                }))
            }
            Operation::Write { path } => {
                let Some(path) = usable(path).filter(|path| !is_above(path, programs)) else {
                    return Ok(None);
                };
                let other = random.path();
                let other = usable(&other.into()).filter(|other| !is_above(other, programs));
                Self::write(random, &subject, path, other)
            }
            _ => Ok(None),
        }
    }

    fn socket(subject: &Subject<'_>, socket: &Socket) -> Self {
        let numbers = [
            i64::from(socket.family),
            i64::from(socket.socket_type),
            i64::from(socket.protocol),
        ];
        let event = subject.does(Operation::Socket(*socket), None);
        Self {
            fields: ["socket".to_owned()]
                .into_iter()
                .chain(numbers.map(|number| number.to_string()))
                .collect(),
            steps: vec![Step::of(event)],
            may_fail: true,
        }
    }

    /// The program may read a file then, which it does as a source of its own.
    fn exec(
        random: &mut Random,
        subject: &Subject<'_>,
        path: &str,
        args: Vec<String>,
        then: Option<String>,
    ) -> Result<Self, Error> {
        tree::make_object(random, path)?;
        let then = then.filter(|then| !tree::is_within(then, path));
        if let Some(then) = &then
            && !Path::new(then).is_dir()
        {
            tree::make_object(random, then)?;
        }
        let owner = tree::owner(path)?;
        let mut fields = vec![
            "exec".to_owned(),
            path.to_owned(),
            then.clone().unwrap_or_default(),
        ];
        fields.extend(args.iter().cloned());
        let exec = Operation::Exec {
            path: path.to_owned().into(),
            args: args
                .into_iter()
                .map(|arg| arg.into_bytes().into())
                .collect(),
        };
        let mut steps = vec![Step::of(subject.does(exec, Some(owner)))];
        if let Some(then) = then {
            let started = Subject {
                program: path,
                who: subject.who,
            };
            steps.push(Step::of(started.reads(&then)?));
        }
        Ok(Self {
            fields,
            steps,
            may_fail: false,
        })
    }

    fn write(
        random: &mut Random,
        subject: &Subject<'_>,
        path: String,
        other: Option<String>,
    ) -> Result<Option<Self>, Error> {
        let mut named = Vec::new();
        let mut renamed = Vec::new();
        let mut fields = Vec::new();
        match (random.below(5), other) {
            (0 | 1, _) => {
                tree::make_object(random, &path)?;
                let mut way = random.pick(&CHANGES);
                // Others' modes can't be changed without a capability.
                if way == "chmod" && tree::owner(&path)? != subject.who.uid {
                    way = "truncate";
                }
                fields.extend([way.to_owned(), path.clone()]);
            }
            (2, _) => {
                tree::make_parents(random, &path)?;
                tree::remove(&path)?;
                fields.extend([random.pick(&NEW_NAMES).to_owned(), path.clone()]);
            }
            (3, _) => {
                tree::make_parents(random, &path)?;
                tree::remove(&path)?;
                tree::make_directory(random, &path)?;
                fields.extend(["rmdir".to_owned(), path.clone()]);
            }
            (_, Some(other)) => {
                if tree::is_within(&other, &path) || tree::is_within(&path, &other) {
                    return Ok(None);
                }
                let is_directory = random.once_in(3);
                if is_directory {
                    tree::make_parents(random, &path)?;
                    tree::remove(&path)?;
                    tree::make_directory(random, &path)?;
                    renamed = vec![path.clone(), other.clone()];
                } else {
                    tree::make_object(random, &path)?;
                }
                tree::make_parents(random, &other)?;
                tree::remove(&other)?;
                // What was made for the new name may have been in place of the old one.
                if !Path::new(&path).exists() {
                    return Ok(None);
                }
                let way = if !is_directory && random.once_in(3) {
                    "link"
                } else {
                    "rename"
                };
                fields.extend([way.to_owned(), path.clone(), other.clone()]);
                named.push(subject.writes(&path)?);
                named.push(subject.writes(&other)?);
            }
            _ => return Ok(None),
        }
        if named.is_empty() {
            named.push(subject.writes(&path)?);
        }
        Ok(Some(Self {
            fields,
            steps: vec![Step { named, renamed }],
            may_fail: false,
        }))
    }

    /// The operation in the worker's words.
    pub(super) fn fields(&self) -> Vec<&str> {
        self.fields.iter().map(String::as_str).collect()
    }
}

/// Whether a program lies below a path.
fn is_above(path: &str, programs: &[String]) -> bool {
    programs
        .iter()
        .any(|program| tree::is_within(program, path))
}
