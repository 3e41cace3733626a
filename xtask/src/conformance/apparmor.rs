//! The AppArmor backend as a carrier.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use gambeson::apparmor::audit::{Occurrence, Reason, Record};
use gambeson::apparmor::{AppArmor, Applied, Enforcer, KernelLog, Options};
use gambeson::matcher::CompiledPolicy;
use gambeson::matcher::backend::{Outcome, Report, Require};
use gambeson::policy_model::{Cause, Class};

use super::carrier::{Carrier, Direction, Gap, NAMELESS_SOURCE, Seen};

/// How long records may take from the kernel to its log.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a thread changes its profile.
const CURRENT: &str = "/proc/self/attr/apparmor/current";

/// Policies in force, by handle.
#[derive(Debug)]
pub struct AppArmorCarrier {
    enforcer: Enforcer,
    log: KernelLog,
    applied: BTreeMap<u64, Applied>,
    next: u64,
    asked: u64,
}

impl AppArmorCarrier {
    /// Finds out whether the guest can enforce.
    ///
    /// # Errors
    /// When it can't.
    pub fn open() -> Result<Self, String> {
        Ok(Self {
            enforcer: AppArmor::open().map_err(|error| error.to_string())?,
            log: KernelLog::open().map_err(|error| error.to_string())?,
            applied: BTreeMap::new(),
            next: 0,
            asked: 0,
        })
    }

    /// Every record of what was done before this call. Records arrive in order: one that this call causes
    /// comes last.
    fn records(&mut self) -> Result<Vec<Record>, String> {
        self.asked += 1;
        let name = format!("no-profile-{}", self.asked);
        let mut file = OpenOptions::new()
            .write(true)
            .open(CURRENT)
            .map_err(|error| format!("`{CURRENT}`: {error}"))?;
        if file
            .write(format!("changeprofile {name}").as_bytes())
            .is_ok()
        {
            return Err(format!("there is a profile `{name}`"));
        }
        let mut records = Vec::new();
        let start = Instant::now();
        loop {
            let mut last = false;
            let polled = self
                .log
                .poll(&mut |record| {
                    if record.name.as_deref() == Some(name.as_bytes()) {
                        last = true;
                    } else {
                        records.push(record);
                    }
                })
                .map_err(|error| error.to_string())?;
            if polled.overrun + polled.malformed > 0 {
                let why = self.log.last_error();
                return Err(format!("records were lost: {polled:?} {why:?}"));
            }
            if last {
                return Ok(records);
            }
            if start.elapsed() > PATIENCE {
                return Err("the kernel's log doesn't say what was asked of it".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The policy's name and the rule's field path.
pub(super) fn rule_name(policy: &CompiledPolicy, cause: Cause) -> Option<String> {
    let Cause::Rule(id) = cause else { return None };
    let rule = policy.rule(id)?;
    Some(format!("{} {}", rule.policy, rule.field_path()))
}

fn seen(occurrence: &Occurrence, policy: &CompiledPolicy) -> Seen {
    let cause = match occurrence.reason {
        Reason::Policy(cause) => cause.name(),
        Reason::Mount => "mount",
        Reason::Mechanism => "mechanism",
    };
    Seen {
        operation: occurrence.event.operation.name().to_owned(),
        verdict: occurrence.decision.verdict,
        cause: cause.to_owned(),
        rule: rule_name(policy, occurrence.decision.cause),
    }
}

/// The operations of a class.
const fn operations(class: Class) -> &'static [&'static str] {
    match class {
        Class::Process => &["exec", "map_exec"],
        Class::File => &["read", "write"],
        Class::Network => &["socket"],
        Class::Capabilities => &["capability"],
        Class::Dns => &["dns"],
        Class::Syscalls => &["syscall"],
        Class::Devices => &["device"],
        Class::Presets => &["preset"],
    }
}

/// Gaps about some of what is done in their ways: other rules may deny the script, the tree or the program.
const OF_SOME: [&str; 3] = [
    "programs that are run as the interpreter of a script",
    "mounts that give files other paths",
    "rules with `fromSource`, where the source's program has no path",
];

/// The ways that a gap is about which isn't about everything that a rule or a class says.
fn ways(what: &str) -> &'static [&'static str] {
    match what {
        "changing times, extended attributes, ACLs and attribute flags" => &[
            "utimensat",
            "utimensat-now",
            "futimens",
            "setxattr",
            "lsetxattr",
            "fsetxattr",
            "removexattr",
            "set-acl",
            "remove-acl",
            "chattr",
        ],
        "connecting and sending to Unix sockets that have a path" => &[
            "unix-connect",
            "unix-connect-datagram",
            "unix-send",
            "unix-send-connected",
        ],
        "programs that are run as the interpreter of a script" => &["script"],
        "descriptors that a process without a profile opened" => &[
            "mmap-exec",
            "mmap-exec-shared",
            "mmap-exec-only",
            "mmap-exec-implied",
            "mprotect-exec",
            "mmap-shared-write",
            "mprotect-shared-write",
            "receive",
            "receive-write",
            "pidfd-getfd",
            // The ring is a descriptor, and its thread goes on as who opened it.
            "io-uring-open-polled",
        ],
        "objects whose path can't be computed" => &[
            "reopen-memfd",
            "reopen-memfd-write",
            "exec-memfd",
            "exec-memfd-proc",
            "mmap-exec-memfd",
            "reopen-deleted",
            "reopen-deleted-write",
            "exec-deleted",
            "open-tree",
            "open-tree-write",
            "open-temporary",
        ],
        "opening and mapping files of file systems that can't be mounted, such as memfds" => {
            &["reopen-memfd", "reopen-memfd-write", "mmap-exec-memfd"]
        }
        "rules with `fromSource`, where the source's program has no path" => &[NAMELESS_SOURCE],
        "executing programs that the profile they lead to may not read or map" => &[
            "execve",
            "execveat",
            "execve-relative",
            "execveat-empty",
            "exec-proc-fd",
        ],
        "`ownerOnly` on new names" => &[
            "open-create",
            "creat",
            "mknod",
            "mknod-file",
            "mkfifo",
            "mkdir",
            "symlink",
            "unix-bind",
        ],
        "mounts that give files other paths" => &["move-mount", "open-tree", "open-tree-write"],
        "by which rule a directory above a path may not be renamed" => &[
            "rename",
            "rename-exchange",
            "rename-noreplace",
            "rename-whiteout",
        ],
        _ => &[],
    }
}

/// What a report says beforehand, as steps meet it. `ways` tells the ways that a gap is about which isn't about
/// everything that a rule or a class says.
pub(super) fn gaps_of(
    report: &Report,
    policy: &CompiledPolicy,
    ways: fn(&str) -> &'static [&'static str],
) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for gap in report.gaps() {
        // More than a rule of sockets says is denied to those that no rule names, too.
        let class = gap
            .rule
            .and_then(|id| policy.rule(id))
            .map(|rule| rule.class);
        let beyond =
            class.filter(|class| *class == Class::Network && gap.outcome == Outcome::Stricter);
        let classes: &[&str] = gap.class.or(beyond).map_or(&[], operations);
        let operations = classes.iter().map(|name| Some((*name).to_owned()));
        let operations: Vec<Option<String>> = operations.collect();
        let operations = if operations.is_empty() {
            vec![None]
        } else {
            operations
        };
        for operation in operations {
            gaps.push(Gap {
                rule: gap.rule.and_then(|id| rule_name(policy, Cause::Rule(id))),
                operation,
                ways: ways(&gap.what)
                    .iter()
                    .map(|way| (*way).to_owned())
                    .collect(),
                some: OF_SOME.contains(&gap.what.as_str()),
                direction: match gap.outcome {
                    Outcome::Stricter => Direction::Stricter,
                    Outcome::Looser => Direction::Looser,
                    Outcome::Unenforced => Direction::Unenforced,
                    Outcome::NotReported => Direction::NotReported,
                },
                what: format!("{}: {}", gap.what, gap.reason),
            });
        }
    }
    gaps
}

impl Carrier for AppArmorCarrier {
    fn name(&self) -> &'static str {
        "apparmor"
    }

