//! Runs in a guest: what `cargo xtask kernel` has a kernel prove or measure.

use std::process::ExitCode;
use std::time::Duration;

use xtask::kernel::guest::workload::Error;
use xtask::kernel::guest::{apparmor, cost, deep, many, race, random, survive, swap, verifier};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one errand; whether all is as it should be.
fn run(arguments: &[&str]) -> Result<bool, Error> {
    match arguments {
        ["cost"] => cost::measure().map(|()| true),
        ["cost-worker"] => cost::work().map(|()| true),
        ["verifier"] => verifier::list().map(|()| true),
        ["race", opens] => race::run(opens.parse()?),
        ["swap", count, seconds] => {
            swap::run(count.parse()?, Duration::from_secs(seconds.parse()?))
        }
        ["apparmor", count, seconds] => {
            apparmor::run(count.parse()?, Duration::from_secs(seconds.parse()?))
        }
        ["survive"] => survive::run(),
        ["survive-agent"] => survive::agent(),
        ["random", operations, seed] => random::run(operations.parse()?, seed.parse()?),
        ["deep"] => deep::run(),
        ["many", workloads] => many::many(workloads.parse()?),
        _ => Err("no such errand".into()),
    }
}
