//! Tests of policies in virtual machines, by the rig of Gambeson's own source.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gambeson::policy_test::{Case, Outcome, Report};
use serde::Deserialize;
use thiserror::Error;

use crate::args::Backend;

/// Names the checkout where `--checkout` doesn't.
const CHECKOUT: &str = "GAMBESON_CHECKOUT";

/// Why tests can't be carried out in kernels.
#[derive(Debug, Error)]
pub(crate) enum InKernelFailure {
    /// There is no rig.
    #[error(
        "`{}` holds no checkout of Gambeson's source, which has the virtual machines; \
         name one by `--checkout` or {CHECKOUT}",
        folder.display()
    )]
    NoCheckout { folder: PathBuf },
    /// The rig can't be started.
    #[error("`cargo xtask conformance` can't be started: {error}")]
    Start { error: io::Error },
    /// Scenarios can't be written.
    #[error("the scenarios can't be written: {error}")]
    Scenarios { error: io::Error },
    /// The rig failed; it has said why.
    #[error("`cargo xtask conformance` failed in `{}`, as told above", folder.display())]
    Failed { folder: PathBuf },
    /// It answers in another way than this command knows.
    #[error("`cargo xtask conformance` answers `{line}`: the checkout is of another version")]
    Answer { line: String },
    /// No kernel could be asked.
    #[error(
        "no kernel carried the tests out: virtual machines can't run here, or there is no kernel; \
         `cargo xtask vm check` in the checkout says more"
    )]
    NoKernel,
}

/// A checkout, and a folder for scenarios that is removed at the end.
pub(crate) struct Rig {
    checkout: PathBuf,
    scenarios: PathBuf,
}

/// How the rig says that a step went.
#[derive(Debug, Deserialize)]
struct Line {
    /// The file and the scenario's name.
    scenario: String,
    /// From 1.
    step: usize,
    kernel: String,
    expected: String,
    got: String,
    gap: Option<String>,
    ok: bool,
    #[serde(default)]
    note: Option<String>,
}

impl Rig {
    /// The rig of the checkout that is named, or of the current folder.
    pub(crate) fn new(checkout: Option<&Path>) -> Result<Self, InKernelFailure> {
        let checkout = checkout.map(Path::to_owned).unwrap_or_else(|| {
            std::env::var_os(CHECKOUT).map_or_else(|| PathBuf::from("."), PathBuf::from)
        });
        if !checkout.join("xtask/src/conformance").is_dir() {
            return Err(InKernelFailure::NoCheckout { folder: checkout });
        }
        let name = format!("gambeson-test-{}", std::process::id());
        let scenarios = std::env::temp_dir().join(name);
        std::fs::create_dir(&scenarios).map_err(|error| InKernelFailure::Scenarios { error })?;
        Ok(Self {
            checkout,
            scenarios,
        })
    }

    /// Where scenarios are to be written.
    pub(crate) fn scenarios(&self) -> &Path {
        &self.scenarios
    }

    /// Carries the scenarios out, and adds to the report how each step went in each kernel. `names` are
    /// the scenarios' files and those of the tests.
    pub(crate) fn run(
        &self,
        carrier: Backend,
        kernels: &[String],
        names: &[(String, &Path)],
        report: &mut Report,
    ) -> Result<(), InKernelFailure> {
        let carrier = match carrier {
            Backend::BpfLsm => "bpf-lsm",
            Backend::AppArmor => "apparmor",
            Backend::SeLinux => "selinux",
        };
        let mut command = Command::new("cargo");
        command
            .current_dir(&self.checkout)
            .args(["xtask", "conformance", "--format", "json"])
            .args(["--carrier", carrier])
            .arg("--scenarios")
            .arg(&self.scenarios);
        for kernel in kernels {
            command.args(["--kernel", kernel]);
        }
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| InKernelFailure::Start { error })?;
        let failed = || InKernelFailure::Failed {
            folder: self.checkout.clone(),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<Line> = text
            .lines()
            .map(|line| serde_json::from_str(line).map_err(|_| line.to_owned()))
            .collect::<Result<_, String>>()
            .map_err(|line| InKernelFailure::Answer { line })?;
        if lines.is_empty() {
            return Err(if output.status.success() {
                InKernelFailure::NoKernel
            } else {
                failed()
            });
        }
        let all_ok = lines.iter().all(|line| line.ok);
        // Whether every gap of a mechanism shows somewhere is for the project's own scenarios to tell.
        let steps = lines.iter().filter(|line| line.step > 0);
        for line in steps {
            add(line, carrier, names, report);
        }
        // What the rig finds wrong is in its lines; else it is the rig that went wrong.
        if all_ok && !output.status.success() {
            return Err(failed());
        }
        Ok(())
    }
}

/// Adds how a step went to the report.
fn add(line: &Line, carrier: &str, names: &[(String, &Path)], report: &mut Report) {
    let (file, test) = line
        .scenario
        .split_once(": ")
        .unwrap_or(("", &line.scenario));
    let path = names.iter().find(|(name, _)| name == file);
    let path = path.map_or_else(|| file.to_owned(), |(_, path)| path.display().to_string());
    let place = format!("{carrier} on Linux {}", line.kernel);
    let remark = |what: &str| {
        crate::note(&format!(
            "{path} {test}, step {}, {place}: {what}",
            line.step
        ));
    };
    let note = line.note.as_deref();
    if line.got == "n/a" {
        return remark(&format!(
            "not asked: {}",
            note.unwrap_or("no kernel can be asked")
        ));
    }
    if let Some(gap) = &line.gap {
        remark(&format!(
            "expected {}, found {}, as is known of it: {gap}",
            line.expected, line.got
        ));
    }
    let outcome = match (line.ok, line.got.as_str()) {
        (true, _) => Outcome::Passed,
        (false, "error") => Outcome::Error(note.unwrap_or("the guest failed").to_owned()),
        (false, got) => Outcome::Failed {
            expected: line.expected.clone(),
            found: got.to_owned(),
            explanation: note.unwrap_or_default().to_owned(),
        },
    };
    let steps = report.cases.iter();
    let mut steps = steps.filter(|case| {
        case.file == path && case.test == test && case.line.is_some() && case.place.is_none()
    });
    let case = steps.nth(line.step.saturating_sub(1)).cloned();
    let case = case.unwrap_or_else(|| Case::new(&path, test, &format!("step {}", line.step)));
    report.cases.push(case.carried_out(place, outcome));
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Nothing hangs on what is left in a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.scenarios);
    }
}
