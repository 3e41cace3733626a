//! From rules to tables.

pub(crate) mod cells;
pub(crate) mod comb;
pub(crate) mod dns;
pub(crate) mod globs;
pub(crate) mod network;
pub(crate) mod nfa;
pub(crate) mod paths;
pub(crate) mod skeleton;
pub(crate) mod sources;

use std::collections::BTreeMap;

use gambeson_policy_model::{
    Action, Capability, Class, Enforcement, Object, PathScope, Preset, Protocol, Rule,
};

use crate::config::{CompileError, CompileLimits};
use crate::prepare::Prepared;
use crate::tables::entry::Rank;
use crate::tables::record::Span;
use crate::tables::{DeviceRow, Head, Syscall, Tables, Watch};
use cells::{Cells, Context};
use globs::Spreader;
use paths::Compiled;
use sources::SourceClasses;

/// Compiles rules in the order of attribution.
pub(crate) fn compile(prepared: &Prepared, limits: CompileLimits) -> Result<Tables, CompileError> {
    let rules = &prepared.rules;
    let mut tables = Tables {
        head: head(prepared),
        ..Tables::default()
    };
    let sources = SourceClasses::new(rules);
    let spreader = Spreader { limits };
    let mut cells = Cells::new(rules, &sources, &mut tables);
    let of_class = |class: Class| {
        (0u32..)
            .zip(rules)
            .filter(move |(_, rule)| rule.class == class)
    };

    let paths = |class, cells: &mut Cells<'_>, tables: &mut Tables| {
        paths::compile(of_class(class), cells, tables, &spreader)
    };
    let process = paths(Class::Process, &mut cells, &mut tables)?;
    (tables.process, tables.process_globs) = (process.trie, process.globs);
    let file = paths(Class::File, &mut cells, &mut tables)?;
    (tables.file, tables.file_globs, tables.named) = (file.trie, file.globs, file.named);
    tables.dns = paths(Class::Dns, &mut cells, &mut tables)?.trie;
    if tables.head.in_allow_list_mode(Class::Process) {
        let mapping = mapping(of_class(Class::Process), &mut cells, &mut tables, &spreader)?;
        (tables.mapping, tables.mapping_globs) = (mapping.trie, mapping.globs);
    }
    network(
        &of_class(Class::Network).collect::<Vec<_>>(),
        &mut cells,
        &mut tables,
    );
    let rows_of = |class: Class, cells: &mut Cells<'_>, tables: &mut Tables, object: &Object| {
        let ids: Vec<u32> = of_class(class)
            .filter(|(_, rule)| rule.object == *object)
            .map(|(id, _)| id)
            .collect();
        let mut context = Context::default();
        cells.apply(tables, &mut context, &ids, Rank::EXACT);
        cells.row(tables, &context)
    };
    for capability in Capability::all() {
        let object = Object::Capability(capability);
        let row = rows_of(Class::Capabilities, &mut cells, &mut tables, &object);
        tables.capabilities.push(row);
    }
    for preset in Preset::ALL {
        let object = Object::Preset(preset);
        let row = rows_of(Class::Presets, &mut cells, &mut tables, &object);
        tables.presets.push(row);
    }
    syscalls(of_class(Class::Syscalls), &sources, &mut tables);
    devices(of_class(Class::Devices), &mut tables);
    drop(cells);
    tables.sources = sources.trie;
    if tables.bytes() > limits.image_bytes {
        return Err(CompileError::ImageTooLarge {
            limit: limits.image_bytes,
        });
    }
    Ok(tables)
}

fn head(prepared: &Prepared) -> Head {
    let mut head = Head {
        rules: prepared.rules.len() as u32,
        audited: u32::from(prepared.enforcement == Enforcement::Audited),
        ..Head::default()
    };
    for rule in &prepared.rules {
        let bit = Head::bit(rule.class);
        match rule.action {
            Action::Allow => head.allow_list |= bit,
            Action::Audit => head.watches |= bit,
            Action::Block => {}
        }
        if rule.can_deny() {
            head.can_deny |= bit;
        }
    }
    for class in Class::ALL {
        head.set_posture(class, prepared.postures.of(class));
    }
    head
}

