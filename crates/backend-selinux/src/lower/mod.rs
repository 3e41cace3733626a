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
mod replace;
mod sockets;
mod space;
mod subject;
mod top;
mod tries;
mod vocabulary;

use std::collections::{BTreeSet, HashMap};

use gambeson_matcher::tables::Tables;
use gambeson_matcher::{CompiledPolicy, ObjectKind};
use gambeson_policy_model::Verdict;

pub(crate) use base::UNLABELLED;
use cil::Writer;
use classes::Classes;
pub(crate) use domains::quotable;
use domains::{Others, Scope, Subject};
pub use error::LowerError;
pub use limits::LowerLimits;
use module::Place;
pub use module::{Domain, Module, ObjectType};
pub use options::{Base, LowerOptions};
use pattern::Patterns;
pub use replace::Replacement;
pub(crate) use sockets::SocketClass;
use space::Space;
pub use subject::Access;
pub(crate) use subject::{Policy, UNNAMED, operation as access_operation, worst_event};
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
    let part = Part::new(workloads, options)?;
    let entries = contexts::entries(&part.space, &part.classes, &options.limits)?;
    let cil = write(&[&part], options, &entries, &[]);
    let mut module = part.finish(cil, options);
    module.file_contexts = file_contexts(&module, &entries);
    Ok(module)
}

/// One generation of policies on a node, divided into types and domains.
struct Part<'p> {
    tag: String,
    policies: Vec<Policy<'p>>,
    /// The names of the workloads, each with the place of its policy.
    workloads: Vec<(&'p str, usize)>,
    space: Space,
    classes: Classes,
    domains: Vec<Domain>,
}

impl<'p> Part<'p> {
    fn new(
        workloads: &[(&'p str, &'p CompiledPolicy)],
        options: &LowerOptions,
    ) -> Result<Self, LowerError> {
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
        let names = workloads.iter().map(|(name, _)| *name);
        let workloads: Vec<(&str, usize)> = names.zip(policy_of).collect();
        let tag = options.tag();
        let mut own = Self {
            domains: domains_of(&workloads, &policies, &options.prefix, &tag),
            tag,
            policies,
            workloads,
            space,
            classes,
        };
        if !on_top {
            for (name, path) in UNLABELLED {
                let rows = own.rows_at(path);
                let example = below(path);
                own.classes.add_file_system(name, example, rows);
            }
        }
        Ok(own)
    }

    /// The rows of files below a directory, however deep.
    fn rows_at(&self, path: &str) -> usize {
        let cell = self.space.cell_of(&below(path));
        let id = cell.and_then(|cell| self.classes.of_cell.get(cell).copied().flatten());
        let of = id.and_then(|id| self.classes.types.get(id));
        of.map_or(self.classes.elsewhere, |of| of.rows)
    }

    fn type_names(&self, prefix: &str) -> Vec<String> {
        let types = self.classes.types.iter().enumerate();
        let names = types.map(|(id, of)| match of.lasting {
            Some(name) => format!("{prefix}_{name}_t"),
            None => format!("{prefix}_{}{id}_t", self.tag),
        });
        names.collect()
    }

    fn policy(&self, place: usize) -> Option<&Policy<'p>> {
        self.policies.get(place)
    }

    /// The names of a workload's domains.
    fn domains_of(&self, place: usize) -> Vec<String> {
        let own = self.domains.iter().filter(|domain| domain.place == place);
        own.map(|domain| domain.name.clone()).collect()
    }
}

/// A path far below a directory that nothing names.
fn below(path: &str) -> Vec<u8> {
    let unnamed = [b'/', UNNAMED];
    [path.as_bytes(), &unnamed, &unnamed].concat()
}

/// Another name of a domain.
type Alias = (String, String);

