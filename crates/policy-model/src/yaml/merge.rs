//! Merge keys (`<<: *name`), which Kubernetes' reader takes.

use std::collections::HashSet;

use super::YamlError;
use crate::diagnostic::Code;
use crate::node::{Node, Value};

/// Whether a key asks for a merge.
pub(super) fn is_merge_key(key: &Node) -> bool {
    key.scalar().is_some_and(|s| s.plain && &*s.text == "<<")
}

/// Puts the pairs that are merged in place of the merge keys. A pair that the object gives
/// itself goes before a merged one, and an earlier merge before a later one.
pub(super) fn expand(object: &mut Node) -> Result<(), YamlError> {
    let Value::Map(pairs) = &mut object.value else {
        return Ok(());
    };
    let (merges, mut own): (Vec<_>, Vec<_>) = std::mem::take(pairs)
        .into_iter()
        .partition(|(key, _)| is_merge_key(key));
    let text = |key: &Node| key.text().map(str::to_owned);
    let mut given: HashSet<String> = own.iter().filter_map(|(key, _)| text(key)).collect();
    for (key, value) in merges {
        let sources = match value.value {
            Value::List(items) => items,
            _ => vec![value],
        };
        for source in sources {
            let Value::Map(merged) = source.value else {
                return Err(YamlError {
                    code: Code::Syntax,
                    message: "a merge key (`<<`) takes an object or a list of objects".to_owned(),
                    help: Some("quote the key if `<<` is meant as text".to_owned()),
                    place: key.place,
                });
            };
            own.extend(
                merged
                    .into_iter()
                    .filter(|(key, _)| text(key).is_none_or(|key| given.insert(key))),
            );
        }
    }
    *pairs = own;
    Ok(())
}
