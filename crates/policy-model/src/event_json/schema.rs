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
