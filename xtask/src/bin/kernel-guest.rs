//! Runs in a guest: what `cargo xtask kernel` has a kernel prove or measure.

use std::process::ExitCode;

use xtask::kernel::guest::{cost, verifier};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["cost"] => cost::measure(),
        ["cost-worker"] => cost::work(),
        ["verifier"] => verifier::list(),
        _ => Err("no such errand".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
