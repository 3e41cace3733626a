//! Strings, booleans, numbers and lists of strings.

use super::context::{Context, Problem, Trail};
use crate::diagnostic::Code;
use crate::node::{Node, Scalar, ScalarKind, yaml_1_1_boolean};
use crate::text;

impl Context<'_> {
    /// The scalar that a field must hold.
    fn scalar<'n>(
        &mut self,
        node: &'n Node,
        trail: &Trail<'_>,
        expected: &str,
    ) -> Option<&'n Scalar> {
        let scalar = node.scalar();
        if scalar.is_none() {
            self.wrong_type(node, trail, expected);
        }
        scalar
    }

    /// Reports a value of another type than expected.
    pub(super) fn wrong_type(&mut self, node: &Node, trail: &Trail<'_>, expected: &str) {
        let at = trail.at(node.place);
        self.error(
            at,
            Problem::new(
                Code::WrongType,
                format!("expected {expected}, found {}", node.describe()),
            ),
        );
    }

    /// A string.
    pub(super) fn text<'n>(&mut self, node: &'n Node, trail: &Trail<'_>) -> Option<&'n str> {
        let scalar = self.scalar(node, trail, "a string")?;
        let at = trail.at(node.place);
        match scalar.kind {
            ScalarKind::Text => {
                if scalar.plain && yaml_1_1_boolean(&scalar.text).is_some() {
                    self.warning(
                        at,
                        Problem::new(
                            Code::AmbiguousString,
                            format!(
                                "Kubernetes takes `{}` without quotes for a boolean",
                                scalar.text
                            ),
                        )
                        .help(format!("write \"{}\"", scalar.text)),
                    );
                }
            }
            ScalarKind::Null => {
                self.deviation(
                    at,
                    Problem::new(Code::NullValue, "expected a string, found null"),
                    "taken as an empty string",
                );
                return Some("");
            }
            _ => {
                let problem = Problem::new(
                    Code::WrongType,
                    format!("expected a string, found {}", node.describe()),
                )
                .help(format!("write \"{}\"", text::shorten(&scalar.text)));
                self.deviation(at, problem, "taken as a string");
            }
        }
        Some(&scalar.text)
    }

    /// A boolean.
    pub(super) fn flag(&mut self, node: &Node, trail: &Trail<'_>) -> Option<bool> {
        let scalar = self.scalar(node, trail, "true or false")?;
        let meant = match scalar.kind {
            ScalarKind::Bool(flag) => return Some(flag),
            ScalarKind::Text => match ScalarKind::of_plain(&scalar.text) {
                ScalarKind::Bool(flag) => Some(flag),
                _ => yaml_1_1_boolean(&scalar.text),
            },
            _ => None,
        };
        let Some(meant) = meant else {
            self.wrong_type(node, trail, "true or false");
            return None;
        };
        let at = trail.at(node.place);
        let problem = Problem::new(
            Code::WrongType,
            format!("expected true or false, found {}", node.describe()),
        )
        .help(format!("write {meant}"));
        self.deviation(at, problem, &format!("taken as {meant}"));
        Some(meant)
    }

    /// An integer.
    pub(super) fn integer(&mut self, node: &Node, trail: &Trail<'_>) -> Option<i64> {
        let scalar = self.scalar(node, trail, "an integer")?;
        let meant = match scalar.kind {
            ScalarKind::Int(Some(number)) if !has_leading_zero(&scalar.text) => {
                return Some(number);
            }
            ScalarKind::Int(number) => number,
            ScalarKind::Text => match ScalarKind::of_plain(scalar.text.trim()) {
                ScalarKind::Int(number) => number,
                _ => None,
            },
            // Kubernetes, too, takes 5.0 for 5.
            ScalarKind::Float => scalar
                .text
                .split_once('.')
                .filter(|(_, fraction)| fraction.bytes().all(|b| b == b'0'))
                .and_then(|(whole, _)| whole.parse().ok()),
            _ => None,
        };
        let Some(meant) = meant else {
            self.wrong_type(node, trail, "an integer");
            return None;
        };
        let at = trail.at(node.place);
        let message = if has_leading_zero(&scalar.text) {
            format!(
                "`{}` is octal to some readers of YAML and decimal to others",
                scalar.text
            )
        } else {
            format!("expected an integer, found {}", node.describe())
        };
        let problem = Problem::new(Code::WrongType, message).help(format!("write {meant}"));
        self.deviation(at, problem, &format!("taken as {meant}"));
        Some(meant)
    }

    /// A list of strings.
    pub(super) fn texts(&mut self, node: &Node, trail: &Trail<'_>) -> Option<Vec<String>> {
        let items = self.list(node, trail)?;
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let trail = trail.index(index);
            texts.extend(self.text(item, &trail).map(str::to_owned));
        }
        Some(texts)
    }
}

fn has_leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}
