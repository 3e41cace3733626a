//! Tests of policies: a YAML file beside them says what must become of events, and by which rule.
//!
//! ```yaml
//! name: checkout starts no shell
//! policies: [checkout-risk-block.yaml]     # files and folders, from where this file is
//! workload: {kind: pod, namespace: production, labels: {app: checkout}}
//! steps:
//!   - event: {op: exec, path: /bin/sh, source: /usr/local/bin/node}
//!     verdict: Block
//!     rule: checkout-risk-block process.matchPaths[0]
//!   - event: {op: exec, path: /usr/local/bin/node, source: /usr/bin/runc}
//!     verdict: Allow
//!     cause: none                          # or `posture`
//! ```
//!
//! Several tests in one file are several documents. The format is that of Gambeson's own scenarios,
//! but that their `policies` are text: a scenario is a test, and [`Test::to_scenario`] makes a test
//! a scenario, which carriers in kernels can be held to. Where neither `rule` nor `cause` is given,
//! the verdict alone counts. `events` in place of `event` is one operation that is several events,
//! of which the strictest verdict counts.
//!
//! ```
//! use gambeson_insight::policy_test::{Outcome, TestFile, Tester};
//! let file = TestFile::from_text("web.test.yaml", "
//! name: no shells
//! policies: |
//!   apiVersion: security.kubearmor.com/v1
//!   kind: KubeArmorPolicy
//!   metadata: {name: web}
//!   spec: {process: {matchPaths: [{path: /bin/sh}]}}
//! workload: {kind: pod}
//! steps:
//!   - {event: {op: exec, path: /bin/sh}, verdict: Block, rule: 'web process.matchPaths[0]'}
//! ")?;
//! let mut tester = Tester::default();
//! tester.run(&file);
//! let report = tester.report();
//! assert!(matches!(report.cases[0].outcome, Outcome::Passed));
//! assert_eq!(report.coverage.uncovered().count(), 0);
//! # Ok::<(), gambeson_insight::policy_test::TestFileError>(())
//! ```

mod coverage;
mod file;
mod junit;
mod report;
mod run;

pub use coverage::{Coverage, CoveredRule};
pub use file::{Step, Test, TestFile, TestFileError, test_files};
pub use report::{Case, Outcome, Report};
pub use run::Tester;
