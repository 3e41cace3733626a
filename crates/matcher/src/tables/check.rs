//! Checks that every number in a loaded image refers to something that is there, so that a walk
//! ends and a decision names a rule that exists.

use super::automaton::{Automaton, Globs, STOP, Slot};
use super::entry::{Entry, Parts};
use super::image::ImageError;
use super::provenance::Provenance;
use super::record::Span;
use super::trie::Trie;
use super::{Row, Tables};
use crate::compile::network::PROFILES;
use crate::rule_shape::RuleShape;

/// Whether a run lies within a table of this length.
fn inside(span: Span, len: usize) -> bool {
    (span.start as usize)
        .checked_add(span.len as usize)
        .is_some_and(|end| end <= len)
}

/// Fails with the first record that isn't as it should be.
fn each<'r, R: 'r>(
    table: &'static str,
    records: impl IntoIterator<Item = &'r R>,
    good: impl Fn(&R) -> bool,
) -> Result<(), ImageError> {
    match records.into_iter().position(|record| !good(record)) {
        Some(record) => Err(ImageError::Damaged { table, record }),
        None => Ok(()),
    }
}

pub(crate) fn tables(tables: &Tables) -> Result<(), ImageError> {
    let text = tables.text.len();
    let rows = tables.rows.len();
    let rules = tables.head.rules;
    let row = |number: &u32| match Row::as_leaf(*number) {
        Some(leaf) => leaf.rule().0 < rules,
        None => (*number as usize) < rows,
    };
    // Tests lead to smaller tests only, blocks to no blocks: following an entry ends.
    let entry = |entry: Entry, tests: usize, blocks: usize| match entry.parts() {
        Parts::Nothing => true,
        Parts::Leaf(leaf) => leaf.rule().0 < rules,
        Parts::Block(block) => (block as usize) < blocks,
        Parts::Test(test) => (test as usize) < tests,
    };
    let any = |found: Entry| entry(found, tables.tests.len(), tables.blocks.len());
    each("blocks", &tables.blocks, |block| {
        block
            .iter()
            .all(|found| entry(*found, tables.tests.len(), 0))
    })?;
    let numbered: Vec<_> = tables.tests.iter().enumerate().collect();
    each("tests", &numbered, |(number, test)| {
        (test.list as usize) < tables.lists.len()
            && entry(test.fails, *number, 0)
            && entry(test.holds, *number, 0)
    })?;
    each("lists", &tables.lists, |span| {
        inside(*span, tables.arguments.len())
    })?;
    each("arguments", &tables.arguments, |span| inside(*span, text))?;
    each("rows", &tables.rows, |row| {
        let lists = tables.exception_lists.len();
        any(row.grant)
            && any(row.watch)
            && (row.grant_exceptions as usize) < lists
            && (row.watch_exceptions as usize) < lists
    })?;
    each("exception lists", &tables.exception_lists, |span| {
        inside(*span, tables.exceptions.len())
    })?;
    each("exceptions", &tables.exceptions, |exception| {
        any(exception.entry)
    })?;
    trie("sources", &tables.sources, |_| true, |_| true, 1)?;
    for (name, shape, automata) in [
        ("process", &tables.process, &tables.process_globs),
        ("mapping", &tables.mapping, &tables.mapping_globs),
        ("file", &tables.file, &tables.file_globs),
        ("dns", &tables.dns, &Globs::default()),
    ] {
        let tuples = match automata.forward.len() {
            0 => usize::MAX,
            width => automata.starts.len() / width,
        };
        trie(name, shape, row, row, tuples)?;
        trie(name, &automata.names, row, row, usize::MAX)?;
        globs(name, automata, row)?;
    }
    each("named", &tables.named, |node| {
        (*node as usize) < tables.file.nodes.len()
    })?;
    for (name, list, len) in [
        ("network", &tables.network, PROFILES),
        (
            "capabilities",
            &tables.capabilities,
            tables.capabilities.len(),
        ),
        ("presets", &tables.presets, tables.presets.len()),
    ] {
        if list.len() != len {
            return Err(ImageError::Damaged {
                table: name,
                record: list.len(),
            });
        }
        each(name, list, row)?;
    }
    each("syscalls", &tables.syscalls, |syscall| {
        inside(syscall.name, text) && inside(syscall.watches, tables.watches.len())
    })?;
    each("watches", &tables.watches, |watch| {
        inside(watch.path, text)
            && inside(watch.sources, tables.members.len())
            && watch.rule < rules
    })?;
    each("devices", &tables.devices, |device| device.rule < rules)
}

