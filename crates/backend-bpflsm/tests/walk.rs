//! The programs decide as the compiled policy does, in the running kernel. Nothing is attached.

use std::error::Error;

use gambeson_backend_bpflsm::{Trial, lower};
use gambeson_matcher::testing::Random;
use gambeson_matcher::{Compile, Config};
use gambeson_policy_model::{Event, Operation};

/// The program, or `None` where this process may load none. Where kernels are to be tested, that is
/// a failure.
fn trial() -> Result<Option<Trial>, Box<dyn Error>> {
    match Trial::load() {
        Ok(trial) => Ok(Some(trial)),
        Err(error)
            if error.is_not_permitted() && std::env::var_os("GAMBESON_KERNELS").is_none() =>
        {
            println!("skipped: this process may load no BPF programs: run the test as root");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The event as the program can be asked: without arguments.
fn without_arguments(mut event: Event<'static>) -> Event<'static> {
    if let Operation::Exec { args, .. } = &mut event.operation {
        args.clear();
    }
    event
}

#[test]
fn the_kernel_decides_as_the_compiled_policy() -> Result<(), Box<dyn Error>> {
    let Some(mut trial) = trial()? else {
        return Ok(());
    };
    let mut seen = 0;
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let rules = 1 + random.below(24);
        let selection = random.selection(rules);
        let compiled = selection.compile(&Config::default())?;
        let table = trial.table(&lower(&compiled)?)?;
        for _ in 0..60 {
            let event = without_arguments(random.event());
            if let Some(decision) = table.decide(&event)? {
                assert_eq!(decision, compiled.decide(&event), "seed {seed}: {event:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 100_000, "{seen}");
    Ok(())
}
