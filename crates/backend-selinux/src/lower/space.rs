//! All paths, divided into cells: paths of one cell are alike to every policy.
//!
//! A cell is either one path that a rule, or the way to it, names; or what lies below a directory
//! that a rule names, apart for its direct children and what is deeper, and for each set of patterns
//! that match together there.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::error::LowerError;
use super::limits::LowerLimits;
use super::pattern::{PatternId, Patterns, Positions};
use super::subject::UNNAMED;
use super::tries::{Named, is_resolved};

/// The number of a cell.
pub(crate) type CellId = usize;

/// The paths below a directory, up to the next directory that a rule names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region {
    /// The directory with its slash.
    pub(crate) directory: Vec<u8>,
    /// Where patterns stand behind the directory's name.
    pub(crate) start: Positions,
    /// The sets of patterns that match together, the smaller first.
    pub(crate) overlaps: Vec<Overlap>,
}

/// What is below a directory and matched by these patterns and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlap {
    pub(crate) patterns: Vec<PatternId>,
    /// The cell of direct children, if there can be any.
    pub(crate) child: Option<CellId>,
    /// The cell of what is deeper.
    pub(crate) deep: Option<CellId>,
    /// The patterns that new files with any name match in such directories: of direct children, and of
    /// what is deeper. Where directories differ in that, the fewest.
    pub(crate) made: [Vec<PatternId>; 2],
}

/// All paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) patterns: Patterns,
    pub(crate) regions: Vec<Region>,
    by_directory: HashMap<Vec<u8>, usize>,
    /// Paths with a cell of their own.
    pub(crate) exact: BTreeMap<Vec<u8>, CellId>,
    /// A path of each cell.
    pub(crate) paths: Vec<Vec<u8>>,
}

impl Space {
    pub(crate) fn new(
        named: Named,
        patterns: Patterns,
        limits: &LowerLimits,
    ) -> Result<Self, LowerError> {
        let mut paths: Vec<Vec<u8>> = Vec::new();
        let exact: BTreeMap<Vec<u8>, CellId> = named
            .exact
            .into_iter()
            .map(|path| {
                paths.push(path.clone());
                (path, paths.len() - 1)
            })
            .collect();
        let by_directory: HashMap<Vec<u8>, usize> =
            named.directories.iter().cloned().zip(0..).collect();
        let mut space = Self {
            patterns,
            regions: Vec::new(),
            by_directory,
            exact,
            paths,
        };
        let mut known: HashMap<Positions, Vec<Found>> = HashMap::new();
        let mut entries = 0;
        for directory in named.directories {
            let region = space.region(directory, &mut known, limits)?;
            entries += region.overlaps.len();
            if entries > limits.entries {
                return Err(LowerError::TooManyEntries {
                    directory: String::from_utf8_lossy(&region.directory).into_owned(),
                    count: region.overlaps.len(),
                    limit: limits.entries,
                });
            }
            space.regions.push(region);
        }
        Ok(space)
    }

    /// The deepest directory around a path that a rule names.
    pub(crate) fn region_of(&self, path: &[u8]) -> usize {
        let slashes = (0..path.len())
            .rev()
            .filter(|at| path.get(*at) == Some(&b'/'));
        // A path that ends in a slash isn't below itself.
        slashes
            .filter(|at| at + 1 < path.len())
            .find_map(|at| self.by_directory.get(path.get(..=at)?).copied())
            .unwrap_or(0)
    }

    /// The cell of a path. `None` for one that no file can have.
    pub(crate) fn cell_of(&self, path: &[u8]) -> Option<CellId> {
        if let Some(cell) = self.exact.get(path) {
            return Some(*cell);
        }
        let region = self.regions.get(self.region_of(path))?;
        let rest = path.get(region.directory.len()..)?;
        let positions = self.patterns.after(path);
        let matching = self.patterns.accepted(&positions);
        let overlap = region
            .overlaps
            .iter()
            .find(|overlap| overlap.patterns == matching)?;
        if rest.contains(&b'/') {
            overlap.deep
        } else {
            overlap.child
        }
    }

