//! Putting policies in force, replacing and removing them.

use std::fs;
use std::io;

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::{Require, Support as _};

use super::error::{ApplyError, KernelError, StateError};
use super::parser::{Binary, Parser};
use super::places::{Places, shown};
use super::probe;
use super::state::{self, Confirmed};
use crate::lower::lower;
use crate::{AppArmor, Options, Profile, ProfileName, Support};

/// What puts policies in force on this machine.
#[derive(Debug, Clone)]
pub struct Enforcer {
    places: Places,
    support: Support,
    parser: Parser,
}

/// A policy that the kernel has taken. Whoever wants to know that it is in force asks
/// [`Enforcer::confirm`].
///
/// It stays in force when this value goes away: only [`Enforcer::remove`] ends it.
#[derive(Debug, Clone)]
#[must_use = "the policy stays in force until it is removed"]
pub struct Applied {
    pub(super) places: Places,
    prepared: Prepared,
    options: Options,
    generation: u64,
}

/// A policy that is ready to be taken by the kernel, and isn't in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    policy: CompiledPolicy,
    profile: Profile,
    binary: Binary,
}

/// What a replacement came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The number of the policy now in force, from 1.
    pub generation: u64,
    /// Profiles that the new policy has and the old one had not. A program that one of them is for, and that
    /// is running already, stays under the workload's own profile until it is executed again: no process
    /// can be moved from outside.
    pub new_profiles: Vec<String>,
}

impl AppArmor {
    /// Gets ready to put policies in force.
    ///
    /// # Errors
    /// When this machine can't enforce.
    pub fn open() -> Result<Enforcer, ApplyError> {
        let places = Places::default();
        let support = probe::probe(&places);
        if !support.can_enforce() {
            let missing: Vec<String> = support
                .findings()
                .iter()
                .filter(|finding| !finding.present)
                .map(ToString::to_string)
                .collect();
            return Err(ApplyError::Unsupported {
                missing: missing.join("; "),
            });
        }
        Ok(Enforcer {
            places,
            support,
            parser: Parser::find()?,
        })
    }
}

/// Into which of the kernel's files a profile goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Into {
    /// The profile must be new.
    Load,
    /// The profile takes the place of the one there.
    Replace,
}

impl Enforcer {
    /// What this machine has.
    #[must_use]
    pub const fn support(&self) -> &Support {
        &self.support
    }

    /// Takes another parser.
    #[must_use]
    pub fn parser(mut self, parser: Parser) -> Self {
        self.parser = parser;
        self
    }

    /// Puts a policy in force under a name that must be new. Nobody is under it yet: see
    /// [`Applied::spawn`].
    ///
    /// # Errors
    /// When there are gaps that `require` doesn't tolerate, or the policy can't be lowered, compiled or
    /// loaded. Nothing is loaded then.
    pub fn apply(
        &self,
        policy: &CompiledPolicy,
        options: &Options,
        require: Require,
    ) -> Result<Applied, ApplyError> {
        self.put(policy, options, require, Into::Load)
    }

    /// The same where a profile of that name may be loaded already, such as one that an earlier run left:
    /// processes under that one are under this one from then on.
    ///
    /// # Errors
    /// As [`apply`](Self::apply); what was in force before still is.
    pub fn take_over(
        &self,
        policy: &CompiledPolicy,
        options: &Options,
        require: Require,
    ) -> Result<Applied, ApplyError> {
        self.put(policy, options, require, Into::Replace)
    }

    fn put(
        &self,
        policy: &CompiledPolicy,
        options: &Options,
        require: Require,
        into: Into,
    ) -> Result<Applied, ApplyError> {
        let prepared = self.prepare(policy, options, require)?;
        self.write(&prepared, into)?;
        Ok(Applied {
            places: self.places.clone(),
            prepared,
            options: options.clone(),
            generation: 1,
        })
    }

    fn prepare(
        &self,
        policy: &CompiledPolicy,
        options: &Options,
        require: Require,
    ) -> Result<Prepared, ApplyError> {
        let profile = lower(&self.support, policy, options)?;
        profile.report().check(require)?;
        let binary = self.parser.compile(&profile, &self.support)?;
        Ok(Prepared {
            policy: policy.clone(),
            profile,
            binary,
        })
    }

    /// Lowers and compiles what is to take the place of a policy. Nothing is put in force by that.
    ///
    /// # Errors
    /// When there are gaps that `require` doesn't tolerate, or the policy can't be lowered or compiled.
    pub fn prepare_next(
        &self,
        applied: &Applied,
        policy: &CompiledPolicy,
        require: Require,
    ) -> Result<Prepared, ApplyError> {
        let options = applied.options.clone().after(applied.profile());
        self.prepare(policy, &options, require)
    }