fn trie(
    table: &'static str,
    trie: &Trie,
    exact: impl Fn(&u32) -> bool,
    row: impl Fn(&u32) -> bool,
    tuples: usize,
) -> Result<(), ImageError> {
    // A step uses up the edge byte: no walk is longer than its path, whatever `owner` says.
    let start_exists = (trie.start.node as usize) < trie.nodes.len().max(1);
    if !start_exists || trie.start.consumed > 1 || trie.places.len() != trie.nodes.len() {
        return Err(ImageError::Damaged {
            table,
            record: trie.places.len(),
        });
    }
    each(table, &trie.places, |place| {
        inside(place.tail, trie.labels.len())
            && exact(&place.exact)
            && row(&place.exact_globs)
            && (place.region as usize) < trie.regions.len()
            && (place.globs as usize) < tuples
    })?;
    each(table, &trie.regions, |region| {
        exact(&region.child) && exact(&region.deep)
    })
}

fn globs(table: &'static str, globs: &Globs, row: impl Fn(&u32) -> bool) -> Result<(), ImageError> {
    let words = globs.name_filter.len();
    if globs.name_bytes > 4 || (words != 0 && !words.is_power_of_two()) {
        return Err(ImageError::Damaged { table, record: 0 });
    }
    let state =
        |automaton: &Automaton, state: u32| ((state & !STOP) as usize) < automaton.states.len();
    for automaton in globs.forward.iter().chain(&globs.backward) {
        let damaged = ImageError::Damaged { table, record: 0 };
        if automaton.classes.len() != 256 || !state(automaton, automaton.start) {
            return Err(damaged);
        }
        each(table, &automaton.states, |record| {
            row(&record.accept) && state(automaton, record.default)
        })?;
        each(table, &automaton.slots, |slot| {
            slot.owner == Slot::FREE || state(automaton, slot.next)
        })?;
    }
    if globs.forward.is_empty() {
        return Ok(());
    }
    for tuple in globs.starts.chunks(globs.forward.len()) {
        let fits = tuple.len() == globs.forward.len()
            && globs
                .forward
                .iter()
                .zip(tuple)
                .all(|(automaton, start)| state(automaton, *start));
        if !fits {
            return Err(ImageError::Damaged { table, record: 0 });
        }
    }
    Ok(())
}

pub(crate) fn provenance(tables: &Tables, provenance: &Provenance) -> Result<(), ImageError> {
    let text = provenance.text.as_slice();
    let utf8 =
        |span: &Span| inside(*span, text.len()) && std::str::from_utf8(span.of(text)).is_ok();
    if provenance.rules.len() != tables.head.rules as usize {
        return Err(ImageError::Damaged {
            table: "rules",
            record: provenance.rules.len(),
        });
    }
    each("policies", &provenance.policies, |policy| {
        utf8(&policy.name) && utf8(&policy.namespace)
    })?;
    each("files", &provenance.files, utf8)?;
    each("tags", &provenance.tags, utf8)?;
    each("messages", &provenance.messages, utf8)?;
    each("tag lists", &provenance.tag_lists, |span| {
        inside(*span, provenance.tags.len())
    })?;
    each("rules", &provenance.rules, |rule| {
        (rule.policy as usize) < provenance.policies.len()
            && (rule.file as usize) < provenance.files.len()
            && (rule.tags as usize) < provenance.tag_lists.len()
            && (rule.message as usize) < provenance.messages.len()
            && rule.what().is_some()
            && RuleShape::from_word(rule.shape).is_some()
    })?;
    each("apparmor", &provenance.apparmor, |native| {
        utf8(&native.policy) && utf8(&native.rules) && utf8(&native.file)
    })?;
    each("globs", &provenance.globs, |glob| {
        (glob.rule as usize) < provenance.rules.len()
            && utf8(&glob.glob)
            && inside(glob.sources, provenance.glob_sources.len())
    })
}
