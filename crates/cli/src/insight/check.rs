//! `gambeson check`: rules that do nothing, contradict each other, or can be walked around.

use std::io::{self, Write as _};

use gambeson::analysis::{AnalysisLimits, Side, check};
use gambeson::explain::Explainer;

use super::CheckArgs;
use super::args::Finding;
use crate::args::Format;
use crate::failure::Failure;
use crate::{Outcome, decide, reading};

/// Checks the rules of a workload.
pub(crate) fn run(args: &CheckArgs) -> Result<Outcome, Failure> {
    let workload = decide::workload(&args.subject)?;
    let (policies, sources) =
        reading::policies(&args.policies.paths, &args.policies.compiling.reading)?;
    let selection = policies.select(&workload);
    let explainer = Explainer::new(&selection, &args.policies.compiling.config())?;
    reading::warn(explainer.compiled().warnings(), &sources);
    reading::note_nothing_applies(&policies, &workload, &selection);
    let found = check(&explainer, AnalysisLimits::default());
    let mut out = io::stdout().lock();
    match args.format {
        Format::Human => {
            let side = Side {
                explainer: &explainer,
                sources: &sources,
            };
            out.write_all(found.to_text(side).as_bytes())?;
        }
        Format::Json => {
            for value in found.to_json(&explainer) {
                writeln!(out, "{value}")?;
            }
        }
    }
    out.flush()?;
    let fails = args.fail_on.iter().any(|finding| match finding {
        Finding::NeverWins => !found.never_wins.is_empty() || !found.undecided.is_empty(),
        Finding::Conflict => !found.conflicts.is_empty(),
        Finding::AllowListOnly => !found.allow_list_only.is_empty() || !found.undecided.is_empty(),
        Finding::Bypass => !found.bypasses.is_empty(),
    });
    Ok(if fails {
        Outcome::Errors
    } else {
        Outcome::Good
    })
}
