//! What came of a discovery, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::beyond::ALWAYS_ALLOWED;
use super::facts::time;
use super::verify::Candidate;
use super::{Discovery, Draft, DraftedRule};
use crate::replay::{unusable, workload_name};
use crate::words::printable;

/// A candidate as it is handed out.
pub(super) fn draft(candidate: Candidate) -> Draft {
    let Candidate {
        subject,
        name,
        entries,
        written,
    } = candidate;
    let rules = entries
        .iter()
        .enumerate()
        .map(|(place, entry)| {
            let evidence = &entry.evidence;
            let mut fields: Vec<String> = written
                .rules
                .iter()
                .filter(|(_, of)| **of == place)
                .map(|(field, _)| field.clone())
                .collect();
            fields.sort();
            DraftedRule {
                fields,
                object: entry.text(),
                read_only: entry.read_only,
                sources: entry
                    .sources
                    .iter()
                    .flatten()
                    .map(ToString::to_string)
                    .collect(),
                count: evidence.seen.count,
                audited: evidence.seen.audited,
                lines: evidence.seen.lines,
                times: evidence
                    .seen
                    .times
                    .map(|(first, last)| (time(first), time(last))),
                programs: evidence
                    .programs
                    .iter()
                    .map(|(name, uses)| {
                        let name = name.as_deref().unwrap_or_default();
                        (name.to_owned(), uses.count)
                    })
                    .collect(),
            }
        })
        .collect();
    Draft {
        workload: subject.workload(),
        name,
        yaml: written.text,
        rules,
        generalisations: written.generalisations,
    }
}

impl Draft {
    /// For programs: one object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|rule| {
                json!({
                    "rules": rule.fields,
                    "object": rule.object,
                    "read_only": rule.read_only,
                    "sources": rule.sources,
                    "count": rule.count,
                    "audited": rule.audited,
                    "first": {"line": rule.lines.0, "time": rule.times.as_ref().map(|times| &times.0)},
                    "last": {"line": rule.lines.1, "time": rule.times.as_ref().map(|times| &times.1)},
                    "programs": rule.programs,
                })
            })
            .collect();
        let also: Vec<Value> = self
            .generalisations
            .iter()
            .map(|found| found.to_json())
            .collect();
        json!({
            "workload": workload_name(&self.workload),
            "policy": self.name,
            "yaml": self.yaml,
            "rules": rules,
            "generalisations": also,
        })
    }
}

impl Discovery {
    /// The policies as one stream of YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let texts: Vec<&str> = self
            .drafts
            .iter()
            .map(|draft| draft.yaml.as_str())
            .collect();
        texts.join("---\n")
    }

    /// For people: what was read, and what no draft speaks of.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing into a string doesn't fail.
        for (assumption, count) in &self.assumed {
            let _ = writeln!(out, "assumed {count}×: {assumption}");
        }
        for sample in &self.samples {
            let text = format!("unusable line {}: {}", sample.line, sample.error);
            let _ = writeln!(out, "{}", printable(text.as_bytes()));
        }
        for (why, left) in &self.left_out {
            let _ = writeln!(out, "left out {}×: {why}", left.count);
            for (line, what) in &left.samples {
                let place = match line {
                    0 => String::new(),
                    line => format!("line {line}: "),
                };
                let _ = writeln!(out, "  {place}{}", printable(what.as_bytes()));
            }
        }
        for (why, count) in &self.no_rule {
            let _ = writeln!(out, "no rule needed {count}×: {why}");
        }
        let left_out: u64 = self.left_out.values().map(|left| left.count).sum();
        let rules: usize = self.drafts.iter().map(|draft| draft.rules.len()).sum();
        let _ = writeln!(
            out,
            "{} events of {} lines: {} for {}, {left_out} events left out; {} lines unusable, {} \
             without an event",
            self.events,
            self.lines,
            counted(rules, "rule"),
            counted(self.drafts.len(), "workload"),
            self.unusable,
            self.no_event
        );
        out
    }

    /// For programs: one object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let drafts: Vec<Value> = self.drafts.iter().map(Draft::to_json).collect();
        let left_out: Vec<Value> = self
            .left_out
            .iter()
            .map(|(why, left)| {
                let first: Vec<Value> = left
                    .samples
                    .iter()
                    .map(|(line, what)| json!({"line": line, "event": what}))
                    .collect();
                json!({"reason": why, "count": left.count, "first": first})
            })
            .collect();
        json!({
            "lines": self.lines,
            "events": self.events,
            "no_event": self.no_event,
            "unusable": unusable(self.unusable, &self.samples),
            "assumed": self.assumed,
            "left_out": left_out,
            "no_rule_needed": self.no_rule,
            "always_allowed": ALWAYS_ALLOWED,
            "drafts": drafts,
        })
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
