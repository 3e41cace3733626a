//! Decision classes: cells on which all policies say the same become one type.
//!
//! A new file is labelled by the directory that it is made in. So a class is not only what may be
//! done with a path, but also, were it a directory, which classes its files are of.

use std::collections::{BTreeMap, HashMap};

use gambeson_policy_model::{EventPath, Verdict};

use super::error::LowerError;
use super::limits::LowerLimits;
use super::space::{CellId, Overlap, Region, Space};
use super::subject::{Access, Policy, UNNAMED, Verdicts};
use super::tries::strings;

/// The number of a type.
pub(crate) type TypeId = usize;

/// What a policy says of a class.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    /// By place of the source class.
    pub(crate) verdicts: Vec<Verdicts>,
    /// The place of the source class that a program of this type is of.
    pub(crate) source: usize,
}

/// One type.
#[derive(Debug)]
pub(crate) struct FileType {
    /// A path of it.
    pub(crate) example: Vec<u8>,
    /// What each policy says.
    pub(crate) rows: usize,
    /// The type of files made in a directory of this type; `None` for its own.
    pub(crate) made: Option<TypeId>,
    /// The types of files made under these names.
    pub(crate) named: Vec<(Vec<u8>, TypeId)>,
    /// What the type is called if it is one for all generations.
    pub(crate) lasting: Option<&'static str>,
}

/// All types.
#[derive(Debug)]
pub(crate) struct Classes {
    pub(crate) types: Vec<FileType>,
    /// The type of each cell; `None` where the files keep the labels they have.
    pub(crate) of_cell: Vec<Option<TypeId>>,
    /// Rows by number: one for each policy.
    pub(crate) rows: Vec<Vec<Row>>,
    /// The rows of objects whose path is unknown.
    pub(crate) unknown: usize,
    /// The rows of files that keep the labels they have, or would.
    pub(crate) elsewhere: usize,
}

/// A path of which nothing names anything.
pub(crate) const ELSEWHERE: &[u8] = &[b'/', UNNAMED, b'/', UNNAMED];

/// Numbers rows that are equal.
#[derive(Default)]
struct Rows {
    numbers: HashMap<Vec<Row>, usize>,
    all: Vec<Vec<Row>>,
}

impl Rows {
    fn number(&mut self, rows: Vec<Row>) -> usize {
        let next = self.all.len();
        let all = &mut self.all;
        *self.numbers.entry(rows).or_insert_with_key(|rows| {
            all.push(rows.clone());
            next
        })
    }
}

