//! Explanations for programs.

use gambeson_policy_model::{Cause, Decision, Event, RuleId, SourceMap};
use serde_json::{Value, json};

use super::{Explainer, Explanation, excerpt, sort_of};
use crate::steps::Standing;

impl Explanation {
    /// The explanation as JSON, with each rule's policy, place and YAML.
    #[must_use]
    pub fn to_json(&self, explainer: &Explainer, event: &Event<'_>, sources: &SourceMap) -> Value {
        let place = |id: RuleId| rule(explainer, id);
        let matched: Vec<Value> = self
            .matched
            .iter()
            .map(|matched| {
                let mut value = place(matched.rule);
                if let Some(map) = value.as_object_mut() {
                    if let Some(rule) = explainer.rule(matched.rule) {
                        let lines: Vec<&str> = excerpt(rule, sources)
                            .into_iter()
                            .map(|(_, line)| line)
                            .collect();
                        map.insert("action".to_owned(), json!(rule.action.name()));
                        map.insert("names".to_owned(), json!(sort_of(rule)));
                        map.insert("yaml".to_owned(), json!(lines.join("\n")));
                    }
                    map.insert("effect".to_owned(), json!(matched.effect));
                    map.insert("standing".to_owned(), standing(&matched.standing, &place));
                }
                value
            })
            .collect();
        json!({
            "event": serde_json::from_str::<Value>(&event.to_json()).unwrap_or_default(),
            "verdict": self.decision.verdict,
            "cause": self.decision.cause.name(),
            "rule": self.decision.rule().map(place),
            "step": self.step,
            "because": self.step.words(),
            "matched": matched,
            "without": self.without.map(|decision| decided(&decision, &place)),
            "allow_list": self.allow_list,
            "audited": self.audited,
            "assumed_source": self.assumed_source.as_deref().map(String::from_utf8_lossy),
        })
    }
}

fn decided(decision: &Decision, place: &impl Fn(RuleId) -> Value) -> Value {
    json!({
        "verdict": decision.verdict,
        "cause": decision.cause.name(),
        "rule": match decision.cause {
            Cause::Rule(id) => place(id),
            Cause::Posture | Cause::None => Value::Null,
        },
    })
}

fn standing(standing: &Standing, place: &impl Fn(RuleId) -> Value) -> Value {
    match standing {
        Standing::Agrees { with } => json!({"is": "agrees", "with": place(*with)}),
        Standing::Loses { step, to } => {
            json!({"is": "loses", "step": step, "to": to.map(place)})
        }
        other => json!(other),
    }
}

/// Where a rule stands.
pub(crate) fn rule(explainer: &Explainer, id: RuleId) -> Value {
    explainer.compiled().rule(id).map_or(Value::Null, |info| {
        json!({
            "policy": info.policy,
            "rule": info.field_path(),
            "file": info.file,
            "line": info.line,
        })
    })
}
