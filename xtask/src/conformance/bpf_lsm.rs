//! The BPF-LSM backend as a carrier.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gambeson::bpf_lsm::{
    BindOptions, Binding, BpfLsm, Enforcer, KernelEvent, KernelOperation, Options, Reason, Scope,
    enforceability,
};
use gambeson::matcher::CompiledPolicy;
use gambeson::matcher::backend::{Outcome, Require};
use gambeson::policy_model::{Cause, Class};

use super::carrier::{Carrier, Direction, Gap, Seen};

/// Policies in force, by handle.
#[derive(Debug)]
pub struct BpfCarrier {
    enforcer: Enforcer,
    bound: BTreeMap<u64, (Binding, CompiledPolicy)>,
    next: u64,
}

impl BpfCarrier {
    /// Loads the programs.
    ///
    /// # Errors
    /// When the kernel refuses them.
    pub fn load() -> Result<Self, String> {
        let enforcer = BpfLsm::load(&Options::default()).map_err(|error| error.to_string())?;
        Ok(Self {
            enforcer,
            bound: BTreeMap::new(),
            next: 0,
        })
    }
}

/// The policy's name and the rule's field path.
fn rule_name(policy: &CompiledPolicy, cause: Cause) -> Option<String> {
    let Cause::Rule(id) = cause else { return None };
    let rule = policy.rule(id)?;
    Some(format!("{} {}", rule.policy, rule.field_path()))
}

fn operation(event: &KernelEvent) -> &'static str {
    match event.operation {
        KernelOperation::Read => "read",
        KernelOperation::Write => "write",
        KernelOperation::Exec => "exec",
        KernelOperation::MapExec => "map_exec",
        KernelOperation::Socket(_) => "socket",
        KernelOperation::Capability(_) => "capability",
        KernelOperation::Preset(_) => "preset",
        KernelOperation::Dns => "dns",
        KernelOperation::Mount => "mount",
    }
}

/// The operation of a class that has one alone.
const fn operation_of(class: Class) -> &'static str {
    match class {
        Class::Process => "exec",
        Class::File => "write",
        Class::Network => "socket",
        Class::Capabilities => "capability",
        Class::Dns => "dns",
        Class::Syscalls => "syscall",
        Class::Devices => "device",
        Class::Presets => "preset",
    }
}

fn seen(event: &KernelEvent, policy: &CompiledPolicy) -> Seen {
    let cause = match event.reason {
        Reason::Policy(Cause::Rule(_)) => "rule",
        Reason::Policy(Cause::Posture) => "posture",
        Reason::Policy(Cause::None) => "none",
        Reason::Mount => "mount",
        Reason::Engine => "engine",
    };
    Seen {
        operation: operation(event).to_owned(),
        verdict: event.decision.verdict(),
        cause: cause.to_owned(),
        rule: rule_name(policy, event.decision.cause),
    }
}

impl Carrier for BpfCarrier {
    fn name(&self) -> &'static str {
        "bpf-lsm"
    }

    fn judges(&self) -> bool {
        true
    }

    fn gaps(&self, policy: &CompiledPolicy) -> Vec<Gap> {
        let report = enforceability(self.enforcer.support(), policy);
        let gaps = report.gaps().iter().map(|gap| Gap {
            rule: gap.rule.and_then(|id| rule_name(policy, Cause::Rule(id))),
            operation: gap.class.map(operation_of).map(str::to_owned),
            ways: Vec::new(),
            some: false,
            direction: match gap.outcome {
                Outcome::Stricter => Direction::Stricter,
                Outcome::Looser => Direction::Looser,
                Outcome::Unenforced => Direction::Unenforced,
                Outcome::NotReported => Direction::NotReported,
            },
            what: format!("{}: {}", gap.what, gap.reason),
        });
        gaps.collect()
    }

    fn apply(&mut self, policy: &CompiledPolicy, cgroup: &Path) -> Result<u64, String> {
        let options = BindOptions {
            require: Require::BestEffort,
            // So that it is known by which rule something is allowed.
            visibility: Class::ALL.to_vec(),
            ..BindOptions::default()
        };
        let scope = Scope::Cgroup(cgroup.to_owned());
        let binding = self
            .enforcer
            .bind(&scope, policy, &options)
            .map_err(|error| error.to_string())?;
        self.next += 1;
        self.bound.insert(self.next, (binding, policy.clone()));
        Ok(self.next)
    }

    fn seen(&mut self, handle: u64) -> Result<Vec<Seen>, String> {
        let (binding, policy) = self.bound.get(&handle).ok_or("no such handle")?;
        let mut found = Vec::new();
        loop {
            let count = self
                .enforcer
                .poll(Duration::ZERO, &mut |event| {
                    if event.binding == *binding {
                        found.push(seen(&event, policy));
                    }
                })
                .map_err(|error| error.to_string())?;
            if count == 0 {
                return Ok(found);
            }
        }
    }

    fn remove(&mut self, handle: u64) -> Result<(), String> {
        let (binding, _) = self.bound.remove(&handle).ok_or("no such handle")?;
        self.enforcer
            .remove(binding)
            .map_err(|error| error.to_string())
    }
}
