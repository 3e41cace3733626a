//! All paths, divided into zones that rules on paths and directories don't tell apart.

use gambeson_matcher::tables::trie::{Node, Trie};
use gambeson_policy_model::{EventPath, RuleId};

use crate::carve::{Cut, Shape};
use crate::judge::{Ask, Judge, Value};

/// A set of paths with one value, but for the zones within it.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    pub(crate) path: Vec<u8>,
    pub(crate) shape: Shape,
    pub(crate) value: Value,
    /// Where an exec leads: the number of a section. 0 for other questions.
    pub(crate) target: usize,
    pub(crate) rule: Option<RuleId>,
    pub(crate) within: Vec<usize>,
}

impl Zone {
    pub(crate) fn cut(&self) -> Cut {
        Cut {
            path: self.path.clone(),
            shape: self.shape,
        }
    }
}

/// The byte strings of a trie's nodes, as far as paths can be so long.
pub(crate) fn strings(trie: &Trie) -> Vec<Vec<u8>> {
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); trie.nodes.len()];
    for (slot, node) in trie.nodes.iter().enumerate().skip(1) {
        if node.owner != Node::FREE
            && let Some(list) = below.get_mut(node.owner as usize)
        {
            list.push(slot);
        }
    }
    let mut found = Vec::new();
    let mut work = vec![(0usize, Vec::new())];
    while let Some((slot, mut string)) = work.pop() {
        let (Some(node), Some(place)) = (trie.nodes.get(slot), trie.places.get(slot)) else {
            continue;
        };
        let [low, high] = node.head;
        let head = (u64::from(low) | u64::from(high) << 32).to_le_bytes();
        let (label, len) = (head.get(..Node::IN_HEAD), usize::from(head[Node::IN_HEAD]));
        string.extend(label.unwrap_or_default().iter().take(len));
        if len > Node::IN_HEAD {
            string.extend_from_slice(place.tail.of(&trie.labels));
        }
        if string.len() > EventPath::MAX_LENGTH {
            continue;
        }
        for child in below.get(slot).into_iter().flatten() {
            if let Ok(byte) = u8::try_from((*child as u32).wrapping_sub(node.base)) {
                work.push((*child, [string.as_slice(), &[byte]].concat()));
            }
        }
        found.push(string);
    }
    found.sort_unstable();
    found
}

/// A path that lies in a directory and that no rule names.
pub(crate) fn child_of(directory: &[u8]) -> Vec<u8> {
    [directory, b"\xff"].concat()
}

/// A path deeper in a directory that no rule names.
pub(crate) fn below(directory: &[u8]) -> Vec<u8> {
    [directory, b"\xff/\xff"].concat()
}

/// The zones of one question; the first is all there is below the root. `target` gives where the exec of
/// a path leads, and `sources` are the strings that it tells apart.
pub(crate) fn divide(
    judge: &Judge<'_>,
    sources: &[Vec<u8>],
    target: impl Fn(&[u8]) -> usize,
) -> Vec<Zone> {
    let trie = judge.trie();
    let mut names = strings(trie);
    if judge.ask == Ask::Exec {
        names.extend_from_slice(sources);
    }
    names.push(b"/".to_vec());
    names.retain(|name| name.first() == Some(&b'/'));
    names.sort_unstable();
    names.dedup();
    let target = |path: &[u8]| {
        if judge.ask == Ask::Exec {
            target(path)
        } else {
            0
        }
    };
    let of = |path: &[u8]| (judge.of_row(trie.find(path)), target(path));
    let mut zones: Vec<Zone> = Vec::new();
    // Directories around, each with the zones of its children and of what is deeper.
    let mut around: Vec<(Vec<u8>, usize, usize)> = Vec::new();
    let add = |zones: &mut Vec<Zone>, parent: Option<usize>, zone: Zone| {
        let number = zones.len();
        if let Some(parent) = parent.and_then(|parent| zones.get_mut(parent)) {
            parent.within.push(number);
        }
        zones.push(zone);
        number
    };
    for name in &names {
        while around
            .last()
            .is_some_and(|(directory, ..)| !name.starts_with(directory))
        {
            around.pop();
        }
        if name.ends_with(b"/") {
            let ((child, child_rule), child_target) = of(&child_of(name));
            let ((deep, deep_rule), deep_target) = of(&below(name));
            let parent = around.last().map(|(_, _, deep)| *deep);
            let same = |zones: &[Zone], value: Value, target: usize| {
                let zone = parent.and_then(|parent| zones.get(parent));
                zone.is_some_and(|zone| zone.value == value && zone.target == target)
            };
            let zone = |shape, value, rule, target| Zone {
                path: name.clone(),
                shape,
                value,
                target,
                rule,
                within: Vec::new(),
            };
            let (children, deeper) = if (child, child_target) == (deep, deep_target) {
                let number = match parent {
                    Some(parent) if same(&zones, deep, deep_target) => parent,
                    _ => add(
                        &mut zones,
                        parent,
                        zone(Shape::Below, deep, deep_rule, deep_target),
                    ),
                };
                (number, number)
            } else {
                let deeper = match parent {
                    Some(parent) if same(&zones, deep, deep_target) => parent,
                    _ => add(
                        &mut zones,
                        parent,
                        zone(Shape::Deeper, deep, deep_rule, deep_target),
                    ),
                };
                let children = match parent {
                    Some(parent) if same(&zones, child, child_target) => parent,
                    _ => add(
                        &mut zones,
                        parent,
                        zone(Shape::Children, child, child_rule, child_target),
                    ),
                };
                (children, deeper)
            };
            around.push((name.clone(), children, deeper));
        }
        if name == b"/" || !name.ends_with(b"/") {
            let inside = around.last().map(|(directory, children, deeper)| {
                let rest = name.get(directory.len()..).unwrap_or_default();
                if rest.contains(&b'/') {
                    *deeper
                } else {
                    *children
                }
            });
            let (value, rule) = judge.of_path(name);
            let target = target(name);
            let plain = inside
                .and_then(|inside| zones.get(inside))
                .is_some_and(|zone| zone.value.says == value.says && zone.target == target);
            let touched = judge.patterns.iter().any(|pattern| pattern.matches(name));
            if !plain || touched || name == b"/" {
                let zone = Zone {
                    path: name.clone(),
                    shape: Shape::Exact,
                    value,
                    target,
                    rule,
                    within: Vec::new(),
                };
                add(&mut zones, inside, zone);
            }
        }
    }
    zones
}
