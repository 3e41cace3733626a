//! The JSON Schema of events.

use serde_json::{Value, json};

use crate::event::EventPath;
use crate::preset::Preset;

/// The JSON Schema (draft 2020-12) of one event line.
///
/// It says what [`crate::Event::from_json`] takes as far as a schema can: that names are known
/// names, and that `args` and `argv` exclude each other, is left to the reader.
#[must_use]
pub fn event_schema() -> Value {
    let named = json!({"type": ["string", "integer"], "minimum": 0});
    let maybe_u32 = json!({"type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX});
    let maybe_i32 = json!({"type": ["integer", "null"], "minimum": i32::MIN, "maximum": i32::MAX});
    let maybe_list = json!({"type": ["array", "null"], "items": {"type": "string"}});
    let path = json!({
        "description": "An absolute path as seen from the workload's root; null, or the kernel's \
            name for an object without a path, where it could not be computed.",
        "type": ["string", "null"],
        "pattern": "^(/|memfd:|pipe:\\[|socket:\\[|anon_inode:)",
        "maxLength": EventPath::MAX_LENGTH,
    });
    let operation = |op: &str, required: &[&str], properties: Value| {
        let required: Vec<&str> = std::iter::once("op")
            .chain(required.iter().copied())
            .collect();
        let mut properties = properties;
        if let Some(map) = properties.as_object_mut() {
            map.insert("op".to_owned(), json!({"const": op}));
        }
        json!({"title": op, "required": required, "properties": properties})
    };
    let presets = Preset::ALL.map(Preset::name);
    let on_path = json!({"path": path});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Gambeson event",
        "type": "object",
        "properties": {
            "source": path,
            "uid": maybe_u32,
            "owner": maybe_u32,
            "tty": {"type": ["boolean", "null"]},
        },
        "oneOf": [
            operation("exec", &["path"], json!({
                "path": path, "args": maybe_list, "argv": maybe_list,
            })),
            operation("read", &["path"], on_path.clone()),
            operation("write", &["path"], on_path.clone()),
            operation("map_exec", &["path"], on_path.clone()),
            operation("socket", &["family", "type"], json!({
                "family": named,
                "type": named,
                "protocol": {"type": ["string", "integer", "null"], "minimum": 0},
            })),
            operation("capability", &["capability"], json!({"capability": named})),
            operation("syscall", &["syscall"], json!({
                "syscall": {"type": "string", "minLength": 1}, "path": path,
            })),
            operation("dns", &["domain"], json!({
                "domain": {"type": "string", "minLength": 1, "maxLength": 254},
            })),
            operation("device", &["class"], json!({
                "class": {"type": ["string", "integer"], "minimum": 0, "maximum": 255},
                "subclass": maybe_i32,
                "protocol": maybe_i32,
                "level": maybe_i32,
            })),
            operation("preset", &["preset"], json!({"preset": {"enum": presets}})),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    /// Checks a value against the few keywords that the schema uses.
    fn conforms(schema: &Value, value: &Value) -> bool {
        let Value::Object(keywords) = schema else {
            panic!("{schema}");
        };
        let is = |name: &Value| match name.as_str() {
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            Some("boolean") => value.is_boolean(),
            Some("null") => value.is_null(),
            _ => panic!("{name}"),
        };
        let length = value.as_str().map(|text| text.chars().count() as u64);
        let field = |name: &str| value.as_object().and_then(|map| map.get(name));
        keywords
            .iter()
            .all(|(keyword, want)| match keyword.as_str() {
                "$schema" | "title" | "description" => true,
                "type" => match want {
                    Value::Array(names) => names.iter().any(is),
                    name => is(name),
                },
                "const" => value == want,
                "enum" => want.as_array().unwrap().contains(value),
                "minimum" => value.as_i64().is_none_or(|n| n >= want.as_i64().unwrap()),
                "maximum" => value.as_i64().is_none_or(|n| n <= want.as_i64().unwrap()),
                "minLength" => length.is_none_or(|n| n >= want.as_u64().unwrap()),
                "maxLength" => length.is_none_or(|n| n <= want.as_u64().unwrap()),
                "items" => value
                    .as_array()
                    .is_none_or(|items| items.iter().all(|item| conforms(want, item))),
                "required" => want
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|name| field(name.as_str().unwrap()).is_some()),
                "properties" => {
                    want.as_object().unwrap().iter().all(|(name, schema)| {
                        field(name).is_none_or(|value| conforms(schema, value))
                    })
                }
                "oneOf" => {
                    let schemas = want.as_array().unwrap();
                    schemas
                        .iter()
                        .filter(|schema| conforms(schema, value))
                        .count()
                        == 1
                }
                // The one pattern in the schema.
                "pattern" => value.as_str().is_none_or(|text| {
                    assert_eq!(want, r"^(/|memfd:|pipe:\[|socket:\[|anon_inode:)");
                    ["/", "memfd:", "pipe:[", "socket:[", "anon_inode:"]
                        .iter()
                        .any(|prefix| text.starts_with(prefix))
                }),
                _ => panic!("{keyword}"),
            })
    }

    #[test]
    fn the_schema_agrees_with_the_reader() {
        let schema = event_schema();
        for line in [
            r#"{"op":"exec","path":"/bin/sh","args":["-c"],"source":null,"uid":33,"tty":true,"x":1}"#,
            r#"{"op":"read","path":null}"#,
            r#"{"op":"write","path":"memfd:x"}"#,
            r#"{"op":"map_exec","path":"/lib/x.so","owner":null}"#,
            r#"{"op":"socket","family":"inet","type":1,"protocol":null}"#,
            r#"{"op":"capability","capability":13}"#,
            r#"{"op":"syscall","syscall":"unlink","path":"/x"}"#,
            r#"{"op":"dns","domain":"example.com"}"#,
            r#"{"op":"device","class":"HID","level":1}"#,
            r#"{"op":"preset","preset":"protectProc"}"#,
        ] {
            assert!(Event::from_json(line).is_ok(), "{line}");
            let value = serde_json::from_str(line).unwrap();
            assert!(conforms(&schema, &value), "{line}");
        }
        for line in [
            r#"[]"#,
            r#"{"path":"/bin/sh"}"#,
            r#"{"op":"open","path":"/x"}"#,
            r#"{"op":"read"}"#,
            r#"{"op":"read","path":"x"}"#,
            r#"{"op":"read","path":""}"#,
            r#"{"op":"read","path":"/x","uid":-1}"#,
            r#"{"op":"read","path":"/x","uid":"root"}"#,
            r#"{"op":"exec","path":"/x","args":"-c"}"#,
            r#"{"op":"exec","path":"/x","tty":"yes"}"#,
            r#"{"op":"socket","family":"inet"}"#,
            r#"{"op":"socket","family":[],"type":1}"#,
            r#"{"op":"capability"}"#,
            r#"{"op":"syscall","syscall":""}"#,
            r#"{"op":"dns","domain":""}"#,
            r#"{"op":"device","class":256}"#,
            r#"{"op":"preset","preset":"x"}"#,
        ] {
            assert!(Event::from_json(line).is_err(), "{line}");
            let value = serde_json::from_str(line).unwrap();
            assert!(!conforms(&schema, &value), "{line}");
        }
    }
}
