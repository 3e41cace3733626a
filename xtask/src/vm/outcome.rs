//! What comes back from a guest.

use std::collections::BTreeMap;
use std::time::Duration;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Signaled(u8),
}

impl Status {
    /// Whether it exited with 0.
    #[must_use]
    pub const fn success(self) -> bool {
        matches!(self, Self::Exited(0))
    }

    /// The status as a shell gives it: 128 and the signal's number for one that a signal ended.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => signal.saturating_add(128),
        }
    }
}

/// Where the time went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// On the host, before the emulator started: files collected, a missing snapshot made.
    pub prepare: Duration,
    /// The emulator, from start to end.
    pub emulator: Duration,
    /// In the guest's own time, from its start to process 1; a saved guest's counts too.
    pub boot: Duration,
    /// In the guest's own time, from there to the command's start.
    pub set_up: Duration,
    /// In the guest's own time, the command itself.
    pub command: Duration,
}

/// What came of a command in a guest.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How the command ended.
    pub status: Status,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// The kernel's log at the end.
    pub kernel_log: String,
    /// The regular files that it left in `/out`, by their path relative to it.
    pub out_files: BTreeMap<String, Vec<u8>>,
    /// Where the time went.
    pub timings: Timings,
    /// The most memory that a process of the command's had, in KiB.
    pub max_rss_kib: u64,
    /// What process 1 could not set up, such as a file system that the kernel lacks.
    pub notes: Vec<String>,
}

/// What the guest said on the status port.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Report {
    pub(super) release: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) failure: Option<String>,
    pub(super) notes: Vec<String>,
    pub(super) boot: Duration,
    pub(super) set_up: Duration,
    pub(super) command: Duration,
    pub(super) max_rss_kib: u64,
}

impl Report {
    /// Reads the lines that are understood; the others are of no use to anybody.
    pub(super) fn parse(text: &str) -> Self {
        let mut report = Self::default();
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "release" => report.release = Some(rest.to_owned()),
                "exit" => report.status = rest.parse().ok().map(Status::Exited),
                "signal" => report.status = rest.parse().ok().map(Status::Signaled),
                "fail" => report.failure = Some(rest.to_owned()),
                "note" => report.notes.push(rest.to_owned()),
                "max-rss-kib" => report.max_rss_kib = rest.parse().unwrap_or_default(),
                "times" => {
                    let mut times = rest.split(' ').map(seconds);
                    let mut next = || times.next().unwrap_or_default();
                    (report.boot, report.set_up, report.command) = (next(), next(), next());
                }
                _ => {}
            }
        }
        report
    }
}

fn seconds(text: &str) -> Duration {
    let seconds = text.parse().unwrap_or_default();
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_release_the_times_and_the_status() {
        let report = Report::parse(
            "parked\nrelease 6.1.0-56\nnote mount /sys/fs/selinux: Invalid argument\n\
             times 1.5 0.25 0.125\nmax-rss-kib 900\nexit 3\n",
        );
        assert_eq!(report.release.as_deref(), Some("6.1.0-56"));
        assert_eq!(report.status, Some(Status::Exited(3)));
        assert_eq!(report.boot, Duration::from_millis(1500));
        assert_eq!(report.set_up, Duration::from_millis(250));
        assert_eq!(report.command, Duration::from_millis(125));
        assert_eq!(report.max_rss_kib, 900);
        assert_eq!(report.notes.len(), 1);
        assert_eq!(report.failure, None);
    }

    #[test]
    fn a_signal_is_no_exit_status() {
        let status = Report::parse("signal 9\n").status.unwrap();
        assert_eq!(status, Status::Signaled(9));
        assert_eq!(status.code(), 137);
        assert!(!status.success());
        assert_eq!(Report::parse("").status, None);
        assert_eq!(Report::parse("exit 1000\n").status, None);
    }
}
