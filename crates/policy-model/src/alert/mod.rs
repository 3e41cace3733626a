//! Alerts in KubeArmor's two JSON shapes, and as findings of OCSF.
//!
//! The shape of the gRPC service and of `karmor` has names in PascalCase and leaves out what is
//! empty, but for `PPID` and `UID`. The shape of the daemon's standard output and log file has
//! names in lowerCamelCase, and fields that are always present. Both are read back.

mod context;
mod daemon;
mod describe;
mod ocsf;
mod throttle;
mod time;

pub use context::{AlertContext, ExecEvent, PodOwner};
pub use throttle::{Admission, AlertThrottle};
pub use time::UnixTime;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::decision::{Cause, Decision, Verdict};
use crate::event::Event;
use crate::identity::PolicyKind;
use crate::posture::Enforcement;
use crate::rule::{Action, Class};
use crate::rule_info::RuleInfo;

/// The policy name of what the default posture decides.
pub const DEFAULT_POSTURE: &str = "DefaultPosture";

/// One alert, with KubeArmor's fields. Empty texts and lists and zeros are fields that aren't given.
///
/// ```
/// use gambeson_policy_model::{Alert, AlertContext, Decision, Event, UnixTime, Verdict, Workload};
/// let event = Event::read("/etc/shadow").by("/usr/bin/cat");
/// let decision = Decision::by_posture(Verdict::Block);
/// let context = AlertContext {
///     time: UnixTime { seconds: 1_750_000_000, microseconds: 123_456 },
///     ..AlertContext::of(&Workload::pod("shop").label("app", "web"))
/// };
/// let alert = Alert::new(&event, &decision, None, &context).unwrap();
/// assert_eq!(alert.policy_name, "DefaultPosture");
/// assert_eq!((alert.action.as_str(), alert.result.as_str()), ("Block", "Permission denied"));
/// assert!(alert.to_kubearmor_json().starts_with(
///     r#"{"Timestamp":1750000000,"UpdatedTime":"2025-06-15T15:06:40.123456Z","NamespaceName":"shop""#
/// ));
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct Alert {
    /// Unix time in seconds.
    #[serde(alias = "timestamp", skip_serializing_if = "is_zero")]
    pub timestamp: i64,
    /// The time with microseconds, such as `2025-06-15T15:06:40.123456Z`.
    #[serde(alias = "updatedTime", skip_serializing_if = "String::is_empty")]
    pub updated_time: String,
    /// The cluster.
    #[serde(alias = "clusterName", skip_serializing_if = "String::is_empty")]
    pub cluster_name: String,
    /// The node.
    #[serde(alias = "hostName", skip_serializing_if = "String::is_empty")]
    pub host_name: String,
    /// The node's id.
    #[serde(
        rename = "NodeID",
        alias = "nodeID",
        skip_serializing_if = "String::is_empty"
    )]
    pub node_id: String,
    /// The pod's namespace.
    #[serde(alias = "namespaceName", skip_serializing_if = "String::is_empty")]
    pub namespace_name: String,
    /// What the pod belongs to.
    #[serde(alias = "owner", skip_serializing_if = "Option::is_none")]
    pub owner: Option<PodOwner>,
    /// The pod.
    #[serde(alias = "podName", skip_serializing_if = "String::is_empty")]
    pub pod_name: String,
    /// The pod's labels, `k=v,k=v`.
    #[serde(alias = "labels", skip_serializing_if = "String::is_empty")]
    pub labels: String,
    /// The container's id; empty for a host.
    #[serde(
        rename = "ContainerID",
        alias = "containerID",
        skip_serializing_if = "String::is_empty"
    )]
    pub container_id: String,
    /// The container's name.
    #[serde(alias = "containerName", skip_serializing_if = "String::is_empty")]
    pub container_name: String,
    /// The container's image.
    #[serde(alias = "containerImage", skip_serializing_if = "String::is_empty")]
    pub container_image: String,
    /// The parent process's id as the host sees it.
    #[serde(
        rename = "HostPPID",
        alias = "hostPPid",
        skip_serializing_if = "is_zero"
    )]
    pub host_ppid: i32,
    /// The process's id as the host sees it.
    #[serde(rename = "HostPID", alias = "hostPid", skip_serializing_if = "is_zero")]
    pub host_pid: i32,
    /// The parent process's id as the container sees it.
    #[serde(rename = "PPID", alias = "ppid")]
    pub ppid: i32,
    /// The process's id as the container sees it.
    #[serde(rename = "PID", alias = "pid", skip_serializing_if = "is_zero")]
    pub pid: i32,
    /// The user's id; those above the range of the type are negative, as in KubeArmor.
    #[serde(rename = "UID", alias = "uid")]
    pub uid: i32,
    /// The user's name, on a host.
    #[serde(
        rename = "UserName",
        alias = "username",
        skip_serializing_if = "String::is_empty"
    )]
    pub user_name: String,
    /// The parent process's executable.
    #[serde(alias = "parentProcessName", skip_serializing_if = "String::is_empty")]
    pub parent_process_name: String,
    /// The process's executable; for an exec, the one that is executed.
    #[serde(alias = "processName", skip_serializing_if = "String::is_empty")]
    pub process_name: String,
    /// The policy's name, or [`DEFAULT_POSTURE`].
    #[serde(alias = "policyName", skip_serializing_if = "String::is_empty")]
    pub policy_name: String,
    /// `1` to `10`.
    #[serde(alias = "severity", skip_serializing_if = "String::is_empty")]
    pub severity: String,
    /// The tags, joined by commas.
    #[serde(alias = "tags", skip_serializing_if = "String::is_empty")]
    pub tags: String,
    /// The tags as a list.
    #[serde(
        rename = "ATags",
        alias = "atags",
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub atags: Vec<String>,
    /// The rule's message.
    #[serde(alias = "message", skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// `MatchedPolicy` or `MatchedHostPolicy`.
    #[serde(
        rename = "Type",
        alias = "type",
        skip_serializing_if = "String::is_empty"
    )]
    pub kind: String,
    /// The command line of the process that acts; for an exec, its executable.
    #[serde(alias = "source", skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// `Process`, `File`, `Network`, `Capabilities`, `Syscall` or `Device`.
    #[serde(alias = "operation", skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// What it is done to.
    #[serde(alias = "resource", skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// What the mechanism says of the event, such as `lsm=FILE_OPEN`.
    #[serde(alias = "data", skip_serializing_if = "String::is_empty")]
    pub data: String,
    /// The pairs in `data`, and for a socket those in `resource`.
    #[serde(
        alias = "eventData",
        deserialize_with = "null_is_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub event_data: BTreeMap<String, String>,
    /// The mechanism that reports, such as `BPFLSM`.
    #[serde(alias = "enforcer", skip_serializing_if = "String::is_empty")]
    pub enforcer: String,
    /// `Audit`, `Block` or `Audit (Block)`.
    #[serde(alias = "action", skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// `Passed` or `Permission denied`.
    #[serde(alias = "result", skip_serializing_if = "String::is_empty")]
    pub result: String,
    /// The working directory.
    #[serde(alias = "cwd", skip_serializing_if = "String::is_empty")]
    pub cwd: String,
    /// The controlling terminal.
    #[serde(
        rename = "TTY",
        alias = "tty",
        skip_serializing_if = "String::is_empty"
    )]
    pub tty: String,
    /// The session that entered the container.
    #[serde(alias = "execEvent", skip_serializing_if = "Option::is_none")]
    pub exec_event: Option<ExecEvent>,
    /// The uid that owns the object; in the daemon's shape only.
    #[serde(rename = "oid", skip_serializing)]
    pub object_owner: i32,
    /// The reporter's version.
    #[serde(
        rename = "KubeArmorVersion",
        alias = "kubeArmorVersion",
        skip_serializing_if = "String::is_empty"
    )]
    pub version: String,
    /// Fields of an alert that was read and that aren't listed here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn is_zero<T: PartialEq + Default>(number: &T) -> bool {
    *number == T::default()
}

