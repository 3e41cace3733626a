//! `verdicts.tsv`: whether each document is accepted, and where not.

use std::fs;
use std::io::Write;
use std::path::Path;

use gambeson::policy_model::{Document, Mode, PolicyKind, Reader, Severity};

use super::CorpusError;
use super::locate::locate;
use super::table::{self, Row};

/// What became of a document, where that is right.
enum Good {
    Accepted,
    Refused,
    /// Of a kind that is none of the three, and passed over.
    Other,
}

/// Checks every document; whether all is as the table says.
pub(super) fn check(folder: &Path, out: &mut dyn Write) -> Result<bool, CorpusError> {
    let rows = table::read(&folder.join("verdicts.tsv"))?;
    let (mut accepted, mut refused, mut others, mut wrong) = (0, 0, 0, 0);
    for row in &rows {
        match check_row(folder, row) {
            Ok(Good::Accepted) => accepted += 1,
            Ok(Good::Refused) => refused += 1,
            Ok(Good::Other) => others += 1,
            Err(message) => {
                wrong += 1;
                writeln!(out, "{} {}: {message}", row.get("file"), row.get("index"))?;
            }
        }
    }
    writeln!(
        out,
        "documents: {} rows: {accepted} load strictly, {refused} get an error at the right line, \
         {others} are of another kind and passed over, {wrong} not as `verdicts.tsv` says",
        rows.len()
    )?;
    Ok(wrong == 0)
}

/// What became of the document, where that is right; else what is wrong.
fn check_row(folder: &Path, row: &Row) -> Result<Good, String> {
    let file = folder.join("policies").join(row.get("file"));
    let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let index: usize = row
        .get("index")
        .parse()
        .map_err(|_| "`index` is no number".to_owned())?;
    let name = file.display().to_string();
    let strict = Reader::new().read_str(&name, &text);
    let document = strict
        .documents()
        .get(index)
        .ok_or_else(|| "there is no such document".to_owned())?;
    if document.kind.as_deref() != Some(row.get("kind"))
        || document.name.as_deref() != Some(row.get("name"))
    {
        return Err(format!(
            "it is {:?} {:?}, the table has {} {}",
            document.kind,
            document.name,
            row.get("kind"),
            row.get("name")
        ));
    }
    let verdict = row.get("verdict");
    if verdict == "ok" {
        return match errors(document).first() {
            Some((line, message)) => Err(format!("line {line}: {message}")),
            None if document.policy.is_some() => Ok(Good::Accepted),
            None if PolicyKind::from_name(row.get("kind")).is_none() => Ok(Good::Other),
            None => Err("there is no policy".to_owned()),
        };
    }
    let path = match verdict.split_once(": ") {
        Some((path, _)) => path.split(' ').nth(1).unwrap_or_default(),
        None => "",
    };
    // An unexpected field is named in the text, and stands below the path.
    let unexpected = verdict
        .split_once("('")
        .and_then(|(_, rest)| rest.split_once("' was unexpected"))
        .map(|(field, _)| format!("{}/{field}", path.trim_end_matches('/')));
    let path = unexpected.as_deref().unwrap_or(path);
    let line = locate(&text, index, path).ok_or_else(|| format!("no line for `{path}`"))?;
    let errors = errors(document);
    if errors.iter().any(|(at, _)| *at == line) {
        // What is refused strictly must have been understood: leniently it loads or says why not.
        let lenient = Reader::new().mode(Mode::Lenient).read_str(&name, &text);
        let silent = lenient
            .documents()
            .get(index)
            .is_some_and(|document| document.diagnostics.is_empty());
        return match silent {
            true => Err("read leniently, it gets no diagnostic at all".to_owned()),
            false => Ok(Good::Refused),
        };
    }
    Err(match errors.first() {
        Some((at, message)) => {
            format!("`{verdict}` is at line {line}, the error at line {at}: {message}")
        }
        None => format!("`{verdict}`, but no error"),
    })
}

fn errors(document: &Document) -> Vec<(u32, &str)> {
    document
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| (diagnostic.location.line, diagnostic.message.as_str()))
        .collect()
}