    /// Replaces a policy at once: each operation is judged by the old one or by the new one. All profiles
    /// of the workload go into the kernel in one piece, which it takes as a whole or not at all.
    ///
    /// # Errors
    /// As [`apply`](Self::apply); the old policy stays in force then.
    pub fn replace(
        &self,
        applied: &mut Applied,
        policy: &CompiledPolicy,
        require: Require,
    ) -> Result<Replaced, ApplyError> {
        let next = self.prepare_next(applied, policy, require)?;
        self.replace_with(applied, next)
    }

    /// The same with what was prepared for it.
    ///
    /// # Errors
    /// When it was prepared for another policy than the one in force, that one is loaded no longer, or the
    /// kernel refuses. What was in force still is.
    pub fn replace_with(
        &self,
        applied: &mut Applied,
        next: Prepared,
    ) -> Result<Replaced, ApplyError> {
        let names = |profile: &Profile| -> Vec<String> {
            let sections = profile.sections().iter();
            sections.map(|section| section.name.clone()).collect()
        };
        let (old, new) = (names(applied.profile()), names(&next.profile));
        if next.profile.name() != applied.name() || old.iter().any(|name| !new.contains(name)) {
            return Err(ApplyError::NotNext {
                name: applied.name().to_string(),
            });
        }
        // One that somebody removed meanwhile would come back without anyone under it.
        if state::loaded(&self.places, applied.name().as_str())?.is_empty() {
            return Err(ApplyError::NotLoaded {
                name: applied.name().to_string(),
            });
        }
        self.write(&next, Into::Replace)?;
        applied.prepared = next;
        applied.generation += 1;
        Ok(Replaced {
            generation: applied.generation,
            new_profiles: new.into_iter().filter(|name| !old.contains(name)).collect(),
        })
    }

    /// Reads back from the kernel what is in force, and compares it with what was applied.
    ///
    /// # Errors
    /// When it is something else, or can't be read.
    pub fn confirm(&self, applied: &Applied) -> Result<Confirmed, StateError> {
        let loaded = state::loaded(&self.places, applied.name().as_str())?;
        state::compare(
            loaded,
            applied.profile().sections(),
            applied.binary().bytes(),
        )
    }

    /// Removes a policy. Processes under it are under none from then on.
    ///
    /// # Errors
    /// When the kernel refuses; the policy stays in force then.
    pub fn remove(&self, applied: Applied) -> Result<(), ApplyError> {
        self.remove_named(applied.name())
    }

    /// Removes the policy of this name, such as one that an earlier run left, with all its profiles.
    ///
    /// # Errors
    /// When there is none, or the kernel refuses.
    pub fn remove_named(&self, name: &ProfileName) -> Result<(), ApplyError> {
        let file = self.places.remove();
        // The profiles below it go with it.
        match write_once(&file, name.as_str().as_bytes()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.exists() => {
                Err(ApplyError::NotLoaded {
                    name: name.to_string(),
                })
            }
            Err(error) => Err(KernelError::of(format!("remove `{name}`"))(error).into()),
        }
    }

    fn write(&self, prepared: &Prepared, into: Into) -> Result<(), ApplyError> {
        let (name, binary) = (prepared.profile.name(), &prepared.binary);
        let file = match into {
            Into::Load => self.places.load(),
            Into::Replace => self.places.replace(),
        };
        write_once(&file, binary.bytes()).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => ApplyError::AlreadyLoaded {
                name: name.to_string(),
            },
            io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound => {
                KernelError::of(format!("write {}", shown(&file)))(error).into()
            }
            _ => ApplyError::Refused {
                name: name.to_string(),
                source: error,
            },
        })
    }
}

/// Writes in one call: the kernel takes each for a whole.
fn write_once(file: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    let written = fs::OpenOptions::new()
        .write(true)
        .open(file)?
        .write(bytes)?;
    if written == bytes.len() {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "only {written} of {} bytes were taken",
            bytes.len()
        )))
    }
}

impl Applied {
    /// The name of the workload's own profile.
    #[must_use]
    pub const fn name(&self) -> &ProfileName {
        self.prepared.profile.name()
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &CompiledPolicy {
        &self.prepared.policy
    }

    /// What it was lowered to.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.prepared.profile
    }

    /// What the kernel took.
    #[must_use]
    pub const fn binary(&self) -> &Binary {
        &self.prepared.binary
    }

    /// The policy's number under this name, from 1.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }
}
