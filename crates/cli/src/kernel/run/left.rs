//! Processes that the command leaves behind.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// So long may processes take to end that were killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// And so often is looked.
const LOOK: Duration = Duration::from_millis(10);

/// Ends what is still under the policy: without it, it would be free. What it ended, by name; `None` where
/// something doesn't end.
pub(super) fn end(processes: impl Fn() -> Vec<u32>) -> Option<Vec<String>> {
    let deadline = Instant::now() + PATIENCE;
    let mut ended = Vec::new();
    loop {
        let left = processes();
        if left.is_empty() {
            return Some(ended);
        }
        if Instant::now() >= deadline {
            return None;
        }
        for process in left {
            let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
            let named = named(process);
            if !ended.contains(&named) {
                ended.push(named);
            }
            if let Some(pid) = pid {
                // It may have ended already.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// Tells what was ended.
pub(super) fn tell(ended: Vec<String>) {
    for process in ended {
        crate::note(&format!(
            "the command left process {process} behind; it was ended"
        ));
    }
}

/// `1234 (sleep)`
fn named(process: u32) -> String {
    match std::fs::read_to_string(format!("/proc/{process}/comm")) {
        Ok(name) => format!("{process} ({})", name.trim_end()),
        Err(_) => process.to_string(),
    }
}
