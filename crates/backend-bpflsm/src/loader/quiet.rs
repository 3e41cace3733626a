//! Keeps libbpf from printing, and keeps what it would have printed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use libbpf_rs::{PrintCallback, PrintLevel, get_print, set_print};

/// How much of the end of a log is kept.
const TAIL: usize = 4096;

static LOG: Mutex<String> = Mutex::new(String::new());
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// While it lives, libbpf writes to a log. libbpf has one place to print to for the whole process,
/// so that another thread that uses libbpf by then prints there, too.
pub(super) struct Quiet {
    before: Option<(PrintLevel, PrintCallback)>,
    _one: MutexGuard<'static, ()>,
}

impl Quiet {
    pub(super) fn new() -> Self {
        let one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        log().clear();
        let before = get_print();
        set_print(Some((PrintLevel::Warn, keep)));
        Self { before, _one: one }
    }

    /// Forgets what would have been printed so far.
    pub(super) fn clear(&self) {
        log().clear();
    }

    /// The end of what would have been printed.
    pub(super) fn log(&self) -> String {
        let log = log();
        let mut start = log.len().saturating_sub(TAIL);
        while !log.is_char_boundary(start) {
            start += 1;
        }
        log.get(start..).unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        set_print(self.before);
    }
}

fn log() -> MutexGuard<'static, String> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(_: PrintLevel, message: String) {
    log().push_str(&message);
}
