//! `cargo xtask corpus DIR`: holds the reader and the engines to KubeArmor's own policies and
//! scenarios.

mod apparmor;
mod locate;
mod scenarios;
mod table;
mod verdicts;

use std::io::Write;
use std::path::Path;

use thiserror::Error;

use crate::scenario;

/// What keeps the corpus from being checked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// A table can't be read.
    #[error("`{file}`: {message}")]
    Table {
        /// Which.
        file: String,
        /// Why.
        message: String,
    },
    /// Our scenarios can't be read.
    #[error(transparent)]
    Scenarios(#[from] scenario::ReadError),
    /// The report can't be written.
    #[error("the report can't be written")]
    Output(#[from] std::io::Error),
}

/// Checks the corpus in `folder` against the scenarios in `scenarios`; whether all is as it should
/// be. A folder that isn't there is no mistake: the corpus is no part of the project.
///
/// # Errors
/// When a part of it can't be read.
pub fn check(folder: &Path, scenarios: &Path, out: &mut dyn Write) -> Result<bool, CorpusError> {
    if !folder.is_dir() {
        writeln!(out, "no corpus at `{}`: nothing to check", folder.display())?;
        return Ok(true);
    }
    let documents = verdicts::check(folder, out)?;
    let steps = scenarios::check(folder, scenarios, out)?;
    let profiles = apparmor::check(folder, out)?;
    Ok(documents && steps && profiles)
}
