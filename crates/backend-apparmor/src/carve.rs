//! Globs without some files and directories.
//!
//! AppArmor has no exceptions: where a more specific rule speaks of a path, wider rules have to be
//! written so that they don't match it. `/etc/**` without `/etc/hi` is
//! `/etc/{[^h]**,h,h[^i]**,hi[^/]**,…}`: at each byte of what is left out, everything that goes on
//! otherwise.

use std::collections::BTreeMap;
use std::rc::Rc;

use gambeson_policy_model::ByteSet;

use crate::glob::{self, Places, Seq, Tok, children_of, deeper_of, set_without};
use crate::quote::{self, Behind};

/// Which paths around a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shape {
    /// The file or directory of this name.
    Exact,
    /// What is directly in the directory; its name ends in a slash.
    Children,
    /// What is deeper in the directory.
    Deeper,
    /// Both.
    Below,
}

/// Paths that are left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cut {
    pub(crate) path: Vec<u8>,
    pub(crate) shape: Shape,
}

/// The globs of what lies around a name, behind its bytes.
pub(crate) fn rest_of(shape: Shape, directories: bool) -> Seq {
    let end = directories.then_some(Tok::End);
    match shape {
        Shape::Exact => end.into_iter().collect(),
        Shape::Children => [glob::no_slash(), Tok::Star]
            .into_iter()
            .chain(end)
            .collect(),
        Shape::Deeper => vec![
            glob::no_slash(),
            Tok::Star,
            Tok::Byte(b'/'),
            glob::no_slash(),
            Tok::Deep,
        ],
        Shape::Below => vec![glob::no_slash(), Tok::Deep],
    }
}

/// A trie of what is left out.
#[derive(Debug, Default)]
struct Node {
    next: BTreeMap<u8, usize>,
    /// The path itself is left out.
    ends: bool,
    children: bool,
    deeper: bool,
}

/// What is left of globs: a tree of literal beginnings, with what follows them.
#[derive(Debug, Default)]
pub(crate) struct Carved {
    prefix: Vec<u8>,
    nodes: Vec<Left>,
}

#[derive(Debug, Default)]
struct Left {
    rests: Vec<Seq>,
    next: Vec<(u8, usize)>,
}

fn trie_of(prefix: &[u8], cuts: &[Cut]) -> Vec<Node> {
    let mut nodes = vec![Node::default()];
    let reach = |nodes: &mut Vec<Node>, from: usize, bytes: &[u8]| {
        bytes.iter().fold(from, |at, byte| {
            let fresh = nodes.len();
            let next = nodes
                .get_mut(at)
                .map_or(fresh, |node| *node.next.entry(*byte).or_insert(fresh));
            if next == fresh {
                nodes.push(Node::default());
            }
            next
        })
    };
    for cut in cuts {
        let Some(rest) = cut.path.strip_prefix(prefix) else {
            continue;
        };
        let at = reach(&mut nodes, 0, rest);
        if cut.shape == Shape::Exact {
            if let Some(node) = nodes.get_mut(at) {
                node.ends = true;
            }
            if cut.path != b"/" {
                let slash = reach(&mut nodes, at, b"/");
                if let Some(node) = nodes.get_mut(slash) {
                    node.ends = true;
                }
            }
        } else if let Some(node) = nodes.get_mut(at) {
            node.children |= cut.shape != Shape::Deeper;
            node.deeper |= cut.shape != Shape::Children;
        }
    }
    nodes
}

/// A place that cuts and globs have come to together.
struct Step {
    /// The node of the trie of cuts.
    cut: usize,
    /// The node of what is left.
    left: usize,
    /// No path has two slashes in a row.
    behind_slash: bool,
    seqs: Rc<Vec<Seq>>,
    places: Places,
}

