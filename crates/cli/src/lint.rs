//! `gambeson lint`: what is wrong or doubtful in policies, and where.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use gambeson::policy_model::{
    Code, Policy, ReadError, Reading, Severity, Workload, lint_duplicates, lint_rules,
    lint_unselected, render_human, resolve_in_root,
};
use serde::Serialize;

use crate::Outcome;
use crate::args::{Format, LintArgs};
use crate::decide::workload_from;
use crate::failure::Failure;
use crate::reading::{self, Read};
use crate::style;
use crate::text::{counted, printable};

/// Checks the policies.
pub(crate) fn run(args: &LintArgs) -> Result<Outcome, Failure> {
    let workloads = args
        .workload
        .iter()
        .map(|file| workload_from(file))
        .collect::<Result<Vec<_>, _>>()?;
    let Read {
        mut reading,
        unreadable,
    } = reading::read(&args.paths, &args.reading);
    let files: Vec<Unreadable> = unreadable.iter().map(Unreadable::new).collect();

    lint_documents(&mut reading, &workloads, args.reading.root.as_deref())?;
    lint_set(&mut reading);
    reading::reader(&args.reading).pinpoint_lints(&mut reading);
    for document in reading.documents_mut() {
        document
            .diagnostics
            .sort_by_key(|found| (found.location.line, found.location.column));
    }

    let mut out = Vec::new();
    match args.format {
        Format::Json => write_json(&mut out, &files, &reading),
        Format::Human => write_human(&mut out, &files, &reading),
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(&out)?;
    stdout.flush()?;
    Ok(if files.is_empty() && !reading.has_errors() {
        Outcome::Good
    } else {
        Outcome::Errors
    })
}

/// What is doubtful in each policy by itself.
fn lint_documents(
    reading: &mut Reading,
    workloads: &[Workload],
    root: Option<&Path>,
) -> Result<(), Failure> {
    for document in reading.documents_mut() {
        let Some(policy) = &document.policy else {
            continue;
        };
        let mut found = lint_rules(policy.selector(), policy.location(), policy.rules());
        let one = [(policy.id().as_ref(), policy.selector(), policy.location())];
        found.extend(lint_unselected(one, workloads));
        if let Some(root) = root {
            // Which directories are links is known here: nothing is left to suspect.
            found.retain(|lint| !matches!(lint.code, Code::MergedUsr | Code::LinkedDirectory));
            found.extend(resolve_in_root(&mut policy.rules().to_vec(), root)?);
        }
        document.diagnostics.extend(found);
    }
    Ok(())
}

/// What is doubtful in all policies together.
fn lint_set(reading: &mut Reading) {
    let policies = || {
        let documents = reading.documents().iter();
        documents.filter_map(|document| document.policy.as_ref())
    };
    let found = lint_duplicates(policies().map(|policy| (policy.id().as_ref(), policy.location())));
    for diagnostic in found {
        let is_here = |policy: &Policy| *policy.location() == diagnostic.location;
        let document = reading
            .documents_mut()
            .iter_mut()
            .find(|document| document.policy.as_ref().is_some_and(is_here));
        if let Some(document) = document {
            document.diagnostics.push(diagnostic);
        }
    }
}

/// A path that was named and can't be read, in the shape of a document.
#[derive(Serialize)]
struct Unreadable {
    file: String,
    document: usize,
    kind: Option<()>,
    name: Option<()>,
    status: &'static str,
    diagnostics: [Finding; 1],
}

#[derive(Serialize)]
struct Finding {
    code: Code,
    severity: Severity,
    message: String,
    line: u32,
    column: u32,
    field: &'static str,
}

impl Unreadable {
    fn new((path, error): &(PathBuf, ReadError)) -> Self {
        Self {
            file: path.to_string_lossy().into_owned(),
            document: 0,
            kind: None,
            name: None,
            status: "error",
            diagnostics: [Finding {
                code: Code::Unreadable,
                severity: Severity::Error,
                message: error.to_string(),
                line: 1,
                column: 1,
                field: "",
            }],
        }
    }
}

fn write_json(out: &mut Vec<u8>, files: &[Unreadable], reading: &Reading) {
    for file in files {
        write_line(out, file);
    }
    for document in reading.documents() {
        write_line(out, document);
    }
}

fn write_line(out: &mut Vec<u8>, object: &impl Serialize) {
    // Strings and numbers always have a JSON form, and memory takes them.
    if serde_json::to_writer(&mut *out, object).is_ok() {
        out.push(b'\n');
    }
}

fn write_human(out: &mut Vec<u8>, files: &[Unreadable], reading: &Reading) {
    let colour = style::wants_colour(&io::stdout());
    for file in files {
        for finding in &file.diagnostics {
            style::paint(out, colour, style::ERROR, "error");
            let text = format!(": {}\n\n", printable(finding.message.as_bytes()));
            out.extend_from_slice(text.as_bytes());
        }
    }
    let rendered = render_human(reading.diagnostics(), reading.sources(), colour);
    out.extend_from_slice(rendered.as_bytes());

    let with = |status: &str| {
        let documents = reading.documents().iter();
        documents
            .filter(|document| document.status() == status)
            .count()
    };
    let (good, warnings) = (with("ok"), with("warning"));
    let errors = with("error") + files.len();
    let all = good + warnings + errors;
    let summary = format!(
        "{}: {good} ok, {warnings} with warnings, {errors} with errors",
        counted(all, "document"),
    );
    let style = match (errors, warnings) {
        (0, 0) => style::GOOD,
        (0, _) => style::WARNING,
        _ => style::ERROR,
    };
    style::paint(out, colour, style, &summary);
    out.push(b'\n');
}
