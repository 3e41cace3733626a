//! The compressed trie of paths and directories.
//!
//! A node stands for a byte string: that of its parent, one edge byte, and the node's label. An
//! edge is found by adding its byte to the parent's `base`; it is there if `owner` is the parent.
//! A walk ends *on* a node when the path is used up, or *behind* one when the next byte has no
//! edge or a label differs. Everything below the last node is alike then, but for one question:
//! is the path a direct child of the deepest directory that a rule names there, or deeper? That
//! is what a region answers.

use super::image::Bytes;
use super::record::{Record, record};

record! {
    /// One node.
    Node {
        /// Where the label starts in `labels`.
        label: u32,
        /// How many bytes it has.
        label_len: u32,
        /// Added to the next byte to find its edge.
        base: u32,
        /// What holds for the node's own byte string.
        exact: u32,
        /// The row of the patterns that match it; 0 for none.
        exact_globs: u32,
        /// The region of longer paths that leave the trie here.
        region: u32,
        /// The tuple of states of the forward automata after the node's byte string.
        globs: u32,
    }
}

record! {
    /// One slot of the edges of all nodes, packed into one another.
    Edge {
        /// The node that the edge belongs to; [`Edge::FREE`] where the slot is unused.
        owner: u32,
        /// The node it leads to.
        target: u32,
    }
}

impl Edge {
    pub(crate) const FREE: u32 = u32::MAX;
}

record! {
    /// What holds for paths that leave the trie behind a node.
    Region {
        /// The length of the deepest directory around it that a rule names, with its slash.
        directory_len: u32,
        /// What holds for the directory's direct children.
        child: u32,
        /// What holds below them.
        deep: u32,
    }
}

/// The tables of one trie. What `exact`, `child` and `deep` are numbers of is the caller's matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Trie {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) regions: Vec<Region>,
    pub(crate) labels: Bytes,
}

/// Where a walk ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End<'t> {
    /// The last node whose byte string the path starts with.
    pub(crate) node: &'t Node,
    /// How many bytes of the path that string has.
    pub(crate) consumed: usize,
    /// Whether it is the whole path.
    pub(crate) exact: bool,
}

impl Trie {
    /// Walks the path: one comparison a byte and two loads a node. `None` for an empty table.
    #[inline]
    pub(crate) fn walk(&self, path: &[u8]) -> Option<End<'_>> {
        let mut number = 0;
        let mut node = self.nodes.first()?;
        let mut rest = path;
        loop {
            let Some((byte, behind)) = rest.split_first() else {
                return Some(End {
                    node,
                    consumed: path.len(),
                    exact: true,
                });
            };
            let slot = (node.base as usize).wrapping_add(usize::from(*byte));
            let next = match self.edges.get(slot) {
                Some(edge) if edge.owner == number => self
                    .nodes
                    .get(edge.target as usize)
                    .map(|node| (edge.target, node)),
                _ => None,
            };
            let stepped = next.and_then(|(target, node)| {
                let rest = self.strip_label(node, behind)?;
                Some((target, node, rest))
            });
            match stepped {
                Some((target, next, behind)) => {
                    number = target;
                    node = next;
                    rest = behind;
                }
                None => {
                    return Some(End {
                        node,
                        consumed: path.len() - rest.len(),
                        exact: false,
                    });
                }
            }
        }
    }

    /// What is left of `rest` behind the node's label, if it starts with it.
    #[inline]
    fn strip_label<'p>(&self, node: &Node, rest: &'p [u8]) -> Option<&'p [u8]> {
        let start = node.label as usize;
        let label = self.labels.get(start..start + node.label_len as usize)?;
        let (head, tail) = rest.split_at_checked(label.len())?;
        same_bytes(head, label).then_some(tail)
    }

    /// What holds behind the end of a walk.
    #[inline]
    pub(crate) fn region(&self, end: &End<'_>, path: &[u8]) -> u32 {
        let Some(region) = self.regions.get(end.node.region as usize) else {
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

    /// What holds for a path: of its own where it ends on a node, else of its region.
    #[inline]
    pub(crate) fn find(&self, path: &[u8]) -> u32 {
        match self.walk(path) {
            Some(end) if end.exact => end.node.exact,
            Some(end) => self.region(&end, path),
            None => 0,
        }
    }

    /// Size of the tables in bytes.
    pub(crate) fn bytes(&self) -> usize {
        4 * (self.nodes.len() * Node::WORDS
            + self.edges.len() * Edge::WORDS
            + self.regions.len() * Region::WORDS)
            + self.labels.len()
    }
}

/// Compares two short runs of one length. Eight bytes at a time beat a call to `memcmp` on labels,
/// most of which are shorter than that.
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
