//! `cargo xtask conformance`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::build::{self, BuildError};
use super::guest::{ACTOR, Line, SCENARIOS, Suite};
use super::report;
use crate::judge::{self, judge};
use crate::scenario::{ReadError, read_folder};
use crate::vm::{Kernel, Lsm, Machine, Payload, UnderTest, VmError, kernels_under_test};

/// What there is to say on the command line.
pub const HELP: &str = "\
cargo xtask conformance [OPTION]...         carry the scenarios out and report how that went
    --scenarios DIR         the folder of scenarios (default: tests/scenarios)
    --carrier NAME          decide, none, bpf-lsm, apparmor or selinux; again for more (default: decide and
                            none)
    --kernel NAME           again for more (default: GAMBESON_KERNELS, or what can be had)
    --results FILE          add what an earlier run printed with `--format json`; again for more. Without
                            --carrier, nothing is carried out then
    --format text|json      a table, or a line of JSON for each step
    --write                 write tests/conformance/REPORT.md
";

/// Carriers that run in a guest.
const IN_KERNELS: [&str; 4] = ["none", "bpf-lsm", "apparmor", "selinux"];

/// The security modules of the guest that a carrier needs.
fn modules(carrier: &str) -> Lsm {
    match carrier {
        "apparmor" => Lsm::AppArmor,
        "selinux" => Lsm::SeLinux,
        _ => Lsm::Bpf,
    }
}

/// Why scenarios could not be carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConformanceError {
    /// The command line can't be understood.
    #[error("{0}\n\n{HELP}")]
    Usage(String),
    /// Scenarios can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A program can't be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A guest can't be run.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// The guest failed.
    #[error("kernel {kernel}: the guest failed: {message}")]
    Guest {
        /// In which kernel.
        kernel: String,
        /// What it said.
        message: String,
    },
    /// Results can't be read, or the report can't be written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Something is no JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

struct Options {
    scenarios: PathBuf,
    carriers: Vec<String>,
    kernels: Vec<String>,
    results: Vec<PathBuf>,
    json: bool,
    write: bool,
}

impl Options {
    fn parse(mut arguments: &[&str], root: &Path) -> Result<Self, ConformanceError> {
        let usage = |message: String| Err(ConformanceError::Usage(message));
        let mut options = Self {
            scenarios: root.join("tests/scenarios"),
            carriers: Vec::new(),
            kernels: Vec::new(),
            results: Vec::new(),
            json: false,
            write: false,
        };
        loop {
            arguments = match arguments {
                [] => break,
                ["--write", rest @ ..] => {
                    options.write = true;
                    rest
                }
                ["--scenarios", folder, rest @ ..] => {
                    options.scenarios = PathBuf::from(folder);
                    rest
                }
                ["--carrier", name, rest @ ..] => {
                    if *name != "decide" && !IN_KERNELS.contains(name) {
                        return usage(format!("there is no carrier `{name}`"));
                    }
                    options.carriers.push((*name).to_owned());
                    rest
                }
                ["--kernel", name, rest @ ..] => {
                    options.kernels.push((*name).to_owned());
                    rest
                }
                ["--results", file, rest @ ..] => {
                    options.results.push(PathBuf::from(file));
                    rest
                }
                ["--format", "json", rest @ ..] => {
                    options.json = true;
                    rest
                }
                ["--format", "text", rest @ ..] => rest,
                [other, ..] => return usage(format!("`{other}` can't be understood")),
            };
        }
        if options.carriers.is_empty() && options.results.is_empty() {
            options.carriers = ["decide", "none"].map(str::to_owned).to_vec();
        }
        Ok(options)
    }
}

/// Runs the errand; whether all is as it must be.
///
/// # Errors
/// When scenarios can't be carried out.
pub fn run(arguments: &[&str], root: &Path, out: &mut dyn Write) -> Result<bool, ConformanceError> {
    let options = Options::parse(arguments, root)?;
    let suites = suites(&options.scenarios)?;
    let mut lines = Vec::new();
    if options.carriers.iter().any(|name| name == "decide") {
        lines.extend(decide(&suites));
    }
    let in_kernels: Vec<&str> = options
        .carriers
        .iter()
        .map(String::as_str)
        .filter(|name| IN_KERNELS.contains(name))
        .collect();
    let mut skipped = None;
    if !in_kernels.is_empty() {
        match kernels(&options.kernels)? {
            UnderTest::Kernels(kernels) => {
                lines.extend(in_guests(&suites, &in_kernels, &kernels)?);
            }
            UnderTest::Skip(reason) => skipped = Some(reason),
        }
    }
    let unreal = report::unreal_gaps(&lines);
    lines.extend(unreal);
    for file in &options.results {
        lines.extend(results(file)?);
    }
    if options.json {
        for line in &lines {
            writeln!(out, "{}", serde_json::to_string(line)?)?;
        }
    } else {
        report::print(&lines, out)?;
        if let Some(reason) = &skipped {
            writeln!(out, "SKIPPED: no kernel was asked: {reason}")?;
        }
    }
    if options.write {
        let path = root.join("tests/conformance/REPORT.md");
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, report::markdown(&lines))?;
    }
    Ok(lines.iter().all(|line| line.ok))
}

