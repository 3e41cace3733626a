//! The shape of a trie, before anything is said of its nodes.

use std::collections::HashMap;
use std::ops::Range;

use crate::compile::comb::Comb;
use crate::tables::image::Bytes;
use crate::tables::record::Span;
use crate::tables::trie::{Node, Place, Start, Trie};

/// The nodes of a trie in preorder, so that a parent comes before its children.
#[derive(Debug, Default)]
pub(crate) struct Skeleton {
    pub(crate) nodes: Vec<Bone>,
}

/// One node: a prefix of some key.
#[derive(Debug, Clone)]
pub(crate) struct Bone {
    /// The node above; the root is its own.
    pub(crate) parent: u32,
    /// A key that starts with the node's byte string.
    key: u32,
    /// The length of that string.
    pub(crate) len: u32,
    /// The key that is exactly that string.
    pub(crate) terminal: Option<u32>,
    children: Vec<u32>,
}

impl Skeleton {
    /// Builds the shape of sorted, distinct keys. The root is the empty string.
    pub(crate) fn new<K: AsRef<[u8]>>(keys: &[K]) -> Self {
        let mut building = Builder {
            nodes: vec![Bone {
                parent: 0,
                key: 0,
                len: 0,
                terminal: None,
                children: Vec::new(),
            }],
            path: vec![0],
        };
        let mut before: &[u8] = &[];
        for (number, key) in (0u32..).zip(keys) {
            let key = key.as_ref();
            let common = before.iter().zip(key).take_while(|(a, b)| a == b).count();
            building.add(number, key.len() as u32, common as u32);
            before = key;
        }
        building.finish()
    }

    /// The bytes of a node's string from `from` on.
    pub(crate) fn string<'k, K: AsRef<[u8]>>(&self, keys: &'k [K], bone: &Bone) -> &'k [u8] {
        keys.get(bone.key as usize)
            .and_then(|key| key.as_ref().get(..bone.len as usize))
            .unwrap_or_default()
    }

    /// What a node adds to its parent's string: the edge byte and the label.
    pub(crate) fn addition<'k, K: AsRef<[u8]>>(&self, keys: &'k [K], bone: &Bone) -> &'k [u8] {
        let from = self.parent_len(bone);
        self.string(keys, bone).get(from..).unwrap_or_default()
    }

    fn parent_len(&self, bone: &Bone) -> usize {
        let parent = self.nodes.get(bone.parent as usize);
        parent.map_or(0, |parent| parent.len as usize)
    }

    /// Skips the root where it has but one child and that is the slash.
    fn start<K: AsRef<[u8]>>(&self, keys: &[K], slots: &[usize]) -> Start {
        let only_child = match self.nodes.first().map(|root| root.children.as_slice()) {
            Some([child]) => *child as usize,
            _ => return Start::default(),
        };
        let child = self.nodes.get(only_child);
        match (child, slots.get(only_child)) {
            (Some(bone), Some(slot)) if self.string(keys, bone) == b"/" => Start {
                node: *slot as u32,
                consumed: 1,
            },
            _ => Start::default(),
        }
    }

    /// Lays the shape out as tables. Gives the place in the tables of each node as well.
    pub(crate) fn lay_out<K: AsRef<[u8]>>(&self, keys: &[K]) -> (Trie, Vec<usize>) {
        let mut comb = Comb::default();
        // The root's place; nothing leads there.
        comb.place(&[0], |_| Node::default());
        let mut slots = vec![0; self.nodes.len()];
        let mut bases = vec![0; self.nodes.len()];
        for (number, bone) in self.nodes.iter().enumerate() {
            let owner = slots.get(number).copied().unwrap_or(0) as u32;
            let children: Vec<(u8, u32)> = bone
                .children
                .iter()
                .filter_map(|child| {
                    let bone = self.nodes.get(*child as usize)?;
                    Some((*self.addition(keys, bone).first()?, *child))
                })
                .collect();
            let bytes: Vec<u8> = children.iter().map(|(byte, _)| *byte).collect();
            let mut of_children = children.iter();
            let base = comb.place_near(owner as usize, &bytes, |_| {
                let child = of_children
                    .next()
                    .and_then(|(_, child)| self.nodes.get(*child as usize));
                let addition = child.map_or(&[][..], |child| self.addition(keys, child));
                Node {
                    owner,
                    head: head(addition.get(1..).unwrap_or_default()),
                    base: 0,
                }
            });
            for (byte, child) in &children {
                if let Some(slot) = slots.get_mut(*child as usize) {
                    *slot = base + usize::from(*byte);
                }
            }
            if let Some(of_node) = bases.get_mut(number) {
                *of_node = base as u32;
            }
        }
        let mut nodes = comb.into_slots(Node {
            owner: Node::FREE,
            ..Node::default()
        });
        for (slot, base) in slots.iter().zip(bases) {
            if let Some(node) = nodes.get_mut(*slot) {
                node.base = base;
            }
        }
        if let Some(root) = nodes.first_mut() {
            root.owner = Node::FREE;
        }
        let mut places = vec![Place::default(); nodes.len()];
        let mut labels = Vec::new();
        let mut shared: HashMap<&[u8], Span> = HashMap::new();
        for (bone, slot) in self.nodes.iter().zip(&slots) {
            let label = self.addition(keys, bone).get(1..).unwrap_or_default();
            let tail = label.get(Node::IN_HEAD..).unwrap_or_default();
            if let Some(place) = places.get_mut(*slot) {
                place.tail = *shared.entry(tail).or_insert_with(|| {
                    let start = labels.len() as u32;
                    labels.extend_from_slice(tail);
                    Span {
                        start,
                        len: tail.len() as u32,
                    }
                });
            }
        }
        let trie = Trie {
            start: self.start(keys, &slots),
            places,
            nodes,
            regions: Vec::new(),
            labels: Bytes(labels),
        };
        (trie, slots)
    }
}

