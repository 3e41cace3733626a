//! The lowered tables in the kernel: each an array of pages in a slot of the map `tables`.
//!
//! A table never changes. Equal ones share a slot. A slot that nobody uses any more may still be read
//! by a program that began before; every update of a map in a map waits for these (`synchronize_rcu`
//! in the system call), so a slot is overwritten or emptied only after such an update.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::fd::{AsFd as _, AsRawFd as _};

use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType};

use super::error::{BindError, KernelError};
use crate::abi;

/// How many unused tables are kept for the case that they come back.
const KEPT: usize = 16;

/// How many pages go to the kernel at a time.
const PAGES_AT_ONCE: usize = 256;

#[derive(Debug)]
struct Slot {
    /// The array's id. Reading it from the slot would make older kernels wait as an update does.
    id: u32,
    hash: u64,
    pages: u32,
    users: u32,
}

/// The map `tables`, and who uses which of its slots.
#[derive(Debug)]
pub(super) struct Tables {
    map: MapHandle,
    /// Those that hold a table, used or not.
    slots: HashMap<u32, Slot>,
    by_hash: HashMap<u64, Vec<u32>>,
    /// Unused, and perhaps still being read.
    retired: Vec<u32>,
    /// Unused, and read by nobody.
    stale: Vec<u32>,
    empty: Vec<u32>,
    /// From here on no slot has ever been used.
    fresh: u32,
    /// The last slot: what is put there only makes the kernel wait.
    last: u32,
}

impl Tables {
    pub(super) fn new(map: MapHandle) -> Self {
        let last = map.max_entries().saturating_sub(1);
        Self {
            map,
            slots: HashMap::new(),
            by_hash: HashMap::new(),
            retired: Vec::new(),
            stale: Vec::new(),
            empty: Vec::new(),
            fresh: 0,
            last,
        }
    }

    /// Takes over what an earlier run has put there; `used` are the slots of workloads, as often as
    /// there are.
    pub(super) fn adopt(
        map: MapHandle,
        used: impl Iterator<Item = u32>,
    ) -> Result<Self, KernelError> {
        let mut tables = Self::new(map);
        let mut users: HashMap<u32, u32> = HashMap::new();
        for slot in used {
            *users.entry(slot).or_default() += 1;
        }
        for slot in 0..tables.last {
            let Some(users) = users.get(&slot).copied() else {
                // Perhaps it holds a table that is unused; then that is overwritten.
                tables.empty.push(slot);
                continue;
            };
            let id = tables.id_in(slot)?;
            let inner = open(id)?;
            let hash = hash(&read(&inner, inner.max_entries())?);
            tables.insert(slot, id, hash, inner.max_entries(), users);
        }
        // Programs may still read what an earlier run has just put out of use.
        let nothing = create(1)?;
        tables.put(tables.last, &nothing)?;
        tables.fresh = tables.last;
        tables.empty.reverse();
        Ok(tables)
    }

    /// How many slots are in use.
    pub(super) fn used(&self) -> usize {
        self.slots.len() - self.retired.len() - self.stale.len()
    }

    /// The slot of a table with these bytes, with one user more.
    pub(super) fn acquire(&mut self, bytes: &[u8]) -> Result<u32, BindError> {
        let hash = hash(bytes);
        if let Some(slot) = self.find(hash, bytes)? {
            if let Some(known) = self.slots.get_mut(&slot) {
                known.users += 1;
                if known.users == 1 {
                    self.retired.retain(|other| *other != slot);
                    self.stale.retain(|other| *other != slot);
                }
            }
            return Ok(slot);
        }
        let pages = u32::try_from(bytes.len() / abi::PAGE).unwrap_or(u32::MAX);
        let inner = create(pages)?;
        fill(&inner, bytes)?;
        inner.freeze().map_err(KernelError::of("freeze a table"))?;
        let id = libbpf_rs::MapInfo::new(inner.as_fd())
            .map_err(KernelError::of("ask for a table's id"))?
            .info
            .id;
        let slot = self.vacant()?;
        if let Err(error) = self.put(slot, &inner) {
            self.empty.push(slot);
            return Err(error.into());
        }
        self.insert(slot, id, hash, pages, 1);
        Ok(slot)
    }

    /// The slot has one user less.
    pub(super) fn release(&mut self, slot: u32) {
        let Some(known) = self.slots.get_mut(&slot) else {
            return;
        };
        known.users = known.users.saturating_sub(1);
        if known.users == 0 {
            self.retired.push(slot);
        }
        if self.retired.len() + self.stale.len() > KEPT {
            // A slot that can't be emptied now stays on its list until the next time.
            let _ = self.trim();
        }
    }

