//! The tables of a class whose objects are paths: process, file and, in the form of a path, DNS.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use gambeson_policy_model::{Object, Rule};

use crate::compile::cells::{Cells, Context};
use crate::compile::dns;
use crate::compile::globs::{Group, Patterns, Spreader, split_alternatives};
use crate::compile::skeleton::{Skeleton, runs};
use crate::config::CompileError;
use crate::tables::Tables;
use crate::tables::automaton::{Automaton, Globs, STOP, name_bit};
use crate::tables::entry::Rank;
use crate::tables::trie::{Region, Trie};

/// What a key of the trie says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    /// This rule names exactly the key.
    Exact(u32),
    /// The key is a directory, and this rule matches the directory itself.
    Itself(u32),
    /// The key is a directory, slash and all, and this rule matches its direct children.
    Children(u32),
    /// So it does, and everything below.
    Below(u32),
    /// The forward pattern at this place hangs from here.
    Hanging(usize),
}

/// What becomes of the rules of one class.
pub(crate) struct Compiled {
    pub(crate) trie: Trie,
    pub(crate) globs: Globs,
    /// The nodes whose byte strings rules name, in order.
    pub(crate) named: Vec<u32>,
}

/// Compiles rules of one class.
pub(crate) fn compile<'r>(
    rules: impl Iterator<Item = (u32, &'r Rule)>,
    cells: &mut Cells<'_>,
    tables: &mut Tables,
    spreader: &Spreader,
) -> Result<Compiled, CompileError> {
    let mut patterns = Patterns::default();
    let mut said: Vec<(Vec<u8>, Says)> = Vec::new();
    for (id, rule) in rules {
        match &rule.object {
            Object::Path(path) => said.push((path.clone().into_bytes(), Says::Exact(id))),
            Object::Directory(directory) => {
                let path = directory.path.as_bytes();
                say_directory(&mut said, path, id, directory.recursive, true);
            }
            Object::Domain(domain) => {
                let path = dns::path_of(domain);
                say_directory(&mut said, &path, id, true, true);
            }
            Object::ExecName(name) => patterns.add_execname(id, name),
            Object::Pattern(glob) => {
                let (directories, alternatives) = split_alternatives(glob);
                for directory in directories {
                    say_directory(&mut said, &directory, id, true, false);
                }
                for alternative in alternatives {
                    patterns.add_alternative(id, rule, alternative);
                }
            }
            _ => {}
        }
    }
    for (place, (literal, _)) in patterns.forward.iter().enumerate() {
        said.push((literal.clone(), Says::Hanging(place)));
    }
    said.sort_unstable();
    said.dedup();
    let shape = Shape::new(&said);
    let forward = spreader.forward(
        &patterns.forward,
        &shape.skeleton,
        &shape.keys,
        &shape.hanging(),
    )?;
    let backward = spreader.backward(&patterns.backward)?;
    let forward_ids: Vec<u32> = patterns
        .forward
        .iter()
        .map(|(_, pattern)| pattern.id)
        .collect();
    let backward_ids: Vec<u32> = patterns.backward.iter().map(|pattern| pattern.id).collect();
    let mut accepting = Accepting {
        rows: HashMap::from([(Vec::new(), 0)]),
    };
    let names = Names::new(&mut patterns.names);
    let mut globs = Globs {
        names: names.lay_out(&mut accepting, cells, tables),
        name_bytes: names.filter_bytes(),
        name_filter: names.filter(),
        ..Globs::default()
    };
    let mut forward_accepts = Vec::new();
    for group in &forward {
        let (automaton, accepts) = accepting.finish(group, &forward_ids, cells, tables);
        globs.forward.push(automaton);
        forward_accepts.push(accepts);
    }
    let mut backward_accepts = Vec::new();
    for group in &backward {
        let (automaton, accepts) = accepting.finish(group, &backward_ids, cells, tables);
        globs.backward.push(automaton);
        backward_accepts.push(accepts);
    }
    let (mut trie, slots) = shape.fill(cells, tables);
    // What patterns say of the nodes themselves is settled here, so that a walk that ends on a node
    // needs no automaton.
    let nowhere = vec![0; forward.len()];
    globs.starts.extend_from_slice(&nowhere);
    let mut tuples = HashMap::from([(nowhere, 0)]);
    for (number, bone) in shape.skeleton.nodes.iter().enumerate() {
        let tuple: Vec<u32> = forward
            .iter()
            .map(|group| group.after_node.get(number).copied().unwrap_or(0))
            .collect();
        let mut ids: Vec<u32> = Vec::new();
        for (state, accepts) in tuple.iter().zip(&forward_accepts) {
            ids.extend(accepts.get(*state as usize).into_iter().flatten());
        }
        let string = shape.skeleton.string(&shape.keys, bone);
        ids.extend(names.of_path(string));
        for (automaton, accepts) in globs.backward.iter().zip(&backward_accepts) {
            let state = automaton.last_state(automaton.start, string.iter().rev().copied());
            ids.extend(accepts.get((state & !STOP) as usize).into_iter().flatten());
        }
        ids.sort_unstable();
        ids.dedup();
        let next = tuples.len() as u32;
        let tuple = *tuples.entry(tuple).or_insert_with_key(|tuple| {
            globs.starts.extend_from_slice(tuple);
            next
        });
        let slot = slots.get(number).copied().unwrap_or(0);
        if let Some(place) = trie.places.get_mut(slot) {
            place.exact_globs = accepting.row(ids, cells, tables);
            place.globs = tuple;
        }
    }
    Ok(Compiled {
        named: shape.named(&slots),
        trie,
        globs,
    })
}

