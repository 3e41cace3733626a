//! Findings for people.

use gambeson::matcher::backend::{Finding, Gap};

use super::{Carried, Probed};
use crate::style::{self, pad, paint};
use crate::text::{counted, printable};

/// Between columns, and before what belongs to the line above.
const GAP: usize = 2;

/// The longest of the words that a line begins with.
const STATE: usize = "not reported".len();

/// Writes what there is, what is missing and what to do about it, and what becomes of each rule.
pub(super) fn write(
    out: &mut Vec<u8>,
    probed: &Probed<'_>,
    carried: Option<&Carried<'_>>,
    colour: bool,
) {
    let support = probed.support;
    let verdict = if support.can_enforce() {
        (style::GOOD, "can enforce")
    } else {
        (style::ERROR, "can't enforce")
    };
    out.extend_from_slice(format!("{} on Linux {}: ", probed.backend, probed.kernel).as_bytes());
    paint(out, colour, verdict.0, verdict.1);
    out.push(b'\n');
    let is_hook = |finding: &&Finding| probed.hooks.contains(&finding.name);
    let findings = support.findings();
    let hooks = findings.iter().filter(is_hook);
    let there = hooks.clone().filter(|finding| finding.present).count();
    let told: Vec<&Finding> = findings
        .iter()
        .filter(|finding| !is_hook(finding))
        .chain(hooks.filter(|finding| !finding.present))
        .collect();
    let width = told.iter().map(|finding| finding.name.len()).max();
    for finding in told {
        write_finding(out, finding, width.unwrap_or_default(), colour);
    }
    if there > 0 {
        let hooks = format!("{there} of {}", counted(probed.hooks.len(), "hook"));
        let finding = Finding::present("hooks", hooks);
        write_finding(out, &finding, width.unwrap_or_default(), colour);
    }
    if let Some(carried) = carried {
        write_policies(out, carried, colour);
    }
}

fn write_finding(out: &mut Vec<u8>, finding: &Finding, width: usize, colour: bool) {
    let (style, state) = if finding.present {
        (style::GOOD, "present")
    } else {
        (style::ERROR, "missing")
    };
    pad(out, GAP);
    paint(out, colour, style, state);
    pad(out, GAP);
    out.extend_from_slice(finding.name.as_bytes());
    pad(out, width.saturating_sub(finding.name.len()) + GAP);
    out.extend_from_slice(printable(finding.reason.as_bytes()).as_bytes());
    out.push(b'\n');
    if let Some(remedy) = &finding.remedy {
        pad(out, GAP + state.len() + GAP + width + GAP);
        let remedy = format!("to do: {}", printable(remedy.as_bytes()));
        paint(out, colour, style::STRONG, &remedy);
        out.push(b'\n');
    }
}

fn write_policies(out: &mut Vec<u8>, carried: &Carried<'_>, colour: bool) {
    let rules: Vec<_> = carried.compiled.rules().collect();
    let text = format!("\n{}: ", counted(rules.len(), "rule"));
    out.extend_from_slice(text.as_bytes());
    let (style, met) = if carried.is_met() {
        (style::GOOD, "carried out as required")
    } else {
        (style::ERROR, "not carried out as required")
    };
    paint(out, colour, style, met);
    out.extend_from_slice(format!(" ({})\n", carried.require).as_bytes());
    for gap in carried.gaps_of(None) {
        write_state(out, Some(gap), "all of them", colour);
    }
    for (id, rule) in rules {
        let name = printable(rule.to_string().as_bytes());
        let mut gaps = carried.gaps_of(Some(id)).peekable();
        if gaps.peek().is_none() {
            write_state(out, None, &name, colour);
        }
        for gap in gaps {
            write_state(out, Some(gap), &name, colour);
        }
    }
}

fn write_state(out: &mut Vec<u8>, gap: Option<&Gap>, of: &str, colour: bool) {
    let state = gap.map_or("exact", |gap| gap.outcome.name());
    let style = if gap.is_none() {
        style::GOOD
    } else {
        style::WARNING
    };
    pad(out, GAP);
    paint(out, colour, style, state);
    pad(out, STATE.saturating_sub(state.len()) + GAP);
    out.extend_from_slice(of.as_bytes());
    if let Some(gap) = gap {
        let text = format!(": {}, since {}", gap.what, gap.reason);
        out.extend_from_slice(printable(text.as_bytes()).as_bytes());
    }
    out.push(b'\n');
}
