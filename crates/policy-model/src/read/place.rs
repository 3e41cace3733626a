//! Where the fields of a document stand.

use super::object::list_items;
use crate::node::{Node, Place, Value};
use crate::yaml::YamlDocument;

/// An object of a file, as the documents of a reading count them.
#[derive(Debug)]
pub(crate) struct PlacedObject<'n> {
    node: Option<&'n Node>,
    /// The way to it from the top of its document: `items[3]` and the like.
    prefix: String,
}

/// Every object of a file; what can't be read counts, too.
pub(crate) fn objects(documents: &[YamlDocument]) -> Vec<PlacedObject<'_>> {
    let mut objects = Vec::with_capacity(documents.len());
    for document in documents {
        match (&document.error, &document.root) {
            (None, Some(root)) => add(root, None, String::new(), &mut objects),
            (None, None) => {}
            (Some(_), _) => objects.push(PlacedObject {
                node: None,
                prefix: String::new(),
            }),
        }
    }
    objects
}

fn add<'n>(
    node: &'n Node,
    implied: Option<&'n str>,
    prefix: String,
    objects: &mut Vec<PlacedObject<'n>>,
) {
    match list_items(node, implied) {
        Some((Some(items), of)) => {
            for (index, item) in items.iter().enumerate() {
                add(item, of, join(&prefix, &format!("items[{index}]")), objects);
            }
        }
        _ => objects.push(PlacedObject {
            node: Some(node),
            prefix,
        }),
    }
}

fn join(prefix: &str, field: &str) -> String {
    if prefix.is_empty() || field.is_empty() {
        format!("{prefix}{field}")
    } else {
        format!("{prefix}.{field}")
    }
}

impl PlacedObject<'_> {
    /// Whether the object begins there.
    pub(crate) fn begins_at(&self, line: u32, column: u32) -> bool {
        self.node
            .is_some_and(|node| node.place == Place { line, column })
    }

    /// A field's path from the top of the document, and its place: the value itself where it is
    /// a scalar, else its key. Of what isn't there, where the innermost object stands that is.
    pub(crate) fn find(&self, field: &str) -> Option<(String, Place)> {
        let own = field.strip_prefix(&*self.prefix).unwrap_or(field);
        let own = own.strip_prefix('.').unwrap_or(own);
        Some((join(&self.prefix, own), self.place_of(own)?))
    }

    fn place_of(&self, field: &str) -> Option<Place> {
        let mut node = self.node?;
        let mut place = node.place;
        let mut steps = steps(field);
        while let Some((key, value)) = step(node, &mut steps) {
            node = value;
            place = match (key, &value.value) {
                (Some(key), Value::List(_) | Value::Map(_)) => key.place,
                (Some(key), Value::Scalar(_)) if value.is_null() => key.place,
                _ => value.place,
            };
        }
        Some(place)
    }
}

/// The keys and indices of a field's path.
fn steps(field: &str) -> impl Iterator<Item = &str> {
    field.split(['.', '[', ']']).filter(|step| !step.is_empty())
}

/// The next value on the way, with its key where it has one.
fn step<'n, 's>(
    node: &'n Node,
    steps: &mut impl Iterator<Item = &'s str>,
) -> Option<(Option<&'n Node>, &'n Node)> {
    let step = steps.next()?;
    match &node.value {
        Value::Map(_) => node.pair(step).map(|(key, value)| (Some(key), value)),
        Value::List(items) => Some((None, items.get(step.parse::<usize>().ok()?)?)),
        Value::Scalar(_) => None,
    }
}
