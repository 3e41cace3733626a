//! For each node of the file trie, what rules name below it: renaming a directory is a write to each
//! of these paths.
//!
//! A node's list is that of all named paths whose byte strings begin with the node's own. The programs
//! walk a directory's path with a slash behind it, and take the list of the node they end on, or of
//! the node in whose label the path ends. Lists hold only what can matter to the strictest verdict,
//! so that they stay short; equal ones are stored once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gambeson_matcher::backend::{Gap, Outcome};
use gambeson_matcher::tables::entry::{Entry, Holding, Leaf, Rank};
use gambeson_matcher::tables::trie::{Node, Trie};
use gambeson_matcher::tables::{ObjectRows, Row, Tables};
use gambeson_policy_model::{Cause, Class, Decision, RuleId, Verdict};

use crate::abi::MAX_BELOW;

/// Lists of what lies below nodes.
#[derive(Debug, Default)]
pub(crate) struct Below {
    /// The number of each node's list.
    pub(super) of_node: Vec<u32>,
    /// First pair and count; number 0 is empty.
    pub(super) lists: Vec<[u32; 2]>,
    /// A row and a row of patterns.
    pub(super) pairs: Vec<[u32; 2]>,
    /// Rows to be put behind those of the tables.
    pub(super) rows: Vec<Row>,
    /// Where lists were cut.
    pub(crate) gaps: Vec<Gap>,
}

/// How a decision ranks among those of one verdict: the smaller rule first, then the posture.
type Order = (u8, u32);

/// One thing that a list can hold. The order is that in the list: the programs take the first of the
/// strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Item {
    /// Its smallest order among denials, where it can deny at all.
    denies: Option<Order>,
    /// Its smallest order among reports, where it can be reported.
    reports: Option<Order>,
    /// Whether every source and state gets the same verdict.
    always: bool,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum What {
    /// Rows of the tables.
    Rows(ObjectRows),
    /// A row of its own that always reports this rule.
    Report(u32),
}

/// What a node's list will hold.
#[derive(Debug, Default)]
struct Gathered {
    items: BTreeSet<Item>,
}

impl Below {
    pub(crate) fn new(tables: &Tables) -> Self {
        let mut below = Self {
            lists: vec![[0, 0]],
            ..Self::default()
        };
        let trie = &tables.file;
        let mut judged: HashMap<ObjectRows, Option<Item>> = HashMap::new();
        let mut gathered: Vec<Gathered> = Vec::new();
        gathered.resize_with(trie.nodes.len(), Gathered::default);
        for node in &tables.named {
            let place = trie.places.get(*node as usize).copied().unwrap_or_default();
            let rows = ObjectRows {
                paths: place.exact,
                patterns: place.exact_globs,
            };
            let item = *judged.entry(rows).or_insert_with(|| judge(tables, rows));
            if let (Some(item), Some(own)) = (item, gathered.get_mut(*node as usize)) {
                own.items.insert(item);
            }
        }
        below.of_node = vec![0; trie.nodes.len()];
        let mut numbers: BTreeMap<Vec<Item>, u32> = BTreeMap::new();
        let mut report_rows: HashMap<u32, u32> = HashMap::new();
        let mut cut: BTreeSet<(Option<u32>, Outcome)> = BTreeSet::new();
        for node in children_first(trie) {
            let Some(own) = gathered.get_mut(node as usize).map(std::mem::take) else {
                continue;
            };
            let mut own = own.reduced();
            if own.items.is_empty() {
                continue;
            }
            // Only where a slash is passed on the way to the node can a directory's path end.
            if passes_slash(trie, node) {
                own = own.within_bound(&mut cut);
                let list: Vec<Item> = own.items.iter().copied().collect();
                let number = match numbers.get(&list) {
                    Some(number) => *number,
                    None => {
                        let number = below.add_list(tables, &list, &mut report_rows);
                        numbers.insert(list, number);
                        number
                    }
                };
                if let Some(slot) = below.of_node.get_mut(node as usize) {
                    *slot = number;
                }
            }
            let owner = trie.nodes.get(node as usize).map(|record| record.owner);
            if let Some(above) = owner.and_then(|owner| gathered.get_mut(owner as usize)) {
                above.items.extend(own.items);
            }
        }
        below.gaps = cut
            .into_iter()
            .map(|(rule, outcome)| Gap {
                rule: rule.map(RuleId),
                class: None,
                outcome,
                what: "renaming a directory above it".to_owned(),
                reason: format!(
                    "rules say more than {MAX_BELOW} different things of what lies below the \
                     directory, and the programs take the strictest for all"
                ),
            })
            .collect();
        below
    }

    fn add_list(
        &mut self,
        tables: &Tables,
        list: &[Item],
        report_rows: &mut HashMap<u32, u32>,
    ) -> u32 {
        let start = self.pairs.len() as u32;
        for item in list {
            let pair = match item.what {
                What::Rows(rows) => [rows.paths, rows.patterns],
                What::Report(rule) => {
                    let next = (tables.rows.len() + self.rows.len()) as u32;
                    let row = *report_rows.entry(rule).or_insert_with(|| {
                        let leaf = Leaf::new(Rank::EXACT, false, RuleId(rule));
                        self.rows.push(Row {
                            // A grant as well, so that no posture denies.
                            grant: Entry::leaf(leaf),
                            watch: Entry::leaf(leaf),
                            ..Row::default()
                        });
                        next
                    });
                    [row, 0]
                }
            };
            self.pairs.push(pair);
        }
        self.lists.push([start, list.len() as u32]);
        self.lists.len() as u32 - 1
    }
}

