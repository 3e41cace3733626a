//! `cargo xtask selinux-report`: from the rules of a node's workloads to a module, and what the compiler takes
//! for it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gambeson::matcher::{CompiledPolicy, Config};
use gambeson::selinux::{BinaryPolicy, LowerOptions, lower};

use super::actions::Actions;
use super::machine::Machine;
use crate::ruleset::{Extras, RuleSet, Shape};

type Error = Box<dyn std::error::Error>;

const WORKLOADS: [u64; 3] = [1, 10, 50];

/// Rules of each workload.
const SIZES: [usize; 3] = [10, 100, 1_000];

/// Above that, the next size is not tried.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures, and writes a table into `folder`; its path.
///
/// # Errors
/// When something can't be measured or written.
pub fn report(folder: &Path) -> Result<PathBuf, Error> {
    let machine = Machine::here();
    let mut out = format!("# From rules to SELinux modules, {}\n\n", machine.date);
    writeln!(
        out,
        "`cargo xtask selinux-report` on {}, {} cores, Linux {}, {}. Rules of the file class, others for \
         each workload. Lowering is ours, of all workloads together; the compiler is `secilc`, which holds \
         the module to its own `neverallow` rules and loads nothing. Other work on the machine moves all \
         times.\n",
        machine.processor, machine.cores, machine.kernel, machine.compiler
    )?;
    writeln!(
        out,
        "| workloads | rules each | | types | contexts | lowering | text | compiler | compiled |"
    )?;
    writeln!(out, "|--:|--:|---|--:|--:|--:|--:|--:|--:|")?;
    for actions in Actions::ALL {
        for workloads in WORKLOADS {
            let mut patient = true;
            for size in SIZES {
                write!(out, "| {workloads} | {size} | {} |", actions.name())?;
                if patient {
                    let row;
                    (row, patient) = measure(actions, workloads, size)?;
                    writeln!(out, " {row} |")?;
                } else {
                    writeln!(out, " not tried | | | | | |")?;
                }
            }
        }
    }
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("{}-selinux.md", machine.date));
    fs::write(&file, out)?;
    Ok(file)
}

/// One node's figures, and whether more rules are worth trying.
fn measure(actions: Actions, workloads: u64, size: usize) -> Result<(String, bool), Error> {
    let mut policies = Vec::new();
    for seed in 1..=workloads {
        let rules = RuleSet::generate(Shape::Mix, size, Extras::default(), seed)?.rules;
        let compiled = CompiledPolicy::compile(&actions.selection(&rules), &Config::default())?;
        policies.push((format!("workload-{seed}"), compiled));
    }
    let policies: Vec<(&str, &CompiledPolicy)> = policies
        .iter()
        .map(|(name, compiled)| (name.as_str(), compiled))
        .collect();
    let start = Instant::now();
    let module = match lower(&policies, &LowerOptions::default()) {
        Ok(module) => module,
        Err(error) => return Ok((format!("{error} | | | | |"), false)),
    };
    let lowering = start.elapsed();
    let start = Instant::now();
    let policy = BinaryPolicy::compile(&module)?;
    let compiling = start.elapsed();
    let row = format!(
        "{} | {} | {:.1} ms | {} KiB | {:.2} s | {} KiB",
        module.types().len(),
        module.file_contexts().lines().count(),
        lowering.as_secs_f64() * 1e3,
        module.cil().len().div_ceil(1024),
        compiling.as_secs_f64(),
        policy.bytes().len().div_ceil(1024)
    );
    Ok((row, compiling + lowering < PATIENCE))
}
