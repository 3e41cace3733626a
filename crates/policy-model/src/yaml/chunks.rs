//! Cutting a stream at its document markers, and refusing characters that YAML doesn't have.

use granit_parser::Span;

use super::YamlError;
use crate::diagnostic::Code;
use crate::lines;
use crate::node::Place;

/// The part of a stream that holds one document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) text: &'a str,
    /// How many lines stand before it.
    lines_before: usize,
}

impl Chunk<'_> {
    /// The place in the file of what the parser found.
    pub(super) fn place(&self, span: &Span) -> Place {
        self.place_at(span.start.line(), span.start.col())
    }

    /// The place in the file of a line (from 1) and column (from 0) of the chunk.
    pub(super) fn place_at(&self, line: usize, column: usize) -> Place {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place {
            line: number(self.lines_before.saturating_add(line.max(1))),
            column: number(column.saturating_add(1)),
        }
    }

    /// Where the chunk begins.
    pub(super) fn start(&self) -> Place {
        self.place_at(1, 0)
    }

    /// The first tab in the indentation of a line, from the given line on. The parser points at
    /// where the surrounding value begins, which may be lines before it.
    pub(super) fn indenting_tab(&self, from_line: usize, lines_after: usize) -> Option<Place> {
        lines::split(self.text)
            .enumerate()
            .skip(from_line.saturating_sub(1))
            .take(lines_after.saturating_add(1))
            .find_map(|(index, line)| {
                let indentation = |c: &char| matches!(c, ' ' | '\t' | '-' | '?');
                let column = line
                    .chars()
                    .take_while(indentation)
                    .position(|c| c == '\t')?;
                Some(self.place_at(index + 1, column))
            })
    }
}

/// Cuts a stream before each `---` and after each `...`. What holds nothing but comments, blank
/// lines and directives goes with what follows.
pub(super) fn split(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let mut rest = text;
    let mut lines_before = 0;
    while !rest.is_empty() {
        let mut end = 0;
        let mut count = 0;
        let mut has_content = false;
        for line in lines::split_inclusive(rest) {
            if has_content && is_marker(line, "---") {
                break;
            }
            end += line.len();
            count += 1;
            if is_marker(line, "...") && has_content {
                break;
            }
            has_content |= !is_preamble(line);
        }
        let (chunk, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if has_content {
            chunks.push(Chunk {
                text: chunk,
                lines_before,
            });
        }
        lines_before += count;
        rest = after;
    }
    chunks
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.chars().next().is_none_or(char::is_whitespace))
}

/// A line that may stand before a document's `---`.
fn is_preamble(line: &str) -> bool {
    let trimmed = line.trim();
    trimmed.is_empty() || trimmed.starts_with('#') || line.starts_with('%')
}

/// The first character that YAML's text can't hold.
pub(super) fn forbidden_character(chunk: &Chunk<'_>, damaged: bool) -> Option<YamlError> {
    let forbidden = |c: char| {
        matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\x7f')
            || (damaged && c == char::REPLACEMENT_CHARACTER)
    };
    // Control characters are single bytes below space: a scan of bytes settles nearly every file.
    let suspicious =
        |b: u8| (b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r')) || b == 0x7f || damaged;
    if !chunk.text.bytes().any(suspicious) {
        return None;
    }
    let (line, text) = lines::split(chunk.text)
        .enumerate()
        .find(|(_, line)| line.contains(forbidden))?;
    let (column, c) = text.chars().enumerate().find(|(_, c)| forbidden(*c))?;
    let (message, help) = if c == char::REPLACEMENT_CHARACTER {
        ("the text is not UTF-8".to_owned(), "save the file as UTF-8")
    } else {
        (
            format!(
                "the control character `{}` is not allowed in YAML",
                c.escape_unicode()
            ),
            "remove it; in double quotes it can be written as an escape",
        )
    };
    Some(YamlError {
        code: Code::Encoding,
        message,
        help: Some(help.to_owned()),
        place: chunk.place_at(line + 1, column),
    })
}
