//! What the kernel says of the programs.

use std::time::Duration;

use libbpf_rs::query::ProgInfoIter;
use libbpf_rs::{MapCore as _, MapFlags};

use super::enforcer::Enforcer;
use super::error::KernelError;
use super::object;
use crate::abi::{self, Record as _};

/// What the programs have counted since they were loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Events for which the ring buffer had no room.
    pub lost: u64,
    /// Events beyond a binding's rate.
    pub throttled: u64,
    /// Verdicts carried out as denials.
    pub denied: u64,
    /// Verdicts Audit.
    pub audited: u64,
    /// Objects without a path.
    pub unresolved: u64,
    /// Of these, those whose path is too long.
    pub too_long: u64,
    /// Of these, those that are not below the workload's root.
    pub detached: u64,
    /// Denials because no working memory was free.
    pub no_scratch: u64,
    /// Denials because a table was missing.
    pub no_table: u64,
    /// New processes refused because their label could not be kept.
    pub no_storage: u64,
    /// Subjects whose program has no path.
    pub unresolved_source: u64,
    /// Attempts of others on our maps and programs.
    pub tampering: u64,
    /// Programs killed because of their arguments.
    pub doomed: u64,
    /// Records of the ring buffer that were no events, as far as this process has read them.
    pub malformed: u64,
}

/// A program in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Its name, such as `gb_file_open`.
    pub name: String,
    /// The hook, such as `file_open`.
    pub hook: String,
    /// How many instructions the verifier went through; 0 before Linux 5.16.
    pub verified_insns: u32,
    /// How long it has run; zero unless `kernel.bpf_stats_enabled` is set.
    pub run_time: Duration,
    /// How often it has run; zero as above.
    pub run_count: u64,
    /// How often the kernel skipped it because it, or another one, was running.
    pub recursion_misses: u64,
}

impl Enforcer {
    /// What the programs have counted.
    ///
    /// # Errors
    /// When the map can't be read.
    pub fn counters(&self) -> Result<Counters, KernelError> {
        let value = self
            .counters
            .lookup(&0u32.to_ne_bytes(), MapFlags::ANY)
            .map_err(KernelError::of("read map `counters`"))?
            .unwrap_or_default();
        let counted = abi::Counters::read(&value).unwrap_or_default();
        Ok(Counters {
            lost: counted.lost,
            throttled: counted.throttled,
            denied: counted.denied,
            audited: counted.audited,
            unresolved: counted.unresolved,
            too_long: counted.too_long,
            detached: counted.detached,
            no_scratch: counted.no_scratch,
            no_table: counted.no_table,
            no_storage: counted.no_storage,
            unresolved_source: counted.unresolved_source,
            tampering: counted.tampering,
            doomed: counted.doomed,
            malformed: self.malformed(),
        })
    }

    /// The programs that are loaded, with what the kernel says of them.
    #[must_use]
    pub fn programs(&self) -> Vec<ProgramInfo> {
        let mut programs: Vec<ProgramInfo> = ProgInfoIter::default()
            .filter_map(|info| {
                let known = self
                    .loaded
                    .programs
                    .iter()
                    .find(|program| program.handle.id() == info.id)?;
                Some(ProgramInfo {
                    name: known.name.clone(),
                    hook: object::hook_of(&known.name).to_owned(),
                    verified_insns: info.verified_insns,
                    run_time: Duration::from_nanos(info.run_time_ns),
                    run_count: info.run_cnt,
                    recursion_misses: info.recursion_misses,
                })
            })
            .collect();
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        programs
    }
}
