//! Findings for programs.

use gambeson::matcher::backend::Gap;
use serde::Serialize;

use super::{Carried, Probed};

#[derive(Serialize)]
struct Line<'p> {
    backend: &'static str,
    kernel: &'p str,
    can_enforce: bool,
    findings: Vec<Found<'p>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policies: Option<Policies<'p>>,
}

#[derive(Serialize)]
struct Found<'p> {
    name: &'p str,
    present: bool,
    reason: &'p str,
    remedy: Option<&'p str>,
}

#[derive(Serialize)]
struct Policies<'p> {
    require: &'static str,
    met: bool,
    gaps: Vec<Differs<'p>>,
    rules: Vec<OfRule<'p>>,
}

#[derive(Serialize)]
struct OfRule<'p> {
    policy: &'p str,
    rule: String,
    file: &'p str,
    line: u32,
    gaps: Vec<Differs<'p>>,
}

#[derive(Serialize)]
struct Differs<'p> {
    outcome: &'static str,
    what: &'p str,
    reason: &'p str,
}

impl<'p> From<&'p Gap> for Differs<'p> {
    fn from(gap: &'p Gap) -> Self {
        Self {
            outcome: gap.outcome.name(),
            what: &gap.what,
            reason: &gap.reason,
        }
    }
}

/// Writes one line.
pub(super) fn write(out: &mut Vec<u8>, probed: &Probed<'_>, carried: Option<&Carried<'_>>) {
    let findings = probed.support.findings().iter();
    let line = Line {
        backend: probed.backend,
        kernel: &probed.kernel,
        can_enforce: probed.support.can_enforce(),
        findings: findings
            .map(|finding| Found {
                name: finding.name,
                present: finding.present,
                reason: &finding.reason,
                remedy: finding.remedy.as_deref(),
            })
            .collect(),
        policies: carried.map(policies),
    };
    // Texts, numbers and truth values always have a JSON form, and memory takes it.
    let _ = serde_json::to_writer(&mut *out, &line);
    out.push(b'\n');
}

fn policies<'p>(carried: &'p Carried<'_>) -> Policies<'p> {
    let gaps = |rule| carried.gaps_of(rule).map(Differs::from).collect();
    Policies {
        require: carried.require.name(),
        met: carried.is_met(),
        gaps: gaps(None),
        rules: carried
            .compiled
            .rules()
            .map(|(id, rule)| OfRule {
                policy: rule.policy,
                rule: rule.field_path(),
                file: rule.file,
                line: rule.line,
                gaps: gaps(Some(id)),
            })
            .collect(),
    }
}
