//! The picture of a small policy's tables in `DESIGN.md`, drawn from the tables themselves.

use std::fmt::Write as _;
use std::sync::Arc;

use gambeson_policy_model::{
    Action, Class, Conditions, Directory, Glob, Location, Object, PolicyId, PolicyKind, Rule,
    RuleList, Selection,
};

use super::automaton::{STOP, Slot};
use super::entry::{Entry, Parts};
use super::record::Record;
use super::trie::Node;
use super::{Row, Tables};
use crate::compile;
use crate::config::Config;
use crate::prepare::prepare;

fn rule(list: RuleList, object: Object, action: Action, read_only: bool) -> Rule {
    Rule {
        policy: Arc::new(PolicyId {
            name: "etc".to_owned(),
            kind: PolicyKind::KubeArmorPolicy,
            namespace: Some("default".to_owned()),
        }),
        class: Class::File,
        list,
        index: 0,
        object,
        sources: Vec::new(),
        action,
        conditions: Conditions {
            read_only,
            ..Conditions::default()
        },
        severity: 0,
        tags: Arc::default(),
        message: Arc::default(),
        location: Location {
            file: "etc.yaml".into(),
            line: 1,
            column: 1,
        },
    }
}

/// The policy of the picture: its rules get the ids 0, 1 and 2.
fn tables() -> Result<Tables, Box<dyn std::error::Error>> {
    let etc = Directory {
        path: "/etc/".to_owned(),
        recursive: true,
    };
    let selection = Selection::new(vec![
        rule(
            RuleList::MatchPaths,
            Object::Path("/etc/shadow".to_owned()),
            Action::Block,
            false,
        ),
        rule(
            RuleList::MatchDirectories,
            Object::Directory(etc),
            Action::Allow,
            true,
        ),
        rule(
            RuleList::MatchPatterns,
            Object::Pattern(Glob::parse("/etc/*.key")?),
            Action::Block,
            false,
        ),
    ]);
    let config = Config::default();
    let prepared = prepare(&selection, &config)?;
    Ok(compile::compile(&prepared, config.limits)?)
}

fn hex<R: Record>(record: &R) -> String {
    let mut words = Vec::new();
    record.write(&mut words);
    let words: Vec<String> = words
        .iter()
        .map(|word| {
            let [a, b, c, d] = word.to_le_bytes();
            format!("{a:02x}{b:02x}{c:02x}{d:02x}")
        })
        .collect();
    words.join(" ")
}

fn say(entry: u32) -> String {
    match Entry(entry).parts() {
        Parts::Nothing => "nothing".to_owned(),
        Parts::Leaf(leaf) => {
            let verb = if leaf.denies() { "denies" } else { "grants" };
            format!("rule {} {verb}", leaf.rule().0)
        }
        Parts::Block(block) => format!("block {block}"),
        Parts::Test(test) => format!("test {test}"),
    }
}

fn row(number: u32) -> String {
    match Row::as_leaf(number) {
        Some(_) => say(number),
        None => format!("row {number}"),
    }
}

fn state(number: u32) -> String {
    let end = if number & STOP == 0 { "" } else { ", and stop" };
    format!("state {}{end}", number & !STOP)
}

fn picture(tables: &Tables) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let trie = &tables.file;
    writeln!(
        out,
        "file trie: nodes          owner    base     head (label, length)"
    )?;
    for (slot, node) in trie.nodes.iter().enumerate() {
        if node.owner == Node::FREE && slot != 0 {
            continue;
        }
        let [low, high] = node.head;
        let head = (u64::from(low) | u64::from(high) << 32).to_le_bytes();
        let label: String = head
            .iter()
            .take(head[7].into())
            .map(|byte| char::from(*byte))
            .collect();
        let parent = trie
            .nodes
            .get(node.owner as usize)
            .map_or(0, |parent| parent.base);
        let reached = match u8::try_from((slot as u32).wrapping_sub(parent)) {
            Ok(byte) if slot != 0 => format!("from {} by `{}`", node.owner, char::from(byte)),
            _ => "the root".to_owned(),
        };
        writeln!(
            out,
            "  {slot:>4}  {:<17} {}  label `{label}`",
            reached,
            hex(node)
        )?;
    }
    writeln!(
        out,
        "file trie: places         exact    patterns region   tuple    tail"
    )?;
    for (slot, (place, node)) in trie.places.iter().zip(&trie.nodes).enumerate() {
        if node.owner != Node::FREE || slot == 0 {
            let says = format!(
                "{}, region {}, tuple {}",
                row(place.exact),
                place.region,
                place.globs
            );
            writeln!(out, "  {slot:>4}                    {}  {says}", hex(place))?;
        }
    }
    writeln!(out, "file trie: regions        length   children deeper")?;
    for (number, region) in trie.regions.iter().enumerate() {
        let says = format!("{}; {}", row(region.child), row(region.deep));
        writeln!(
            out,
            "  {number:>4}                    {}  {says}",
            hex(region)
        )?;
    }
    writeln!(
        out,
        "rows                      grant    except.  watch    except."
    )?;
    for (number, row) in tables.rows.iter().enumerate() {
        writeln!(
            out,
            "  {number:>4}                    {}  {}",
            hex(row),
            say(row.grant.0)
        )?;
    }
    writeln!(out, "blocks")?;
    for (number, block) in tables.blocks.iter().enumerate() {
        for (holding, entry) in block.iter().enumerate() {
            let holds: Vec<&str> = ["owner", "read", "no terminal"]
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| holding >> bit & 1 == 1)
                .map(|(_, name)| name)
                .collect();
            let says = say(entry.0);
            writeln!(
                out,
                "  {number:>4}.{holding}                  {}  {says} [{}]",
                hex(entry),
                holds.join(", ")
            )?;
        }
    }
    for (number, automaton) in tables.file_globs.forward.iter().enumerate() {
        writeln!(
            out,
            "forward automaton {number}       base     default  accepts"
        )?;
        for (place, record) in automaton.states.iter().enumerate() {
            let says = format!("else to {}; {}", state(record.default), row(record.accept));
            writeln!(
                out,
                "  {place:>4}                    {}  {says}",
                hex(record)
            )?;
        }
        writeln!(out, "its slots                 owner    next")?;
        for (place, slot) in automaton.slots.iter().enumerate() {
            if slot.owner == Slot::FREE {
                continue;
            }
            let base = automaton
                .states
                .get(slot.owner as usize)
                .map_or(0, |state| state.base);
            let class = place as u32 - base;
            let byte = automaton
                .classes
                .iter()
                .position(|of| u32::from(*of) == class);
            let byte = byte
                .and_then(|byte| u8::try_from(byte).ok())
                .map_or('?', char::from);
            let says = format!(
                "from state {} by `{byte}` to {}",
                slot.owner,
                state(slot.next)
            );
            writeln!(out, "  {place:>4}                    {}  {says}", hex(slot))?;
        }
    }
    writeln!(out, "tuples: {:?}", tables.file_globs.starts)?;
    Ok(out)
}

#[test]
fn the_design_shows_the_tables_as_they_are() -> Result<(), Box<dyn std::error::Error>> {
    let drawn = picture(&tables()?)?;
    let design = include_str!("../../DESIGN.md");
    assert!(design.contains(&drawn), "DESIGN.md should show:\n{drawn}");
    Ok(())
}
