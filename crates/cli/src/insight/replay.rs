//! `gambeson replay`: what a candidate policy would have done.

use std::io::{self, Write as _};

use gambeson::policy_model::Verdict;
use gambeson::replay::{Baseline, Replayer};

use super::ReplayArgs;
use super::args::Newly;
use crate::decide::progress::Progress;
use crate::decide::{self, Events};
use crate::failure::Failure;
use crate::{Outcome, reading};

/// Decides recorded events again.
pub(crate) fn run(args: &ReplayArgs) -> Result<Outcome, Failure> {
    let workload = decide::workload(&args.subject)?;
    let (candidate, _) = reading::policies(&args.policies, &args.compiling.reading)?;
    let baseline = if args.in_force.is_empty() {
        Baseline::Recorded
    } else {
        Baseline::Policies(reading::policies(&args.in_force, &args.compiling.reading)?.0)
    };
    let replayer = Replayer::new(candidate, baseline, workload).config(args.compiling.config());
    let threads = super::threads(args.threads);
    let events = Events::open(&args.events)?;
    let progress = Progress::new(events.typed, events.length);
    let replayed = replayer.replay(events.stream, threads, |bytes| progress.at(bytes));
    progress.finish();
    let report = replayed.map_err(|error| Failure::unreadable(&args.events, error))?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", report.to_json())?;
    } else {
        out.write_all(report.to_text().as_bytes())?;
    }
    out.flush()?;
    let fails = args.fail_on.iter().any(|newly| match newly {
        Newly::Block => report.newly(Verdict::Block) > 0,
        Newly::Audit => report.newly(Verdict::Audit) > 0,
        Newly::Allow => report.newly(Verdict::Allow) > 0,
        Newly::Nothing => false,
    });
    Ok(if fails {
        Outcome::Errors
    } else {
        Outcome::Good
    })
}
