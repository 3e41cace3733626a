//! What is in force: bindings of policies to scopes.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::AsFd as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::{Backend as _, Finding, Require};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};

use super::error::{BindError, EventError, KernelError, LoadError};
use super::object::{self, Loaded};
use super::options::{self, BindOptions, Scope};
use super::pins::Pins;
use super::ring::Ring;
use super::scope::{ScopeKey, cgroup_id};
use super::sys::SharedArray;
use super::tables::Tables;
use super::workloads::{Current, Workloads};
use crate::abi::Record as _;
use crate::binding::{Binding, Generation};
use crate::event::KernelEvent;
use crate::hooks::HOOKS;
use crate::{BpfLsm, Support, abi};

/// Where the fields of `struct gb_control` are.
const EPOCH: usize = 0;
const HOST_WORKLOAD: usize = 4;
const PIN_DEVICE: usize = 8;
const PIN_INODE: usize = 16;

/// In the map `protected`, ids of programs have this bit.
const PROGRAM: u32 = 1 << 31;

/// The programs in the kernel, and the policies that they carry out.
///
/// Enforcement ends when it is dropped, unless it is pinned ([`Options::pin`](super::Options::pin)).
pub struct Enforcer {
    support: Support,
    pub(super) scopes: MapHandle,
    pub(super) subjects: MapHandle,
    pub(super) counters: MapHandle,
    control: SharedArray,
    workloads: Workloads,
    tables: Tables,
    bound: HashMap<ScopeKey, Binding>,
    /// The other way round.
    scope_of: HashMap<u32, ScopeKey>,
    last_generation: u32,
    ring: Ring,
    pub(super) loaded: Loaded,
    pins: Option<Pins>,
}

impl fmt::Debug for Enforcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enforcer")
            .field("bound", &self.bound)
            .field("programs", &self.loaded.programs.len())
            .field("pins", &self.pins)
            .finish_non_exhaustive()
    }
}

/// The maps that both sides read and write, and what an element of each takes.
const LAYOUT: [(&str, usize); 4] = [
    ("workloads", abi::Workload::SIZE),
    ("control", abi::Control::SIZE),
    ("counters", abi::Counters::SIZE),
    ("subjects", abi::Subject::SIZE),
];

/// Programs of another version lay elements out otherwise.
fn check_size(map: &MapHandle, size: usize) -> Result<(), KernelError> {
    if map.value_size() as usize == size {
        return Ok(());
    }
    let problem = format!("its elements have {} bytes, not {size}", map.value_size());
    Err(KernelError::new(
        format!("use map `{}`", map.name().display()),
        std::io::Error::other(problem),
    ))
}

/// The support, less the hooks that nothing is attached to.
fn attached(support: Support, loaded: &Loaded) -> Support {
    HOOKS.iter().fold(support, |support, hook| {
        if !support.has_hook(hook.name) || loaded.has_hook(hook.name) {
            return support;
        }
        let reason = "no program could be attached";
        support
            .without_hook(hook.name)
            .noted(Finding::missing(hook.name, reason))
    })
}

impl Enforcer {
    /// Over maps that are new. They must say that nothing is bound before a program is attached.
    pub(super) fn new(loaded: Loaded, support: Support) -> Result<Self, LoadError> {
        let map = loaded.map("workloads")?;
        let workloads = Workloads::new(map.as_fd(), map.max_entries())
            .map_err(KernelError::io("share map `workloads`"))?;
        let tables = Tables::new(loaded.map("tables")?);
        let enforcer = Self::over(loaded, support, workloads, tables)?;
        enforcer.control.store_u32(HOST_WORKLOAD, abi::NONE);
        enforcer.control.store_u32(EPOCH, 1);
        Ok(enforcer)
    }

    /// Over maps that hold what an earlier run has bound.
    pub(super) fn adopted(loaded: Loaded, support: Support) -> Result<Self, LoadError> {
        let map = loaded.map("workloads")?;
        let workloads = Workloads::adopt(map.as_fd(), map.max_entries())
            .map_err(KernelError::io("share map `workloads`"))?;
        let used = workloads.bound().map(|(_, current)| current.slot);
        let tables = Tables::adopt(loaded.map("tables")?, used)?;
        let mut enforcer = Self::over(loaded, support, workloads, tables)?;
        enforcer.support = attached(enforcer.support, &enforcer.loaded);
        enforcer.take_over()?;
        Ok(enforcer)
    }

