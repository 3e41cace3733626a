//! From compiled policies to a module.

mod base;
mod cil;
mod classes;
mod contexts;
mod domains;
mod error;
mod limits;
mod module;
mod options;
mod pattern;
mod regex;
mod sockets;
mod space;
mod subject;
mod top;
mod tries;
mod vocabulary;

use std::collections::{BTreeSet, HashMap};

use gambeson_matcher::tables::Tables;
use gambeson_matcher::{CompiledPolicy, ObjectKind};

pub(crate) use base::UNLABELLED;
use cil::Writer;
use classes::Classes;
pub(crate) use domains::quotable;
use domains::{Others, Subject};
pub use error::LowerError;
pub use limits::LowerLimits;
use module::Place;
pub use module::{Domain, Module, ObjectType};
pub use options::{Base, LowerOptions};
use pattern::Patterns;
pub(crate) use sockets::SocketClass;
use space::Space;
pub use subject::Access;
pub(crate) use subject::{Policy, UNNAMED, worst_event};
use tries::{Named, strings};

/// Brings the policies of all workloads on one node into SELinux's form. A file has one label, whoever
/// looks at it: so workloads are lowered together.
///
/// ```
/// use gambeson_backend_selinux::{LowerOptions, lower};
/// use gambeson_matcher::{Compile, Config};
/// use gambeson_policy_model::{PolicySet, Workload};
/// let policies = PolicySet::from_str("
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: {name: web}
/// spec:
///   file: {matchPaths: [{path: /etc/shadow}]}
/// ")?;
/// let compiled = policies.select(&Workload::pod("default")).compile(&Config::default())?;
/// let module = lower(&[("web", &compiled)], &LowerOptions::default())?;
/// assert!(module.cil().contains("neverallow"));
/// assert!(module.file_contexts().contains("/etc/shadow"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Two workloads of one name, a prefix that can't be one, or limits: nothing is cut in silence.
pub fn lower(
    workloads: &[(&str, &CompiledPolicy)],
    options: &LowerOptions,
) -> Result<Module, LowerError> {
    check_prefix(&options.prefix)?;
    let mut names: BTreeSet<&str> = BTreeSet::new();
    if let Some((name, _)) = workloads.iter().find(|(name, _)| !names.insert(name)) {
        return Err(LowerError::DuplicateWorkload {
            name: (*name).to_owned(),
        });
    }
    let (policies, policy_of) = distinct(workloads);
    let count: usize = policy_of
        .iter()
        .filter_map(|place| policies.get(*place))
        .map(|policy| policy.sources.len())
        .sum();
    if count > options.limits.domains {
        return Err(LowerError::TooManyDomains {
            count,
            limit: options.limits.domains,
        });
    }
    let on_top = options.base.is_some();
    let space = space(&policies, options)?;
    let classes = Classes::new(&space, &policies, on_top, &options.limits)?;
    let entries = contexts::entries(&space, &classes, &options.limits)?;

    let domains = domains_of(workloads, &policies, &policy_of, &options.prefix);
    let mut writer = Writer::new(options.prefix.clone(), classes.types.len(), on_top);
    writer.line("; Made from compiled policies; a change by hand is lost with the next one.");
    match &options.base {
        None => base::begin(&mut writer),
        Some(base) => top::begin(&mut writer, base),
    }
    declare_types(&mut writer, &classes);
    domains::permissions(&mut writer);
    let type_at = |path: &str| {
        let bytes = path.as_bytes();
        let unnamed = [b'/', UNNAMED];
        let deep = [bytes, &unnamed, &unnamed].concat();
        let cell = space.cell_of(&deep);
        cell.and_then(|cell| classes.of_cell.get(cell).copied().flatten())
    };
    let rows_at = |path| {
        let of = type_at(path).and_then(|id| classes.types.get(id));
        of.map_or(classes.elsewhere, |of| of.rows)
    };
    let others = Others {
        unknown: !on_top,
        foreign: on_top,
        proc_rows: rows_at("/proc"),
    };
    let mut subjects: Vec<(usize, Vec<String>)> = Vec::new();
    for (place, policy) in policy_of.iter().enumerate() {
        let own = domains.iter().filter(|domain| domain.place == place);
        subjects.push((*policy, own.map(|domain| domain.name.clone()).collect()));
    }
    declare_domains(&mut writer, &subjects, options.base.as_ref());
    domains::common(&mut writer);
    for (number, (policy, names)) in subjects.iter().enumerate() {
        let subject = Subject {
            policy: *policy,
            domains: names,
            attribute: format!("{}_workload_{number}", options.prefix),
        };
        let Some(policy) = policies.get(*policy) else {
            continue;
        };
        for source in 0..names.len() {
            domains::write(&mut writer, &classes, &subject, policy, source, others);
        }
    }
    writer.heading("what new files are");
    domains::new_files(&mut writer, &classes, "@_makers");
    let name_at = |path: &str| match type_at(path) {
        Some(id) => format!("{}_{id}_t", options.prefix),
        None => format!("{}_unknown_t", options.prefix),
    };
    match &options.base {
        None => base::end(&mut writer, &name_at),
        Some(base) => top::end(&mut writer, base, &entries),
    }
    let mut module = finish(
        writer, options, &classes, &policies, &policy_of, domains, space,
    );
    module.of_cell = classes.of_cell;
    module.file_contexts = file_contexts(&module, &entries);
    Ok(module)
}

