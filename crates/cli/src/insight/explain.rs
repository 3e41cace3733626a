//! `gambeson explain`: why events are decided as they are.

use std::io::{self, StdoutLock, Write as _};
use std::path::Path;

use gambeson::explain::{AlertedEvent, Explainer, event_of_alert, printable};
use gambeson::policy_model::{Alert, Event, SourceMap, Workload};
use serde_json::json;

use super::ExplainArgs;
use crate::args::Format;
use crate::decide::lines::{Interrupted, Line, Lines, MAX_LINE};
use crate::decide::{self, Events};
use crate::failure::Failure;
use crate::{Outcome, reading, style};

/// Explains events or alerts, and draws the picture.
pub(crate) fn run(args: &ExplainArgs) -> Result<Outcome, Failure> {
    let workload = decide::workload(&args.subject)?;
    let (policies, sources) =
        reading::policies(&args.policies.paths, &args.policies.compiling.reading)?;
    let selection = policies.select(&workload);
    let explainer = Explainer::new(&selection, &args.policies.compiling.config())?;
    reading::warn(explainer.compiled().warnings(), &sources);
    reading::note_nothing_applies(&policies, &workload, &selection);
    if let Some(file) = &args.picture {
        let picture = explainer.picture(&title(&workload));
        std::fs::write(file, picture).map_err(|error| Failure::Unwritable {
            file: file.clone(),
            error,
        })?;
    }
    let mut answers = Answers {
        explainer: &explainer,
        sources: &sources,
        format: args.format,
        colour: style::wants_colour(&io::stdout()),
        out: io::stdout().lock(),
        errors: 0,
    };
    for (number, text) in (1..).zip(&args.event) {
        answers.event(number, Ok(text.as_bytes()))?;
    }
    if let Some(file) = &args.events {
        each_line(file, |number, line| answers.event(number, line))?;
    }
    if let Some(file) = &args.alerts {
        each_line(file, |number, line| answers.alert(number, line))?;
    }
    answers.out.flush()?;
    Ok(if answers.errors == 0 {
        Outcome::Good
    } else {
        Outcome::Errors
    })
}

fn title(workload: &Workload) -> String {
    let labels: Vec<String> = workload
        .labels()
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let place = workload.namespace().unwrap_or("host");
    let container = workload
        .container_name()
        .map(|name| format!(", container {name}"));
    format!(
        "{place} {}{}",
        labels.join(","),
        container.unwrap_or_default()
    )
}

/// Calls `each` with every line that isn't blank; one that is too long is no line at all.
fn each_line(
    file: &Path,
    mut each: impl FnMut(u64, Result<&[u8], String>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut lines = Lines::new(Events::open(file)?.stream);
    loop {
        let line = match lines.next(|_| Ok(())) {
            Ok(Some(Line::Whole(line))) => Ok(line.trim_ascii().to_vec()),
            Ok(Some(Line::TooLong)) => Err(format!("the line is longer than {MAX_LINE} bytes")),
            Ok(None) => return Ok(()),
            Err(Interrupted::BeforeRead(error)) => return Err(Failure::Output(error)),
            Err(Interrupted::Read(error)) => return Err(Failure::unreadable(file, error)),
        };
        let number = lines.so_far().lines;
        match line {
            Ok(line) if line.is_empty() => {}
            line => each(number, line.as_deref().map_err(Clone::clone))?,
        }
    }
}

/// Explanations on standard output.
struct Answers<'e> {
    explainer: &'e Explainer,
    sources: &'e SourceMap,
    format: Format,
    colour: bool,
    out: StdoutLock<'static>,
    errors: u64,
}

impl Answers<'_> {
    fn event(&mut self, number: u64, line: Result<&[u8], String>) -> Result<(), Failure> {
        let line = match line {
            Ok(line) => line,
            Err(error) => return self.error(number, &error),
        };
        match decide::read(line) {
            Ok(event) => self.answer(&event, &[]),
            Err(error) => self.error(number, &error),
        }
    }

    fn alert(&mut self, number: u64, line: Result<&[u8], String>) -> Result<(), Failure> {
        match line.and_then(alerted) {
            Ok(alerted) => self.answer(&alerted.event, &alerted.assumed),
            Err(error) => self.error(number, &error),
        }
    }

    fn answer(&mut self, event: &Event<'_>, assumed: &[&str]) -> Result<(), Failure> {
        let explanation = self.explainer.explain(event);
        let mut out = Vec::new();
        match self.format {
            Format::Json => {
                let mut object = explanation.to_json(self.explainer, event, self.sources);
                if let Some(map) = object.as_object_mut()
                    && !assumed.is_empty()
                {
                    map.insert("assumed".to_owned(), json!(assumed));
                }
                out.extend_from_slice(object.to_string().as_bytes());
            }
            Format::Human => {
                let text = explanation.to_text(self.explainer, event, self.sources);
                let verdict = explanation.decision.verdict;
                let rest = text.strip_prefix(verdict.name()).unwrap_or(&text);
                style::paint(
                    &mut out,
                    self.colour,
                    style::verdict(verdict),
                    verdict.name(),
                );
                out.extend_from_slice(rest.as_bytes());
                for assumption in assumed {
                    out.extend_from_slice(format!("  assumed: {assumption}\n").as_bytes());
                }
            }
        }
        out.push(b'\n');
        self.out.write_all(&out)?;
        Ok(())
    }

    fn error(&mut self, number: u64, error: &str) -> Result<(), Failure> {
        self.errors += 1;
        match self.format {
            Format::Json => writeln!(self.out, "{}", json!({"error": error, "line": number}))?,
            Format::Human => writeln!(
                self.out,
                "error  line {number}: {}\n",
                printable(error.as_bytes())
            )?,
        }
        Ok(())
    }
}

fn alerted(line: &[u8]) -> Result<AlertedEvent, String> {
    let text = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8".to_owned())?;
    let alert = Alert::from_kubearmor_json(text).map_err(|error| error.to_string())?;
    event_of_alert(&alert).map_err(|error| error.to_string())
}
