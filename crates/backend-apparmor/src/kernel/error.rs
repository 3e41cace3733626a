//! What can go wrong with the kernel.

use std::io;

use gambeson_matcher::backend::GapError;
use thiserror::Error;

use super::parser::ParserError;
use crate::error::LowerError;

/// A step with the kernel that failed.
#[derive(Debug, Error)]
#[error("can't {step}: {source}{}", advice(.source))]
pub struct KernelError {
    /// What was tried, such as ``write `/sys/kernel/security/apparmor/.replace` ``.
    pub step: String,
    /// What the kernel says.
    #[source]
    pub source: io::Error,
}

impl KernelError {
    /// For `map_err`.
    pub(super) fn of(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        |source| Self { step, source }
    }
}

/// What the numbers that AppArmor answers with mean there.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; it takes CAP_MAC_ADMIN in the first user namespace, and a task that is under no profile"
        }
        io::ErrorKind::NotFound => "; is securityfs mounted, and AppArmor enabled?",
        _ => "",
    }
}

/// Why a policy isn't put in force, or taken out of it. What was in force before still is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The kernel lacks something without which nothing is enforced.
    #[error("this machine can't enforce: {missing}")]
    Unsupported {
        /// What is missing, with reasons and remedies.
        missing: String,
    },
    /// The policy can't be carried out as closely as required.
    #[error(transparent)]
    Gap(#[from] GapError),
    /// The policy can't be lowered.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The profile can't be compiled.
    #[error(transparent)]
    Parser(#[from] ParserError),
    /// A profile of that name is loaded already.
    #[error(
        "a profile `{name}` is loaded already; take it over, remove it, or choose another name"
    )]
    AlreadyLoaded {
        /// The name.
        name: String,
    },
    /// There is no profile of that name.
    #[error("no profile `{name}` is loaded any more")]
    NotLoaded {
        /// The name.
        name: String,
    },
    /// What was prepared is for another policy than the one in force.
    #[error("what was prepared can't take the place of `{name}`: another policy has meanwhile")]
    NotNext {
        /// The name.
        name: String,
    },
    /// The kernel refused the profile.
    #[error("the kernel refuses the profile `{name}`: {source}")]
    Refused {
        /// The name.
        name: String,
        /// What it says.
        #[source]
        source: io::Error,
    },
    /// Another step that failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Why the kernel's state can't be confirmed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateError {
    /// What is in force isn't what was applied.
    #[error("the kernel doesn't have what was applied: {}", list(.differences))]
    Differs {
        /// In what.
        differences: Vec<super::state::Difference>,
    },
    /// The state can't be read.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

fn list(differences: &[super::state::Difference]) -> String {
    let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
