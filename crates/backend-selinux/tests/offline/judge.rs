//! Modules and their policies side by side: what the binary policy and the contexts come to, and what
//! the reference evaluator says.

use std::collections::HashMap;
use std::error::Error;

use gambeson_backend_selinux::{Domain, LowerOptions, Module, Support, enforceability, lower};
use gambeson_matcher::backend::{Outcome, Report};
use gambeson_matcher::reference::Evaluator;
use gambeson_matcher::testing::Random;
use gambeson_matcher::{Compile, CompiledPolicy, Config};
use gambeson_policy_model::{Class, Event, Object, Selection, Verdict};

use crate::decompiled::Decompiled;
use crate::matching::Contexts;
use crate::tools::{Scratch, compile, decompile};

/// One workload: its rules, in every form.
pub(crate) struct Workload {
    pub(crate) selection: Selection,
    pub(crate) compiled: CompiledPolicy,
    pub(crate) evaluator: Evaluator,
    pub(crate) report: Report,
}

impl Workload {
    pub(crate) fn new(selection: Selection) -> Result<Self, Box<dyn Error>> {
        let config = Config::default();
        let compiled = selection.compile(&config)?;
        Ok(Self {
            report: enforceability(&Support::complete(), &compiled),
            compiled,
            evaluator: Evaluator::new(&selection, &config)?,
            selection,
        })
    }
}

impl Workload {
    /// Whether a gap that is stricter is told of events of a class.
    fn tells(&self, class: Class, what: &str) -> bool {
        self.report.gaps().iter().any(|gap| {
            gap.class == Some(class)
                && gap.outcome == Outcome::Stricter
                && gap.what.starts_with(what)
        })
    }

    /// Whether a rule's gap says that a condition is taken not to hold.
    fn tells_of_conditions(&self) -> bool {
        let whats = [
            "the owner's access",
            "access without a terminal",
            "executing with allowed arguments",
        ];
        self.report.gaps().iter().any(|gap| {
            gap.rule.is_some()
                && gap.outcome == Outcome::Stricter
                && whats.contains(&gap.what.as_str())
        })
    }
}

/// A node: its workloads, the module for all of them, and what became of it.
pub(crate) struct Node {
    pub(crate) workloads: Vec<Workload>,
    pub(crate) module: Module,
    pub(crate) policy: Decompiled,
    pub(crate) contexts: Contexts,
}

impl Node {
    /// Lowers and compiles; `below` is the policy that the module is put on, if it is no whole one.
    pub(crate) fn new(
        workloads: Vec<Workload>,
        options: &LowerOptions,
        below: &[&str],
        scratch: &Scratch,
    ) -> Result<Self, Box<dyn Error>> {
        let names: Vec<String> = (0..workloads.len())
            .map(|number| format!("w{number}"))
            .collect();
        let pairs: Vec<(&str, &CompiledPolicy)> = names
            .iter()
            .map(String::as_str)
            .zip(workloads.iter().map(|workload| &workload.compiled))
            .collect();
        let module = lower(&pairs, options)?;
        let mut texts = below.to_vec();
        texts.push(module.cil());
        let policy = compile(scratch, &texts)?;
        Ok(Self {
            policy: Decompiled::new(&decompile(scratch, &policy)),
            contexts: Contexts::new(module.file_contexts()),
            module,
            workloads,
        })
    }

    pub(crate) fn workload(&self, domain: &Domain) -> &Workload {
        &self.workloads[domain.place]
    }

    /// The verdicts on reading, writing, mapping and executing, and the domain after the last.
    pub(crate) fn enforced(&self, domain: &str, of: &str) -> ([Verdict; 4], String) {
        let allows = |all: &[&str]| self.policy.allows(domain, of, "file", all);
        let audits = |all: &[&str]| self.policy.audits(domain, of, "file", all);
        let changes = [
            "write", "append", "create", "unlink", "link", "rename", "setattr",
        ];
        let read = verdict(allows(&["read", "open", "getattr"]), audits(&["open"]));
        let write = verdict(allows(&changes) && allows(&["open"]), audits(&changes));
        // `execute` alone tells of an exec.
        let map = verdict(allows(&["execute", "execmod", "map"]), audits(&["execmod"]));
        let next = self
            .policy
            .transition(domain, of, "process", "")
            .unwrap_or(domain);
        let opens = allows(&["open", "read", "execute"]);
        let (runs, told) = if next == domain {
            (
                allows(&["execute_no_trans", "map"]),
                audits(&["execute_no_trans"]),
            )
        } else {
            let enters = ["entrypoint", "read", "map", "execute"];
            let may = self.policy.allows(domain, next, "process", &["transition"]);
            (
                may && self.policy.allows(next, of, "file", &enters),
                audits(&["execute"]),
            )
        };
        (
            [read, write, map, verdict(opens && runs, told)],
            next.to_owned(),
        )
    }