/// What an earlier run printed.
fn results(file: &Path) -> Result<Vec<Line>, ConformanceError> {
    let text = std::fs::read_to_string(file)?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

fn kernels(names: &[String]) -> Result<UnderTest, VmError> {
    if names.is_empty() {
        return kernels_under_test();
    }
    let kernels: Result<Vec<_>, _> = names.iter().map(|name| Kernel::find(name)).collect();
    kernels.map(UnderTest::Kernels)
}

/// The scenarios of a folder, with the files' names below it.
fn suites(folder: &Path) -> Result<Vec<Suite>, ReadError> {
    let files = read_folder(folder)?;
    let below = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_owned();
    Ok(files
        .into_iter()
        .map(|file| Suite {
            file: below(&file.path).display().to_string(),
            scenarios: file.scenarios,
        })
        .collect())
}

/// In user space, by the compiled tables.
fn decide(suites: &[Suite]) -> Vec<Line> {
    let mut lines = Vec::new();
    for suite in suites {
        for scenario in &suite.scenarios {
            let line = |step, expected, got, rule, ok, note| Line {
                scenario: format!("{}: {}", suite.file, scenario.name),
                step,
                carrier: "decide".to_owned(),
                expected,
                got,
                rule,
                ok,
                note,
                ..Line::default()
            };
            match judge(scenario) {
                Ok(judged) => {
                    let compiled = judged
                        .iter()
                        .filter(|judged| judged.carrier == judge::Carrier::Compiled);
                    for (number, judged) in compiled.enumerate() {
                        lines.push(line(
                            number + 1,
                            judged.expected.to_string(),
                            judged.outcome.to_string(),
                            judged.outcome.rule.clone(),
                            judged.agrees(),
                            None,
                        ));
                    }
                }
                Err(error) => lines.push(line(
                    0,
                    String::new(),
                    "error".to_owned(),
                    None,
                    false,
                    Some(error.to_string()),
                )),
            }
        }
    }
    lines
}

fn in_guests(
    suites: &[Suite],
    carriers: &[&str],
    kernels: &[Kernel],
) -> Result<Vec<Line>, ConformanceError> {
    let guest = build::guest("conformance-guest")?;
    let folder = guest
        .parent()
        .map_or_else(std::env::temp_dir, Path::to_owned);
    let actor = build::actor(&folder.join("actor"))?;
    let content = serde_json::to_vec(suites)?;
    let mut lines = Vec::new();
    for kernel in kernels {
        for lsm in [Lsm::Bpf, Lsm::AppArmor, Lsm::SeLinux] {
            let carriers = carriers.iter().filter(|carrier| modules(carrier) == lsm);
            let carriers: Vec<&str> = carriers.copied().collect();
            if carriers.is_empty() {
                continue;
            }
            let mut machine = Machine::new(kernel.clone());
            machine.lsm = lsm;
            machine.timeout = Duration::from_secs(3600);
            let words = std::iter::once("/conformance/guest").chain(carriers);
            let mut payload = Payload::new(words)
                .executable(&guest, "/conformance/guest")
                .tree(&actor, ACTOR)
                .module("overlay")
                .file(SCENARIOS, 0o644, content.clone());
            if lsm == Lsm::AppArmor {
                let parser = build::apparmor_parser()?;
                payload = payload.executable(parser, "/usr/sbin/apparmor_parser");
            }
            if lsm == Lsm::SeLinux {
                payload = payload.executable(build::secilc()?, "/usr/bin/secilc");
            }
            lines.extend(in_guest(&machine, &payload)?);
        }
    }
    Ok(lines)
}

/// The lines that one guest prints.
fn in_guest(machine: &Machine, payload: &Payload) -> Result<Vec<Line>, ConformanceError> {
    let kernel = machine.kernel.name.clone();
    let outcome = machine.run(payload)?;
    if !outcome.status.success() {
        return Err(ConformanceError::Guest {
            kernel,
            message: String::from_utf8_lossy(&outcome.stderr).trim().to_owned(),
        });
    }
    let mut lines = Vec::new();
    for text in String::from_utf8_lossy(&outcome.stdout).lines() {
        let line: Line = serde_json::from_str(text)?;
        lines.push(Line {
            kernel: kernel.clone(),
            ..line
        });
    }
    Ok(lines)
}

/// How many lines there are of each kind.
#[must_use]
pub fn count(lines: &[Line]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line.kind()).or_default() += 1;
    }
    counts
}
