//! Records from a stream, handed out on several threads.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};

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
    /// The line. An event of the audit log, whose records are several, is told at the record behind
    /// them, or at an empty line at the end.
    pub(crate) text: &'l [u8],
}

/// One thread's work.
pub(crate) trait Taker {
    /// What it comes to.
    type Part: Send;

    /// There is a line that isn't blank.
    fn line(&mut self);

    /// What a line tells.
    fn told(&mut self, at: At<'_>, told: Result<Told<'_>, String>);

    /// Nothing more is told. Still on the thread, so that what there is to sum up is done on several.
    fn finish(self) -> Self::Part;
}

/// Reads everything that a stream holds, on so many threads; gives what each made of its part, and
/// the numbers of lines that were too long. `progress` is told how many bytes have been read.
pub(crate) fn take<T: Taker>(
    stream: impl Read,
    threads: usize,
    mut progress: impl FnMut(u64),
    new: impl Fn() -> T + Sync,
) -> io::Result<(Vec<T::Part>, Vec<u64>)> {
    let threads = threads.max(1);
    let (send, receive) = sync_channel::<Batch>(2 * threads);
    let receive = Mutex::new(receive);
    // Used buffers come back this way.
    let (give_back, used) = channel::<Vec<u8>>();
    let mut batches = Batches::new(stream);
    let parts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (receive, new) = (&receive, &new);
                let give_back = give_back.clone();
                scope.spawn(move || run(new(), receive, &give_back))
            })
            .collect();
        let mut failed = None;
        loop {
            match batches.next(used.try_recv().ok()) {
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
        let mut parts = Vec::with_capacity(threads);
        for worker in workers {
            match worker.join() {
                Ok(part) => parts.push(part),
                Err(_) => failed = Some(io::Error::other("a thread ended early")),
            }
        }
        failed.map_or(Ok(parts), Err)
    })?;
    Ok((parts, batches.too_long))
}

fn run<T: Taker>(
    mut taker: T,
    receive: &Mutex<Receiver<Batch>>,
    give_back: &Sender<Vec<u8>>,
) -> T::Part {
    loop {
        let batch = match receive.lock() {
            Ok(receive) => receive.recv(),
            Err(_) => break,
        };
        let Ok(batch) = batch else { break };
        take_batch(&mut taker, &batch);
        if let Some(buffer) = batch.into_buffer() {
            // Where nothing more is read, nobody takes it.
            let _ = give_back.send(buffer);
        }
    }
    taker.finish()
}

fn take_batch(taker: &mut impl Taker, batch: &Batch) {
    let mut pending = Pending::default();
    let mut number = batch.first;
    let mut rest = batch.bytes();
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default().trim_ascii();
        rest = rest.get(end + 1..).unwrap_or_default();
        if !text.is_empty() {
            taker.line();
            let at = At { line: number, text };
            read(text, &mut pending, &mut |told| taker.told(at, told));
        }
        number += 1;
    }
    let at = At {
        line: number.saturating_sub(1),
        text: b"",
    };
    pending.finish(&mut |told| taker.told(at, told));
}