/// Takes cuts out of `prefix` followed by any of the globs.
pub(crate) fn carve(prefix: &[u8], seqs: Vec<Seq>, cuts: &[Cut]) -> Carved {
    let trie = trie_of(prefix, cuts);
    let mut carved = Carved {
        prefix: prefix.to_vec(),
        nodes: vec![Left::default()],
    };
    let at_start = glob::start(&seqs);
    let mut work = vec![Step {
        cut: 0,
        left: 0,
        behind_slash: prefix.ends_with(b"/"),
        seqs: Rc::new(seqs),
        places: at_start,
    }];
    while let Some(step) = work.pop() {
        let Step {
            cut,
            left,
            behind_slash,
            mut seqs,
            mut places,
        } = step;
        let Some(node) = trie.get(cut) else {
            continue;
        };
        let mut rests: Vec<Seq> = Vec::new();
        if !node.ends && glob::accepts(&seqs, &places) {
            rests.push(Seq::new());
        }
        if node.children || node.deeper {
            let mut kept: Vec<Seq> = Vec::new();
            for (seq, item) in &places {
                let rest = seqs.get(*seq).and_then(|seq| seq.get(*item..));
                let rest = rest.unwrap_or_default();
                if !node.children {
                    kept.extend(children_of(rest));
                }
                if !node.deeper {
                    kept.extend(deeper_of(rest));
                }
            }
            kept.dedup();
            places = glob::start(&kept);
            seqs = Rc::new(kept);
        }
        for (seq, item) in &places {
            let Some(toks) = seqs.get(*seq) else {
                continue;
            };
            let behind = toks.get(item + 1..).unwrap_or_default();
            let others = |out: &dyn Fn(u8) -> bool| {
                set_without(|byte| {
                    let doubled = behind_slash && byte == b'/';
                    doubled || out(byte) || node.next.contains_key(&byte)
                })
            };
            let (set, again) = match toks.get(*item) {
                Some(Tok::Byte(byte)) => {
                    if !node.next.contains_key(byte) {
                        let rest = toks.get(*item..).unwrap_or_default();
                        rests.push(rest.to_vec());
                    }
                    continue;
                }
                Some(Tok::Set(set)) => (others(&|byte| !set.contains(byte)), None),
                Some(Tok::Star) => (others(&|byte| byte == b'/'), Some(Tok::Star)),
                Some(Tok::Deep) => (others(&|_| false), Some(Tok::Deep)),
                Some(Tok::End) => {
                    if !node.next.contains_key(&b'/') {
                        rests.push(vec![Tok::Byte(b'/')]);
                    }
                    continue;
                }
                None => continue,
            };
            if set != ByteSet::EMPTY {
                let first = [Tok::Set(set)].into_iter().chain(again);
                rests.push(first.chain(behind.iter().cloned()).collect());
            }
        }
        // Where nothing goes on, what is left is what was there.
        if node.next.is_empty() && !node.ends && !node.children && !node.deeper {
            rests = unstepped(&seqs, &places);
        }
        rests.dedup();
        let mut next = Vec::new();
        for (byte, below) in &node.next {
            let places = glob::step(&seqs, &places, *byte);
            if !places.is_empty() {
                let fresh = carved.nodes.len();
                carved.nodes.push(Left::default());
                next.push((*byte, fresh));
                work.push(Step {
                    cut: *below,
                    left: fresh,
                    behind_slash: *byte == b'/',
                    seqs: seqs.clone(),
                    places,
                });
            }
        }
        if let Some(slot) = carved.nodes.get_mut(left) {
            *slot = Left { rests, next };
        }
    }
    carved.prune();
    carved
}

/// The globs from places on, without those that are only reached from others without a byte.
fn unstepped(seqs: &[Seq], places: &Places) -> Vec<Seq> {
    let skipped = |seq: usize, item: usize| {
        item > 0
            && places.contains(&(seq, item - 1))
            && seqs
                .get(seq)
                .and_then(|seq| seq.get(item - 1))
                .is_some_and(|tok| matches!(tok, Tok::Star | Tok::Deep | Tok::End))
    };
    let mut rests: Vec<Seq> = Vec::new();
    for (seq, item) in places {
        if !skipped(*seq, *item)
            && let Some(rest) = seqs.get(*seq).and_then(|seq| seq.get(*item..))
        {
            rests.push(rest.to_vec());
        }
    }
    rests
}

