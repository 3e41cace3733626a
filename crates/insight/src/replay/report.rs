//! What came of a replay.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use gambeson_policy_model::Verdict;
use serde_json::{Value, json};

use crate::words::printable;

/// How many lines that can't be used are kept.
const SAMPLES: usize = 10;

/// What tells changes apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) workload: Arc<str>,
    pub(super) program: String,
    pub(super) operation: &'static str,
    pub(super) before: Verdict,
    pub(super) after: Verdict,
    pub(super) before_by: String,
    pub(super) after_by: String,
}

/// Events that one key tells from others.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) key: Key,
    pub(super) count: u64,
    /// The line of the first of them.
    pub(super) line: u64,
    /// The first of them.
    pub(super) example: String,
}

/// Events of one workload, program and operation that are decided otherwise, by the same rules.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The workload: namespace, labels and container.
    pub workload: String,
    /// The program; empty where it isn't known.
    pub program: String,
    /// The operation.
    pub operation: &'static str,
    /// The verdict before.
    pub before: Verdict,
    /// The candidate's verdict.
    pub after: Verdict,
    /// What decided before; empty for what was recorded.
    pub before_by: String,
    /// What decides in the candidate.
    pub after_by: String,
    /// How many events.
    pub count: u64,
    /// The line of the first of them.
    pub line: u64,
    /// The first of them, as a line of events.
    pub example: String,
}

/// A line that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Unusable {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub error: String,
}

/// The lines that can't be used, for programs.
pub(crate) fn unusable(count: u64, first: &[Unusable]) -> Value {
    let first: Vec<Value> = first
        .iter()
        .map(|sample| json!({"line": sample.line, "error": sample.error}))
        .collect();
    json!({"count": count, "first": first})
}

/// What came of a replay.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReplayReport {
    /// Lines that aren't blank.
    pub lines: u64,
    /// Events that were decided.
    pub events: u64,
    /// Records of what no rule judges.
    pub no_event: u64,
    /// How many lines can't be used.
    pub unusable: u64,
    /// The first of them.
    pub samples: Vec<Unusable>,
    /// What records left open, and how often.
    pub assumed: BTreeMap<&'static str, u64>,
    /// What is decided otherwise, the stricter and then the more frequent first.
    pub changes: Vec<Change>,
    /// How many events are decided otherwise beyond these.
    pub ungrouped: u64,
    counts: [[u64; 3]; 3],
    groups: HashMap<Key, (u64, u64, String)>,
}

const fn place(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Allow => 0,
        Verdict::Audit => 1,
        Verdict::Block => 2,
    }
}

impl ReplayReport {
    /// How many changes are told apart; what comes beyond is counted.
    pub(super) const CHANGES: usize = 100_000;

    /// How many events come to this verdict that came to another before.
    #[must_use]
    pub fn newly(&self, verdict: Verdict) -> u64 {
        let of = |counts: &[u64; 3]| counts.get(place(verdict)).copied().unwrap_or(0);
        let all: u64 = self.counts.iter().map(of).sum();
        all - self.counts.get(place(verdict)).map_or(0, of)
    }

    /// How many events come to this verdict.
    #[must_use]
    pub fn decided(&self, verdict: Verdict) -> u64 {
        let counts = self.counts.iter();
        counts.filter_map(|counts| counts.get(place(verdict))).sum()
    }

    pub(super) fn count(&mut self, before: Verdict, after: Verdict) {
        self.events += 1;
        if let Some(counts) = self.counts.get_mut(place(before))
            && let Some(count) = counts.get_mut(place(after))
        {
            *count += 1;
        }
    }

    /// Takes over what a thread has grouped.
    pub(super) fn add_groups(&mut self, groups: HashMap<Box<[u8]>, Group>) {
        for group in groups.into_values() {
            self.add_group(group.key, (group.count, group.line, group.example));
        }
    }

    fn add_group(&mut self, key: Key, (count, line, example): (u64, u64, String)) {
        if let Some(own) = self.groups.get_mut(&key) {
            own.0 += count;
            if line < own.1 {
                (own.1, own.2) = (line, example);
            }
        } else if self.groups.len() < Self::CHANGES {
            self.groups.insert(key, (count, line, example));
        } else {
            self.ungrouped += count;
        }
    }

    pub(super) fn unusable(&mut self, line: u64, error: String) {
        self.unusable += 1;
        self.samples.push(Unusable { line, error });
        self.keep_first();
    }

