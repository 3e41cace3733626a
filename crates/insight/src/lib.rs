//! What decisions rest on: explanations, tests and comparisons of policies.
//!
//! [`CompiledPolicy`](gambeson_matcher::CompiledPolicy) keeps of the rules around an object only
//! what decides. To say who else spoke, and who lost to whom, takes the rules themselves: an
//! [`Explainer`](explain::Explainer) holds them beside the compiled tables, indexed by what they
//! name.

pub mod analysis;
pub mod discover;
pub mod explain;
mod glob_walk;
mod index;
mod matching;
pub mod policy_test;
pub mod promote;
pub mod replay;
mod steps;
mod words;
