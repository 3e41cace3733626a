//! The table: scenario by carrier and kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};

use super::carrier::Gap;
use super::guest::Line;

/// A column: carrier and kernel.
type Column = (String, String);

fn column(line: &Line) -> Column {
    (line.carrier.clone(), line.kernel.clone())
}

fn title((carrier, kernel): &Column) -> String {
    if kernel.is_empty() {
        carrier.clone()
    } else {
        format!("{carrier} {kernel}")
    }
}

/// What became of one scenario in one column.
#[derive(Debug, Default)]
struct Cell {
    ok: usize,
    gap: usize,
    skipped: usize,
    failed: usize,
}

impl Cell {
    fn add(&mut self, line: &Line) {
        *match line.kind() {
            "ok" => &mut self.ok,
            "gap" => &mut self.gap,
            "n/a" => &mut self.skipped,
            _ => &mut self.failed,
        } += 1;
    }

    /// `12`, `9 + 3 gap`, `n/a`, `FAIL 1`: how many steps went how.
    fn text(&self) -> String {
        let mut parts = Vec::new();
        if self.failed > 0 {
            parts.push(format!("**FAIL {}**", self.failed));
        }
        if self.ok > 0 {
            parts.push(format!("{} ok", self.ok));
        }
        if self.gap > 0 {
            parts.push(format!("{} gap", self.gap));
        }
        if self.skipped > 0 {
            parts.push(format!("{} n/a", self.skipped));
        }
        if parts.is_empty() {
            parts.push("–".to_owned());
        }
        parts.join(", ")
    }
}

struct Table<'a> {
    columns: BTreeSet<Column>,
    rows: BTreeMap<&'a str, BTreeMap<Column, Cell>>,
    total: BTreeMap<Column, Cell>,
}

impl<'a> Table<'a> {
    fn new(lines: &'a [Line]) -> Self {
        let mut table = Self {
            columns: lines.iter().map(column).collect(),
            rows: BTreeMap::new(),
            total: BTreeMap::new(),
        };
        for line in lines {
            let row = table.rows.entry(&line.scenario).or_default();
            row.entry(column(line)).or_default().add(line);
            table.total.entry(column(line)).or_default().add(line);
        }
        table
    }

    fn cells(&self, row: &BTreeMap<Column, Cell>) -> Vec<String> {
        let empty = Cell::default();
        let cell = |column| row.get(column).unwrap_or(&empty).text();
        self.columns.iter().map(cell).collect()
    }
}

/// Prints the table, and every line that is not as it must be.
///
/// # Errors
/// When nothing can be written.
pub fn print(lines: &[Line], out: &mut dyn Write) -> io::Result<()> {
    let table = Table::new(lines);
    let width = table.rows.keys().map(|name| name.chars().count()).max();
    let width = width.unwrap_or(0).min(72);
    let plain = |text: String| text.replace("**", "");
    let head: Vec<String> = table.columns.iter().map(title).collect();
    writeln!(out, "{:width$}  {}", "scenario", head.join(" | "))?;
    for (name, row) in &table.rows {
        let name: String = name.chars().take(width).collect();
        let cells = table.cells(row).join(" | ");
        writeln!(out, "{name:width$}  {}", plain(cells))?;
    }
    writeln!(
        out,
        "{:width$}  {}",
        "all steps",
        plain(table.cells(&table.total).join(" | "))
    )?;
    for line in lines.iter().filter(|line| !line.ok) {
        writeln!(
            out,
            "\n{}, step {} ({} {}{}): expected {}, got {}{}",
            line.scenario,
            line.step,
            line.carrier,
            line.kernel,
            line.way
                .as_ref()
                .map_or_else(String::new, |way| format!(", {way}")),
            line.expected,
            line.got,
            line.note
                .as_ref()
                .map_or_else(String::new, |note| format!(": {note}")),
        )?;
    }
    Ok(())
}

/// The same for the file that is checked in, with the reasons for what kernels can't be asked,
/// and the gaps.
#[must_use]
pub fn markdown(lines: &[Line]) -> String {
    let table = Table::new(lines);
    let mut text = String::from(
        "# Conformance\n\nHow every scenario went: the steps that went as they must (ok), that went \
         otherwise as the\nbackend had said before (gap), and that no kernel can be asked (n/a). \
         Written by\n`cargo xtask conformance --write`.\n\n",
    );
    let head: Vec<String> = table.columns.iter().map(title).collect();
    let _ = writeln!(text, "| scenario | {} |", head.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(head.len()));
    let all = table.cells(&table.total);
    let _ = writeln!(text, "| **all steps** | {} |", all.join(" | "));
    for (name, row) in &table.rows {
        let name = name.replace('|', "\\|");
        let _ = writeln!(text, "| {name} | {} |", table.cells(row).join(" | "));
    }
    section(&mut text, "Gaps", lines, |line| {
        line.gap.as_ref().map(|gap| gap.what.clone())
    });
    section(&mut text, "What no kernel can be asked", lines, |line| {
        (line.kind() == "n/a").then(|| line.note.clone()).flatten()
    });
    section(&mut text, "Failures", lines, |line| {
        (!line.ok).then(|| {
            let note = line.note.as_deref().unwrap_or_default();
            format!("expected {}, got {} {note}", line.expected, line.got)
        })
    });
    text
}

