//! `gambeson diff`: what changes between two sets of policies.

use std::io::{self, Write as _};
use std::path::PathBuf;

use gambeson::analysis::{AnalysisLimits, Side, diff};
use gambeson::explain::Explainer;
use gambeson::policy_model::SourceMap;

use super::DiffArgs;
use crate::args::Format;
use crate::failure::Failure;
use crate::{Outcome, decide, reading};

/// Compares two sets of policies for a workload.
pub(crate) fn run(args: &DiffArgs) -> Result<Outcome, Failure> {
    let workload = decide::workload(&args.subject)?;
    let config = args.compiling.config();
    let read = |path: &PathBuf| -> Result<(Explainer, SourceMap), Failure> {
        let (policies, sources) =
            reading::policies(std::slice::from_ref(path), &args.compiling.reading)?;
        let selection = policies.select(&workload);
        let explainer = Explainer::new(&selection, &config)?;
        reading::warn(explainer.compiled().warnings(), &sources);
        reading::note_nothing_applies(&policies, &workload, &selection);
        Ok((explainer, sources))
    };
    let (before, sources_before) = read(&args.before)?;
    let (after, sources_after) = read(&args.after)?;
    let limits = AnalysisLimits {
        differences: args.max,
        ..AnalysisLimits::default()
    };
    let found = diff(&before, &after, limits);
    let mut out = io::stdout().lock();
    match args.format {
        Format::Human => {
            let side = |explainer, sources| Side { explainer, sources };
            let text = found.to_text(side(&before, &sources_before), side(&after, &sources_after));
            out.write_all(text.as_bytes())?;
        }
        Format::Json => {
            for value in found.to_json(&before, &after) {
                writeln!(out, "{value}")?;
            }
        }
    }
    out.flush()?;
    Ok(if found.is_equal() {
        Outcome::Good
    } else {
        Outcome::Errors
    })
}
