//! What the programs' loops are bounded by: beyond it a walk would end early and let pass what a rule
//! denies.

use gambeson_matcher::tables::automaton::Globs;
use gambeson_matcher::tables::entry::{Entry, Parts};
use gambeson_matcher::tables::{Tables, Test};
use gambeson_policy_model::{Class, RuleId};

use super::LowerError;
use crate::abi::MAX_ARGUMENT;

/// Steps from an entry to its leaf, of which one may be a block.
const MAX_TESTS: usize = 1023;

/// Automata of one class: a row for each, one for the trie and one for names.
const MAX_AUTOMATA: usize = 126;

/// Arguments of one list.
const MAX_LIST: usize = 1 << 16;

/// Steps through the exceptions of an object's rows, where the source is unresolvable.
const MAX_SOURCE_STEPS: usize = 1 << 16;

pub(super) fn check(tables: &Tables) -> Result<(), LowerError> {
    arguments(tables)?;
    tests(tables)?;
    let classes = [
        (Class::Process, &tables.process_globs),
        (Class::Process, &tables.mapping_globs),
        (Class::File, &tables.file_globs),
    ];
    let mut most = 0;
    for (class, globs) in classes {
        let count = count(globs);
        if count > MAX_AUTOMATA {
            return Err(LowerError::TooManyAutomata {
                class,
                count,
                limit: MAX_AUTOMATA,
            });
        }
        most = most.max(count);
    }
    sources(tables, most)
}

fn count(globs: &Globs) -> usize {
    globs.forward.len() + globs.backward.len()
}

/// A rule that asks for this list.
fn rule_with_list(tables: &Tables, list: usize) -> Option<RuleId> {
    let asks = |test: &&Test| test.list as usize == list;
    rule_of(tables.tests.iter().find(asks)?.fails)
}

fn rule_of(entry: Entry) -> Option<RuleId> {
    entry.as_leaf().map(|leaf| leaf.rule())
}

fn arguments(tables: &Tables) -> Result<(), LowerError> {
    for (number, list) in tables.lists.iter().enumerate() {
        let arguments = list.of(&tables.arguments);
        if arguments.len() > MAX_LIST {
            return Err(LowerError::TooManyArguments {
                rule: rule_with_list(tables, number),
                length: arguments.len(),
                limit: MAX_LIST,
            });
        }
        let longest = arguments.iter().map(|span| span.len as usize).max();
        if let Some(length) = longest.filter(|length| *length > MAX_ARGUMENT) {
            return Err(LowerError::ArgumentTooLong {
                rule: rule_with_list(tables, number),
                length,
                limit: MAX_ARGUMENT,
            });
        }
    }
    Ok(())
}

/// Chains of tests: each leads only to tests with smaller numbers.
fn tests(tables: &Tables) -> Result<(), LowerError> {
    let mut lengths: Vec<usize> = Vec::with_capacity(tables.tests.len());
    for test in &tables.tests {
        let of = |entry: Entry| match entry.parts() {
            Parts::Test(next) => lengths.get(next as usize).copied().unwrap_or(0),
            _ => 0,
        };
        let length = 1 + of(test.fails).max(of(test.holds));
        if length > MAX_TESTS {
            return Err(LowerError::TooManyTests {
                rule: rule_of(test.fails),
                length,
                limit: MAX_TESTS,
            });
        }
        lengths.push(length);
    }
    Ok(())
}

/// An object has a row of the trie, one of names and one for each automaton, and each row two lists.
fn sources(tables: &Tables, automata: usize) -> Result<(), LowerError> {
    let longest = tables.exception_lists.iter().map(|list| list.len as usize);
    let longest = longest.max().unwrap_or(0);
    let limit = MAX_SOURCE_STEPS / (2 * (automata + 2)) - 1;
    if longest > limit {
        return Err(LowerError::TooManySources {
            count: longest,
            limit,
        });
    }
    Ok(())
}
