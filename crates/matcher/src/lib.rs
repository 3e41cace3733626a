//! Compiles KubeArmor rules into flat tables and decides events with them.
//!
//! [`CompiledPolicy`] is what an embedder uses. [`reference`](mod@reference) is the same decision
//! written down as slowly and obviously as it can be; both give the same verdict by the same rule.
//! How the tables look is told in the crate's `DESIGN.md`.
//!
//! # Where the decision model leaves room
//!
//! - A subject of which nothing is known: without a source, the strictest outcome of all sources that
//!   rules name stands; without its uid or the object's owner, `ownerOnly` doesn't hold; without word
//!   of a terminal it has none.
//! - An unresolvable object whose class has posture Allow passes and is reported, as under Audit. So it
//!   is with an unresolvable object that is mapped, though of rules only denials count there.
//! - Pipes, sockets and other objects without a name in a file system are outside the file class
//!   ([`EventPath::NAMELESS`](gambeson_policy_model::EventPath::NAMELESS)); a file in memory is
//!   unresolvable.
//! - Three stars and more are two, in rank as in what they match: `/usr/***` ranks as a directory.
//! - Devices have an allow-list mode and a posture of their own, as in KubeArmor; system calls and
//!   presets have neither.
//! - A system call rule that names no call matches none.
//! - `kubearmor.io/hostname` and `kubernetes.io/hostname` of a node selector take a comma list, and `*`
//!   for any node.

pub mod backend;
mod compile;
mod compiled;
mod config;
mod decide;
mod glob_rule;
mod kept;
mod native;
mod prepare;
pub mod reference;
mod rule_shape;
mod strictest;
pub mod tables;
#[cfg(feature = "testing")]
pub mod testing;

pub use compiled::{Compile, CompiledPolicy};
pub use config::{CompileError, CompileLimits, Config, RuleRef};
pub use glob_rule::GlobRule;
pub use kept::KeptRules;
pub use native::NativeText;
pub use rule_shape::{ObjectKind, RuleShape};
pub use tables::image::{IMAGE_VERSION, ImageError};
