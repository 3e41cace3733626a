//! KubeArmor's alerts and logs, in both of their shapes.

use gambeson_policy_model::Verdict;

use super::json::{Cursor, Malformed, whole};
use super::owner::{Kind, LabelText, Owner};
use super::record::{Occurrence, Take, Told};
use super::text::{Number, Text};
use crate::explain::{ToldByAlert, event_of};

/// The fields that tell the event. Reading all of them, and keeping those that aren't known, would
/// take several times as long.
#[derive(Debug, Default)]
struct Fields<'l> {
    namespace_name: Text<'l>,
    labels: Text<'l>,
    container_id: Text<'l>,
    container_name: Text<'l>,
    uid: Number,
    object_owner: Number,
    parent_process_name: Text<'l>,
    process_name: Text<'l>,
    source: Text<'l>,
    operation: Text<'l>,
    resource: Text<'l>,
    data: Text<'l>,
    enforcer: Text<'l>,
    action: Text<'l>,
    result: Text<'l>,
    tty: Text<'l>,
}

impl<'l> Fields<'l> {
    fn read(&mut self, cursor: &mut Cursor<'l>) -> Result<(), Malformed> {
        cursor.object(|cursor, key| {
            match key {
                "NamespaceName" | "namespaceName" => self.namespace_name = cursor.text()?,
                "Labels" | "labels" => self.labels = cursor.text()?,
                "ContainerID" | "containerID" => self.container_id = cursor.text()?,
                "ContainerName" | "containerName" => self.container_name = cursor.text()?,
                "ParentProcessName" | "parentProcessName" => {
                    self.parent_process_name = cursor.text()?
                }
                "ProcessName" | "processName" => self.process_name = cursor.text()?,
                "Source" | "source" => self.source = cursor.text()?,
                "Operation" | "operation" => self.operation = cursor.text()?,
                "Resource" | "resource" => self.resource = cursor.text()?,
                "Data" | "data" => self.data = cursor.text()?,
                "Enforcer" | "enforcer" => self.enforcer = cursor.text()?,
                "Action" | "action" => self.action = cursor.text()?,
                "Result" | "result" => self.result = cursor.text()?,
                "TTY" | "tty" => self.tty = cursor.text()?,
                "UID" | "uid" => self.uid = cursor.number()?,
                "oid" => self.object_owner = cursor.number()?,
                _ => cursor.skip()?,
            }
            Ok(())
        })
    }
}

/// KubeArmor writes ids of users above the range of its type as negative numbers.
fn id(number: Number) -> i32 {
    number.value().unwrap_or_default() as i32
}

pub(super) fn read(text: &str, take: Take<'_>) {
    let mut fields = Fields::default();
    if let Err(error) = whole(text, |cursor| fields.read(cursor)) {
        return take(Err(error));
    }
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
            serial: b"",
        })),
        Err(error) => Err(error.to_string()),
    });
}
