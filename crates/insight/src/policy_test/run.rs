//! Running tests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use gambeson_matcher::Config;
use gambeson_policy_model::{
    Cause, Event, PolicySet, Reader, Reading, RuleId, SourceMap, Verdict, Workload,
};
use serde_json::Value;

use super::coverage::Coverage;
use super::file::{Policies, Step, Test, TestFile};
use super::report::{Case, Decided, Outcome, Report};
use crate::explain::{Explainer, Explanation, described};

/// Runs tests and collects what came of them.
#[derive(Debug, Clone, Default)]
pub struct Tester {
    reader: Reader,
    config: Config,
    report: Report,
    /// What was read already, by the paths that were asked for.
    read: HashMap<Vec<PathBuf>, Reading>,
}

/// Policies that were read for one test, and explainers for the workloads that it has named.
struct Bench {
    policies: PolicySet,
    sources: SourceMap,
    explainers: HashMap<String, Explainer>,
}

/// Why a test can't be run.
enum Refusal {
    /// The policies are refused, as a test may say that they must be.
    Refused(String),
    /// Anything else.
    Error(String),
}

impl Tester {
    /// A tester that reads policies with `reader` and compiles them so.
    #[must_use]
    pub fn new(reader: Reader, config: Config) -> Self {
        Self {
            reader,
            config,
            ..Self::default()
        }
    }

    /// What came of all tests so far.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// What came of all tests.
    #[must_use]
    pub fn into_report(self) -> Report {
        self.report
    }

    /// Runs every test of a file. Gives each as a scenario, where it could be run.
    pub fn run(&mut self, file: &TestFile) -> Vec<Value> {
        let tests = file.tests.iter();
        tests
            .filter_map(|test| self.run_test(&file.path, test))
            .collect()
    }

    fn run_test(&mut self, path: &Path, test: &Test) -> Option<Value> {
        let mut coverage = std::mem::take(&mut self.report.coverage);
        let result = self.run_steps(path, test, &mut coverage);
        self.report.coverage = coverage;
        match result {
            Ok(scenario) => Some(scenario),
            Err(error) => {
                self.push(path, test, None, Outcome::Error(error));
                None
            }
        }
    }

    fn push(&mut self, path: &Path, test: &Test, step: Option<(&Step, u64)>, outcome: Outcome) {
        self.report.cases.push(Case {
            file: path.to_string_lossy().into_owned(),
            test: test.name.clone(),
            line: step.map(|(_, line)| line),
            step: step.map_or_else(|| "the policies".to_owned(), |(step, _)| describe(step)),
            place: None,
            outcome,
        });
    }

    fn run_steps(
        &mut self,
        path: &Path,
        test: &Test,
        coverage: &mut Coverage,
    ) -> Result<Value, String> {
        let reading = self.reading(path, test)?;
        let sources = reading.sources().clone();
        let text = text_of(&reading);
        let bench = reading
            .into_set()
            .map_err(|error| Refusal::Refused(error.to_string()))
            .map(|policies| Bench {
                policies,
                sources,
                explainers: HashMap::new(),
            });
        if !test.compiles {
            let refused = bench
                .and_then(|mut bench| bench.explainer(&test.workload, &self.config).map(|_| ()));
            let outcome = match refused {
                Err(Refusal::Refused(_)) => Outcome::Passed,
                Err(Refusal::Error(error)) => return Err(error),
                Ok(()) => Outcome::Error(
                    "the policies compile, though the test says that they must be refused"
                        .to_owned(),
                ),
            };
            self.push(path, test, None, outcome);
            return Ok(test.to_scenario(&text, &[]));
        }
        let mut bench = bench.map_err(Refusal::into_text)?;
        for policy in bench.policies.policies() {
            coverage.add(policy);
        }
        let mut all_decided = Vec::new();
        for step in &test.steps {
            let line = step.referenced.line();
            let workload = step.value.workload.as_ref().unwrap_or(&test.workload);
            let (outcome, decided) =
                match bench.judge(workload, &step.value, &self.config, coverage) {
                    Ok(judged) => judged,
                    Err(error) => return Err(format!("line {line}: {}", error.into_text())),
                };
            all_decided.push((decided.cause, decided.rule));
            self.push(path, test, Some((&step.value, line)), outcome);
        }
        Ok(test.to_scenario(&text, &all_decided))
    }

