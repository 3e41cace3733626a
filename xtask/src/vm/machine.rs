//! A virtual machine, and one run of it.

use std::time::{Duration, Instant};

use super::outcome::Report;
use super::qemu::{Emulator, Files, Memory};
use super::qmp::Monitor;
use super::shared::{self, Mode, Stream};
use super::snapshot::{self, Snapshot};
use super::{Kernel, Outcome, Payload, Timings, VmError, base, cache, packages};

/// What every guest's kernel is told. The console is slow under emulation, and so are self-tests
/// and mitigations; a panic or an oops ends the guest.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 oops=panic cryptomgr.notests=1 \
                            mitigations=off random.trust_cpu=on no_timer_check";

/// Which security modules a guest has. `capability` is always among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lsm {
    /// `lockdown`, `yama`, `landlock` and `bpf`.
    #[default]
    Bpf,
    /// The same and AppArmor.
    AppArmor,
    /// The same and SELinux, enforcing.
    SeLinux,
    /// `yama` only.
    None,
}

impl Lsm {
    /// Every choice, by name.
    pub const ALL: [(&str, Self); 4] = [
        ("bpf", Self::Bpf),
        ("apparmor", Self::AppArmor),
        ("selinux", Self::SeLinux),
        ("none", Self::None),
    ];

    /// The choice of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find_map(|(known, lsm)| (known == name).then_some(lsm))
    }

    /// The whole list is given, so that the kernel's own default doesn't matter.
    const fn command_line(self) -> &'static str {
        match self {
            Self::Bpf => "lsm=lockdown,yama,landlock,bpf",
            Self::AppArmor => {
                "lsm=lockdown,yama,landlock,apparmor,bpf apparmor=1 audit=1 \
                 audit_backlog_limit=8192"
            }
            Self::SeLinux => {
                "lsm=lockdown,yama,landlock,selinux,bpf selinux=1 enforcing=1 audit=1 \
                 audit_backlog_limit=8192"
            }
            Self::None => "lsm=yama",
        }
    }
}

/// A virtual machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The kernel.
    pub kernel: Kernel,
    /// The security modules.
    pub lsm: Lsm,
    /// More for the kernel's command line, such as `preempt=full`.
    pub append: Vec<String>,
    /// The memory; about 140 MiB of it are the system's.
    pub memory_mib: u32,
    /// The processors.
    pub cpus: u32,
    /// Makes time follow the instructions that are executed: the time stamp counter and every
    /// clock advance by a nanosecond for each. Runs are then the same to within a few
    /// instructions in a thousand, and slower. Takes one processor.
    pub count_instructions: bool,
    /// Starts from a saved guest instead of booting one; the first run saves it.
    pub snapshot: bool,
    /// How long a run may take, without the making of a snapshot.
    pub timeout: Duration,
}

impl Machine {
    /// A machine with the BPF security module, one processor and 512 MiB, started from a
    /// snapshot, with a minute for each run.
    #[must_use]
    pub const fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            lsm: Lsm::Bpf,
            append: Vec::new(),
            memory_mib: 512,
            cpus: 1,
            count_instructions: false,
            snapshot: true,
            timeout: Duration::from_secs(60),
        }
    }

    /// Runs a command in a fresh guest.
    ///
    /// The emulator ends with the thread that calls this.
    ///
    /// # Errors
    ///
    /// When the guest can't be started, ends without a status or not in time, or can't run the
    /// command. A command that fails is no error: see [`Outcome::status`].
    pub fn run(&self, payload: &Payload) -> Result<Outcome, VmError> {
        let start = Instant::now();
        packages::ensure()?;
        let cache = cache::folder()?;
        let base = base::image(&cache)?;
        let payload = payload.archive(self)?;
        let work = cache::Work::new(&cache)?;
        let shared = work.path("shared");
        shared::write(&shared, Mode::Run, &payload)?;
        let saved = if self.snapshot {
            Some(Snapshot::of(self, &base, &cache)?)
        } else {
            None
        };
        let memory = saved.as_ref().map(Snapshot::memory);
        let files = Files {
            base: &base,
            memory: memory.as_deref().map_or(Memory::Private, Memory::CopyOf),
            work: &work,
        };
        let started = Instant::now();
        let deadline = started + self.timeout;
        let restore = saved.is_some();
        let mut emulator = Emulator::start(self, &files, restore, restore)?;
        if let Some(saved) = &saved {
            Monitor::connect(&work.path("monitor"), &mut emulator)
                .and_then(|mut monitor| monitor.load(&saved.state(), deadline))
                // A short command may have ended before the monitor answers.
                .or_else(|error| {
                    if Report::parse(&files.status()).status.is_some() {
                        Ok(())
                    } else {
                        Err(snapshot::explain(error, &files))
                    }
                })?;
        }
        let in_time = emulator.wait_until(deadline);
        let report = Report::parse(&files.status());
        let timings = Timings {
            prepare: started - start,
            emulator: started.elapsed(),
            boot: report.boot,
            set_up: report.set_up,
            command: report.command,
        };
        self.outcome(report, timings, in_time, &files)
    }

    /// What the kernel is told.
    pub(super) fn command_line(&self) -> String {
        let mut line = format!("{COMMAND_LINE} {}", self.lsm.command_line());
        for more in &self.append {
            line.push(' ');
            line.push_str(more);
        }
        line
    }

    fn outcome(
        &self,
        report: Report,
        timings: Timings,
        in_time: bool,
        files: &Files<'_>,
    ) -> Result<Outcome, VmError> {
        let path = files.work.path("shared");
        let mut streams = shared::read(&path)?;
        let mut take = |stream| streams.remove(&stream).unwrap_or_default();
        let (stdout, stderr) = (take(Stream::Stdout), take(Stream::Stderr));
        if let Some(got) = report.release
            && got != self.kernel.release
        {
            return Err(VmError::WrongKernel {
                expected: self.kernel.release.clone(),
                got,
            });
        }
        if let Some(reason) = report.failure {
            return Err(VmError::Guest { reason });
        }
        let Some(status) = report.status else {
            return Err(if in_time {
                VmError::Died {
                    emulator: files.complaints(),
                    console: files.console(),
                    stdout,
                    stderr,
                }
            } else {
                VmError::TimedOut {
                    after: self.timeout,
                    stdout,
                    stderr,
                    console: files.console(),
                }
            });
        };
        let out_files = shared::files(&take(Stream::Files))
            .ok_or_else(|| VmError::malformed(&path, "the files of `/out` are garbled"))?;
        Ok(Outcome {
            status,
            stdout,
            stderr,
            kernel_log: String::from_utf8_lossy(&take(Stream::KernelLog)).into_owned(),
            out_files,
            timings,
            max_rss_kib: report.max_rss_kib,
            notes: report.notes,
        })
    }
}
