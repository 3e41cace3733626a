//! The fields of an event's line, in any order, each with the type its name asks for.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::bytes::Bytes;
use super::error::EventError;

/// A name or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    Number(i64),
    Name(Cow<'a, str>),
}

/// A JSON string, borrowed where it holds no escapes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The known fields. A null is `None`, as is a field that isn't there; `path` tells the two apart.
#[derive(Debug, Default)]
pub(super) struct RawEvent<'a> {
    pub(super) op: Option<Text<'a>>,
    pub(super) path: Option<Option<Bytes<'a>>>,
    pub(super) args: Option<Vec<Bytes<'a>>>,
    pub(super) argv: Option<Vec<Bytes<'a>>>,
    pub(super) source: Option<Bytes<'a>>,
    pub(super) uid: Option<u32>,
    pub(super) owner: Option<u32>,
    pub(super) tty: Option<bool>,
    pub(super) family: Option<Scalar<'a>>,
    pub(super) socket_type: Option<Scalar<'a>>,
    pub(super) protocol: Option<Scalar<'a>>,
    pub(super) capability: Option<Scalar<'a>>,
    pub(super) syscall: Option<Text<'a>>,
    pub(super) domain: Option<Text<'a>>,
    pub(super) class: Option<Scalar<'a>>,
    pub(super) subclass: Option<i32>,
    pub(super) level: Option<i32>,
    pub(super) preset: Option<Text<'a>>,
}

/// The name of a field.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Op,
    Path,
    Args,
    Argv,
    Source,
    Uid,
    Owner,
    Tty,
    Family,
    Type,
    Protocol,
    Capability,
    Syscall,
    Domain,
    Class,
    Subclass,
    Level,
    Preset,
    #[serde(other)]
    Other,
}

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Self::Op => "op",
            Self::Path => "path",
            Self::Args => "args",
            Self::Argv => "argv",
            Self::Source => "source",
            Self::Uid => "uid",
            Self::Owner => "owner",
            Self::Tty => "tty",
            Self::Family => "family",
            Self::Type => "type",
            Self::Protocol => "protocol",
            Self::Capability => "capability",
            Self::Syscall => "syscall",
            Self::Domain => "domain",
            Self::Class => "class",
            Self::Subclass => "subclass",
            Self::Level => "level",
            Self::Preset => "preset",
            Self::Other => "",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// What the reader was at when it failed: serde's errors don't say.
#[derive(Default)]
struct Place {
    field: Option<Field>,
    duplicate: bool,
}

impl<'a> RawEvent<'a> {
    /// Reads one line.
    pub(super) fn from_json(line: &'a str) -> Result<Self, EventError> {
        // A look ahead, for a plainer message than the reader's.
        if !line.trim_start().starts_with('{') {
            let any = serde_json::from_str::<IgnoredAny>(line);
            return Err(any
                .err()
                .map_or(EventError::NotAnObject, |error| syntax(&error)));
        }
        let mut place = Place::default();
        let mut deserializer = serde_json::Deserializer::from_str(line);
        RawSeed(&mut place)
            .deserialize(&mut deserializer)
            .and_then(|raw| deserializer.end().map(|()| raw))
            .map_err(|error| match place.field {
                _ if !error.is_data() => syntax(&error),
                Some(field) if place.duplicate => EventError::Duplicate {
                    field: field.name(),
                    column: error.column(),
                },
                Some(field) => EventError::Type {
                    field: field.name(),
                    message: bare_message(&error),
                    column: error.column(),
                },
                None => syntax(&error),
            })
    }
}

fn syntax(error: &serde_json::Error) -> EventError {
    EventError::Syntax {
        message: bare_message(error),
        column: error.column(),
    }
}

/// The reader's message without the place that it appends.
fn bare_message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((bare, _)) => bare.to_owned(),
        None => message,
    }
}

struct RawSeed<'p>(&'p mut Place);

impl<'de> DeserializeSeed<'de> for RawSeed<'_> {
    type Value = RawEvent<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawEvent<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RawSeed<'_> {
    type Value = RawEvent<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEvent<'de>, A::Error> {
        let mut raw = RawEvent::default();
        let mut seen = 0;
        while let Some(field) = map.next_key::<Field>()? {
            if field == Field::Other {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            self.0.field = Some(field);
            if seen & field.bit() != 0 {
                self.0.duplicate = true;
                return Err(de::Error::custom("stands twice"));
            }
            seen |= field.bit();
            match field {
                Field::Op => raw.op = map.next_value()?,
                Field::Path => raw.path = Some(map.next_value()?),
                Field::Args => raw.args = map.next_value()?,
                Field::Argv => raw.argv = map.next_value()?,
                Field::Source => raw.source = map.next_value()?,
                Field::Uid => raw.uid = number(map.next_value()?)?,
                Field::Owner => raw.owner = number(map.next_value()?)?,
                Field::Tty => raw.tty = map.next_value()?,
                Field::Family => raw.family = map.next_value()?,
                Field::Type => raw.socket_type = map.next_value()?,
                Field::Protocol => raw.protocol = map.next_value()?,
                Field::Capability => raw.capability = map.next_value()?,
                Field::Syscall => raw.syscall = map.next_value()?,
                Field::Domain => raw.domain = map.next_value()?,
                Field::Class => raw.class = map.next_value()?,
                Field::Subclass => raw.subclass = number(map.next_value()?)?,
                Field::Level => raw.level = number(map.next_value()?)?,
                Field::Preset => raw.preset = map.next_value()?,
                Field::Other => {}
            }
            self.0.field = None;
        }
        Ok(raw)
    }
}

/// A number of a narrower type.
fn number<T: TryFrom<i64> + Bounds, E: de::Error>(number: Option<Number>) -> Result<Option<T>, E> {
    number
        .map(|Number(number)| {
            T::try_from(number).map_err(|_| {
                E::custom(format_args!(
                    "`{number}` is no number from {} to {}",
                    T::LOWEST,
                    T::HIGHEST
                ))
            })
        })
        .transpose()
}

/// The range of a number, for messages.
trait Bounds {
    const LOWEST: i64;
    const HIGHEST: i64;
}

impl Bounds for u32 {
    const LOWEST: i64 = 0;
    const HIGHEST: i64 = u32::MAX as i64;
}

impl Bounds for i32 {
    const LOWEST: i64 = i32::MIN as i64;
    const HIGHEST: i64 = i32::MAX as i64;
}

struct Number(i64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(saturated(number)))
            }
        }
        deserializer.deserialize_i64(NumberVisitor)
    }
}

/// What doesn't fit is out of every field's range, and so is the largest number.
fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a whole number")
            }

            fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Name(Cow::Owned(name.to_owned())))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(saturated(number)))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}