    fn over(
        loaded: Loaded,
        support: Support,
        workloads: Workloads,
        tables: Tables,
    ) -> Result<Self, KernelError> {
        for (map, size) in LAYOUT {
            check_size(&loaded.map(map)?, size)?;
        }
        let control = SharedArray::new(loaded.map("control")?.as_fd(), abi::Control::SIZE)
            .map_err(KernelError::io("share map `control`"))?;
        Ok(Self {
            support,
            scopes: loaded.map("scopes")?,
            subjects: loaded.map("subjects")?,
            counters: loaded.map("counters")?,
            control,
            workloads,
            tables,
            bound: HashMap::new(),
            scope_of: HashMap::new(),
            last_generation: 0,
            ring: Ring::new(&loaded.map("events")?)?,
            loaded,
            pins: None,
        })
    }

    /// Reads back which scope is bound to which workload. A workload that an earlier run bound to
    /// nothing any more, or not yet, is freed.
    fn take_over(&mut self) -> Result<(), KernelError> {
        let bindings: HashMap<u32, Binding> = self
            .workloads
            .bound()
            .map(|(binding, _)| (binding.workload, binding))
            .collect();
        self.last_generation = (0..self.workloads.most())
            .map(|number| self.workloads.current(number).generation.0)
            .max()
            .unwrap_or_default();
        let host = self.control.load_u32(HOST_WORKLOAD);
        if let Some(binding) = bindings.get(&host) {
            self.note(ScopeKey::Host, *binding);
        }
        let keys: Vec<Vec<u8>> = self.scopes.keys().collect();
        for key in keys {
            let Some(id) = <[u8; 8]>::try_from(key).ok().map(u64::from_ne_bytes) else {
                continue;
            };
            match self.scope(id)? {
                Some(workload) if workload == abi::EXEMPT => {}
                Some(workload) => match bindings.get(&workload) {
                    Some(binding) => self.note(ScopeKey::Cgroup(id), *binding),
                    None => self.forget_cgroup(id)?,
                },
                None => {}
            }
        }
        for (workload, _) in bindings {
            if !self.scope_of.contains_key(&workload) {
                let slot = self.workloads.current(workload).slot;
                self.workloads.unbind(workload);
                self.tables.release(slot);
            }
        }
        Ok(())
    }

    /// Attaches the programs to their hooks.
    pub(super) fn attach(&mut self, object: &libbpf_rs::Object) -> Result<(), LoadError> {
        object::attach(object, &mut self.loaded)?;
        self.support = attached(self.support.clone(), &self.loaded);
        Ok(())
    }

    /// Pins everything, so that it outlives the process.
    pub(super) fn pin(&mut self, pins: Pins) -> Result<(), LoadError> {
        pins.pin(&mut self.loaded)?;
        self.pins = Some(pins);
        Ok(())
    }

    /// What it works on is pinned already.
    pub(super) fn pinned(&mut self, pins: Pins) {
        self.pins = Some(pins);
    }

    /// What was found of the kernel.
    #[must_use]
    pub const fn support(&self) -> &Support {
        &self.support
    }

    /// Binds a policy to a scope: from now on the scope's processes are judged by it.
    ///
    /// # Errors
    /// When the policy can't be carried out as closely as required, or the kernel refuses it, or the scope is
    /// bound already. Nothing has changed then.
    pub fn bind(
        &mut self,
        scope: &Scope,
        policy: &CompiledPolicy,
        options: &BindOptions,
    ) -> Result<Binding, BindError> {
        let key = ScopeKey::of(scope)?;
        if let Some(binding) = self.bound.get(&key) {
            return Err(BindError::AlreadyBound {
                scope: scope.name(),
                binding: *binding,
            });
        }
        if let ScopeKey::Cgroup(id) = key
            && self.scope(id)? == Some(abi::EXEMPT)
        {
            return Err(BindError::Exempt {
                scope: scope.name(),
            });
        }
        if key == ScopeKey::Host {
            self.exempt_process(std::process::id())?;
        }
        let slot = self.table(policy, options.require)?;
        let current = Current {
            generation: self.next_generation(),
            slot,
        };
        let rate = options.rate.map_or(0, |rate| rate.max(1));
        let Some(binding) = self.workloads.bind(current, options.settings(), rate) else {
            self.tables.release(slot);
            return Err(BindError::Full {
                what: "workloads",
                most: self.workloads.most(),
            });
        };
        if let Err(error) = self.enter(key, binding.workload) {
            self.workloads.unbind(binding.workload);
            self.tables.release(slot);
            return Err(error.into());
        }
        self.note(key, binding);
        Ok(binding)
    }

