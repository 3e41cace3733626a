//! Workloads as JSON.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use thiserror::Error;

use crate::posture::{Enforcement, PostureError, Postures, annotated_class};
use crate::selector::Workload;

/// The pod or node annotation that turns enforcement off, or into reports.
const POLICY_ANNOTATION: &str = "kubearmor-policy";

/// What is wrong with a text that should be a workload.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// No JSON, an unknown field, or a field of the wrong type.
    #[error("a workload can't be read: {message}")]
    Json {
        /// What the JSON reader says, with line and column.
        message: String,
    },
    /// An unknown kind.
    #[error("`kind` is `{kind}`; it must be pod or host")]
    UnknownKind {
        /// The kind as given.
        kind: String,
    },
    /// A host with a field that only pods have.
    #[error("a host has no `{field}`; leave it out, or make the kind pod")]
    NotOfAHost {
        /// The field.
        field: &'static str,
    },
    /// A posture, or an annotation that should be one, that is none.
    #[error("`{field}`: {error}")]
    Posture {
        /// The field.
        field: String,
        /// What is wrong with it.
        #[source]
        error: PostureError,
    },
    /// The annotation `kubearmor-policy` has a value that means nothing.
    #[error(
        "the annotation `kubearmor-policy` is `{value}`; it must be enabled, audited or disabled"
    )]
    UnknownEnforcement {
        /// The value as given.
        value: String,
    },
}

