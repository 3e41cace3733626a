//! The life of AppArmor profiles: each operation is judged by the old policy or by the new one, what fails
//! changes nothing, what is in force is what was asked for, and what is removed is gone.

use std::fs;
use std::time::{Duration, Instant};

use gambeson::apparmor::{
    AppArmor, Applied, ApplyError, Content, Enforcer, Options, Parser, ParserError, Start,
    StateError, label_of,
};
use gambeson::matcher::backend::Require;
use gambeson::prelude::*;

use super::workload::{self, Counts, Error, WORKER, Worker};

/// What both policies block, neither does, and one of them.
const BOTH: &str = "/swap/in/some/directories/blocked-by-both";
const NEITHER: &str = "/swap/in/some/directories/blocked-by-neither";
const ONE: &str = "/swap/in/some/directories/blocked-by-one";

/// A copy of the worker, for which one policy has a rule of its own.
const OTHER: &str = "/usr/bin/other-worker";
/// What that one may not read.
const OTHERS: &str = "/swap/not-for-the-other";

/// Replacements for which the parser is asked; for the others, what it made before is loaded again.
const PARSED: u64 = 20;

fn policy(paths: &[&str], more: &str) -> Result<CompiledPolicy, Error> {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| format!("    - path: {path}\n"))
        .collect();
    workload::compile(&format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: swap}}\n\
         spec:\n  file:\n    matchPaths:\n{}{more}  action: Block\n",
        paths.concat()
    ))
}

fn first() -> Result<CompiledPolicy, Error> {
    policy(&[BOTH, ONE], "")
}

fn second() -> Result<CompiledPolicy, Error> {
    policy(&["/swap/0", "/swap/1", BOTH], "")
}

/// The first one, and a rule for one program.
fn with_source() -> Result<CompiledPolicy, Error> {
    let rule = format!("    - {{path: {OTHERS}, fromSource: [{{path: {OTHER}}}]}}\n");
    policy(&[BOTH, ONE], &rule)
}

fn start(applied: &Applied, program: &str) -> Result<Worker, Error> {
    let bound = applied.spawn(&mut Worker::command(program), Start::Judged)?;
    Worker::serving(bound.child)
}

/// What is found wrong.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn unless(&mut self, right: bool, what: impl Into<String>) {
        if !right {
            self.0.push(what.into());
        }
    }
}

/// Replaces a policy so often, but for no longer than the time, and tries what else can be done with a
/// profile. Whether everything was right.
///
/// # Errors
/// When the kernel or a worker fails.
pub fn run(count: u64, longest: Duration) -> Result<bool, Error> {
    for path in [BOTH, NEITHER, ONE, OTHERS] {
        workload::make_file(path)?;
    }
    fs::copy(WORKER, OTHER)?;
    let enforcer = AppArmor::open()?;
    let mut wrong = Wrong::default();
    swap(&enforcer, count, longest, &mut wrong)?;
    life(&enforcer, &mut wrong)?;
    sources(&enforcer, &mut wrong)?;
    for what in &wrong.0 {
        println!("wrong: {what}");
    }
    Ok(wrong.0.is_empty())
}

