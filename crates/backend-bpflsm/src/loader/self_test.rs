//! Proof that the programs run, and that the kernel doesn't skip them under pressure.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use gambeson_matcher::{Compile as _, CompiledPolicy, Config};
use gambeson_policy_model::{PolicySet, Workload};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::enforcer::Enforcer;
use super::error::{BindError, KernelError};
use super::options::{BindOptions, Scope};
use super::probe;
use super::sys::{Openers, spawn_opener};

/// So many processes compete for one CPU.
const PROCESSES: usize = 4;
/// So often each opens a file that it must not open.
const ROUNDS: u32 = 2_000;

/// What the self-test found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfTest {
    /// How many forbidden opens were tried.
    pub attempts: u64,
    /// How many of them succeeded.
    pub allowed: u64,
    /// How many runs of programs the kernel counts as skipped meanwhile.
    pub misses: u64,
}

impl SelfTest {
    /// Whether every attempt was denied. Skipped runs alone are no failure: other programs than those
    /// of the test may have been meant.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.attempts > 0 && self.allowed == 0
    }
}

impl Enforcer {
    /// Has a few processes on one CPU open a forbidden file in a cgroup of their own, again and
    /// again, and counts how often they succeed. Takes well under a second; leaves nothing behind but
    /// its events, which belong to a binding of their own.
    ///
    /// # Errors
    /// When the cgroup, the file or the processes can't be made.
    pub fn self_test(&mut self) -> Result<SelfTest, BindError> {
        let place = Place::make()?;
        let policy = place.policy()?;
        let options = BindOptions {
            rate: Some(1),
            require: gambeson_matcher::backend::Require::BestEffort,
            ..BindOptions::default()
        };
        let before = self.misses();
        let binding = self.bind(&Scope::Cgroup(place.cgroup.clone()), &policy, &options)?;
        let allowed = place.run().map_err(KernelError::io("run the self-test"));
        self.remove(binding)?;
        Ok(SelfTest {
            attempts: PROCESSES as u64 * u64::from(ROUNDS),
            allowed: allowed?,
            misses: self.misses().saturating_sub(before),
        })
    }

    fn misses(&self) -> u64 {
        self.programs()
            .iter()
            .map(|program| program.recursion_misses)
            .sum()
    }
}

/// The cgroup and the file; both are removed with it.
struct Place {
    cgroup: PathBuf,
    file: PathBuf,
}

impl Place {
    fn make() -> Result<Self, BindError> {
        let mount = probe::cgroup_mount().ok_or_else(|| BindError::NotACgroup {
            path: PathBuf::from("/sys/fs/cgroup"),
            problem: "no cgroup file system of version 2 is mounted".to_owned(),
        })?;
        let name = format!("gambeson-self-test-{}", std::process::id());
        let file = std::env::temp_dir().join(&name);
        let place = Self {
            cgroup: mount.join(&name),
            file,
        };
        let step = |path: &Path| format!("make `{}` for the self-test", path.display());
        fs::create_dir(&place.cgroup)
            .or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })
            .map_err(KernelError::io(step(&place.cgroup)))?;
        File::create(&place.file).map_err(KernelError::io(step(&place.file)))?;
        Ok(place)
    }

    /// Blocks the file.
    fn policy(&self) -> Result<CompiledPolicy, BindError> {
        let step = "compile the self-test's policy";
        let file = self.file.canonicalize().map_err(KernelError::io(step))?;
        let text = format!(
            "apiVersion: security.kubearmor.com/v1\n\
             kind: KubeArmorPolicy\n\
             metadata: {{name: self-test}}\n\
             spec:\n  file:\n    matchPaths: [{{path: '{}'}}]\n  action: Block\n",
            file.display()
        );
        let policies = PolicySet::from_str(&text)
            .map_err(|error| KernelError::new(step, io::Error::other(error)))?;
        let policy = policies
            .select(&Workload::pod("default"))
            .compile(&Config::default())
            .map_err(|error| KernelError::new(step, io::Error::other(error)))?;
        Ok(policy)
    }

    /// How often the file could be opened.
    fn run(&self) -> io::Result<u64> {
        let (wait, start) = pipe()?;
        let (reports, report) = pipe()?;
        let openers = Openers {
            file: &self.file,
            rounds: ROUNDS,
            start: &wait,
            report: &report,
        };
        let mut children = Vec::new();
        let mut result = Ok(());
        for _ in 0..PROCESSES {
            match spawn_opener(&openers) {
                Ok(pid) => children.push(pid),
                Err(error) => result = Err(error),
            }
        }
        for pid in &children {
            if result.is_ok() {
                result = fs::write(self.cgroup.join("cgroup.procs"), pid.to_string());
            }
        }
        if result.is_ok() {
            result = rustix::io::write(&start, &[0; PROCESSES])
                .map(drop)
                .map_err(io::Error::from);
        }
        if result.is_err() {
            for pid in children.iter().filter_map(|pid| Pid::from_raw(*pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        drop((wait, start, report));
        let mut text = Vec::new();
        let read = File::from(reports).read_to_end(&mut text);
        for pid in children {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = waitpid(Some(pid), WaitOptions::empty());
            }
        }
        result?;
        read?;
        if text.len() != PROCESSES * 4 {
            return Err(io::Error::other(
                "a process of the self-test ended too soon",
            ));
        }
        Ok(text
            .chunks_exact(4)
            .map(|count| {
                let mut bytes = [0; 4];
                bytes.copy_from_slice(count);
                u64::from(u32::from_ne_bytes(bytes))
            })
            .sum())
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left behind is empty, and taken up by the next self-test of the same process.
        let _ = fs::remove_file(&self.file);
        let _ = fs::remove_dir(&self.cgroup);
    }
}