/// Texts by name, each name once.
#[derive(Debug, Default)]
struct Texts(BTreeMap<String, String>);

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a text such as `file=block`, or an object such as {\"file\":\"block\"}"
)]
enum PostureField {
    Text(String),
    Object(Texts),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawWorkload {
    kind: String,
    namespace: Option<String>,
    labels: Option<Texts>,
    container: Option<String>,
    posture: Option<PostureField>,
    annotations: Option<Texts>,
    namespace_annotations: Option<Texts>,
}

impl Workload {
    /// Reads a workload from JSON.
    ///
    /// `kind` is `pod` or `host`; `labels`, `posture` and `annotations` go with both,
    /// `namespace`, `container` and `namespaceAnnotations` with a pod. Of the annotations count
    /// `kubearmor-policy` (of the pod or node) and `kubearmor-file-posture` and the like (of the
    /// namespace); these go before `posture`. An unknown field is an error, lest a typing mistake
    /// widens what a policy selects.
    ///
    /// ```
    /// use gambeson_policy_model::{Class, Verdict, Workload};
    /// let web = Workload::from_json(
    ///     r#"{"kind":"pod","namespace":"production","labels":{"app":"web"},"container":"nginx",
    ///         "posture":{"file":"block"}}"#,
    /// )?;
    /// assert_eq!(web.container_name(), Some("nginx"));
    /// assert_eq!(web.postures().of(Class::File), Verdict::Block);
    /// # Ok::<(), gambeson_policy_model::WorkloadError>(())
    /// ```
    ///
    /// # Errors
    /// When the text is no such object.
    pub fn from_json(text: &str) -> Result<Self, WorkloadError> {
        // Serde would take an array for an object whose fields come in order.
        if !text.trim_start().starts_with('{') {
            return Err(WorkloadError::Json {
                message: "a workload is an object, such as `{\"kind\":\"pod\"}`".to_owned(),
            });
        }
        let raw: RawWorkload = serde_json::from_str(text).map_err(|error| WorkloadError::Json {
            message: error.to_string(),
        })?;
        let mut workload = if raw.kind.eq_ignore_ascii_case("pod") {
            Self::pod(raw.namespace.unwrap_or_default())
        } else if raw.kind.eq_ignore_ascii_case("host") {
            for (given, field) in [
                (raw.namespace.is_some(), "namespace"),
                (raw.container.is_some(), "container"),
                (raw.namespace_annotations.is_some(), "namespaceAnnotations"),
            ] {
                if given {
                    return Err(WorkloadError::NotOfAHost { field });
                }
            }
            Self::host()
        } else {
            return Err(WorkloadError::UnknownKind { kind: raw.kind });
        };
        for (key, value) in raw.labels.unwrap_or_default().0 {
            workload = workload.label(key, value);
        }
        if let Some(container) = raw.container {
            workload = workload.container(container);
        }
        if let Some(value) = raw
            .annotations
            .unwrap_or_default()
            .0
            .remove(POLICY_ANNOTATION)
        {
            let mode = Enforcement::from_name(&value)
                .ok_or(WorkloadError::UnknownEnforcement { value })?;
            workload = workload.enforcement(mode);
        }
        let of_namespace = annotated_postures(&raw.namespace_annotations.unwrap_or_default())?;
        let of_embedder = raw
            .posture
            .map_or(Ok(Postures::default()), given_postures)?;
        Ok(workload.posture(of_namespace.or(of_embedder)))
    }
}

fn given_postures(field: PostureField) -> Result<Postures, WorkloadError> {
    let wrong = |error| WorkloadError::Posture {
        field: "posture".to_owned(),
        error,
    };
    match field {
        PostureField::Text(text) => text.parse().map_err(wrong),
        PostureField::Object(Texts(classes)) => {
            let mut postures = Postures::default();
            for (class, posture) in &classes {
                postures.set(class, posture).map_err(wrong)?;
            }
            Ok(postures)
        }
    }
}

/// Unlike a cluster, where an annotation that is no posture is overwritten, takes it for an error.
fn annotated_postures(Texts(annotations): &Texts) -> Result<Postures, WorkloadError> {
    let mut postures = Postures::default();
    for (key, value) in annotations {
        if let Some(class) = annotated_class(key) {
            postures
                .set(class, value)
                .map_err(|error| WorkloadError::Posture {
                    field: format!("namespaceAnnotations.{key}"),
                    error,
                })?;
        }
    }
    Ok(postures)
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    match texts.entry(key) {
                        Entry::Vacant(entry) => entry.insert(value),
                        Entry::Occupied(entry) => {
                            return Err(de::Error::custom(format_args!(
                                "`{}` stands twice",
                                entry.key()
                            )));
                        }
                    };
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_map(TextsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Verdict};

    fn error(text: &str) -> String {
        Workload::from_json(text).unwrap_err().to_string()
    }

    #[test]
    fn an_array_is_no_workload() {
        let message = error(r#"["pod","production",{"app":"web"},null,null,null,null]"#);
        assert!(message.contains("a workload is an object"), "{message}");
        assert!(Workload::from_json("[]").is_err() && Workload::from_json("").is_err());
    }

    #[test]
    fn a_pod_and_a_host() {
        let pod = Workload::from_json(
            r#"{"kind":"Pod","namespace":"production","labels":{"app":"web","tier":"front"},"container":"nginx"}"#,
        );
        assert_eq!(
            pod,
            Ok(Workload::pod("production")
                .label("app", "web")
                .label("tier", "front")
                .container("nginx"))
        );
        let host = Workload::from_json(r#"{"kind":"host","labels":{"kubernetes.io/os":"linux"}}"#);
        assert_eq!(
            host,
            Ok(Workload::host().label("kubernetes.io/os", "linux"))
        );
        let bare = Workload::from_json(r#"{"kind":"pod"}"#).unwrap();
        assert_eq!(bare.namespace(), Some("default"));
    }

    #[test]
    fn the_namespace_annotation_goes_before_the_posture() {
        let workload = Workload::from_json(
            r#"{"kind":"pod","posture":"file=audit,network=block",
                "namespaceAnnotations":{"kubearmor-file-posture":"block","team":"x"}}"#,
        )
        .unwrap();
        assert_eq!(workload.postures().of(Class::Process), Verdict::Block);
        assert_eq!(workload.postures().of(Class::Dns), Verdict::Block);
        assert_eq!(workload.postures().of(Class::Capabilities), Verdict::Audit);
    }

    #[test]
    fn both_forms_of_a_posture() {
        let object = r#"{"kind":"host","posture":{"file":"Block","device":"allow"}}"#;
        let text = r#"{"kind":"host","posture":"file=block, device=allow"}"#;
        let workload = Workload::from_json(object).unwrap();
        assert_eq!(Ok(&workload), Workload::from_json(text).as_ref());
        assert_eq!(workload.postures().device, Some(Verdict::Allow));
    }

    #[test]
    fn the_pod_annotation() {
        for (value, mode) in [
            ("enabled", Enforcement::Enabled),
            ("audited", Enforcement::Audited),
            ("disabled", Enforcement::Disabled),
        ] {
            let text =
                format!(r#"{{"kind":"pod","annotations":{{"kubearmor-policy":"{value}"}}}}"#);
            let workload = Workload::from_json(&text).unwrap();
            assert_eq!(workload.enforcement_mode(), mode);
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            (r#"{"kind":"pod","lables":{}}"#, "unknown field `lables`"),
            (r#"{"namespace":"x"}"#, "missing field `kind`"),
            (
                r#"{"kind":"node"}"#,
                "`kind` is `node`; it must be pod or host",
            ),
            (
                r#"{"kind":"host","container":"x"}"#,
                "a host has no `container`",
            ),
            (
                r#"{"kind":"pod","labels":{"a":1}}"#,
                "invalid type: integer `1`",
            ),
            (
                r#"{"kind":"pod","labels":{"a":"1","a":"2"}}"#,
                "`a` stands twice",
            ),
            (
                r#"{"kind":"pod","posture":"file=deny"}"#,
                "`posture`: `deny` is not a posture",
            ),
            (
                r#"{"kind":"pod","posture":{"process":"block"}}"#,
                "`process` has no posture",
            ),
            (
                r#"{"kind":"pod","posture":3}"#,
                "a text such as `file=block`",
            ),
            (
                r#"{"kind":"pod","namespaceAnnotations":{"kubearmor-file-posture":"blokc"}}"#,
                "`namespaceAnnotations.kubearmor-file-posture`: `blokc` is not a posture",
            ),
            (
                r#"{"kind":"pod","annotations":{"kubearmor-policy":"off"}}"#,
                "must be enabled, audited or disabled",
            ),
            ("[]", "a workload can't be read"),
        ] {
            let message = error(text);
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
