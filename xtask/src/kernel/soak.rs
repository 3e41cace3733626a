//! `cargo xtask soak --kernels`: the proof `random`, again and again.

use std::io::Write;

use super::proof::Proof;
use crate::vm::{UnderTest, kernels_under_test};

/// Operations of one guest: a round ends well within the time that a guest may take.
const ROUND: u64 = 20_000;

/// Does so many random operations, taking turns among the kernels under test; whether all came out as
/// the evaluator says. Rounds have seeds that count up from the one given.
///
/// # Errors
/// When a guest can't be started or dies.
pub fn run(
    operations: u64,
    seed: u64,
    out: &mut dyn Write,
) -> Result<bool, Box<dyn std::error::Error>> {
    let kernels = match kernels_under_test()? {
        UnderTest::Kernels(kernels) => kernels,
        UnderTest::Skip(reason) => {
            writeln!(out, "SKIPPED: {reason}")?;
            return Ok(true);
        }
    };
    let random = Proof::from_name("random").ok_or("no proof `random`")?;
    let rounds = operations.div_ceil(ROUND);
    for (round, kernel) in (0..rounds).zip(kernels.iter().cycle()) {
        let now = ROUND.min(operations - round * ROUND).to_string();
        // A seed of 0 stands for a new one.
        let seed = (seed.max(1) + round).to_string();
        let options = ["--operations", &now, "--seed", &seed];
        if !random.run(std::slice::from_ref(kernel), &options, out)? {
            return Ok(false);
        }
    }
    Ok(true)
}
