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
//!
//! Where a kernel judges, a step may say how its event comes about, and in which file tree:
//!
//! ```yaml
//! tree:                                    # besides the files that events name
//!   - {path: /data/link, symlink: /data/real}
//!   - {path: /data/real, owner: 1000, mode: "0644", content: x}
//!   - {path: /data/folder/}
//! steps:
//!   - event: {op: write, path: /data/real, source: /bin/app}
//!     do: truncate                         # the way; each operation has a simplest one
//!     with: {path: /data/link}             # the name that the system call is given
//!     verdict: Block
//!     rule: p file.matchPaths[0]
//!   - events:                              # one operation, several events: the strictest verdict
//!       - {op: write, path: /data/real, source: /bin/app}
//!       - {op: write, path: /data/g, source: /bin/app}
//!     do: rename
//!     with: {to: /data/g}
//!     first: [{do: unshare-user}]          # done by the subject before; a refusal is a Block
//!     verdict: Block
//!     rule: p file.matchPaths[0]
//!   - event: {op: device, class: HID}
//!     verdict: Block
//!     rule: p device.matchDevice[0]
//!     kernel: skip                         # no kernel can be asked
//!     why: there is no USB device
//! ```
//!
//! The ways are those of [`WAYS`](crate::conformance::ways::WAYS). A step with `events: []` does
//! what is no event of the decision model: it must be allowed.

use std::fs;
use std::path::{Path, PathBuf};

use gambeson::policy_model::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// One scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// Files besides those that events name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tree: Vec<Entry>,
    /// What is done.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// One file of the tree: a directory where its path ends in a slash.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where it is.
    pub path: String,
    /// It is a symbolic link to this.
    #[serde(default)]
    pub symlink: Option<String>,
    /// It is another name of this file.
    #[serde(default)]
    pub link: Option<String>,
    /// It is another place of this file or directory.
    #[serde(default)]
    pub bind: Option<String>,
    /// It is an overlay with this lower directory.
    #[serde(default)]
    pub overlay: Option<String>,
    /// It holds this.
    #[serde(default)]
    pub content: Option<String>,
    /// It can be executed.
    #[serde(default)]
    pub program: bool,
    /// It is a program that can be the subject.
    #[serde(default)]
    pub subject: bool,
    /// Who owns it.
    #[serde(default)]
    pub owner: Option<u32>,
    /// Its mode, in octal digits.
    #[serde(default)]
    pub mode: Option<String>,
}

const fn yes() -> bool {
    true
}

/// What an operation is given besides its event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct With {
    /// The name that the system call is given; the event's path unless it is another.
    #[serde(default)]
    pub path: Option<String>,
    /// The second name.
    #[serde(default)]
    pub to: Option<String>,
    /// The port to connect or send to.
    #[serde(default)]
    pub port: Option<u16>,
}

impl With {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What the subject does before.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct First {
    /// The way.
    #[serde(rename = "do")]
    pub way: String,
    /// What it is given.
    #[serde(default)]
    pub with: With,
}

/// What kernels have to do with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InKernel {
    /// Nothing.
    Skip,
}

/// One operation, and what must happen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The event, as in a file of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Value>,
    /// The events, where one operation is several, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<Value>>,
    /// How it comes about in a kernel.
    #[serde(rename = "do", default, skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    /// What that is given.
    #[serde(default, skip_serializing_if = "With::is_default")]
    pub with: With,
    /// What the subject does before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<First>,
    /// The subject's program, where there is no event to name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether a kernel can be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<InKernel>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
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

impl Step {
    /// Its events.
    pub fn events(&self) -> impl Iterator<Item = &Value> {
        self.event.iter().chain(self.events.iter().flatten())
    }

    /// What happens, in one line.
    #[must_use]
    pub fn describe(&self) -> String {
        let way = self.way.as_ref().map(|way| format!("{way}: "));
        let events: Vec<String> = self.events().map(Value::to_string).collect();
        way.unwrap_or_default() + &events.join(" and ")
    }
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
                    let event = step.describe();
                    assert!(step.event.is_some() != step.events.is_some(), "{place}");
                    assert!(step.kernel.is_some() == step.why.is_some(), "{place}");
                    for event in step.events().map(Value::to_string) {
                        assert!(Event::from_json(&event).is_ok(), "{place}: {event}");
                    }
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
