//! What each domain may do: rows become allow rules, and what they deny becomes neverallow rules, so
//! that the compiler holds the module to the policies.

use gambeson_policy_model::{Capability, Event, Verdict};

use super::cil::{TypeSet, Writer};
use super::classes::{Classes, TypeId};
use super::sockets::SocketClass;
use super::subject::{Access, Policy, Verdicts};
use super::vocabulary::{
    CAPABILITIES, EXEC_AUDIT, FILE_CLASSES, MAP, PROCESS_OTHERS, PROCESS_OWN, Permissions, READ,
    READ_AUDIT, RENAME, SOCKET_ALWAYS, SOCKET_JUDGED, SOCKET_OWN, WRITE,
};

/// Who acts, and by whose policy.
#[derive(Debug)]
pub(crate) struct Subject<'s> {
    /// The domain that acts.
    pub(crate) domain: &'s str,
    /// The place of the policy.
    pub(crate) policy: usize,
    /// The place of the source class that the policy takes the domain for.
    pub(crate) source: usize,
    /// The domains that its programs are entered by, by place of the source class.
    pub(crate) domains: &'s [String],
    /// The attribute of all domains of the workload.
    pub(crate) attribute: &'s str,
}

/// Lets a workload's processes go on with each other while some are of another generation.
pub(crate) fn generations(writer: &mut Writer, own: &str, theirs: &str) {
    for (one, other) in [(own, theirs), (theirs, own)] {
        writer.line(&format!("(allow {one} {other} (process ({PROCESS_OWN})))"));
    }
}

/// Of what a domain's rules speak.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope {
    /// Of everything.
    All(Others),
    /// Of the files that another generation of policies has labelled.
    Files,
}

/// Accesses that a set of permissions stands for, with what tells of them.
const GROUPS: [(Access, &str, &str); 4] = [
    (Access::Read, "read", "read_audit"),
    (Access::Write, "write", "write"),
    (Access::Rename, "rename", "rename"),
    (Access::MapExec, "map", "map"),
];

/// Declares the sets of permissions.
pub(crate) fn permissions(writer: &mut Writer) {
    let sets: [(&str, Permissions); 10] = [
        ("add", super::vocabulary::ADD),
        ("always", super::vocabulary::ALWAYS),
        ("read", READ),
        ("read_audit", READ_AUDIT),
        ("write", WRITE),
        ("rename", RENAME),
        ("map", MAP),
        ("exec", super::vocabulary::EXEC),
        ("exec_audit", EXEC_AUDIT),
        ("enter", super::vocabulary::ENTER),
    ];
    writer.heading("what is done with files");
    for (name, permissions) in sets {
        writer.permissions(name, permissions);
    }
    // One statement for all classes keeps what the compiler checks small.
    if !writer.is_on_top() {
        writer.line("(classpermission @_other_sockets)");
        for name in SocketClass::Others.names() {
            writer.line(&format!(
                "(classpermissionset @_other_sockets ({name} ({SOCKET_JUDGED})))"
            ));
        }
    }
}

/// Writes what all domains may do, whatever their policies say.
pub(crate) fn common(writer: &mut Writer) {
    writer.heading("all domains");
    writer.line(&format!(
        "(allow @_subjects @_processes (process ({PROCESS_OTHERS})))"
    ));
    writer.line("(allow @_subjects @_processes @_always)");
    writer.line("(allow @_subjects @_processes @_add)");
    // Pipes have no name.
    writer.line(
        "(allow @_subjects @_processes (fifo_file (read write append getattr setattr ioctl lock open)))",
    );
    writer.line("(allow @_subjects @_processes (fd (use)))");
    for name in SocketClass::ALL.iter().flat_map(|class| class.names()) {
        let begun = writer.optional(name);
        writer.line(&format!(
            "(allow @_subjects @_processes ({name} ({SOCKET_ALWAYS})))"
        ));
        if let Some((_, named)) = SOCKET_OWN.iter().find(|(of, _)| *of == name) {
            writer.line(&format!(
                "(allow @_subjects @_net ({name} (name_bind {named})))"
            ));
        }
        writer.end_optional(begun);
    }
}

/// What to do with objects that have none of the module's types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Others {
    /// Whether there is a type for objects whose path is unknown.
    pub(crate) unknown: bool,
    /// Whether there are objects with the labels of a policy below.
    pub(crate) foreign: bool,
    /// The rows of files below `/proc`, which processes are taken for.
    pub(crate) proc_rows: usize,
}

