//! Starting commands under a profile.
//!
//! A process gets its profile when it is started, or takes it itself; from outside it can't be moved. So a
//! thread of its own takes the profile and starts the command: the change concerns that thread alone, and the
//! command inherits it.

use std::fs;
use std::io::{self, Write as _};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use gambeson_policy_model::EventPath;
use thiserror::Error;

use super::enforcer::Applied;
use super::places::Places;
use crate::audit::{Occurrence, Record};

/// How long a process may take to come under its profile.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(1);

/// When a command comes under the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Before it is executed, so that the policy judges whether it may be.
    #[default]
    Judged,
    /// As it is executed, which is judged by nothing: for what must run whatever the policy says of it.
    OnExec,
}

/// A command that was started under a policy.
#[derive(Debug)]
pub struct Bound {
    /// The process.
    pub child: Child,
    /// The profile that the kernel says it is under; `None` where it has ended already.
    pub label: Option<String>,
}

/// Why a command isn't started under a policy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The thread that starts the command can't take the profile.
    #[error("can't change to the profile `{label}`: {source}{}", why(.source))]
    Change {
        /// The profile.
        label: String,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The command can't be started, or the policy denies that.
    #[error("the command can't be executed: {0}")]
    Start(#[source] io::Error),
    /// The kernel says that the command is under another profile. It was ended.
    #[error("the command came under `{label}` instead of `{expected}`, and was ended")]
    Elsewhere {
        /// What it is under.
        label: String,
        /// What it should be under.
        expected: String,
    },
    /// A step with the system that failed.
    #[error("can't {step}: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

fn why(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; it isn't loaded",
        io::ErrorKind::PermissionDenied => {
            "; this process is under a profile that forbids it, or was started with no_new_privs"
        }
        _ => "",
    }
}

impl Applied {
    /// Starts a command under the policy, and asks the kernel whether it is. Processes that are running
    /// can't be put under a policy: whatever is to be under it must be started so.
    ///
    /// Under [`Start::Judged`], what std opens to start it is judged, too, such as `/dev/null` for
    /// [`Stdio::null`](std::process::Stdio::null).
    ///
    /// # Errors
    /// When the profile can't be taken, or the command not be executed.
    pub fn spawn(&self, command: &mut Command, start: Start) -> Result<Bound, BindError> {
        let program = match start {
            // Whoever starts it is judged by the rules for this program.
            Start::Judged => std::env::current_exe().ok(),
            Start::OnExec => fs::canonicalize(command.get_program()).ok(),
        };
        let program = program.unwrap_or_default();
        let label = self.label_for(program.as_os_str().as_encoded_bytes());
        let child = thread::scope(|scope| {
            let starter = thread::Builder::new().name("gambeson-start".to_owned());
            let starter = starter.spawn_scoped(scope, || {
                change(&self.places, label, start).map_err(|source| BindError::Change {
                    label: label.to_owned(),
                    source,
                })?;
                command.spawn().map_err(BindError::Start)
            });
            match starter.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(BindError::System {
                    step: "start the command",
                    source: io::Error::other("its thread panicked"),
                }),
                Err(source) => Err(BindError::System {
                    step: "start a thread",
                    source,
                }),
            }
        })?;
        self.check(child)
    }

    /// The profile under which a program must be started, as container runtimes are told it.
    #[must_use]
    pub fn label_for(&self, program: &[u8]) -> &str {
        self.profile().profile_for(self.policy(), program)
    }

    /// The processes that the kernel says are under the policy; those that have ended, and only wait to be
    /// asked how, are left out.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.places.proc) else {
            return Vec::new();
        };
        let numbers = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        numbers
            .filter(|process| {
                label_in(&self.places, *process)
                    .is_some_and(|label| self.profile().section(name_in(&label)).is_some())
                    && !has_ended(&self.places, *process)
            })
            .collect()
    }

    /// What a record says of processes under this policy; `None` where it is about others, or about
    /// nothing that was denied or is watched.
    #[must_use]
    pub fn occurrence(&self, record: &Record) -> Option<Occurrence> {
        let profile = std::str::from_utf8(record.profile.as_deref()?).ok()?;
        let section = self.profile().section(profile)?;
        let is_own = section.name == self.name().as_str();
        let source = (!is_own).then(|| EventPath::new(section.program.clone()));
        Occurrence::of(record, source, self.policy())
    }

    /// Asks the kernel for the profile. The kernel lets whoever started a process go on a moment before
    /// the process takes its new profile.
    fn check(&self, mut child: Child) -> Result<Bound, BindError> {
        let deadline = Instant::now() + PATIENCE;
        let label = loop {
            let Some(label) = label_in(&self.places, child.id()) else {
                return Ok(Bound { child, label: None });
            };
            let name = name_in(&label);
            if self.profile().section(name).is_some() {
                let label = Some(name.to_owned());
                return Ok(Bound { child, label });
            }
            // One that has ended is under what it was under before it was executed, or nothing.
            if has_ended(&self.places, child.id()) {
                return Ok(Bound { child, label: None });
            }
            if Instant::now() >= deadline {
                break label;
            }
            thread::sleep(LOOK);
        };
        let ended = child.kill().and_then(|()| child.wait());
        ended.map_err(|source| BindError::System {
            step: "end a command that came under another profile",
            source,
        })?;
        Err(BindError::Elsewhere {
            label,
            expected: self.name().to_string(),
        })
    }
}

