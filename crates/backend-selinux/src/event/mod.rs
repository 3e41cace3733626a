//! What the kernel tells of accesses, in the model's words.

mod record;

pub use record::{AvcError, AvcRecord};

use std::borrow::Cow;

use gambeson_matcher::CompiledPolicy;
use gambeson_policy_model::{
    Alert, AlertContext, Capability, Class, Decision, Event, EventPath, Operation, Socket,
    UnixTime, Verdict,
};

use crate::lower::{Access, Domain, Module, SocketClass, worst_event};

/// The name that KubeArmor gives this mechanism.
const ENFORCER: &str = "SELinux";

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
    let decide = |operation| compiled.decide(&worst_event(operation, &domain.program));
    let decision = match operation.file() {
        Some(path) if path.bytes().is_none() => {
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
        _ => decide(operation.clone()),
    };
    let decision = if record.denied && decision.verdict != Verdict::Block {
        // A gap that is stricter: no rule denied it.
        Decision {
            verdict: Verdict::Block,
            cause: gambeson_policy_model::Cause::None,
        }
    } else {
        decision
    };
    let source = record.exe.clone().unwrap_or_default();
    Some(SelinuxEvent {
        workload: domain.workload.clone(),
        event: Event::new(operation).by(EventPath::new(source)),
        decision,
        record,
    })
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
