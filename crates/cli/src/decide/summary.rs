//! What a run came to, in a few lines.

use gambeson::policy_model::Verdict;

use super::tally::Tally;
use crate::style::{self, pad, paint};
use crate::text::{counted, printable};

/// More rules than this are counted, not named.
const NAMED: usize = 10;

/// Between columns.
const GAP: usize = 2;

/// Writes the counts by verdict, and the rules behind the denials and reports.
pub(crate) fn write(out: &mut Vec<u8>, tally: &Tally<'_>, colour: bool) {
    let events = tally.verdicts.sum();
    let mut text = format!("\n{}: ", counted(events, "event"));
    for (index, verdict) in [Verdict::Block, Verdict::Audit, Verdict::Allow]
        .into_iter()
        .enumerate()
    {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(&format!("{} {verdict}", tally.verdicts.of(verdict)));
    }
    paint(out, colour, style::STRONG, &text);
    if tally.errors > 0 {
        let text = format!("; {} no event", counted_is(tally.errors, "line"));
        paint(out, colour, style::ERROR, &text);
    }
    out.push(b'\n');
    let rows: Vec<Row> = [Verdict::Block, Verdict::Audit]
        .into_iter()
        .flat_map(|verdict| rows(tally, verdict))
        .collect();
    let mut widths = [0; 3];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        row.write(out, widths, colour);
    }
}

/// A rule, or what stands in a rule's place, and how often it decided one verdict.
struct Row {
    verdict: Verdict,
    /// The count, the rule, its place.
    cells: [String; 3],
    message: String,
}

impl Row {
    fn write(&self, out: &mut Vec<u8>, widths: [usize; 3], colour: bool) {
        let [count, rule, place] = &self.cells;
        let [count_width, rule_width, place_width] = widths;
        let missing = |width: usize, cell: &str| GAP + width.saturating_sub(cell.chars().count());
        pad(out, GAP);
        paint(
            out,
            colour,
            style::verdict(self.verdict),
            self.verdict.name(),
        );
        pad(out, missing(count_width, count));
        out.extend_from_slice(count.as_bytes());
        pad(out, GAP);
        out.extend_from_slice(rule.as_bytes());
        if !place.is_empty() {
            pad(out, missing(rule_width, rule));
            paint(out, colour, style::DIM, place);
        }
        if !self.message.is_empty() {
            pad(out, missing(place_width, place));
            out.extend_from_slice(self.message.as_bytes());
        }
        out.push(b'\n');
    }
}

/// The rules that decided `verdict`, the busiest first, and then the posture.
fn rows(tally: &Tally<'_>, verdict: Verdict) -> Vec<Row> {
    let rules = tally.busiest(verdict);
    let row = |count: String, rule: &str, place: &str, message: &str| Row {
        verdict,
        cells: [
            count,
            printable(rule.as_bytes()),
            printable(place.as_bytes()),
        ],
        message: printable(message.as_bytes()),
    };
    let mut rows: Vec<Row> = rules
        .iter()
        .take(NAMED)
        .map(|(rule, count)| {
            row(
                count.to_string(),
                &format!("{} {}", rule.policy, rule.field_path()),
                &format!("{}:{}", rule.file, rule.line),
                rule.message,
            )
        })
        .collect();
    let others: u64 = rules.iter().skip(NAMED).map(|(_, count)| count).sum();
    if others > 0 {
        let name = counted(rules.len() - NAMED, "other rule");
        rows.push(row(others.to_string(), &name, "", ""));
    }
    let by_posture = tally.by_posture.of(verdict);
    if by_posture > 0 {
        rows.push(row(by_posture.to_string(), "default posture", "", ""));
    }
    rows
}

fn counted_is(count: u64, what: &str) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(count, what))
}
