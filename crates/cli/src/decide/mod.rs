//! `gambeson decide`: events in, verdicts out.

mod engine;
pub(crate) mod human;
mod json;
pub(crate) mod lines;
pub(crate) mod progress;
pub(crate) mod rule;
mod subject;
pub(crate) mod summary;
pub(crate) mod tally;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, StdoutLock, Write as _};
use std::path::Path;

use gambeson::policy_model::{Decision, Event};

use self::engine::Engine;
use self::human::HumanAnswers;
use self::json::JsonAnswers;
use self::lines::{Interrupted, Line, Lines, MAX_LINE};
use self::progress::Progress;
use self::tally::Tally;
use crate::Outcome;
use crate::args::{DecideArgs, Format};
use crate::failure::Failure;
use crate::{reading, style};

pub(crate) use self::subject::{workload, workload_from};

/// Answers are written when this many bytes have come together, and before every read.
const FLUSH_AT: usize = 64 << 10;

/// Judges the events.
pub(crate) fn run(args: &DecideArgs) -> Result<Outcome, Failure> {
    let workload = workload(&args.subject)?;
    let compiling = &args.policies.compiling;
    let (policies, sources) = reading::policies(&args.policies.paths, &compiling.reading)?;
    let selection = policies.select(&workload);
    let engine = Engine::new(args.engine, &selection, &compiling.config())?;
    reading::warn(engine.warnings(), &sources);
    reading::note_nothing_applies(&policies, &workload, &selection);

    let events = Events::open(&args.events)?;
    let progress = Progress::new(events.typed, events.length);
    let outcome = judge(args, &engine, events.stream, &progress);
    progress.finish();
    outcome
}

/// Where events come from.
pub(crate) struct Events {
    pub(crate) stream: Box<dyn Read>,
    /// Someone types them in.
    pub(crate) typed: bool,
    /// In bytes, where it is known.
    pub(crate) length: Option<u64>,
}

impl Events {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let stdin = io::stdin();
            return Ok(Self {
                typed: stdin.is_terminal(),
                // Reads as large as those of `Lines` pass the lock's own buffer by.
                stream: Box::new(stdin.lock()),
                length: None,
            });
        }
        let unreadable = |error| Failure::unreadable(path, error);
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self {
            stream: Box::new(file),
            typed: false,
            length: metadata.is_file().then_some(metadata.len()),
        })
    }
}

/// Whether the event's file is given by a path that no rule can match.
fn names_unresolved_path(event: &Event<'_>) -> bool {
    let file = event.operation.file();
    file.is_some_and(|path| !path.is_resolved())
}

fn judge(
    args: &DecideArgs,
    engine: &Engine,
    events: Box<dyn Read>,
    progress: &Progress,
) -> Result<Outcome, Failure> {
    let mut lines = Lines::new(events);
    let mut answers = Answers::new(args.format);
    let mut tally = Tally::new();
    let mut unresolved = 0_u64;
    loop {
        let line = lines.next(|so_far| {
            progress.update(so_far);
            answers.flush()
        });
        let line = match line {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(Interrupted::BeforeRead(error)) => return Err(Failure::Output(error)),
            Err(Interrupted::Read(error)) => {
                // What was judged before the stream broke is worth having.
                answers.flush()?;
                return Err(Failure::unreadable(&args.events, error));
            }
        };
        let error = match line {
            Line::TooLong => format!("the line is longer than {MAX_LINE} bytes"),
            Line::Whole(bytes) => {
                let bytes = bytes.trim_ascii();
                if bytes.is_empty() {
                    continue;
                }
                match read(bytes) {
                    Ok(event) => {
                        let decision = engine.decide(&event);
                        tally.count(engine, decision);
                        unresolved += u64::from(names_unresolved_path(&event));
                        answers.answer(engine, &event, decision)?;
                        continue;
                    }
                    Err(error) => error,
                }
            }
        };
        tally.errors += 1;
        answers.error(lines.so_far().lines, &error)?;
    }
    answers.finish(&tally)?;
    if unresolved > 0 {
        crate::note(&format!(
            "{unresolved} events give a path with `.`, `..`, `//` or a slash at the end; rules match \
             only the path of the resolved file"
        ));
    }
    Ok(if tally.errors == 0 {
        Outcome::Good
    } else {
        Outcome::Errors
    })
}

/// The event of a line.
pub(crate) fn read(line: &[u8]) -> Result<Event<'_>, String> {
    let text = std::str::from_utf8(line).map_err(|error| {
        let at = error.valid_up_to() + 1;
        format!("the line is not UTF-8 from its byte {at} on; write bytes of a path as `\\udcff`")
    })?;
    Event::from_json(text).map_err(|error| error.to_string())
}

/// Answers on standard output, written in large pieces.
struct Answers {
    format: Writer,
    buffer: Vec<u8>,
    out: StdoutLock<'static>,
}

enum Writer {
    Human(HumanAnswers),
    Json(JsonAnswers),
}

impl Answers {
    fn new(format: Format) -> Self {
        let stdout = io::stdout();
        let format = match format {
            Format::Human => Writer::Human(HumanAnswers::new(
                style::wants_colour(&stdout),
                stdout
                    .is_terminal()
                    .then(terminal_size::terminal_size)
                    .flatten()
                    .map(|(width, _)| usize::from(width.0)),
            )),
            Format::Json => Writer::Json(JsonAnswers::new()),
        };
        Self {
            format,
            buffer: Vec::with_capacity(2 * FLUSH_AT),
            out: stdout.lock(),
        }
    }

    fn answer(&mut self, engine: &Engine, event: &Event<'_>, decision: Decision) -> io::Result<()> {
        match &mut self.format {
            Writer::Human(human) => human.answer(&mut self.buffer, engine, event, decision),
            Writer::Json(json) => json.answer(&mut self.buffer, engine, decision),
        }
        self.flush_at(FLUSH_AT)
    }

    fn error(&mut self, line: u64, error: &str) -> io::Result<()> {
        match &mut self.format {
            Writer::Human(human) => human.error(&mut self.buffer, line, error),
            Writer::Json(_) => JsonAnswers::error(&mut self.buffer, line, error),
        }
        self.flush_at(FLUSH_AT)
    }

    /// Writes everything that was answered.
    fn flush(&mut self) -> io::Result<()> {
        if let Writer::Human(human) = &mut self.format {
            human.align(&mut self.buffer);
        }
        self.flush_at(1)
    }

    fn flush_at(&mut self, bytes: usize) -> io::Result<()> {
        if self.buffer.len() >= bytes {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
            self.out.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self, tally: &Tally<'_>) -> io::Result<()> {
        self.flush()?;
        if let Writer::Human(human) = &self.format {
            summary::write(&mut self.buffer, tally, human.has_colour());
        }
        self.flush_at(1)
    }
}