/// Says what a directory's rule does of its keys. A pattern that ranks as a directory doesn't match
/// the directory itself.
fn say_directory(
    said: &mut Vec<(Vec<u8>, Says)>,
    path: &[u8],
    id: u32,
    recursive: bool,
    itself: bool,
) {
    let below = if recursive {
        Says::Below(id)
    } else {
        Says::Children(id)
    };
    said.push((path.to_vec(), below));
    if itself {
        said.push((path.to_vec(), Says::Itself(id)));
        if let Some(bare) = path.strip_suffix(b"/").filter(|bare| !bare.is_empty()) {
            said.push((bare.to_vec(), Says::Itself(id)));
        }
    }
}

/// The keys and the shape of the trie over them.
struct Shape<'s> {
    said: &'s [(Vec<u8>, Says)],
    runs: Vec<Range<usize>>,
    keys: Vec<&'s [u8]>,
    skeleton: Skeleton,
}

/// What holds around a directory: for its direct children, and for what is deeper.
#[derive(Clone, Default)]
struct Around {
    children: Rc<Context>,
    deep: Rc<Context>,
}

impl<'s> Shape<'s> {
    fn new(said: &'s [(Vec<u8>, Says)]) -> Self {
        let runs = runs(said, |(key, _)| key.as_slice());
        let keys: Vec<&[u8]> = runs
            .iter()
            .filter_map(|run| said.get(run.start).map(|(key, _)| key.as_slice()))
            .collect();
        let skeleton = Skeleton::new(&keys);
        Self {
            said,
            runs,
            keys,
            skeleton,
        }
    }

