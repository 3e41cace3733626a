//! `cargo xtask bench-report`: a dated table of speed and size with the machine it was measured
//! on, ratios of one run, and a plot.

mod actions;
pub mod apparmor;
mod machine;
mod measure;
mod plot;
pub mod selinux;
mod targets;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::contenders::{Error, compile};
use crate::ruleset::{Extras, RuleSet, Shape};
use machine::Machine;
use measure::{Cost, Race};

/// Numbers of rules.
pub const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

/// Lengths of paths in bytes.
pub const LENGTHS: [usize; 4] = [20, 60, 200, 4_000];

/// Sources and conditions as they are measured.
pub const EXTRAS: Extras = Extras {
    programs: 50,
    conditions: true,
};

/// The seed of every set.
pub const SEED: u64 = 2;

/// Everything that was measured.
#[derive(Debug)]
struct Figures {
    races: Vec<(Shape, Vec<Race>)>,
    extras: Vec<Race>,
    lengths: Vec<(usize, Race)>,
    halves: Vec<(&'static str, Race)>,
    costs: Vec<(Shape, Vec<Cost>)>,
    allocations: usize,
    decisions: usize,
}

/// Measures, and writes table and plot into `folder`; the table's path. `allocations` counts those
/// of the whole process so far.
///
/// # Errors
/// When something can't be measured or written.
pub fn report(folder: &Path, allocations: &dyn Fn() -> usize) -> Result<PathBuf, Error> {
    let machine = Machine::here();
    let figures = measure(allocations)?;
    let slug = machine.slug();
    let table = folder.join(format!("{slug}.md"));
    let drawing = folder.join(format!("{slug}.svg"));
    fs::create_dir_all(folder)?;
    let mix = figures.races.iter().find(|(shape, _)| *shape == Shape::Mix);
    let races = mix.map(|(_, races)| races.as_slice()).unwrap_or_default();
    fs::write(
        &drawing,
        plot::plot("The mix: nanoseconds a decision", races),
    )?;
    fs::write(&table, write(&machine, &figures, &format!("{slug}.svg"))?)?;
    Ok(table)
}

fn measure(allocations: &dyn Fn() -> usize) -> Result<Figures, Error> {
    let mut figures = Figures {
        races: Vec::new(),
        extras: Vec::new(),
        lengths: Vec::new(),
        halves: Vec::new(),
        costs: Vec::new(),
        allocations: 0,
        decisions: 0,
    };
    for shape in Shape::ALL {
        let (mut races, mut costs) = (Vec::new(), Vec::new());
        for size in SIZES {
            eprintln!("measuring {shape}, {size} rules");
            let set = RuleSet::generate(shape, size, Extras::default(), SEED)?;
            races.push(measure::race(&set)?);
            costs.push(measure::cost(&set)?);
            count(&set, allocations, &mut figures)?;
        }
        figures.races.push((shape, races));
        figures.costs.push((shape, costs));
    }
    for size in SIZES {
        eprintln!("measuring the mix with sources and conditions, {size} rules");
        let set = RuleSet::generate(Shape::Mix, size, EXTRAS, SEED)?;
        figures.extras.push(measure::race(&set)?);
        count(&set, allocations, &mut figures)?;
    }
    let mix = RuleSet::generate(Shape::Mix, 1_000, Extras::default(), SEED)?;
    for length in LENGTHS {
        eprintln!("measuring paths of {length} bytes");
        let race = measure::race(&mix.with_query_length(length, SEED)?)?;
        figures.lengths.push((length, race));
    }
    for (name, hits) in [("hits", true), ("misses", false)] {
        eprintln!("measuring {name}");
        figures
            .halves
            .push((name, measure::race(&mix.half(hits)?)?));
    }
    Ok(figures)
}

/// Adds the allocations of one decision of every query.
fn count(
    set: &RuleSet,
    allocations: &dyn Fn() -> usize,
    figures: &mut Figures,
) -> Result<(), Error> {
    let compiled = compile(set)?;
    let events = set.events();
    let before = allocations();
    for event in &events {
        std::hint::black_box(compiled.decide(event));
    }
    figures.allocations += allocations() - before;
    figures.decisions += events.len();
    Ok(())
}

fn write(machine: &Machine, figures: &Figures, drawing: &str) -> Result<String, Error> {
    let mut out = String::new();
    let Machine {
        date,
        processor,
        cores,
        kernel,
        compiler,
    } = machine;
    writeln!(out, "# Speed and size, {date}\n")?;
    writeln!(
        out,
        "`cargo xtask bench-report` on {processor}, {cores} cores, Linux {kernel}, {compiler}.\n"
    )?;
    writeln!(
        out,
        "Nanoseconds a decision: the best of {} rounds, contenders in turns, 1,024 queries of which \
         half are hits. Other work on the machine moves all times of a run; compare \
         within a row.\n",
        measure::ROUNDS
    )?;
    targets::write(&mut out, figures)?;
    writeln!(out, "\n![nanoseconds over rules]({drawing})\n")?;
    for (shape, races) in &figures.races {
        writeln!(out, "## {}\n", title(*shape))?;
        let rows: Vec<_> = races
            .iter()
            .map(|race| (thousands(race.rules), race))
            .collect();
        write_races(&mut out, "rules", &rows)?;
    }
    writeln!(
        out,
        "## The mix with sources and conditions\n\nOf the rules with a path or a directory a third \
         has `fromSource`, of {} programs; a fifth has conditions. The peers can express neither, \
         and judge the objects alone.\n",
        EXTRAS.programs
    )?;
    let rows: Vec<_> = figures
        .extras
        .iter()
        .map(|race| (thousands(race.rules), race))
        .collect();
    write_races(&mut out, "rules", &rows)?;
    writeln!(out, "## The mix at 1,000 rules, by length of path\n")?;
    let rows: Vec<_> = figures
        .lengths
        .iter()
        .map(|(length, race)| (format!("{} bytes", thousands(*length)), race))
        .collect();
    write_races(&mut out, "path", &rows)?;
    writeln!(out, "## The mix at 1,000 rules, hits and misses apart\n")?;
    let rows: Vec<_> = figures
        .halves
        .iter()
        .map(|(name, race)| ((*name).to_owned(), race))
        .collect();
    write_races(&mut out, "queries", &rows)?;
    writeln!(out, "## Building and size\n")?;
    writeln!(
        out,
        "| set | rules | build | bytes a rule | image |\n|---|--:|--:|--:|--:|"
    )?;
    for (shape, costs) in &figures.costs {
        for cost in costs {
            writeln!(
                out,
                "| {shape} | {} | {:.2} ms | {:.0} | {} kB |",
                thousands(cost.rules),
                cost.build.as_secs_f64() * 1e3,
                cost.memory as f64 / cost.rules as f64,
                thousands(cost.image / 1000)
            )?;
        }
    }
    Ok(out)
}

const fn title(shape: Shape) -> &'static str {
    match shape {
        Shape::Exact => "Exact paths",
        Shape::ExactAndDirectories => "Exact paths and directories",
        Shape::Mix => "The mix: 60 % exact, 25 % recursive directories, 15 % globs",
    }
}

/// A table of races, a column a contender.
fn write_races(out: &mut String, head: &str, rows: &[(String, &Race)]) -> Result<(), Error> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|(_, race)| &race.times) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    writeln!(out, "| {head} | {} |", names.join(" | "))?;
    writeln!(out, "|--:{}|", "|--:".repeat(names.len()))?;
    for (label, race) in rows {
        write!(out, "| {label} |")?;
        for name in &names {
            match race.of(name) {
                Some(time) if time < 1000.0 => write!(out, " {time:.1} |")?,
                Some(time) => write!(out, " {} |", thousands(time as usize))?,
                None => write!(out, " – |")?,
            }
        }
        writeln!(out)?;
    }
    writeln!(out)?;
    Ok(())
}

/// A number with a comma between each three digits.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(7, "7"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
