//! Known ways around Block rules, each tried on the policy itself.
//!
//! Rows are those of `tests/conformance/BYPASS.md`: what is told here is what remains where a backend
//! carries the decision model out exactly.

use std::collections::BTreeMap;

use gambeson_policy_model::{Action, Class, Event, EventPath, Object, Rule, RuleId, Verdict};

use super::elsewhere::unnamed;
use super::variants::{readable, source_text};
use crate::explain::{Explainer, UNKNOWN_PROGRAM};

/// Block rules with a known way around them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bypass {
    /// The row of the table of known ways.
    pub row: u8,
    /// What it is called.
    pub name: &'static str,
    /// The rules, in order.
    pub rules: Vec<RuleId>,
    /// What the first of them doesn't stop: events that are let pass, in their order.
    pub witness: Vec<Event<'static>>,
    /// What closes it.
    pub remedy: &'static str,
}

const HARD_LINK: (u8, &str, &str) = (
    3,
    "hard link",
    "a link from before the policy has a path of its own; allow what is needed, under posture block",
);
const COPY: (u8, &str, &str) = (
    6,
    "copied program",
    "a copy has another path; allow the programs that are needed, under posture block",
);
const LOADER: (u8, &str, &str) = (
    7,
    "dynamic loader",
    "in allow-list mode only exact paths and execnames stop a mapping; block the program's path, or \
     don't allow the loader",
);
const INTERPRETER: (u8, &str, &str) = (
    9,
    "interpreter",
    "a script that its interpreter is given is a file that is read; block reading it as well",
);

/// Directories that most programs may write to.
const WRITABLE: [&str; 4] = ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/"];

/// Dynamic loaders by architecture.
const LOADERS: [&str; 4] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

/// Endings of scripts, and interpreters of each.
const SCRIPTS: [(&str, &[&str]); 6] = [
    (
        ".sh",
        &["/bin/sh", "/usr/bin/sh", "/bin/bash", "/usr/bin/bash"],
    ),
    (".bash", &["/bin/bash", "/usr/bin/bash"]),
    (".py", &["/usr/bin/python3", "/usr/local/bin/python3"]),
    (".pl", &["/usr/bin/perl"]),
    (".rb", &["/usr/bin/ruby", "/usr/local/bin/ruby"]),
    (".js", &["/usr/bin/node", "/usr/local/bin/node"]),
];

/// The ways around the Block rules of a workload that its other rules leave open.
pub(super) fn bypasses(explainer: &Explainer) -> Vec<Bypass> {
    let mut found: BTreeMap<u8, Bypass> = BTreeMap::new();
    let sources = explainer.rules().iter().flat_map(|rule| &rule.sources);
    let fresh = unnamed(sources.map(source_text));
    for (id, rule) in (0..).map(RuleId).zip(explainer.rules()) {
        if rule.action != Action::Block || !rule.conditions.is_empty() {
            continue;
        }
        for ((row, name, remedy), witness) in ways(explainer, rule, &fresh) {
            let bypass = found.entry(row).or_insert_with(|| Bypass {
                row,
                name,
                rules: Vec::new(),
                witness,
                remedy,
            });
            bypass.rules.push(id);
        }
    }
    found.into_values().collect()
}

type Way = ((u8, &'static str, &'static str), Vec<Event<'static>>);

fn ways(explainer: &Explainer, rule: &Rule, fresh: &str) -> Vec<Way> {
    let Some(path) = object(&rule.object) else {
        return Vec::new();
    };
    // By a program that the rule speaks of.
    let program = crate::explain::programs(std::iter::once(rule)).into_iter();
    let program = program.into_iter().find(|program| !program.contains(&0xff));
    let program = match (rule.sources.is_empty(), program) {
        (true, _) => UNKNOWN_PROGRAM.to_vec(),
        (false, Some(program)) => program,
        (false, None) => return Vec::new(),
    };
    let tried = Tried {
        explainer,
        program,
        fresh,
    };
    let mut ways = Vec::new();
    match rule.class {
        Class::Process if !tried.passes(&tried.exec(&path)) => {
            let copy = WRITABLE.iter().find_map(|directory| {
                let copy = format!("{directory}gambeson-copy");
                tried.all([tried.write(&copy), tried.exec(&copy)])
            });
            ways.extend(copy.map(|witness| (COPY, witness)));
            let loader = LOADERS
                .iter()
                .find_map(|loader| tried.all([tried.exec(loader), tried.map_exec(&path)]));
            ways.extend(loader.map(|witness| (LOADER, witness)));
            let script = SCRIPTS.iter().find(|(ending, _)| path.ends_with(ending));
            let interpreted = script.and_then(|(_, interpreters)| {
                interpreters
                    .iter()
                    .find_map(|interpreter| tried.all([tried.exec(interpreter), tried.read(&path)]))
            });
            ways.extend(interpreted.map(|witness| (INTERPRETER, witness)));
        }
        Class::File if !tried.passes(&tried.read(&path)) => {
            let link = WRITABLE.iter().find_map(|directory| {
                tried.all([tried.read(&format!("{directory}gambeson-link"))])
            });
            ways.extend(link.map(|witness| (HARD_LINK, witness)));
        }
        _ => {}
    }
    ways
}

/// A file that the object matches.
fn object(object: &Object) -> Option<String> {
    match object {
        Object::Path(path) => Some(path.clone()),
        Object::ExecName(name) => Some(format!("/usr/bin/{name}")),
        Object::Directory(directory) => Some(format!("{}gambeson-file", directory.path)),
        _ => None,
    }
}

/// A program that tries what it can do.
struct Tried<'e> {
    explainer: &'e Explainer,
    program: Vec<u8>,
    /// A name that no source holds.
    fresh: &'e str,
}

impl Tried<'_> {
    fn by(&self, event: Event<'static>) -> Event<'static> {
        event.by(EventPath::new(self.program.clone()))
    }

    fn exec(&self, path: &str) -> Event<'static> {
        self.by(Event::exec(path.to_owned()))
    }

    fn map_exec(&self, path: &str) -> Event<'static> {
        self.by(Event::map_exec(path.to_owned()))
    }

    fn read(&self, path: &str) -> Event<'static> {
        self.by(Event::read(path.to_owned()))
    }

    fn write(&self, path: &str) -> Event<'static> {
        self.by(Event::write(path.to_owned()))
    }

    fn passes(&self, event: &Event<'_>) -> bool {
        self.explainer.compiled().decide(event).verdict != Verdict::Block
    }

    /// The events, if all of them are let pass.
    fn all<const N: usize>(&self, events: [Event<'static>; N]) -> Option<Vec<Event<'static>>> {
        let passed = events.iter().all(|event| self.passes(event));
        passed.then(|| {
            events
                .iter()
                .map(|event| readable(event, self.fresh))
                .collect()
        })
    }
}
