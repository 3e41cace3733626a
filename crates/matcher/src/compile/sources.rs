//! Source classes: which of the programs that rules name an executable is.

use std::collections::{BTreeMap, HashMap};

use gambeson_policy_model::{PathScope, Rule, Source};

use crate::compile::skeleton::{Skeleton, runs};
use crate::tables::trie::{Region, Trie};

/// All executables, divided into classes that no rule tells apart. Class 0 are those that none
/// names.
#[derive(Debug, Default)]
pub(crate) struct SourceClasses {
    /// For each rule the classes it names, in order.
    by_rule: Vec<Vec<u32>>,
    /// The class of each executable.
    pub(crate) trie: Trie,
}

/// What a key of the trie says of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    /// The path itself is in the scope.
    Itself(u32),
    /// So are its direct children.
    Children(u32),
    /// So is everything below it.
    Below(u32),
}

impl SourceClasses {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut scopes: HashMap<&PathScope, u32> = HashMap::new();
        let mut by_rule_scopes: Vec<Vec<u32>> = Vec::with_capacity(rules.len());
        for rule in rules {
            let mut own = Vec::with_capacity(rule.sources.len());
            for source in &rule.sources {
                if let Source::Scope(scope) = source {
                    let next = scopes.len() as u32;
                    own.push(*scopes.entry(scope).or_insert(next));
                }
            }
            by_rule_scopes.push(own);
        }
        let mut said: Vec<(&[u8], Says)> = Vec::new();
        for (scope, number) in &scopes {
            match scope {
                PathScope::Path(path) => said.push((path.as_bytes(), Says::Itself(*number))),
                PathScope::Directory(directory) => {
                    let path = directory.path.as_bytes();
                    let below = if directory.recursive {
                        Says::Below(*number)
                    } else {
                        Says::Children(*number)
                    };
                    said.extend([(path, below), (path, Says::Itself(*number))]);
                    if let Some(bare) = path.strip_suffix(b"/").filter(|bare| !bare.is_empty()) {
                        said.push((bare, Says::Itself(*number)));
                    }
                }
            }
        }
        said.sort_unstable();
        let (trie, classes) = divide(&said);
        let mut by_scope: Vec<Vec<u32>> = vec![Vec::new(); scopes.len()];
        for (class, members) in (0u32..).zip(&classes) {
            for scope in members {
                if let Some(of_scope) = by_scope.get_mut(*scope as usize) {
                    of_scope.push(class);
                }
            }
        }
        let by_rule = by_rule_scopes
            .into_iter()
            .map(|scopes| {
                let mut classes: Vec<u32> = scopes
                    .iter()
                    .filter_map(|scope| by_scope.get(*scope as usize))
                    .flatten()
                    .copied()
                    .collect();
                classes.sort_unstable();
                classes.dedup();
                classes
            })
            .collect();
        Self { by_rule, trie }
    }

    /// The classes that a rule names.
    pub(crate) fn of_rule(&self, id: u32) -> &[u32] {
        self.by_rule.get(id as usize).map_or(&[], Vec::as_slice)
    }

    /// The rules, apart for each class that some of them name.
    pub(crate) fn by_class(&self, ids: &[u32]) -> BTreeMap<u32, Vec<u32>> {
        let mut map: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for id in ids {
            for class in self.of_rule(*id) {
                map.entry(*class).or_default().push(*id);
            }
        }
        map
    }
}

/// Builds the trie of classes; a class is the set of scopes that an executable is in.
fn divide(said: &[(&[u8], Says)]) -> (Trie, Vec<Vec<u32>>) {
    let runs = runs(said, |(key, _)| *key);
    let keys: Vec<&[u8]> = runs
        .iter()
        .filter_map(|run| said.get(run.start).map(|(key, _)| *key))
        .collect();
    let skeleton = Skeleton::new(&keys);
    let mut trie = skeleton.lay_out(&keys);
    let mut classes: Vec<Vec<u32>> = vec![Vec::new()];
    let mut numbers: HashMap<Vec<u32>, u32> = HashMap::from([(Vec::new(), 0)]);
    let mut class = |mut members: Vec<u32>| {
        members.sort_unstable();
        members.dedup();
        *numbers.entry(members).or_insert_with_key(|members| {
            classes.push(members.clone());
            classes.len() as u32 - 1
        })
    };
    // For each region the scopes around its direct children and around what is deeper.
    let mut around: Vec<(Vec<u32>, Vec<u32>)> = vec![(Vec::new(), Vec::new())];
    trie.regions.push(Region::default());
    let mut region_of: Vec<u32> = Vec::with_capacity(skeleton.nodes.len());
    for (number, bone) in skeleton.nodes.iter().enumerate() {
        let above = region_of.get(bone.parent as usize).copied().unwrap_or(0);
        let directory_len = trie
            .regions
            .get(above as usize)
            .map_or(0, |region| region.directory_len as usize);
        let inside = skeleton
            .string(&keys, bone)
            .get(directory_len..)
            .unwrap_or_default();
        let (children, deep) = around.get(above as usize).cloned().unwrap_or_default();
        let mut exact = if inside.contains(&b'/') {
            deep.clone()
        } else {
            children
        };
        let mut own = (deep.clone(), deep);
        let mut is_directory = false;
        let run = bone.terminal.and_then(|key| runs.get(key as usize));
        for (_, says) in run
            .and_then(|run| said.get(run.clone()))
            .unwrap_or_default()
        {
            match says {
                Says::Itself(scope) => exact.push(*scope),
                Says::Children(scope) => {
                    own.0.push(*scope);
                    is_directory = true;
                }
                Says::Below(scope) => {
                    own.0.push(*scope);
                    own.1.push(*scope);
                    is_directory = true;
                }
            }
        }
        let region = if is_directory {
            trie.regions.push(Region {
                directory_len: bone.len,
                child: class(own.0.clone()),
                deep: class(own.1.clone()),
            });
            around.push(own);
            around.len() as u32 - 1
        } else {
            above
        };
        region_of.push(region);
        if let Some(node) = trie.nodes.get_mut(number) {
            node.exact = class(exact);
            node.region = region;
        }
    }
    (trie, classes)
}
