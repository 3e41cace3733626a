//! Records from a stream, handed out on several threads.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};

use super::audit::Pending;
use super::batches::{Batch, Batches};
use super::record::{Told, read};

/// Why a line beyond the limit can't be used.
pub(crate) const TOO_LONG: &str = "the line is too long";

/// Where something was told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'l> {
    /// The line's number, from 1.
    pub(crate) line: u64,
    /// The line; empty for an event of the audit log, whose records are several.
    pub(crate) text: &'l [u8],
    /// The time of an event of the audit log, in seconds.
    pub(crate) audit: Option<i64>,
}

/// One thread's work.
pub(crate) trait Taker: Send {
    /// There is a line that isn't blank.
    fn line(&mut self);

    /// What a line tells.
    fn told(&mut self, at: At<'_>, told: Result<Told<'_>, String>);
}

/// Reads everything that a stream holds, on so many threads; gives what each made of its part, and
/// the numbers of lines that were too long. `progress` is told how many bytes have been read.
pub(crate) fn take<T: Taker>(
    stream: impl Read,
    threads: usize,
    mut progress: impl FnMut(u64),
    new: impl Fn() -> T + Sync,
) -> io::Result<(Vec<T>, Vec<u64>)> {
    let threads = threads.max(1);
    let (send, receive) = sync_channel::<Batch>(2 * threads);
    let receive = Mutex::new(receive);
    let mut batches = Batches::new(stream);
    let takers = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (receive, new) = (&receive, &new);
                scope.spawn(move || run(new(), receive))
            })
            .collect();
        let mut failed = None;
        loop {
            match batches.next() {
                Ok(Some(batch)) => {
                    progress(batches.read);
                    if send.send(batch).is_err() {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        drop(send);
        let mut takers = Vec::with_capacity(threads);
        for worker in workers {
            match worker.join() {
                Ok(taker) => takers.push(taker),
                Err(_) => failed = Some(io::Error::other("a thread ended early")),
            }
        }
        failed.map_or(Ok(takers), Err)
    })?;
    Ok((takers, batches.too_long))
}

fn run<T: Taker>(mut taker: T, receive: &Mutex<Receiver<Batch>>) -> T {
    loop {
        let batch = match receive.lock() {
            Ok(receive) => receive.recv(),
            Err(_) => break,
        };
        match batch {
            Ok(batch) => take_batch(&mut taker, &batch),
            Err(_) => break,
        }
    }
    taker
}

fn take_batch(taker: &mut impl Taker, batch: &Batch) {
    let mut pending = Pending::default();
    let mut number = batch.first;
    for line in batch.bytes.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if !line.is_empty() {
            taker.line();
            // A record of the audit log tells of the event before it.
            let audit = pending.time();
            let told = read(line, &mut pending);
            let is_audit = line.starts_with(b"type=") || line.starts_with(b"node=");
            let at = At {
                line: number,
                text: if is_audit { b"" } else { line },
                audit: audit.filter(|_| is_audit),
            };
            taker.told(at, told);
        }
        number += 1;
    }
    let at = At {
        line: number.saturating_sub(1),
        text: b"",
        audit: pending.time(),
    };
    let told = pending.finish();
    taker.told(at, told);
}
