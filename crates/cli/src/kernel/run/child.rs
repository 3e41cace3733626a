//! The command: starting it, passing signals on to it, and how it ends.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{self, ExitStatus};

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use thiserror::Error;

/// Why the command isn't started, or not waited for.
#[derive(Debug, Error)]
#[error("{what}: {error}")]
pub(crate) struct StartError {
    what: &'static str,
    error: io::Error,
}

impl StartError {
    pub(super) fn of(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { what, error }
    }
}

/// Signals that would end this process, caught.
#[derive(Debug)]
pub(super) struct Signals(signal_hook::iterator::Signals);

impl Signals {
    pub(super) fn new() -> Result<Self, StartError> {
        signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])
            .map(Self)
            .map_err(StartError::of("signals can't be caught"))
    }
}

/// How the command ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended(ExitStatus);

impl Ended {
    /// The exit status, as a shell gives it.
    pub(super) fn status(self) -> u8 {
        let number = match (self.0.code(), self.0.signal()) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => 255,
        };
        u8::try_from(number).unwrap_or(u8::MAX)
    }

    /// The signal that ended it.
    pub(super) fn signal(self) -> Option<i32> {
        self.0.signal()
    }
}

/// The running command.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    signals: Signals,
}

impl Child {
    pub(super) const fn new(process: process::Child, signals: Signals) -> Self {
        Self { process, signals }
    }

    /// Passes on signals that have come, and says whether the command has ended.
    pub(super) fn ended(&mut self) -> Result<Option<Ended>, StartError> {
        for number in self.signals.0.pending() {
            self.pass_on(number);
        }
        self.process
            .try_wait()
            .map(|status| status.map(Ended))
            .map_err(StartError::of("the command can't be waited for"))
    }

    fn pass_on(&self, number: i32) {
        // The terminal sends what is typed to the command, too.
        let typed = matches!(number, SIGINT | SIGQUIT) && in_foreground();
        let pid = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        if let (Some(pid), Some(signal), false) = (pid, Signal::from_named_raw(number), typed) {
            // It may have ended already.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Whether this process is among those that the terminal sends signals to.
fn in_foreground() -> bool {
    let terminal = std::fs::File::open("/dev/tty");
    terminal.is_ok_and(|terminal| {
        rustix::termios::tcgetpgrp(&terminal).is_ok_and(|group| group == getpgrp())
    })
}