    /// Holds a domain and a path to the evaluator. `of` is the path's type.
    pub(crate) fn check(&self, seed: u64, domain: &Domain, path: &str, of: &str) {
        let workload = self.workload(domain);
        let source = &domain.program;
        let say = || {
            format!(
                "seed {seed}: {path} ({of}) by {} in {}",
                source.escape_ascii(),
                domain.name
            )
        };
        let worst = |event: Event<'_>| worst(&workload.evaluator, &event.by(source.as_slice()));
        let expected = [
            worst(Event::read(path)),
            worst(Event::write(path)),
            worst(Event::map_exec(path)),
            worst(Event::exec(path)),
        ];
        let (found, next) = self.enforced(&domain.name, of);
        assert_eq!(found[..3], expected[..3], "read, write, map: {}", say());
        if expected[0] == Verdict::Block || expected[2] == Verdict::Block {
            // A gap that is stricter: the kernel reads and maps what it executes.
            assert_eq!(found[3], Verdict::Block, "exec: {}", say());
            let told = workload.tells(Class::Process, "executing files");
            assert!(told || expected[3] == Verdict::Block, "exec: {}", say());
        } else {
            assert_eq!(found[3], expected[3], "exec: {}", say());
        }
        // Where conditions are not as bad as they can be, what is enforced is stricter, and told of.
        let easy = |event: Event<'_>| {
            let event = event.by(source.as_slice()).tty(false).uid(0).owner(0);
            workload.evaluator.decide(&event).verdict()
        };
        let easy = [
            easy(Event::read(path)),
            easy(Event::write(path)),
            easy(Event::map_exec(path)),
            easy(Event::exec(path)),
        ];
        for (easy, expected) in easy.iter().zip(&expected) {
            assert!(easy <= expected, "{}", say());
            let told = workload.tells_of_conditions();
            assert!(easy == expected || told, "{}", say());
        }
        if found[3] != Verdict::Block {
            let sources = &workload.compiled.tables().sources;
            let number = sources.find(path.as_bytes());
            let expected = self.module.domains().iter().find(|other| {
                other.place == domain.place && sources.find(&other.program) == number
            });
            assert_eq!(Some(&next), expected.map(|other| &other.name), "{}", say());
        }
    }

    /// The type of each path.
    pub(crate) fn types(&self, paths: &[String]) -> HashMap<String, String> {
        let of = |path: &String| self.contexts.of(path.as_bytes()).unwrap_or("-").to_owned();
        paths.iter().map(|path| (path.clone(), of(path))).collect()
    }
}

fn verdict(allowed: bool, audited: bool) -> Verdict {
    match (allowed, audited) {
        (false, _) => Verdict::Block,
        (true, true) => Verdict::Audit,
        (true, false) => Verdict::Allow,
    }
}

/// The strictest verdict over what labels can't see.
pub(crate) fn worst(evaluator: &Evaluator, event: &Event<'_>) -> Verdict {
    let mut worst = Verdict::Allow;
    let lists: &[&[&str]] = match event.operation.name() {
        "exec" => &[&[], &["x"], &["y"], &["-z"], &[""], &["unlisted"]],
        _ => &[&[]],
    };
    for tty in [false, true] {
        for owner in [0, 1] {
            for args in lists {
                let event = event.clone().tty(tty).uid(0).owner(owner);
                let event = event.args(args.iter().map(|arg| arg.as_bytes()));
                worst = worst.max(evaluator.decide(&event).verdict());
            }
        }
    }
    worst
}

/// Random paths, and those on either side of what rules name.
pub(crate) fn paths(random: &mut Random, workloads: &[Workload], count: usize) -> Vec<String> {
    let mut paths: Vec<String> = (0..count).map(|_| random.path()).collect();
    for rule in workloads
        .iter()
        .flat_map(|workload| workload.selection.rules())
    {
        let named = match &rule.object {
            Object::Path(path) => path.as_str(),
            Object::Directory(directory) => directory.path.as_str(),
            _ => continue,
        };
        let bare = named.trim_end_matches('/');
        paths.extend(["", "/z", "/z/z", "z", "/a"].map(|more| format!("{bare}{more}")));
    }
    paths.retain(|path| path.starts_with('/'));
    paths.push("/".to_owned());
    paths.sort_unstable();
    paths.dedup();
    paths
}
