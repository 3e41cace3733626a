//! From sets of rules to entries and rows.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use gambeson_policy_model::{Action, Object, Rule, RuleId};

use crate::compile::sources::SourceClasses;
use crate::tables::Tables;
use crate::tables::entry::{Entry, Holding, Leaf, Rank};
use crate::tables::record::Span;
use crate::tables::{Exception, Row, Test};

/// An entry for each state of the conditions.
pub(crate) type Cell = [Entry; Holding::COUNT];

const NOTHING: Cell = [Entry::NOTHING; Holding::COUNT];

/// A cell for each source class that rules name.
type ByClass = BTreeMap<u32, Cell>;

/// Rules of one rank that may watch.
type Layer = (Rank, Rc<[u32]>);

/// What the rules around an object say, tier upon tier, apart for each source class that some of
/// them name.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    grant: Option<Cell>,
    grant_by_class: Rc<ByClass>,
    watch: Cell,
    watch_by_class: Rc<BTreeMap<u32, Vec<Layer>>>,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            grant: None,
            grant_by_class: Rc::default(),
            watch: NOTHING,
            watch_by_class: Rc::default(),
        }
    }
}

/// Makes entries and rows, each only once.
#[derive(Debug)]
pub(crate) struct Cells<'r> {
    rules: &'r [Rule],
    sources: &'r SourceClasses,
    /// Arguments hold whatever they are: for mappings, which have none.
    pub(crate) ignore_args: bool,
    blocks: HashMap<Cell, u32>,
    tests: HashMap<Test, u32>,
    lists: HashMap<Vec<String>, u32>,
    rows: HashMap<Row, u32>,
    exception_lists: HashMap<Vec<Exception>, u32>,
    /// Lists made of maps that are still shared, by the map's address.
    grant_lists: HashMap<*const ByClass, (Rc<ByClass>, u32)>,
}

impl<'r> Cells<'r> {
    pub(crate) fn new(rules: &'r [Rule], sources: &'r SourceClasses, tables: &mut Tables) -> Self {
        let mut cells = Self {
            rules,
            sources,
            ignore_args: false,
            blocks: HashMap::new(),
            tests: HashMap::new(),
            lists: HashMap::new(),
            rows: HashMap::new(),
            exception_lists: HashMap::new(),
            grant_lists: HashMap::new(),
        };
        // Number 0 of each says nothing.
        cells.exception_list(tables, Vec::new());
        cells.row(tables, &Context::default());
        cells
    }