    /// Puts another policy in force in place of a binding's. Every operation is judged by the old one or
    /// by the new one.
    ///
    /// # Errors
    /// As [`Enforcer::bind`], or when the binding has been removed. The old policy stays in force.
    pub fn replace(
        &mut self,
        binding: Binding,
        policy: &CompiledPolicy,
    ) -> Result<Generation, BindError> {
        self.check(binding)?;
        let require = options::require_of(self.workloads.settings(binding.workload));
        let slot = self.table(policy, require)?;
        let old = self.workloads.current(binding.workload).slot;
        let generation = self.next_generation();
        self.workloads
            .replace(binding.workload, Current { generation, slot });
        self.tables.release(old);
        Ok(generation)
    }

    /// Removes a binding: its processes are judged by what is bound around the scope, or by nothing.
    ///
    /// # Errors
    /// When it has been removed before, or the kernel refuses to forget the scope; the policy stays
    /// in force then.
    pub fn remove(&mut self, binding: Binding) -> Result<(), BindError> {
        self.check(binding)?;
        let key = self.scope_of.get(&binding.workload).copied();
        match key {
            Some(ScopeKey::Cgroup(id)) => self.forget_cgroup(id)?,
            Some(ScopeKey::Host) => self.control.store_u32(HOST_WORKLOAD, abi::NONE),
            None => {}
        }
        let slot = self.workloads.current(binding.workload).slot;
        self.workloads.unbind(binding.workload);
        self.raise_epoch();
        self.tables.release(slot);
        self.scope_of.remove(&binding.workload);
        if let Some(key) = key {
            self.bound.remove(&key);
        }
        Ok(())
    }

    /// What a scope is bound to; the way to find bindings again after adopting.
    ///
    /// # Errors
    /// When the scope's path is no cgroup.
    pub fn binding(&self, scope: &Scope) -> Result<Option<Binding>, BindError> {
        Ok(self.bound.get(&ScopeKey::of(scope)?).copied())
    }

    /// Everything that is bound, with the id of its cgroup; `None` for the host.
    pub fn bindings(&self) -> impl Iterator<Item = (Binding, Option<u64>)> {
        self.bound.iter().map(|(key, binding)| match key {
            ScopeKey::Cgroup(id) => (*binding, Some(*id)),
            ScopeKey::Host => (*binding, None),
        })
    }

    /// Which of a binding's policies is in force.
    ///
    /// # Errors
    /// When the binding has been removed.
    pub fn generation(&self, binding: Binding) -> Result<Generation, BindError> {
        self.check(binding)?;
        Ok(self.workloads.current(binding.workload).generation)
    }

    /// How many different tables are in use. Equal policies share one.
    #[must_use]
    pub fn table_count(&self) -> usize {
        self.tables.used()
    }

    /// Exempts a cgroup with those below it from every policy, the host's among them.
    ///
    /// # Errors
    /// When the path is no cgroup, or the cgroup is bound.
    pub fn exempt_cgroup(&mut self, path: &std::path::Path) -> Result<(), BindError> {
        let id = cgroup_id(path)?;
        if let Some(binding) = self.bound.get(&ScopeKey::Cgroup(id)) {
            return Err(BindError::AlreadyBound {
                scope: path.display().to_string(),
                binding: *binding,
            });
        }
        self.enter(ScopeKey::Cgroup(id), abi::EXEMPT)?;
        Ok(())
    }

    /// Ends the exemption of a cgroup. There need not be one.
    ///
    /// # Errors
    /// When the path is no cgroup, or the kernel refuses.
    pub fn end_exemption(&mut self, path: &std::path::Path) -> Result<(), BindError> {
        let id = cgroup_id(path)?;
        if self.scope(id)? == Some(abi::EXEMPT) {
            self.forget_cgroup(id)?;
            self.raise_epoch();
        }
        Ok(())
    }

