//! The part that runs in the guest: every step, for real.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gambeson::matcher::{Compile, CompiledPolicy, Config};
use gambeson::policy_model::{Event, Verdict, Workload};
use serde::{Deserialize, Serialize};

use super::carrier::{ANOTHER_NAME, Carrier, Gap, NAMELESS_SOURCE, Seen};
use super::staging::{Plan, Staging, plan};
use super::ways::Failure;
use crate::judge::{Outcome, expected, select};
use crate::scenario::{Scenario, Step};

/// Where the actor is in the guest.
pub const ACTOR: &str = "/conformance/actor";

/// Where the scenarios are in the guest.
pub const SCENARIOS: &str = "/conformance/scenarios.json";

/// Where cgroups are made.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A file of scenarios, as the guest gets it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Suite {
    /// The file, below the folder.
    pub file: String,
    /// Its scenarios.
    pub scenarios: Vec<Scenario>,
}

/// How one step went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The file and the scenario's name.
    pub scenario: String,
    /// Which step, from 1.
    pub step: usize,
    /// What carried it out.
    pub carrier: String,
    /// In which kernel; empty in user space.
    pub kernel: String,
    /// What must happen.
    pub expected: String,
    /// What happened; `n/a` where no kernel can be asked.
    pub got: String,
    /// By which rule.
    pub rule: Option<String>,
    /// The gap that excuses a difference.
    pub gap: Option<Gap>,
    /// Whether all is as it must be.
    pub ok: bool,
    /// How the event came about.
    pub way: Option<String>,
    /// What else there is to say.
    pub note: Option<String>,
    /// The gaps that were reported of the rule, excusing or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reported: Vec<Gap>,
}

impl Line {
    /// `ok`, `gap`, `n/a` or `fail`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            _ if !self.ok => "fail",
            _ if self.got == "n/a" => "n/a",
            Self { gap: Some(_), .. } => "gap",
            _ => "ok",
        }
    }
}

