//! What the kernel tells of accesses, in the model's words.

mod record;

pub use record::{AvcError, AvcRecord};

use std::borrow::Cow;

use gambeson_matcher::CompiledPolicy;
use gambeson_policy_model::{
    Alert, AlertContext, Capability, Class, Decision, Event, EventPath, Operation, Socket,
    UnixTime, Verdict,
};

use crate::lower::{
    Access, Domain, Module, SocketClass, access_operation, named_paths, worst_event,
};

/// The name that KubeArmor gives this mechanism.
const ENFORCER: &str = "SELinux";

/// Why something was denied or told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The decision's cause says it.
    Policy,
    /// Mounting is denied where rules are about files or programs.
    Mount,
    /// The mechanism is stricter than the policy: a gap.
    Mechanism,
}

impl Reason {
    /// The reason in a word or two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Mount => "mounting under file rules",
            Self::Mechanism => "no rule accounts for it",
        }
    }
}

/// An access that was told of, with the rule that decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelinuxEvent {
    /// The record.
    pub record: AvcRecord,
    /// The workload's name.
    pub workload: String,
    /// The event. Its path is unresolvable where the record has none.
    pub event: Event<'static>,
    /// The decision. Where the record has no path, it is that on a file of the same type, so that the
    /// verdict stands and the rule may be another one of equal effect.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
}

/// Takes a record for an event of a module's workloads. `policy` is the compiled policy of a workload, as it
/// was lowered. `None` for processes of others, and for what is outside the decision model.
pub fn explain<'p>(
    module: &Module,
    record: AvcRecord,
    policy: impl Fn(&Domain) -> Option<&'p CompiledPolicy>,
) -> Option<SelinuxEvent> {
    let domain = module.domain(record.source_type())?;
    let compiled = policy(domain)?;
    let operation = operation(module, domain, &record)?;
    let decide = |operation| compiled.decide(&worst_event(worst_args(operation), &domain.program));
    let decision = match operation.file() {
        Some(path) if !is_of(module, path, &record) => {
            let paths = module.paths_of(record.target_type(), record.name.as_deref());
            let mut decisions = paths
                .into_iter()
                .map(|path| decide(with_path(operation.clone(), EventPath::new(path))));
            // A file of another type: what is new in a directory may be told of with the directory's.
            let unknown = || decide(with_path(operation.clone(), EventPath::UNRESOLVABLE));
            let first = decisions.next().unwrap_or_else(unknown);
            // What is denied is denied by a rule that denies.
            let mut fitting = std::iter::once(first).chain(decisions);
            let fits = |decision: &Decision| (decision.verdict == Verdict::Block) == record.denied;
            fitting.find(fits).unwrap_or(first)
        }
        // Rules may tell sockets of one class apart, and the strictest verdict stands for all.
        None if matches!(operation, Operation::Socket(_)) => {
            let of = SocketClass::ALL
                .into_iter()
                .find(|of| of.names().contains(&record.class.as_str()));
            let sockets = of.map(SocketClass::examples).unwrap_or_default();
            let decisions = sockets
                .into_iter()
                .map(|socket| decide(Operation::Socket(socket)));
            let strictest = decisions.max_by_key(|decision| decision.verdict);
            strictest.unwrap_or_else(|| decide(operation.clone()))
        }
        _ => decide(operation.clone()),
    };
    let asks = |one: &str| record.permissions.iter().any(|own| own == one);
    let mounts = asks("mounton") || record.class == "filesystem";
    let decision = match decision.verdict {
        Verdict::Block if !mounts => decision,
        // A directory that is moved takes along what is below it.
        _ if record.class == "dir" && (asks("rename") || asks("reparent")) => {
            below(module, &record, compiled, domain).unwrap_or(decision)
        }
        _ => decision,
    };
    let (decision, reason) = match (record.denied, decision.verdict) {
        (true, Verdict::Block) if !mounts => (decision, Reason::Policy),
        (false, _) => (decision, Reason::Policy),
        (true, _) => {
            let decision = Decision {
                verdict: Verdict::Block,
                cause: gambeson_policy_model::Cause::None,
            };
            let reason = if mounts {
                Reason::Mount
            } else {
                Reason::Mechanism
            };
            (decision, reason)
        }
    };
    let source = record.exe.clone().unwrap_or_default();
    Some(SelinuxEvent {
        workload: domain.workload.clone(),
        event: Event::new(operation).by(EventPath::new(source)),
        decision,
        reason,
        record,
    })
}

/// Whether a path tells which rule decided: what was judged is the label. A file may have another name, or lie
/// below a root that the workload doesn't see.
fn is_of(module: &Module, path: &EventPath<'_>, record: &AvcRecord) -> bool {
    let of = path.bytes().and_then(|path| module.type_of(path));
    of.is_some_and(|of| of.name == record.target_type())
}

