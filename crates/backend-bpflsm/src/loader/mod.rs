//! The loader: brings the programs and policies into the kernel, and events out of it.

mod enforcer;
mod error;
mod label;
mod object;
mod options;
mod pins;
mod probe;
mod quiet;
mod report;
mod ring;
mod scope;
mod self_test;
#[expect(
    unsafe_code,
    reason = "memory shared with the kernel, and fork: neither has a safe wrapper"
)]
mod sys;
mod tables;
mod trial;
mod workloads;

pub use enforcer::Enforcer;
pub use error::{BindError, EventError, KernelError, LoadError};
pub use options::{BindOptions, Errno, Mounts, Options, Scope};
pub use report::{Counters, ProgramInfo};
pub use self_test::SelfTest;
pub use trial::{Trial, TrialTable};

use std::path::Path;

use gambeson_matcher::backend::Support as _;

use crate::{BpfLsm, Support};

impl BpfLsm {
    /// Finds out what the running kernel has. Never fails: what can't be found out is missing, with
    /// the reason.
    #[must_use]
    pub fn probe() -> Support {
        probe::probe()
    }

    /// Loads the programs and attaches them to their hooks. Nothing is judged until a policy is
    /// bound.
    ///
    /// # Errors
    /// When the kernel lacks what is needed or refuses a program, or the self-test fails. Nothing is
    /// left attached or pinned then.
    pub fn load(options: &Options) -> Result<Enforcer, LoadError> {
        let support = probe::probe();
        if !support.can_enforce() {
            let missing: Vec<String> = support
                .findings()
                .iter()
                .filter(|finding| !finding.present)
                .map(ToString::to_string)
                .collect();
            return Err(LoadError::Unsupported {
                missing: missing.join("; "),
            });
        }
        let pins = options.pin.as_deref().map(pins::Pins::new);
        if let Some(pins) = &pins
            && pins.exist()
        {
            return Err(LoadError::AlreadyPinned {
                path: pins.directory().to_owned(),
            });
        }
        let settings = settings(options)?;
        let (object, loaded) = object::load(object::embedded(), settings, &support)?;
        let mut enforcer = Enforcer::new(loaded, support)?;
        enforcer.attach(&object)?;
        drop(object);
        if options.self_test {
            let result = enforcer
                .self_test()
                .map_err(|error| LoadError::SelfTest(Box::new(error)))?;
            if !result.passed() {
                return Err(LoadError::Skips {
                    attempts: result.attempts,
                    allowed: result.allowed,
                    misses: result.misses,
                });
            }
        }
        if let Some(pins) = pins {
            enforcer.pin(pins)?;
        }
        if options.protect {
            enforcer.protect()?;
        }
        Ok(enforcer)
    }

    /// Takes over what an earlier run of the same version pinned, with all that is bound; `None`
    /// where there is nothing.
    ///
    /// # Errors
    /// When the pins are not complete, not ours, or can't be opened. They stay as they are, and go on
    /// enforcing.
    pub fn adopt(options: &Options) -> Result<Option<Enforcer>, LoadError> {
        let Some(path) = &options.pin else {
            return Err(LoadError::Option {
                option: "pin",
                problem: "adopting needs the directory of the pins".to_owned(),
            });
        };
        let pins = pins::Pins::new(path);
        let Some(loaded) = pins.open()? else {
            return Ok(None);
        };
        let mut enforcer = Enforcer::adopted(loaded, probe::probe())?;
        enforcer.pinned(pins);
        if options.protect {
            enforcer.protect()?;
        }
        Ok(Some(enforcer))
    }

    /// Removes whatever earlier runs pinned in a directory, complete or not and of any version, and
    /// says of how many versions. What they enforced is enforced no longer.
    ///
    /// # Errors
    /// When a pin can't be removed.
    pub fn clear(pin: &Path) -> Result<usize, KernelError> {
        pins::clear(pin)
    }
}

/// Least and most pieces of working memory.
const SCRATCH: std::ops::RangeInclusive<u32> = 64..=1024;

fn settings(options: &Options) -> Result<object::Settings, LoadError> {
    let cpus = libbpf_rs::num_possible_cpus().unwrap_or(1);
    let default = u32::try_from(cpus.saturating_mul(4)).unwrap_or(*SCRATCH.end());
    let scratch = options
        .scratch
        .unwrap_or(default)
        .clamp(*SCRATCH.start(), *SCRATCH.end())
        .next_power_of_two();
    let page = u32::try_from(rustix::param::page_size()).unwrap_or(4096);
    let ring_bytes = options
        .ring_bytes
        .max(page)
        .checked_next_power_of_two()
        .ok_or_else(|| LoadError::Option {
            option: "ring_bytes",
            problem: format!("{} bytes are too many", options.ring_bytes),
        })?;
    Ok(object::Settings {
        scratch,
        ring_bytes,
    })
}
