//! Events as the model knows them, and alerts. The kernel has named the rule already.

use std::borrow::Cow;

use gambeson_matcher::CompiledPolicy;
use gambeson_policy_model::{Alert, AlertContext, Event, EventPath, Operation};

use super::{KernelEvent, KernelOperation, Reason};

/// The name that KubeArmor gives this mechanism.
const ENFORCER: &str = "BPFLSM";

impl KernelEvent {
    /// The event in the model's words. The arguments of an exec aren't reported, and a mount is a
    /// change of the name that is mounted on.
    #[must_use]
    pub fn event(&self) -> Event<'_> {
        let path = if self.particulars.unresolved {
            EventPath::UNRESOLVABLE
        } else {
            EventPath::from(self.object.as_slice())
        };
        let operation = match self.operation {
            KernelOperation::Read => Operation::Read { path },
            KernelOperation::Write | KernelOperation::Mount => Operation::Write { path },
            KernelOperation::Exec => Operation::Exec {
                path,
                args: Vec::new(),
            },
            KernelOperation::MapExec => Operation::MapExec { path },
            KernelOperation::Socket(socket) => Operation::Socket(socket),
            KernelOperation::Capability(capability) => Operation::Capability(capability),
            KernelOperation::Preset(preset) => Operation::Preset(preset),
            KernelOperation::Dns => Operation::Dns {
                domain: String::from_utf8_lossy(&self.object),
            },
        };
        let source = match &self.subject.source {
            Some(source) => EventPath::from(source.as_slice()),
            None => EventPath::UNRESOLVABLE,
        };
        Event {
            operation,
            source,
            uid: Some(self.subject.uid),
            owner: self.particulars.owner.then_some(self.subject.uid),
            tty: self.subject.tty,
        }
    }

    /// The alert for the event; `None` where it was allowed. `policy` is what the event's binding had
    /// in force in the event's generation, and `context` what else is known: the ids of the process
    /// and the user, the hook and the mechanism are added to it.
    #[must_use]
    pub fn alert(&self, policy: &CompiledPolicy, context: &AlertContext) -> Option<Alert> {
        let mut context = Cow::Borrowed(context);
        let known = context.to_mut();
        known.host_pid = self.subject.tgid.cast_signed();
        known.host_ppid = self.subject.ppid.cast_signed();
        known.uid = Some(self.subject.uid);
        let hook = self.hook.name.to_ascii_uppercase();
        known.data = if known.data.is_empty() {
            format!("lsm={hook}")
        } else {
            format!("{} lsm={hook}", known.data)
        };
        if known.enforcer.is_empty() {
            ENFORCER.clone_into(&mut known.enforcer);
        }
        if known.resource.is_empty() {
            known.resource = String::from_utf8_lossy(&self.object).into_owned();
        }
        let rule = self.decision.rule().and_then(|id| policy.rule(id));
        let mut alert = Alert::new(&self.event(), &self.decision, rule.as_ref(), known)?;
        match self.reason {
            Reason::Policy(_) => {}
            Reason::Mount => {
                alert.policy_name.clear();
                alert.message = "mounting is denied where rules name files".to_owned();
            }
            Reason::Engine => {
                alert.policy_name.clear();
                alert.message = "denied because it could not be decided".to_owned();
            }
        }
        if self.particulars.passed {
            "Passed".clone_into(&mut alert.result);
        }
        Some(alert)
    }
}

#[cfg(test)]
mod tests;
