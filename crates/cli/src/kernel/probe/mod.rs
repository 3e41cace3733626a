//! `gambeson probe`: what this machine's kernel can enforce.

mod human;
mod json;

use std::io::Write as _;

use gambeson::bpf_lsm::BpfLsm;
use gambeson::matcher::CompiledPolicy;
use gambeson::matcher::backend::{Backend as _, Gap, Report, Require, Support as _};
use gambeson::policy_model::RuleId;

use super::compiling;
use crate::args::{Backend, ProbeArgs};
use crate::failure::Failure;
use crate::{Outcome, decide, style};

/// Says what the kernel has, what is missing, and what becomes of the policies.
pub(crate) fn probe(args: &ProbeArgs) -> Result<Outcome, Failure> {
    let Backend::BpfLsm = args.carrying.backend;
    let compiled = if args.policies.is_empty() {
        None
    } else {
        let workload = decide::workload(&args.subject)?;
        Some(compiling::compile(
            &args.policies,
            &args.reading,
            args.carrying.posture,
            &workload,
        )?)
    };
    let support = BpfLsm::probe();
    let carried = compiled.as_ref().map(|compiled| Carried {
        report: BpfLsm::enforceability(&support, compiled),
        compiled,
        require: args.carrying.require.into(),
    });
    let mut stdout = std::io::stdout();
    let mut out = Vec::new();
    if args.json {
        json::write(&mut out, &support, carried.as_ref());
    } else {
        let colour = style::wants_colour(&stdout);
        human::write(&mut out, &support, carried.as_ref(), colour);
    }
    stdout.write_all(&out)?;
    stdout.flush()?;
    let enough = support.can_enforce() && carried.is_none_or(|carried| carried.is_met());
    Ok(if enough {
        Outcome::Good
    } else {
        Outcome::Errors
    })
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