/// Writes a module for all parts. With two, files may have labels of either.
fn write(
    parts: &[&Part<'_>],
    options: &LowerOptions,
    entries: &[contexts::FileContext],
    aliases: &[Alias],
) -> String {
    let on_top = options.base.is_some();
    let mut writer = Writer::new(options.prefix.clone(), on_top);
    writer.line("; Made from compiled policies; a change by hand is lost with the next one.");
    match &options.base {
        None => base::begin(&mut writer),
        Some(base) => top::begin(&mut writer, base),
    }
    writer.heading("types of files");
    writer.line("(typeattribute @_files)");
    for (number, part) in parts.iter().enumerate() {
        writer.turn_to(&part.tag, part.type_names(&options.prefix));
        declare_types(&mut writer, &part.classes, number == 0);
    }
    domains::permissions(&mut writer);
    declare_domains(&mut writer, parts, options.base.as_ref());
    domains::common(&mut writer);
    for part in parts {
        writer.turn_to(&part.tag, part.type_names(&options.prefix));
        for (place, (_, policy)) in part.workloads.iter().enumerate() {
            write_workload(&mut writer, part, place, *policy);
        }
        for other in parts.iter().filter(|other| other.tag != part.tag) {
            write_others(&mut writer, part, other);
        }
        writer.heading("what new files are");
        domains::new_files(&mut writer, &part.classes, "@_makers");
    }
    for (alias, of) in aliases {
        writer.line(&format!(
            "(typealias {alias}) (typealiasactual {alias} {of})"
        ));
    }
    match &options.base {
        None => base::end(&mut writer),
        Some(base) => top::end(&mut writer, base, entries),
    }
    writer.out
}

/// Writes the rules of a workload's domains.
fn write_workload(writer: &mut Writer, part: &Part<'_>, place: usize, number: usize) {
    let Some(policy) = part.policy(number) else {
        return;
    };
    let others = Others {
        unknown: !writer.is_on_top(),
        foreign: writer.is_on_top(),
        proc_rows: part.rows_at("/proc"),
    };
    let names = part.domains_of(place);
    let attribute = format!("{}_{}workload_{place}", writer.prefix, part.tag);
    for (source, domain) in names.iter().enumerate() {
        let subject = Subject {
            domain,
            policy: number,
            source,
            domains: &names,
            attribute: &attribute,
        };
        domains::write(writer, &part.classes, &subject, policy, Scope::All(others));
    }
}

/// Writes what domains of another generation may do with files that this one has labelled: what this one's policy
/// of their workload says of their programs.
fn write_others(writer: &mut Writer, part: &Part<'_>, other: &Part<'_>) {
    for (place, (name, number)) in part.workloads.iter().enumerate() {
        let (Some(policy), Some(there)) = (
            part.policy(*number),
            other.workloads.iter().position(|(own, _)| own == name),
        ) else {
            continue;
        };
        let names = part.domains_of(place);
        let attribute = format!("{}_{}workload_{place}", writer.prefix, part.tag);
        let theirs = format!("{}_{}workload_{there}", writer.prefix, other.tag);
        domains::generations(writer, &attribute, &theirs);
        for domain in other.domains.iter().filter(|domain| domain.place == there) {
            let subject = Subject {
                domain: &domain.name,
                policy: *number,
                source: policy.source_of(&domain.program),
                domains: &names,
                attribute: &attribute,
            };
            domains::write(writer, &part.classes, &subject, policy, Scope::Files);
        }
    }
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

fn declare_types(writer: &mut Writer, classes: &Classes, first: bool) {
    let all = writer.all_types();
    writer.line(&format!("(typeattribute {all})"));
    let mut names = String::new();
    for (id, of) in classes.types.iter().enumerate() {
        let name = writer.type_name(id);
        if first || of.lasting.is_none() {
            writer.line(&format!("; such as {}", of.example.escape_ascii()));
            writer.line(&format!("(type {name})"));
        }
        names.push_str(&name);
        names.push(' ');
    }
    if !names.is_empty() {
        let names = names.trim_end();
        writer.line(&format!("(typeattributeset {all} ({names}))"));
        writer.line(&format!("(typeattributeset @_files ({names}))"));
    }
}

fn declare_domains(writer: &mut Writer, parts: &[&Part<'_>], base: Option<&Base>) {
    writer.heading("domains");
    writer.line("(typeattribute @_subjects) (typeattribute @_processes) (typeattribute @_makers)");
    writer.line("(typeattribute @_net)");
    for part in parts {
        for place in 0..part.workloads.len() {
            let workload = format!("@_{}workload_{place}", part.tag);
            let names = part.domains_of(place);
            writer.line(&format!("(typeattribute {workload})"));
            for name in &names {
                writer.line(&format!("(type {name})"));
            }
            let names = names.join(" ");
            writer.line(&format!("(typeattributeset {workload} ({names}))"));
            writer.line(&format!("(typeattributeset @_subjects ({names}))"));
        }
    }
    writer.line("(typeattributeset @_processes (@_subjects))");
    writer.line("(typeattributeset @_makers (@_subjects))");
    let role = base.map_or("system_r", |base| base.role.as_str());
    writer.line(&format!("(roletype {role} @_subjects)"));
    if base.is_none() {
        writer.line("(roletype system_r @_system_t) (roletype system_r @_kernel_t)");
        writer.line("(typeattributeset @_processes (@_system_t @_kernel_t))");
        writer.line("(typeattributeset @_makers (@_system_t @_kernel_t))");
        writer.line("(typeattributeset @_net (@_net_t))");
    }
    // An attribute that nothing is in can't stand in a rule.
    writer.line("(allow @_subjects @_all_objects (filesystem (getattr)))");
    writer.line("(allow @_subjects @_all_objects @_always)");
}

fn domains_of(
    workloads: &[(&str, usize)],
    policies: &[Policy<'_>],
    prefix: &str,
    tag: &str,
) -> Vec<Domain> {
    let mut domains = Vec::new();
    for (place, (name, policy)) in workloads.iter().enumerate() {
        let sources = policies
            .get(*policy)
            .map_or(&[][..], |policy| &policy.sources);
        for (number, class) in sources.iter().enumerate() {
            domains.push(Domain {
                name: format!("{prefix}_{tag}w{place}_s{number}_t"),
                workload: (*name).to_owned(),
                place,
                program: class.program.clone(),
                class: class.number,
            });
        }
    }
    domains
}

impl Part<'_> {
    fn finish(self, cil: String, options: &LowerOptions) -> Module {
        let verdicts_of = |rows: usize| {
            let mut verdicts = Vec::with_capacity(self.domains.len());
            for (_, policy) in &self.workloads {
                let count = self
                    .policy(*policy)
                    .map_or(0, |policy| policy.sources.len());
                for source in 0..count {
                    let row = self.classes.row(rows, *policy);
                    let found = row.and_then(|row| row.verdicts.get(source));
                    verdicts.push(found.map_or([Verdict::Block; 5], |found| {
                        Access::ALL.map(|access| found.enforced(access))
                    }));
                }
            }
            verdicts
        };
        let types = self.classes.types.iter();
        let types: Vec<ObjectType> = types
            .zip(self.type_names(&options.prefix))
            .map(|(of, name)| ObjectType {
                name,
                example: of.example.clone(),
                verdicts: verdicts_of(of.rows),
                enters: (0..self.policies.len())
                    .filter_map(|policy| self.classes.row(of.rows, policy))
                    .map(|row| row.source)
                    .collect(),
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
                .zip(&self.domains)
                .map(|(id, of)| (of.name.clone(), Place::Domain(id))),
        );
        let base = options.base.as_ref();
        let workloads = self.workloads.iter().filter_map(|(name, policy)| {
            let policy = self.policies.get(*policy)?;
            Some(((*name).to_owned(), policy.compiled.clone()))
        });
        Module {
            workloads: workloads.collect(),
            options: options.clone(),
            cil,
            file_contexts: String::new(),
            types,
            by_name,
            user: base.map_or_else(|| "system_u".to_owned(), |base| base.user.clone()),
            role: base.map_or_else(|| "system_r".to_owned(), |base| base.role.clone()),
            level: base.and_then(|base| base.level.clone()),
            whole: base.is_none(),
            domains: self.domains,
            space: self.space,
            of_cell: self.classes.of_cell,
        }
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