fn check_prefix(prefix: &str) -> Result<(), LowerError> {
    let good = prefix.starts_with(|first: char| first.is_ascii_alphabetic())
        && prefix
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if good {
        Ok(())
    } else {
        Err(LowerError::Prefix {
            prefix: prefix.to_owned(),
        })
    }
}

/// Policies, each once, and the place of each workload's.
fn distinct<'p>(workloads: &[(&str, &'p CompiledPolicy)]) -> (Vec<Policy<'p>>, Vec<usize>) {
    let mut policies: Vec<Policy<'p>> = Vec::new();
    let mut policy_of = Vec::with_capacity(workloads.len());
    for (_, compiled) in workloads {
        let known = policies
            .iter()
            .position(|policy| policy.compiled.tables() == compiled.tables());
        policy_of.push(known.unwrap_or(policies.len()));
        if known.is_none() {
            policies.push(Policy::new(compiled));
        }
    }
    (policies, policy_of)
}

fn space(policies: &[Policy<'_>], options: &LowerOptions) -> Result<Space, LowerError> {
    let mut named = Named::new();
    let mut globs: BTreeSet<&str> = BTreeSet::new();
    let mut names: BTreeSet<Vec<u8>> = BTreeSet::new();
    for policy in policies {
        named.add_tables(policy.compiled.tables());
        for glob in policy.compiled.globs() {
            let shape = policy.compiled.shape(glob.rule);
            if shape.is_some_and(|shape| shape.object == ObjectKind::Pattern) {
                globs.insert(glob.text);
            }
        }
        let tables = policy.compiled.tables();
        for globs in [
            &tables.process_globs,
            &tables.file_globs,
            &tables.mapping_globs,
        ] {
            let ends = strings(&globs.names).into_iter().filter(|(node, _)| {
                let place = globs.names.places.get(*node as usize);
                // What ends here is named from the root on, too: an execname.
                place.is_some_and(|place| place.exact_globs != 0)
            });
            names.extend(ends.map(|(_, name)| name));
        }
    }
    names.retain(|name| !name.is_empty());
    let patterns = Patterns::new(globs, names);
    Space::new(named, patterns, &options.limits)
}

fn declare_types(writer: &mut Writer, classes: &Classes) {
    writer.heading("types of files");
    writer.line("(typeattribute @_files)");
    let mut names = String::new();
    for (id, of) in classes.types.iter().enumerate() {
        let name = writer.type_name(id);
        writer.line(&format!("; such as {}", of.example.escape_ascii()));
        writer.line(&format!("(type {name})"));
        names.push_str(&name);
        names.push(' ');
    }
    if !names.is_empty() {
        writer.line(&format!(
            "(typeattributeset @_files ({}))",
            names.trim_end()
        ));
    }
}

fn declare_domains(writer: &mut Writer, subjects: &[(usize, Vec<String>)], base: Option<&Base>) {
    writer.heading("domains");
    writer.line("(typeattribute @_subjects) (typeattribute @_processes) (typeattribute @_makers)");
    writer.line("(typeattribute @_net)");
    for (number, (_, names)) in subjects.iter().enumerate() {
        let workload = format!("@_workload_{number}");
        writer.line(&format!("(typeattribute {workload})"));
        for name in names {
            writer.line(&format!("(type {name})"));
        }
        let names = names.join(" ");
        writer.line(&format!("(typeattributeset {workload} ({names}))"));
        writer.line(&format!("(typeattributeset @_subjects ({names}))"));
    }
    writer.line("(typeattributeset @_processes (@_subjects))");
    writer.line("(typeattributeset @_makers (@_subjects))");
    let role = base.map_or("system_r", |base| base.role.as_str());
    writer.line(&format!("(roletype {role} @_subjects)"));
    if base.is_none() {
        writer.line("(roletype system_r @_system_t)");
        writer.line("(typeattributeset @_processes (@_system_t))");
        writer.line("(typeattributeset @_makers (@_system_t))");
        writer.line("(typeattributeset @_net (@_net_t))");
    }
    // An attribute that nothing is in can't stand in a rule.
    writer.line("(allow @_subjects @_all_objects (filesystem (getattr)))");
    writer.line("(allow @_subjects @_all_objects @_always)");
}

fn domains_of(
    workloads: &[(&str, &CompiledPolicy)],
    policies: &[Policy<'_>],
    policy_of: &[usize],
    prefix: &str,
) -> Vec<Domain> {
    let mut domains = Vec::new();
    for (place, ((name, _), policy)) in workloads.iter().zip(policy_of).enumerate() {
        let sources = policies
            .get(*policy)
            .map_or(&[][..], |policy| &policy.sources);
        for (number, class) in sources.iter().enumerate() {
            domains.push(Domain {
                name: format!("{prefix}_w{place}_s{number}_t"),
                workload: (*name).to_owned(),
                place,
                program: class.program.clone(),
                class: class.number,
            });
        }
    }
    domains
}

fn finish(
    writer: Writer,
    options: &LowerOptions,
    classes: &Classes,
    policies: &[Policy<'_>],
    policy_of: &[usize],
    domains: Vec<Domain>,
    space: Space,
) -> Module {
    let verdicts_of = |rows: usize| {
        let mut verdicts = Vec::with_capacity(domains.len());
        for policy in policy_of {
            let count = policies
                .get(*policy)
                .map_or(0, |policy| policy.sources.len());
            for source in 0..count {
                let row = classes.row(rows, *policy);
                let found = row.and_then(|row| row.verdicts.get(source));
                verdicts.push(
                    found.map_or([gambeson_policy_model::Verdict::Block; 5], |found| {
                        Access::ALL.map(|access| found.enforced(access))
                    }),
                );
            }
        }
        verdicts
    };
    let types: Vec<ObjectType> = classes
        .types
        .iter()
        .enumerate()
        .map(|(id, of)| ObjectType {
            name: writer.type_name(id),
            example: of.example.clone(),
            verdicts: verdicts_of(of.rows),
        })
        .collect();
    let mut by_name: HashMap<String, Place> = HashMap::new();
    by_name.extend(
        (0..)
            .zip(&types)
            .map(|(id, of)| (of.name.clone(), Place::Type(id))),
    );
    by_name.extend(
        (0..)
            .zip(&domains)
            .map(|(id, of)| (of.name.clone(), Place::Domain(id))),
    );
    let base = options.base.as_ref();
    Module {
        cil: writer.out,
        file_contexts: String::new(),
        domains,
        types,
        by_name,
        user: base.map_or_else(|| "system_u".to_owned(), |base| base.user.clone()),
        role: base.map_or_else(|| "system_r".to_owned(), |base| base.role.clone()),
        level: base.and_then(|base| base.level.clone()),
        whole: base.is_none(),
        space,
        of_cell: Vec::new(),
    }
}

/// The entries as text.
fn file_contexts(module: &Module, entries: &[contexts::FileContext]) -> String {
    let mut text = String::new();
    let contexts: Vec<String> = module
        .types
        .iter()
        .map(|of| module.context_of_files(of))
        .collect();
    for entry in entries {
        if let Some(context) = contexts.get(entry.of) {
            text.push_str(&entry.expression);
            text.push(' ');
            text.push_str(context);
            text.push('\n');
        }
    }
    text
}

/// The paths that file and process rules name, and what leads to them.
pub(crate) fn named_paths(tables: &Tables) -> BTreeSet<Vec<u8>> {
    let mut named = Named::new();
    for trie in [&tables.process, &tables.mapping, &tables.file] {
        named.add(trie);
    }
    named.exact
}