/// Go writes an empty list or map that was never made as null.
fn null_is_empty<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Alert {
    /// The alert for a decision; `None` where the event is allowed, which is no cause for alarm.
    ///
    /// `rule` is the deciding rule. What the posture decides carries no severity, tags or
    /// message. Where policies are only reported ([`Enforcement::Audited`]), the action of what would
    /// have been denied is `Audit (Block)`.
    #[must_use]
    pub fn new(
        event: &Event<'_>,
        decision: &Decision,
        rule: Option<&RuleInfo<'_>>,
        context: &AlertContext,
    ) -> Option<Self> {
        if decision.verdict == Verdict::Allow {
            return None;
        }
        let mut alert = Self::of_context(context);
        describe::event(&mut alert, event, context);
        let rule = match decision.cause {
            Cause::Rule(_) => rule,
            Cause::Posture | Cause::None => None,
        };
        let class = event.operation.class();
        alert.action = action(decision, rule, class, context).to_owned();
        alert.result = match decision.verdict {
            Verdict::Block => "Permission denied",
            _ => "Passed",
        }
        .to_owned();
        let on_host = match rule {
            Some(rule) => rule.kind == PolicyKind::KubeArmorHostPolicy,
            None => context.on_host,
        };
        alert.kind = if on_host {
            "MatchedHostPolicy"
        } else {
            "MatchedPolicy"
        }
        .to_owned();
        match rule {
            Some(rule) => alert.name_rule(rule, class, decision.verdict),
            None if decision.rule().is_none() => alert.policy_name = DEFAULT_POSTURE.to_owned(),
            None => {}
        }
        Some(alert)
    }

    fn name_rule(&mut self, rule: &RuleInfo<'_>, class: Class, verdict: Verdict) {
        self.policy_name = rule.policy.to_owned();
        if rule.severity > 0 {
            self.severity = rule.severity.to_string();
        }
        self.tags = rule.tags.join(",");
        self.message = rule.message.to_owned();
        // KubeArmor leaves the list out of these.
        let without_list = match class {
            Class::Syscalls => true,
            Class::Network | Class::Dns | Class::Capabilities | Class::Devices => {
                verdict == Verdict::Block
            }
            Class::Process | Class::File | Class::Presets => false,
        };
        if !without_list {
            self.atags = rule.tags.iter().map(|tag| (*tag).to_owned()).collect();
        }
    }

    /// The alert as the gRPC service and `karmor` write it: one line of JSON.
    #[must_use]
    pub fn to_kubearmor_json(&self) -> String {
        to_line(self)
    }

    /// The alert as the daemon writes it: one line of JSON.
    #[must_use]
    pub fn to_kubearmor_daemon_json(&self) -> String {
        to_line(&daemon::Daemon::from(self))
    }

    /// Reads an alert in either shape.
    ///
    /// # Errors
    /// When the text is no JSON object, or a known field has the wrong type or stands twice.
    pub fn from_kubearmor_json(text: &str) -> Result<Self, AlertError> {
        serde_json::from_str(text).map_err(|error| AlertError {
            message: error.to_string(),
        })
    }
}

/// A text that is no alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a KubeArmor alert: {message}")]
pub struct AlertError {
    message: String,
}

fn to_line(value: &impl Serialize) -> String {
    // Texts, numbers and maps of texts are always JSON.
    serde_json::to_string(value).unwrap_or_default()
}

/// What the policy asked for, as KubeArmor names it.
fn action(
    decision: &Decision,
    rule: Option<&RuleInfo<'_>>,
    class: Class,
    context: &AlertContext,
) -> &'static str {
    if decision.verdict == Verdict::Block {
        return "Block";
    }
    let would_deny = match rule {
        // Of a rule that is reported without being an Audit rule, a denial was turned into it.
        Some(rule) => rule.action != Action::Audit && class != Class::Syscalls,
        None => context.postures.of(class) == Verdict::Block,
    };
    if would_deny && context.enforcement == Enforcement::Audited {
        "Audit (Block)"
    } else {
        "Audit"
    }
}

#[cfg(test)]
mod tests;
