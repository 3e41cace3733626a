//! Gambeson: a policy engine for security agents. It reads KubeArmor's policies and decides Allow,
//! Audit or Block for any event, and says which line of which policy decided.
//!
//! ```
//! use gambeson::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policies = PolicySet::from_path("examples/policies")?;
//! let web = Workload::pod("production").label("app", "web");
//! let compiled = policies.select(&web).compile(&Config::default())?;
//!
//! let decision = compiled.decide(&Event::exec("/bin/sh").by("/usr/sbin/nginx"));
//! assert_eq!(decision.verdict(), Verdict::Block);
//!
//! let rule = decision.rule().and_then(|id| compiled.rule(id)).ok_or("no rule decided")?;
//! assert_eq!(rule.policy, "web-block-shells");
//! assert_eq!(rule.field_path(), "process.matchPaths[0]");
//! assert!(rule.file.ends_with("web-block-shells.yaml"));
//! # Ok(())
//! # }
//! ```
//!
//! The steps are the same everywhere: **read** policies ([`policy_model::PolicySet`]), **select**
//! those that apply to a workload ([`policy_model::Workload`]), **compile** them once
//! ([`matcher::CompiledPolicy`]), **decide** each event ([`policy_model::Event`]). A compiled
//! policy is immutable, can be shared between threads, and allocates nothing to decide.
//!
//! This crate is a façade: [`policy_model`] holds the policies and the vocabulary, [`matcher`] the
//! compiler and the reference evaluator that it is tested against. The verdict is the caller's to
//! carry out, or a kernel's: `gambeson::apparmor` lowers policies to AppArmor profiles and loads them (feature
//! `apparmor`, on by default), `gambeson::selinux` to SELinux modules (feature `selinux`, on by default),
//! `gambeson::bpf_lsm` does it with BPF programs (feature `bpf-lsm`).

#[cfg(feature = "apparmor")]
pub use gambeson_backend_apparmor as apparmor;
#[cfg(feature = "bpf-lsm")]
pub use gambeson_backend_bpflsm as bpf_lsm;
#[cfg(feature = "selinux")]
pub use gambeson_backend_selinux as selinux;
pub use gambeson_insight::{analysis, discover, explain, policy_test, promote, replay};
pub use gambeson_matcher as matcher;
pub use gambeson_policy_model as policy_model;

/// What most programs need, to be imported as a whole.
pub mod prelude {
    pub use crate::explain::Explain;
    pub use crate::matcher::{Compile, CompileError, CompiledPolicy, Config};
    pub use crate::policy_model::{
        Cause, Decision, Diagnostic, Event, Operation, PolicySet, Postures, Reader, RuleId,
        RuleInfo, Selection, Verdict, Workload,
    };
}

/// Compiles and runs the README's program.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