/// Writes the rules of one domain.
pub(crate) fn write(
    writer: &mut Writer,
    classes: &Classes,
    subject: &Subject<'_>,
    policy: &Policy<'_>,
    scope: Scope,
) {
    let Subject { domain, source, .. } = *subject;
    let (unknown, foreign) = match scope {
        Scope::All(others) => (others.unknown, others.foreign),
        Scope::Files => (false, false),
    };
    // Lasting types are spoken of once.
    let types = || {
        (0..classes.types.len()).filter(|id| {
            let lasting = classes
                .types
                .get(*id)
                .is_some_and(|of| of.lasting.is_some());
            !lasting || matches!(scope, Scope::All(_))
        })
    };
    let verdicts_of = |rows: usize| {
        let row = classes.row(rows, subject.policy)?;
        Some((row.source, *row.verdicts.get(source)?))
    };
    let having = |wanted: &dyn Fn(usize, Verdicts) -> bool| TypeSet {
        types: types()
            .filter(|id| {
                let rows = classes.types.get(*id).map(|of| of.rows);
                rows.and_then(verdicts_of)
                    .is_some_and(|(source, verdicts)| wanted(source, verdicts))
            })
            .collect(),
        unknown: unknown
            && verdicts_of(classes.unknown).is_some_and(|(at, verdicts)| wanted(at, verdicts)),
        foreign: foreign
            && verdicts_of(classes.elsewhere).is_some_and(|(at, verdicts)| wanted(at, verdicts)),
    };
    writer.heading(&format!(
        "{domain}: {}",
        policy
            .sources
            .get(source)
            .map(|class| class.program.escape_ascii().to_string())
            .unwrap_or_default()
    ));
    for (access, name, audit) in GROUPS {
        let allowed = having(&|_, verdicts| verdicts.enforced(access) != Verdict::Block);
        let denied = having(&|_, verdicts| verdicts.enforced(access) == Verdict::Block);
        let audited = having(&|_, verdicts| verdicts.enforced(access) == Verdict::Audit);
        rule(writer, "allow", domain, allowed, name);
        rule(writer, "auditallow", domain, audited, audit);
        // The kernel reads and maps a program for the domain that it enters; opening it is another
        // matter. (Nothing is opened for writing that can't be read.)
        match access {
            Access::Read => rule(writer, "neverallow", domain, denied, audit),
            Access::MapExec => {
                let denied = having(&|of, verdicts| {
                    of != source && verdicts.enforced(access) == Verdict::Block
                });
                rule(writer, "neverallow", domain, denied, name);
            }
            _ => rule(writer, "neverallow", domain, denied, name),
        }
    }
    let writable = |rows: usize| {
        verdicts_of(rows).is_some_and(|(_, verdicts)| verdicts.of(Access::Write) != Verdict::Block)
    };
    let takes = |id: &TypeId| {
        let Some(of) = classes.types.get(*id) else {
            return false;
        };
        let inside = [of.made.unwrap_or(*id)].into_iter();
        let mut inside = inside.chain(of.named.iter().map(|(_, named)| *named));
        inside.any(|id| classes.types.get(id).is_some_and(|of| writable(of.rows)))
    };
    let set = |open: bool| TypeSet {
        types: types().filter(|id| takes(id) == open).collect(),
        unknown: unknown && writable(classes.unknown) == open,
        foreign: foreign && writable(classes.elsewhere) == open,
    };
    rule(writer, "allow", domain, set(true), "add");
    rule(writer, "neverallow", domain, set(false), "add");
    exec(writer, &having, subject, policy);
    if let Scope::All(others) = scope {
        processes(writer, &verdicts_of, domain, subject, others);
        sockets(writer, policy, source, domain);
        capabilities(writer, policy, source, domain);
    }
}

fn rule(writer: &mut Writer, kind: &str, domain: &str, set: TypeSet, permissions: &str) {
    if !set.is_empty() {
        let set = writer.set(set);
        writer.line(&format!("({kind} {domain} {set} @_{permissions})"));
    }
}

/// Finds the types on which a predicate of the source class of a program and of verdicts holds.
type Having<'h> = dyn Fn(&dyn Fn(usize, Verdicts) -> bool) -> TypeSet + 'h;

fn exec(writer: &mut Writer, having: &Having<'_>, subject: &Subject<'_>, policy: &Policy<'_>) {
    let Subject { domain, source, .. } = *subject;
    let runs = |verdicts: Verdicts| verdicts.enforced(Access::Exec) != Verdict::Block;
    let audited = |verdicts: Verdicts| verdicts.enforced(Access::Exec) == Verdict::Audit;
    let same = having(&|of, verdicts| of == source && runs(verdicts));
    let denied = having(&|of, verdicts| of != source || !runs(verdicts));
    rule(writer, "allow", domain, same, "exec");
    rule(writer, "neverallow", domain, denied, "exec");
    let told = having(&|of, verdicts| of == source && audited(verdicts));
    rule(writer, "auditallow", domain, told, "exec");
    for (place, _) in policy.sources.iter().enumerate() {
        let Some(next) = subject.domains.get(place).filter(|_| place != source) else {
            continue;
        };
        let entered = having(&|of, verdicts| of == place && runs(verdicts));
        if entered.is_empty() {
            continue;
        }
        let told = having(&|of, verdicts| of == place && audited(verdicts));
        rule(writer, "auditallow", domain, told, "exec_audit");
        let set = writer.set(entered.clone());
        writer.line(&format!("(typetransition {domain} {set} process {next})"));
        writer.line(&format!("(allow {domain} {next} (process (transition)))"));
        writer.line(&format!(
            "(allow {domain} {next} (process2 (nnp_transition nosuid_transition)))"
        ));
        rule(writer, "allow", next, entered, "enter");
    }
    // What is started in this domain from outside is its program, too.
    let own = having(&|of, verdicts| of == source && runs(verdicts));
    rule(writer, "allow", domain, own, "enter");
}

