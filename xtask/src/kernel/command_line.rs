//! `cargo xtask kernel`.

use std::io::Write;

use super::proof::Proof;
use super::{cost, verifier};
use crate::conformance::build;
use crate::vm::{Kernel, Machine, Payload, UnderTest, kernels_under_test};

/// What the errand takes.
pub const HELP: &str = "\
cargo xtask kernel cost [--kernel NAME…]      instructions that enforcement adds, as a table
cargo xtask kernel verifier [--kernel NAME…] [--renew]
                                              what the verifier goes through for each program, held to the record
cargo xtask kernel race [--kernel NAME…] [--opens N]
                                              six processes on one CPU open files, half of them blocked
cargo xtask kernel swap [--kernel NAME…] [--count N] [--seconds N]
                                              policies are replaced under processes that work
cargo xtask kernel many [--kernel NAME…] [--workloads 10000]
                                              as many cgroups, each under its own policy
cargo xtask kernel survive [--kernel NAME…]   the agent is killed, and another takes over
cargo xtask kernel random [--kernel NAME…] [--operations N] [--seed N]
                                              random policies and operations, held to the reference evaluator
cargo xtask kernel apparmor [--kernel NAME…] [--count N] [--seconds N]
                                              the life of AppArmor profiles: swapped under processes that
                                              work, refused, read back, removed
cargo xtask kernel deep [--kernel NAME…]      mounts, deleted and deep files: how paths come out
";

/// Runs one errand; whether all is as it should be.
///
/// # Errors
/// When guests can't be started or fail.
pub fn run(arguments: &[&str], out: &mut dyn Write) -> Result<bool, Box<dyn std::error::Error>> {
    let [errand, options @ ..] = arguments else {
        return Err(HELP.into());
    };
    let renew = options.contains(&"--renew");
    let kernels = match kernels(options)? {
        UnderTest::Kernels(kernels) => kernels,
        UnderTest::Skip(reason) => {
            writeln!(out, "SKIPPED: {reason}")?;
            return Ok(true);
        }
    };
    if let Some(proof) = Proof::from_name(errand) {
        return proof.run(&kernels, options, out);
    }
    match *errand {
        "cost" => cost::run(&kernels, out),
        "verifier" => verifier::run(&kernels, renew, out),
        _ => Err(HELP.into()),
    }
}

/// The kernels that are named, or else those under test. None on a machine that can run none.
fn kernels(options: &[&str]) -> Result<UnderTest, Box<dyn std::error::Error>> {
    let under_test = kernels_under_test()?;
    if matches!(under_test, UnderTest::Skip(_)) {
        return Ok(under_test);
    }
    let mut named = Vec::new();
    let mut rest = options.iter().peekable();
    while let Some(option) = rest.next() {
        if *option != "--kernel" {
            continue;
        }
        while let Some(name) = rest.next_if(|name| !name.starts_with("--")) {
            named.push(Kernel::find(name)?);
        }
    }
    if named.is_empty() {
        return Ok(under_test);
    }
    Ok(UnderTest::Kernels(named))
}

/// Runs `kernel-guest` in a machine; what it prints.
///
/// # Errors
/// When the machine can't run, or the program fails.
pub fn in_guest(
    machine: &Machine,
    arguments: &[&str],
    files: impl FnOnce(Payload) -> Payload,
) -> Result<String, Box<dyn std::error::Error>> {
    let program = build::guest("kernel-guest")?;
    let argv = ["/usr/bin/kernel-guest"].iter().chain(arguments);
    let payload = Payload::new(argv.copied()).executable(program, "/usr/bin/kernel-guest");
    let outcome = machine.run(&files(payload))?;
    let printed = String::from_utf8_lossy(&outcome.stdout).into_owned();
    if outcome.status.success() {
        return Ok(printed);
    }
    Err(format!(
        "{} on {}: {:?}\n{printed}{}",
        arguments.join(" "),
        machine.kernel.name,
        outcome.status,
        String::from_utf8_lossy(&outcome.stderr)
    )
    .into())
}
