//! Carries compiled policies out with BPF programs on the kernel's LSM hooks.
//!
//! The programs walk the compiled tables as they are: [`lower`] hardly does more than copy them into
//! pages of a BPF array. [`enforceability`] says beforehand what a kernel can't carry out as the
//! decision model says; it knows kernels by their [`Support`] and hooks by [`HOOKS`]. [`abi`] is
//! what programs and loader agree on.
//!
//! Everything here is pure Rust and needs no kernel, except behind the feature `libbpf`: there,
//! `BpfLsm::load` brings the programs into the kernel, and `Enforcer` binds policies to cgroups and
//! hands out [`KernelEvent`]s.
//!
//! ```
//! use gambeson_backend_bpflsm::{BpfLsm, KernelVersion, Support};
//! use gambeson_matcher::backend::{Backend, Require};
//! use gambeson_matcher::{Compile, Config};
//! use gambeson_policy_model::{PolicySet, Workload};
//! let policies = PolicySet::from_str("
//! apiVersion: security.kubearmor.com/v1
//! kind: KubeArmorPolicy
//! metadata: {name: web}
//! spec:
//!   process: {matchPaths: [{path: /bin/sh}]}
//! ")?;
//! let compiled = policies.select(&Workload::pod("default")).compile(&Config::default())?;
//! let support = Support::complete(KernelVersion::new(6, 1));
//! BpfLsm::enforceability(&support, &compiled).check(Require::Exact)?;
//! let lowered = BpfLsm::lower(&support, &compiled)?;
//! assert_eq!(lowered.rules(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod abi;
mod binding;
mod enforceability;
mod event;
mod hooks;
#[cfg(feature = "libbpf")]
mod loader;
mod lower;
mod support;

pub use binding::{Binding, Generation};
pub use enforceability::enforceability;
pub use event::{DecodeError, KernelEvent, KernelOperation, Particulars, Reason, Subject};
pub use hooks::{Before, Carried, HOOKS, Hook, Rules};
#[cfg(feature = "libbpf")]
pub use loader::{
    BindError, BindOptions, Counters, Enforcer, Errno, EventError, KernelError, LoadError, Mounts,
    Options, ProgramInfo, Scope, SelfTest, Trial, TrialTable,
};
pub use lower::{LowerError, Lowered, lower};
pub use support::{KernelVersion, KernelVersionError, Support};

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::{Backend, Report};

/// The backend: BPF programs on LSM hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BpfLsm;

impl Backend for BpfLsm {
    const NAME: &'static str = "bpf-lsm";
    type Support = Support;
    type Lowered = Lowered;
    type LowerError = LowerError;

    fn enforceability(support: &Support, compiled: &CompiledPolicy) -> Report {
        enforceability(support, compiled)
    }

    /// Lowering is the same for all kernels: what differs is in the programs.
    fn lower(_: &Support, compiled: &CompiledPolicy) -> Result<Lowered, LowerError> {
        lower(compiled)
    }
}
