//! Colours.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use gambeson::policy_model::Verdict;

pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const STRONG: Style = Style::new().bold();

/// The colour of a verdict.
pub(crate) const fn verdict(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Allow => GOOD,
        Verdict::Audit => WARNING,
        Verdict::Block => ERROR,
    }
}

/// Whether a stream gets colours: where it is a terminal, unless `NO_COLOR`, `CLICOLOR` and
/// `CLICOLOR_FORCE` say otherwise.
pub(crate) fn wants_colour<S: anstream::stream::RawStream>(stream: &S) -> bool {
    !matches!(
        anstream::AutoStream::choice(stream),
        anstream::ColorChoice::Never
    )
}

/// Writes text, in a style where there are colours.
pub(crate) fn paint(out: &mut Vec<u8>, colour: bool, style: Style, text: &str) {
    let style = if colour { style } else { Style::new() };
    // Writing into memory doesn't fail.
    let _ = write!(out, "{style}{text}{style:#}");
}

/// Writes spaces.
pub(crate) fn pad(out: &mut Vec<u8>, width: usize) {
    out.resize(out.len() + width, b' ');
}
