//! What the verifier goes through for each program and kernel, held to a record: programs that
//! grow by more than a tenth fail until the record is renewed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::command_line::in_guest;
use crate::vm::{Kernel, Machine};

/// Instructions by kernel and program.
type Record = BTreeMap<(String, String), u64>;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/backend-bpflsm/bpf/VERIFIER.tsv")
}

const HEADER: &str = "\
# Instructions that the verifier goes through, by kernel and program. `cargo xtask kernel verifier` fails where a
# program has grown by more than a tenth; `--renew` writes this file anew: say why in the commit.
";

fn parse(text: &str) -> Record {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let cells = lines.filter_map(|line| {
        let mut cells = line.split('\t');
        let key = (cells.next()?.to_owned(), cells.next()?.to_owned());
        Some((key, cells.next()?.parse().ok()?))
    });
    cells.collect()
}

fn render(record: &Record) -> String {
    let mut text = HEADER.to_owned();
    for ((kernel, program), count) in record {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{kernel}\t{program}\t{count}");
    }
    text
}

/// What has grown too much, or isn't in the record.
fn complaints(record: &Record, found: &Record) -> Vec<String> {
    let each = found.iter().filter_map(|(key, count)| {
        let (kernel, program) = key;
        match record.get(key) {
            None => Some(format!(
                "{program} on {kernel}: {count} instructions, not in the record"
            )),
            Some(old) if count * 10 > old * 11 => Some(format!(
                "{program} on {kernel}: {count} instructions, {old} in the record"
            )),
            Some(_) => None,
        }
    });
    each.collect()
}

/// Loads the programs on each kernel and compares with the record, or renews it.
///
/// # Errors
/// When a guest fails, or the record can't be read or written.
pub fn run(
    kernels: &[Kernel],
    renew: bool,
    out: &mut dyn Write,
) -> Result<bool, Box<dyn std::error::Error>> {
    let mut found = Record::new();
    for kernel in kernels {
        let printed = in_guest(&Machine::new(kernel.clone()), &["verifier"], |payload| {
            payload
        })?;
        for line in printed.lines() {
            let (program, count) = line
                .split_once(' ')
                .ok_or_else(|| format!("no count: `{line}`"))?;
            found.insert(
                (kernel.name.to_string(), program.to_owned()),
                count.parse()?,
            );
        }
    }
    let total: u64 = found.values().sum();
    writeln!(
        out,
        "verifier: {} programs on {} kernels, {total} instructions",
        found.len(),
        kernels.len()
    )?;
    if renew {
        std::fs::write(file(), render(&found))?;
        return Ok(true);
    }
    let complaints = complaints(&parse(&std::fs::read_to_string(file())?), &found);
    for complaint in &complaints {
        writeln!(out, "{complaint}")?;
    }
    Ok(complaints.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_grow_by_a_tenth() {
        let record = |count| parse(&format!("6.1\tgb_file_open\t{count}\n"));
        assert!(complaints(&record(1_000), &record(1_100)).is_empty());
        assert_eq!(complaints(&record(1_000), &record(1_101)).len(), 1);
        assert_eq!(complaints(&parse(""), &record(1)).len(), 1);
    }

    #[test]
    fn a_record_is_read_as_it_is_written() {
        let record = parse("6.1\ta\t1\n6.12\tb\t2\n");
        assert_eq!(parse(&render(&record)), record);
        assert_eq!(record.len(), 2);
    }
}
