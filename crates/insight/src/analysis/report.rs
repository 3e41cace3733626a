//! Findings for people and for programs.

use std::fmt::Write as _;

use gambeson_policy_model::{Cause, Decision, Event, Operation, RuleId, SourceMap};
use serde_json::{Value, json};

use super::check::Check;
use super::diff::{Diff, Difference, Programs};
use crate::explain::{Explainer, described, excerpt, printable};

/// One of two policies, with the texts of its files.
#[derive(Debug, Clone, Copy)]
pub struct Side<'e> {
    /// Explains its decisions.
    pub explainer: &'e Explainer,
    /// The texts of its files.
    pub sources: &'e SourceMap,
}

impl Programs {
    /// The programs in words; `witness` is that of the difference.
    fn words(self, difference: &Difference) -> String {
        let witness = difference.witness.source.bytes().unwrap_or_default();
        match self {
            Self::Any => "by any program".to_owned(),
            Self::Unnamed => "by programs that no rule names".to_owned(),
            Self::Named => format!("by {}", printable(witness)),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Unnamed => "unnamed",
            Self::Named => "witness",
        }
    }
}

impl Difference {
    /// The difference in one line: ``write /etc/nginx/x by any program: Allow → Block``.
    #[must_use]
    pub fn headline(&self) -> String {
        let event = &self.witness;
        let mut line = format!(
            "{} {} {}",
            event.operation.name(),
            described(&event.operation),
            self.programs.words(self)
        );
        if let Operation::Exec { args, .. } = &event.operation
            && !args.is_empty()
        {
            let args: Vec<String> = args.iter().map(|arg| printable(arg)).collect();
            let _ = write!(line, ", with arguments {}", args.join(" "));
        }
        if event.is_owner() {
            line.push_str(", which owns it");
        }
        if event.tty {
            line.push_str(", on a terminal");
        }
        let _ = write!(line, ": {} → {}", self.before.verdict, self.after.verdict);
        line
    }
}

impl Diff {
    /// For people: every class of events that changes, with the rules responsible as they are
    /// written.
    #[must_use]
    pub fn to_text(&self, before: Side<'_>, after: Side<'_>) -> String {
        let mut out = String::new();
        for difference in &self.differences {
            // Writing into a string doesn't fail.
            let _ = writeln!(out, "{}", difference.headline());
            write_side(&mut out, "before", before, difference.before);
            write_side(&mut out, "after ", after, difference.after);
            out.push('\n');
        }
        let count = self.differences.len();
        let _ = match (self.complete, count) {
            (true, 0) => writeln!(out, "no event is decided otherwise"),
            (true, 1) => writeln!(out, "1 class of events is decided otherwise"),
            (true, _) => writeln!(out, "{count} classes of events are decided otherwise"),
            (false, _) => writeln!(
                out,
                "{count} classes of events are decided otherwise, and there may be more: a limit was met"
            ),
        };
        out
    }

    /// For programs: an object for each difference, and one that sums up.
    #[must_use]
    pub fn to_json(&self, before: &Explainer, after: &Explainer) -> Vec<Value> {
        let mut values: Vec<Value> = self
            .differences
            .iter()
            .map(|difference| {
                let event = difference.witness.to_json();
                json!({
                    "witness": serde_json::from_str::<Value>(&event).unwrap_or_default(),
                    "programs": difference.programs.name(),
                    "before": decided(before, difference.before),
                    "after": decided(after, difference.after),
                })
            })
            .collect();
        values.push(json!({"summary": {
            "differences": self.differences.len(),
            "complete": self.complete,
            "equal": self.is_equal(),
        }}));
        values
    }
}

fn write_side(out: &mut String, when: &str, side: Side<'_>, decision: Decision) {
    let explainer = side.explainer;
    let because = match decision.cause {
        Cause::Posture => "by the default posture".to_owned(),
        Cause::None => "no rule speaks".to_owned(),
        Cause::Rule(id) => explainer
            .compiled()
            .rule(id)
            .map_or_else(String::new, |rule| format!("by {rule}")),
    };
    let _ = writeln!(
        out,
        "  {when}  {}, {}",
        decision.verdict,
        printable(because.as_bytes())
    );
    if let Some(rule) = decision.rule().and_then(|id| explainer.rule(id)) {
        for (number, line) in excerpt(rule, side.sources) {
            let _ = writeln!(out, "      {number:>4} | {}", printable(line.as_bytes()));
        }
    }
}

fn decided(explainer: &Explainer, decision: Decision) -> Value {
    json!({
        "verdict": decision.verdict,
        "cause": decision.cause.name(),
        "rule": decision.rule().map(|id| crate::explain::rule_json(explainer, id)),
    })
}

