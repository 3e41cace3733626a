//! Changing postures in a workload's file, which stays as it is apart from that.

use std::collections::BTreeMap;

use gambeson_policy_model::{Postures, Verdict, Workload, WorkloadError};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

/// Why a posture can't be changed in a file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PostureEditError {
    /// The text describes no workload.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// A change would change more.
    #[error("the posture can't be changed in place; write `\"posture\"` by hand")]
    NotInPlace,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'t> {
    #[serde(borrow)]
    posture: Option<&'t RawValue>,
    #[serde(borrow)]
    namespace_annotations: Option<BTreeMap<String, &'t RawValue>>,
}

/// What replaces a part of a text.
type Change = (usize, usize, String);

/// Sets the postures of classes (`file`, `network`, `capabilities`) in the text of a workload.
///
/// ```
/// use gambeson_insight::promote::set_postures;
/// use gambeson_policy_model::Verdict;
/// let text = r#"{"kind":"pod", "posture": { "file" : "audit", "network": "audit" }}"#;
/// assert_eq!(
///     set_postures(text, &["file"], Verdict::Block).as_deref(),
///     Ok(r#"{"kind":"pod", "posture": { "file" : "block", "network": "audit" }}"#),
/// );
/// ```
///
/// # Errors
/// When the text describes no workload.
pub fn set_postures(
    text: &str,
    classes: &[&str],
    posture: Verdict,
) -> Result<String, PostureEditError> {
    let before = Workload::from_json(text)?;
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|_| PostureEditError::NotInPlace)?;
    let name = posture.name().to_ascii_lowercase();
    let mut changes: Vec<Change> = Vec::new();
    let mut missing: Vec<&str> = Vec::new();
    let object: Option<BTreeMap<String, &RawValue>> = fields
        .posture
        .and_then(|posture| serde_json::from_str(posture.get()).ok());
    for class in classes {
        let annotation = format!("kubearmor-{class}-posture");
        let annotations = fields.namespace_annotations.as_ref();
        let of_annotation = annotations.and_then(|known| known.get(&annotation));
        let of_object = object.as_ref().and_then(|known| known.get(*class));
        match of_annotation.or(of_object) {
            Some(value) => changes.push((
                offset(text, value.get())?,
                value.get().len(),
                format!("\"{name}\""),
            )),
            None => missing.push(class),
        }
    }
    if !missing.is_empty() {
        changes.push(addition(text, &fields, object.is_some(), &missing, &name)?);
    }
    changes.sort();
    let mut after = String::with_capacity(text.len() + 64);
    let mut from = 0;
    for (at, length, new) in changes {
        after.push_str(text.get(from..at).ok_or(PostureEditError::NotInPlace)?);
        after.push_str(&new);
        from = at + length;
    }
    after.push_str(text.get(from..).unwrap_or_default());
    let mut expected = before.postures();
    for class in classes {
        let set = expected.set(class, &name);
        set.map_err(|_| PostureEditError::NotInPlace)?;
    }
    if Workload::from_json(&after)? == before.posture(expected) {
        Ok(after)
    } else {
        Err(PostureEditError::NotInPlace)
    }
}

/// Postures that aren't given yet: into the object, the text, or a new field.
fn addition(
    text: &str,
    fields: &Fields<'_>,
    is_object: bool,
    missing: &[&str],
    name: &str,
) -> Result<Change, PostureEditError> {
    let pairs: Vec<String> = missing
        .iter()
        .map(|class| format!("\"{class}\": \"{name}\""))
        .collect();
    let pairs = pairs.join(", ");
    let Some(posture) = fields.posture.filter(|posture| posture.get() != "null") else {
        let open = text.find('{').ok_or(PostureEditError::NotInPlace)?;
        let rest = text.get(open + 1..).unwrap_or_default();
        // The new field takes the space that is before the first.
        let space = rest.len() - rest.trim_start().len();
        let space = rest.get(..space).unwrap_or_default();
        return Ok((open + 1, 0, format!("{space}\"posture\": {{ {pairs} }},")));
    };
    let at = offset(text, posture.get())?;
    if is_object {
        let inside = posture.get().get(1..).unwrap_or_default();
        let comma = if inside.trim_start().starts_with('}') {
            ""
        } else {
            ","
        };
        return Ok((at + 1, 0, format!(" {pairs}{comma}")));
    }
    let given: String =
        serde_json::from_str(posture.get()).map_err(|_| PostureEditError::NotInPlace)?;
    let mut items: Vec<String> = given
        .split(',')
        .map(str::trim)
        .filter(|item| {
            let class = item.split('=').next().unwrap_or_default().trim();
            !item.is_empty() && !missing.contains(&class)
        })
        .map(str::to_owned)
        .collect();
    items.extend(missing.iter().map(|class| format!("{class}={name}")));
    let known: Result<Postures, _> = items.join(",").parse();
    known.map_err(|_| PostureEditError::NotInPlace)?;
    Ok((at, posture.get().len(), format!("\"{}\"", items.join(","))))
}

/// Where a part that was borrowed from a text begins in it.
fn offset(text: &str, part: &str) -> Result<usize, PostureEditError> {
    let at = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
    at.filter(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(part)))
        .ok_or(PostureEditError::NotInPlace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_a_posture_is_kept() {
        for (before, after) in [
            (
                "{\n  \"kind\": \"pod\"\n}\n",
                "{\n  \"posture\": { \"file\": \"block\", \"network\": \"block\" },\n  \"kind\": \"pod\"\n}\n",
            ),
            (
                r#"{"kind":"pod","posture":{}}"#,
                r#"{"kind":"pod","posture":{ "file": "block", "network": "block"}}"#,
            ),
            (
                r#"{"kind":"pod","posture":{"network":"Audit" }}"#,
                r#"{"kind":"pod","posture":{ "file": "block","network":"block" }}"#,
            ),
            (
                r#"{"kind":"pod","posture":"file=audit, capabilities=audit"}"#,
                r#"{"kind":"pod","posture":"capabilities=audit,file=block,network=block"}"#,
            ),
            (
                r#"{"kind":"pod","namespaceAnnotations":{"kubearmor-file-posture": "audit"},"posture":{"file":"audit","network":"audit"}}"#,
                r#"{"kind":"pod","namespaceAnnotations":{"kubearmor-file-posture": "block"},"posture":{"file":"audit","network":"block"}}"#,
            ),
        ] {
            let edited = set_postures(before, &["file", "network"], Verdict::Block);
            assert_eq!(edited.as_deref(), Ok(after));
        }
        assert!(set_postures("[]", &["file"], Verdict::Block).is_err());
    }
}
