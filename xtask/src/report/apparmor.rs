//! `cargo xtask apparmor-report`: from rules to a profile, and what the parser takes for it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gambeson::matcher::{CompiledPolicy, Config};
use gambeson_backend_apparmor::testing::parser;
use gambeson_backend_apparmor::{Features, Options, Support, lower};

use super::actions::Actions;
use super::machine::Machine;
use crate::ruleset::{Extras, RuleSet, Shape};

type Error = Box<dyn std::error::Error>;

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

/// Above that, the next size is not tried.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures, and writes a table into `folder`; its path.
///
/// # Errors
/// When something can't be measured or written.
pub fn report(folder: &Path) -> Result<PathBuf, Error> {
    if parser::find().is_none() {
        return Err("apparmor_parser is not installed".into());
    }
    let machine = Machine::here();
    let mut out = format!("# From rules to AppArmor profiles, {}\n\n", machine.date);
    writeln!(
        out,
        "`cargo xtask apparmor-report` on {}, {} cores, Linux {}, {}. Rules of the file class, for the \
         features of Linux 6.1. Lowering is ours; the parser is `apparmor_parser`, which compiles and \
         loads nothing, one process a profile. Other work on the machine moves all times.\n",
        machine.processor, machine.cores, machine.kernel, machine.compiler
    )?;
    writeln!(
        out,
        "| rules | what they do | | lowering | text | parser | compiled |"
    )?;
    writeln!(out, "|---|---|--:|--:|--:|--:|--:|")?;
    let features = Features::linux_6_1();
    let support = Support::new(features.clone());
    for shape in [Shape::Exact, Shape::Mix] {
        for actions in Actions::ALL {
            let mut patient = true;
            for size in SIZES {
                let rules = RuleSet::generate(shape, size, Extras::default(), 1)?.rules;
                let selection = actions.selection(&rules);
                let compiled = CompiledPolicy::compile(&selection, &Config::default())?;
                let start = Instant::now();
                let profile = lower(&support, &compiled, &Options::default())?;
                let lowering = start.elapsed();
                write!(
                    out,
                    "| {} | {} | {size} | {:.1} ms | {} KiB |",
                    shape.name(),
                    actions.name(),
                    lowering.as_secs_f64() * 1e3,
                    profile.text().len().div_ceil(1024)
                )?;
                if patient {
                    let start = Instant::now();
                    let blob = parser::compile(profile.text(), &features)?;
                    let parsing = start.elapsed();
                    patient = parsing < PATIENCE;
                    let seconds = parsing.as_secs_f64();
                    writeln!(out, " {seconds:.2} s | {} KiB |", blob.len().div_ceil(1024))?;
                } else {
                    writeln!(out, " not tried | |")?;
                }
            }
        }
    }
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("{}-apparmor.md", machine.date));
    fs::write(&file, out)?;
    Ok(file)
}
