//! KubeArmor's alerts and logs, in both of their shapes.

use gambeson_policy_model::Verdict;
use serde::Deserialize;

use super::owner::{Kind, LabelText, Owner};
use super::record::{Occurrence, Take, Told};
use super::text::{Number, Text};
use crate::explain::{ToldByAlert, event_of};

/// The fields that tell the event. Reading all of them, and keeping those that aren't known, would
/// take several times as long.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Fields<'l> {
    #[serde(borrow, alias = "namespaceName")]
    namespace_name: Text<'l>,
    #[serde(borrow, alias = "labels")]
    labels: Text<'l>,
    #[serde(borrow, rename = "ContainerID", alias = "containerID")]
    container_id: Text<'l>,
    #[serde(borrow, alias = "containerName")]
    container_name: Text<'l>,
    #[serde(rename = "UID", alias = "uid")]
    uid: Number,
    #[serde(rename = "oid")]
    object_owner: Number,
    #[serde(borrow, alias = "parentProcessName")]
    parent_process_name: Text<'l>,
    #[serde(borrow, alias = "processName")]
    process_name: Text<'l>,
    #[serde(borrow, alias = "source")]
    source: Text<'l>,
    #[serde(borrow, alias = "operation")]
    operation: Text<'l>,
    #[serde(borrow, alias = "resource")]
    resource: Text<'l>,
    #[serde(borrow, alias = "data")]
    data: Text<'l>,
    #[serde(borrow, alias = "enforcer")]
    enforcer: Text<'l>,
    #[serde(borrow, alias = "action")]
    action: Text<'l>,
    #[serde(borrow, alias = "result")]
    result: Text<'l>,
    #[serde(borrow, rename = "TTY", alias = "tty")]
    tty: Text<'l>,
}

/// KubeArmor writes ids of users above the range of its type as negative numbers.
fn id(number: Number) -> i32 {
    number.value().unwrap_or_default() as i32
}

pub(super) fn read(text: &str, take: Take<'_>) {
    let fields: Fields<'_> = match serde_json::from_str(text) {
        Ok(fields) => fields,
        Err(error) => return take(Err(error.to_string())),
    };
    if matches!(
        fields.operation.as_str(),
        "AlertThreshold" | "NetworkFirewall"
    ) {
        return take(Ok(Told::NoEvent));
    }
    let told = event_of(&ToldByAlert {
        operation: fields.operation.as_str(),
        resource: fields.resource.as_str(),
        data: fields.data.as_str(),
        event_data: None,
        enforcer: fields.enforcer.as_str(),
        source: fields.source.as_str(),
        process_name: fields.process_name.as_str(),
        parent_process_name: fields.parent_process_name.as_str(),
        uid: id(fields.uid),
        object_owner: id(fields.object_owner),
        tty: fields.tty.as_str(),
    });
    let passed = matches!(fields.result.as_str(), "" | "Passed");
    let recorded = if !passed {
        Verdict::Block
    } else if fields.action.as_str().starts_with("Audit") {
        Verdict::Audit
    } else {
        Verdict::Allow
    };
    let on_host = fields.container_id.is_empty() && fields.namespace_name.is_empty();
    take(match told {
        Ok((event, assumed)) => Ok(Told::Event(Occurrence {
            event,
            also: Vec::new(),
            owner: Owner {
                kind: if on_host { Kind::Host } else { Kind::Pod },
                namespace: fields.namespace_name.as_str(),
                labels: LabelText::Pairs(fields.labels.as_str()),
                container: fields.container_name.as_str(),
            },
            recorded,
            assumed,
        })),
        Err(error) => Err(error.to_string()),
    });
}