    fn rule(&self, id: u32) -> Option<&'r Rule> {
        self.rules.get(id as usize)
    }

    /// Puts a stronger tier of rules upon what is there. `ids` are in order.
    pub(crate) fn apply(
        &mut self,
        tables: &mut Tables,
        context: &mut Context,
        ids: &[u32],
        rank: Rank,
    ) {
        let of = |audit: bool, sourced: bool| -> Vec<u32> {
            let wanted = |id: &&u32| {
                self.rule(**id).is_some_and(|rule| {
                    (rule.action == Action::Audit) == audit && rule.sources.is_empty() != sourced
                })
            };
            ids.iter().filter(wanted).copied().collect()
        };
        let granting = of(false, false);
        let granting_by_class = self.sources.by_class(&of(false, true));
        let watching = of(true, false);
        let watching_by_class = self.sources.by_class(&of(true, true));
        if !granting.is_empty() {
            context.grant = Some(self.grant(tables, &granting, rank.sourced(false)));
        }
        if !granting_by_class.is_empty() {
            let map = Rc::make_mut(&mut context.grant_by_class);
            for (class, ids) in granting_by_class {
                map.insert(class, self.grant(tables, &ids, rank.sourced(true)));
            }
        }
        if !watching.is_empty() {
            context.watch = self.watch(tables, &watching, rank.sourced(false), context.watch);
        }
        if !watching_by_class.is_empty() {
            let map = Rc::make_mut(&mut context.watch_by_class);
            for (class, ids) in watching_by_class {
                let layers = map.entry(class).or_default();
                layers.push((rank.sourced(true), ids.into()));
            }
        }
    }

    /// Puts patterns and execnames that match together upon nothing. Those that name a source and
    /// those that don't rank as execnames each as soon as one of them is.
    pub(crate) fn apply_patterns(
        &mut self,
        tables: &mut Tables,
        context: &mut Context,
        ids: &[u32],
    ) {
        let (unsourced, sourced): (Vec<u32>, Vec<u32>) = ids
            .iter()
            .partition(|id| self.rule(**id).is_some_and(|rule| rule.sources.is_empty()));
        let rank = self.pattern_rank(&unsourced);
        self.apply(tables, context, &unsourced, rank);
        for (class, ids) in self.sources.by_class(&sourced) {
            let rank = self.pattern_rank(&ids);
            let (watching, granting): (Vec<u32>, Vec<u32>) = ids.into_iter().partition(|id| {
                self.rule(*id)
                    .is_some_and(|rule| rule.action == Action::Audit)
            });
            if !granting.is_empty() {
                let cell = self.grant(tables, &granting, rank.sourced(true));
                Rc::make_mut(&mut context.grant_by_class).insert(class, cell);
            }
            if !watching.is_empty() {
                let layers = Rc::make_mut(&mut context.watch_by_class);
                layers
                    .entry(class)
                    .or_default()
                    .push((Rank::EXECNAME.sourced(true), watching.into()));
            }
        }
    }

    /// The rank of patterns and execnames that grant or deny together.
    fn pattern_rank(&self, ids: &[u32]) -> Rank {
        let execname = |id: &u32| {
            self.rule(*id).is_some_and(|rule| {
                rule.action != Action::Audit && matches!(rule.object, Object::ExecName(_))
            })
        };
        if ids.iter().any(execname) {
            Rank::EXECNAME
        } else {
            Rank::PATTERN
        }
    }

    /// The cell of rules of one rank that all grant or deny, of which deny wins.
    fn grant(&mut self, tables: &mut Tables, ids: &[u32], rank: Rank) -> Cell {
        let leaf = |denies: bool, id: u32| Entry::leaf(Leaf::new(rank, denies, RuleId(id)));
        let mut cell = NOTHING;
        for (state, slot) in Holding::all().zip(&mut cell) {
            // Rules that deny whatever the arguments are, and those that ask for the arguments.
            let mut denying = None;
            let mut asking = Vec::new();
            for id in ids {
                let Some(rule) = self.rule(*id) else { continue };
                let conditions = &rule.conditions;
                let denies = if conditions.is_empty() {
                    rule.action == Action::Block
                } else {
                    !state.holds(needed(rule))
                };
                if denies {
                    denying = Some(*id);
                    break;
                }
                if self.asks_for_args(rule) {
                    asking.push(*id);
                }
            }
            let mut entry = match (denying, ids.first()) {
                (Some(id), _) => leaf(true, id),
                (None, Some(id)) => leaf(false, *id),
                (None, None) => Entry::NOTHING,
            };
            for id in asking.into_iter().rev() {
                entry = self.test(tables, id, leaf(true, id), entry);
            }
            *slot = entry;
        }
        cell
    }

    /// The cell of rules of one rank that may watch; where none does, `below` stands.
    fn watch(&mut self, tables: &mut Tables, ids: &[u32], rank: Rank, below: Cell) -> Cell {
        let leaf = |id: u32| Entry::leaf(Leaf::new(rank, false, RuleId(id)));
        let mut cell = NOTHING;
        for ((state, slot), below) in Holding::all().zip(&mut cell).zip(below) {
            let mut entry = below;
            let mut asking = Vec::new();
            for id in ids {
                let Some(rule) = self.rule(*id) else { continue };
                if rule.conditions.is_empty() || !state.holds(needed(rule)) {
                    entry = leaf(*id);
                    break;
                }
                if self.asks_for_args(rule) {
                    asking.push(*id);
                }
            }
            for id in asking.into_iter().rev() {
                entry = self.test(tables, id, leaf(id), entry);
            }
            *slot = entry;
        }
        cell
    }

    fn asks_for_args(&self, rule: &Rule) -> bool {
        !self.ignore_args && !rule.conditions.allowed_args.is_empty()
    }

    /// A test of the arguments against the list of a rule.
    fn test(&mut self, tables: &mut Tables, id: u32, fails: Entry, holds: Entry) -> Entry {
        let mut arguments = self
            .rule(id)
            .map(|rule| rule.conditions.allowed_args.clone())
            .unwrap_or_default();
        arguments.sort_unstable();
        arguments.dedup();
        let list = match self.lists.get(&arguments) {
            Some(list) => *list,
            None => {
                let start = tables.arguments.len() as u32;
                for argument in &arguments {
                    let span = tables.add_text(argument.as_bytes());
                    tables.arguments.push(span);
                }
                let list = tables.lists.len() as u32;
                tables.lists.push(Span {
                    start,
                    len: arguments.len() as u32,
                });
                self.lists.insert(arguments, list);
                list
            }
        };
        let test = Test { list, fails, holds };
        Entry::test(*self.tests.entry(test).or_insert_with(|| {
            tables.tests.push(test);
            tables.tests.len() as u32 - 1
        }))
    }

    /// One entry for a cell.
    fn entry(&mut self, tables: &mut Tables, cell: &Cell) -> Entry {
        let [first, ..] = *cell;
        if cell.iter().all(|entry| *entry == first) {
            return first;
        }
        Entry::block(*self.blocks.entry(*cell).or_insert_with(|| {
            tables.blocks.push(*cell);
            tables.blocks.len() as u32 - 1
        }))
    }

    fn exception_list(&mut self, tables: &mut Tables, list: Vec<Exception>) -> u32 {
        if let Some(number) = self.exception_lists.get(&list) {
            return *number;
        }
        let number = tables.exception_lists.len() as u32;
        tables.exception_lists.push(Span {
            start: tables.exceptions.len() as u32,
            len: list.len() as u32,
        });
        tables.exceptions.extend_from_slice(&list);
        self.exception_lists.insert(list, number);
        number
    }

    /// The number of the row that says what the context does.
    pub(crate) fn row(&mut self, tables: &mut Tables, context: &Context) -> u32 {
        let grant = context
            .grant
            .map_or(Entry::NOTHING, |cell| self.entry(tables, &cell));
        let watch = self.entry(tables, &context.watch);
        let row = Row {
            grant,
            grant_exceptions: self.grant_exceptions(tables, &context.grant_by_class),
            watch,
            watch_exceptions: self.watch_exceptions(tables, context),
        };
        let only_grant = Row {
            grant,
            ..Row::default()
        };
        if row == only_grant && Row::as_leaf(grant.0).is_some() {
            return grant.0;
        }
        *self.rows.entry(row).or_insert_with(|| {
            tables.rows.push(row);
            tables.rows.len() as u32 - 1
        })
    }

    fn grant_exceptions(&mut self, tables: &mut Tables, map: &Rc<ByClass>) -> u32 {
        if map.is_empty() {
            return 0;
        }
        if let Some((_, list)) = self.grant_lists.get(&Rc::as_ptr(map)) {
            return *list;
        }
        let list = map
            .iter()
            .map(|(class, cell)| Exception {
                class: *class,
                entry: self.entry(tables, cell),
            })
            .collect();
        let list = self.exception_list(tables, list);
        // The map is kept so that its address stays its own.
        self.grant_lists
            .insert(Rc::as_ptr(map), (map.clone(), list));
        list
    }

    fn watch_exceptions(&mut self, tables: &mut Tables, context: &Context) -> u32 {
        if context.watch_by_class.is_empty() {
            return 0;
        }
        let mut list = Vec::with_capacity(context.watch_by_class.len());
        for (class, layers) in &*context.watch_by_class {
            let mut cell = context.watch;
            for (rank, ids) in layers {
                cell = self.watch(tables, ids, *rank, cell);
            }
            list.push(Exception {
                class: *class,
                entry: self.entry(tables, &cell),
            });
        }
        self.exception_list(tables, list)
    }
}

/// The conditions of a rule that a block is indexed by.
fn needed(rule: &Rule) -> u8 {
    let bit = |wanted: bool, bit: u8| if wanted { bit } else { 0 };
    bit(rule.conditions.owner_only, Holding::OWNER)
        | bit(rule.conditions.read_only, Holding::READ)
        | bit(rule.conditions.no_tty, Holding::NO_TTY)
}