    /// What is said of a node's own key.
    fn said_of(&self, terminal: Option<u32>) -> &'s [(Vec<u8>, Says)] {
        terminal
            .and_then(|key| self.runs.get(key as usize))
            .and_then(|run| self.said.get(run.clone()))
            .unwrap_or_default()
    }

    /// The nodes that rules name: paths, and directories without their slash. A pattern that ranks
    /// as a directory names none.
    fn named(&self, slots: &[usize]) -> Vec<u32> {
        let names = |(key, says): &(Vec<u8>, Says)| match says {
            Says::Exact(_) => true,
            Says::Itself(_) => !key.ends_with(b"/"),
            _ => false,
        };
        let bones = self.skeleton.nodes.iter().zip(slots);
        let mut named: Vec<u32> = bones
            .filter(|(bone, _)| self.said_of(bone.terminal).iter().any(names))
            .map(|(_, slot)| *slot as u32)
            .collect();
        named.sort_unstable();
        named
    }

    /// For each node the places of the forward patterns that hang from it.
    fn hanging(&self) -> Vec<Vec<usize>> {
        let nodes = self.skeleton.nodes.iter();
        nodes
            .map(|bone| {
                let said = self.said_of(bone.terminal).iter();
                said.filter_map(|(_, says)| match says {
                    Says::Hanging(place) => Some(*place),
                    _ => None,
                })
                .collect()
            })
            .collect()
    }

    /// Lays the trie out and fills in the rows of nodes and regions.
    fn fill(&self, cells: &mut Cells<'_>, tables: &mut Tables) -> (Trie, Vec<usize>) {
        let (mut trie, slots) = self.skeleton.lay_out(&self.keys);
        let mut around = vec![Around::default()];
        trie.regions.push(Region::default());
        let mut region_of: Vec<u32> = Vec::with_capacity(self.skeleton.nodes.len());
        for (number, bone) in self.skeleton.nodes.iter().enumerate() {
            let above = region_of.get(bone.parent as usize).copied().unwrap_or(0);
            let outside = around.get(above as usize).cloned().unwrap_or_default();
            let region = trie
                .regions
                .get(above as usize)
                .copied()
                .unwrap_or_default();
            let inside = self
                .skeleton
                .string(&self.keys, bone)
                .get(region.directory_len as usize..)
                .unwrap_or_default();
            let is_deep = inside.contains(&b'/');
            let said = self.said_of(bone.terminal);
            let of = |wanted: fn(Says) -> Option<u32>| -> Vec<u32> {
                said.iter().filter_map(|(_, says)| wanted(*says)).collect()
            };
            let exact = of(|says| match says {
                Says::Exact(id) => Some(id),
                _ => None,
            });
            let itself = of(|says| match says {
                Says::Itself(id) => Some(id),
                _ => None,
            });
            let below = of(|says| match says {
                Says::Below(id) => Some(id),
                _ => None,
            });
            let mut children = of(|says| match says {
                Says::Children(id) | Says::Below(id) => Some(id),
                _ => None,
            });
            children.sort_unstable();
            let exact_row = if exact.is_empty() && itself.is_empty() {
                if is_deep { region.deep } else { region.child }
            } else {
                let base = if is_deep {
                    &outside.deep
                } else {
                    &outside.children
                };
                let mut context = Context::clone(base);
                cells.apply(tables, &mut context, &itself, Rank::DIRECTORY);
                cells.apply(tables, &mut context, &exact, Rank::EXACT);
                cells.row(tables, &context)
            };
            let own_region = if children.is_empty() {
                above
            } else {
                let mut deep = outside.deep.clone();
                if !below.is_empty() {
                    cells.apply(tables, Rc::make_mut(&mut deep), &below, Rank::DIRECTORY);
                }
                let mut direct = Context::clone(&outside.deep);
                cells.apply(tables, &mut direct, &children, Rank::DIRECTORY);
                trie.regions.push(Region {
                    directory_len: bone.len,
                    child: cells.row(tables, &direct),
                    deep: cells.row(tables, &deep),
                });
                around.push(Around {
                    children: Rc::new(direct),
                    deep,
                });
                around.len() as u32 - 1
            };
            region_of.push(own_region);
            let slot = slots.get(number).copied().unwrap_or(0);
            if let Some(place) = trie.places.get_mut(slot) {
                place.exact = exact_row;
                place.region = own_region;
            }
        }
        (trie, slots)
    }
}

/// Execnames and patterns that are told by the path's last component.
struct Names<'p> {
    /// Sorted by name.
    all: &'p [(Vec<u8>, bool, u32)],
}

impl<'p> Names<'p> {
    fn new(all: &'p mut [(Vec<u8>, bool, u32)]) -> Self {
        all.sort_unstable();
        Self { all }
    }

