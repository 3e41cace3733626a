//! The compressed trie of paths and directories.
//!
//! A node stands for a byte string: that of its parent, one edge byte, and the node's label. Nodes
//! lie packed into one another: a parent's child for a byte is the node at `base + byte`, if that
//! node's `owner` is the parent. A node takes sixteen bytes, a quarter of a cache line, and with
//! them the first seven bytes of its label, so that a step mostly takes one load and one
//! comparison.
//!
//! A walk ends *on* a node when the path is used up, or *behind* one when the next byte has no
//! child or a label differs. Everything below the last node is alike then, but for one question:
//! is the path a direct child of the deepest directory that a rule names there, or deeper? That
//! is what a region answers.

use super::image::Bytes;
use super::record::{Record, Span, record};

record! {
    /// One node: how it is reached, and how to go on.
    pub Node {
        /// The parent; [`Node::FREE`] for the root and where no node lies.
        owner: u32,
        /// Added to the next byte to find the child.
        base: u32,
        /// The label's first seven bytes, the first one lowest, filled up with zeros; in the
        /// highest byte how many bytes the label has, or [`Node::LONG`].
        head: [u32; 2],
    }
}

impl Node {
    /// The owner of a node that no other leads to.
    pub const FREE: u32 = u32::MAX;

    /// How many bytes of a label lie in its node.
    pub const IN_HEAD: usize = 7;

    /// Stands for the length of a label that goes on in [`Place::tail`].
    pub const LONG: u8 = 8;

    #[inline]
    fn head(&self) -> u64 {
        let [low, high] = self.head;
        u64::from(low) | u64::from(high) << 32
    }
}

record! {
    /// What holds at a node and behind it.
    pub Place {
        /// What holds for the node's own byte string.
        exact: u32,
        /// The row of the patterns that match it; 0 for none.
        exact_globs: u32,
        /// The region of longer paths that leave the trie here.
        region: u32,
        /// The tuple of states of the forward automata after the node's byte string.
        globs: u32,
        /// The label's bytes from the eighth on, in `labels`.
        tail: Span,
    }
}

record! {
    /// What holds for paths that leave the trie behind a node.
    pub Region {
        /// The length of the deepest directory around it that a rule names, with its slash.
        directory_len: u32,
        /// What holds for the directory's direct children.
        child: u32,
        /// What holds below them.
        deep: u32,
    }
}

record! {
    /// Where every walk begins: behind the slash that every path begins with, where all keys begin
    /// with one, else at the root.
    pub Start {
        /// The node.
        node: u32,
        /// The length of its byte string: 0 or 1.
        consumed: u32,
    }
}

/// The tables of one trie. What `exact`, `child` and `deep` are numbers of is the caller's matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trie {
    /// Where every walk begins.
    pub start: Start,
    /// The first is the root.
    pub nodes: Vec<Node>,
    /// One for each node.
    pub places: Vec<Place>,
    /// What holds behind nodes; several nodes can share a region.
    pub regions: Vec<Region>,
    /// The bytes of labels that don't fit into their nodes.
    pub labels: Bytes,
}

/// Where a walk ended. Small enough to be handed over in a register.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// The last node whose byte string the path starts with.
    pub node: u32,
    /// How many bytes of the path that string has.
    pub consumed: u32,
}

impl End {
    /// What the walk left of the path; nothing where it ended on a node.
    #[inline]
    #[must_use]
    pub fn rest<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        path.get(self.consumed as usize..).unwrap_or_default()
    }
}

impl Trie {
    /// Whether there is but one node, or none: every path ends behind it.
    #[must_use]
    pub const fn is_trivial(&self) -> bool {
        self.nodes.len() <= 1
    }

