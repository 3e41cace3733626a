//! Compiles KubeArmor rules into flat tables and decides events with them.
//!
//! [`CompiledPolicy`] is what an embedder uses. [`reference`](mod@reference) is the same decision
//! written down as slowly and obviously as it can be; both give the same verdict by the same rule.
//! How the tables look is told in the crate's `DESIGN.md`.

mod compile;
mod compiled;
mod config;
mod decide;
mod prepare;
pub mod reference;
mod strictest;
mod tables;
#[cfg(feature = "testing")]
pub mod testing;

pub use compiled::{Compile, CompiledPolicy};
pub use config::{CompileError, CompileLimits, Config, RuleRef};
pub use tables::image::{IMAGE_VERSION, ImageError};
