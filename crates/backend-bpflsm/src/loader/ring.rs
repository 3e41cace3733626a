//! The ring buffer of events.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libbpf_rs::{MapHandle, RingBuffer, RingBufferBuilder};

use super::error::{EventError, KernelError};
use super::quiet::Quiet;
use crate::event::KernelEvent;

/// How many events are taken out of the ring at a time, so that a ring that is filled without pause
/// doesn't keep the caller for ever.
const BATCH: usize = 1024;

#[derive(Debug, Default)]
struct Batch {
    events: VecDeque<KernelEvent>,
    malformed: u64,
}

/// Reads events out of the ring buffer.
#[derive(Debug)]
pub(super) struct Ring {
    ring: RingBuffer<'static>,
    batch: Arc<Mutex<Batch>>,
}

impl Ring {
    pub(super) fn new(map: &MapHandle) -> Result<Self, KernelError> {
        let _quiet = Quiet::new();
        let batch: Arc<Mutex<Batch>> = Arc::default();
        let filled = Arc::clone(&batch);
        let mut builder = RingBufferBuilder::new();
        let step = "read the ring buffer";
        builder
            .add(map, move |bytes| take(&filled, bytes))
            .map_err(KernelError::of(step))?;
        let ring = builder.build().map_err(KernelError::of(step))?;
        Ok(Self { ring, batch })
    }

    /// Hands over what is there, or comes within the time, and says how many events that were.
    pub(super) fn poll(
        &self,
        timeout: Duration,
        on_event: &mut dyn FnMut(KernelEvent),
    ) -> Result<usize, EventError> {
        let timeout = timeout.min(Duration::from_millis(i32::MAX.unsigned_abs().into()));
        let result = self.ring.poll_raw(timeout);
        let events = {
            let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut batch.events)
        };
        if result < 0 && result != -libc::ECANCELED && result != -libc::EINTR {
            return Err(io::Error::from_raw_os_error(-result).into());
        }
        let count = events.len();
        for event in events {
            on_event(event);
        }
        Ok(count)
    }

    /// How many records were no events.
    pub(super) fn malformed(&self) -> u64 {
        self.batch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .malformed
    }
}

/// Keeps one record; a negative number ends the batch, and the record counts as read all the same.
fn take(batch: &Mutex<Batch>, bytes: &[u8]) -> i32 {
    let mut batch = batch.lock().unwrap_or_else(PoisonError::into_inner);
    match KernelEvent::decode(bytes) {
        Ok(event) => batch.events.push_back(event),
        Err(_) => batch.malformed += 1,
    }
    if batch.events.len() < BATCH {
        0
    } else {
        -libc::ECANCELED
    }
}
