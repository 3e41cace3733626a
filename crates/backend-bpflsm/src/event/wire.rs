//! From `struct gb_event` and the texts behind it to an event.

use std::time::Duration;

use gambeson_policy_model::{
    Capability, Cause, Decision, EventPath, Preset, RuleId, Socket, Verdict,
};
use thiserror::Error;

use super::{KernelEvent, KernelOperation, Particulars, Reason, Subject};
use crate::abi::{self, Record as _};
use crate::binding::{Binding, Generation};
use crate::hooks::Hook;

/// Bytes that are no event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Fewer bytes than an event has.
    #[error("{len} bytes are no event, which has at least {needed}")]
    TooShort {
        /// How many there are.
        len: usize,
        /// How many there should be.
        needed: usize,
    },
    /// A number that stands for nothing.
    #[error("an event's {field} can't be {value}; the programs and this library differ in version")]
    Unknown {
        /// What the number should stand for.
        field: &'static str,
        /// The number.
        value: u32,
    },
}

fn unknown(field: &'static str, value: impl Into<u32>) -> DecodeError {
    DecodeError::Unknown {
        field,
        value: value.into(),
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<KernelEvent, DecodeError> {
    let too_short = |needed: usize| DecodeError::TooShort {
        len: bytes.len(),
        needed,
    };
    let head = abi::Event::read(bytes).ok_or_else(|| too_short(abi::Event::SIZE))?;
    let source_at = abi::Event::SIZE + usize::from(head.object_len);
    let end = source_at + usize::from(head.source_len);
    let object = bytes.get(abi::Event::SIZE..source_at);
    let source = bytes.get(source_at..end);
    let (Some(object), Some(source)) = (object, source) else {
        return Err(too_short(end));
    };
    let has = |flag: u32| head.flags & flag != 0;
    let (decision, reason) = decision(&head)?;
    let path = EventPath::from(source);
    Ok(KernelEvent {
        time: Duration::from_nanos(head.time),
        binding: Binding {
            workload: head.workload,
            incarnation: head.incarnation,
        },
        generation: Generation(head.generation),
        decision,
        reason,
        operation: operation(&head)?,
        hook: Hook::from_number(head.hook).ok_or_else(|| unknown("hook", head.hook))?,
        subject: Subject {
            pid: head.pid,
            tgid: head.tgid,
            ppid: head.ppid,
            uid: head.uid,
            comm: head
                .comm
                .iter()
                .copied()
                .take_while(|byte| *byte != 0)
                .collect(),
            source: path
                .bytes()
                .filter(|_| !has(abi::EV_UNRESOLVED_SOURCE))
                .map(<[u8]>::to_vec),
            cgroup: head.cgroup,
            tty: has(abi::EV_TTY),
        },
        object: object.to_vec(),
        particulars: Particulars {
            unresolved: has(abi::EV_UNRESOLVED),
            owner: has(abi::EV_OWNER),
            below: has(abi::EV_BELOW),
            cut: has(abi::EV_CUT),
            killed: has(abi::EV_KILLED),
            passed: has(abi::EV_PASSED),
        },
        throttled: head.throttled,
    })
}

fn decision(head: &abi::Event) -> Result<(Decision, Reason), DecodeError> {
    let verdict = match head.verdict {
        0 => Verdict::Allow,
        1 => Verdict::Audit,
        2 => Verdict::Block,
        other => return Err(unknown("verdict", other)),
    };
    let (cause, reason) = match head.cause {
        abi::CAUSE_NONE => (Cause::None, None),
        abi::CAUSE_RULE => (Cause::Rule(RuleId(head.rule)), None),
        abi::CAUSE_POSTURE => (Cause::Posture, None),
        abi::CAUSE_MOUNT => (Cause::None, Some(Reason::Mount)),
        abi::CAUSE_ENGINE => (Cause::None, Some(Reason::Engine)),
        other => return Err(unknown("cause", other)),
    };
    let decision = Decision { verdict, cause };
    Ok((decision, reason.unwrap_or(Reason::Policy(cause))))
}

fn operation(head: &abi::Event) -> Result<KernelOperation, DecodeError> {
    let [first, second, third, _] = head.detail;
    Ok(match head.operation {
        abi::OP_READ => KernelOperation::Read,
        abi::OP_WRITE => KernelOperation::Write,
        abi::OP_EXEC => KernelOperation::Exec,
        abi::OP_MAP_EXEC => KernelOperation::MapExec,
        abi::OP_SOCKET => KernelOperation::Socket(Socket::new(first, second, third)),
        abi::OP_CAPABILITY => u8::try_from(first)
            .ok()
            .and_then(Capability::from_number)
            .map(KernelOperation::Capability)
            .ok_or_else(|| unknown("capability", first))?,
        abi::OP_PRESET => usize::try_from(first)
            .ok()
            .and_then(|place| Preset::ALL.get(place))
            .copied()
            .map(KernelOperation::Preset)
            .ok_or_else(|| unknown("preset", first))?,
        abi::OP_DNS => KernelOperation::Dns,
        abi::OP_MOUNT => KernelOperation::Mount,
        other => return Err(unknown("operation", other)),
    })
}

#[cfg(test)]
pub(super) mod tests;
