//! `gambeson promote`: what stayed quiet over a replay becomes strict, and the way back.

use std::io::{self, Write as _};
use std::path::PathBuf;

use gambeson::promote::{Promoter, apply, journal_path, undo};

use super::PromoteArgs;
use crate::decide::progress::Progress;
use crate::decide::{self, Events};
use crate::failure::Failure;
use crate::text::printable;
use crate::{Outcome, reading};

/// Promotes, or goes back.
pub(crate) fn run(args: &PromoteArgs) -> Result<Outcome, Failure> {
    let paths = &args.policies.paths;
    let compiling = &args.policies.compiling;
    let first = paths.first().map(PathBuf::as_path);
    let journal = match (&args.journal, first) {
        (Some(journal), _) => journal.clone(),
        (None, policies) => journal_path(policies.unwrap_or_else(|| std::path::Path::new("."))),
    };
    if args.undo {
        let files = undo(&journal)?;
        let mut out = io::stdout().lock();
        for file in files {
            let shown = std::env::current_dir()
                .and_then(|here| here.canonicalize())
                .ok();
            let shown = shown
                .and_then(|here| file.strip_prefix(here).ok())
                .unwrap_or(&file);
            writeln!(
                out,
                "as before  {}",
                printable(shown.to_string_lossy().as_bytes())
            )?;
        }
        out.flush()?;
        return Ok(Outcome::Good);
    }
    let Some(path) = &args.events else {
        // The arguments ask for it unless `--undo` is given.
        return Ok(Outcome::Errors);
    };
    let workload = decide::workload(&args.subject)?;
    // Errors in policies are shown with their lines.
    reading::policies(paths, &compiling.reading)?;
    let mut promoter = Promoter::read(reading::reader(&compiling.reading), paths, workload)?
        .config(compiling.config());
    if let Some(file) = &args.subject.workload {
        promoter = promoter.workload_file(file)?;
    }
    let events = Events::open(path)?;
    let progress = Progress::new(events.typed, events.length);
    let threads = super::threads(args.threads);
    let promoted = promoter.replay(events.stream, threads, |bytes| progress.at(bytes));
    progress.finish();
    let promotion = promoted?;
    if !args.dry_run {
        apply(&promotion.edits, &journal)?;
    }
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", promotion.to_json())?;
    } else {
        out.write_all(promotion.to_text().as_bytes())?;
        let verb = if args.dry_run {
            "to be written"
        } else {
            "written"
        };
        for edit in &promotion.edits {
            let path = edit.path.to_string_lossy();
            writeln!(out, "{verb}  {}", printable(path.as_bytes()))?;
        }
    }
    out.flush()?;
    Ok(Outcome::Good)
}