/// Other processes, and their files below `/proc`.
fn processes(
    writer: &mut Writer,
    verdicts_of: &dyn Fn(usize) -> Option<(usize, Verdicts)>,
    domain: &str,
    subject: &Subject<'_>,
    others: Others,
) {
    let own = subject.attribute;
    writer.line(&format!("(allow {domain} {own} (process ({PROCESS_OWN})))"));
    if let Some((_, verdicts)) = verdicts_of(others.proc_rows) {
        for (access, name, _) in GROUPS
            .iter()
            .filter(|(access, ..)| *access != Access::MapExec)
        {
            let verdict = verdicts.enforced(*access);
            if verdict != Verdict::Block {
                writer.line(&format!("(allow {domain} @_processes @_{name})"));
            }
            if verdict == Verdict::Audit {
                // Not of pipes, which are labelled like processes and have no name.
                let told = if *access == Access::Read {
                    "open"
                } else {
                    "write append setattr"
                };
                writer.line(&format!(
                    "(auditallow {domain} @_processes (file ({told})))"
                ));
            }
        }
    }
}

/// Sockets are labelled like who made them, which may be another one than who uses them.
fn sockets(writer: &mut Writer, policy: &Policy<'_>, source: usize, domain: &str) {
    let program = policy
        .sources
        .get(source)
        .map_or(&[][..], |class| &class.program);
    for class in SocketClass::ALL {
        let verdict = class.verdicts(policy, program).last().copied();
        let verdict = verdict.unwrap_or(Verdict::Allow);
        let kinds: &[&str] = match verdict {
            Verdict::Allow => &["allow"],
            Verdict::Audit => &["allow", "auditallow"],
            Verdict::Block => &["neverallow"],
        };
        for kind in kinds {
            if class == SocketClass::Others && !writer.is_on_top() {
                writer.line(&format!("({kind} {domain} @_processes @_other_sockets)"));
                continue;
            }
            for name in class.names() {
                let begun = writer.optional(name);
                writer.line(&format!(
                    "({kind} {domain} @_processes ({name} ({SOCKET_JUDGED})))"
                ));
                writer.end_optional(begun);
            }
        }
    }
}

fn capabilities(writer: &mut Writer, policy: &Policy<'_>, source: usize, domain: &str) {
    let program = policy
        .sources
        .get(source)
        .map_or(&[][..], |class| &class.program);
    let verdict = |capability: Capability| {
        let event = Event::capability(capability).by(program).tty(true);
        policy.compiled.decide(&event).verdict
    };
    for (high, classes) in [
        (false, ["capability", "cap_userns"]),
        (true, ["capability2", "cap2_userns"]),
    ] {
        let of = |wanted: &dyn Fn(Verdict) -> bool| -> String {
            let all = Capability::all();
            let these = all.filter(|one| (usize::from(one.number()) >= CAPABILITIES) == high);
            let named = these
                .filter(|one| wanted(verdict(*one)))
                .map(Capability::name);
            named.collect::<Vec<&str>>().join(" ")
        };
        let kinds = [
            ("allow", of(&|verdict| verdict != Verdict::Block)),
            ("auditallow", of(&|verdict| verdict == Verdict::Audit)),
            ("neverallow", of(&|verdict| verdict == Verdict::Block)),
        ];
        for (kind, names) in kinds.iter().filter(|(_, names)| !names.is_empty()) {
            for class in classes {
                writer.line(&format!("({kind} {domain} self ({class} ({names})))"));
            }
        }
    }
}

/// Says how new files are labelled.
pub(crate) fn new_files(writer: &mut Writer, classes: &Classes, makers: &str) -> Vec<TypeId> {
    let mut unnamed = Vec::new();
    for (number, of) in classes.types.iter().enumerate() {
        let directory = writer.type_name(number);
        for class in FILE_CLASSES {
            if let Some(made) = of.made {
                let made = writer.type_name(made);
                writer.line(&format!(
                    "(typetransition {makers} {directory} {class} {made})"
                ));
            }
            for (name, made) in &of.named {
                let Some(name) = quotable(name) else {
                    unnamed.push(*made);
                    continue;
                };
                let made = writer.type_name(*made);
                writer.line(&format!(
                    "(typetransition {makers} {directory} {class} \"{name}\" {made})"
                ));
            }
        }
    }
    unnamed.sort_unstable();
    unnamed.dedup();
    unnamed
}

/// A name as the language can write it.
pub(crate) fn quotable(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'(' | b')' | b';' | b'@'));
    // A star alone stands for any name there.
    (plain && name != "*").then_some(name)
}