    fn region(
        &mut self,
        directory: Vec<u8>,
        known: &mut HashMap<Positions, Vec<Found>>,
        limits: &LowerLimits,
    ) -> Result<Region, LowerError> {
        let start = self.patterns.after(&directory);
        let blame = || LowerError::TooManyStates {
            directory: String::from_utf8_lossy(&directory).into_owned(),
            patterns: self.patterns_in(&start).len(),
            pattern: self
                .patterns_in(&start)
                .into_iter()
                .map(|id| self.patterns.text(id).to_owned())
                .max_by_key(String::len)
                .unwrap_or_default(),
            limit: limits.states,
        };
        if !known.contains_key(&start) {
            let found = follow(&self.patterns, &start, limits.states, None).ok_or_else(blame)?;
            known.insert(start.clone(), found);
        }
        let found = known.get(&start).map_or(&[][..], Vec::as_slice);
        let good = |rest: &[u8]| self.is_in_region(&directory, rest);
        let mut cells: Vec<Found> = Vec::new();
        let mut missing: HashSet<(Vec<PatternId>, bool)> = HashSet::new();
        for one in found {
            match one.rests.iter().find(|rest| good(rest)) {
                Some(rest) => cells.push(Found {
                    rests: vec![rest.clone()],
                    ..one.clone()
                }),
                None => {
                    missing.insert((one.patterns.clone(), one.deep));
                }
            }
        }
        if !missing.is_empty() {
            // What was tried has a cell of its own; others may not.
            let around = Around {
                space: self,
                directory: &directory,
            };
            let again =
                follow(&self.patterns, &start, limits.states, Some(&around)).ok_or_else(blame)?;
            for mut one in again {
                one.rests.retain(|rest| good(rest));
                if !one.rests.is_empty() && missing.remove(&(one.patterns.clone(), one.deep)) {
                    cells.push(one);
                }
            }
        }
        cells.sort_by(|a, b| {
            let key = |one: &Found| (one.patterns.len(), one.patterns.clone(), one.deep);
            key(a).cmp(&key(b))
        });
        let mut overlaps: Vec<Overlap> = Vec::new();
        for Found {
            patterns,
            deep,
            rests,
            made,
        } in cells
        {
            let Some(rest) = rests.first() else { continue };
            let cell = self.paths.len();
            self.paths.push([directory.as_slice(), rest].concat());
            if overlaps.last().is_none_or(|last| last.patterns != patterns) {
                overlaps.push(Overlap {
                    patterns,
                    child: None,
                    deep: None,
                    made: [Vec::new(), Vec::new()],
                });
            }
            if let Some(last) = overlaps.last_mut() {
                let [of_children, of_deeper] = &mut last.made;
                let (slot, of) = if deep {
                    (&mut last.deep, of_deeper)
                } else {
                    (&mut last.child, of_children)
                };
                (*slot, *of) = (Some(cell), made);
            }
        }
        Ok(Region {
            directory,
            start,
            overlaps,
        })
    }

    fn patterns_in(&self, positions: &[u32]) -> Vec<PatternId> {
        self.patterns.owners_of(positions)
    }

    /// Whether the directory and the rest are a path that belongs to the region's cells.
    fn is_in_region(&self, directory: &[u8], rest: &[u8]) -> bool {
        let path = [directory, rest].concat();
        is_resolved(&path)
            && !rest.is_empty()
            && rest.last() != Some(&b'/')
            && !self.exact.contains_key(&path)
            && !(directory.len()..path.len())
                .filter(|at| path.get(*at) == Some(&b'/'))
                .filter_map(|at| path.get(..=at))
                .any(|inner| self.by_directory.contains_key(inner))
    }
}

/// A set of patterns that match together, and some paths on which they do.
#[derive(Debug, Clone)]
struct Found {
    patterns: Vec<PatternId>,
    /// Whether the paths are not direct children.
    deep: bool,
    /// What follows the directory.
    rests: Vec<Vec<u8>>,
    /// The patterns that match a file with any name in such a directory; where that differs, the fewest.
    made: Vec<PatternId>,
}

/// How many paths are kept for each set, since some may have cells of their own.
const KEPT: usize = 4;