/// Swaps two policies under processes that work.
fn swap(
    enforcer: &Enforcer,
    count: u64,
    longest: Duration,
    wrong: &mut Wrong,
) -> Result<(), Error> {
    let policies = [first()?, second()?];
    let [one, two] = &policies;
    let options = Options::named("proof.swap".parse()?);
    let mut applied = enforcer.apply(one, &options, Require::BestEffort)?;
    let prepared = [
        enforcer.prepare_next(&applied, one, Require::BestEffort)?,
        enforcer.prepare_next(&applied, two, Require::BestEffort)?,
    ];
    let mut workers = Vec::new();
    for path in [BOTH, NEITHER, ONE] {
        let mut worker = start(&applied, WORKER)?;
        worker.go_last()?;
        worker.hammer(0, &["read", path])?;
        workers.push(worker);
    }
    let begin = Instant::now();
    let (mut replaced, mut confirmed) = (0, 0);
    let mut loading = Duration::ZERO;
    while replaced < count && begin.elapsed() < longest {
        for (policy, prepared) in policies.iter().zip(&prepared).rev() {
            let start = Instant::now();
            if replaced % (count / PARSED).max(1) == 0 {
                enforcer.replace(&mut applied, policy, Require::BestEffort)?;
            } else {
                enforcer.replace_with(&mut applied, prepared.clone())?;
                loading += start.elapsed();
            }
            replaced += 1;
            if replaced % 100 == 0 {
                enforcer.confirm(&applied)?;
                confirmed += 1;
            }
        }
    }
    let took = begin.elapsed();
    let mut counts: Vec<Counts> = Vec::new();
    for worker in &mut workers {
        counts.push(worker.stop()?);
    }
    let [both, neither, changing] = counts[..] else {
        return Err("a worker is missing".into());
    };
    let bad = (both.total() - both.denied) + (neither.total() - neither.allowed) + changing.other;
    let total = both.total() + neither.total() + changing.total();
    println!(
        "{replaced} replacements in {:.0} s ({:.1} ms each where the parser isn't asked) during {total} operations, {bad} wrong \
         outcomes (blocked by both: {both:?}; by neither: {neither:?}; by one: {changing:?}); read back {confirmed} times",
        took.as_secs_f64(),
        loading.as_secs_f64() * 1000.0 / replaced as f64,
    );
    wrong.unless(bad == 0, format!("{bad} outcomes under replacement"));
    wrong.unless(
        replaced >= count,
        format!("only {replaced} of {count} replacements"),
    );
    wrong.unless(
        changing.allowed > 0 && changing.denied > 0,
        "what one policy blocks never changed: nothing was proved",
    );
    drop(workers);
    enforcer.remove(applied)?;
    Ok(())
}

/// Refusals, reading back, removing.
fn life(enforcer: &Enforcer, wrong: &mut Wrong) -> Result<(), Error> {
    let options = Options::named("proof.life".parse()?);
    let mut applied = enforcer.apply(&first()?, &options, Require::BestEffort)?;
    let mut worker = start(&applied, WORKER)?;
    let content = enforcer.confirm(&applied)?.content;
    wrong.unless(content == Content::Same, "this kernel shows no content");
    let label = label_of(worker.id());
    wrong.unless(
        label.as_deref() == Some("proof.life (enforce)"),
        format!("the worker is under {label:?}"),
    );
    let processes = applied.processes();
    wrong.unless(
        processes == [worker.id()],
        format!("{processes:?} are under the policy, not {}", worker.id()),
    );
    let again = enforcer.apply(&second()?, &options, Require::BestEffort);
    wrong.unless(
        matches!(again, Err(ApplyError::AlreadyLoaded { .. })),
        format!("applied twice: {again:?}"),
    );
    // A parser that fails, one that writes nonsense, and one that isn't there.
    for (name, script) in [
        ("fails", "echo no >&2; exit 3"),
        ("nonsense", "echo nonsense"),
    ] {
        let program = format!("/run/parser-{name}");
        fs::write(&program, format!("#!/bin/sh\ncat > /dev/null\n{script}\n"))?;
        workload::command(&["chmod", "755", &program])?;
        let broken = enforcer.clone().parser(Parser::at(&program));
        let refused = broken.replace(&mut applied, &second()?, Require::BestEffort);
        let as_expected = match (&refused, name) {
            (Err(ApplyError::Parser(ParserError::Refused { message, .. })), "fails") => {
                message == "no"
            }
            (Err(ApplyError::Refused { .. }), "nonsense") => true,
            _ => false,
        };
        wrong.unless(as_expected, format!("a parser that {name}: {refused:?}"));
    }
    let missing = enforcer.clone().parser(Parser::at("/run/no-parser"));
    let refused = missing.replace(&mut applied, &second()?, Require::BestEffort);
    wrong.unless(
        matches!(refused, Err(ApplyError::Parser(ParserError::Start { .. }))),
        format!("a parser that isn't there: {refused:?}"),
    );
    wrong.unless(applied.generation() == 1, "a failed replacement counts");
    enforcer.confirm(&applied)?;
    wrong.unless(
        worker.ask(&["read", ONE])? == EACCES,
        "the old policy is not in force",
    );
    enforcer.replace(&mut applied, &second()?, Require::BestEffort)?;
    wrong.unless(
        worker.ask(&["read", ONE])? == 0,
        "the new policy is not in force",
    );
    // Another one's profile under the name.
    let old = applied.clone();
    enforcer.replace(&mut applied, &first()?, Require::BestEffort)?;
    let differs = enforcer.confirm(&old);
    wrong.unless(
        matches!(differs, Err(StateError::Differs { .. })),
        format!("a profile of the past is confirmed: {differs:?}"),
    );
    let name = applied.name().clone();
    let next = enforcer.prepare_next(&applied, &second()?, Require::BestEffort)?;
    let mut gone = applied.clone();
    enforcer.remove(applied)?;
    wrong.unless(worker.ask(&["read", ONE])? == 0, "a removed policy denies");
    let again = enforcer.remove_named(&name);
    wrong.unless(
        matches!(again, Err(ApplyError::NotLoaded { .. })),
        format!("removed twice: {again:?}"),
    );
    let late = enforcer.replace_with(&mut gone, next);
    wrong.unless(
        matches!(late, Err(ApplyError::NotLoaded { .. })),
        format!("replaced after removal: {late:?}"),
    );
    let unbound = gone.spawn(&mut Worker::command(WORKER), Start::Judged);
    wrong.unless(unbound.is_err(), "a command came under a removed policy");
    println!("refused, kept, replaced, read back and removed");
    Ok(())
}

