//! The seam between compiled policies and the mechanisms of a kernel that carry them out.
//!
//! A backend answers three questions, and only the last needs a kernel: what this kernel has
//! ([`Support`]), what of a policy it can't carry out as the decision model says ([`Report`]), and
//! what to hand to the kernel ([`Backend::lower`]). Nothing is dropped in silence: whatever will
//! differ is a [`Gap`], and [`Require`] says which gaps are an error before anything is applied.
//!
//! ```
//! use gambeson_matcher::backend::{Backend, Finding, Gap, Outcome, Report, Require, Support};
//! use gambeson_matcher::{Compile, CompiledPolicy, Config};
//! use gambeson_policy_model::{Class, PolicySet, Workload};
//!
//! /// A mechanism that knows nothing of DNS.
//! struct Deaf;
//!
//! struct Kernel([Finding; 1]);
//!
//! impl Support for Kernel {
//!     fn findings(&self) -> &[Finding] {
//!         &self.0
//!     }
//!     fn can_enforce(&self) -> bool {
//!         self.0.iter().all(|finding| finding.present)
//!     }
//! }
//!
//! impl Backend for Deaf {
//!     const NAME: &'static str = "deaf";
//!     type Support = Kernel;
//!     type Lowered = Vec<u8>;
//!     type LowerError = std::convert::Infallible;
//!
//!     fn enforceability(_: &Kernel, compiled: &CompiledPolicy) -> Report {
//!         compiled
//!             .rules()
//!             .filter(|(_, rule)| rule.class == Class::Dns)
//!             .map(|(id, _)| Gap::of_rule(id, Outcome::Unenforced, "the rule", "no hook sees names"))
//!             .collect()
//!     }
//!
//!     fn lower(_: &Kernel, compiled: &CompiledPolicy) -> Result<Vec<u8>, Self::LowerError> {
//!         Ok(compiled.to_bytes())
//!     }
//! }
//!
//! let policies = PolicySet::from_str("
//! apiVersion: security.kubearmor.com/v1
//! kind: KubeArmorPolicy
//! metadata: {name: web}
//! spec:
//!   network: {matchDNSQueries: [{domain: example.com}]}
//! ")?;
//! let compiled = policies.select(&Workload::pod("default")).compile(&Config::default())?;
//! let kernel = Kernel([Finding::present("securityfs", "/sys/kernel/security")]);
//! assert!(kernel.can_enforce());
//!
//! let report = Deaf::enforceability(&kernel, &compiled);
//! assert!(!report.is_exact());
//! assert!(report.check(Require::BestEffort).is_ok());
//! let refused = report.check(Require::Strict).unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "the policy can't be carried out as required (strict): \
//!      rule 0: the rule: unenforced, since no hook sees names"
//! );
//! assert!(report.render(&compiled).to_string().contains("network.matchDNSQueries[0] of web"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod report;
mod support;

pub use report::{Gap, GapError, Outcome, RenderedReport, Report, Require};
pub use support::{Finding, Support};

use crate::compiled::CompiledPolicy;

/// A mechanism that carries compiled policies out.
///
/// What needs a kernel (probing, applying, replacing, removing) differs in its handles from one
/// mechanism to another and is each backend's own; the verbs are the same everywhere.
pub trait Backend {
    /// The backend's name, such as `bpf-lsm`.
    const NAME: &'static str;

    /// What a kernel has of the mechanism.
    type Support: Support;

    /// What is handed to the kernel: not yet applied.
    type Lowered;

    /// Why a policy can't be brought into the kernel's form.
    type LowerError: std::error::Error;

    /// What will differ from the decision model on such a kernel.
    fn enforceability(support: &Self::Support, compiled: &CompiledPolicy) -> Report;

    /// Brings a policy into the kernel's form. Needs no kernel, and gives the same for the same policy.
    ///
    /// # Errors
    /// When a limit of the mechanism is exceeded: nothing is cut in silence.
    fn lower(
        support: &Self::Support,
        compiled: &CompiledPolicy,
    ) -> Result<Self::Lowered, Self::LowerError>;
}
