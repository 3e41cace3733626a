//! Files of tests.

use std::io;
use std::path::{Path, PathBuf};

use gambeson_policy_model::Verdict;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;
use thiserror::Error;

/// What keeps tests from being read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TestFileError {
    /// The file or folder can't be read.
    #[error("`{}` can't be read: {error}", file.display())]
    Io {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file holds something else.
    #[error("`{}` holds no tests of policies: {message}", file.display())]
    NoTests {
        /// Which.
        file: PathBuf,
        /// What the YAML reader says, with line and column.
        message: String,
    },
    /// There is no file of tests in a folder.
    #[error("there is no file `*.test.yaml` below `{}`", folder.display())]
    NoFiles {
        /// Which.
        folder: PathBuf,
    },
}

/// The tests of one file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TestFile {
    /// The file as it was named.
    pub path: PathBuf,
    /// Its documents.
    pub tests: Vec<Test>,
}

/// Policies, a workload, and what must become of events.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Test {
    /// What it shows.
    pub name: String,
    /// Where it comes from.
    #[serde(default)]
    pub about: Option<String>,
    pub(super) policies: Policies,
    pub(super) workload: Value,
    /// Whether the policies compile; a test may say that they must be refused.
    #[serde(default = "yes")]
    pub compiles: bool,
    /// Files that a kernel needs; not asked here.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "read so that scenarios are tests, and kept in `written`"
    )]
    tree: Option<Value>,
    /// What is done.
    #[serde(default)]
    pub steps: Vec<Spanned<Step>>,
    /// The document as it is written.
    #[serde(skip)]
    written: Value,
}

/// Where a test's policies are.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "the text of policies, or a list of files and folders"
)]
pub(super) enum Policies {
    Text(String),
    Files(Vec<PathBuf>),
}

/// The fields of a test; `tree` is for kernels alone.
const OF_TEST: [&str; 7] = [
    "name", "about", "policies", "workload", "compiles", "tree", "steps",
];

/// The fields of a step; from `do` on, they are for kernels alone.
const OF_STEP: [&str; 14] = [
    "event", "events", "verdict", "cause", "rule", "workload", "do", "with", "first", "source",
    "kernel", "why", "corpus", "note",
];

const fn yes() -> bool {
    true
}

/// One operation, and what must happen.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Step {
    /// The event, as in a file of events.
    #[serde(default)]
    pub event: Option<Value>,
    /// The events, where one operation is several, or none.
    #[serde(default)]
    pub events: Option<Vec<Value>>,
    /// What must happen.
    pub verdict: Verdict,
    /// `posture` or `none`.
    #[serde(default)]
    pub cause: Option<String>,
    /// The policy's name and the rule's field path.
    #[serde(default)]
    pub rule: Option<String>,
    /// Another workload than the test's.
    #[serde(default)]
    pub workload: Option<Value>,
}

impl Step {
    /// Its events.
    pub fn events(&self) -> impl Iterator<Item = &Value> {
        self.event.iter().chain(self.events.iter().flatten())
    }
}

impl TestFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, TestFileError> {
        let text = std::fs::read_to_string(path).map_err(|error| TestFileError::Io {
            file: path.to_owned(),
            error,
        })?;
        Self::from_text(path, &text)
    }

    /// Reads a text. Policies' files are looked for from the folder of `path`.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn from_text(path: impl AsRef<Path>, text: &str) -> Result<Self, TestFileError> {
        let path = path.as_ref();
        let no_tests = |message: String| TestFileError::NoTests {
            file: path.to_owned(),
            message,
        };
        let mut tests: Vec<Test> =
            serde_saphyr::from_multiple(text).map_err(|error| no_tests(error.to_string()))?;
        let written: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|error| no_tests(error.to_string()))?;
        for (test, written) in tests.iter_mut().zip(written) {
            if let Some(field) = unknown(&written) {
                let message = format!("`{field}` is no field of a test or a step");
                return Err(no_tests(format!("the test `{}`: {message}", test.name)));
            }
            test.written = written;
            if test.compiles == test.steps.is_empty() {
                let message = if test.compiles {
                    "has no steps"
                } else {
                    "has steps, though its policies don't compile"
                };
                return Err(no_tests(format!("the test `{}` {message}", test.name)));
            }
            for step in &test.steps {
                if let Some(problem) = problem(&step.value) {
                    let line = step.referenced.line();
                    return Err(no_tests(format!("the step at line {line} {problem}")));
                }
            }
        }
        if tests.is_empty() {
            return Err(no_tests("it is empty".to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            tests,
        })
    }
}

/// A field that there is none of, lest a typing mistake leaves something untested.
fn unknown(test: &Value) -> Option<String> {
    let of = |value: &Value, known: &'static [&'static str]| -> Option<String> {
        let mut names = value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name);
        names.find(|name| !known.contains(&name.as_str())).cloned()
    };
    let steps = test.get("steps").and_then(Value::as_array);
    let mut found = steps.into_iter().flatten().map(|step| of(step, &OF_STEP));
    of(test, &OF_TEST).or_else(|| found.find_map(|found| found))
}

/// What is wrong with a step.
fn problem(step: &Step) -> Option<&'static str> {
    match (&step.event, &step.events, &step.cause, &step.rule) {
        (Some(_), Some(_), ..) => Some("has both `event` and `events`"),
        (None, None, ..) => Some("has neither `event` nor `events`"),
        (_, _, Some(_), Some(_)) => Some("has both `cause` and `rule`"),
        (_, _, Some(cause), None) if !matches!(cause.as_str(), "posture" | "none" | "rule") => {
            Some("has a `cause` other than `posture` and `none`")
        }
        _ => None,
    }
}

impl Test {
    /// The test as a scenario: the same document with the policies' text in place of their files.
    /// `policies` is that text, and `decided` gives the rule or the cause of each step that names
    /// neither.
    #[must_use]
    pub fn to_scenario(&self, policies: &str, decided: &[(String, Option<String>)]) -> Value {
        let mut scenario = self.written.clone();
        let Some(map) = scenario.as_object_mut() else {
            return scenario;
        };
        map.insert("policies".to_owned(), Value::from(policies));
        let steps = map.get_mut("steps").and_then(Value::as_array_mut);
        for (step, (cause, rule)) in steps.into_iter().flatten().zip(decided) {
            let Some(step) = step.as_object_mut() else {
                continue;
            };
            if !step.contains_key("rule") && !step.contains_key("cause") {
                match rule {
                    Some(rule) => step.insert("rule".to_owned(), Value::from(rule.as_str())),
                    None => step.insert("cause".to_owned(), Value::from(cause.as_str())),
                };
            }
        }
        scenario
    }
}

/// The files of tests that a path names: itself, or those called `*.test.yaml` or `*.test.yml` below
/// it, in the order of their paths. Hidden ones are left out.
///
/// # Errors
/// When a folder can't be read or holds none.
pub fn test_files(path: &Path) -> Result<Vec<PathBuf>, TestFileError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| TestFileError::Io {
            file: folder.clone(),
            error,
        };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.starts_with(b".") {
                continue;
            }
            // Links aren't followed, so that none leads in a circle.
            if entry.file_type().map_err(failed)?.is_dir() {
                folders.push(entry.path());
            } else if name.ends_with(b".test.yaml") || name.ends_with(b".test.yml") {
                found.push(entry.path());
            }
        }
    }
    if found.is_empty() {
        return Err(TestFileError::NoFiles {
            folder: path.to_owned(),
        });
    }
    found.sort();
    Ok(found)
}
