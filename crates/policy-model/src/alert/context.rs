//! What an alert says besides the event and the decision.

use serde::{Deserialize, Serialize};

use super::Alert;
use super::time::UnixTime;
use crate::posture::{Enforcement, Postures};
use crate::selector::{Labels, Workload};

/// What a pod belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PodOwner {
    /// The kind of object, such as `Deployment`.
    #[serde(
        rename = "Ref",
        alias = "ref",
        skip_serializing_if = "String::is_empty"
    )]
    pub reference: String,
    /// Its name.
    #[serde(alias = "name", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its namespace.
    #[serde(alias = "namespace", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// A session that entered a container from outside, such as by `kubectl exec`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecEvent {
    /// The session's id.
    #[serde(
        rename = "ExecID",
        alias = "execID",
        skip_serializing_if = "String::is_empty"
    )]
    pub exec_id: String,
    /// What it executed.
    #[serde(alias = "executableName", skip_serializing_if = "String::is_empty")]
    pub executable_name: String,
}

/// What the reporter knows of an event's surroundings. All of it is optional.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertContext {
    /// When it happened.
    pub time: UnixTime,
    /// The cluster's name.
    pub cluster: String,
    /// The node's name.
    pub host: String,
    /// The node's id.
    pub node_id: String,
    /// Whether the workload is the host itself.
    pub on_host: bool,
    /// The pod's namespace.
    pub namespace: String,
    /// What the pod belongs to.
    pub owner: Option<PodOwner>,
    /// The pod's name.
    pub pod: String,
    /// The labels of the pod or node.
    pub labels: Labels,
    /// The container's id.
    pub container_id: String,
    /// The container's name.
    pub container_name: String,
    /// The container's image.
    pub container_image: String,
    /// The parent process's id as the host sees it.
    pub host_ppid: i32,
    /// The process's id as the host sees it.
    pub host_pid: i32,
    /// The parent process's id as the container sees it.
    pub ppid: i32,
    /// The process's id as the container sees it.
    pub pid: i32,
    /// The user's id; the event's fsuid where not given.
    pub uid: Option<u32>,
    /// The user's name, on a host.
    pub user_name: String,
    /// The executable of the acting process's parent; for an exec, the acting process is the
    /// parent.
    pub parent_process: String,
    /// The acting process's command line; its executable where not given.
    pub command_line: String,
    /// What the event is about, where the event doesn't say.
    pub resource: String,
    /// What the mechanism says of the event, such as `lsm=FILE_OPEN`.
    pub data: String,
    /// The mechanism that reports, such as `BPFLSM`.
    pub enforcer: String,
    /// The working directory.
    pub cwd: String,
    /// The controlling terminal.
    pub tty: String,
    /// The session that entered the container.
    pub exec_event: Option<ExecEvent>,
    /// The reporter's version.
    pub version: String,
    /// Whether policies are carried out or only reported.
    pub enforcement: Enforcement,
    /// The postures that decide, the embedder's among them.
    pub postures: Postures,
}

impl AlertContext {
    /// What is known of a workload: namespace, labels, container, postures and enforcement.
    #[must_use]
    pub fn of(workload: &Workload) -> Self {
        Self {
            on_host: workload.is_host(),
            namespace: workload.namespace().unwrap_or_default().to_owned(),
            labels: workload.labels().clone(),
            container_name: workload.container_name().unwrap_or_default().to_owned(),
            enforcement: workload.enforcement_mode(),
            postures: workload.postures(),
            ..Self::default()
        }
    }
}

impl Alert {
    /// An alert with the fields that come from the context alone.
    pub(super) fn of_context(context: &AlertContext) -> Self {
        let labels: Vec<String> = context
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        Self {
            timestamp: context.time.seconds,
            updated_time: context.time.to_string(),
            cluster_name: context.cluster.clone(),
            host_name: context.host.clone(),
            node_id: context.node_id.clone(),
            namespace_name: context.namespace.clone(),
            owner: context.owner.clone(),
            pod_name: context.pod.clone(),
            labels: labels.join(","),
            container_id: context.container_id.clone(),
            container_name: context.container_name.clone(),
            container_image: context.container_image.clone(),
            host_ppid: context.host_ppid,
            host_pid: context.host_pid,
            ppid: context.ppid,
            pid: context.pid,
            user_name: context.user_name.clone(),
            enforcer: context.enforcer.clone(),
            cwd: context.cwd.clone(),
            tty: context.tty.clone(),
            exec_event: context.exec_event.clone(),
            version: context.version.clone(),
            ..Self::default()
        }
    }
}
