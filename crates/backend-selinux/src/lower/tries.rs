//! What the compiled tries name: byte strings that stand for themselves, and directories that stand
//! for what is below them.

use std::collections::BTreeSet;

use gambeson_matcher::tables::Tables;
use gambeson_matcher::tables::trie::{Node, Trie};
use gambeson_policy_model::EventPath;

/// Strings and directories of some tries.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// Paths on which a walk may end, and all directories above them.
    pub(crate) exact: BTreeSet<Vec<u8>>,
    /// Directories with their slash, the root always.
    pub(crate) directories: BTreeSet<Vec<u8>>,
}

impl Named {
    pub(crate) fn new() -> Self {
        Self {
            exact: BTreeSet::from([b"/".to_vec()]),
            directories: BTreeSet::from([b"/".to_vec()]),
        }
    }

    /// Adds what all tries of a policy that are walked by paths of files name.
    pub(crate) fn add_tables(&mut self, tables: &Tables) {
        for trie in [
            &tables.process,
            &tables.mapping,
            &tables.file,
            &tables.sources,
        ] {
            self.add(trie);
        }
    }

    pub(crate) fn add(&mut self, trie: &Trie) {
        for (node, string) in strings(trie) {
            let place = trie.places.get(node as usize).copied().unwrap_or_default();
            let region = trie.regions.get(place.region as usize);
            let length = region.map_or(0, |region| region.directory_len as usize);
            if let Some(directory) = string.get(..length)
                && is_resolved(directory)
            {
                self.directories.insert(directory.to_vec());
                self.add_exact(directory);
            }
            self.add_exact(&string);
        }
    }

    /// Adds a path and the directories above it.
    fn add_exact(&mut self, string: &[u8]) {
        let path = string.strip_suffix(b"/").unwrap_or(string);
        if path.is_empty() || !is_resolved(path) {
            return;
        }
        if !self.exact.insert(path.to_vec()) {
            return;
        }
        let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        self.add_exact(path.get(..slash).unwrap_or_default());
    }
}

/// Whether a path, or a directory with its slash, can be that of a file.
pub(crate) fn is_resolved(path: &[u8]) -> bool {
    let path = match path.strip_suffix(b"/") {
        Some(b"") => path,
        Some(bare) => bare,
        None => path,
    };
    path.first() == Some(&b'/') && EventPath::new(path).is_resolved()
}

/// Every node of a trie with its byte string.
pub(crate) fn strings(trie: &Trie) -> Vec<(u32, Vec<u8>)> {
    let mut children: Vec<Vec<u32>> = vec![Vec::new(); trie.nodes.len()];
    for (number, node) in (0u32..).zip(&trie.nodes) {
        if node.owner != Node::FREE
            && number != 0
            && let Some(siblings) = children.get_mut(node.owner as usize)
        {
            siblings.push(number);
        }
    }
    let mut found = Vec::new();
    let mut todo = vec![(0u32, Vec::new())];
    while let Some((number, string)) = todo.pop() {
        let Some(node) = trie.nodes.get(number as usize) else {
            continue;
        };
        for child in children.get(number as usize).into_iter().flatten() {
            let mut longer = string.clone();
            longer.push(child.wrapping_sub(node.base) as u8);
            push_label(trie, *child, &mut longer);
            todo.push((*child, longer));
        }
        found.push((number, string));
    }
    found.sort_unstable_by(|a, b| a.1.cmp(&b.1));
    found
}

fn push_label(trie: &Trie, number: u32, string: &mut Vec<u8>) {
    let Some(node) = trie.nodes.get(number as usize) else {
        return;
    };
    let [low, high] = node.head;
    let head = (u64::from(low) | u64::from(high) << 32).to_le_bytes();
    let [label @ .., length] = head;
    let inside = usize::from(length).min(Node::IN_HEAD);
    string.extend_from_slice(label.get(..inside).unwrap_or_default());
    if length == Node::LONG
        && let Some(place) = trie.places.get(number as usize)
    {
        string.extend_from_slice(place.tail.of(&trie.labels));
    }
}

#[cfg(test)]
mod tests {
    use gambeson_matcher::testing::Random;
    use gambeson_matcher::{Compile, Config};

    use super::*;

    #[test]
    fn every_string_ends_on_its_node() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let selection = random.selection(30);
            let Ok(compiled) = selection.compile(&Config::default()) else {
                continue;
            };
            let tables = compiled.tables();
            for trie in [&tables.process, &tables.file, &tables.sources] {
                for (node, string) in strings(trie) {
                    if string.is_empty() {
                        continue;
                    }
                    let end = trie.walk(&string);
                    assert_eq!((end.node, end.consumed as usize), (node, string.len()));
                }
            }
        }
    }
}