/// What lines have in common, with the steps.
fn section(
    text: &mut String,
    name: &str,
    lines: &[Line],
    reason: impl Fn(&Line) -> Option<String>,
) {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        if let Some(reason) = reason(line) {
            let column = title(&column(line));
            let step = format!("{} ({}), {column}", line.scenario, line.step);
            groups.entry(reason).or_default().insert(step);
        }
    }
    if groups.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## {name}\n");
    for (reason, steps) in groups {
        let _ = writeln!(text, "- {reason}: {} steps", steps.len());
        for step in steps.iter().take(3) {
            let _ = writeln!(text, "  - {step}");
        }
    }
}

/// A line for every gap that was reported of a rule and shown by no step, though steps by that
/// rule there were: such a gap is not real.
#[must_use]
pub fn unreal_gaps(lines: &[Line]) -> Vec<Line> {
    let mut seen: BTreeMap<(Column, &str, &Gap), bool> = BTreeMap::new();
    for line in lines {
        // A gap about several rules may show at any of them.
        let scenario = line.scenario.as_str();
        for gap in &line.reported {
            let shown = line.gap.as_ref() == Some(gap);
            *seen.entry((column(line), scenario, gap)).or_default() |= shown;
        }
    }
    let mut real: BTreeMap<(Column, &str), bool> = BTreeMap::new();
    for ((column, _, gap), shown) in &seen {
        *real.entry((column.clone(), gap.what.as_str())).or_default() |= *shown;
    }
    // It may have shown where no rule decides.
    for line in lines {
        if let Some(gap) = &line.gap
            && let Some(shown) = real.get_mut(&(column(line), gap.what.as_str()))
        {
            *shown = true;
        }
    }
    real.into_iter()
        .filter(|(_, shown)| !shown)
        .map(|(((carrier, kernel), what), _)| Line {
            scenario: format!("the gap “{what}”"),
            carrier,
            kernel,
            expected: "a step that shows it".to_owned(),
            got: "every step by its rules went exactly".to_owned(),
            ..Line::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::carrier::Direction;

    fn line(got: &str, gap: Option<Gap>, reported: Vec<Gap>, ok: bool) -> Line {
        Line {
            scenario: "s".to_owned(),
            carrier: "bpf-lsm".to_owned(),
            kernel: "6.1".to_owned(),
            got: got.to_owned(),
            gap,
            reported,
            ok,
            ..Line::default()
        }
    }

    fn gap() -> Gap {
        Gap {
            rule: Some("p dns".to_owned()),
            operation: None,
            ways: Vec::new(),
            some: false,
            direction: Direction::Looser,
            what: "events of class dns over TCP".to_owned(),
        }
    }

    #[test]
    fn every_bypass_has_its_letter() {
        let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
        let table = std::fs::read_to_string(tests.join("conformance/BYPASS.md")).unwrap();
        let rows: Vec<&str> = table
            .lines()
            .filter(|line| line.contains("../scenarios/bypass/"))
            .collect();
        let files = std::fs::read_dir(tests.join("scenarios/bypass")).unwrap();
        let files: Vec<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(rows.len(), files.len());
        for file in files {
            let row = rows
                .iter()
                .find(|row| row.contains(&format!("/{file})")))
                .expect(&file);
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            // The row's number and scenario, then a letter for each mechanism.
            for column in [3, 5, 7] {
                assert!(["S", "P", "V"].contains(&cells[column]), "{row}");
            }
        }
    }

    #[test]
    fn a_gap_that_no_step_shows_is_an_error() {
        let shown = line("Allow", Some(gap()), vec![gap()], true);
        let exact = line("Block", None, vec![gap()], true);
        assert_eq!(unreal_gaps(&[shown, exact.clone()]), []);
        let unreal = unreal_gaps(&[exact]);
        assert_eq!(unreal.len(), 1);
        assert!(unreal.iter().all(|line| !line.ok));
    }

    #[test]
    fn the_table_counts_steps() {
        let lines = [
            line("Block", None, Vec::new(), true),
            line("n/a", None, Vec::new(), true),
            line("Allow", None, Vec::new(), false),
        ];
        let text = markdown(&lines);
        assert!(text.contains("| s | **FAIL 1**, 1 ok, 1 n/a |"), "{text}");
    }
}
