//! `gambeson probe`: what this machine's kernel can enforce.

mod human;
mod json;

use std::io::Write as _;
use std::path::Path;

use gambeson::matcher::CompiledPolicy;
use gambeson::matcher::backend::{Backend as _, Gap, Report, Require, Support};
use gambeson::policy_model::RuleId;

use super::compiling;
use crate::args::{Backend, ProbeArgs};
use crate::failure::Failure;
use crate::{Outcome, decide, style};

/// Says what the kernel has, what is missing, and what becomes of the policies.
pub(crate) fn probe(args: &ProbeArgs) -> Result<Outcome, Failure> {
    let compiled = if args.policies.is_empty() {
        None
    } else {
        let workload = decide::workload(&args.subject)?;
        Some(compiling::compile(
            &args.policies,
            &args.reading,
            args.carrying.posture,
            &workload,
            Some(Path::new("/")),
        )?)
    };
    match args.carrying.backend {
        #[cfg(feature = "bpf-lsm")]
        Backend::BpfLsm => {
            use gambeson::bpf_lsm::{BpfLsm, HOOKS};
            let support = BpfLsm::probe();
            let probed = Probed {
                backend: BpfLsm::NAME,
                kernel: support.kernel().to_string(),
                hooks: HOOKS.iter().map(|hook| hook.name).collect(),
                support: &support,
            };
            let report = |compiled: &CompiledPolicy| BpfLsm::enforceability(&support, compiled);
            show(args, &probed, compiled.as_ref(), report)
        }
        #[cfg(not(feature = "bpf-lsm"))]
        Backend::BpfLsm => Err(Failure::NoBackend { command: "probe" }),
        Backend::AppArmor => {
            use gambeson::apparmor::AppArmor;
            let support = AppArmor::probe();
            let probed = Probed {
                backend: AppArmor::NAME,
                kernel: version(),
                hooks: Vec::new(),
                support: &support,
            };
            let report = |compiled: &CompiledPolicy| AppArmor::enforceability(&support, compiled);
            show(args, &probed, compiled.as_ref(), report)
        }
        Backend::SeLinux => {
            use gambeson::selinux::{SeLinux, probe};
            let support = probe();
            let probed = Probed {
                backend: SeLinux::NAME,
                kernel: version(),
                hooks: Vec::new(),
                support: &support,
            };
            let report = |compiled: &CompiledPolicy| SeLinux::enforceability(&support, compiled);
            show(args, &probed, compiled.as_ref(), report)
        }
    }
}

/// What was found out of one backend.
struct Probed<'p> {
    backend: &'static str,
    /// The kernel's version.
    kernel: String,
    /// Findings that people want to see as a number.
    hooks: Vec<&'static str>,
    support: &'p dyn Support,
}

fn show(
    args: &ProbeArgs,
    probed: &Probed<'_>,
    compiled: Option<&CompiledPolicy>,
    report: impl Fn(&CompiledPolicy) -> Report,
) -> Result<Outcome, Failure> {
    let carried = compiled.map(|compiled| Carried {
        report: report(compiled),
        compiled,
        require: args.carrying.require.into(),
    });
    let mut stdout = std::io::stdout();
    let mut out = Vec::new();
    if args.json {
        json::write(&mut out, probed, carried.as_ref());
    } else {
        let colour = style::wants_colour(&stdout);
        human::write(&mut out, probed, carried.as_ref(), colour);
    }
    stdout.write_all(&out)?;
    stdout.flush()?;
    let enough = probed.support.can_enforce() && carried.is_none_or(|carried| carried.is_met());
    Ok(if enough {
        Outcome::Good
    } else {
        Outcome::Errors
    })
}

/// The first two numbers of the kernel's release.
fn version() -> String {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy();
    let numbers: Vec<&str> = release
        .split(|letter: char| !letter.is_ascii_digit())
        .take(2)
        .collect();
    numbers.join(".")
}

/// What becomes of policies on the kernel.
struct Carried<'c> {
    compiled: &'c CompiledPolicy,
    report: Report,
    require: Require,
}

impl Carried<'_> {
    /// Whether they are carried out as closely as required.
    fn is_met(&self) -> bool {
        self.report.check(self.require).is_ok()
    }

    /// The gaps of a rule; of the whole policy without one.
    fn gaps_of(&self, rule: Option<RuleId>) -> impl Iterator<Item = &Gap> {
        let gaps = self.report.gaps().iter();
        gaps.filter(move |gap| gap.rule == rule)
    }
}