impl Classes {
    /// Divides the cells. With `keep`, files of which no policy says anything but what it says of any
    /// path keep the labels they have.
    pub(crate) fn new(
        space: &Space,
        policies: &[Policy<'_>],
        keep: bool,
        limits: &LowerLimits,
    ) -> Result<Self, LowerError> {
        let renames = renames(space, policies);
        let mut rows = Rows::default();
        let of_path = |path: EventPath<'_>| -> Vec<Row> {
            let row = |policy: &Policy<'_>| Row {
                verdicts: policy
                    .sources
                    .iter()
                    .map(|source| policy.verdicts(&path, &source.program))
                    .collect(),
                source: path.bytes().map_or(0, |path| policy.source_of(path)),
            };
            policies.iter().map(row).collect()
        };
        let unknown = rows.number(of_path(EventPath::UNRESOLVABLE));
        let elsewhere = rows.number(of_path(ELSEWHERE.into()));
        let rows_of_cell: Vec<usize> = (0..)
            .zip(&space.paths)
            .map(|(cell, path)| {
                let mut own = of_path(path.as_slice().into());
                for ((policy, source), verdict) in renames.get(&cell).into_iter().flatten() {
                    let verdicts = own
                        .get_mut(*policy)
                        .and_then(|row| row.verdicts.get_mut(*source));
                    if let Some(Verdicts([.., rename])) = verdicts {
                        *rename = (*rename).max(*verdict);
                    }
                }
                rows.number(own)
            })
            .collect();
        let below = Below::new(space);
        let kept = if keep {
            kept_cells(space, &|cell| rows_of_cell.get(cell) == Some(&elsewhere))
        } else {
            vec![false; space.paths.len()]
        };
        let kept = |cell: CellId| kept.get(cell).copied().unwrap_or(false);
        let blocks = refine(&rows_of_cell, &below, &kept);
        let mut own = Self {
            types: Vec::new(),
            of_cell: vec![None; space.paths.len()],
            rows: rows.all,
            unknown,
            elsewhere,
        };
        let mut type_of_block: HashMap<usize, TypeId> = HashMap::new();
        for (cell, block) in blocks.iter().enumerate() {
            if kept(cell) {
                continue;
            }
            let next = own.types.len();
            let number = *type_of_block.entry(*block).or_insert(next);
            if number == next {
                if next == limits.types {
                    return Err(LowerError::TooManyTypes {
                        limit: limits.types,
                    });
                }
                own.types.push(FileType {
                    example: space.paths.get(cell).cloned().unwrap_or_default(),
                    rows: rows_of_cell.get(cell).copied().unwrap_or(elsewhere),
                    made: None,
                    named: Vec::new(),
                    lasting: None,
                });
            }
            if let Some(slot) = own.of_cell.get_mut(cell) {
                *slot = Some(number);
            }
        }
        own.label_new_files(&below);
        Ok(own)
    }

    /// Fills in how new files are labelled. All cells of a type agree on it.
    fn label_new_files(&mut self, below: &Below) {
        let mut done = vec![false; self.types.len()];
        let type_of =
            |of_cell: &[Option<TypeId>], cell: CellId| of_cell.get(cell).copied().flatten();
        for cell in 0..self.of_cell.len() {
            let Some(number) = type_of(&self.of_cell, cell) else {
                continue;
            };
            if done.get(number) != Some(&false) {
                continue;
            }
            if let Some(slot) = done.get_mut(number) {
                *slot = true;
            }
            let made = below.made.get(cell).copied().flatten();
            let made = made.and_then(|made| type_of(&self.of_cell, made));
            let mut named: Vec<(Vec<u8>, TypeId)> = Vec::new();
            for (name, cell) in below.named.get(cell).into_iter().flatten() {
                let Some(of_name) = type_of(&self.of_cell, *cell) else {
                    continue;
                };
                if of_name != made.unwrap_or(number) {
                    named.push((name.clone(), of_name));
                }
            }
            if let Some(own) = self.types.get_mut(number) {
                own.made = made.filter(|made| *made != number);
                own.named = named;
            }
        }
    }

    /// Adds a type for the files of a file system that has no labels of its own: files that are known to the
    /// kernel keep their type while policies are replaced, so that it must last.
    pub(crate) fn add_file_system(&mut self, name: &'static str, example: Vec<u8>, rows: usize) {
        self.types.push(FileType {
            example,
            rows,
            made: None,
            named: Vec::new(),
            lasting: Some(name),
        });
    }

    /// What a policy says of a type.
    pub(crate) fn row(&self, rows: usize, policy: usize) -> Option<&Row> {
        self.rows.get(rows)?.get(policy)
    }
}

/// The cells whose files keep the labels they have: those of which policies say nothing in particular,
/// unless an entry of another cell covers them.
fn kept_cells(space: &Space, plain: &dyn Fn(CellId) -> bool) -> Vec<bool> {
    let mut kept = vec![false; space.paths.len()];
    let mut keep = |cell: CellId| {
        if let Some(slot) = kept.get_mut(cell) {
            *slot = true;
        }
    };
    let cells = |overlap: &Overlap| overlap.child.into_iter().chain(overlap.deep);
    // Whether an entry of a directory further up covers the region. Parents come first.
    let mut covered: Vec<bool> = Vec::with_capacity(space.regions.len());
    for region in &space.regions {
        let bare = region.directory.strip_suffix(b"/").unwrap_or_default();
        let is_covered = !bare.is_empty() && {
            let above = space.region_of(bare);
            let typed = |above: &Region| {
                let mut cells = above.overlaps.iter().flat_map(cells);
                cells.any(|cell| !plain(cell))
            };
            covered.get(above).copied().unwrap_or(false)
                || space.regions.get(above).is_some_and(typed)
        };
        covered.push(is_covered);
        if is_covered {
            continue;
        }
        for overlap in &region.overlaps {
            let mut within = region.overlaps.iter().filter(|other| {
                let mut patterns = other.patterns.iter();
                patterns.all(|id| overlap.patterns.binary_search(id).is_ok())
            });
            if within.all(|other| cells(other).all(plain)) {
                cells(overlap).for_each(&mut keep);
            }
        }
    }
    for (path, cell) in &space.exact {
        let number = space.region_of(path);
        let Some(region) = space.regions.get(number) else {
            continue;
        };
        let matching = space.patterns.accepted(&space.patterns.after(path));
        let mut within = region.overlaps.iter().filter(|other| {
            let mut patterns = other.patterns.iter();
            patterns.all(|id| matching.binary_search(id).is_ok())
        });
        let free = !covered.get(number).copied().unwrap_or(false);
        if free && plain(*cell) && within.all(|other| cells(other).all(plain)) {
            keep(*cell);
        }
    }
    kept
}