    /// Empties unused slots down to half of what is kept.
    fn trim(&mut self) -> Result<(), KernelError> {
        if self.stale.len() <= KEPT / 2 {
            let nothing = create(1)?;
            self.put(self.last, &nothing)?;
        }
        while self.stale.len() > KEPT / 2 {
            let Some(slot) = self.stale.first().copied() else {
                break;
            };
            self.map
                .delete(&slot.to_ne_bytes())
                .map_err(KernelError::of(format!("empty slot {slot} of `tables`")))?;
            self.stale.remove(0);
            self.forget(slot);
            self.empty.push(slot);
        }
        Ok(())
    }

    /// Puts an array into a slot. The kernel waits until no program reads what was there before.
    fn put(&mut self, slot: u32, inner: &MapHandle) -> Result<(), KernelError> {
        self.map
            .update(
                &slot.to_ne_bytes(),
                &inner.as_fd().as_raw_fd().to_ne_bytes(),
                MapFlags::ANY,
            )
            .map_err(KernelError::of(format!("fill slot {slot} of `tables`")))?;
        self.stale.append(&mut self.retired);
        Ok(())
    }

    /// A slot that nobody reads.
    fn vacant(&mut self) -> Result<u32, BindError> {
        if let Some(slot) = self.empty.pop() {
            return Ok(slot);
        }
        if self.fresh < self.last {
            self.fresh += 1;
            return Ok(self.fresh - 1);
        }
        if self.stale.is_empty() && !self.retired.is_empty() {
            let nothing = create(1)?;
            self.put(self.last, &nothing)?;
        }
        let slot = self.stale.pop().ok_or(BindError::Full {
            what: "tables",
            most: self.last,
        })?;
        self.forget(slot);
        Ok(slot)
    }

    fn insert(&mut self, slot: u32, id: u32, hash: u64, pages: u32, users: u32) {
        self.slots.insert(
            slot,
            Slot {
                id,
                hash,
                pages,
                users,
            },
        );
        self.by_hash.entry(hash).or_default().push(slot);
    }

    fn forget(&mut self, slot: u32) {
        if let Some(known) = self.slots.remove(&slot)
            && let Some(same) = self.by_hash.get_mut(&known.hash)
        {
            same.retain(|other| *other != slot);
            if same.is_empty() {
                self.by_hash.remove(&known.hash);
            }
        }
    }

    /// A slot that holds these very bytes.
    fn find(&self, hash: u64, bytes: &[u8]) -> Result<Option<u32>, KernelError> {
        for slot in self.by_hash.get(&hash).into_iter().flatten() {
            let Some(known) = self.slots.get(slot) else {
                continue;
            };
            if known.pages as usize * abi::PAGE == bytes.len()
                && read(&open(known.id)?, known.pages)? == bytes
            {
                return Ok(Some(*slot));
            }
        }
        Ok(None)
    }

    /// The id of the array in a slot.
    fn id_in(&self, slot: u32) -> Result<u32, KernelError> {
        let step = || format!("read slot {slot} of `tables`");
        self.map
            .lookup(&slot.to_ne_bytes(), MapFlags::ANY)
            .map_err(KernelError::of(step()))?
            .and_then(|id| Some(u32::from_ne_bytes(id.try_into().ok()?)))
            .ok_or_else(|| KernelError::new(step(), std::io::ErrorKind::NotFound))
    }
}

/// The array with this id.
fn open(id: u32) -> Result<MapHandle, KernelError> {
    MapHandle::from_map_id(id).map_err(KernelError::of("open a table"))
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// An array of pages, such as fits in a slot of `tables`.
pub(super) fn create(pages: u32) -> Result<MapHandle, KernelError> {
    let options = libbpf_rs::libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_rs::libbpf_sys::bpf_map_create_opts>() as _,
        map_flags: libbpf_rs::libbpf_sys::BPF_F_INNER_MAP
            | libbpf_rs::libbpf_sys::BPF_F_RDONLY_PROG,
        ..Default::default()
    };
    MapHandle::create(
        MapType::Array,
        Some("gb_table"),
        4,
        abi::PAGE as u32,
        pages,
        &options,
    )
    .map_err(KernelError::of(format!("make a table of {pages} pages")))
}

pub(super) fn fill(inner: &MapHandle, bytes: &[u8]) -> Result<(), KernelError> {
    let mut first = 0u32;
    for chunk in bytes.chunks(abi::PAGE * PAGES_AT_ONCE) {
        let pages = (chunk.len() / abi::PAGE) as u32;
        let keys: Vec<u8> = (first..first + pages).flat_map(u32::to_ne_bytes).collect();
        inner
            .update_batch(&keys, chunk, pages, MapFlags::ANY, MapFlags::ANY)
            .map_err(KernelError::of("fill a table"))?;
        first += pages;
    }
    Ok(())
}

fn read(inner: &MapHandle, pages: u32) -> Result<Vec<u8>, KernelError> {
    let mut bytes = vec![0; pages as usize * abi::PAGE];
    for (key, page) in (0..pages).zip(bytes.chunks_mut(abi::PAGE)) {
        inner
            .lookup_into(&key.to_ne_bytes(), page, MapFlags::ANY)
            .map_err(KernelError::of("read a table"))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
