//! The SELinux backend as a carrier.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gambeson::matcher::CompiledPolicy;
use gambeson::selinux::{
    Applied, AvcRecord, Domain, KernelLog, LowerOptions, Module, Reason, SelinuxEvent, Support,
    enforceability, explain, lower, probe,
};

use super::apparmor::{gaps_of, rule_name};
use super::carrier::{ANOTHER_NAME, Carrier, Direction, Gap, Seen};

/// How long records may take from the kernel to its log.
const PATIENCE: Duration = Duration::from_secs(10);

/// Policies in force, by handle.
#[derive(Debug)]
pub struct SeLinuxCarrier {
    support: Support,
    log: KernelLog,
    policies: BTreeMap<u64, CompiledPolicy>,
    applied: Option<Applied>,
    next: u64,
}

impl SeLinuxCarrier {
    /// Finds out whether the guest can enforce.
    ///
    /// # Errors
    /// When the kernel's log can't be read.
    pub fn open() -> Result<Self, String> {
        Ok(Self {
            support: probe(),
            log: KernelLog::open().map_err(|error| error.to_string())?,
            policies: BTreeMap::new(),
            applied: None,
            next: 0,
        })
    }

    /// Lowers all policies together and puts them in force.
    fn load(&mut self) -> Result<(), String> {
        self.unload()?;
        if self.policies.is_empty() {
            return Ok(());
        }
        let names: Vec<(String, &CompiledPolicy)> = self
            .policies
            .iter()
            .map(|(handle, policy)| (workload(*handle), policy))
            .collect();
        let workloads: Vec<(&str, &CompiledPolicy)> = names
            .iter()
            .map(|(name, policy)| (name.as_str(), *policy))
            .collect();
        let module =
            lower(&workloads, &LowerOptions::default()).map_err(|error| error.to_string())?;
        self.applied = Some(Applied::load(module).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn unload(&mut self) -> Result<(), String> {
        match self.applied.take() {
            Some(applied) => applied.remove().map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    fn domain(&self, handle: u64, source: Option<&[u8]>) -> Option<(&Module, &Domain)> {
        let module = self.applied.as_ref()?.module();
        let policy = self.policies.get(&handle)?;
        let domain = module.domain_of(&workload(handle), policy, source.unwrap_or_default())?;
        Some((module, domain))
    }
}

/// What a workload is called among those of the node.
fn workload(handle: u64) -> String {
    format!("w{handle}")
}

fn seen(event: &SelinuxEvent, policy: &CompiledPolicy) -> Seen {
    Seen {
        operation: event.event.operation.name().to_owned(),
        verdict: event.decision.verdict,
        cause: match event.reason {
            Reason::Mount => "mount".to_owned(),
            Reason::Policy | Reason::Mechanism => event.decision.cause.name().to_owned(),
        },
        rule: rule_name(policy, event.decision.cause),
    }
}

/// The ways that a gap is about which isn't about everything that a rule or a class says.
fn ways(what: &str) -> &'static [&'static str] {
    match what {
        // Not a way of the actor's: it stands for a tree in which files have several names.
        "other names of a file" => &[ANOTHER_NAME],
        "mounting" => &[
            "bind-mount",
            "mount-tmpfs",
            "mount-overlay",
            "remount",
            "mount-move",
            "umount",
            "umount-cover",
            "move-mount",
            "open-tree",
            "open-tree-write",
            "pivot-root",
        ],
        "descriptors that are open" => &[
            "read-inherited",
            "write-inherited",
            "fallocate-inherited",
            "mmap-shared-read",
            "mmap-private-write",
        ],
        "tracing processes of others" => &[
            "ptrace",
            "proc-mem",
            "process-vm-writev",
            "proc-environ",
            "pidfd-getfd",
        ],
        "asking whether a file may be read or written" => &["access"],
        "objects whose path can't be computed" => &[
            "open-tree",
            "open-tree-write",
            "open-temporary",
            "reopen-deleted",
            "reopen-deleted-write",
            "exec-deleted",
        ],
        "reading what others have opened" => &["receive", "pidfd-getfd"],
        "sending by Unix sockets that were connected before" => &["unix-send-connected"],
        _ => &[],
    }
}

impl Carrier for SeLinuxCarrier {
    fn name(&self) -> &'static str {
        "selinux"
    }

    fn judges(&self) -> bool {
        true
    }

    fn cannot(&self, way: &str) -> Option<&'static str> {
        (way == "io-uring-open-polled").then_some("a process with threads can't change its domain")
    }

    fn reports_allowed(&self) -> bool {
        false
    }

    fn gaps(&self, policy: &CompiledPolicy) -> Vec<Gap> {
        let mut gaps = gaps_of(&enforceability(&self.support, policy), policy, ways);
        for gap in &mut gaps {
            if gap.what.starts_with("by which of several rules") {
                gap.direction = Direction::OtherRule;
            }
        }
        // What is said of a rule explains more than what is said of all, and what is said of fewer events more than
        // what is said of many.
        gaps.sort_by_key(|gap| (gap.rule.is_none(), !gap.what.starts_with("new files")));
        gaps
    }

    fn apply(&mut self, policy: &CompiledPolicy, _: &Path) -> Result<u64, String> {
        self.next += 1;
        self.policies.insert(self.next, policy.clone());
        self.load().map(|()| self.next)
    }

    fn staging(&self, handle: u64, source: Option<&[u8]>) -> Vec<OsString> {
        let Some((module, domain)) = self.domain(handle, source) else {
            return Vec::new();
        };
        let context = module.context_of(domain);
        vec![
            "wait".into(),
            "label".into(),
            "current".into(),
            context.into(),
        ]
    }

    fn ready(&mut self, _: u64, stage: u32) -> Result<(), String> {
        let applied = self.applied.as_mut().ok_or("no policy is in force")?;
        let root = PathBuf::from(format!("/proc/{stage}/root"));
        applied.label(&root).map_err(|error| error.to_string())?;
        applied.forget(&root);
        Ok(())
    }

    fn seen(&mut self, handle: u64) -> Result<Vec<Seen>, String> {
        let mut records: Vec<AvcRecord> = Vec::new();
        let polled = self
            .log
            .catch_up(PATIENCE, &mut |record| records.push(record))
            .map_err(|error| error.to_string())?;
        if polled.overrun + polled.malformed > 0 {
            let why = self.log.last_error();
            return Err(format!("records were lost: {polled:?} {why:?}"));
        }
        let applied = self.applied.as_ref().ok_or("no policy is in force")?;
        let policy = self.policies.get(&handle).ok_or("no such handle")?;
        let own = workload(handle);
        let explained = records.into_iter().filter_map(|record| {
            explain(applied.module(), record, |domain| {
                (domain.workload == own).then_some(policy)
            })
        });
        Ok(explained.map(|event| seen(&event, policy)).collect())
    }

    fn remove(&mut self, handle: u64) -> Result<(), String> {
        self.policies.remove(&handle).ok_or("no such handle")?;
        self.load()
    }
}