const EACCES: i32 = 13;

/// A process under a profile for its program stays under rules that hold for it, whatever the next
/// policy says of programs.
fn sources(enforcer: &Enforcer, wrong: &mut Wrong) -> Result<(), Error> {
    let options = Options::named("proof.sources".parse()?);
    let mut applied = enforcer.apply(&with_source()?, &options, Require::BestEffort)?;
    let mut other = start(&applied, OTHER)?;
    let mut worker = start(&applied, WORKER)?;
    wrong.unless(other.ask(&["read", OTHERS])? == EACCES, "its own rule");
    wrong.unless(
        worker.ask(&["read", OTHERS])? == 0,
        "another program's rule",
    );
    let label = label_of(other.id()).unwrap_or_default();
    wrong.unless(
        label.starts_with("proof.sources//"),
        format!("it is under {label}"),
    );
    let replaced = enforcer.replace(&mut applied, &second()?, Require::BestEffort)?;
    wrong.unless(replaced.new_profiles.is_empty(), format!("{replaced:?}"));
    wrong.unless(
        other.ask(&["read", OTHERS])? == 0,
        "a rule of the past holds",
    );
    wrong.unless(
        other.ask(&["read", BOTH])? == EACCES,
        "the new policy's rule",
    );
    wrong.unless(
        other.ask(&["read", ONE])? == 0,
        "another rule of the past holds",
    );
    enforcer.confirm(&applied)?;
    enforcer.replace(&mut applied, &with_source()?, Require::BestEffort)?;
    wrong.unless(
        other.ask(&["read", OTHERS])? == EACCES,
        "its own rule again",
    );
    wrong.unless(label_of(other.id()) == Some(label), "its name is another");
    // As it is executed: what the policy says of that doesn't matter.
    let closed = workload::compile(&format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: closed}}\n\
         spec:\n  process:\n    matchPaths: [{{path: {WORKER}}}]\n  action: Block\n"
    ))?;
    enforcer.replace(&mut applied, &closed, Require::BestEffort)?;
    let judged = applied.spawn(&mut Worker::command(WORKER), Start::Judged);
    wrong.unless(judged.is_err(), "a blocked program was started");
    let started = applied.spawn(&mut Worker::command(WORKER), Start::OnExec)?;
    let label = started.label.clone();
    wrong.unless(
        label.as_deref() == Some("proof.sources"),
        format!("on exec, it came under {label:?}"),
    );
    drop(Worker::serving(started.child)?);
    drop((other, worker));
    enforcer.remove(applied)?;
    println!("profiles of programs follow their policy");
    Ok(())
}
