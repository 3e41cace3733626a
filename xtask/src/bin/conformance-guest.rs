//! Runs in a guest: carries the scenarios out with each carrier named, and prints a line of JSON
//! for every step.

use std::path::Path;
use std::process::ExitCode;

use xtask::conformance::apparmor::AppArmorCarrier;
use xtask::conformance::bpf_lsm::BpfCarrier;
use xtask::conformance::carrier::{Carrier, Nothing};
use xtask::conformance::guest::{SCENARIOS, read_suites, relax, run};
use xtask::conformance::selinux::SeLinuxCarrier;

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    match carry_out(&names) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn carry_out(names: &[String]) -> Result<(), String> {
    relax()?;
    let suites = read_suites(Path::new(SCENARIOS))?;
    for name in names {
        let mut carrier = carrier(name)?;
        run(&suites, carrier.as_mut(), &mut std::io::stdout().lock())?;
    }
    Ok(())
}

fn carrier(name: &str) -> Result<Box<dyn Carrier>, String> {
    match name {
        "none" => Ok(Box::new(Nothing)),
        "bpf-lsm" => Ok(Box::new(BpfCarrier::load()?)),
        "apparmor" => Ok(Box::new(AppArmorCarrier::open()?)),
        "selinux" => Ok(Box::new(SeLinuxCarrier::open()?)),
        _ => Err(format!("there is no carrier `{name}` in a kernel")),
    }
}
