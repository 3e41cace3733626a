//! The JSON Schema of policies, from the same description that the reader follows.

use serde_json::{Map, Value, json};

use crate::capability::Capability;
use crate::identity::PolicyKind;
use crate::network::Protocol;
use crate::preset::Preset;
use crate::rule::Class;
use crate::shape::{self, API_VERSION, Content, MAX_ALLOWED_ARGS, Shape};
use crate::syscalls::syscall_names;

/// The JSON Schema (draft 2020-12) of the three kinds of policy, as strict reading takes them.
///
/// What a schema can't say is left to the reader: patterns that parse, duplicate keys, and paths
/// beyond what a regular expression tells.
///
/// ```
/// let schema = gambeson_policy_model::policy_schema();
/// assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
/// assert_eq!(schema["oneOf"].as_array().map(Vec::len), Some(3));
/// ```
#[must_use]
pub fn policy_schema() -> Value {
    let kinds: Vec<Value> = PolicyKind::ALL
        .iter()
        .map(|kind| json!({ "$ref": format!("#/$defs/{kind}") }))
        .collect();
    let mut definitions = definitions();
    for kind in PolicyKind::ALL {
        definitions.insert(kind.name().to_owned(), policy(kind));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "KubeArmor policies as Gambeson reads them strictly",
        "oneOf": kinds,
        "$defs": definitions,
    })
}

/// What stands in many places.
fn definitions() -> Map<String, Value> {
    let component = r"(?!\.{1,2}(/|$))[^/\u0000]+";
    let protocols: Vec<String> = Protocol::ALL
        .iter()
        .flat_map(|protocol| [protocol.name().to_owned(), protocol.name().to_uppercase()])
        .collect();
    let capabilities: Vec<&str> = Capability::all()
        .filter(|capability| capability.in_kubearmor_schema())
        .map(Capability::name)
        .collect();
    let presets: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
    let definitions = [
        (
            "severity",
            json!({ "type": "integer", "minimum": 1, "maximum": 10 }),
        ),
        (
            "strings",
            json!({ "type": "array", "items": { "type": "string" } }),
        ),
        ("action", json!({ "enum": ["Allow", "Audit", "Block"] })),
        (
            "path",
            json!({ "type": "string", "maxLength": 4095, "pattern": format!("^(/{component})+$") }),
        ),
        (
            "dir",
            json!({ "type": "string", "maxLength": 4095, "pattern": format!("^/({component}/)*$") }),
        ),
        (
            "pathOrDir",
            json!({ "type": "string", "maxLength": 4095, "pattern": format!("^/({component}/)*({component})?$") }),
        ),
        (
            "execname",
            json!({ "type": "string", "maxLength": 255, "pattern": r"^(?!\.{1,2}$)[^/\u0000]+$" }),
        ),
        (
            "pattern",
            json!({ "type": "string", "minLength": 1, "maxLength": 4096 }),
        ),
        (
            "domain",
            json!({ "type": "string", "pattern": r"^[^\s/,]*[^\s/,.]\.*$" }),
        ),
        ("protocol", json!({ "enum": protocols })),
        ("capability", json!({ "enum": capabilities })),
        ("preset", json!({ "enum": presets })),
        (
            "syscalls",
            json!({ "type": "array", "items": { "enum": syscall_names() } }),
        ),
        (
            "labels",
            json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        ),
    ];
    definitions
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

fn policy(kind: PolicyKind) -> Value {
    object(shape::object(), None, |content| match content {
        Content::ApiVersion => Some(json!({ "const": API_VERSION })),
        Content::Kind => Some(json!({ "const": kind.name() })),
        Content::Spec => Some(object(shape::spec(kind), None, |_| None)),
        _ => None,
    })
}

/// An object with the fields of a shape; `special` answers for what depends on the context.
fn object(
    shape: &'static Shape,
    class: Option<Class>,
    special: impl Fn(Content) -> Option<Value>,
) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in shape.fields() {
        let schema = special(field.content).unwrap_or_else(|| content(field.content, class));
        properties.insert(field.name.to_owned(), schema);
        let is_outer = matches!(field.content, Content::ApiVersion | Content::Kind);
        if field.required.is_some() || is_outer {
            required.push(field.name);
        }
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    if shape
        .fields()
        .any(|f| matches!(f.content, Content::ExecName))
    {
        schema.insert("oneOf".to_owned(), one_of(&["path", "execname"]));
    }
    Value::Object(schema)
}

/// Exactly one of the fields.
fn one_of(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| json!({ "required": [name] }))
        .collect()
}

/// `fromSource`, of which each entry names one program or directory.
fn sources(shape: &'static Shape, class: Option<Class>) -> Value {
    let mut source = object(shape, class, |_| None);
    let names: Vec<&str> = shape
        .fields()
        .filter(|field| matches!(field.content, Content::Path | Content::SourceDir))
        .map(|field| field.name)
        .collect();
    if let Value::Object(schema) = &mut source {
        schema.insert("oneOf".to_owned(), one_of(&names));
    }
    json!({ "type": "array", "items": source })
}

fn list_of(shape: &'static Shape, class: Option<Class>) -> Value {
    json!({ "type": "array", "items": object(shape, class, |_| None) })
}

