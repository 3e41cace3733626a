//! Scenarios: policies, a workload, what is done, and what must happen. One format for whatever
//! carries decisions out.
//!
//! A file holds one scenario or several, as YAML documents:
//!
//! ```yaml
//! name: a program blocked for one caller
//! about: the sentence of the decision model that it tests   # or any other origin
//! policies: |                                               # as in a policy file
//!   apiVersion: security.kubearmor.com/v1
//!   kind: KubeArmorPolicy
//!   metadata: {name: p}
//!   spec:
//!     selector: {}
//!     process: {matchPaths: [{path: /bin/ls, fromSource: [{path: /bin/dash}]}]}
//! workload: {kind: pod, namespace: default}                 # as in a workload file
//! steps:
//!   - event: {op: exec, path: /bin/ls, source: /bin/dash}   # as in a file of events
//!     verdict: Block
//!     rule: p process.matchPaths[0]                         # or `cause: posture`, `cause: none`
//! ```
//!
//! A step may name another `workload`, the step of a `corpus` that it translates, and in a `note`
//! why its verdict is another there. A scenario with `compiles: false` says that its policies must
//! be refused.

use std::fs;
use std::path::{Path, PathBuf};

use gambeson::policy_model::Verdict;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// One scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows.
    pub name: String,
    /// The sentence it tests, or where it comes from.
    #[serde(default)]
    pub about: Option<String>,
    /// The policies, as text.
    pub policies: String,
    /// The workload, as in a workload file.
    pub workload: Value,
    /// Whether the policies compile.
    #[serde(default = "yes")]
    pub compiles: bool,
    /// What is done.
    #[serde(default)]
    pub steps: Vec<Step>,
}

const fn yes() -> bool {
    true
}

/// One event, and what must happen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The event, as in a file of events.
    pub event: Value,
    /// What must happen.
    pub verdict: Verdict,
    /// `posture` or `none`; `rule` where a rule is given.
    #[serde(default)]
    pub cause: Option<String>,
    /// The policy's name and the rule's field path.
    #[serde(default)]
    pub rule: Option<String>,
    /// Another workload than the scenario's.
    #[serde(default)]
    pub workload: Option<Value>,
    /// The step of a corpus that this one translates, and its result there.
    #[serde(default)]
    pub corpus: Option<String>,
    /// Why the verdict is another than there.
    #[serde(default)]
    pub note: Option<String>,
}

/// What keeps scenarios from being read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file can't be read.
    #[error("`{}` can't be read", file.display())]
    Io {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The file is no scenario.
    #[error("`{}` holds no scenario: {message}", file.display())]
    Yaml {
        /// Which.
        file: PathBuf,
        /// Why.
        message: String,
    },
}

/// The scenarios of one file.
#[derive(Debug, Clone)]
pub struct ScenarioFile {
    /// The file.
    pub path: PathBuf,
    /// Its documents.
    pub scenarios: Vec<Scenario>,
}

/// Reads every scenario below a folder, in the order of the file names.
///
/// # Errors
/// When a file can't be read or holds something else.
pub fn read_folder(folder: &Path) -> Result<Vec<ScenarioFile>, ReadError> {
    let failed = |file: &Path, error| ReadError::Io {
        file: file.to_owned(),
        error,
    };
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(|error| failed(folder, error))?;
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        if path.is_dir() {
            files.extend(read_folder(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
            let scenarios =
                serde_saphyr::from_multiple(&text).map_err(|error| ReadError::Yaml {
                    file: path.clone(),
                    message: error.to_string(),
                })?;
            files.push(ScenarioFile { path, scenarios });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gambeson::policy_model::{Event, Workload};

    #[test]
    fn the_scenarios_of_this_project_are_well_formed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
        let files = read_folder(&folder).unwrap();
        assert!(files.len() > 40);
        for file in files {
            for scenario in file.scenarios {
                let place = format!("{}: {}", file.path.display(), scenario.name);
                assert!(scenario.compiles != scenario.steps.is_empty(), "{place}");
                for step in scenario.steps {
                    let event = step.event.to_string();
                    assert!(Event::from_json(&event).is_ok(), "{place}: {event}");
                    let workload = step.workload.as_ref().unwrap_or(&scenario.workload);
                    if let Err(error) = Workload::from_json(&workload.to_string()) {
                        panic!("{place}: {error}");
                    }
                    assert!(
                        step.rule.is_some() != step.cause.is_some(),
                        "{place}: {event}"
                    );
                }
            }
        }
    }
}
