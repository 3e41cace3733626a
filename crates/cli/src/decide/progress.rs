//! How far a long run is, for someone who waits at a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::lines::SoFar;

/// A progress bar on standard error, or nothing.
#[derive(Debug)]
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// A bar where someone sees it and it disturbs nothing: standard error is a terminal, answers
    /// go elsewhere, and the events aren't typed in. `length` is that of the events in bytes,
    /// where it is known.
    pub(crate) fn new(typed: bool, length: Option<u64>) -> Self {
        if typed || !std::io::stderr().is_terminal() || std::io::stdout().is_terminal() {
            return Self(None);
        }
        let (bar, template) = match length {
            Some(length) => (
                ProgressBar::new(length),
                "{bar:30} {bytes}/{total_bytes}  {msg}  {elapsed}",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {bytes}  {msg}  {elapsed}",
            ),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    pub(crate) fn update(&self, so_far: SoFar) {
        if let Some(bar) = &self.0 {
            bar.set_position(so_far.bytes);
            bar.set_message(format!("{} lines", so_far.lines));
        }
    }

    /// Tells how many bytes were read.
    pub(crate) fn at(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(bytes);
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
