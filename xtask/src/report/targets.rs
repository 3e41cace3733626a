//! The figures to reach, and whether they are.

use std::fmt::Write;

use super::Figures;
use super::measure::{Cost, Race};
use crate::contenders::Error;
use crate::ruleset::Shape;

/// One figure and its bound.
struct Target {
    what: String,
    bound: f64,
    found: Option<f64>,
    unit: &'static str,
}

pub(super) fn write(out: &mut String, figures: &Figures) -> Result<(), Error> {
    writeln!(out, "| target | at most | measured | |\n|---|--:|--:|---|")?;
    for target in targets(figures) {
        let Target {
            what,
            bound,
            found,
            unit,
        } = target;
        match found {
            Some(found) => {
                let word = if found <= bound {
                    "reached"
                } else {
                    "**not reached**"
                };
                writeln!(
                    out,
                    "| {what} | {bound}{unit} | {found:.2}{unit} | {word} |"
                )?;
            }
            None => writeln!(out, "| {what} | {bound}{unit} | – | not measured |")?,
        }
    }
    Ok(())
}

fn targets(figures: &Figures) -> Vec<Target> {
    let races = |shape| {
        let found = figures.races.iter().find(|(of, _)| *of == shape);
        found.map(|(_, races)| races.as_slice()).unwrap_or_default()
    };
    let at = |races: &[Race], rules: usize| races.iter().find(|race| race.rules == rules).cloned();
    let cost = |rules: usize| -> Option<Cost> {
        let (_, costs) = figures.costs.iter().find(|(of, _)| *of == Shape::Mix)?;
        costs.iter().find(|cost| cost.rules == rules).copied()
    };
    let mix = races(Shape::Mix);
    let mut targets = Vec::new();
    for race in races(Shape::ExactAndDirectories) {
        targets.push(Target {
            what: format!("exact + directories, {} rules, over matchit", race.rules),
            bound: 1.0,
            found: race.ratio("matchit"),
            unit: " ×",
        });
    }
    let thousand = at(mix, 1_000);
    targets.push(Target {
        what: "the mix, 1,000 rules, over the dense DFA".to_owned(),
        bound: 0.6,
        found: thousand.as_ref().and_then(|race| race.ratio("dense DFA")),
        unit: " ×",
    });
    targets.push(Target {
        what: "the mix, 1,000 rules, over one HashMap look-up".to_owned(),
        bound: 1.5,
        found: thousand.and_then(|race| race.ratio("HashMap look-up")),
        unit: " ×",
    });
    for shape in Shape::ALL {
        let races = races(shape);
        let time = |rules| at(races, rules).and_then(|race| race.of("gambeson"));
        let found = match (time(100_000), time(100)) {
            (Some(many), Some(few)) => Some(many / few),
            _ => None,
        };
        targets.push(Target {
            what: format!("{shape}, 100,000 rules, over 100 rules"),
            bound: 2.0,
            found,
            unit: " ×",
        });
    }
    targets.push(Target {
        what: "allocations a decision".to_owned(),
        bound: 0.0,
        found: Some(figures.allocations as f64 / figures.decisions.max(1) as f64),
        unit: "",
    });
    for rules in [1_000, 100_000] {
        targets.push(Target {
            what: format!("memory of the mix, {rules} rules, a rule"),
            bound: 0.25,
            found: cost(rules).map(|cost| cost.memory as f64 / cost.rules as f64 / 1000.0),
            unit: " kB",
        });
    }
    for (rules, bound) in [(1_000, 5.0), (100_000, 1000.0)] {
        targets.push(Target {
            what: format!("building the mix, {rules} rules"),
            bound,
            found: cost(rules).map(|cost| cost.build.as_secs_f64() * 1e3),
            unit: " ms",
        });
    }
    targets
}
