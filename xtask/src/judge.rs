//! Carries scenarios out: in the compiled engine and in the reference evaluator.

use std::fmt;

use gambeson::matcher::reference::Evaluator;
use gambeson::matcher::{Compile, CompiledPolicy, Config};
use gambeson::policy_model::{
    Cause, Decision, Event, EventError, Reader, Selection, Verdict, Workload, WorkloadError,
};
use thiserror::Error;

use crate::scenario::{Scenario, Step};

/// What carries decisions out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// The compiled tables.
    Compiled,
    /// The tables, written to bytes and loaded again.
    Loaded,
    /// The reference evaluator.
    Reference,
}

impl Carrier {
    /// Every carrier.
    pub const ALL: [Self; 3] = [Self::Compiled, Self::Loaded, Self::Reference];

    /// A short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compiled => "compiled",
            Self::Loaded => "loaded",
            Self::Reference => "reference",
        }
    }
}

/// A verdict, its cause and its rule, spelled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What happens.
    pub verdict: Verdict,
    /// `rule`, `posture` or `none`.
    pub cause: String,
    /// The policy's name and the rule's field path.
    pub rule: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => write!(f, "{} by {rule}", self.verdict),
            None => write!(f, "{} by {}", self.verdict, self.cause),
        }
    }
}

/// One step as one carrier took it.
#[derive(Debug, Clone)]
pub struct Judged<'a> {
    /// The step.
    pub step: &'a Step,
    /// The carrier.
    pub carrier: Carrier,
    /// What must happen.
    pub expected: Outcome,
    /// What happened.
    pub outcome: Outcome,
}

impl Judged<'_> {
    /// Whether it happened as it must.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.expected == self.outcome
    }
}

impl fmt::Display for Judged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            carrier,
            expected,
            outcome,
        } = self;
        let carrier = carrier.name();
        write!(
            f,
            "{}: {carrier}: {outcome}, expected {expected}",
            step.describe()
        )
    }
}

/// What keeps a scenario from being carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// The policies have errors.
    #[error("the policies can't be read: {0}")]
    Policies(String),
    /// The workload is none.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// An event is none.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The policies are refused, and should not be.
    #[error("the policies don't compile: {0}")]
    Refused(String),
    /// The policies compile, and should not.
    #[error("the policies compile, though the scenario says that they must be refused")]
    NotRefused,
}

/// Carries a scenario out, every step in every carrier.
///
/// # Errors
/// When it can't be carried out.
pub fn judge(scenario: &Scenario) -> Result<Vec<Judged<'_>>, JudgeError> {
    if !scenario.compiles {
        let workload = Workload::from_json(&scenario.workload.to_string())?;
        return match select(scenario, &workload).and_then(|selection| Engines::new(&selection)) {
            Err(JudgeError::Refused(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
            Ok(_) => Err(JudgeError::NotRefused),
        };
    }
    let mut judged = Vec::new();
    for step in &scenario.steps {
        let workload = step.workload.as_ref().unwrap_or(&scenario.workload);
        let workload = Workload::from_json(&workload.to_string())?;
        let selection = select(scenario, &workload)?;
        let engines = Engines::new(&selection)?;
        let lines: Vec<String> = step.events().map(ToString::to_string).collect();
        let events = lines.iter().map(|line| Event::from_json(line));
        let events = events.collect::<Result<Vec<_>, _>>()?;
        for carrier in Carrier::ALL {
            let outcomes = events
                .iter()
                .map(|event| engines.outcome(carrier, &selection, event));
            judged.push(Judged {
                step,
                carrier,
                expected: expected(step),
                outcome: strictest(outcomes),
            });
        }
    }
    Ok(judged)
}

/// The strictest of an operation's outcomes, the first of equals; Allow where there is none.
pub(crate) fn strictest(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    outcomes
        .reduce(|first, next| {
            if next.verdict > first.verdict {
                next
            } else {
                first
            }
        })
        .unwrap_or_else(|| Outcome {
            verdict: Verdict::Allow,
            cause: Cause::None.name().to_owned(),
            rule: None,
        })
}

/// What a step says must happen.
pub(crate) fn expected(step: &Step) -> Outcome {
    Outcome {
        verdict: step.verdict,
        cause: step.cause.clone().unwrap_or_else(|| "rule".to_owned()),
        rule: step.rule.clone(),
    }
}

pub(crate) fn select(scenario: &Scenario, workload: &Workload) -> Result<Selection, JudgeError> {
    let reading = Reader::new().read_str("policies", &scenario.policies);
    let mistakes: Vec<String> = reading
        .documents()
        .iter()
        .filter(|document| document.policy.is_none())
        .flat_map(|document| &document.diagnostics)
        .map(|diagnostic| format!("line {}: {}", diagnostic.location.line, diagnostic.message))
        .collect();
    if !mistakes.is_empty() {
        return Err(JudgeError::Policies(mistakes.join("; ")));
    }
    let set = reading
        .into_set()
        .map_err(|error| JudgeError::Refused(error.to_string()))?;
    Ok(set.select(workload))
}

struct Engines {
    compiled: CompiledPolicy,
    loaded: CompiledPolicy,
    reference: Evaluator,
}

impl Engines {
    fn new(selection: &Selection) -> Result<Self, JudgeError> {
        let refused = |error: &dyn fmt::Display| JudgeError::Refused(error.to_string());
        let config = Config::default();
        let reference = Evaluator::new(selection, &config).map_err(|error| refused(&error))?;
        let compiled = selection
            .compile(&config)
            .map_err(|error| refused(&error))?;
        let loaded =
            CompiledPolicy::from_bytes(&compiled.to_bytes()).map_err(|error| refused(&error))?;
        Ok(Self {
            compiled,
            loaded,
            reference,
        })
    }

    fn outcome(&self, carrier: Carrier, selection: &Selection, event: &Event<'_>) -> Outcome {
        let image = match carrier {
            Carrier::Compiled => &self.compiled,
            Carrier::Loaded => &self.loaded,
            Carrier::Reference => {
                let decision = self.reference.decide(event);
                return outcome(decision, |id| {
                    let rule = selection.rules().get(id)?;
                    Some(format!("{} {}", rule.policy.name, rule.field_path()))
                });
            }
        };
        let decision = image.decide(event);
        outcome(decision, |_| {
            let rule = image.rule(decision.rule()?)?;
            Some(format!("{} {}", rule.policy, rule.field_path()))
        })
    }
}

fn outcome(decision: Decision, name: impl Fn(usize) -> Option<String>) -> Outcome {
    let rule = match decision.cause {
        Cause::Rule(id) => usize::try_from(id.0).ok().and_then(name),
        Cause::Posture | Cause::None => None,
    };
    Outcome {
        verdict: decision.verdict,
        cause: decision.cause.name().to_owned(),
        rule,
    }
}
