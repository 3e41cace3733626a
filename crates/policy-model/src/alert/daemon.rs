//! The shape of the daemon's standard output and log file.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Alert;

/// An alert with the daemon's names, in the daemon's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Daemon<'a> {
    timestamp: i64,
    updated_time: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cluster_name: &'a str,
    host_name: &'a str,
    #[serde(rename = "nodeID", skip_serializing_if = "str::is_empty")]
    node_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    username: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Owner<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pod_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    labels: &'a str,
    #[serde(rename = "containerID", skip_serializing_if = "str::is_empty")]
    container_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    container_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    container_image: &'a str,
    #[serde(rename = "hostPPid")]
    host_ppid: i32,
    host_pid: i32,
    ppid: i32,
    pid: i32,
    uid: i32,
    exec_event: ExecEvent<'a>,
    parent_process_name: &'a str,
    process_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    enforcer: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    policy_name: &'a str,
    #[serde(rename = "kubeArmorVersion", skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    severity: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tags: &'a str,
    atags: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    source: &'a str,
    operation: &'a str,
    resource: &'a str,
    cwd: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tty: &'a str,
    oid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    data: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    event_data: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    action: &'a str,
    result: &'a str,
    #[serde(flatten)]
    other: &'a Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Owner<'a> {
    #[serde(rename = "ref", skip_serializing_if = "str::is_empty")]
    reference: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct ExecEvent<'a> {
    #[serde(rename = "execID", skip_serializing_if = "str::is_empty")]
    exec_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    executable_name: &'a str,
}

impl<'a> From<&'a Alert> for Daemon<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            timestamp: alert.timestamp,
            updated_time: &alert.updated_time,
            cluster_name: &alert.cluster_name,
            host_name: &alert.host_name,
            node_id: &alert.node_id,
            username: &alert.user_name,
            namespace_name: &alert.namespace_name,
            owner: alert.owner.as_ref().map(|owner| Owner {
                reference: &owner.reference,
                name: &owner.name,
                namespace: &owner.namespace,
            }),
            pod_name: &alert.pod_name,
            labels: &alert.labels,
            container_id: &alert.container_id,
            container_name: &alert.container_name,
            container_image: &alert.container_image,
            host_ppid: alert.host_ppid,
            host_pid: alert.host_pid,
            ppid: alert.ppid,
            pid: alert.pid,
            uid: alert.uid,
            exec_event: alert
                .exec_event
                .as_ref()
                .map(|event| ExecEvent {
                    exec_id: &event.exec_id,
                    executable_name: &event.executable_name,
                })
                .unwrap_or_default(),
            parent_process_name: &alert.parent_process_name,
            process_name: &alert.process_name,
            enforcer: &alert.enforcer,
            policy_name: &alert.policy_name,
            version: &alert.version,
            severity: &alert.severity,
            tags: &alert.tags,
            atags: &alert.atags,
            message: &alert.message,
            kind: &alert.kind,
            source: &alert.source,
            operation: &alert.operation,
            resource: &alert.resource,
            cwd: &alert.cwd,
            tty: &alert.tty,
            oid: alert.object_owner,
            data: &alert.data,
            event_data: &alert.event_data,
            action: &alert.action,
            result: &alert.result,
            other: &alert.other,
        }
    }
}
