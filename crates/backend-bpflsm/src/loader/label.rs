//! Labels of single processes, in task storage.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use libbpf_rs::{MapCore as _, MapFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::enforcer::Enforcer;
use super::error::{BindError, KernelError};
use crate::abi::{self, Record as _};
use crate::binding::Binding;

/// `PIDFD_THREAD` (6.9).
const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned());

impl Enforcer {
    /// Exempts a process from every policy, and the processes that it starts. Threads that run
    /// already are exempted with it from Linux 6.9 on; before, only the first one.
    ///
    /// # Errors
    /// When there is no such process, or the kernel refuses.
    pub fn exempt_process(&mut self, pid: u32) -> Result<(), BindError> {
        self.label(pid, abi::EXEMPT, 0)
    }

    /// Has a process judged by a binding, wherever it is, and the processes that it starts. Threads
    /// that run already are labelled with it from Linux 6.9 on; before, only the first one.
    ///
    /// # Errors
    /// When the binding has been removed, there is no such process, or the kernel refuses.
    pub fn label_process(&mut self, binding: Binding, pid: u32) -> Result<(), BindError> {
        self.check(binding)?;
        self.label(pid, binding.workload, binding.incarnation)
    }

    fn label(&self, pid: u32, workload: u32, incarnation: u32) -> Result<(), BindError> {
        let failed = |source: io::Error| BindError::Process { pid, source };
        let process = open(pid, PidfdFlags::empty()).map_err(failed)?;
        let label = abi::Subject {
            workload,
            incarnation,
            epoch: self.epoch(),
            source: abi::NONE,
            ..abi::Subject::default()
        }
        .to_bytes();
        self.store(&process, &label)?;
        let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(failed)?;
        for thread in threads.flatten() {
            let name = thread.file_name();
            let Some(tid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if tid == pid {
                continue;
            }
            // A thread that has ended, or a kernel that can't name threads.
            let Ok(thread) = open(tid, THREAD) else {
                continue;
            };
            self.store(&thread, &label)?;
        }
        Ok(())
    }

    fn store(&self, task: &OwnedFd, label: &[u8]) -> Result<(), KernelError> {
        self.subjects
            .update(&task.as_raw_fd().to_ne_bytes(), label, MapFlags::ANY)
            .map_err(KernelError::of("label a process in map `subjects`"))
    }
}

fn open(pid: u32, flags: PidfdFlags) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(pidfd_open(pid, flags)?)
}
