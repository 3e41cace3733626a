//! Policies, compiled for what carries them out.

use std::path::{Path, PathBuf};

use gambeson::matcher::{Compile as _, CompiledPolicy, Config};
use gambeson::policy_model::{Postures, Workload};

use crate::args::ReadingArgs;
use crate::failure::Failure;
use crate::reading;

/// Compiles what applies to a workload. Its root is `machine` unless the arguments give another.
pub(crate) fn compile(
    paths: &[PathBuf],
    reading: &ReadingArgs,
    posture: Option<Postures>,
    workload: &Workload,
    machine: Option<&Path>,
) -> Result<CompiledPolicy, Failure> {
    let (policies, sources) = reading::policies(paths, reading)?;
    let selection = policies.select(workload);
    let mut config = Config::default().posture(posture.unwrap_or_default());
    if let Some(root) = reading.root.as_deref().or(machine) {
        config = config.root(root);
    }
    let compiled = selection.compile(&config)?;
    reading::warn(compiled.warnings(), &sources);
    if !paths.is_empty() {
        reading::note_nothing_applies(&policies, workload, &selection);
    }
    Ok(compiled)
}