    /// The rules that a path's last component is named by.
    fn of_path(&self, path: &[u8]) -> Vec<u32> {
        let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else {
            return Vec::new();
        };
        let name = path.get(slash + 1..).unwrap_or_default();
        let first = self
            .all
            .partition_point(|(other, ..)| other.as_slice() < name);
        self.all
            .iter()
            .skip(first)
            .take_while(|(other, ..)| other == name)
            .filter(|(_, below_directory, _)| !below_directory || slash >= 2)
            .map(|(.., id)| *id)
            .collect()
    }

    /// How many last bytes all names have, with the slash in front; at most four.
    fn filter_bytes(&self) -> u32 {
        let lengths = self.all.iter().map(|(name, ..)| name.len() + 1);
        lengths.min().unwrap_or(0).min(4) as u32
    }

    /// Sixteen bits or more for each name, so that few other paths pass.
    fn filter(&self) -> Vec<u32> {
        if self.all.is_empty() {
            return Vec::new();
        }
        let mut filter = vec![0; self.all.len().div_ceil(2).next_power_of_two()];
        let bytes = self.filter_bytes();
        for (name, ..) in self.all {
            let mut last = [0; 4];
            for (slot, byte) in last.iter_mut().rev().zip(name.iter().rev().chain(b"/")) {
                *slot = *byte;
            }
            let bit = name_bit(last, bytes, filter.len());
            if let Some(word) = filter.get_mut(bit / 32) {
                *word |= 1 << (bit % 32);
            }
        }
        filter
    }

    fn lay_out(
        &self,
        accepting: &mut Accepting,
        cells: &mut Cells<'_>,
        tables: &mut Tables,
    ) -> Trie {
        let runs = runs(self.all, |(name, ..)| name.as_slice());
        let names: Vec<&[u8]> = runs
            .iter()
            .filter_map(|run| self.all.get(run.start).map(|(name, ..)| name.as_slice()))
            .collect();
        let skeleton = Skeleton::new(&names);
        let (mut trie, slots) = skeleton.lay_out(&names);
        trie.regions.push(Region::default());
        for (bone, slot) in skeleton.nodes.iter().zip(slots) {
            let run = bone.terminal.and_then(|key| runs.get(key as usize));
            let named = run
                .and_then(|run| self.all.get(run.clone()))
                .unwrap_or_default();
            let mut row = |top: bool| {
                let counting = named.iter().filter(|(_, below, _)| !top || !below);
                let mut ids: Vec<u32> = counting.map(|(.., id)| *id).collect();
                ids.sort_unstable();
                ids.dedup();
                accepting.row(ids, cells, tables)
            };
            let (exact, exact_globs) = (row(false), row(true));
            if let Some(place) = trie.places.get_mut(slot) {
                place.exact = exact;
                place.exact_globs = exact_globs;
            }
        }
        trie
    }
}

/// Rows of the sets of patterns and execnames that match together.
struct Accepting {
    rows: HashMap<Vec<u32>, u32>,
}

impl Accepting {
    /// The row of rules in order of their ids.
    fn row(&mut self, ids: Vec<u32>, cells: &mut Cells<'_>, tables: &mut Tables) -> u32 {
        if let Some(row) = self.rows.get(&ids) {
            return *row;
        }
        let mut context = Context::default();
        cells.apply_patterns(tables, &mut context, &ids);
        let row = cells.row(tables, &context);
        self.rows.insert(ids, row);
        row
    }

    /// Fills in what each state accepts. Gives the automaton and the rules of each state.
    fn finish(
        &mut self,
        group: &Group,
        ids: &[u32],
        cells: &mut Cells<'_>,
        tables: &mut Tables,
    ) -> (Automaton, Vec<Vec<u32>>) {
        let mut automaton = group.built.automaton.clone();
        let mut accepts = Vec::with_capacity(group.built.accepted.len());
        for (state, accepted) in automaton.states.iter_mut().zip(&group.built.accepted) {
            let mut matching: Vec<u32> = accepted
                .iter()
                .filter_map(|place| group.patterns.get(*place as usize))
                .filter_map(|place| ids.get(*place).copied())
                .collect();
            matching.sort_unstable();
            matching.dedup();
            if !matching.is_empty() {
                state.accept = self.row(matching.clone(), cells, tables);
            }
            accepts.push(matching);
        }
        (automaton, accepts)
    }
}