    /// Hands events over, those that are there and those that come within the time, and returns how
    /// many they were; at most about a thousand at a time.
    ///
    /// # Errors
    /// When the ring buffer can't be read.
    pub fn poll(
        &mut self,
        timeout: Duration,
        on_event: &mut dyn FnMut(KernelEvent),
    ) -> Result<usize, EventError> {
        self.ring.poll(timeout, on_event)
    }

    /// How many records of the ring buffer were no events.
    pub(super) fn malformed(&self) -> u64 {
        self.ring.malformed()
    }

    /// Detaches the programs and removes every pin of this version: nothing is enforced any more.
    ///
    /// # Errors
    /// When a pin can't be removed.
    pub fn detach(self) -> Result<(), KernelError> {
        match &self.pins {
            Some(pins) => pins.remove(),
            None => Ok(()),
        }
    }

    /// Removes the pins of other versions of the programs in the same directory, when everything is
    /// bound again: until then both enforce, and the stricter wins. Says how many there were.
    ///
    /// # Errors
    /// When a pin can't be removed.
    pub fn retire_others(&mut self) -> Result<usize, KernelError> {
        self.pins.as_ref().map_or(Ok(0), Pins::remove_others)
    }

    /// From now on tasks under policy can't use the maps, the programs and the pins.
    pub(super) fn protect(&mut self) -> Result<(), KernelError> {
        let protected = self.loaded.map("protected")?;
        let (programs, maps) = self.loaded.ids();
        for id in programs.iter().map(|id| id | PROGRAM).chain(maps) {
            protected
                .update(&id.to_ne_bytes(), &1u32.to_ne_bytes(), MapFlags::ANY)
                .map_err(KernelError::of("fill map `protected`"))?;
        }
        if let Some(pins) = &self.pins {
            let (device, inode) = pins.place()?;
            self.control.store_u64(PIN_INODE, inode);
            self.control.store_u32(PIN_DEVICE, device);
        }
        Ok(())
    }

    pub(super) fn check(&self, binding: Binding) -> Result<(), BindError> {
        if self.workloads.is_bound(binding) {
            Ok(())
        } else {
            Err(BindError::NotBound(binding))
        }
    }

    /// The slot of a policy's table, with one user more.
    fn table(&mut self, policy: &CompiledPolicy, require: Require) -> Result<u32, BindError> {
        BpfLsm::enforceability(&self.support, policy).check(require)?;
        let lowered = BpfLsm::lower(&self.support, policy)?;
        self.tables.acquire(lowered.bytes())
    }

    fn next_generation(&mut self) -> Generation {
        self.last_generation = self.last_generation.wrapping_add(1).max(1);
        Generation(self.last_generation)
    }

    fn note(&mut self, key: ScopeKey, binding: Binding) {
        self.bound.insert(key, binding);
        self.scope_of.insert(binding.workload, key);
    }

    /// Tells the programs of a scope.
    fn enter(&self, key: ScopeKey, workload: u32) -> Result<(), KernelError> {
        match key {
            ScopeKey::Cgroup(id) => self
                .scopes
                .update(&id.to_ne_bytes(), &workload.to_ne_bytes(), MapFlags::ANY)
                .map_err(KernelError::of("fill map `scopes`"))?,
            ScopeKey::Host => self.control.store_u32(HOST_WORKLOAD, workload),
        }
        self.raise_epoch();
        Ok(())
    }

    /// What a cgroup is bound to.
    fn scope(&self, id: u64) -> Result<Option<u32>, KernelError> {
        let value = self
            .scopes
            .lookup(&id.to_ne_bytes(), MapFlags::ANY)
            .map_err(KernelError::of("read map `scopes`"))?;
        Ok(value.and_then(|value| Some(u32::from_ne_bytes(value.try_into().ok()?))))
    }

    fn forget_cgroup(&self, id: u64) -> Result<(), KernelError> {
        match self.scopes.delete(&id.to_ne_bytes()) {
            Err(error) if error.kind() != libbpf_rs::ErrorKind::NotFound => {
                Err(KernelError::of("empty map `scopes`")(error))
            }
            _ => Ok(()),
        }
    }

    /// Has the tasks that belonged nowhere looked up again.
    fn raise_epoch(&self) {
        if let Some(epoch) = self.control.u32(EPOCH) {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(super) fn epoch(&self) -> u32 {
        self.control.load_u32(EPOCH)
    }
}
