//! Lowers compiled policies to SELinux: each decision class becomes a type, its region of the trie
//! file-context entries, each source class of a workload a domain, and the rows of the decision tables
//! allow rules.
//!
//! A file has one label, whoever looks at it. So the policies of all workloads on a node are lowered
//! together, by [`lower`]; [`SeLinux`] as a [`Backend`] takes a single one. [`enforceability`] says
//! beforehand what labels can't carry out as the decision model says. `DESIGN.md` tells how it is done.
//!
//! Everything here is pure Rust. Compiling a module needs `secilc`, or `semodule` where it is put on top of
//! a policy that is there.
//!
//! ```
//! use gambeson_backend_selinux::{Access, SeLinux, Support};
//! use gambeson_matcher::backend::Backend;
//! use gambeson_matcher::{Compile, Config};
//! use gambeson_policy_model::{PolicySet, Verdict, Workload};
//! let policies = PolicySet::from_str("
//! apiVersion: security.kubearmor.com/v1
//! kind: KubeArmorPolicy
//! metadata: {name: web}
//! spec:
//!   file: {matchDirectories: [{dir: /srv/secret/, recursive: true}]}
//! ")?;
//! let compiled = policies.select(&Workload::pod("default")).compile(&Config::default())?;
//! let module = SeLinux::lower(&Support::complete(), &compiled)?;
//! let secret = module.type_of(b"/srv/secret/key").ok_or("no type")?;
//! let domain = &module.domains()[0];
//! let verdict = module.verdict(&domain.name, &secret.name, Access::Read);
//! assert_eq!(verdict, Some(Verdict::Block));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod enforceability;
mod event;
mod life;
mod lower;
mod support;

pub use enforceability::enforceability;
pub use event::{AvcError, AvcRecord, Reason, SelinuxEvent, explain};
pub use life::{
    Applied, BinaryPolicy, Change, InForce, KernelLog, Labelling, LifeError, LogError, Polled,
    bind_next_exec, probe,
};
pub use lower::{
    Access, Base, Domain, LowerError, LowerLimits, LowerOptions, Module, ObjectType, Replacement,
    lower,
};
pub use support::Support;

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::{Backend, Report};

/// The backend: types, domains and file contexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeLinux;

impl Backend for SeLinux {
    const NAME: &'static str = "selinux";
    type Support = Support;
    type Lowered = Module;
    type LowerError = LowerError;

    fn enforceability(support: &Support, compiled: &CompiledPolicy) -> Report {
        enforceability(support, compiled)
    }

    /// Lowers the policy of a node's only workload, to a module that needs no other policy.
    fn lower(_: &Support, compiled: &CompiledPolicy) -> Result<Module, LowerError> {
        lower(&[("workload", compiled)], &LowerOptions::default())
    }
}
