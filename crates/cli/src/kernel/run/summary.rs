//! What a run came to.

use gambeson::policy_model::Verdict;
use serde::Serialize;

use super::Counted;
use super::child::Ended;
use crate::decide::summary;
use crate::decide::tally::Tally;

/// Some lines for people: events by verdict and rule, what was not shown, and how the command ended.
pub(super) fn human(
    out: &mut Vec<u8>,
    tally: &Tally<'_>,
    (counted, dropped): (&Counted, Option<u64>),
    ended: Ended,
    colour: bool,
) {
    summary::write(out, tally, colour);
    let Counted {
        lost,
        throttled,
        unresolved,
        ..
    } = counted;
    let denied = if counted.only_observed {
        "nothing was denied; "
    } else {
        ""
    };
    let ended = match ended.signal() {
        Some(signal) => format!("signal {signal} ended the command"),
        None => format!("the command ended with status {}", ended.status()),
    };
    let dropped = dropped.map(|dropped| format!("{dropped} not shown by --throttle, "));
    let text = format!(
        "{}{lost} lost, {throttled} throttled, {unresolved} without a path; {denied}{ended}\n",
        dropped.unwrap_or_default()
    );
    out.extend_from_slice(text.as_bytes());
}

#[derive(Serialize)]
struct Line<'t> {
    summary: Summary<'t>,
}

#[derive(Serialize)]
struct Summary<'t> {
    events: u64,
    block: u64,
    audit: u64,
    allow: u64,
    rules: Vec<OfRule<'t>>,
    /// What `--throttle` left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
    lost: u64,
    throttled: u64,
    unresolved: u64,
    status: u8,
    signal: Option<i32>,
}

/// How often a rule decided a verdict.
#[derive(Serialize)]
struct OfRule<'t> {
    verdict: &'static str,
    count: u64,
    policy: &'t str,
    rule: String,
    file: &'t str,
    line: u32,
}

/// One line for programs.
pub(super) fn json(
    out: &mut Vec<u8>,
    tally: &Tally<'_>,
    (counted, dropped): (&Counted, Option<u64>),
    ended: Ended,
) {
    let rules = [Verdict::Block, Verdict::Audit, Verdict::Allow]
        .into_iter()
        .flat_map(|verdict| {
            let busiest = tally.busiest(verdict).into_iter();
            busiest.map(move |(rule, count)| OfRule {
                verdict: verdict.name(),
                count,
                policy: rule.policy,
                rule: rule.field_path(),
                file: rule.file,
                line: rule.line,
            })
        });
    let line = Line {
        summary: Summary {
            events: tally.verdicts.sum(),
            block: tally.verdicts.of(Verdict::Block),
            audit: tally.verdicts.of(Verdict::Audit),
            allow: tally.verdicts.of(Verdict::Allow),
            rules: rules.collect(),
            dropped,
            lost: counted.lost,
            throttled: counted.throttled,
            unresolved: counted.unresolved,
            status: ended.status(),
            signal: ended.signal(),
        },
    };
    // Texts and numbers always have a JSON form, and memory takes it.
    let _ = serde_json::to_writer(&mut *out, &line);
    out.push(b'\n');
}
