//! From compiled tables to the bytes that the programs walk.
//!
//! Little more than a copy: records are filled up to powers of two, so that none lies in two pages;
//! tails of labels begin at multiples of eight; arguments are hashed. What is added is, for each node
//! of the file trie, the list of named paths below it, which renaming a directory writes to.

mod arguments;
mod below;
mod error;
mod limits;
mod writer;

pub use error::LowerError;

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::Gap;
use gambeson_matcher::tables::automaton::{Automaton, Globs};
use gambeson_matcher::tables::entry::Entry;
use gambeson_matcher::tables::trie::{Node, Place, Region, Trie};
use gambeson_matcher::tables::{PROFILES, Row, Span, Tables};
use gambeson_policy_model::{Capability, Preset};

use crate::abi::{self, Record};
pub(crate) use below::Below;
use writer::Writer;

/// A policy in the form of the programs: not yet in any kernel.
///
/// The same policy gives the same bytes, and equal bytes decide alike, so that workloads with equal
/// tables can share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowered {
    bytes: Vec<u8>,
    rules: u32,
    gaps: Vec<Gap>,
}

impl Lowered {
    /// The table: a multiple of [`abi::PAGE`] bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The table page by page, as the map takes it.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.bytes.chunks(abi::PAGE)
    }

    /// How many rules the policy has; ids in events are below.
    #[must_use]
    pub const fn rules(&self) -> u32 {
        self.rules
    }

    /// What lowering made stricter than the policy. The backend's report holds them too.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }
}

/// Lowers a policy. Needs no kernel.
///
/// ```
/// use gambeson_backend_bpflsm::{abi, lower};
/// use gambeson_matcher::{CompiledPolicy, Config};
/// use gambeson_policy_model::Selection;
/// let compiled = CompiledPolicy::compile(&Selection::new(vec![]), &Config::default())?;
/// let lowered = lower(&compiled)?;
/// assert_eq!(lowered.bytes().len() % abi::PAGE, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the policy exceeds a limit of the programs.
pub fn lower(compiled: &CompiledPolicy) -> Result<Lowered, LowerError> {
    let tables = compiled.tables();
    limits::check(tables)?;
    let below = Below::new(tables);
    let mut writer = Writer::new(abi::Table::SIZE);
    let mut table = abi::Table {
        magic: abi::MAGIC,
        abi: abi::ABI_VERSION,
        rules: tables.head.rules,
        allow_list: tables.head.allow_list,
        can_deny: tables.head.can_deny,
        watches: tables.head.watches,
        postures: tables.head.postures,
        audited: tables.head.audited,
        unnamed: tables.unnamed_sources(),
        sources_trivial: u32::from(tables.sources.is_trivial()),
        ..abi::Table::default()
    };
    entries(tables, &below, &mut writer, &mut table)?;
    arguments::write(tables, &mut writer, &mut table)?;
    table.network = writer.section(&exactly(&tables.network, PROFILES))?;
    table.capabilities = writer.section(&exactly(&tables.capabilities, Capability::COUNT))?;
    table.capability_count = Capability::COUNT as u32;
    table.presets = writer.section(&exactly(&tables.presets, Preset::ALL.len()))?;
    table.below_lists = writer.section(&below.lists)?;
    table.below_list_count = below.lists.len() as u32;
    table.below_pairs = writer.section(&below.pairs)?;
    table.below_pair_count = below.pairs.len() as u32;
    let none: &[u32] = &[];
    table.sources = trie(&tables.sources, none, &mut writer)?;
    table.process = trie(&tables.process, none, &mut writer)?;
    table.mapping = trie(&tables.mapping, none, &mut writer)?;
    table.file = trie(&tables.file, &below.of_node, &mut writer)?;
    table.dns = trie(&tables.dns, none, &mut writer)?;
    table.process_globs = globs(&tables.process_globs, &mut writer)?;
    table.mapping_globs = globs(&tables.mapping_globs, &mut writer)?;
    table.file_globs = globs(&tables.file_globs, &mut writer)?;
    table.size = writer.finish()?;
    let bytes = writer.with_head(&table.to_bytes());
    Ok(Lowered {
        bytes,
        rules: tables.head.rules,
        gaps: below.gaps,
    })
}

