//! The tree of a YAML document, in which every key and value knows its place.

/// Where a node begins: line and column in the file, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A key or a value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the file; a key may stand twice.
    Map(Vec<(Node, Node)>),
}

/// A scalar as it is written, and what YAML 1.2's core schema takes it for.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: Box<str>,
    pub(crate) kind: ScalarKind,
    /// Written without quotes and without a tag.
    pub(crate) plain: bool,
}

/// The types of scalars in YAML 1.2's core schema.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ScalarKind {
    Null,
    Bool(bool),
    /// `None` where the number is beyond 64 bits.
    Int(Option<i64>),
    Float,
    Text,
}

impl ScalarKind {
    /// What a plain scalar is.
    pub(crate) fn of_plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            _ => {}
        }
        if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
            return Self::Text;
        }
        if let Some(number) = integer(text) {
            return Self::Int(number);
        }
        if is_float(text) {
            Self::Float
        } else {
            Self::Text
        }
    }
}

/// An integer of the core schema: decimal with a sign, `0o` or `0x`.
fn integer(text: &str) -> Option<Option<i64>> {
    let radix = |digits: &str, radix| {
        let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        valid.then(|| i64::from_str_radix(digits, radix).ok())
    };
    if let Some(hex) = text.strip_prefix("0x") {
        return radix(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return radix(octal, 8);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then(|| text.parse().ok())
}

/// A float of the core schema.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => return true,
        ".nan" | ".NaN" | ".NAN" => return unsigned.len() == text.len(),
        _ => {}
    }
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && unsigned.parse::<f64>().is_ok()
}

/// Whether YAML 1.1, which Kubernetes' own reader speaks, takes a plain scalar for a boolean
/// that YAML 1.2 takes for text.
pub(crate) fn yaml_1_1_boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

impl Node {
    /// The scalar, if it is one.
    pub(crate) const fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Whether it is a null.
    pub(crate) fn is_null(&self) -> bool {
        self.scalar().is_some_and(|s| s.kind == ScalarKind::Null)
    }

    /// The value of a key; of the last one where it stands twice.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.pair(key).map(|(_, value)| value)
    }

    /// A key and its value; the last one where it stands twice.
    pub(crate) fn pair(&self, key: &str) -> Option<&(Self, Self)> {
        let Value::Map(pairs) = &self.value else {
            return None;
        };
        pairs
            .iter()
            .rev()
            .find(|(k, _)| k.scalar().is_some_and(|s| *s.text == *key))
    }

    /// The text of a scalar that is not null.
    pub(crate) fn text(&self) -> Option<&str> {
        self.scalar()
            .filter(|s| s.kind != ScalarKind::Null)
            .map(|s| &*s.text)
    }

    /// What the node is, in words for a message.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "an object".to_owned(),
            Value::Scalar(scalar) => {
                let text = crate::text::shorten(&scalar.text);
                match scalar.kind {
                    ScalarKind::Null => "null".to_owned(),
                    ScalarKind::Bool(_) => format!("the boolean `{text}`"),
                    ScalarKind::Int(_) | ScalarKind::Float => format!("the number `{text}`"),
                    ScalarKind::Text => format!("the string `{text}`"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_the_types_of_yaml_1_2() {
        use ScalarKind::{Bool, Float, Int, Null, Text};
        for (text, kind) in [
            ("", Null),
            ("~", Null),
            ("NULL", Null),
            ("nULL", Text),
            ("True", Bool(true)),
            ("FALSE", Bool(false)),
            ("yes", Text),
            ("0", Int(Some(0))),
            ("-12", Int(Some(-12))),
            ("+12", Int(Some(12))),
            ("0x1F", Int(Some(31))),
            ("0o17", Int(Some(15))),
            ("017", Int(Some(17))),
            ("99999999999999999999", Int(None)),
            ("1_000", Text),
            ("0b11", Text),
            ("0x", Text),
            ("-", Text),
            ("1.5", Float),
            (".5", Float),
            ("1e3", Float),
            ("-.inf", Float),
            (".nan", Float),
            ("-.nan", Text),
            ("1.2.3", Text),
            ("12:30", Text),
            ("2024-01-01", Text),
            (".", Text),
            ("/bin/sh", Text),
        ] {
            assert_eq!(ScalarKind::of_plain(text), kind, "{text}");
        }
    }
}
