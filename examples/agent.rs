//! A small agent: enforces a folder of policies on cgroups, takes changes up, prints alerts as JSON.
//!
//! ```sh
//! cargo build --release --example agent --features bpf-lsm
//! agent --pin /sys/fs/bpf/agent examples/policies /sys/fs/cgroup/web=production/app=web,tier=front
//! ```
//!
//! With `--pin`, enforcement outlives the agent, and the next one started with the same directory
//! adopts it; removing the directory ends it.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use gambeson::bpf_lsm::{
    BindOptions, Binding, BpfLsm, Enforcer, Generation, KernelEvent, Options, Scope,
};
use gambeson::policy_model::AlertContext;
use gambeson::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: agent [--pin DIR] POLICIES CGROUP=NAMESPACE/LABEL=VALUE,… …";

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// So many policies of a cgroup are kept for events that come late.
const KEPT: usize = 8;

/// A cgroup, and what runs in it.
struct Target {
    scope: Scope,
    workload: Workload,
}

fn arguments() -> Result<(Option<PathBuf>, PathBuf, Vec<Target>)> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let (pin, rest) = match given.as_slice() {
        [flag, pin, rest @ ..] if flag == "--pin" => (Some(pin.into()), rest),
        rest => (None, rest),
    };
    match rest {
        [policies, targets @ ..] if !targets.is_empty() => {
            let targets: Result<_> = targets.iter().map(|given| target(given)).collect();
            Ok((pin, policies.into(), targets?))
        }
        _ => Err(USAGE.into()),
    }
}

/// Reads `CGROUP=NAMESPACE/LABEL=VALUE,…`.
fn target(argument: &str) -> Result<Target> {
    let (cgroup, workload) = argument.split_once('=').ok_or(USAGE)?;
    let (namespace, labels) = workload.split_once('/').unwrap_or((workload, ""));
    let mut workload = Workload::pod(namespace);
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (key, value) = label.split_once('=').ok_or(USAGE)?;
        workload = workload.label(key, value);
    }
    let scope = Scope::Cgroup(cgroup.into());
    Ok(Target { scope, workload })
}

struct Agent<'t> {
    enforcer: Enforcer,
    /// With the policy of each generation that events may still speak of.
    bound: HashMap<Binding, (&'t Target, BTreeMap<Generation, CompiledPolicy>)>,
    /// What events of an earlier agent's generations are shown by: they name no rule.
    nothing: CompiledPolicy,
}

impl<'t> Agent<'t> {
    /// Adopts what an earlier agent has pinned, or loads the programs.
    fn new(pin: Option<PathBuf>) -> Result<Self> {
        let options = Options {
            pin,
            ..Options::default()
        };
        let adopted = match options.pin {
            Some(_) => BpfLsm::adopt(&options)?,
            None => None,
        };
        let enforcer = match adopted {
            Some(enforcer) => enforcer,
            None => BpfLsm::load(&options)?,
        };
        eprintln!("adopted {} bindings", enforcer.bindings().count());
        let nothing = PolicySet::default().select(&Workload::pod(""));
        Ok(Self {
            enforcer,
            bound: HashMap::new(),
            nothing: nothing.compile(&Config::default())?,
        })
    }

    /// Puts the folder's policies in force. Where any can't be read or compiled, all stays as it is.
    fn apply(&mut self, folder: &Path, targets: &'t [Target]) -> Result<()> {
        let policies = PolicySet::from_path(folder)?;
        let config = Config::default().root("/");
        let mut compiled = Vec::new();
        for target in targets {
            compiled.push(policies.select(&target.workload).compile(&config)?);
        }
        for (target, policy) in targets.iter().zip(compiled) {
            let binding = match self.enforcer.binding(&target.scope)? {
                Some(binding) => {
                    self.enforcer.replace(binding, &policy)?;
                    binding
                }
                None => self
                    .enforcer
                    .bind(&target.scope, &policy, &BindOptions::default())?,
            };
            let generation = self.enforcer.generation(binding)?;
            eprintln!("{:?}: generation {generation}", target.scope);
            let (_, policies) = self
                .bound
                .entry(binding)
                .or_insert((target, BTreeMap::new()));
            policies.insert(generation, policy);
            if policies.len() > KEPT {
                policies.pop_first();
            }
        }
        Ok(())
    }

    /// Removes what an earlier agent bound and this one wasn't asked for.
    fn remove_others(&mut self) -> Result<()> {
        let all: Vec<Binding> = self
            .enforcer
            .bindings()
            .map(|(binding, _)| binding)
            .collect();
        for binding in all {
            if !self.bound.contains_key(&binding) {
                self.enforcer.remove(binding)?;
            }
        }
        Ok(())
    }

    /// Prints what happens in the meantime.
    fn watch(&mut self, time: Duration) -> Result<()> {
        let (bound, nothing) = (&self.bound, &self.nothing);
        self.enforcer.poll(time, &mut |event: KernelEvent| {
            let Some((target, policies)) = bound.get(&event.binding) else {
                return;
            };
            let policy = policies.get(&event.generation).unwrap_or(nothing);
            let mut context = AlertContext::of(&target.workload);
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            context.time.seconds = i64::try_from(now.as_secs()).unwrap_or_default();
            context.time.microseconds = now.subsec_micros();
            if let Some(alert) = event.alert(policy, &context) {
                println!("{}", alert.to_kubearmor_json());
            }
        })?;
        Ok(())
    }
}

/// When each file below a folder last changed. One that goes away meanwhile is seen the next time.
fn changes(folder: &Path) -> Vec<(PathBuf, Option<SystemTime>)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .flat_map(|entry| match entry.path() {
            folder if folder.is_dir() => changes(&folder),
            file => {
                let changed = file.metadata().and_then(|file| file.modified()).ok();
                vec![(file, changed)]
            }
        })
        .collect();
    found.sort();
    found
}

fn main() -> Result<()> {
    let (pin, folder, targets) = arguments()?;
    let mut agent = Agent::new(pin)?;
    let mut seen = changes(&folder);
    agent.apply(&folder, &targets)?;
    agent.remove_others()?;
    loop {
        let end = Instant::now() + LOOK;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            agent.watch(left)?;
        }
        let found = changes(&folder);
        if found != seen
            && let Err(error) = agent.apply(&folder, &targets)
        {
            eprintln!("the old policies stay in force: {error}");
        }
        seen = found;
    }
}
