use std::error::Error;

use gambeson_backend_selinux::{LowerOptions, Module, lower};
use gambeson_matcher::reference::Evaluator;
use gambeson_matcher::testing::Random;
use gambeson_matcher::{Compile, Config};
use gambeson_policy_model::{Event, Selection, Verdict};

use crate::decompiled::Decompiled;
use crate::matching::Contexts;
use crate::tools::{Scratch, compile, decompile, present};

fn verdict(allowed: bool, audited: bool) -> Verdict {
    match (allowed, audited) {
        (false, _) => Verdict::Block,
        (true, true) => Verdict::Audit,
        (true, false) => Verdict::Allow,
    }
}

pub(crate) struct Judge {
    policy: Decompiled,
    contexts: Contexts,
}

impl Judge {
    fn new(module: &Module, scratch: &Scratch) -> Self {
        let policy = compile(scratch, &[module.cil()]).unwrap();
        Self {
            policy: Decompiled::new(&decompile(scratch, &policy)),
            contexts: Contexts::new(module.file_contexts()),
        }
    }

    fn read(&self, domain: &str, path: &str) -> Verdict {
        let of = self.contexts.of(path.as_bytes()).unwrap();
        let allowed = self
            .policy
            .allows(domain, of, "file", &["read", "open", "getattr"]);
        verdict(allowed, self.policy.audits(domain, of, "file", &["open"]))
    }

    fn write(&self, domain: &str, path: &str) -> Verdict {
        let of = self.contexts.of(path.as_bytes()).unwrap();
        let all = [
            "open", "write", "append", "create", "unlink", "link", "rename", "setattr",
        ];
        let allowed = self.policy.allows(domain, of, "file", &all);
        verdict(allowed, self.policy.audits(domain, of, "file", &all[1..]))
    }

    fn map(&self, domain: &str, path: &str) -> Verdict {
        let of = self.contexts.of(path.as_bytes()).unwrap();
        verdict(
            self.policy
                .allows(domain, of, "file", &["execmod", "execute"]),
            false,
        )
    }

    fn exec(&self, domain: &str, path: &str) -> (Verdict, String) {
        let of = self.contexts.of(path.as_bytes()).unwrap();
        let next = self
            .policy
            .transition(domain, of, "process", "")
            .unwrap_or(domain);
        let opens = self
            .policy
            .allows(domain, of, "file", &["open", "read", "execute"]);
        let enters = ["entrypoint", "read", "map", "execute"];
        let (runs, told) = if next == domain {
            (
                self.policy
                    .allows(domain, of, "file", &["execute_no_trans", "map"]),
                self.policy
                    .audits(domain, of, "file", &["execute_no_trans"]),
            )
        } else {
            (
                self.policy.allows(domain, next, "process", &["transition"])
                    && self.policy.allows(next, of, "file", &enters),
                self.policy.audits(domain, of, "file", &["execute"]),
            )
        };
        (verdict(opens && runs, told), next.to_owned())
    }
}

/// The strictest verdict over what labels can't see.
fn worst(evaluator: &Evaluator, event: impl Fn() -> Event<'static>) -> Verdict {
    let mut worst = Verdict::Allow;
    for tty in [false, true] {
        for (uid, owner) in [(0, 0), (0, 1)] {
            for args in [&[][..], &["x"], &["y"], &["-z"], &[""], &["unlisted"]] {
                let event = event().tty(tty).uid(uid).owner(owner);
                let event = event.args(args.iter().map(|arg| arg.as_bytes()));
                worst = worst.max(evaluator.decide(&event).verdict());
            }
        }
    }
    worst
}

/// Random paths, and those on either side of what rules name.
fn paths(random: &mut Random, selection: &Selection, count: usize) -> Vec<String> {
    let mut paths: Vec<String> = (0..count).map(|_| random.path()).collect();
    for rule in selection.rules() {
        use gambeson_policy_model::Object;
        let base = match &rule.object {
            Object::Path(path) => path.clone(),
            Object::Directory(directory) => directory.path.clone(),
            _ => continue,
        };
        let bare = base.trim_end_matches('/');
        paths.extend([
            format!("{bare}/z"),
            format!("{bare}/z/z"),
            format!("{bare}z"),
        ]);
        if !bare.is_empty() {
            paths.push(bare.to_owned());
        }
    }
    paths.retain(|path| path.starts_with('/'));
    paths.push("/".to_owned());
    paths.truncate(count + 24);
    paths
}

fn check(
    seed: u64,
    rules: usize,
    count: usize,
    scratch: &Scratch,
) -> Result<usize, Box<dyn Error>> {
    let mut random = Random::new(seed);
    let selection = random.selection(rules);
    let compiled = selection.compile(&Config::default())?;
    let evaluator = Evaluator::new(&selection, &Config::default())?;
    let module = lower(&[("w", &compiled)], &LowerOptions::default())?;
    let judge = Judge::new(&module, scratch);
    let mut asked = 0;
    for path in paths(&mut random, &selection, count) {
        for domain in module.domains() {
            let source = domain.program.clone();
            let say = || format!("seed {seed}: {path} by {}", source.escape_ascii());
            let by = |event: Event<'static>| event.by(source.clone().leak() as &[u8]);
            let read = worst(&evaluator, || by(Event::read(path.clone())));
            assert_eq!(judge.read(&domain.name, &path), read, "read: {}", say());
            let write = worst(&evaluator, || by(Event::write(path.clone())));
            assert_eq!(judge.write(&domain.name, &path), write, "write: {}", say());
            // Mappings are never told of, and their sources' arguments never fail.
            let map = worst(&evaluator, || by(Event::map_exec(path.clone())));
            assert_eq!(judge.map(&domain.name, &path), map, "map: {}", say());
            let exec = worst(&evaluator, || by(Event::exec(path.clone())));
            let (found, next) = judge.exec(&domain.name, &path);
            if read == Verdict::Block || map == Verdict::Block {
                // The kernel reads and maps what it executes: a gap that is stricter.
                assert_eq!(found, Verdict::Block, "exec: {}", say());
            } else {
                assert_eq!(found, exec, "exec: {}", say());
            }
            if found != Verdict::Block {
                let number = compiled.tables().sources.find(path.as_bytes());
                let expected = module
                    .domains()
                    .iter()
                    .find(|domain| compiled.tables().sources.find(&domain.program) == number);
                assert_eq!(
                    Some(next.as_str()),
                    expected.map(|to| to.name.as_str()),
                    "{}",
                    say()
                );
            }
            asked += 1;
        }
    }
    Ok(asked)
}

#[test]
fn random_paths_get_the_evaluators_verdicts() -> Result<(), Box<dyn Error>> {
    if !present(&["secilc", "checkpolicy"]) {
        return Ok(());
    }
    let scratch = Scratch::new("verdicts");
    let mut asked = 0;
    for seed in 0..50 {
        asked += check(seed, 1 + (seed as usize % 24), 20, &scratch)?;
    }
    println!("{asked} paths");
    Ok(())
}
