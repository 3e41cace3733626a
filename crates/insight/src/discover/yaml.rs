//! A draft as YAML: what a reviewer reads.

use std::collections::HashMap;
use std::fmt::Write as _;

use gambeson_policy_model::{Class, ContainerFilter, Object, RuleList, field_path};

use super::beyond::{ALWAYS_ALLOWED, Generalisation, of_entry};
use super::draft::Entry;
use super::facts::{Seen, time};
use super::gather::Subject;
use crate::words::printable;

/// What stands at the head of a policy.
pub(super) struct Head<'h> {
    pub(super) subject: &'h Subject,
    pub(super) name: &'h str,
    /// `k=v` of pods that have drafts of their own although this one's labels are theirs, too.
    pub(super) except: &'h [String],
    pub(super) audit: bool,
    pub(super) seen: Option<Seen>,
    pub(super) unseen: &'h [Generalisation],
}

/// A policy's text, and which entry each of its rules is for.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) rules: HashMap<String, usize>,
    pub(super) generalisations: Vec<Generalisation>,
}

/// A scalar that every reader of YAML takes for this text.
fn scalar(text: &str) -> String {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    let starts = text.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic());
    let lower = text.to_ascii_lowercase();
    let word = matches!(
        lower.as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
    );
    if plain && starts && !word {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_ascii_graphic() || c == ' ' => quoted.push(c),
            c if u32::from(c) > 0xa0 && printable(c.to_string().as_bytes()) == c.to_string() => {
                quoted.push(c);
            }
            c => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// A comment; what comes from events can't leave it.
fn comment(out: &mut String, indent: usize, text: &str) {
    let _ = writeln!(out, "{:indent$}# {}", "", printable(text.as_bytes()));
}

/// How often, when, and on which lines.
pub(super) fn seen_words(seen: &Seen) -> String {
    let plural = |count: u64, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    let mut text = plural(seen.count, "event");
    if seen.audited > 0 {
        let _ = write!(text, " ({} reported by a policy)", seen.audited);
    }
    match seen.lines {
        (first, last) if first == last => {
            let _ = write!(text, ", line {first}");
        }
        (first, last) => {
            let _ = write!(text, ", lines {first} to {last}");
        }
    }
    match seen.times {
        Some((first, last)) if first == last => {
            let _ = write!(text, ", {}", time(first));
        }
        Some((first, last)) => {
            let _ = write!(text, ", {} to {}", time(first), time(last));
        }
        None => {}
    }
    text
}

/// Writes a policy.
pub(super) fn write(head: &Head<'_>, entries: &[Entry]) -> Written {
    let mut out = String::new();
    introduction(&mut out, head);
    let kind = match head.subject.namespace {
        Some(_) => "KubeArmorPolicy",
        None => "KubeArmorHostPolicy",
    };
    let _ = writeln!(
        out,
        "apiVersion: security.kubearmor.com/v1\nkind: {kind}\nmetadata:"
    );
    let _ = writeln!(out, "  name: {}", scalar(head.name));
    if let Some(namespace) = &head.subject.namespace {
        let _ = writeln!(out, "  namespace: {}", scalar(namespace));
    }
    out.push_str("spec:\n");
    selector(&mut out, head);
    let mut written = Written {
        text: String::new(),
        rules: HashMap::new(),
        generalisations: head.unseen.to_vec(),
    };
    let mut section = None;
    let mut list = None;
    let mut index = 0;
    for (place, entry) in entries.iter().enumerate() {
        if section != Some(entry.class.section()) {
            section = Some(entry.class.section());
            list = None;
            let _ = writeln!(out, "  {}:", entry.class.section());
        }
        if list != Some(entry.list()) {
            list = Some(entry.list());
            index = 0;
            let _ = writeln!(out, "    {}:", entry.list().field());
        }
        let field = field_path(entry.class, entry.list(), index);
        let beyond = of_entry(entry, &field);
        comment(&mut out, 6, &evidence(entry));
        for found in &beyond {
            let text = format!(
                "also allows ({}): {}",
                found.reason.name(),
                found.also_allows
            );
            comment(&mut out, 6, &text);
        }
        written.generalisations.extend(beyond);
        written.rules.insert(field, place);
        index += 1;
        if head.audit && entry.read_only {
            rule(&mut out, entry, "Allow", false);
            comment(&mut out, 6, "not for writing");
            written
                .rules
                .insert(field_path(entry.class, entry.list(), index), place);
            index += 1;
            rule(&mut out, entry, "Audit", true);
        } else {
            rule(&mut out, entry, "Allow", entry.read_only);
        }
    }
    written.text = out;
    written
}

fn introduction(out: &mut String, head: &Head<'_>) {
    let seen = head
        .seen
        .as_ref()
        .map_or_else(|| "no event".to_owned(), seen_words);
    comment(out, 0, &format!("Drafted from {seen}."));
    let meant = if head.audit {
        [
            "Drafted for the default posture audit, where nothing is denied and what no rule allows is",
            "reported, until `gambeson promote` turns what stays quiet into denials.",
        ]
    } else {
        [
            "Meant for the default posture block: what no rule allows is denied. Where a rule says",
            "readOnly, writing is denied whatever the posture.",
        ]
    };
    for text in meant {
        comment(out, 0, text);
    }
    comment(
        out,
        0,
        "Allowed besides what was recorded, and what is said at each rule:",
    );
    for text in ALWAYS_ALLOWED {
        comment(out, 0, &format!("  {text}"));
    }
    for found in head.unseen {
        comment(out, 0, &format!("  {}", found.also_allows));
    }
}

fn selector(out: &mut String, head: &Head<'_>) {
    let subject = head.subject;
    let labels = subject.labels.iter();
    let mut labels: Vec<(&str, String)> = labels
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    if let Some(container) = &subject.container {
        labels.push((ContainerFilter::LABEL, format!("[{container}]")));
    }
    let key = if subject.namespace.is_some() {
        "selector"
    } else {
        if labels.is_empty() {
            labels.push(("kubearmor.io/hostname", "*".to_owned()));
        }
        "nodeSelector"
    };
    if labels.is_empty() && head.except.is_empty() {
        return;
    }
    let _ = writeln!(out, "  {key}:");
    if !labels.is_empty() {
        out.push_str("    matchLabels:\n");
    }
    for (key, value) in labels {
        let _ = writeln!(out, "      {}: {}", scalar(key), scalar(&value));
    }
    if !head.except.is_empty() {
        out.push_str("    matchExpressions:\n      # These have drafts of their own.\n");
        out.push_str("      - key: label\n        operator: NotIn\n        values:\n");
        for value in head.except {
            let _ = writeln!(out, "          - {}", scalar(value));
        }
    }
}

/// What a rule rests on.
fn evidence(entry: &Entry) -> String {
    let mut text = seen_words(&entry.evidence.seen);
    let programs = &entry.evidence.programs;
    let named: Vec<&str> = programs.keys().flatten().map(|name| &**name).collect();
    match (named.as_slice(), programs.len()) {
        ([only], 1) => {
            let _ = write!(text, ", by {only}");
        }
        // More than one are named beside what the rule allows, or by the rule.
        (_, 0) => text.push_str(", by many programs"),
        (_, count) => {
            let _ = write!(
                text,
                ", by {count} program{}",
                if count == 1 { "" } else { "s" }
            );
        }
    }
    text
}

fn rule(out: &mut String, entry: &Entry, action: &str, read_only: bool) {
    let (key, recursive) = match &entry.object {
        Object::Directory(directory) => ("dir", directory.recursive),
        Object::Pattern(_) => ("pattern", false),
        Object::Protocol(_) => ("protocol", false),
        Object::Domain(_) => ("domain", false),
        Object::Capability(_) => ("capability", false),
        _ => ("path", false),
    };
    let _ = writeln!(out, "      - {key}: {}", scalar(&entry.text()));
    if recursive {
        out.push_str("        recursive: true\n");
    }
    if read_only {
        out.push_str("        readOnly: true\n");
    }
    match &entry.sources {
        Some(sources) => {
            out.push_str("        fromSource:\n");
            for source in sources {
                let _ = writeln!(out, "          - path: {}", scalar(source));
            }
        }
        None if must_name_programs(entry) => out.push_str("        fromSource: []\n"),
        None => {}
    }
    let _ = writeln!(out, "        action: {action}");
}

/// An empty list confines a rule to no program, and pleases the schema for hosts, which asks for one.
fn must_name_programs(entry: &Entry) -> bool {
    matches!(entry.class, Class::Network | Class::Capabilities)
        && entry.list() != RuleList::MatchDnsQueries
        && entry.of_host
}