    fn judges(&self) -> bool {
        true
    }

    fn reports_allowed(&self) -> bool {
        false
    }

    fn gaps(&self, policy: &CompiledPolicy) -> Vec<Gap> {
        use gambeson::matcher::backend::Backend as _;
        let report = AppArmor::enforceability(self.enforcer.support(), policy);
        let mut gaps = gaps_of(&report, policy, ways);
        // What the policy says in AppArmor's own words is no part of the model.
        if policy.apparmor().next().is_some() {
            let everything = ["exec", "map_exec", "read", "write", "socket", "capability"];
            gaps.extend(everything.map(|operation| Gap {
                rule: None,
                operation: Some(operation.to_owned()),
                ways: Vec::new(),
                some: false,
                direction: Direction::Stricter,
                what: "the policy's own AppArmor rules".to_owned(),
            }));
        }
        gaps
    }

    fn apply(&mut self, policy: &CompiledPolicy, _: &Path) -> Result<u64, String> {
        self.next += 1;
        let name = format!("scenario-{}", self.next);
        let name = name.parse().map_err(|error| format!("{error}"))?;
        let options = Options::named(name);
        let applied = self
            .enforcer
            .apply(policy, &options, Require::BestEffort)
            .map_err(|error| error.to_string())?;
        let confirmed = self.enforcer.confirm(&applied);
        let confirmed = confirmed.map(|_| ()).map_err(|error| error.to_string());
        self.applied.insert(self.next, applied);
        confirmed.map(|()| self.next)
    }

    fn staging(&self, handle: u64, source: Option<&[u8]>) -> Vec<OsString> {
        let Some(applied) = self.applied.get(&handle) else {
            return Vec::new();
        };
        let label = match source {
            Some(source) => applied.label_for(source),
            None => applied.name().as_str(),
        };
        let text = format!("changeprofile {label}");
        vec!["label".into(), "apparmor/current".into(), text.into()]
    }

    fn seen(&mut self, handle: u64) -> Result<Vec<Seen>, String> {
        let records = self.records()?;
        let applied = self.applied.get(&handle).ok_or("no such handle")?;
        let occurrences = records
            .iter()
            .filter_map(|record| applied.occurrence(record));
        Ok(occurrences
            .map(|occurrence| seen(&occurrence, applied.policy()))
            .collect())
    }

    fn remove(&mut self, handle: u64) -> Result<(), String> {
        let applied = self.applied.remove(&handle).ok_or("no such handle")?;
        self.enforcer
            .remove(applied)
            .map_err(|error| error.to_string())
    }
}