/// For each cell that is a directory: the cells of the files in it.
struct Below {
    made: Vec<Option<CellId>>,
    named: Vec<Vec<(Vec<u8>, CellId)>>,
}

impl Below {
    fn new(space: &Space) -> Self {
        let mut named: Vec<Vec<(Vec<u8>, CellId)>> = vec![Vec::new(); space.paths.len()];
        for (path, cell) in &space.exact {
            let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else {
                continue;
            };
            let (directory, name) = path.split_at(slash);
            let name = name.get(1..).unwrap_or_default();
            let directory: &[u8] = if directory.is_empty() {
                b"/"
            } else {
                directory
            };
            if !name.is_empty()
                && let Some(above) = space.exact.get(directory)
                && let Some(slot) = named.get_mut(*above)
            {
                slot.push((name.to_vec(), *cell));
            }
        }
        let mut made: Vec<Option<CellId>> = space
            .paths
            .iter()
            .map(|path| {
                let slash: &[u8] = if path.ends_with(b"/") { b"" } else { b"/" };
                space.cell_of(&[path.as_slice(), slash, &[UNNAMED]].concat())
            })
            .collect();
        // Below a directory many paths share a cell, and one of them doesn't speak for all.
        for region in &space.regions {
            for overlap in &region.overlaps {
                let [of_children, of_deeper] = &overlap.made;
                for (cell, patterns) in [(overlap.child, of_children), (overlap.deep, of_deeper)] {
                    let mut all = region.overlaps.iter();
                    let found = all.find(|other| other.patterns == *patterns);
                    let found = found.and_then(|other| other.deep);
                    if let Some(slot) = cell.and_then(|cell| made.get_mut(cell)) {
                        *slot = found.or(*slot);
                    }
                }
            }
        }
        Self { made, named }
    }
}

/// What a block of cells was told apart by: its own former block, that of new files, and those of
/// names.
type Signature<'n> = (usize, Option<usize>, Vec<(&'n [u8], usize)>);

/// Splits blocks of cells with equal rows until all cells of a block label new files alike.
fn refine(rows: &[usize], below: &Below, kept: &dyn Fn(CellId) -> bool) -> Vec<usize> {
    let mut blocks = rows.to_vec();
    let mut count = 0;
    loop {
        let mut numbers: HashMap<Signature<'_>, usize> = HashMap::new();
        let next: Vec<usize> = (0..blocks.len())
            .map(|cell| {
                let block = |cell: CellId| blocks.get(cell).copied();
                let own = block(cell).unwrap_or(0);
                let signature: Signature<'_> = if kept(cell) {
                    (own, None, Vec::new())
                } else {
                    let made = below.made.get(cell).copied().flatten();
                    let made = made.filter(|made| !kept(*made)).and_then(block);
                    let default = made.unwrap_or(own);
                    let named = below.named.get(cell).into_iter().flatten();
                    let named = named
                        .filter(|(_, cell)| !kept(*cell))
                        .filter_map(|(name, cell)| Some((name.as_slice(), block(*cell)?)))
                        .filter(|(_, block)| *block != default)
                        .collect();
                    (own, made, named)
                };
                let number = numbers.len();
                *numbers.entry(signature).or_insert(number)
            })
            .collect();
        let found = numbers.len();
        blocks = next;
        if found == count {
            return blocks;
        }
        count = found;
    }
}

/// By cell: the strictest verdict on writing what rules name below it, by policy and source class.
type Renames = HashMap<CellId, BTreeMap<(usize, usize), Verdict>>;

fn renames(space: &Space, policies: &[Policy<'_>]) -> Renames {
    let mut renames = Renames::new();
    for (place, policy) in policies.iter().enumerate() {
        let tables = policy.compiled.tables();
        let strings: HashMap<u32, Vec<u8>> = strings(&tables.file).into_iter().collect();
        for path in tables.named.iter().filter_map(|node| strings.get(node)) {
            for (number, source) in policy.sources.iter().enumerate() {
                let event_path = EventPath::from(path.as_slice());
                let verdict = policy
                    .decide(Access::Write, event_path, &source.program)
                    .verdict;
                if verdict == Verdict::Allow {
                    continue;
                }
                let slashes = (1..path.len()).filter(|at| path.get(*at) == Some(&b'/'));
                for above in slashes.filter_map(|at| path.get(..at)) {
                    if let Some(cell) = space.exact.get(above) {
                        let slot = renames.entry(*cell).or_default();
                        let worst = slot.entry((place, number)).or_insert(verdict);
                        *worst = (*worst).max(verdict);
                    }
                }
            }
        }
    }
    renames
}
