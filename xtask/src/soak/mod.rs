//! `cargo xtask soak`: random policies and events, judged by the compiled engine and by the
//! reference evaluator, which must give the same verdict by the same rule.

pub mod apparmor;
#[cfg(feature = "bpf-lsm")]
pub mod kernel;
pub mod selinux;
mod shrink;

use std::fmt;

use gambeson::matcher::reference::Evaluator;
use gambeson::matcher::testing::Random;
use gambeson::matcher::{Compile, CompiledPolicy, Config};
use gambeson::policy_model::{Cause, Decision, Event, Object, Rule, Selection};

/// How many events one set of rules judges.
const EVENTS_PER_SET: u64 = 256;

/// A set of rules and an event that two carriers judge otherwise, or rules that don't compile.
#[derive(Debug)]
pub struct Failure {
    /// Rules, postures and whether policies are carried out.
    pub selection: Selection,
    /// The event, as JSON.
    pub event: Option<String>,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        if let Some(event) = &self.event {
            writeln!(f, "event: {event}")?;
        }
        writeln!(f, "enforcement: {:?}", self.selection.enforcement())?;
        writeln!(f, "postures: {:?}", self.selection.posture())?;
        for (id, rule) in self.selection.rules().iter().enumerate() {
            writeln!(f, "rule {id}: {}", describe(rule))?;
        }
        Ok(())
    }
}

/// A rule on one line.
pub(crate) fn describe(rule: &Rule) -> String {
    let Rule {
        policy,
        action,
        object,
        sources,
        conditions,
        ..
    } = rule;
    let object = match object {
        Object::Pattern(glob) => format!("Pattern({:?})", glob.as_str()),
        object => format!("{object:?}"),
    };
    let mut text = format!("{policy} {} {action} {object}", rule.field_path());
    if !sources.is_empty() {
        text.push_str(&format!(" from {sources:?}"));
    }
    if !conditions.is_empty() {
        text.push_str(&format!(" on {conditions:?}"));
    }
    text
}

/// Both engines of one selection.
struct Engines {
    reference: Evaluator,
    compiled: CompiledPolicy,
}

impl Engines {
    fn new(selection: &Selection) -> Result<Self, String> {
        let config = Config::default();
        let reference = Evaluator::new(selection, &config).map_err(|error| error.to_string())?;
        let compiled = selection
            .compile(&config)
            .map_err(|error| error.to_string())?;
        let bytes = compiled.to_bytes();
        let compiled = CompiledPolicy::from_bytes(&bytes).map_err(|error| error.to_string())?;
        Ok(Self {
            reference,
            compiled,
        })
    }

    /// What is otherwise in one engine, if anything.
    fn difference(&self, event: &Event<'_>) -> Option<String> {
        let reference = self.reference.decide(event);
        let compiled = self.compiled.decide(event);
        (reference != compiled).then(|| {
            format!(
                "reference: {}, compiled: {}",
                told(reference),
                told(compiled)
            )
        })
    }
}

fn told(decision: Decision) -> String {
    match decision.cause {
        Cause::Rule(id) => format!("{} by rule {}", decision.verdict, id.0),
        cause => format!("{} by {}", decision.verdict, cause.name()),
    }
}

/// Mostly a few rules, and sometimes many.
fn next_selection(random: &mut Random) -> Selection {
    let rules = if random.once_in(10) {
        random.below(60)
    } else {
        random.below(14)
    };
    random.selection(rules)
}

/// Judges `events` events; how many sets of rules that took.
///
/// # Errors
/// The first difference, with as few rules as still show it.
pub fn soak(seed: u64, events: u64) -> Result<u64, Box<Failure>> {
    let mut random = Random::new(seed);
    let (mut judged, mut sets) = (0, 0);
    while judged < events {
        let selection = next_selection(&mut random);
        let engines = match Engines::new(&selection) {
            Ok(engines) => engines,
            Err(what) => {
                return Err(Box::new(Failure {
                    selection,
                    event: None,
                    what,
                }));
            }
        };
        let round = EVENTS_PER_SET.min(events - judged);
        for _ in 0..round {
            let event = random.event();
            if engines.difference(&event).is_some() {
                let mut difference =
                    |selection: &Selection| Engines::new(selection).ok()?.difference(&event);
                let failure = shrink::shrink(&selection, &event, &mut difference);
                return Err(Box::new(failure));
            }
        }
        judged += round;
        sets += 1;
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_judge_alike() {
        if let Err(failure) = soak(1, 20_000) {
            panic!("{failure}");
        }
    }
}
