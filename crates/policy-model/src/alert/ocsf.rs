//! Alerts as OCSF's Detection Finding.

use serde_json::{Map, Value, json};

use super::Alert;

/// The version of the schema whose names are used.
const VERSION: &str = "1.3.0";

const CLASS: u32 = 2004;
const CREATE: u32 = 1;

impl Alert {
    /// The alert as OCSF's Detection Finding (class 2004, schema 1.3), with the profiles
    /// `security_control`, `container` and `host`: one line of JSON.
    ///
    /// What OCSF has no field for stands below `unmapped`, under KubeArmor's names. The finding's uid
    /// is a hash of the alert: the same alert has the same.
    ///
    /// ```
    /// use gambeson_policy_model::Alert;
    /// let alert = Alert::from_kubearmor_json(r#"{"Timestamp":1750000000,"PolicyName":"web",
    ///     "Severity":"8","Operation":"File","Resource":"/etc/shadow","ProcessName":"/bin/cat",
    ///     "Action":"Block","Result":"Permission denied"}"#)?;
    /// let finding: serde_json::Value = serde_json::from_str(&alert.to_ocsf_json()).unwrap();
    /// assert_eq!(finding["class_uid"], 2004);
    /// assert_eq!(finding["severity"], "High");
    /// assert_eq!(finding["disposition"], "Blocked");
    /// assert_eq!(finding["evidences"][0]["file"]["path"], "/etc/shadow");
    /// # Ok::<(), gambeson_policy_model::AlertError>(())
    /// ```
    #[must_use]
    pub fn to_ocsf_json(&self) -> String {
        let time = self.milliseconds();
        let (severity_id, severity) = severity(&self.severity);
        let passed = self.result == "Passed" || self.result.is_empty();
        let (action_id, action, disposition_id, disposition) = if passed {
            (1, "Allowed", 17, "Logged")
        } else {
            (2, "Denied", 2, "Blocked")
        };
        let title = match (self.message.is_empty(), self.policy_name.is_empty()) {
            (false, _) => self.message.clone(),
            (true, false) => format!("{} of {}", self.operation, self.policy_name),
            (true, true) => self.operation.clone(),
        };
        let mut finding = json!({
            "activity_id": CREATE,
            "activity_name": "Create",
            "category_uid": 2,
            "category_name": "Findings",
            "class_uid": CLASS,
            "class_name": "Detection Finding",
            "type_uid": CLASS * 100 + CREATE,
            "type_name": "Detection Finding: Create",
            "time": time,
            "severity_id": severity_id,
            "severity": severity,
            "status_id": 1,
            "status": "New",
            "action_id": action_id,
            "action": action,
            "disposition_id": disposition_id,
            "disposition": disposition,
            "message": title,
            "metadata": {
                "version": VERSION,
                "profiles": ["security_control", "container", "host"],
                "product": {"name": "Gambeson", "vendor_name": "Gambeson"},
            },
            "finding_info": self.finding_info(&title, time),
            "evidences": [self.evidence()],
        });
        if let Some(map) = finding.as_object_mut() {
            let product = map
                .get_mut("metadata")
                .and_then(|data| data.get_mut("product"));
            if let (Some(product), false) = (
                product.and_then(Value::as_object_mut),
                self.version.is_empty(),
            ) {
                product.insert("version".to_owned(), json!(self.version));
            }
            if !self.host_name.is_empty() {
                let mut device = Map::new();
                put(&mut device, "hostname", &self.host_name);
                put(&mut device, "uid", &self.node_id);
                // A server.
                device.insert("type_id".to_owned(), json!(1));
                map.insert("device".to_owned(), Value::Object(device));
            }
            if let Some(resource) = self.resource_details() {
                map.insert("resources".to_owned(), json!([resource]));
            }
            map.insert("unmapped".to_owned(), Value::Object(self.unmapped()));
        }
        finding.to_string()
    }

    /// Unix time in milliseconds; what is beyond the second is in the longer of the two times.
    fn milliseconds(&self) -> i64 {
        let fraction = self.updated_time.split_once('.').map(|(_, rest)| rest);
        let digits: String = fraction
            .unwrap_or_default()
            .chars()
            .take_while(char::is_ascii_digit)
            .chain("000".chars())
            .take(3)
            .collect();
        let beyond: i64 = digits.parse().unwrap_or(0);
        self.timestamp.saturating_mul(1000).saturating_add(beyond)
    }

    fn finding_info(&self, title: &str, time: i64) -> Value {
        let mut info = json!({
            "uid": format!("{:016x}", hash(self.to_kubearmor_json().as_bytes())),
            "title": title,
            "created_time": time,
            "analytic": {"type_id": 1, "type": "Rule", "name": self.policy_name},
        });
        let tags: Vec<&str> = match self.atags.as_slice() {
            [] => self.tags.split(',').filter(|tag| !tag.is_empty()).collect(),
            tags => tags.iter().map(String::as_str).collect(),
        };
        if let (Some(map), false) = (info.as_object_mut(), tags.is_empty()) {
            map.insert("types".to_owned(), json!(tags));
        }
        info
    }