fn content(content: Content, class: Option<Class>) -> Value {
    let defined = |name: &str| json!({ "$ref": format!("#/$defs/{name}") });
    match content {
        Content::Unchecked => json!(true),
        Content::ApiVersion | Content::Kind | Content::Message | Content::Apparmor => {
            json!({ "type": "string" })
        }
        Content::Name => json!({ "type": "string", "minLength": 1 }),
        Content::Namespace => json!({ "type": ["string", "null"], "minLength": 1 }),
        Content::ObjectLabels | Content::ObjectAnnotations => {
            json!({ "anyOf": [defined("labels"), { "type": "null" }] })
        }
        Content::Metadata => object(shape::metadata(), None, |_| None),
        Content::Spec => json!({ "type": "object" }),
        Content::Severity => defined("severity"),
        Content::Tags | Content::ExpressionValues => defined("strings"),
        Content::Action if class == Some(Class::Presets) => json!({ "enum": ["Audit", "Block"] }),
        Content::Action => defined("action"),
        Content::Selector(shape) => object(shape, None, |_| None),
        Content::MatchLabels => defined("labels"),
        Content::MatchExpressions { namespaces } => {
            let keys: &[&str] = if namespaces {
                &["label", "namespace"]
            } else {
                &["label"]
            };
            let items = object(shape::expression(), None, |content| match content {
                Content::ExpressionKey => Some(json!({ "enum": keys })),
                _ => None,
            });
            json!({ "type": "array", "items": items })
        }
        Content::ExpressionKey => json!({ "enum": ["label", "namespace"] }),
        Content::Operator => json!({ "enum": ["In", "NotIn"] }),
        Content::Section(class, shape) => object(shape, Some(class), |_| None),
        Content::Entries(list, shape) => {
            let is_preset = list == crate::rule::RuleList::Presets;
            list_of(
                shape,
                if is_preset {
                    Some(Class::Presets)
                } else {
                    class
                },
            )
        }
        Content::FromSource(shape) => sources(shape, class),
        Content::Path => defined("path"),
        Content::ExecName => defined("execname"),
        Content::Dir => defined("dir"),
        Content::Pattern => defined("pattern"),
        Content::PathOrDir | Content::SourceDir => defined("pathOrDir"),
        Content::Protocol => defined("protocol"),
        Content::Domain => defined("domain"),
        Content::Capability => defined("capability"),
        Content::SyscallNames => defined("syscalls"),
        Content::PresetName => defined("preset"),
        Content::DeviceClass => json!({ "type": "string" }),
        Content::SubClass | Content::DeviceProtocol => {
            json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX })
        }
        Content::Level => json!({ "type": "integer", "minimum": 1, "maximum": i32::MAX }),
        Content::Recursive | Content::OwnerOnly | Content::ReadOnly | Content::Pts => {
            json!({ "type": "boolean" })
        }
        Content::AllowedArgs => json!({
            "type": "array",
            "items": { "type": "string" },
            "maxItems": MAX_ALLOWED_ARGS,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields that a kind's `spec` may have.
    fn spec_fields(kind: PolicyKind) -> Vec<String> {
        let schema = policy_schema();
        let spec = &schema["$defs"][kind.name()]["properties"]["spec"]["properties"];
        spec.as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect()
    }

    #[test]
    fn each_kind_has_its_own_sections() {
        let has = |kind, field: &str| spec_fields(kind).iter().any(|have| have == field);
        for kind in PolicyKind::ALL {
            let is_host = kind == PolicyKind::KubeArmorHostPolicy;
            assert_eq!(has(kind, "device"), is_host);
            assert_eq!(has(kind, "nodeSelector"), is_host);
            assert_eq!(has(kind, "presets"), !is_host);
            assert_eq!(has(kind, "selector"), !is_host);
            assert!(has(kind, "process") && has(kind, "apparmor") && has(kind, "action"));
        }
    }

    #[test]
    fn host_rules_on_protocols_must_name_their_sources() {
        let schema = policy_schema();
        let required = |kind: PolicyKind| {
            schema["$defs"][kind.name()]["properties"]["spec"]["properties"]["network"]
                ["properties"]["matchProtocols"]["items"]["required"]
                .clone()
        };
        assert_eq!(
            required(PolicyKind::KubeArmorHostPolicy),
            json!(["protocol", "fromSource"])
        );
        assert_eq!(required(PolicyKind::KubeArmorPolicy), json!(["protocol"]));
    }

    #[test]
    fn a_source_names_one_program_or_directory() {
        let schema = policy_schema();
        let sections = &schema["$defs"]["KubeArmorPolicy"]["properties"]["spec"]["properties"];
        let source = |section: &str, list: &str| {
            sections[section]["properties"][list]["items"]["properties"]["fromSource"]["items"]
                ["oneOf"]
                .clone()
        };
        assert_eq!(
            source("file", "matchPaths"),
            json!([{ "required": ["path"] }])
        );
        assert_eq!(
            source("syscalls", "matchSyscalls"),
            json!([{ "required": ["path"] }, { "required": ["dir"] }])
        );
    }

    #[test]
    fn names_are_those_that_kubearmor_takes() {
        let schema = policy_schema();
        let count = |value: &Value| value["enum"].as_array().map(Vec::len);
        assert_eq!(count(&schema["$defs"]["capability"]), Some(34));
        assert_eq!(count(&schema["$defs"]["protocol"]), Some(26));
        assert_eq!(count(&schema["$defs"]["syscalls"]["items"]), Some(335));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(object) => object.iter().for_each(|(key, value)| match value {
                    Value::String(target) if key == "$ref" => found.push(target.clone()),
                    _ => references(value, found),
                }),
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let schema = policy_schema();
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(found.len() > 50);
        for target in found {
            let pointer = target.strip_prefix('#').unwrap_or(&target);
            assert!(schema.pointer(pointer).is_some(), "{target}");
        }
    }
}