/// The nodes that walks can reach, each behind all that are below it.
fn children_first(trie: &Trie) -> Vec<u32> {
    let mut children: Vec<Vec<u32>> = vec![Vec::new(); trie.nodes.len()];
    for (number, node) in (0u32..).zip(&trie.nodes).skip(1) {
        if node.owner != Node::FREE
            && let Some(of_owner) = children.get_mut(node.owner as usize)
        {
            of_owner.push(number);
        }
    }
    // No node has two owners, so what the root leads to is a tree even in a damaged image.
    let mut order = Vec::with_capacity(trie.nodes.len());
    let mut open = vec![0u32];
    while let Some(node) = open.pop() {
        if let Some(below) = children.get(node as usize) {
            order.push(node);
            open.extend(below);
        }
    }
    order.reverse();
    order
}

/// Whether the bytes that lead from a node's parent to it hold a slash.
fn passes_slash(trie: &Trie, node: u32) -> bool {
    let Some(record) = trie.nodes.get(node as usize) else {
        return false;
    };
    let base = trie
        .nodes
        .get(record.owner as usize)
        .map(|owner| owner.base);
    let edge = base.map(|base| node.wrapping_sub(base));
    let [low, high] = record.head.map(u32::to_le_bytes);
    // The bytes that aren't the label's are zeros, and no length is a slash.
    let in_head = low.iter().chain(&high).any(|byte| *byte == b'/');
    let in_tail = trie
        .places
        .get(node as usize)
        .is_some_and(|place| place.tail.of(&trie.labels).contains(&b'/'));
    edge == Some(u32::from(b'/')) || in_head || in_tail
}

/// What a write to an object with these rows can lead to; `None` where it always passes in silence.
///
/// The owners of paths below a renamed directory aren't known to the programs, so that `ownerOnly`
/// never holds.
fn judge(tables: &Tables, rows: ObjectRows) -> Option<Item> {
    let mut sources = BTreeSet::from([0]);
    for number in [rows.paths, rows.patterns] {
        let row = tables.row(number);
        for list in [row.grant_exceptions, row.watch_exceptions] {
            let exceptions = tables.exceptions(list).iter();
            sources.extend(exceptions.map(|exception| exception.class));
        }
    }
    let states = [false, true].map(|tty| Holding::new(false, false, tty));
    let decisions: BTreeSet<(Verdict, Order)> = sources
        .iter()
        .flat_map(|source| states.map(|state| (*source, state)))
        .map(|(source, state)| tables.decide_rows(Class::File, rows, source, state))
        .map(|decision| (decision.verdict, order(&decision)))
        .collect();
    let least = |verdict: Verdict| {
        let of_verdict = decisions.iter().filter(|(found, _)| *found == verdict);
        of_verdict.map(|(_, order)| *order).min()
    };
    let (denies, reports) = (least(Verdict::Block), least(Verdict::Audit));
    let strictest = decisions.last().map(|(verdict, _)| *verdict)?;
    (strictest != Verdict::Allow).then_some(Item {
        denies,
        reports,
        always: decisions.len() == 1,
        what: What::Rows(rows),
    })
}

fn order(decision: &Decision) -> Order {
    match decision.cause {
        Cause::Rule(rule) => (0, rule.0),
        Cause::Posture => (1, 0),
        Cause::None => (2, 0),
    }
}

impl Gathered {
    /// Cuts a list that is too long to one item: the strictest for all.
    fn within_bound(mut self, cut: &mut BTreeSet<(Option<u32>, Outcome)>) -> Self {
        if self.items.len() <= MAX_BELOW {
            return self;
        }
        let denial = self.items.iter().filter_map(|item| item.denies).min();
        let report = self.items.iter().filter_map(|item| item.reports).min();
        let Some(order) = denial.or(report) else {
            return self;
        };
        let rule = (order.0 == 0).then_some(order.1);
        cut.insert((rule, Outcome::Stricter));
        let what = match (rule, denial) {
            (Some(rule), Some(_)) => {
                let leaf = Leaf::new(Rank::EXACT, true, RuleId(rule));
                What::Rows(ObjectRows {
                    paths: Entry::leaf(leaf).word(),
                    patterns: 0,
                })
            }
            (Some(rule), None) => What::Report(rule),
            // No rule at all: the posture decides, as it did for one of these.
            (None, _) => What::Rows(ObjectRows::default()),
        };
        self.items = BTreeSet::from([Item {
            denies: denial,
            reports: report.filter(|_| denial.is_none()),
            always: true,
            what,
        }]);
        self
    }

    /// Leaves out what can't matter beside the rest.
    fn reduced(mut self) -> Self {
        let always = |order: fn(&Item) -> Option<Order>| {
            let items = self.items.iter().filter(|item| item.always);
            items
                .filter_map(|item| Some((order(item)?, *item)))
                .min_by_key(|(order, _)| *order)
        };
        let denial = always(|item| item.denies);
        let report = always(|item| item.reports);
        self.items.retain(|item| match (denial, report) {
            // Nothing but a denial of a smaller rule counts beside one that always stands.
            (Some((order, kept)), _) => *item == kept || item.denies.is_some_and(|own| own < order),
            (None, Some((order, kept))) => {
                *item == kept
                    || item.denies.is_some()
                    || item.reports.is_some_and(|own| own < order)
            }
            (None, None) => true,
        });
        self
    }
}
