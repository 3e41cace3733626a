//! `gambeson discover`: least-privilege drafts from recorded events.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use gambeson::discover::{Discoverer, Discovery};

use super::DiscoverArgs;
use crate::Outcome;
use crate::decide::progress::Progress;
use crate::decide::{self, Events};
use crate::failure::Failure;

/// Drafts policies, and says on standard error what was left out.
pub(crate) fn run(args: &DiscoverArgs) -> Result<Outcome, Failure> {
    let workload = decide::workload(&args.subject)?;
    let discoverer = Discoverer::new(&workload).audit(args.audit);
    let events = Events::open(&args.events)?;
    let progress = Progress::new(events.typed, events.length);
    let threads = super::threads(args.threads);
    let found = discoverer.discover(events.stream, threads, |bytes| progress.at(bytes));
    progress.finish();
    let found = found?;
    if let Some(folder) = &args.output {
        write(folder, &found)?;
    }
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", found.to_json())?;
    } else if args.output.is_none() {
        out.write_all(found.to_yaml().as_bytes())?;
    }
    out.flush()?;
    if !args.json {
        // Nobody can be told that standard error can't be written.
        let _ = io::stderr().lock().write_all(found.to_text().as_bytes());
    }
    Ok(Outcome::Good)
}

/// Writes each draft into a file of its own, none over a file that is there.
fn write(folder: &Path, found: &Discovery) -> Result<(), Failure> {
    let unwritable = |file: &Path, error| Failure::Unwritable {
        file: file.to_owned(),
        error,
    };
    std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
    let mut files: Vec<(PathBuf, &str)> = Vec::new();
    for draft in &found.drafts {
        let name = match draft.workload.namespace() {
            Some(namespace) => format!("{}.{}.yaml", file_name(namespace), draft.name),
            None => format!("{}.yaml", draft.name),
        };
        let file = folder.join(name);
        if file.exists() {
            return Err(unwritable(&file, io::ErrorKind::AlreadyExists.into()));
        }
        files.push((file, &draft.yaml));
    }
    for (file, text) in files {
        let created = std::fs::File::create_new(&file);
        created
            .and_then(|mut created| created.write_all(text.as_bytes()))
            .map_err(|error| unwritable(&file, error))?;
    }
    Ok(())
}

/// A namespace comes from records, which may say anything.
fn file_name(namespace: &str) -> String {
    let keeps = |c: char| c.is_ascii_alphanumeric() || c == '-';
    namespace
        .chars()
        .take(100)
        .map(|c| if keeps(c) { c } else { '-' })
        .collect()
}
