//! Selectors: labels and expressions.

use std::collections::BTreeMap;

use super::context::{Context, Problem, Spot, Trail};
use super::names::suggestion;
use crate::diagnostic::Code;
use crate::node::{Node, Place};
use crate::policy::SelectorSpec;
use crate::selector::{Expression, ExpressionKey, Labels, Operator};
use crate::shape::{Content, Shape};
use crate::text::shorten;

impl Context<'_> {
    /// `selector` or `nodeSelector`.
    pub(super) fn selector(
        &mut self,
        node: &Node,
        shape: &'static Shape,
        trail: &Trail<'_>,
    ) -> Option<SelectorSpec> {
        let mut selector = SelectorSpec::default();
        for given in self.fields(node, shape, trail)? {
            let trail = trail.key(given.field.name);
            match given.field.content {
                Content::MatchLabels => selector.labels = self.labels(given.value, &trail),
                Content::MatchExpressions { namespaces } => {
                    selector.expressions = self.expressions(given.value, namespaces, &trail);
                }
                _ => {}
            }
        }
        Some(selector)
    }

    /// An object of strings.
    pub(super) fn labels(&mut self, node: &Node, trail: &Trail<'_>) -> Option<Labels> {
        let pairs = self.object(node, trail)?;
        let mut labels = Labels::new();
        let mut places: BTreeMap<&str, Place> = BTreeMap::new();
        for (key, value) in pairs {
            let Some(name) = self.text(key, trail) else {
                continue;
            };
            if let Some(first) = places.insert(name, key.place) {
                self.duplicate(key, first, trail);
            }
            let trail = trail.key(name);
            if value.is_null() {
                let at = trail.at(key.place);
                let problem = Problem::new(
                    Code::NullValue,
                    format!("the label `{}` is null", shorten(name)),
                )
                .help("give it a value; the empty string is written \"\"");
                self.deviation(at, problem, "taken as an empty string");
                labels.insert(name.to_owned(), String::new());
            } else if let Some(text) = self.text(value, &trail) {
                labels.insert(name.to_owned(), text.to_owned());
            }
        }
        Some(labels)
    }

    fn expressions(
        &mut self,
        node: &Node,
        namespaces: bool,
        trail: &Trail<'_>,
    ) -> Option<Vec<Expression>> {
        let items = self.list(node, trail)?;
        let mut expressions = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            expressions.extend(self.expression(item, namespaces, &trail.index(index)));
        }
        Some(expressions)
    }

    fn expression(
        &mut self,
        node: &Node,
        namespaces: bool,
        trail: &Trail<'_>,
    ) -> Option<Expression> {
        let mut key = None;
        let mut operator = None;
        let mut values = Vec::new();
        for given in self.fields(node, crate::shape::expression(), trail)? {
            let trail = trail.key(given.field.name);
            let at = trail.at(given.value.place);
            match given.field.content {
                Content::ExpressionKey => {
                    let text = self.text(given.value, &trail)?;
                    key = self.expression_key(text, namespaces, at);
                }
                Content::Operator => {
                    let text = self.text(given.value, &trail)?;
                    operator = self.operator(text, at);
                }
                Content::ExpressionValues => {
                    values = self.texts(given.value, &trail)?;
                    if values.is_empty() {
                        self.warning(
                            at,
                            Problem::new(Code::MatchesNothing, "the expression lists no values")
                                .help("`In` then selects nothing, and `NotIn` leaves nothing out"),
                        );
                    }
                }
                _ => {}
            }
        }
        let operator = operator?;
        let Some(key) = key else {
            // Nothing carries a key that isn't known: `In` selects nothing.
            return Some(Expression {
                key: ExpressionKey::Label,
                operator,
                values: Vec::new(),
            });
        };
        if key == ExpressionKey::Label {
            for value in &values {
                if value
                    .split_once('=')
                    .is_none_or(|(key, _)| key.trim().is_empty())
                {
                    let trail = trail.key("values");
                    let place = node.get("values").unwrap_or(node).place;
                    let at = trail.at(place);
                    let problem = Problem::new(
                        Code::InvalidValue,
                        format!("`{}` is not of the form `label=value`", shorten(value)),
                    )
                    .help("write the label's key, `=` and its value");
                    self.deviation(at, problem, "no workload has it");
                }
            }
        }
        Some(Expression {
            key,
            operator,
            values,
        })
    }

    fn expression_key(
        &mut self,
        text: &str,
        namespaces: bool,
        at: Spot<'_>,
    ) -> Option<ExpressionKey> {
        match text {
            "label" => return Some(ExpressionKey::Label),
            "namespace" if namespaces => return Some(ExpressionKey::Namespace),
            _ => {}
        }
        let names: &[&str] = if namespaces {
            &["label", "namespace"]
        } else {
            &["label"]
        };
        let problem = Problem::new(
            Code::InvalidValue,
            format!("`{}` is not a key of expressions here", shorten(text)),
        )
        .help(suggestion(text, names.iter().copied()));
        self.deviation(at, problem, "no workload has it");
        None
    }

    fn operator(&mut self, text: &str, at: Spot<'_>) -> Option<Operator> {
        match text {
            "In" => return Some(Operator::In),
            "NotIn" => return Some(Operator::NotIn),
            _ => {}
        }
        let meant = if text.eq_ignore_ascii_case("in") {
            Some((Operator::In, "In"))
        } else if text.eq_ignore_ascii_case("notin") {
            Some((Operator::NotIn, "NotIn"))
        } else {
            None
        };
        let problem = |help| {
            Problem::new(
                Code::InvalidValue,
                format!("`{}` is not an operator", shorten(text)),
            )
            .help(help)
        };
        match meant {
            Some((operator, name)) => {
                self.deviation(
                    at,
                    problem(format!("write `{name}`")),
                    &format!("taken as `{name}`"),
                );
                Some(operator)
            }
            None => {
                self.error(at, problem("write `In` or `NotIn`".to_owned()));
                None
            }
        }
    }
}
