//! Diagnostics for people: the line of YAML with a caret below it.

use std::collections::BTreeMap;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Severity};
use crate::lines;
use crate::text;

/// The texts of the files that were read, so that diagnostics can show their lines.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    /// `None` where two different texts were read under one name: no line is better than a
    /// wrong one.
    texts: BTreeMap<Arc<str>, Option<Text>>,
}

/// A text and where its lines begin, so that a line is found without a walk through the file.
#[derive(Debug, Clone)]
struct Text {
    text: Arc<str>,
    line_starts: Arc<[usize]>,
}

impl SourceMap {
    /// Remembers the text of a file.
    pub fn insert(&mut self, file: Arc<str>, text: Arc<str>) {
        let line_starts = lines::split_inclusive(&text)
            .scan(0, |next, line| {
                let start = *next;
                *next += line.len();
                Some(start)
            })
            .collect();
        self.put(file, Some(Text { text, line_starts }));
    }

    fn put(&mut self, file: Arc<str>, text: Option<Text>) {
        let is_other = |known: &Option<Text>| match (known, &text) {
            (Some(known), Some(text)) => known.text != text.text,
            _ => true,
        };
        let text = if self.texts.get(&file).is_some_and(is_other) {
            None
        } else {
            text
        };
        self.texts.insert(file, text);
    }

    /// The text of a file.
    #[must_use]
    pub fn get(&self, file: &str) -> Option<&Arc<str>> {
        self.texts.get(file)?.as_ref().map(|text| &text.text)
    }

    /// One line of a file, counted from 1, without what ends it.
    #[must_use]
    pub fn line(&self, file: &str, line: u32) -> Option<&str> {
        let text = self.texts.get(file)?.as_ref()?;
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let start = *text.line_starts.get(index)?;
        lines::split(text.text.get(start..)?).next()
    }

    /// Takes over what another map remembers.
    pub fn extend(&mut self, other: Self) {
        for (file, text) in other.texts {
            self.put(file, text);
        }
    }
}

/// The width of what is shown; longer lines are cut around the caret.
const WIDTH: usize = 120;
/// The longest piece of a line that is underlined.
const LONGEST_MARK: usize = 60;
/// The longest line, in bytes, that is shown at all.
const LONGEST_LINE: usize = 20_000;

/// Renders diagnostics for people, each with its line and a caret where the text is known, and
/// with the help and the field's path.
///
/// ```
/// use gambeson_policy_model::{Reader, render_human};
/// let reading = Reader::new().read_str("web.yaml", "kind: KubeArmorPolicy\nspc: {}\n");
/// let text = render_human(reading.diagnostics(), reading.sources(), false);
/// assert!(text.contains("--> web.yaml:2:1"));
/// assert!(text.contains("2 | spc: {}\n  | ^^^"));
/// ```
#[must_use]
pub fn render_human<'a>(
    diagnostics: impl IntoIterator<Item = &'a Diagnostic>,
    sources: &SourceMap,
    color: bool,
) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    }
    .term_width(WIDTH);
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&render_one(diagnostic, sources, &renderer));
        out.push_str("\n\n");
    }
    out
}

fn render_one(diagnostic: &Diagnostic, sources: &SourceMap, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let at = &diagnostic.location;
    // The renderer takes care of every other text.
    let file = text::visible(&at.file);
    let number = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let title = level
        .primary_title(&*diagnostic.message)
        .id(diagnostic.code.name());
    let line = sources
        .line(&at.file, at.line)
        .filter(|line| line.len() <= LONGEST_LINE)
        .map(|line| Marked::new(line, number(at.column).saturating_sub(1)));
    let mut group = match &line {
        Some(line) => title.element(
            Snippet::source(&*line.text)
                .path(&*file)
                .line_start(number(at.line))
                .fold(false)
                .annotation(AnnotationKind::Primary.span(line.start..line.end)),
        ),
        None => title.element(
            Origin::path(&*file)
                .line(number(at.line))
                .char_column(number(at.column)),
        ),
    };
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(&**help));
    }
    if !diagnostic.field.is_empty() {
        group = group.element(Level::NOTE.with_name("field").message(&*diagnostic.field));
    }
    renderer.render(&[group])
}

/// A line, and the bytes of it that are underlined.
struct Marked {
    text: String,
    start: usize,
    end: usize,
}

impl Marked {
    /// The line with what begins at a column (in characters, from 0) underlined.
    fn new(line: &str, column: usize) -> Self {
        // What a file holds must not reach a terminal as a control sequence.
        let harmless = |c: char| match c {
            '\t' => c,
            _ if c.is_control() => char::REPLACEMENT_CHARACTER,
            _ => c,
        };
        let text: String = line.chars().map(harmless).collect();
        let offset = |column: usize| {
            text.char_indices()
                .nth(column)
                .map_or(text.len(), |(at, _)| at)
        };
        let start = offset(column);
        let (before, rest) = text.split_at_checked(start).unwrap_or((&text, ""));
        let length = token_length(rest.chars(), is_flow(before)).min(LONGEST_MARK);
        let end = offset(column.saturating_add(length));
        Self { start, end, text }
    }
}

/// Whether what follows stands in brackets or braces that are opened in this line.
fn is_flow(before: &str) -> bool {
    let count = |wanted: [char; 2]| before.matches(wanted).count();
    count(['[', '{']) > count([']', '}'])
}

/// How many characters belong to the key or value that begins here.
fn token_length(characters: impl Iterator<Item = char>, is_flow: bool) -> usize {
    let mut characters = characters.peekable();
    let Some(first) = characters.next() else {
        return 0;
    };
    if first == '"' || first == '\'' {
        return 1 + quoted_length(characters, first);
    }
    if let Some(close) = match first {
        '[' => Some(']'),
        '{' => Some('}'),
        ']' | '}' | ',' => Some(first),
        _ => None,
    } {
        let is_empty = close != first && characters.next() == Some(close);
        return 1 + usize::from(is_empty);
    }
    // A plain scalar goes on over spaces, but doesn't end in them.
    let mut length = 1;
    let mut spaces = 0;
    while let Some(c) = characters.next() {
        let ends = match c {
            ':' => characters.peek().is_none_or(|next| next.is_whitespace()),
            ',' | ']' | '}' => is_flow,
            '#' => spaces > 0,
            _ => false,
        };
        if ends {
            break;
        }
        if c.is_whitespace() {
            spaces += 1;
        } else {
            length += spaces + 1;
            spaces = 0;
        }
    }
    length
}

/// How many characters follow an opening quote, up to the closing one.
fn quoted_length(mut characters: impl Iterator<Item = char>, quote: char) -> usize {
    let mut length = 0;
    while let Some(c) = characters.next() {
        length += 1;
        if c == '\\' && quote == '"' {
            length += usize::from(characters.next().is_some());
        } else if c == quote {
            break;
        }
    }
    length
}
