//! `cargo xtask soak --kernel-walk`: random policies and events, judged by the programs' walk in the
//! running kernel and by the compiled engine. Nothing is attached.

use gambeson::matcher::testing::Random;
use gambeson::matcher::{Compile as _, CompiledPolicy, Config};
use gambeson::policy_model::{Decision, Enforcement, Event, Operation, Selection};
use gambeson_backend_bpflsm::{KernelError, LoadError, Trial, TrialTable, lower};

use super::{EVENTS_PER_SET, Failure, next_selection, shrink, told};

/// Why a soak ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The programs judge otherwise, or can't take the rules.
    #[error("{0}")]
    Difference(Box<Failure>),
    /// There is no program to ask.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The program can't be asked.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// What was judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Soaked {
    /// Sets of rules.
    pub sets: u64,
    /// Events that were renamings of a directory.
    pub renamings: u64,
}

/// A set of rules, in the kernel and compiled.
struct Carriers<'t> {
    selection: &'t Selection,
    compiled: CompiledPolicy,
    table: TrialTable<'t>,
}

impl<'t> Carriers<'t> {
    /// `Err` also holds what is wrong with the rules.
    fn new(trial: &'t mut Trial, selection: &'t Selection) -> Result<Result<Self, String>, Error> {
        let compiled = match selection.compile(&Config::default()) {
            Ok(compiled) => compiled,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let lowered = match lower(&compiled) {
            Ok(lowered) => lowered,
            Err(error) => return Ok(Err(error.to_string())),
        };
        Ok(Ok(Self {
            selection,
            compiled,
            table: trial.table(&lowered)?,
        }))
    }

    /// The programs' decision and the right one; `None` for what programs aren't asked.
    fn decide(
        &self,
        event: &Event<'_>,
        renaming: bool,
    ) -> Result<Option<(Decision, Decision)>, Error> {
        let own = self.compiled.decide(event);
        if !renaming {
            let found = self.table.decide(event)?;
            return Ok(found.map(|found| (found, own)));
        }
        let directory = event.operation.file().and_then(|path| path.bytes());
        let directory = directory.and_then(|path| std::str::from_utf8(path).ok());
        let (Some(directory), Some(found)) = (directory, self.table.decide_renaming(event)?) else {
            return Ok(None);
        };
        let below = self.selection.named_below(directory).into_iter();
        let below = below
            .map(|path| {
                // Who owns them is not known.
                let operation = Operation::Write { path: path.into() };
                self.compiled.decide(&Event {
                    operation,
                    owner: None,
                    ..event.clone()
                })
            })
            .reduce(stricter);
        let right = below.filter(|below| below.verdict > own.verdict);
        Ok(Some((found, right.unwrap_or(own))))
    }

    fn difference(&self, event: &Event<'_>, renaming: bool) -> Result<Option<String>, Error> {
        Ok(match self.decide(event, renaming)? {
            Some((found, right)) if found != right => Some(format!(
                "{}kernel: {}, compiled: {}",
                if renaming {
                    "renaming a directory: "
                } else {
                    ""
                },
                told(found),
                told(right)
            )),
            _ => None,
        })
    }
}

/// The stricter decision, and the smaller rule where both are alike.
fn stricter(a: Decision, b: Decision) -> Decision {
    let order = |decision: &Decision| decision.rule().map_or(u64::MAX, |rule| rule.0.into());
    let b_wins = b.verdict > a.verdict || (b.verdict == a.verdict && order(&b) < order(&a));
    if b_wins { b } else { a }
}

/// One that programs can be asked about, and whether as a renaming.
fn next_event(random: &mut Random, renamings: bool) -> (Event<'static>, bool) {
    loop {
        let mut event = random.event();
        match &mut event.operation {
            Operation::Exec { args, .. } => args.clear(),
            Operation::Syscall { .. } | Operation::Dns { .. } | Operation::Device(_) => continue,
            _ => {}
        }
        let resolved = |path: &gambeson::policy_model::EventPath<'_>| path.is_resolved();
        if !resolved(&event.source) || !event.operation.file().is_none_or(resolved) {
            continue;
        }
        let is_below_root = event
            .operation
            .file()
            .and_then(|path| path.bytes())
            .is_some_and(|path| path.len() > 1);
        let is_write = matches!(event.operation, Operation::Write { .. });
        let renaming = renamings && is_write && is_below_root && random.once_in(2);
        return (event, renaming);
    }
}

/// Judges `events` events.
///
/// # Errors
/// The first difference, with as few rules as still show it; or that the kernel can't be asked.
pub fn soak(seed: u64, events: u64) -> Result<Soaked, Error> {
    let mut trial = Trial::load()?;
    let mut random = Random::new(seed);
    let mut soaked = Soaked::default();
    let mut judged = 0;
    while judged < events {
        let selection = next_selection(&mut random);
        // Which rule stands for several reports is left open where a denial becomes one.
        let renamings = selection.enforcement() == Enforcement::Enabled;
        let round = EVENTS_PER_SET.min(events - judged);
        let mut failing = None;
        {
            let carriers = match Carriers::new(&mut trial, &selection)? {
                Ok(carriers) => carriers,
                Err(what) => {
                    return Err(Error::Difference(Box::new(Failure {
                        selection,
                        event: None,
                        what,
                    })));
                }
            };
            for _ in 0..round {
                let (event, renaming) = next_event(&mut random, renamings);
                soaked.renamings += u64::from(renaming);
                if carriers.difference(&event, renaming)?.is_some() {
                    failing = Some((event, renaming));
                    break;
                }
            }
        }
        if let Some((event, renaming)) = failing {
            let failure = shrink::shrink(&selection, &event, &mut |selection| {
                let carriers = Carriers::new(&mut trial, selection).ok()?.ok()?;
                carriers.difference(&event, renaming).ok()?
            });
            return Err(Error::Difference(Box::new(failure)));
        }
        judged += round;
        soaked.sets += 1;
    }
    Ok(soaked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_judges_as_the_compiled_engine() {
        match soak(1, 20_000) {
            Ok(soaked) => assert!(soaked.renamings > 100, "{soaked:?}"),
            Err(Error::Load(error))
                if error.is_not_permitted() && std::env::var_os("GAMBESON_KERNELS").is_none() =>
            {
                println!("skipped: this process may load no BPF programs: run the test as root");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
