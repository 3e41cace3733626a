//! Policies from files and folders, for both commands.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::PathBuf;

use gambeson::policy_model::{
    Diagnostic, Enforcement, Mode, PolicySet, ReadError, Reader, Reading, Selection, Severity,
    SourceMap, Workload, render_human,
};

use crate::args::ReadingArgs;
use crate::failure::Failure;
use crate::style;
use crate::text::counted;

/// What was read, and the paths that couldn't be.
pub(crate) struct Read {
    pub(crate) reading: Reading,
    pub(crate) unreadable: Vec<(PathBuf, ReadError)>,
}

/// The reader that the arguments ask for.
pub(crate) fn reader(args: &ReadingArgs) -> Reader {
    Reader::new().mode(if args.lenient {
        Mode::Lenient
    } else {
        Mode::Strict
    })
}

/// Reads every path, those that lead to one file or folder once.
pub(crate) fn read(paths: &[PathBuf], args: &ReadingArgs) -> Read {
    let reader = reader(args);
    let mut reading = Reading::default();
    let mut unreadable = Vec::new();
    let mut named = HashSet::new();
    for path in paths {
        if !named.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
            // Its policies would only be reported as duplicates of themselves.
            continue;
        }
        match reader.read_path(path) {
            Ok(read) => reading.extend(read),
            Err(error) => unreadable.push((path.clone(), error)),
        }
    }
    Read {
        reading,
        unreadable,
    }
}

/// The policies below the paths, and their texts; what is wrong with them goes to standard error.
pub(crate) fn policies(
    paths: &[PathBuf],
    args: &ReadingArgs,
) -> Result<(PolicySet, SourceMap), Failure> {
    let Read {
        reading,
        unreadable,
    } = read(paths, args);
    for (_, error) in &unreadable {
        crate::complain(error);
    }
    let of = |severity| {
        reading
            .diagnostics()
            .filter(move |diagnostic| diagnostic.severity == severity)
    };
    let errors = of(Severity::Error).count();
    if errors > 0 || !unreadable.is_empty() {
        warn(of(Severity::Error), reading.sources());
        let errors = errors + unreadable.len();
        return Err(Failure::Policies(format!(
            "{} in the policies",
            counted(errors, "error")
        )));
    }
    let warnings = of(Severity::Warning).count();
    if warnings > 0 {
        crate::note(&format!(
            "{} in the policies; `gambeson lint` shows them",
            counted(warnings, "warning")
        ));
    }
    let sources = reading.sources().clone();
    match reading.into_set() {
        Ok(policies) => Ok((policies, sources)),
        Err(error) => Err(Failure::Policies(error.to_string())),
    }
}

/// Says so where no rule applies to the workload.
pub(crate) fn note_nothing_applies(
    policies: &PolicySet,
    workload: &Workload,
    selection: &Selection,
) {
    if selection.rules().is_empty() {
        crate::note(match policies.policies().len() {
            _ if workload.enforcement_mode() == Enforcement::Disabled => {
                "the workload's annotation disables all policies, so every event is allowed"
            }
            0 => "no policy was found, so every event is allowed",
            _ => "no policy applies to this workload, so every event is allowed",
        });
    }
}

/// Prints diagnostics on standard error, with the lines they speak of where they are known.
pub(crate) fn warn<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>, sources: &SourceMap) {
    let stderr = std::io::stderr();
    let text = render_human(diagnostics, sources, style::wants_colour(&stderr));
    // Nobody can be told that standard error can't be written.
    let _ = stderr.lock().write_all(text.as_bytes());
}
