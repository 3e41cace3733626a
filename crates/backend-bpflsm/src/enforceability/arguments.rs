//! Where programs can't look into as many lists of arguments as the decision model asks for. What they
//! can't look into counts as not allowed.

use std::collections::BTreeSet;

use gambeson_matcher::ObjectKind;
use gambeson_matcher::backend::{Gap, Outcome};
use gambeson_matcher::tables::Tables;
use gambeson_matcher::tables::entry::{Entry, Parts};

use super::Known;
use crate::abi;

/// The gaps of rules with `allowedArgs`.
pub(super) fn gaps(tables: &Tables, rules: &[Known<'_>]) -> Vec<Gap> {
    let concerned: Vec<&Known<'_>> = rules
        .iter()
        .filter(|rule| rule.shape.allowed_args)
        .collect();
    let several = concerned.len() > abi::PENDING
        || (concerned.iter()).any(|rule| rule.shape.object != ObjectKind::Path);
    let rows = most_rows(tables);
    let told = [
        (
            rows > abi::PENDING_ROWS,
            "files that many sets of patterns match",
            "programs can put aside no more rows of patterns until they know the arguments, \
             and then take them for not allowed",
        ),
        (
            tables.lists.len().min(rows * most_lists(tables)) > abi::MAX_LISTS,
            "files for which many lists of arguments count",
            "programs look into 16 lists for one exec, and take arguments for not allowed in others",
        ),
        (
            several,
            "scripts whose interpreter is a script",
            "of one exec the arguments of two files are looked into, and of others taken for not allowed",
        ),
    ];
    let told = told.into_iter().filter(|(holds, ..)| *holds);
    told.flat_map(|(_, what, reason)| {
        (concerned.iter()).map(move |rule| rule.gap(Outcome::Stricter, what, reason))
    })
    .collect()
}

/// The most rows that one executed file can have.
fn most_rows(tables: &Tables) -> usize {
    let globs = &tables.process_globs;
    let names = usize::from(!globs.names.is_trivial());
    1 + globs.forward.len() + globs.backward.len() + names
}

/// The most lists that one row can ask for.
fn most_lists(tables: &Tables) -> usize {
    // A test leads only to tests with smaller numbers.
    let mut of_tests: Vec<BTreeSet<u32>> = Vec::with_capacity(tables.tests.len());
    for test in &tables.tests {
        let mut lists = BTreeSet::from([test.list]);
        for entry in [test.fails, test.holds] {
            lists.extend(
                next(entry)
                    .and_then(|next| of_tests.get(next))
                    .into_iter()
                    .flatten(),
            );
        }
        of_tests.push(lists);
    }
    of_tests.iter().map(BTreeSet::len).max().unwrap_or(0)
}

fn next(entry: Entry) -> Option<usize> {
    match entry.parts() {
        Parts::Test(next) => Some(next as usize),
        _ => None,
    }
}
