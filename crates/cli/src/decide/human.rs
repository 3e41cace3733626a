//! Answers for people: aligned columns, the deciding rule with its place beside each verdict.

use anstyle::Style;
use gambeson::explain::described;
use gambeson::policy_model::{Cause, Decision, Event, Verdict};

use super::rule::Rules;
use crate::style::{self, pad, paint};
use crate::text::{printable, shortened};

/// Rows are aligned together, up to this many.
const BATCH: usize = 512;

/// A longer cell doesn't push the next column further.
const WIDEST: usize = 64;

/// Cells are not shortened below this; a terminal that is still too narrow wraps.
const NARROWEST: usize = 18;

/// Between columns.
const GAP: usize = 2;

/// Cells of a row after the verdict.
const CELLS: usize = 6;

/// The cells that are shortened where a terminal is too narrow: object, source and place.
const SHRINKING: [usize; 3] = [1, 2, 5];

/// Collects rows and writes them aligned.
#[derive(Debug)]
pub(crate) struct HumanAnswers {
    rows: Vec<Row>,
    /// Only ever grow, so that the columns of one batch stand below those of the last.
    widths: [usize; CELLS],
    colour: bool,
    columns: Option<usize>,
}

#[derive(Debug)]
enum Row {
    Answer(Verdict, [String; CELLS]),
    Error(u64, String),
}

impl HumanAnswers {
    /// `columns` is the width of the terminal, where there is one.
    pub(crate) const fn new(colour: bool, columns: Option<usize>) -> Self {
        Self {
            rows: Vec::new(),
            widths: [0; CELLS],
            colour,
            columns,
        }
    }

    pub(crate) const fn has_colour(&self) -> bool {
        self.colour
    }

    pub(crate) fn answer(
        &mut self,
        out: &mut Vec<u8>,
        rules: &impl Rules,
        event: &Event<'_>,
        decision: Decision,
    ) {
        self.answer_because(out, rules, event, decision, "no rule");
    }

    /// As [`HumanAnswers::answer`]; `otherwise` stands where neither a rule nor the posture decided.
    pub(crate) fn answer_because(
        &mut self,
        out: &mut Vec<u8>,
        rules: &impl Rules,
        event: &Event<'_>,
        decision: Decision,
        otherwise: &str,
    ) {
        let rule = decision.rule().and_then(|id| rules.rule(id));
        let (policy, field, place) = match (&rule, decision.cause) {
            (Some(rule), _) => (
                printable(rule.policy.as_bytes()),
                rule.field_path(),
                printable(format!("{}:{}", rule.file, rule.line).as_bytes()),
            ),
            (None, Cause::Posture) => ("default posture".to_owned(), String::new(), String::new()),
            (None, _) => (otherwise.to_owned(), String::new(), String::new()),
        };
        let source = event
            .source
            .bytes()
            .map_or_else(String::new, |source| format!("by {}", printable(source)));
        let cells = [
            event.operation.name().to_owned(),
            described(&event.operation),
            source,
            policy,
            field,
            place,
        ];
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count().min(WIDEST));
        }
        self.push(out, Row::Answer(decision.verdict, cells));
    }

    pub(crate) fn error(&mut self, out: &mut Vec<u8>, line: u64, error: &str) {
        self.push(out, Row::Error(line, printable(error.as_bytes())));
    }

    fn push(&mut self, out: &mut Vec<u8>, row: Row) {
        self.rows.push(row);
        if self.rows.len() == BATCH {
            self.align(out);
        }
    }

    /// Writes the rows that were collected.
    pub(crate) fn align(&mut self, out: &mut Vec<u8>) {
        let widths = self.fitted();
        for row in std::mem::take(&mut self.rows) {
            match row {
                Row::Answer(verdict, cells) => self.write(out, &widths, verdict, &cells),
                Row::Error(line, error) => {
                    self.paint(out, style::ERROR, "error");
                    pad(out, GAP);
                    out.extend_from_slice(format!("line {line}: {error}\n").as_bytes());
                }
            }
        }
    }

    fn write(
        &self,
        out: &mut Vec<u8>,
        widths: &[usize; CELLS],
        verdict: Verdict,
        cells: &[String; CELLS],
    ) {
        let mut missing = GAP;
        let by_rule = cells.last().is_some_and(|place| !place.is_empty());
        self.paint(out, style::verdict(verdict), verdict.name());
        for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let cell = if self.columns.is_some() && SHRINKING.contains(&index) {
                shortened(cell, *width)
            } else {
                cell.clone()
            };
            if !cell.is_empty() {
                pad(out, missing);
                missing = 0;
                let style = match index {
                    1 => style::STRONG,
                    2 | 5 => style::DIM,
                    3 if !by_rule => style::DIM,
                    3 => style::STRONG,
                    _ => Style::new(),
                };
                self.paint(out, style, &cell);
            }
            missing += width.saturating_sub(cell.chars().count()) + GAP;
        }
        out.push(b'\n');
    }

    /// The columns' widths, narrowed to the terminal's.
    fn fitted(&self) -> [usize; CELLS] {
        let mut widths = self.widths;
        let Some(columns) = self.columns else {
            return widths;
        };
        // Every verdict has five letters.
        let total = 5 + widths.iter().map(|width| width + GAP).sum::<usize>();
        let mut excess = total.saturating_sub(columns);
        // Always take from the widest: the narrow ones are readable only whole.
        while excess > 0 {
            let widest = widths
                .iter_mut()
                .enumerate()
                .filter(|(index, _)| SHRINKING.contains(index))
                .map(|(_, width)| width)
                .max();
            match widest {
                Some(width) if *width > NARROWEST => *width -= 1,
                _ => break,
            }
            excess -= 1;
        }
        widths
    }

    fn paint(&self, out: &mut Vec<u8>, style: Style, text: &str) {
        paint(out, self.colour, style, text);
    }
}
