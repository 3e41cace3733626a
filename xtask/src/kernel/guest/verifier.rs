//! Loads every program and tells what the verifier went through.

use gambeson::bpf_lsm::{BpfLsm, Options};

/// Prints a line for each program: its name, and the instructions that the verifier went through.
///
/// # Errors
/// When the programs can't be loaded.
pub fn list() -> Result<(), super::workload::Error> {
    let enforcer = BpfLsm::load(&Options::default())?;
    for program in enforcer.programs() {
        println!("{} {}", program.name, program.verified_insns);
    }
    Ok(())
}
