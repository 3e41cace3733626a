//! Developer errands: `cargo xtask help`.

use std::alloc::System;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use xtask::{bpf, conformance, corpus, kernel, report, soak, vm};

/// Counts allocations for the report.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HELP: &str = "\
cargo xtask apparmor-report                 measure lowering to AppArmor and the parser; writes
                                            benches/record/
cargo xtask selinux-report                  measure lowering to SELinux and its compiler; writes
                                            benches/record/
cargo xtask bench-report                    measure speed and size; writes benches/record/
cargo xtask conformance [OPTION]...         hold backends to the scenarios in real kernels
                                            (options: see xtask/src/conformance/command_line.rs)
cargo xtask corpus [DIR]                    check KubeArmor's own policies and scenarios
                                            (default: ../shared/corpus/kubearmor)
cargo xtask soak [--events N] [--seed N]    hold the compiled engine to the reference evaluator
                                            (default: 10000000 events, a new seed)
cargo xtask soak --apparmor [--events N] [--seed N]
                                            walk compiled AppArmor profiles, path by path, beside the
                                            reference evaluator (default: 10000000 paths)
cargo xtask soak --kernel-walk [--events N] [--seed N]
                                            hold the programs' walk in this kernel to the compiled
                                            engine (default: 1000000 events; feature `bpf-lsm`)
cargo xtask soak --kernels [--events N] [--seed N]
                                            hold kernels in virtual machines to the reference
                                            evaluator (default: 1000000 operations)
cargo xtask soak --selinux [--events N] [--seed N]
                                            hold compiled SELinux modules to the reference evaluator
                                            (default: 1000000 paths; needs secilc and checkpolicy)
cargo xtask bpf [--check]                   build the BPF object with clang 14, or compare the one
                                            that is kept with what its source gives
cargo xtask kernel ...                      what kernels prove, and what enforcement costs in them;
                                            `cargo xtask kernel` says more