/// What counts for mappings where process is in allow-list mode: exact paths and execnames, without
/// those that only watch, and whatever the arguments.
fn mapping<'r>(
    rules: impl Iterator<Item = (u32, &'r Rule)>,
    cells: &mut Cells<'_>,
    tables: &mut Tables,
    spreader: &Spreader,
) -> Result<Compiled, CompileError> {
    let counting = rules.filter(|(_, rule)| {
        rule.action != Action::Audit && matches!(rule.object, Object::Path(_) | Object::ExecName(_))
    });
    cells.ignore_args = true;
    let compiled = paths::compile(counting, cells, tables, spreader);
    cells.ignore_args = false;
    compiled
}

/// Rows of sockets: a named protocol is a tier above `all`.
fn network(rules: &[(u32, &Rule)], cells: &mut Cells<'_>, tables: &mut Tables) {
    for socket in network::representatives() {
        let of = |all: bool| -> Vec<u32> {
            let matching = |rule: &Rule| match rule.object {
                Object::Protocol(protocol) => {
                    (protocol == Protocol::All) == all && protocol.matches(&socket)
                }
                _ => false,
            };
            let found = rules.iter().filter(|(_, rule)| matching(rule));
            found.map(|(id, _)| *id).collect()
        };
        let mut context = Context::default();
        cells.apply(tables, &mut context, &of(true), Rank::DIRECTORY);
        cells.apply(tables, &mut context, &of(false), Rank::EXACT);
        let row = cells.row(tables, &context);
        tables.network.push(row);
    }
}

fn syscalls<'r>(
    rules: impl Iterator<Item = (u32, &'r Rule)>,
    sources: &SourceClasses,
    tables: &mut Tables,
) {
    let mut by_name: BTreeMap<&str, Vec<Watch>> = BTreeMap::new();
    for (id, rule) in rules {
        let Object::Syscalls { names, scope } = &rule.object else {
            continue;
        };
        let (scope, path) = match scope {
            None => (Watch::ANYWHERE, ""),
            Some(PathScope::Directory(directory)) if directory.recursive => {
                (Watch::BELOW, directory.path.as_str())
            }
            Some(PathScope::Directory(directory)) => (Watch::CHILDREN, directory.path.as_str()),
            Some(PathScope::Path(path)) => (Watch::FILE, path.as_str()),
        };
        let start = tables.members.len() as u32;
        tables.members.extend_from_slice(sources.of_rule(id));
        let watch = Watch {
            scope,
            path: tables.add_text(path.as_bytes()),
            sources: Span {
                start,
                len: tables.members.len() as u32 - start,
            },
            sourced: u32::from(!rule.sources.is_empty()),
            rule: id,
        };
        for name in names {
            by_name.entry(name).or_default().push(watch);
        }
    }
    for (name, watches) in by_name {
        let start = tables.watches.len() as u32;
        tables.watches.extend_from_slice(&watches);
        let name = tables.add_text(name.as_bytes());
        tables.syscalls.push(Syscall {
            name,
            watches: Span {
                start,
                len: watches.len() as u32,
            },
        });
    }
}

fn devices<'r>(rules: impl Iterator<Item = (u32, &'r Rule)>, tables: &mut Tables) {
    for (id, rule) in rules {
        let Object::Device(wanted) = &rule.object else {
            continue;
        };
        let given = [wanted.subclass, wanted.protocol, wanted.level];
        let word = |field: Option<i32>| field.unwrap_or(0).cast_unsigned();
        tables.devices.push(DeviceRow {
            class: u32::from(wanted.class.0),
            subclass: word(wanted.subclass),
            protocol: word(wanted.protocol),
            level: word(wanted.level),
            given: (0u32..)
                .zip(given)
                .map(|(bit, field)| u32::from(field.is_some()) << bit)
                .sum(),
            effect: match rule.action {
                Action::Allow => DeviceRow::GRANTS,
                Action::Block => DeviceRow::DENIES,
                Action::Audit => DeviceRow::WATCHES,
            },
            rule: id,
        });
    }
}
