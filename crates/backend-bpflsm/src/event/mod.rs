//! What the programs report: decoding, and alerts.
//!
//! Decoding is total: any bytes are an event or a [`DecodeError`].

mod alert;
mod wire;

pub use wire::DecodeError;

use std::time::Duration;

use gambeson_policy_model::{Capability, Cause, Decision, Preset, Socket};

use crate::binding::{Binding, Generation};
use crate::hooks::Hook;

/// Why an event ended as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// What the policy says.
    Policy(Cause),
    /// The workload's files have rules, and what mounts could give them other names.
    Mount,
    /// The programs could not decide and denied: no working memory was free, or the table was missing.
    Engine,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelOperation {
    /// Opening a file for reading.
    Read,
    /// Changing a file, its name or its metadata.
    Write,
    /// Executing a file.
    Exec,
    /// Mapping a file executable.
    MapExec,
    /// Creating or using a socket.
    Socket(Socket),
    /// Using a capability.
    Capability(Capability),
    /// A kernel situation.
    Preset(Preset),
    /// Asking for a name.
    Dns,
    /// Mounting, moving or removing a mount.
    Mount,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The thread's id.
    pub pid: u32,
    /// The process's id.
    pub tgid: u32,
    /// The parent process's id.
    pub ppid: u32,
    /// The fsuid.
    pub uid: u32,
    /// The thread's name, up to the first NUL.
    pub comm: Vec<u8>,
    /// The program's path; `None` where it could not be resolved.
    pub source: Option<Vec<u8>>,
    /// The id of the cgroup.
    pub cgroup: u64,
    /// Whether there is a controlling terminal.
    pub tty: bool,
}

/// Particulars of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Particulars {
    /// The object has no path.
    pub unresolved: bool,
    /// The subject's fsuid owns the object.
    pub owner: bool,
    /// Decided by a rule about a path below the renamed directory.
    pub below: bool,
    /// The object or the source is longer than what was sent.
    pub cut: bool,
    /// The program was killed before its first instruction.
    pub killed: bool,
    /// A Block that was only observed: it passed.
    pub passed: bool,
}

/// One event as the programs report it. The verdict has been carried out already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelEvent {
    /// When, since boot (CLOCK_MONOTONIC).
    pub time: Duration,
    /// The binding whose policy decided.
    pub binding: Binding,
    /// Which of the binding's policies decided.
    pub generation: Generation,
    /// The verdict and what it rests on.
    pub decision: Decision,
    /// Why; where it isn't the policy, the decision's cause is [`Cause::None`].
    pub reason: Reason,
    /// What was done.
    pub operation: KernelOperation,
    /// Which hook saw it.
    pub hook: &'static Hook,
    /// Who did it.
    pub subject: Subject,
    /// To what: a path, a domain, or nothing.
    pub object: Vec<u8>,
    /// Particulars.
    pub particulars: Particulars,
    /// How many events of this binding were left out by its rate limit since the last one.
    pub throttled: u32,
}

impl KernelEvent {
    /// Decodes what came out of the ring buffer.
    ///
    /// ```
    /// use gambeson_backend_bpflsm::KernelEvent;
    /// assert!(KernelEvent::decode(b"not an event").is_err());
    /// ```
    ///
    /// # Errors
    /// When the bytes are too few, or hold a number that stands for nothing.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        wire::decode(bytes)
    }
}