/// A label's head: see [`Node`].
fn head(label: &[u8]) -> [u32; 2] {
    let mut eight = [0; 8];
    for (slot, byte) in eight.iter_mut().zip(label.iter().take(Node::IN_HEAD)) {
        *slot = *byte;
    }
    let len = label.len().min(usize::from(Node::LONG)) as u64;
    let word = u64::from_le_bytes(eight) | len << 56;
    [word as u32, (word >> 32) as u32]
}

/// A skeleton under construction: the nodes in order of creation, and the chain from the root to
/// the last key.
struct Builder {
    nodes: Vec<Bone>,
    path: Vec<u32>,
}

impl Builder {
    fn len_of(&self, node: u32) -> u32 {
        self.nodes.get(node as usize).map_or(0, |bone| bone.len)
    }

    fn push(&mut self, bone: Bone) -> u32 {
        let number = self.nodes.len() as u32;
        if let Some(parent) = self.nodes.get_mut(bone.parent as usize) {
            parent.children.push(number);
        }
        self.nodes.push(bone);
        number
    }

    /// Adds a key that shares `common` bytes with the one before.
    fn add(&mut self, key: u32, len: u32, common: u32) {
        let mut cut = None;
        while let Some(top) = self.path.last().copied() {
            if self.len_of(top) <= common {
                break;
            }
            cut = self.path.pop();
        }
        let top = self.path.last().copied().unwrap_or(0);
        let parent = match cut {
            // The common part ends within an edge: split it.
            Some(below) if self.len_of(top) < common => {
                let middle = self.nodes.len() as u32;
                self.nodes.push(Bone {
                    parent: top,
                    key,
                    len: common,
                    terminal: None,
                    children: vec![below],
                });
                if let Some(bone) = self.nodes.get_mut(top as usize) {
                    // Keys come sorted, so what is split is always the last child.
                    bone.children.pop();
                    bone.children.push(middle);
                }
                if let Some(bone) = self.nodes.get_mut(below as usize) {
                    bone.parent = middle;
                }
                self.path.push(middle);
                middle
            }
            _ => top,
        };
        if self.len_of(parent) == len {
            // Only the empty key: distinct sorted keys are never prefixes of earlier ones.
            if let Some(bone) = self.nodes.get_mut(parent as usize) {
                bone.terminal = Some(key);
            }
            return;
        }
        let number = self.push(Bone {
            parent,
            key,
            len,
            terminal: Some(key),
            children: Vec::new(),
        });
        self.path.push(number);
    }

    /// Renumbers the nodes in preorder.
    fn finish(self) -> Skeleton {
        let mut nodes: Vec<Bone> = Vec::with_capacity(self.nodes.len());
        let mut open = vec![(0u32, 0u32)];
        while let Some((old, parent)) = open.pop() {
            let Some(bone) = self.nodes.get(old as usize) else {
                continue;
            };
            let number = nodes.len() as u32;
            if number != 0
                && let Some(above) = nodes.get_mut(parent as usize)
            {
                above.children.push(number);
            }
            nodes.push(Bone {
                parent,
                children: Vec::new(),
                ..bone.clone()
            });
            open.extend(bone.children.iter().rev().map(|child| (*child, number)));
        }
        Skeleton { nodes }
    }
}

/// The runs of equal keys in a list sorted by key.
pub(crate) fn runs<'i, T, K: PartialEq>(
    items: &'i [T],
    key: impl Fn(&'i T) -> K,
) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    for end in 1..=items.len() {
        let differs = match (items.get(end - 1), items.get(end)) {
            (Some(last), Some(next)) => key(last) != key(next),
            _ => true,
        };
        if differs {
            runs.push(start..end);
            start = end;
        }
    }
    runs
}