    /// The test's policies as they were read.
    fn reading(&mut self, path: &Path, test: &Test) -> Result<Reading, String> {
        let reading = match &test.policies {
            Policies::Text(text) => {
                let name = format!("{}: {}", path.display(), test.name);
                self.reader.read_str(&name, text)
            }
            Policies::Files(files) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                let files: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
                if !self.read.contains_key(&files) {
                    let mut reading = Reading::default();
                    for file in &files {
                        let read = self.reader.read_path(file);
                        reading.extend(read.map_err(|error| error.to_string())?);
                    }
                    self.read.insert(files.clone(), reading);
                }
                self.read.get(&files).cloned().unwrap_or_default()
            }
        };
        // As in scenarios, what can't be read at all is a mistake, whatever the test says.
        let mistakes: Vec<String> = reading
            .documents()
            .iter()
            .filter(|document| document.policy.is_none())
            .flat_map(|document| &document.diagnostics)
            .map(ToString::to_string)
            .collect();
        if mistakes.is_empty() {
            Ok(reading)
        } else {
            Err(format!(
                "the policies can't be read: {}",
                mistakes.join("; ")
            ))
        }
    }
}

/// The policies' texts, one behind the other.
fn text_of(reading: &Reading) -> String {
    let mut files: Vec<&str> = Vec::new();
    for document in reading.documents() {
        if let Some(policy) = &document.policy {
            let file = &*policy.location().file;
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    let texts = files.iter().filter_map(|file| reading.sources().get(file));
    let texts: Vec<&str> = texts.map(|text| text.trim_end()).collect();
    texts.join("\n---\n") + "\n"
}

impl Refusal {
    fn into_text(self) -> String {
        match self {
            Self::Refused(text) | Self::Error(text) => text,
        }
    }
}

impl Bench {
    fn explainer(&mut self, workload: &Value, config: &Config) -> Result<&Explainer, Refusal> {
        let text = workload.to_string();
        if !self.explainers.contains_key(&text) {
            let workload =
                Workload::from_json(&text).map_err(|error| Refusal::Error(error.to_string()))?;
            let selection = self.policies.select(&workload);
            let explainer = Explainer::new(&selection, config)
                .map_err(|error| Refusal::Refused(error.to_string()))?;
            self.explainers.insert(text.clone(), explainer);
        }
        self.explainers
            .get(&text)
            .ok_or_else(|| Refusal::Error("the workload is unknown".to_owned()))
    }

    /// What becomes of a step, and what was decided.
    fn judge(
        &mut self,
        workload: &Value,
        step: &Step,
        config: &Config,
        coverage: &mut Coverage,
    ) -> Result<(Outcome, Decided), Refusal> {
        self.explainer(workload, config)?;
        let explainer = self.explainers.get(&workload.to_string());
        let Some(explainer) = explainer else {
            return Err(Refusal::Error("the workload is unknown".to_owned()));
        };
        let lines: Vec<String> = step.events().map(ToString::to_string).collect();
        let mut strictest: Option<(Event<'_>, Explanation)> = None;
        for line in &lines {
            let event =
                Event::from_json(line).map_err(|error| Refusal::Error(error.to_string()))?;
            let explanation = explainer.explain(&event);
            let verdict = explanation.decision.verdict;
            if strictest
                .as_ref()
                .is_none_or(|(_, first)| verdict > first.decision.verdict)
            {
                strictest = Some((event, explanation));
            }
        }
        let decided = match &strictest {
            Some((_, explanation)) => {
                let decision = explanation.decision;
                let rule = decision.rule().and_then(|id| explainer.rule(id));
                if let Some(rule) = rule {
                    coverage.decided(rule);
                }
                Decided {
                    verdict: decision.verdict,
                    cause: decision.cause.name().to_owned(),
                    rule: rule_name(explainer, decision.rule()),
                }
            }
            // An operation that is no event is allowed.
            None => Decided {
                verdict: Verdict::Allow,
                cause: Cause::None.name().to_owned(),
                rule: None,
            },
        };
        if decided.agrees_with(step) {
            return Ok((Outcome::Passed, decided));
        }
        let explanation = strictest
            .map(|(event, explanation)| explanation.to_text(explainer, &event, &self.sources));
        let outcome = Outcome::Failed {
            expected: Decided {
                verdict: step.verdict,
                cause: step.cause.clone().unwrap_or_default(),
                rule: step.rule.clone(),
            }
            .to_string(),
            found: decided.to_string(),
            explanation: explanation.unwrap_or_default(),
        };
        Ok((outcome, decided))
    }
}

fn rule_name(explainer: &Explainer, id: Option<RuleId>) -> Option<String> {
    let rule = explainer.compiled().rule(id?)?;
    Some(format!("{} {}", rule.policy, rule.field_path()))
}

/// What happens in a step, in one line.
fn describe(step: &Step) -> String {
    let events: Vec<String> = step
        .events()
        .map(|event| {
            let text = event.to_string();
            match Event::from_json(&text) {
                Ok(event) => {
                    let by = event.source.bytes().map(String::from_utf8_lossy);
                    let by = by.map(|source| format!(" by {source}"));
                    format!(
                        "{} {}{}",
                        event.operation.name(),
                        described(&event.operation),
                        by.unwrap_or_default()
                    )
                }
                Err(_) => text,
            }
        })
        .collect();
    if events.is_empty() {
        "no event".to_owned()
    } else {
        events.join(" and ")
    }
}