/// The profile that a process is under, as the kernel tells it, such as `gambeson.web (enforce)`; `None` where
/// there is no such process.
#[must_use]
pub fn label_of(process: u32) -> Option<String> {
    label_in(&Places::default(), process)
}

fn label_in(places: &Places, process: u32) -> Option<String> {
    let file = places.attribute(&process.to_string(), "current");
    let label = fs::read_to_string(file).ok()?;
    let label = label.trim_end_matches(['\n', '\0']);
    // A process that has ended is under nothing.
    (!label.is_empty()).then(|| label.to_owned())
}

/// The profile's name in `gambeson.web (enforce)`.
fn name_in(label: &str) -> &str {
    label.split(" (").next().unwrap_or_default()
}

/// Whether a process is a zombie.
fn has_ended(places: &Places, process: u32) -> bool {
    let stat = fs::read_to_string(places.proc.join(format!("{process}/stat")));
    // The program's name before may hold anything.
    stat.is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
    })
}

/// Has the calling thread change, now or when it executes something.
fn change(places: &Places, label: &str, start: Start) -> io::Result<()> {
    let (file, command) = match start {
        Start::Judged => ("current", "changeprofile"),
        Start::OnExec => ("exec", "exec"),
    };
    let file = places.attribute("thread-self", file);
    let mut file = fs::OpenOptions::new().write(true).open(file)?;
    // In one call, as everything for the kernel's ears.
    let text = format!("{command} {label}");
    let written = file.write(text.as_bytes())?;
    if written == text.len() {
        Ok(())
    } else {
        Err(io::Error::other("the kernel took half of the name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_apparmor_itself_goes_before_the_shared_one() {
        let root = std::env::temp_dir().join(format!("gambeson-bind-{}", std::process::id()));
        let places = Places {
            proc: root.clone(),
            ..Places::default()
        };
        fs::create_dir_all(root.join("7/attr")).unwrap();
        assert_eq!(places.attribute("7", "exec"), root.join("7/attr/exec"));
        fs::create_dir_all(root.join("7/attr/apparmor")).unwrap();
        assert_eq!(
            places.attribute("7", "exec"),
            root.join("7/attr/apparmor/exec")
        );
        fs::write(root.join("7/attr/apparmor/current"), "web (enforce)\n").unwrap();
        assert_eq!(label_in(&places, 7).as_deref(), Some("web (enforce)"));
        assert_eq!(label_in(&places, 8), None);
        fs::create_dir_all(root.join("thread-self/attr/apparmor")).unwrap();
        fs::write(root.join("thread-self/attr/apparmor/exec"), "").unwrap();
        change(&places, "web", Start::OnExec).unwrap();
        let written = fs::read_to_string(root.join("thread-self/attr/apparmor/exec")).unwrap();
        assert_eq!(written, "exec web");
        fs::remove_dir_all(&root).unwrap();
    }
}
