//! Times of contenders, taken in turns.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gambeson::matcher::{Compile, Config};
use gambeson::policy_model::Selection;

use crate::contenders::{Contender, Error, contenders};
use crate::ruleset::RuleSet;

/// How long a contender runs at least in one round.
const ROUND: Duration = Duration::from_millis(2);

/// How many rounds there are.
pub(super) const ROUNDS: usize = 25;

/// Nanoseconds a decision, contender by contender.
#[derive(Debug, Clone)]
pub(super) struct Race {
    /// How many rules there are.
    pub(super) rules: usize,
    /// Name and time.
    pub(super) times: Vec<(&'static str, f64)>,
}

impl Race {
    /// The time of one contender.
    pub(super) fn of(&self, name: &str) -> Option<f64> {
        let found = self.times.iter().find(|(known, _)| *known == name);
        found.map(|(_, time)| *time)
    }

    /// This engine's time as a multiple of a peer's.
    pub(super) fn ratio(&self, peer: &str) -> Option<f64> {
        Some(self.of("gambeson")? / self.of(peer)?)
    }
}

/// Lets every contender that can take the set judge its queries in turns, and takes the best
/// round of each: what disturbs a round only ever makes it slower. Where a round takes a contender
/// much longer than it should, a few must do.
///
/// # Errors
/// When a contender can't be built, or finds other hits than the rest.
pub(super) fn race(set: &RuleSet) -> Result<Race, Error> {
    let mut contenders = contenders(set)?;
    let mut times: Vec<_> = contenders
        .iter()
        .map(|contender| (contender.name(), f64::INFINITY))
        .collect();
    let queries = set.queries.len();
    for at in 0..ROUNDS {
        for (contender, (_, best)) in contenders.iter_mut().zip(&mut times) {
            let is_slow = *best * queries as f64 > 20.0 * ROUND.as_secs_f64() * 1e9;
            if at < 3 || !is_slow {
                *best = best.min(round(contender.as_mut(), queries));
            }
        }
    }
    Ok(Race {
        rules: set.rules.len(),
        times,
    })
}

/// Nanoseconds a decision in one round.
fn round(contender: &mut dyn Contender, queries: usize) -> f64 {
    // Its data may have left the caches while the others ran.
    black_box(contender.pass());
    let start = Instant::now();
    let mut decisions = 0_usize;
    while start.elapsed() < ROUND {
        black_box(contender.pass());
        decisions += queries;
    }
    start.elapsed().as_secs_f64() * 1e9 / decisions as f64
}

/// What one set costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// How many rules there are.
    pub(super) rules: usize,
    /// The shortest time to compile them.
    pub(super) build: Duration,
    /// What they take compiled.
    pub(super) memory: usize,
    /// What the image takes, names and places of the rules included.
    pub(super) image: usize,
}

/// Compiles a set several times.
///
/// # Errors
/// When it doesn't compile.
pub(super) fn cost(set: &RuleSet) -> Result<Cost, Error> {
    let selection = Selection::new(set.rules.clone());
    let config = Config::default();
    let mut best = Duration::MAX;
    let (mut memory, mut image) = (0, 0);
    let times = (20_000 / set.rules.len().max(1)).clamp(3, 15);
    for _ in 0..times {
        let start = Instant::now();
        let compiled = black_box(selection.compile(&config)?);
        best = best.min(start.elapsed());
        memory = compiled.memory_usage();
        image = compiled.to_bytes().len();
    }
    Ok(Cost {
        rules: set.rules.len(),
        build: best,
        memory,
        image,
    })
}