cargo xtask vm kernels | run ...            kernels in virtual machines; `cargo xtask vm` says more
";

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // A command in a virtual machine has a status of its own.
    if let ["vm", rest @ ..] = arguments.as_slice() {
        let status = vm::command_line::run(rest, &mut std::io::stdout(), &mut std::io::stderr());
        return ExitCode::from(status);
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs one errand; whether all is as it should be.
fn run(arguments: &[&str]) -> Result<bool, Error> {
    match arguments {
        ["apparmor-report"] => {
            let file = report::apparmor::report(&root().join("benches/record"))?;
            println!("wrote {}", file.display());
            Ok(true)
        }
        ["bench-report"] => run_report(),
        ["selinux-report"] => {
            let file = report::selinux::report(&root().join("benches/record"))?;
            println!("wrote {}", file.display());
            Ok(true)
        }
        ["kernel", rest @ ..] => kernel::command_line::run(rest, &mut std::io::stdout()),
        ["corpus"] => run_corpus(&root().join("../shared/corpus/kubearmor")),
        ["corpus", folder] => run_corpus(Path::new(folder)),
        ["bpf", options @ ..] => run_bpf(options),
        ["soak", "--apparmor", options @ ..] => run_apparmor(options),
        ["soak", "--kernel-walk", options @ ..] => run_kernel_walk(options),
        ["soak", "--kernels", options @ ..] => {
            let (operations, seed) = soak_options(options, 1_000_000)?;
            kernel::soak::run(operations, seed, &mut std::io::stdout())
        }
        ["conformance", options @ ..] => {
            let mut out = std::io::stdout().lock();
            Ok(conformance::command_line::run(options, &root(), &mut out)?)
        }
        ["soak", "--selinux", options @ ..] => run_selinux_soak(options),
        ["soak", options @ ..] => run_soak(options),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(true)
        }
        _ => Err(format!("no such errand\n\n{HELP}").into()),
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn run_corpus(folder: &Path) -> Result<bool, Error> {
    let scenarios = root().join("tests/scenarios");
    Ok(corpus::check(folder, &scenarios, &mut std::io::stdout())?)
}

fn run_report() -> Result<bool, Error> {
    let folder = root().join("benches/record");
    let allocations = || {
        let stats = ALLOCATOR.stats();
        stats.allocations + stats.reallocations
    };
    let table = report::report(&folder, &allocations)?;
    print!("{}", std::fs::read_to_string(&table)?);
    println!("\nwritten to {}", table.display());
    Ok(true)
}

/// How many events, and the seed.
fn soak_options(mut options: &[&str], mut events: u64) -> Result<(u64, u64), Error> {
    let mut seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos().into());
    while let [name, value, rest @ ..] = options {
        let number = value
            .parse()
            .map_err(|_| format!("`{value}` is no number"))?;
        match *name {
            "--events" => events = number,
            "--seed" => seed = number,
            _ => return Err(format!("no such option: `{name}`").into()),
        }
        options = rest;
    }
    if let [rest, ..] = options {
        return Err(format!("`{rest}` needs a number").into());
    }
    Ok((events, seed))
}

fn run_bpf(options: &[&str]) -> Result<bool, Error> {
    let folder = root().join("crates/backend-bpflsm/bpf");
    let check = match options {
        [] => false,
        ["--check"] => true,
        [other, ..] => return Err(format!("no such option: `{other}`").into()),
    };
    let outcome = if check {
        bpf::check(&folder)?
    } else {
        bpf::build(&folder)?
    };
    println!("{outcome}");
    Ok(outcome.is_as_wanted())
}

#[cfg(not(feature = "bpf-lsm"))]
fn run_kernel_walk(_: &[&str]) -> Result<bool, Error> {
    Err("the walk in the kernel needs the feature `bpf-lsm`: \
         cargo run --release --package xtask --features bpf-lsm -- soak --kernel-walk"
        .into())
}

fn run_selinux_soak(options: &[&str]) -> Result<bool, Error> {
    let (paths, seed) = soak_options(options, 1_000_000)?;
    println!("soak: SELinux modules, seed {seed}, {paths} paths");
    std::io::stdout().flush()?;
    Ok(soak::selinux::soak(&root(), seed, paths)?)
}

#[cfg(feature = "bpf-lsm")]
fn run_kernel_walk(options: &[&str]) -> Result<bool, Error> {
    let (events, seed) = soak_options(options, 1_000_000)?;
    println!("soak: the walk in the kernel, seed {seed}, {events} events");
    std::io::stdout().flush()?;
    let start = Instant::now();
    match soak::kernel::soak(seed, events) {
        Ok(soaked) => {
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "soak: {} sets of rules, {} renamings, no difference, {seconds:.0} s, {:.0} events a second",
                soaked.sets,
                soaked.renamings,
                events as f64 / seconds
            );
            Ok(true)
        }
        Err(soak::kernel::Error::Difference(failure)) => {
            println!("{failure}");
            println!(
                "again: cargo run --release --package xtask --features bpf-lsm -- \
                 soak --kernel-walk --seed {seed} --events {events}"
            );
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

fn run_apparmor(options: &[&str]) -> Result<bool, Error> {
    let (paths, seed) = soak_options(options, 10_000_000)?;
    println!("soak: AppArmor profiles, seed {seed}, {paths} paths");
    std::io::stdout().flush()?;
    let start = Instant::now();
    match soak::apparmor::soak(seed, paths) {
        Ok(soaked) => {
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "soak: {} policies, {} of them with more sources than profiles can tell apart; {} \
                 paths, no difference, {seconds:.0} s",
                soaked.policies, soaked.refused, soaked.paths
            );
            Ok(true)
        }
        Err(failure) => {
            println!("{failure}");
            println!("again: cargo xtask soak --apparmor --seed {seed} --events {paths}");
            Ok(false)
        }
    }
}

fn run_soak(options: &[&str]) -> Result<bool, Error> {
    let (events, seed) = soak_options(options, 10_000_000)?;
    println!("soak: seed {seed}, {events} events");
    std::io::stdout().flush()?;
    let start = Instant::now();
    match soak::soak(seed, events) {
        Ok(sets) => {
            let seconds = start.elapsed().as_secs_f64();
            println!("soak: {sets} sets of rules, no difference, {seconds:.0} s");
            Ok(true)
        }
        Err(failure) => {
            println!("{failure}");
            println!("again: cargo xtask soak --seed {seed} --events {events}");
            Ok(false)
        }
    }
}
