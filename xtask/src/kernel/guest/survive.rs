//! An agent is killed under load: enforcement goes on, its successor takes over, and every denial is
//! an event, or counted.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use gambeson::bpf_lsm::{BindOptions, Binding, BpfLsm, Options};
use gambeson::prelude::*;

use super::workload::{self, Counts, Error, WORKER, Who, Worker};

const BPFFS: &str = "/sys/fs/bpf";
const PINS: &str = "/sys/fs/bpf/survive";
const BLOCKED: &str = "/survive/in/a/directory/blocked";
const FREE: &str = "/survive/in/a/directory/free";

fn options() -> Options {
    Options {
        pin: Some(PathBuf::from(PINS)),
        ..Options::default()
    }
}

fn policy(path: &str) -> Result<CompiledPolicy, Error> {
    workload::compile(&format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: survive}}\n\
         spec:\n  file:\n    matchPaths: [{{path: {path}}}]\n  action: Block\n"
    ))
}

/// The agent: loads, binds, and says so; then reads events each time it gets a line, and says how
/// many they were. It never ends by itself.
///
/// # Errors
/// When the kernel refuses.
pub fn agent() -> Result<bool, Error> {
    let Some(mut enforcer) = workload::load(&options())? else {
        return Ok(true);
    };
    let binding = workload::bind(&mut enforcer, &policy(BLOCKED)?, &BindOptions::default())?;
    let generation = enforcer.generation(binding)?;
    println!("{} {} {generation}", binding.workload, binding.incarnation);
    for line in std::io::stdin().lines() {
        line?;
        println!("{}", workload::drain(&mut enforcer, &mut |_| {})?);
    }
    Ok(false)
}

/// A condition that must hold, and what it is.
fn check(right: &mut bool, holds: bool, what: &str) {
    println!("{} {what}", if holds { "ok  " } else { "FAIL" });
    *right &= holds;
}

/// Goes through the life of an enforcer with two agents. Whether everything was right.
///
/// # Errors
/// When the kernel, an agent or a worker fails.
pub fn run() -> Result<bool, Error> {
    fs::create_dir_all(BPFFS)?;
    if !fs::read_to_string("/proc/mounts")?.contains(" /sys/fs/bpf bpf ") {
        workload::command(&["mount", "-t", "bpf", "bpf", BPFFS])?;
    }
    workload::make_file(BLOCKED)?;
    workload::make_file(FREE)?;
    let mut agent = Agent::start()?;
    let first = agent.answer()?;
    let mut words = first.split(' ');
    let mut word = || words.next().and_then(|word| word.parse::<u32>().ok());
    let (Some(workload), Some(incarnation), Some(generation)) = (word(), word(), word()) else {
        println!("{first}");
        return Ok(first.starts_with("refused: "));
    };
    let binding = Binding {
        workload,
        incarnation,
    };
    let mut right = true;
    let mut seen = 0;

    let mut workers = [
        Worker::start(WORKER, Who::default())?,
        Worker::start(WORKER, Who::default())?,
    ];
    hammer(&mut workers)?;
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(20));
        seen += agent.poll()?;
    }
    agent.kill()?;
    thread::sleep(Duration::from_millis(500));
    let [blocked, free] = stop(&mut workers)?;
    check(
        &mut right,
        never(blocked.allowed + blocked.other, blocked) && never(free.denied + free.other, free),
        &format!("while the agent was killed: blocked {blocked:?}, free {free:?}"),
    );

    hammer(&mut workers)?;
    let Some(mut enforcer) = BpfLsm::adopt(&options())? else {
        println!("FAIL nothing to adopt");
        return Ok(false);
    };
    check(
        &mut right,
        enforcer.binding(&workload::scope()?)? == Some(binding)
            && enforcer.bindings().count() == 1
            && enforcer.generation(binding)?.0 == generation,
        &format!(
            "adopted: {binding}, generation {}",
            enforcer.generation(binding)?
        ),
    );
    let mut events = 0;
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(20));
        events += workload::drain(&mut enforcer, &mut |_| {})?;
    }
    check(
        &mut right,
        events > 0,
        &format!("{events} events after adopting"),
    );
    let [blocked, free] = stop(&mut workers)?;
    check(
        &mut right,
        never(blocked.allowed + blocked.other, blocked) && never(free.denied + free.other, free),
        &format!("while it was adopted: blocked {blocked:?}, free {free:?}"),
    );

    let replaced = enforcer.replace(binding, &policy(FREE)?)?;
    hammer(&mut workers)?;
    thread::sleep(Duration::from_millis(100));
    let [blocked, free] = stop(&mut workers)?;
    let mut of_new = 0;
    events += workload::drain(&mut enforcer, &mut |event| {
        of_new += u64::from(event.generation == replaced);
    })?;
    check(
        &mut right,
        replaced.0 > generation && never(blocked.denied, blocked) && never(free.allowed, free),
        &format!(
            "replaced by generation {replaced}: blocked before {blocked:?}, free before {free:?}"
        ),
    );
    check(
        &mut right,
        of_new > 0,
        &format!("{of_new} events of the new policy"),
    );

    let counters = enforcer.counters()?;
    let reported = seen + events + counters.lost + counters.throttled;
    check(
        &mut right,
        reported == counters.denied + counters.audited && counters.malformed == 0,
        &format!(
            "{seen} events seen before and {events} after, {} lost, {} throttled; {} denied, {} audited",
            counters.lost, counters.throttled, counters.denied, counters.audited
        ),
    );

    enforcer.detach()?;
    hammer(&mut workers)?;
    thread::sleep(Duration::from_millis(50));
    let [blocked, free] = stop(&mut workers)?;
    check(
        &mut right,
        never(blocked.denied, blocked) && never(free.denied, free),
        &format!("detached: {blocked:?}, {free:?}"),
    );
    let left: Vec<_> = pins_left(Path::new(PINS))?;
    check(&mut right, left.is_empty(), &format!("pins left: {left:?}"));
    check(
        &mut right,
        BpfLsm::adopt(&options())?.is_none(),
        "nothing is left to adopt",
    );
    Ok(right)
}

/// Whether something was done, and such outcomes never came of it.
const fn never(such: u64, counts: Counts) -> bool {
    such == 0 && counts.total() > 0
}

fn hammer(workers: &mut [Worker; 2]) -> Result<(), Error> {
    let [first, second] = workers;
    first.hammer(0, &["read", BLOCKED])?;
    second.hammer(0, &["read", FREE])
}

fn stop(workers: &mut [Worker; 2]) -> Result<[Counts; 2], Error> {
    let [first, second] = workers;
    Ok([first.stop()?, second.stop()?])
}

fn pins_left(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(directory)?;
    Ok(entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?)
}

/// The process of `agent`.
struct Agent {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Agent {
    fn start() -> Result<Self, Error> {
        let mut child = Command::new("/proc/self/exe")
            .arg("survive-agent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no standard output")?;
        Ok(Self {
            child,
            output: BufReader::new(output),
        })
    }

    fn answer(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn poll(&mut self) -> Result<u64, Error> {
        let input = self.child.stdin.as_mut().ok_or("no standard input")?;
        input.write_all(b"\n")?;
        Ok(self.answer()?.parse()?)
    }

    fn kill(&mut self) -> Result<(), Error> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}
