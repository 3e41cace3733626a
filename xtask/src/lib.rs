//! Developer errands, and what the tests, benchmarks and fuzz targets share with them.

pub mod bpf;
pub mod conformance;
pub mod contenders;
pub mod corpus;
pub mod fuzz;
pub mod judge;
pub mod kernel;
pub mod random;
pub mod report;
pub mod ruleset;
pub mod scenario;
pub mod soak;
pub mod vm;
