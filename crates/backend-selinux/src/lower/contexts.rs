//! `file_contexts`: which path is of which type.
//!
//! Readers of the file don't agree on which of several matching entries has the last word: the last
//! in the file, the one below more literal directories, the one with the longer literal beginning,
//! the longer one. So entries are written such that all of these agree: an entry that is to win over
//! another one has the longer literal beginning, or the same one, more bytes, and comes later.

use super::classes::{Classes, TypeId};
use super::error::LowerError;
use super::limits::LowerLimits;
use super::pattern::PatternId;
use super::regex;
use super::space::{Region, Space};

/// One entry: all paths that the whole expression matches, whatever they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileContext {
    /// The expression, without the anchors that readers put around it.
    pub(crate) expression: String,
    pub(crate) of: TypeId,
}

/// The longest expression that readers take.
const MAX_EXPRESSION: usize = 4095;

/// The entries, and for each region those that stand.
pub(crate) fn entries(
    space: &Space,
    classes: &Classes,
    limits: &LowerLimits,
) -> Result<Vec<FileContext>, LowerError> {
    let mut found: Vec<FileContext> = Vec::new();
    let mut longest: Vec<usize> = Vec::new();
    for region in &space.regions {
        let before = found.len();
        below(space, classes, region, &mut found)?;
        let own = found.get(before..).unwrap_or_default();
        longest.push(
            own.iter()
                .map(|entry| entry.expression.len())
                .max()
                .unwrap_or(0),
        );
    }
    for (path, cell) in &space.exact {
        let Some(of) = classes.of_cell.get(*cell).copied().flatten() else {
            // Its files keep their labels; what is around it may not.
            continue;
        };
        if is_told_by_region(space, classes, path, of) {
            continue;
        }
        let (mut expression, is_literal) = regex::literal(path);
        let around = longest.get(space.region_of(path)).copied().unwrap_or(0);
        if !is_literal {
            // Readers take it for an expression; it must still be the longer one.
            while expression.len() <= around {
                expression.push_str("(?:)");
            }
        }
        found.push(FileContext { expression, of });
    }
    if found.len() > limits.entries {
        return Err(LowerError::TooManyEntries {
            directory: "/".to_owned(),
            count: found.len(),
            limit: limits.entries,
        });
    }
    Ok(found)
}

/// Whether a path gets its type from what is below a directory.
fn is_told_by_region(space: &Space, classes: &Classes, path: &[u8], of: TypeId) -> bool {
    let number = space.region_of(path);
    let Some(region) = space.regions.get(number) else {
        return false;
    };
    let Some(rest) = path
        .get(region.directory.len()..)
        .filter(|rest| !rest.is_empty())
    else {
        return false;
    };
    let matching = space.patterns.accepted(&space.patterns.after(path));
    // Patterns that match here alone were followed, but no entry tells of them.
    let overlap = region
        .overlaps
        .iter()
        .find(|overlap| overlap.patterns == matching);
    let cell = overlap.and_then(|overlap| {
        if rest.contains(&b'/') {
            overlap.deep
        } else {
            overlap.child
        }
    });
    cell.and_then(|cell| classes.of_cell.get(cell).copied().flatten()) == Some(of)
}

/// The entries of what is below a directory.
fn below(
    space: &Space,
    classes: &Classes,
    region: &Region,
    found: &mut Vec<FileContext>,
) -> Result<(), LowerError> {
    let (literal, _) = regex::literal(&region.directory);
    // For direct children, and for what is deeper, the sets that have an entry.
    let [mut children, mut deeper] = [Told::default(), Told::default()];
    for overlap in &region.overlaps {
        let given = |cell: Option<usize>| classes.of_cell.get(cell?).copied().flatten();
        let child = given(overlap.child).filter(|of| children.is_news(&overlap.patterns, *of));
        let deep = given(overlap.deep).filter(|of| deeper.is_news(&overlap.patterns, *of));
        let mut start = literal.clone();
        for pattern in &overlap.patterns {
            let wanted = space.patterns.wants(*pattern, &region.start);
            start.push_str("(?=(?:");
            start.push_str(&wanted);
            start.push_str(")\\z)");
        }
        let own: &[(&str, Option<TypeId>)] = if child.is_some() && child == deep {
            &[(ANY, child)]
        } else {
            &[(CHILD, child), (DEEP, deep)]
        };
        for (tail, of) in own {
            let Some(of) = *of else { continue };
            let expression = format!("{start}{tail}");
            if expression.len() > MAX_EXPRESSION {
                let patterns = overlap.patterns.iter();
                return Err(LowerError::EntryTooLong {
                    directory: String::from_utf8_lossy(&region.directory).into_owned(),
                    pattern: patterns
                        .map(|id| space.patterns.text(*id))
                        .max_by_key(|text| text.len())
                        .unwrap_or_default()
                        .to_owned(),
                    length: expression.len(),
                    limit: MAX_EXPRESSION,
                });
            }
            found.push(FileContext { expression, of });
        }
        children.tell(&overlap.patterns, child);
        deeper.tell(&overlap.patterns, deep);
    }
    Ok(())
}

/// Direct children of a directory.
const CHILD: &str = "[^/]+";
/// What is deeper.
const DEEP: &str = "[^/]+/.+";
/// Both.
const ANY: &str = ".+";

/// The sets of patterns that have an entry below a directory.
#[derive(Default)]
struct Told<'r>(Vec<(&'r [PatternId], TypeId)>);

impl<'r> Told<'r> {
    /// Whether a set needs an entry: unless all those that would have the last word without one give
    /// the same type.
    fn is_news(&self, patterns: &[PatternId], of: TypeId) -> bool {
        let within: Vec<&(&[PatternId], TypeId)> = self
            .0
            .iter()
            .filter(|(smaller, _)| is_subset(smaller, patterns))
            .collect();
        let mut last = within.iter().filter(|(own, _)| {
            !within
                .iter()
                .any(|(other, _)| other.len() > own.len() && is_subset(own, other))
        });
        within.is_empty() || last.any(|(_, told)| *told != of)
    }

    fn tell(&mut self, patterns: &'r [PatternId], of: Option<TypeId>) {
        self.0.extend(of.map(|of| (patterns, of)));
    }
}

fn is_subset(smaller: &[PatternId], larger: &[PatternId]) -> bool {
    smaller
        .iter()
        .all(|pattern| larger.binary_search(pattern).is_ok())
}
