//! Explanations for people.

use std::fmt::Write as _;

use gambeson_policy_model::{Cause, Decision, Event, RuleId, SourceMap};

use super::{Explainer, Explanation, described, excerpt, printable, sort_of};
use crate::steps::{Standing, Step};

impl Explanation {
    /// The explanation as text of several lines, with the YAML of each rule where its file's text
    /// is in `sources`. Safe to print on a terminal, whatever the policies and the event hold.
    #[must_use]
    pub fn to_text(&self, explainer: &Explainer, event: &Event<'_>, sources: &SourceMap) -> String {
        let mut out = heading(self.decision, event);
        out.push('\n');
        // Writing into a string doesn't fail.
        let _ = writeln!(out, "  {}", self.reason(explainer));
        if let Some(source) = &self.assumed_source {
            let _ = writeln!(out, "  the acting program is unknown: {}", assumed(source));
        }
        if self.audited {
            out.push_str(
                "  the pod's annotation asks for reports only, so a Block became a report\n",
            );
        }
        match self.matched.len() {
            0 => out.push_str("  no rule matches\n"),
            1 => out.push_str("  one rule matches:\n"),
            count => {
                let _ = writeln!(out, "  {count} rules match:");
            }
        }
        for matched in &self.matched {
            let Some(rule) = explainer.rule(matched.rule) else {
                continue;
            };
            let _ = writeln!(
                out,
                "    {} {} ({}{}), {}",
                place(explainer, matched.rule),
                matched.effect.verb(),
                sort_of(rule),
                if rule.sources.is_empty() {
                    ""
                } else {
                    ", names the program"
                },
                became(explainer, &matched.standing),
            );
            for (number, line) in excerpt(rule, sources) {
                let _ = writeln!(out, "      {number:>4} | {}", printable(line.as_bytes()));
            }
        }
        if let Some(without) = &self.without {
            let _ = writeln!(
                out,
                "  without the deciding rule: {}",
                decided(explainer, without)
            );
        }
        out
    }

    /// In one line, what the decision rests on.
    fn reason(&self, explainer: &Explainer) -> String {
        match self.decision.rule() {
            Some(rule) => format!("by {}: {}", place(explainer, rule), self.step),
            None => self.step.to_string(),
        }
    }
}

/// The verdict and the event, in one line.
pub(crate) fn heading(decision: Decision, event: &Event<'_>) -> String {
    let by = event
        .source
        .bytes()
        .map(|source| format!("  by {}", printable(source)));
    format!(
        "{}  {}  {}{}",
        decision.verdict,
        event.operation.name(),
        described(&event.operation),
        by.unwrap_or_default()
    )
}

fn assumed(source: &[u8]) -> String {
    if source.contains(&0xff) {
        let known: Vec<u8> = source
            .iter()
            .copied()
            .take_while(|byte| *byte != 0xff)
            .collect();
        return if known == b"/" {
            "one that no rule names comes off worst".to_owned()
        } else {
            format!("one below {} comes off worst", printable(&known))
        };
    }
    format!("{} comes off worst", printable(source))
}

/// `web-block-shells process.matchPaths[0] at web.yaml:20`
fn place(explainer: &Explainer, id: RuleId) -> String {
    explainer
        .compiled()
        .rule(id)
        .map_or_else(String::new, |rule| {
            let text = format!(
                "{} {} at {}:{}",
                rule.policy,
                rule.field_path(),
                rule.file,
                rule.line
            );
            printable(text.as_bytes())
        })
}

fn decided(explainer: &Explainer, decision: &Decision) -> String {
    match decision.cause {
        Cause::Rule(rule) => format!("{} by {}", decision.verdict, place(explainer, rule)),
        Cause::Posture => format!("{} by the default posture", decision.verdict),
        Cause::None => format!("{}, no rule speaks", decision.verdict),
    }
}

fn became(explainer: &Explainer, standing: &Standing) -> String {
    match standing {
        Standing::Decides => "and decides".to_owned(),
        Standing::Grants => "and wins; the report is another rule's".to_owned(),
        Standing::Agrees { with } => {
            format!("as does {}, which is named first", place(explainer, *with))
        }
        Standing::Loses {
            step: Step::Watching,
            ..
        } => "and isn't asked: what is blocked is reported anyway".to_owned(),
        Standing::Loses { step, to } => {
            let to = to.map(|rule| format!(" to {}", place(explainer, rule)));
            format!("and loses{}: {step}", to.unwrap_or_default())
        }
        Standing::Silent => "for its conditions hold".to_owned(),
        Standing::LeftOut => "and doesn't count for a mapping".to_owned(),
    }
}