impl Check {
    /// For people: each finding with the rules as they are written.
    #[must_use]
    pub fn to_text(&self, side: Side<'_>) -> String {
        let mut out = String::new();
        let place = |id: RuleId| {
            let rule = side.explainer.compiled().rule(id);
            printable(
                rule.map_or_else(String::new, |rule| rule.to_string())
                    .as_bytes(),
            )
        };
        // Writing into a string doesn't fail.
        for never in &self.never_wins {
            let what = match (&never.witness, never.redundant) {
                (None, _) => "never-matches",
                (Some(_), true) => "redundant",
                (Some(_), false) => "shadowed",
            };
            let _ = writeln!(out, "{what}  {}", place(never.rule));
            write_rule(&mut out, side, never.rule);
            let says = if never.redundant {
                "says what is said already by"
            } else {
                "loses to"
            };
            for by in &never.by {
                let _ = writeln!(out, "  {says} {}", place(*by));
            }
            write_event(&mut out, "for example", never.witness.as_ref());
            out.push('\n');
        }
        for conflict in &self.conflicts {
            let _ = writeln!(out, "conflict  {}", place(conflict.allow));
            write_rule(&mut out, side, conflict.allow);
            let _ = writeln!(out, "  is denied by {}", place(conflict.block));
            write_rule(&mut out, side, conflict.block);
            write_event(&mut out, "for example", Some(&conflict.witness));
            out.push('\n');
        }
        for id in &self.allow_list_only {
            let _ = writeln!(out, "allow-list-only  {}", place(*id));
            write_rule(&mut out, side, *id);
            out.push_str(
                "  changes no verdict but by switching on the allow-list mode of its class\n\n",
            );
        }
        for bypass in &self.bypasses {
            let count = bypass.rules.len();
            let plural = if count == 1 { "" } else { "s" };
            let _ = writeln!(
                out,
                "bypass  row {}, {}: {count} Block rule{plural}, such as {}",
                bypass.row,
                bypass.name,
                bypass
                    .rules
                    .first()
                    .map_or_else(String::new, |id| place(*id))
            );
            for event in &bypass.witness {
                write_event(&mut out, "passes", Some(event));
            }
            let _ = writeln!(out, "  {}\n", bypass.remedy);
        }
        for id in &self.undecided {
            let _ = writeln!(out, "undecided  {}: a limit was met\n", place(*id));
        }
        let _ = writeln!(
            out,
            "{} rules: {} never win, {} conflicts, {} only switch on allow-list mode, {} ways around \
             Block rules, {} undecided",
            side.explainer.rules().len(),
            self.never_wins.len(),
            self.conflicts.len(),
            self.allow_list_only.len(),
            self.bypasses.len(),
            self.undecided.len()
        );
        out
    }

    /// For programs: an object for each finding.
    #[must_use]
    pub fn to_json(&self, explainer: &Explainer) -> Vec<Value> {
        let place = |id: &RuleId| crate::explain::rule_json(explainer, *id);
        let event = |event: &Event<'_>| -> Value {
            serde_json::from_str(&event.to_json()).unwrap_or_default()
        };
        let mut values = Vec::new();
        for never in &self.never_wins {
            values.push(json!({
                "finding": "never-wins",
                "rule": place(&never.rule),
                "redundant": never.redundant,
                "by": never.by.iter().map(place).collect::<Vec<_>>(),
                "witness": never.witness.as_ref().map(event),
            }));
        }
        for conflict in &self.conflicts {
            values.push(json!({
                "finding": "conflict",
                "rule": place(&conflict.allow),
                "with": place(&conflict.block),
                "witness": event(&conflict.witness),
            }));
        }
        for id in &self.allow_list_only {
            values.push(json!({"finding": "allow-list-only", "rule": place(id)}));
        }
        for bypass in &self.bypasses {
            values.push(json!({
                "finding": "bypass",
                "row": bypass.row,
                "name": bypass.name,
                "rules": bypass.rules.iter().map(place).collect::<Vec<_>>(),
                "witness": bypass.witness.iter().map(event).collect::<Vec<_>>(),
                "remedy": bypass.remedy,
            }));
        }
        for id in &self.undecided {
            values.push(json!({"finding": "undecided", "rule": place(id)}));
        }
        values
    }
}

fn write_rule(out: &mut String, side: Side<'_>, id: RuleId) {
    if let Some(rule) = side.explainer.rule(id) {
        for (number, line) in excerpt(rule, side.sources) {
            let _ = writeln!(out, "      {number:>4} | {}", printable(line.as_bytes()));
        }
    }
}

fn write_event(out: &mut String, what: &str, event: Option<&Event<'_>>) {
    let Some(event) = event else { return };
    let by = event.source.bytes().map(printable).unwrap_or_default();
    let _ = writeln!(
        out,
        "  {what}: {} {} by {by}",
        event.operation.name(),
        described(&event.operation)
    );
}
