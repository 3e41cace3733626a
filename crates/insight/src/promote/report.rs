//! What came of a promotion, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Held, Promotion};
use crate::replay::unusable;
use crate::words::printable;

impl Held {
    fn words(&self) -> String {
        match self {
            Self::Reported { count, .. } if *count == 1 => "1 event was reported".to_owned(),
            Self::Reported { count, .. } => format!("{count} events were reported"),
            Self::NotReplayed => "no event of its class was replayed".to_owned(),
            Self::WouldGrant => {
                "as a Block it would also grant where its conditions hold".to_owned()
            }
            Self::WithoutPath => {
                "files without a path were used, which would be denied then".to_owned()
            }
        }
    }

    fn example(&self) -> Option<String> {
        match self {
            Self::Reported { line, example, .. } => Some(format!("line {line}: {example}")),
            _ => None,
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Reported {
                count,
                line,
                example,
            } => json!({
                "reason": "reported",
                "count": count,
                "line": line,
                "example": serde_json::from_str::<Value>(example).unwrap_or_default(),
            }),
            Self::NotReplayed => json!({"reason": "not-replayed"}),
            Self::WouldGrant => json!({"reason": "would-grant"}),
            Self::WithoutPath => json!({"reason": "without-path"}),
        }
    }
}

impl Promotion {
    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let mut line = |text: &str| {
            out.push_str(&printable(text.as_bytes()));
            out.push('\n');
        };
        for rule in self.rules.iter().filter(|rule| rule.held.is_none()) {
            line(&format!("Audit → Block  {}", rule.rule));
        }
        for posture in self
            .postures
            .iter()
            .filter(|posture| posture.held.is_none())
        {
            line(&format!(
                "audit → block  the {} posture of {}",
                posture.class, posture.workload
            ));
            if !posture.in_file {
                line(&match &posture.namespace {
                    Some(namespace) => format!(
                        "    by: kubectl annotate --overwrite namespace {namespace} kubearmor-{}-posture=block",
                        posture.class
                    ),
                    None => format!("    by: --posture {}=block", posture.class),
                });
            }
        }
        let rules = self.rules.iter().filter_map(|rule| {
            let held = rule.held.as_ref()?;
            Some((rule.rule.clone(), held))
        });
        let postures = self.postures.iter().filter_map(|posture| {
            let held = posture.held.as_ref()?;
            let what = format!("the {} posture of {}", posture.class, posture.workload);
            Some((what, held))
        });
        for (what, held) in rules.chain(postures) {
            line(&format!("stays as it is  {what}: {}", held.words()));
            if let Some(example) = held.example() {
                line(&format!("    {example}"));
            }
        }
        for sample in &self.samples {
            line(&format!("unusable line {}: {}", sample.line, sample.error));
        }
        // Writing into a string doesn't fail.
        let _ = writeln!(
            out,
            "{} events of {} lines: {} of {} Audit rules and {} of {} audit postures stayed quiet; {} \
             lines unusable, {} without an event",
            self.events,
            self.lines,
            self.rules.iter().filter(|rule| rule.held.is_none()).count(),
            self.rules.len(),
            self.postures
                .iter()
                .filter(|posture| posture.held.is_none())
                .count(),
            self.postures.len(),
            self.unusable,
            self.no_event
        );
        out
    }

    /// For programs: one object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let held = |held: &Option<Held>| held.as_ref().map(Held::to_json);
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|rule| json!({"rule": rule.rule, "held": held(&rule.held)}))
            .collect();
        let postures: Vec<Value> = self
            .postures
            .iter()
            .map(|posture| {
                json!({
                    "workload": posture.workload,
                    "namespace": posture.namespace,
                    "class": posture.class,
                    "held": held(&posture.held),
                    "in_file": posture.in_file,
                })
            })
            .collect();
        let files: Vec<String> = self
            .edits
            .iter()
            .map(|edit| edit.path.to_string_lossy().into_owned())
            .collect();
        json!({
            "lines": self.lines,
            "events": self.events,
            "no_event": self.no_event,
            "unusable": unusable(self.unusable, &self.samples),
            "rules": rules,
            "postures": postures,
            "files": files,
        })
    }
}
