//! What a candidate policy would have done: recorded events, decided again.
//!
//! Records are lines: Gambeson's own events, KubeArmor's alerts and logs in both of their shapes,
//! Tetragon's JSON export, Falco's JSON output, and records of the Linux audit log. Each line's format
//! is told by itself. A line that can't be used is counted, and the first few are kept; fields that
//! aren't known are no reason not to use a line.
//!
//! ```
//! use gambeson_insight::replay::{Baseline, Replayer};
//! use gambeson_policy_model::{PolicySet, Verdict, Workload};
//! let candidate = PolicySet::from_str("
//! apiVersion: security.kubearmor.com/v1
//! kind: KubeArmorPolicy
//! metadata: {name: web, namespace: shop}
//! spec: {process: {matchPaths: [{path: /bin/sh}]}}
//! ")?;
//! let replayer = Replayer::new(candidate, Baseline::Recorded, Workload::pod("shop"));
//! let recorded = br#"{"op":"exec","path":"/bin/sh","source":"/usr/bin/node"}
//! {"NamespaceName":"shop","ContainerID":"1","Operation":"Process","Resource":"/bin/ls","ParentProcessName":"/bin/bash","Result":"Passed"}
//! "#;
//! let report = replayer.replay(&recorded[..], 1, |_| ())?;
//! assert_eq!((report.events, report.newly(Verdict::Block)), (2, 1));
//! assert_eq!(report.changes[0].program, "/usr/bin/node");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audit;
mod batches;
mod falco;
mod json;
mod judge;
mod kubearmor;
mod owner;
mod record;
mod report;
mod stream;
mod tetragon;
mod text;

pub(crate) use judge::name as workload_name;
pub(crate) use owner::{Kind, Owner};
pub(crate) use record::{Occurrence, Told};
pub(crate) use report::unusable;
pub(crate) use stream::{At, TOO_LONG, Taker, take};

pub use judge::{Baseline, Replayer};
pub use report::{Change, ReplayReport, Unusable};