/// The decision on what a rule denies below a directory that is moved.
fn below(
    module: &Module,
    record: &AvcRecord,
    compiled: &CompiledPolicy,
    domain: &Domain,
) -> Option<Decision> {
    let directories = module.paths_of(record.target_type(), record.name.as_deref());
    let named = named_paths(compiled.tables());
    let inside = named.iter().filter(|path| {
        directories.iter().any(|directory| {
            let rest = path.strip_prefix(directory.as_slice());
            rest.is_some_and(|rest| rest.first() == Some(&b'/'))
        })
    });
    let decide = |path: &Vec<u8>| {
        let path = EventPath::new(path.clone());
        compiled.decide(&worst_event(Operation::Write { path }, &domain.program))
    };
    let decisions = inside.map(decide);
    decisions.max_by_key(|decision| decision.verdict)
}

/// No record tells of arguments: a condition on them is taken for not holding.
fn worst_args(operation: Operation<'_>) -> Operation<'_> {
    match operation {
        Operation::Exec { path, args } if args.is_empty() => access_operation(Access::Exec, path),
        other => other,
    }
}

fn with_path<'e>(operation: Operation<'e>, path: EventPath<'e>) -> Operation<'e> {
    match operation {
        Operation::Read { .. } => Operation::Read { path },
        Operation::Write { .. } => Operation::Write { path },
        Operation::MapExec { .. } => Operation::MapExec { path },
        Operation::Exec { args, .. } => Operation::Exec { path, args },
        other => other,
    }
}

/// What was done, by the object's class and the permissions.
fn operation(module: &Module, domain: &Domain, record: &AvcRecord) -> Option<Operation<'static>> {
    let asks = |some: &[&str]| {
        record
            .permissions
            .iter()
            .any(|one| some.contains(&one.as_str()))
    };
    let path = match &record.path {
        Some(path) => EventPath::new(path.clone()),
        None => EventPath::UNRESOLVABLE,
    };
    let exec = |path| Operation::Exec {
        path,
        args: Vec::new(),
    };
    match record.class.as_str() {
        "file" | "dir" | "lnk_file" | "chr_file" | "blk_file" | "sock_file" | "fifo_file" => {
            let changes = [
                "write",
                "append",
                "create",
                "unlink",
                "link",
                "rename",
                "setattr",
                "rmdir",
                "reparent",
                "add_name",
                "remove_name",
                "mounton",
            ];
            if asks(&changes) {
                return Some(Operation::Write { path });
            }
            if asks(&["execute_no_trans", "entrypoint"]) {
                return Some(exec(path));
            }
            if asks(&["execute", "execmod"]) {
                // Both an exec and a mapping ask for it. What may be executed is mapped.
                let verdict = module.verdict(&domain.name, record.target_type(), Access::Exec);
                return Some(match (record.denied, verdict) {
                    (true, Some(Verdict::Allow | Verdict::Audit)) => Operation::MapExec { path },
                    _ => exec(path),
                });
            }
            asks(&["read", "open"]).then_some(Operation::Read { path })
        }
        "filesystem" => Some(Operation::Write { path }),
        "process" if asks(&["transition"]) => Some(exec(path)),
        "capability" | "capability2" | "cap_userns" | "cap2_userns" => {
            let number = record.capability.and_then(Capability::from_number);
            let named = || {
                record
                    .permissions
                    .iter()
                    .find_map(|name| Capability::from_name(name))
            };
            number.or_else(named).map(Operation::Capability)
        }
        class => {
            let of = SocketClass::ALL
                .into_iter()
                .find(|of| of.names().contains(&class))?;
            let socket: Option<Socket> = of.examples().first().copied();
            socket.map(Operation::Socket)
        }
    }
}

impl SelinuxEvent {
    /// The alert for the event; `None` where it was allowed and nobody watches it. `policy` is that of the
    /// workload, and `context` what else is known.
    #[must_use]
    pub fn alert(&self, policy: &CompiledPolicy, context: &AlertContext) -> Option<Alert> {
        let mut context = Cow::Borrowed(context);
        let known = context.to_mut();
        if let Some(pid) = self.record.pid {
            known.host_pid = pid.cast_signed();
        }
        if let Some((seconds, milliseconds)) = self.record.time {
            known.time = UnixTime {
                seconds,
                microseconds: milliseconds.saturating_mul(1000),
            };
        }
        let data = format!(
            "class={} permissions={}",
            self.record.class,
            self.record.permissions.join(",")
        );
        known.data = match known.data.as_str() {
            "" => data,
            more => format!("{more} {data}"),
        };
        if known.enforcer.is_empty() {
            ENFORCER.clone_into(&mut known.enforcer);
        }
        let is_file = matches!(self.event.operation.class(), Class::File | Class::Process);
        if known.resource.is_empty()
            && is_file
            && let Some(name) = self.record.path.as_ref().or(self.record.name.as_ref())
        {
            known.resource = String::from_utf8_lossy(name).into_owned();
        }
        let rule = self.decision.rule().and_then(|id| policy.rule(id));
        let mut alert = Alert::new(&self.event, &self.decision, rule.as_ref(), known)?;
        if self.record.permissive || !self.record.denied {
            "Passed".clone_into(&mut alert.result);
        }
        Some(alert)
    }
}

#[cfg(test)]
mod tests;