/// Makes the guest let pass whatever only a careful machine would refuse.
///
/// # Errors
/// When a setting can't be written.
pub fn relax() -> Result<(), String> {
    for (name, value) in [
        ("fs/protected_hardlinks", "0"),
        ("fs/protected_symlinks", "0"),
        ("fs/protected_regular", "0"),
        ("fs/protected_fifos", "0"),
        ("net/ipv4/ping_group_range", "0 2147483647"),
        ("kernel/yama/ptrace_scope", "0"),
        ("kernel/perf_event_paranoid", "2"),
    ] {
        let path = Path::new("/proc/sys").join(name);
        if path.exists() {
            fs::write(&path, value).map_err(|error| format!("`{}`: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// Carries out every scenario that compiles.
///
/// # Errors
/// When lines can't be written, or a cgroup can't be made.
pub fn run(suites: &[Suite], carrier: &mut dyn Carrier, out: &mut dyn Write) -> Result<(), String> {
    let mut number = 0;
    for suite in suites {
        for scenario in suite.scenarios.iter().filter(|scenario| scenario.compiles) {
            let mut room = Room {
                carrier,
                place: format!("{}: {}", suite.file, scenario.name),
                bound: BTreeMap::new(),
                number: &mut number,
            };
            let lines = room.run(scenario);
            room.close()?;
            for line in lines {
                let text = serde_json::to_string(&line).map_err(|error| error.to_string())?;
                writeln!(out, "{text}").map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(())
}

/// A workload's cgroup, under its policy.
struct Bound {
    cgroup: PathBuf,
    handle: u64,
    gaps: Vec<Gap>,
}

/// One scenario under way.
struct Room<'a> {
    carrier: &'a mut dyn Carrier,
    place: String,
    bound: BTreeMap<String, Bound>,
    number: &'a mut usize,
}

impl Room<'_> {
    fn run(&mut self, scenario: &Scenario) -> Vec<Line> {
        let mut lines = Vec::new();
        for (number, step) in scenario.steps.iter().enumerate() {
            let expected = expected(step);
            let mut line = Line {
                scenario: self.place.clone(),
                step: number + 1,
                carrier: self.carrier.name().to_owned(),
                kernel: String::new(),
                expected: expected.to_string(),
                got: "n/a".to_owned(),
                rule: None,
                gap: None,
                ok: true,
                way: None,
                note: None,
                reported: Vec::new(),
            };
            match plan(scenario, step) {
                Plan::Skip(why) => line.note = Some(why),
                Plan::Wrong(why) => {
                    line.got = "error".to_owned();
                    line.ok = false;
                    line.note = Some(why);
                }
                Plan::Run(staging) => {
                    line.way = Some(staging.way.to_owned());
                    if let Some(why) = self.carrier.cannot(staging.way) {
                        line.note = Some(why.to_owned());
                        lines.push(line);
                        continue;
                    }
                    if let Err(error) = self.step(scenario, step, &staging, &expected, &mut line) {
                        line.got = "error".to_owned();
                        line.ok = false;
                        line.note = Some(error);
                    }
                }
            }
            lines.push(line);
        }
        lines
    }

    fn step(
        &mut self,
        scenario: &Scenario,
        step: &Step,
        staging: &Staging,
        expected: &Outcome,
        line: &mut Line,
    ) -> Result<(), String> {
        let workload = step.workload.as_ref().unwrap_or(&scenario.workload);
        let key = workload.to_string();
        if !self.bound.contains_key(&key) {
            let bound = self.bind(scenario, &key)?;
            self.bound.insert(key.clone(), bound);
        }
        let bound = self.bound.get(&key).ok_or("the workload is not bound")?;
        self.carrier.seen(bound.handle)?;
        let more = self
            .carrier
            .staging(bound.handle, staging.source.as_deref());
        let mut command = Command::new(ACTOR);
        command.arg("--stage").arg("cgroup").arg(&bound.cgroup);
        command.args(more);
        let ready = &mut |stage| self.carrier.ready(bound.handle, stage);
        let performed = perform(staging, command, ready)?;
        self.carrier.done();
        let seen = self.carrier.seen(bound.handle)?;
        let got = conclude(step, &performed, &seen, expected);
        line.got = got.to_string();
        line.rule.clone_from(&got.rule);
        line.note = performed.note;
        if !self.carrier.judges() {
            line.ok = got.verdict != Verdict::Block;
            return Ok(());
        }
        let gaps = bound.gaps.iter();
        let about = |gap: &&Gap| gap.rule.is_some() && gap.rule == expected.rule;
        line.reported = gaps.clone().filter(about).cloned().collect();
        let untold = seen.is_empty() || !self.carrier.reports_allowed();
        let unseen = expected.verdict == Verdict::Allow && untold;
        // What a mechanism refuses for its own reasons has no rule.
        let own = matches!(got.cause.as_str(), "mount" | "engine");
        let same_cause =
            unseen || own || (got.rule == expected.rule && got.cause == expected.cause);
        // What a rule reports too much is a matter of that rule's gaps.
        let rule = expected.rule.as_deref().or(got.rule.as_deref());
        let operations = operations(step);
        let operations: Vec<&str> = operations.iter().map(String::as_str).collect();
        let mut ways: Vec<&str> = step.first.iter().map(|first| first.way.as_str()).collect();
        ways.push(staging.way);
        if staging.source.is_none() {
            ways.push(NAMELESS_SOURCE);
        }
        let mut tree = scenario.tree.iter();
        if tree.any(|entry| entry.link.is_some() || entry.bind.is_some()) {
            ways.push(ANOTHER_NAME);
        }
        let mut concerned = gaps.filter(|gap| gap.concerns(rule, &operations, &ways));
        if got.verdict == expected.verdict && same_cause {
            let belied = concerned.find(|gap| gap.is_belied(expected.verdict, got.verdict));
            if let Some(gap) = belied {
                line.ok = false;
                line.note = Some(format!("denied, in spite of the gap “{}”", gap.what));
            }
            return Ok(());
        }
        line.gap = concerned
            .find(|gap| gap.excuses(expected.verdict, got.verdict))
            .cloned();
        line.ok = line.gap.is_some();
        Ok(())
    }

    fn bind(&mut self, scenario: &Scenario, workload: &str) -> Result<Bound, String> {
        let policy = compile(scenario, workload)?;
        *self.number += 1;
        let cgroup = Path::new(CGROUPS).join(format!("scenario-{}", self.number));
        fs::create_dir_all(&cgroup).map_err(|error| format!("`{}`: {error}", cgroup.display()))?;
        let handle = self.carrier.apply(&policy, &cgroup)?;
        Ok(Bound {
            gaps: self.carrier.gaps(&policy),
            cgroup,
            handle,
        })
    }

    fn close(self) -> Result<(), String> {
        for bound in self.bound.into_values() {
            self.carrier.remove(bound.handle)?;
            // A process that still exits keeps its cgroup for a moment; it harms nobody.
            let _ = fs::remove_dir(&bound.cgroup);
        }
        Ok(())
    }
}

fn compile(scenario: &Scenario, workload: &str) -> Result<CompiledPolicy, String> {
    let workload = Workload::from_json(workload).map_err(|error| error.to_string())?;
    let selection = select(scenario, &workload).map_err(|error| error.to_string())?;
    selection
        .compile(&Config::default())
        .map_err(|error| error.to_string())
}

/// What the actor said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Performed {
    /// Whether it was refused.
    refused: bool,
    /// Whatever is worth saying of it.
    note: Option<String>,
}

const EPERM: i32 = 1;
const EACCES: i32 = 13;

/// Lets the stage play a step. `ready` is called with its process where it waits for that.
fn perform(
    staging: &Staging,
    mut command: Command,
    ready: &mut dyn FnMut(u32) -> Result<(), String>,
) -> Result<Performed, String> {
    if staging.cgroups {
        command.args(["cgroups", CGROUPS]);
    }
    let failed = |error| format!("the actor can't be started: {error}");
    let mut stage = command
        .args(&staging.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut word = stage.stdin.take().ok_or("the stage has no input")?;
    let output = stage.stdout.take().ok_or("the stage has no output")?;
    let mut said = Err("the actor says nothing".to_owned());
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| error.to_string())?;
        if line.starts_with("ready ") {
            if let Err(error) = ready(stage.id()) {
                said = Err(error);
                break;
            }
            word.write_all(b"\n").map_err(|error| error.to_string())?;
            continue;
        }
        said = Ok(line);
        break;
    }
    // A stage that waits in vain ends.
    drop(word);
    stage.wait().map_err(failed)?;
    understand(&said?, staging.failure)
}

/// Understands the stage's line.
fn understand(line: &str, failure: Failure) -> Result<Performed, String> {
    let words: Vec<&str> = line.split(' ').collect();
    let ["done", error, index, signal] = *words.as_slice() else {
        return Err(format!("the actor failed: `{line}`"));
    };
    let number = |text: &str| text.parse::<i32>().map_err(|_| format!("`{line}`"));
    let (error, index, signal) = (number(error)?, number(index)?, number(signal)?);
    let name = std::io::Error::from_raw_os_error(error);
    match error {
        0 => Ok(Performed {
            refused: false,
            note: None,
        }),
        EPERM | EACCES => Ok(Performed {
            refused: true,
            note: match (signal, index) {
                (0, 0) => None,
                (0, index) => Some(format!("act {} was refused", index + 1)),
                (signal, _) => Some(format!("killed by signal {signal}")),
            },
        }),
        _ if failure == Failure::Passed => Ok(Performed {
            refused: false,
            note: Some(name.to_string()),
        }),
        _ => Err(format!("act {} failed: {name}", index + 1)),
    }
}

/// The operations of a step's events.
fn operations(step: &Step) -> Vec<String> {
    let events = step.events().map(ToString::to_string);
    let names = events.filter_map(|line| {
        let event = Event::from_json(&line).ok()?;
        Some(event.operation.name().to_owned())
    });
    names.collect()
}

/// What happened, from what the actor met and what the mechanism reported.
fn conclude(step: &Step, performed: &Performed, seen: &[Seen], expected: &Outcome) -> Outcome {
    let operations = operations(step);
    let fits = |seen: &&Seen| {
        let refused = seen.verdict == Verdict::Block;
        // What is said of other operations is about how the actor goes about its own.
        refused == performed.refused && (refused || operations.contains(&seen.operation))
    };
    let fitting: Vec<&Seen> = seen.iter().filter(fits).collect();
    let strictest = fitting.iter().map(|seen| seen.verdict).max();
    let verdict = match (performed.refused, strictest) {
        (true, _) => Verdict::Block,
        (false, verdict) => verdict.unwrap_or(Verdict::Allow),
    };
    let mut candidates = fitting.into_iter().filter(|seen| seen.verdict == verdict);
    let as_expected = |seen: &&Seen| seen.rule == expected.rule && seen.cause == expected.cause;
    let chosen = candidates
        .clone()
        .find(as_expected)
        .or_else(|| candidates.next());
    Outcome {
        verdict,
        cause: chosen.map_or_else(|| "none".to_owned(), |seen| seen.cause.clone()),
        rule: chosen.and_then(|seen| seen.rule.clone()),
    }
}

/// Reads the suites that the host has made.
///
/// # Errors
/// When they can't be read.
pub fn read_suites(path: &Path) -> Result<Vec<Suite>, String> {
    let text = fs::read(path).map_err(|error| {
        let name = String::from_utf8_lossy(path.as_os_str().as_bytes());
        format!("`{name}`: {error}")
    })?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errnos_are_refusals_passes_or_failures() {
        let refused = |line| understand(line, Failure::Broken).map(|performed| performed.refused);
        assert_eq!(refused("done 0 0 0"), Ok(false));
        assert_eq!(refused("done 1 0 0"), Ok(true));
        assert_eq!(refused("done 13 1 0"), Ok(true));
        assert!(refused("done 2 0 0").is_err());
        assert!(refused("late").is_err());
        assert!(refused("unprepared 1 0").is_err());
        let passed = understand("done 111 0 0", Failure::Passed);
        assert!(passed.is_ok_and(|performed| !performed.refused));
    }
}