/// The paths with cells of their own around a directory.
struct Around<'s> {
    space: &'s Space,
    directory: &'s [u8],
}

impl Around<'_> {
    /// Whether a path leads into the next directory that a rule names.
    fn is_left(&self, rest: &[u8]) -> bool {
        let path = [self.directory, rest].concat();
        self.space.by_directory.contains_key(&path)
    }

    /// The bytes with which paths that have cells of their own go on.
    fn next_bytes(&self, rest: &[u8]) -> Vec<u8> {
        let prefix = [self.directory, rest].concat();
        let mut bytes: Vec<u8> = self
            .space
            .exact
            .range(prefix.clone()..)
            .map_while(|(path, _)| path.strip_prefix(prefix.as_slice()))
            .filter_map(|more| more.first().copied())
            .collect();
        bytes.dedup();
        bytes
    }
}

/// Follows patterns from some positions over all that can come, and tells which match together.
/// `None` if that takes more states than the limit.
fn follow(
    patterns: &Patterns,
    start: &Positions,
    limit: usize,
    around: Option<&Around<'_>>,
) -> Option<Vec<Found>> {
    if start.is_empty() {
        let found = |deep, rest: &[u8]| Found {
            patterns: Vec::new(),
            deep,
            rests: vec![rest.to_vec()],
            made: Vec::new(),
        };
        return Some(vec![
            found(false, &[UNNAMED]),
            found(true, &[UNNAMED, b'/', UNNAMED]),
        ]);
    }
    /// Where one is: the positions, whether a slash was passed, whether it was the last byte, and
    /// what was passed if paths with cells of their own go on with it.
    type State = (Positions, bool, bool, Option<Vec<u8>>);
    /// Paths, and the patterns that new files with any name match below them.
    type Seen = (Vec<Vec<u8>>, Vec<PatternId>);
    let mut found: BTreeMap<(Vec<PatternId>, bool), Seen> = BTreeMap::new();
    let mut seen: HashSet<State> = HashSet::new();
    let first: State = (start.clone(), false, true, around.map(|_| Vec::new()));
    seen.insert(first.clone());
    let mut todo: VecDeque<(State, Vec<u8>)> = VecDeque::from([(first, Vec::new())]);
    while let Some(((positions, deep, after_slash, on_path), rest)) = todo.pop_front() {
        let own = match (around, &on_path) {
            (Some(around), Some(passed)) => around.next_bytes(passed),
            _ => Vec::new(),
        };
        let bytes = patterns.alphabet().iter().chain(&own).copied();
        for byte in bytes {
            let slash = byte == b'/';
            if slash && after_slash {
                continue;
            }
            let next = patterns.step(&positions, byte);
            let mut longer = rest.clone();
            longer.push(byte);
            let on_path = match &on_path {
                Some(_) if own.contains(&byte) => Some(longer.clone()),
                _ => None,
            };
            if slash && around.is_some_and(|around| around.is_left(&longer)) {
                continue;
            }
            let state: State = (next, deep || slash, slash, on_path);
            let is_new = seen.insert(state.clone());
            if !slash {
                let made = || {
                    let inside = patterns.step(&state.0, b'/');
                    patterns.accepted(&patterns.step(&inside, UNNAMED))
                };
                let (paths, fewest) = found
                    .entry((patterns.accepted(&state.0), state.1))
                    .or_insert_with(|| (Vec::new(), made()));
                if is_new {
                    let made = made();
                    if (made.len(), &made) < (fewest.len(), fewest) {
                        *fewest = made;
                    }
                }
                if paths.len() < KEPT {
                    paths.push(longer.clone());
                } else if around.is_some() && state.3.is_none() {
                    // What leads to no path with a cell of its own is an example for sure.
                    paths.insert(0, longer.clone());
                    paths.truncate(KEPT);
                }
            }
            if is_new {
                if seen.len() > limit {
                    return None;
                }
                todo.push_back((state, longer));
            }
        }
    }
    Some(
        found
            .into_iter()
            .map(|((patterns, deep), (rests, made))| Found {
                patterns,
                deep,
                rests,
                made,
            })
            .collect(),
    )
}