    /// Walks a path; a trie whose keys begin with a slash takes only paths that do.
    ///
    /// Always inlined: a call costs as much as a step, and most walks take a handful.
    #[inline(always)]
    #[must_use]
    pub fn walk(&self, path: &[u8]) -> End {
        let mut node = self.start.node;
        let mut base = self.nodes.get(node as usize).map_or(0, |node| node.base);
        let mut consumed = self.start.consumed as usize;
        loop {
            let end = End {
                node,
                consumed: consumed as u32,
            };
            let Some(byte) = path.get(consumed) else {
                return end;
            };
            let slot = base.wrapping_add(u32::from(*byte));
            let Some(child) = self.nodes.get(slot as usize) else {
                return end;
            };
            let behind = consumed + 1;
            let head = child.head();
            let label_len = (head >> 56) as usize;
            if child.owner != node || path.len() - behind < label_len {
                return end;
            }
            let differing = eight_bytes(path, behind) ^ head;
            if label_len < usize::from(Node::LONG) {
                // Shifts the highest byte out, and then all that is behind the label.
                if (differing << 8) << (8 * (Node::IN_HEAD - label_len)) != 0 {
                    return end;
                }
                consumed = behind + label_len;
            } else if differing << 8 == 0
                && let Some(tail_len) = self.tail_in(slot, path, behind + Node::IN_HEAD)
            {
                consumed = behind + Node::IN_HEAD + tail_len;
            } else {
                return end;
            }
            node = slot;
            base = child.base;
        }
    }

    /// The length of the rest of a long label, if the path goes on with it.
    #[inline]
    fn tail_in(&self, node: u32, path: &[u8], at: usize) -> Option<usize> {
        let tail = self.places.get(node as usize)?.tail.of(&self.labels);
        let found = path.get(at..at + tail.len())?;
        same_bytes(found, tail).then_some(tail.len())
    }

    /// What holds where a walk ended.
    #[inline]
    #[must_use]
    pub fn place(&self, end: &End) -> Place {
        let place = self.places.get(end.node as usize);
        place.copied().unwrap_or_default()
    }

    /// What holds for a path whose walk ended at this place: of its own where it ended on the node,
    /// else of the region.
    #[inline]
    #[must_use]
    pub fn value(&self, end: &End, place: &Place, path: &[u8]) -> u32 {
        if end.rest(path).is_empty() {
            return place.exact;
        }
        let Some(region) = self.regions.get(place.region as usize) else {
            return 0;
        };
        if region.child == region.deep {
            return region.deep;
        }
        let inside = path
            .get(region.directory_len as usize..)
            .unwrap_or_default();
        if memchr::memchr(b'/', inside).is_some() {
            region.deep
        } else {
            region.child
        }
    }

    /// What holds for a path.
    #[inline]
    #[must_use]
    pub fn find(&self, path: &[u8]) -> u32 {
        let end = self.walk(path);
        self.value(&end, &self.place(&end), path)
    }

    /// Size of the tables in bytes.
    pub(crate) fn bytes(&self) -> usize {
        4 * (Start::WORDS
            + self.nodes.len() * Node::WORDS
            + self.places.len() * Place::WORDS
            + self.regions.len() * Region::WORDS)
            + self.labels.len()
    }
}

/// Compares two runs of one length: eight bytes at a time, which for runs as short as these beats a
/// call to `memcmp`.
#[inline]
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    let (words_a, rest_a) = a.as_chunks::<8>();
    let (words_b, rest_b) = b.as_chunks::<8>();
    words_a
        .iter()
        .zip(words_b)
        .all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b))
        && rest_a.iter().zip(rest_b).all(|(a, b)| a == b)
}

/// The eight bytes from `at` on, the first one lowest; zeros where the path is shorter.
#[inline]
fn eight_bytes(path: &[u8], at: usize) -> u64 {
    let rest = path.get(at..).unwrap_or_default();
    if let Some(eight) = rest.first_chunk::<8>() {
        return u64::from_le_bytes(*eight);
    }
    match path.last_chunk::<8>() {
        Some(_) if rest.is_empty() => 0,
        // The last eight bytes, with those in front of `at` shifted out.
        Some(eight) => u64::from_le_bytes(*eight) >> (64 - 8 * rest.len()),
        None => rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}
