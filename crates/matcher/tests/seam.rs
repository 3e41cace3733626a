//! What backends read of a compiled policy beside its decisions.

use std::collections::BTreeSet;
use std::error::Error;

use gambeson_matcher::tables::trie::{Node, Trie};
use gambeson_matcher::testing::Random;
use gambeson_matcher::{Compile, CompiledPolicy, Config};
use gambeson_policy_model::{Enforcement, PolicySet, Workload};

/// The byte string of a node.
fn string(trie: &Trie, node: u32) -> Vec<u8> {
    let Some(record) = trie.nodes.get(node as usize) else {
        return Vec::new();
    };
    let Some(parent) = trie.nodes.get(record.owner as usize) else {
        return Vec::new();
    };
    let mut bytes = string(trie, record.owner);
    bytes.push((node - parent.base) as u8);
    let [low, high] = record.head.map(u32::to_le_bytes);
    let label = [low, high].concat();
    let in_head = label.last().map_or(0, |len| usize::from(*len));
    bytes.extend(label.iter().take(in_head.min(Node::IN_HEAD)));
    if let Some(place) = trie.places.get(node as usize) {
        bytes.extend_from_slice(place.tail.of(&trie.labels));
    }
    bytes
}

#[test]
fn named_nodes_are_what_renaming_the_root_would_write_to() -> Result<(), Box<dyn Error>> {
    let mut seen = 0;
    for seed in 0..500 {
        let selection = Random::new(seed).selection(20);
        if selection.enforcement() == Enforcement::Disabled {
            continue;
        }
        let compiled = selection.compile(&Config::default())?;
        let tables = compiled.tables();
        let named: BTreeSet<Vec<u8>> = tables
            .named
            .iter()
            .map(|node| string(&tables.file, *node))
            .collect();
        let expected: BTreeSet<Vec<u8>> = selection
            .named_below("/")
            .into_iter()
            .map(|path| path.as_bytes().to_vec())
            .collect();
        seen += expected.len();
        assert_eq!(named, expected, "seed {seed}");
    }
    assert!(seen > 1000, "{seen}");
    Ok(())
}

#[test]
fn native_text_is_kept_in_the_image() -> Result<(), Box<dyn Error>> {
    let policies = PolicySet::from_str(
        "apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: confined}
spec:
  selector: {matchLabels: {app: web}}
  apparmor: 'deny /etc/shadow r,'
  file: {matchPaths: [{path: /etc/shadow}]}
",
    )?;
    let compiled = policies
        .select(&Workload::pod("default").label("app", "web"))
        .compile(&Config::default())?;
    let loaded = CompiledPolicy::from_bytes(&compiled.to_bytes())?;
    let native: Vec<_> = loaded.apparmor().collect();
    assert_eq!(native.len(), 1);
    assert_eq!(native[0].policy, "confined");
    assert_eq!(native[0].text, "deny /etc/shadow r,");
    assert_eq!(native[0].line, 6);
    Ok(())
}