    /// Who did it, and what it was done to.
    fn evidence(&self) -> Value {
        let mut evidence = Map::new();
        let is_exec = self.operation == "Process";
        let mut process = Map::new();
        put(&mut process, "path", &self.process_name);
        put(&mut process, "name", name_of(&self.process_name));
        process.insert(
            "pid".to_owned(),
            json!(if self.pid == 0 {
                self.host_pid
            } else {
                self.pid
            }),
        );
        let mut user = Map::new();
        user.insert(
            "uid".to_owned(),
            json!(self.uid.cast_unsigned().to_string()),
        );
        put(&mut user, "name", &self.user_name);
        process.insert("user".to_owned(), Value::Object(user));
        put(&mut process, "working_directory", &self.cwd);
        let file = (!self.parent_process_name.is_empty()).then(|| {
            json!({"path": self.parent_process_name, "name": name_of(&self.parent_process_name)})
        });
        let mut parent = Map::new();
        if let Some(file) = file {
            parent.insert("file".to_owned(), file);
            put(&mut parent, "name", name_of(&self.parent_process_name));
        }
        if is_exec {
            // The process is what it was about to become, and its parent the one that acted.
            put(&mut process, "cmd_line", &self.resource);
            evidence.insert("actor".to_owned(), json!({"process": parent}));
            evidence.insert("process".to_owned(), Value::Object(process));
        } else {
            put(&mut process, "cmd_line", &self.source);
            if !parent.is_empty() {
                process.insert("parent_process".to_owned(), Value::Object(parent));
            }
            evidence.insert("actor".to_owned(), json!({"process": process}));
        }
        match self.operation.as_str() {
            "File" => {
                evidence.insert(
                    "file".to_owned(),
                    // Whether it is a regular file isn't told.
                    json!({"path": self.resource, "name": name_of(&self.resource), "type_id": 0}),
                );
            }
            "Network" => {
                let mut pairs = self
                    .resource
                    .split_whitespace()
                    .filter_map(|pair| pair.split_once('='));
                let protocol = pairs
                    .find(|(key, _)| *key == "protocol")
                    .map(|(_, name)| name);
                let mut connection = Map::from_iter([("direction_id".to_owned(), json!(0))]);
                put(
                    &mut connection,
                    "protocol_name",
                    &protocol.unwrap_or_default().to_ascii_lowercase(),
                );
                evidence.insert("connection_info".to_owned(), Value::Object(connection));
            }
            _ => {}
        }
        if !self.container_id.is_empty() {
            let mut container = Map::new();
            put(&mut container, "uid", &self.container_id);
            put(&mut container, "name", &self.container_name);
            if !self.container_image.is_empty() {
                container.insert(
                    "image".to_owned(),
                    json!({"name": self.container_image, "uid": ""}),
                );
            }
            evidence.insert("container".to_owned(), Value::Object(container));
        }
        Value::Object(evidence)
    }

    fn resource_details(&self) -> Option<Value> {
        if self.pod_name.is_empty() && self.namespace_name.is_empty() {
            return None;
        }
        let mut resource = Map::new();
        resource.insert("type".to_owned(), json!("Pod"));
        put(&mut resource, "name", &self.pod_name);
        put(&mut resource, "namespace", &self.namespace_name);
        let labels: Vec<&str> = self
            .labels
            .split(',')
            .filter(|label| !label.is_empty())
            .collect();
        if !labels.is_empty() {
            resource.insert("labels".to_owned(), json!(labels));
        }
        if let Some(owner) = &self.owner {
            resource.insert(
                "group".to_owned(),
                json!({"name": owner.name, "type": owner.reference}),
            );
        }
        Some(Value::Object(resource))
    }

    /// What OCSF has no field for.
    fn unmapped(&self) -> Map<String, Value> {
        let mut rest = self.other.clone();
        for (name, text) in [
            ("Operation", &self.operation),
            ("Resource", &self.resource),
            ("Data", &self.data),
            ("Enforcer", &self.enforcer),
            ("Action", &self.action),
            ("Result", &self.result),
            ("Type", &self.kind),
            ("ClusterName", &self.cluster_name),
            ("TTY", &self.tty),
        ] {
            put(&mut rest, name, text);
        }
        rest
    }
}

/// Puts a text that is given.
fn put(map: &mut Map<String, Value>, name: &str, text: &str) {
    if !text.is_empty() {
        map.insert(name.to_owned(), json!(text));
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// KubeArmor's ten severities in OCSF's five.
fn severity(text: &str) -> (u8, &'static str) {
    match text.parse::<u8>() {
        Ok(1 | 2) => (1, "Informational"),
        Ok(3 | 4) => (2, "Low"),
        Ok(5 | 6) => (3, "Medium"),
        Ok(7 | 8) => (4, "High"),
        Ok(9 | 10) => (5, "Critical"),
        _ => (0, "Unknown"),
    }
}

/// FNV-1a: stable, and good enough to tell alerts apart.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
