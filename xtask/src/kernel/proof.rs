//! Proofs that kernels carry policies out as they should: errands of which each prints what it found
//! and fails where that isn't right.

use std::io::Write;
use std::time::Duration;

use crate::conformance::build;
use crate::vm::{Kernel, Lsm, Machine, Payload};

/// A proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Its name.
    pub name: &'static str,
    /// Options that take a number, with the numbers that they have unless given.
    pub options: &'static [(&'static str, u64)],
    /// Kernel command lines to run it under, beside the guest's own; each empty or one word.
    appended: &'static [&'static str],
    /// Modules that the guest needs.
    modules: &'static [&'static str],
    /// The security modules of the guest.
    lsm: Lsm,
}

/// Every proof.
pub const ALL: [Proof; 7] = [
    Proof {
        name: "race",
        options: &[("--opens", 100_000)],
        appended: &["", "preempt=full"],
        modules: &[],
        lsm: Lsm::Bpf,
    },
    Proof {
        name: "swap",
        options: &[("--count", 10_000), ("--seconds", 420)],
        appended: &[""],
        modules: &[],
        lsm: Lsm::Bpf,
    },
    Proof {
        name: "survive",
        options: &[],
        appended: &[""],
        modules: &[],
        lsm: Lsm::Bpf,
    },
    Proof {
        name: "random",
        options: &[("--operations", 10_000), ("--seed", 0)],
        appended: &[""],
        modules: &[],
        lsm: Lsm::Bpf,
    },
    Proof {
        name: "many",
        options: &[("--workloads", 10_000)],
        appended: &[""],
        modules: &[],
        lsm: Lsm::Bpf,
    },
    Proof {
        name: "deep",
        options: &[],
        appended: &[""],
        modules: &["overlay"],
        lsm: Lsm::Bpf,
    },
    Proof {
        name: "apparmor",
        options: &[("--count", 1_000), ("--seconds", 420)],
        appended: &[""],
        modules: &[],
        lsm: Lsm::AppArmor,
    },
];

/// How long one guest may take.
const LONGEST: Duration = Duration::from_secs(540);

impl Proof {
    /// The proof of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|proof| proof.name == name)
    }

    /// The number that an option has on a command line.
    fn number(option: (&str, u64), given: &[&str]) -> Result<u64, String> {
        let (name, default) = option;
        let mut words = given.iter().skip_while(|word| **word != name).skip(1);
        if !given.contains(&name) {
            return Ok(default);
        }
        let word = words
            .next()
            .ok_or_else(|| format!("`{name}` needs a number"))?;
        word.parse().map_err(|_| format!("`{word}` is no number"))
    }

    /// Runs it on each kernel; whether all was right.
    ///
    /// # Errors
    /// When a guest can't be started or dies, or an option is no number.
    pub fn run(
        &self,
        kernels: &[Kernel],
        given: &[&str],
        out: &mut dyn Write,
    ) -> Result<bool, Box<dyn std::error::Error>> {
        let mut argv = vec!["/usr/bin/kernel-guest".to_owned(), self.name.to_owned()];
        for option in self.options {
            argv.push(Self::number(*option, given)?.to_string());
        }
        let guest = build::guest("kernel-guest")?;
        let worker = build::worker(&guest)?;
        let mut payload = Payload::new(argv)
            .executable(guest, "/usr/bin/kernel-guest")
            .executable(worker, "/usr/bin/worker");
        if self.lsm == Lsm::AppArmor {
            let parser = build::apparmor_parser()?;
            payload = payload.executable(parser, "/usr/sbin/apparmor_parser");
        }
        for module in self.modules {
            payload = payload.module(*module);
        }
        let mut right = true;
        for kernel in kernels {
            for appended in self.appended {
                let mut machine = Machine::new(kernel.clone());
                machine.lsm = self.lsm;
                machine.timeout = LONGEST;
                machine
                    .append
                    .extend((!appended.is_empty()).then(|| (*appended).to_owned()));
                writeln!(out, "{}: {} {appended}", self.name, kernel.release)?;
                out.flush()?;
                let outcome = machine.run(&payload)?;
                let ok = outcome.status.success();
                let printed = String::from_utf8_lossy(&outcome.stdout);
                for line in printed.lines() {
                    writeln!(out, "  {line}")?;
                }
                let complaints = String::from_utf8_lossy(&outcome.stderr);
                for line in complaints.lines() {
                    writeln!(out, "  {line}")?;
                }
                let seconds = outcome.timings.command.as_secs_f64();
                let verdict = if ok { "ok" } else { "FAILED" };
                writeln!(out, "  {verdict}, {seconds:.0} s")?;
                right &= ok;
            }
        }
        Ok(right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_numbers() {
        let option = ("--opens", 7);
        assert_eq!(Proof::number(option, &["--kernel", "6.1"]), Ok(7));
        assert_eq!(Proof::number(option, &["--opens", "12"]), Ok(12));
        assert!(Proof::number(option, &["--opens"]).is_err());
        assert!(Proof::number(option, &["--opens", "many"]).is_err());
    }
}