/// How many braces may be opened within one another; the parser takes less than 50.
const DEPTH: usize = 30;

/// How many bytes alternatives may have together; the parser takes less than 16 KiB for one path.
pub(crate) const LENGTH: usize = 3_000;

impl Carved {
    /// Takes nodes out that nothing is left behind.
    fn prune(&mut self) {
        let mut empty = vec![false; self.nodes.len()];
        // Nodes lie behind those that lead to them.
        for at in (0..self.nodes.len()).rev() {
            let Some(node) = self.nodes.get_mut(at) else {
                continue;
            };
            node.next
                .retain(|(_, below)| !empty.get(*below).copied().unwrap_or(true));
            let nothing = node.next.is_empty() && node.rests.is_empty();
            if let Some(slot) = empty.get_mut(at) {
                *slot = nothing;
            }
        }
    }

    /// The texts of what is left: one, or more where braces would lie too deep in one another.
    pub(crate) fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut work = vec![(0, self.prefix.clone())];
        while let Some((node, prefix)) = work.pop() {
            let mut text = String::new();
            let mut hoisted = Vec::new();
            let mut path = prefix.clone();
            prefix
                .iter()
                .for_each(|byte| quote::write_byte(&mut text, *byte));
            if self.write(&mut text, node, 0, &mut path, &mut hoisted) {
                texts.push(text);
            }
            work.extend(hoisted);
        }
        texts.sort();
        texts
    }

    /// Writes what is left from a node on; whether there was anything.
    fn write(
        &self,
        out: &mut String,
        mut node: usize,
        depth: usize,
        path: &mut Vec<u8>,
        hoisted: &mut Vec<(usize, Vec<u8>)>,
    ) -> bool {
        let before = path.len();
        // A literal without anything beside it needs no braces.
        let left = loop {
            let Some(left) = self.nodes.get(node) else {
                return false;
            };
            match (left.rests.as_slice(), left.next.as_slice()) {
                ([], [(byte, below)]) => {
                    quote::write_byte(out, *byte);
                    path.push(*byte);
                    node = *below;
                }
                _ => break left,
            }
        };
        let count = left.rests.len() + left.next.len();
        if let ([rest], []) = (left.rests.as_slice(), left.next.as_slice()) {
            let behind = if depth == 0 {
                Behind::End
            } else {
                Behind::Alternative
            };
            quote::write(out, rest, behind);
            path.truncate(before);
            return true;
        }
        if count == 0 {
            return false;
        }
        let mut alternatives: Vec<String> = Vec::new();
        for rest in &left.rests {
            // In braces nothing stands in front of the first item.
            let mut text = String::new();
            quote::write(&mut text, rest, Behind::Alternative);
            alternatives.push(text);
        }
        let mut length: usize = alternatives.iter().map(String::len).sum();
        for (byte, below) in &left.next {
            path.push(*byte);
            if depth >= DEPTH || length > LENGTH {
                hoisted.push((*below, path.clone()));
            } else {
                let mut text = String::new();
                let before = hoisted.len();
                quote::write_byte(&mut text, *byte);
                let written = self.write(&mut text, *below, depth + 1, path, hoisted);
                if length + text.len() > LENGTH {
                    hoisted.truncate(before);
                    hoisted.push((*below, path.clone()));
                } else if written {
                    length += text.len();
                    alternatives.push(text);
                }
            }
            path.pop();
        }
        path.truncate(before);
        match alternatives.as_slice() {
            [] => false,
            [only] if depth > 0 => {
                out.push_str(only);
                true
            }
            [only] => {
                // Written as an alternative, which it is no longer.
                out.push('{');
                out.push_str(only);
                out.push(',');
                out.push_str(only);
                out.push('}');
                true
            }
            _ => {
                out.push('{');
                out.push_str(&alternatives.join(","));
                out.push('}');
                true
            }
        }
    }
}