/// Rows, blocks, tests and exceptions.
fn entries(
    tables: &Tables,
    below: &Below,
    writer: &mut Writer,
    table: &mut abi::Table,
) -> Result<(), LowerError> {
    let words = |row: &Row| {
        [
            row.grant.word(),
            row.grant_exceptions,
            row.watch.word(),
            row.watch_exceptions,
        ]
    };
    let mut rows: Vec<[u32; 4]> = tables.rows.iter().map(words).collect();
    rows.extend(below.rows.iter().map(words));
    table.rows = writer.section(&rows)?;
    table.row_count = rows.len() as u32;
    let blocks: Vec<[u32; 8]> = tables
        .blocks
        .iter()
        .map(|block| block.map(Entry::word))
        .collect();
    table.blocks = writer.section(&blocks)?;
    table.block_count = blocks.len() as u32;
    let tests: Vec<[u32; 4]> = tables
        .tests
        .iter()
        .map(|test| [test.list, test.fails.word(), test.holds.word(), 0])
        .collect();
    table.tests = writer.section(&tests)?;
    table.test_count = tests.len() as u32;
    let lists: Vec<[u32; 2]> = tables.exception_lists.iter().map(span).collect();
    table.exception_lists = writer.section(&lists)?;
    table.exception_list_count = lists.len() as u32;
    let exceptions: Vec<[u32; 2]> = tables
        .exceptions
        .iter()
        .map(|exception| [exception.class, exception.entry.word()])
        .collect();
    table.exceptions = writer.section(&exceptions)?;
    table.exception_count = exceptions.len() as u32;
    Ok(())
}

fn span(span: &Span) -> [u32; 2] {
    [span.start, span.len]
}

/// A list of rows of exactly this length: a loaded image may have been written by a library that
/// knew fewer capabilities or presets. Row 0 says nothing.
fn exactly(rows: &[u32], len: usize) -> Vec<u32> {
    let mut rows = rows.to_vec();
    rows.resize(len, 0);
    rows
}

/// A trie; `below` gives a list for each node, if there are any. An empty trie gets its root, so that
/// the programs always find a place and a region.
fn trie(trie: &Trie, below: &[u32], writer: &mut Writer) -> Result<abi::Trie, LowerError> {
    let root = [Node {
        owner: Node::FREE,
        ..Node::default()
    }];
    let nodes = if trie.nodes.is_empty() {
        root.as_slice()
    } else {
        trie.nodes.as_slice()
    };
    let mut labels = writer::Texts::default();
    let places: Vec<abi::Place> = (0..nodes.len())
        .map(|number| {
            let place: Place = trie.places.get(number).copied().unwrap_or_default();
            Ok(abi::Place {
                exact: place.exact,
                exact_globs: place.exact_globs,
                region: place.region,
                globs: place.globs,
                tail_start: labels.add(place.tail, place.tail.of(&trie.labels))?,
                tail_len: place.tail.len,
                below: below.get(number).copied().unwrap_or(0),
                pad: 0,
            })
        })
        .collect::<Result<_, LowerError>>()?;
    let nodes: Vec<abi::Node> = nodes
        .iter()
        .map(|node| abi::Node {
            owner: node.owner,
            base: node.base,
            head: node.head,
        })
        .collect();
    let no_region = [Region::default()];
    let regions = if trie.regions.is_empty() {
        no_region.as_slice()
    } else {
        trie.regions.as_slice()
    };
    let regions: Vec<abi::Region> = regions
        .iter()
        .map(|region| abi::Region {
            directory_len: region.directory_len,
            child: region.child,
            deep: region.deep,
            pad: 0,
        })
        .collect();
    Ok(abi::Trie {
        start_node: trie.start.node,
        start_base: nodes
            .get(trie.start.node as usize)
            .map_or(0, |node| node.base),
        start_consumed: trie.start.consumed,
        node_count: nodes.len() as u32,
        nodes: writer.section(&nodes)?,
        places: writer.section(&places)?,
        regions: writer.section(&regions)?,
        labels: writer.section(labels.bytes())?,
    })
}

fn globs(globs: &Globs, writer: &mut Writer) -> Result<abi::Globs, LowerError> {
    let automata: Vec<abi::Automaton> = globs
        .forward
        .iter()
        .chain(&globs.backward)
        .map(|found| automaton(found, writer))
        .collect::<Result<_, LowerError>>()?;
    let forward = globs.forward.len();
    Ok(abi::Globs {
        names: trie(&globs.names, &[], writer)?,
        filter: writer.section(&globs.name_filter)?,
        filter_words: globs.name_filter.len() as u32,
        name_bytes: globs.name_bytes,
        forward_count: forward as u32,
        backward_count: globs.backward.len() as u32,
        automata: writer.section(&automata)?,
        starts: writer.section(&globs.starts)?,
        tuples: globs.starts.len().checked_div(forward).unwrap_or(0) as u32,
    })
}

fn automaton(automaton: &Automaton, writer: &mut Writer) -> Result<abi::Automaton, LowerError> {
    let states: Vec<[u32; 4]> = automaton
        .states
        .iter()
        .map(|state| [state.base, state.default, state.accept, 0])
        .collect();
    let slots: Vec<[u32; 2]> = automaton
        .slots
        .iter()
        .map(|slot| [slot.owner, slot.next])
        .collect();
    Ok(abi::Automaton {
        classes: writer.section(automaton.classes.as_slice())?,
        start: automaton.start,
        states: writer.section(&states)?,
        slots: writer.section(&slots)?,
        state_count: states.len() as u32,
        slot_count: slots.len() as u32,
        pad: [0; 2],
    })
}