    fn keep_first(&mut self) {
        if self.samples.len() > 2 * SAMPLES {
            self.samples.sort();
            self.samples.truncate(SAMPLES);
        }
    }

    /// Adds another thread's part.
    pub(super) fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        self.events += other.events;
        self.no_event += other.no_event;
        self.unusable += other.unusable;
        self.ungrouped += other.ungrouped;
        self.samples.extend(other.samples);
        self.keep_first();
        for (assumption, count) in other.assumed {
            *self.assumed.entry(assumption).or_insert(0) += count;
        }
        for (own, other) in self
            .counts
            .iter_mut()
            .flatten()
            .zip(other.counts.iter().flatten())
        {
            *own += other;
        }
        for (key, group) in other.groups {
            self.add_group(key, group);
        }
    }

    /// Brings everything into its order.
    pub(super) fn finish(&mut self) {
        self.samples.sort();
        self.samples.truncate(SAMPLES);
        self.changes = std::mem::take(&mut self.groups)
            .into_iter()
            .map(|(key, (count, line, example))| Change {
                workload: key.workload.to_string(),
                program: key.program,
                operation: key.operation,
                before: key.before,
                after: key.after,
                before_by: key.before_by,
                after_by: key.after_by,
                count,
                line,
                example,
            })
            .collect();
        self.changes
            .sort_by_key(|change| (Reverse(change.after), Reverse(change.count), change.line));
    }

    /// For people: what is decided otherwise, and what couldn't be used.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for (verdict, title) in [
            (Verdict::Block, "newly blocked"),
            (Verdict::Audit, "newly audited"),
            (Verdict::Allow, "newly allowed"),
        ] {
            let changes: Vec<&Change> = self
                .changes
                .iter()
                .filter(|change| change.after == verdict)
                .collect();
            if changes.is_empty() {
                continue;
            }
            // Writing into a string doesn't fail.
            let _ = writeln!(out, "{title}");
            for change in changes {
                let by = if change.program.is_empty() {
                    "an unknown program"
                } else {
                    &change.program
                };
                let before = if change.before_by.is_empty() {
                    "as recorded".to_owned()
                } else {
                    format!("by {}", change.before_by)
                };
                let text = format!(
                    "{}: {} by {by}, was {} {before}, now by {}",
                    change.workload, change.operation, change.before, change.after_by
                );
                let _ = writeln!(out, "  {:>8}  {}", change.count, printable(text.as_bytes()));
                let example = format!("line {}: {}", change.line, change.example);
                let _ = writeln!(out, "            {}", printable(example.as_bytes()));
            }
            out.push('\n');
        }
        for (assumption, count) in &self.assumed {
            let _ = writeln!(out, "assumed {count}×: {assumption}");
        }
        for sample in &self.samples {
            let text = format!("unusable line {}: {}", sample.line, sample.error);
            let _ = writeln!(out, "{}", printable(text.as_bytes()));
        }
        let _ = writeln!(
            out,
            "{} events of {} lines: {} newly blocked, {} newly audited, {} newly allowed; {} lines \
             unusable, {} without an event",
            self.events,
            self.lines,
            self.newly(Verdict::Block),
            self.newly(Verdict::Audit),
            self.newly(Verdict::Allow),
            self.unusable,
            self.no_event
        );
        out
    }

    /// For programs: one object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let verdicts = |count: &dyn Fn(Verdict) -> u64| {
            json!({
                "block": count(Verdict::Block),
                "audit": count(Verdict::Audit),
                "allow": count(Verdict::Allow),
            })
        };
        let changes: Vec<Value> = self
            .changes
            .iter()
            .map(|change| {
                json!({
                    "workload": change.workload,
                    "program": change.program,
                    "operation": change.operation,
                    "before": {"verdict": change.before, "by": change.before_by},
                    "after": {"verdict": change.after, "by": change.after_by},
                    "count": change.count,
                    "line": change.line,
                    "example": serde_json::from_str::<Value>(&change.example).unwrap_or_default(),
                })
            })
            .collect();
        json!({
            "lines": self.lines,
            "events": self.events,
            "no_event": self.no_event,
            "unusable": unusable(self.unusable, &self.samples),
            "assumed": self.assumed,
            "newly": verdicts(&|verdict| self.newly(verdict)),
            "decided": verdicts(&|verdict| self.decided(verdict)),
            "changes": changes,
            "ungrouped": self.ungrouped,
        })
    }
}
