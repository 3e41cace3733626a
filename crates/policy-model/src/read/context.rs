//! What every part of the reader shares: the mode, the problems found so far, and the walk over
//! an object's fields.

use std::fmt;
use std::sync::Arc;

use super::Mode;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::identity::{Location, PolicyKind};
use crate::node::{Node, Place, Value};
use crate::shape::{self, Field, Shape};
use crate::text;

/// The most problems that are listed for one document.
const MAX_PROBLEMS: usize = 1_000;

/// The way from the top of the document to a value. It becomes text only where a problem is.
#[derive(Clone, Copy)]
pub(super) struct Trail<'a> {
    parent: Option<&'a Trail<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Top,
    Key(&'a str),
    Index(usize),
}

impl<'a> Trail<'a> {
    pub(super) const TOP: Self = Self {
        parent: None,
        step: Step::Top,
    };

    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        Self {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    /// What stands there.
    pub(super) const fn at(&'a self, place: Place) -> Spot<'a> {
        Spot { place, trail: self }
    }

    pub(super) const fn index(&'a self, index: usize) -> Self {
        Self {
            parent: Some(self),
            step: Step::Index(index),
        }
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            let is_top = matches!(parent.step, Step::Top);
            match self.step {
                Step::Key(key) if is_top => f.write_str(&text::shorten(key))?,
                Step::Key(key) => write!(f, ".{}", text::shorten(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Top => {}
            }
        }
        Ok(())
    }
}

/// A place in the text and in the document.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) place: Place,
    pub(super) trail: &'a Trail<'a>,
}

/// A field that is given, and not null.
#[derive(Clone, Copy)]
pub(super) struct Given<'n> {
    pub(super) field: &'static Field,
    pub(super) key: &'n Node,
    pub(super) value: &'n Node,
}

/// A problem: what is wrong, and what to do about it.
pub(super) struct Problem {
    code: Code,
    message: String,
    help: Option<String>,
}

impl Problem {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The reader of one document.
pub(super) struct Context<'a> {
    file: &'a Arc<str>,
    mode: Mode,
    diagnostics: Vec<Diagnostic>,
    /// How many problems are not listed, and the worst of them.
    dropped: usize,
    worst_dropped: Severity,
}

impl<'a> Context<'a> {
    pub(super) const fn new(file: &'a Arc<str>, mode: Mode) -> Self {
        Self {
            file,
            mode,
            diagnostics: Vec::new(),
            dropped: 0,
            worst_dropped: Severity::Warning,
        }
    }

    pub(super) const fn is_strict(&self) -> bool {
        matches!(self.mode, Mode::Strict)
    }

    pub(super) fn location(&self, place: Place) -> Location {
        Location {
            file: Arc::clone(self.file),
            line: place.line,
            column: place.column,
        }
    }

    /// What was found, in the order of the text.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by(|a, b| {
            (a.location.line, a.location.column).cmp(&(b.location.line, b.location.column))
        });
        if let (true, Some(last)) = (self.dropped > 0, self.diagnostics.last()) {
            self.diagnostics.push(Diagnostic {
                code: Code::TooManyProblems,
                severity: self.worst_dropped,
                message: format!("{} more problems are not listed", self.dropped),
                help: None,
                location: last.location.clone(),
                field: String::new(),
            });
        }
        self.diagnostics
    }

    fn report(&mut self, severity: Severity, at: Spot<'_>, problem: Problem) {
        if self.is_full() {
            self.dropped += 1;
            self.worst_dropped = self.worst_dropped.max(severity);
            return;
        }
        self.diagnostics.push(Diagnostic {
            code: problem.code,
            severity,
            message: problem.message,
            help: problem.help,
            location: self.location(at.place),
            field: at.trail.to_string(),
        });
    }

    /// Whether further problems are counted only.
    const fn is_full(&self) -> bool {
        self.diagnostics.len() >= MAX_PROBLEMS
    }

    /// What can't be read in either mode.
    pub(super) fn error(&mut self, at: Spot<'_>, problem: Problem) {
        self.report(Severity::Error, at, problem);
    }

    /// What can be read in either mode, but is doubtful.
    pub(super) fn warning(&mut self, at: Spot<'_>, problem: Problem) {
        self.report(Severity::Warning, at, problem);
    }

    /// A deviation from the schema: an error in strict mode; in lenient mode a warning that says
    /// what was assumed.
    pub(super) fn deviation(&mut self, at: Spot<'_>, mut problem: Problem, assumed: &str) {
        if self.is_strict() {
            self.report(Severity::Error, at, problem);
        } else {
            problem.message = format!("{}; {assumed}", problem.message);
            self.report(Severity::Warning, at, problem);
        }
    }

    /// The pairs of an object; reports what is none.
    pub(super) fn object<'n>(
        &mut self,
        node: &'n Node,
        trail: &Trail<'_>,
    ) -> Option<&'n [(Node, Node)]> {
        match &node.value {
            Value::Map(pairs) => Some(pairs),
            _ => {
                self.wrong_type(node, trail, "an object");
                None
            }
        }
    }

    /// The items of a list; reports what is none.
    pub(super) fn list<'n>(&mut self, node: &'n Node, trail: &Trail<'_>) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            _ => {
                let at = trail.at(node.place);
                let help = match &node.value {
                    Value::Map(_) => "begin each item with `- `",
                    _ => "write a list, even of one item",
                };
                self.error(
                    at,
                    Problem::new(
                        Code::WrongType,
                        format!("expected a list, found {}", node.describe()),
                    )
                    .help(help),
                );
                None
            }
        }
    }

    /// The fields of an object that are given and not null, in the order of the schema. Reports
    /// unknown fields, fields given twice, nulls and what is missing.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        shape: &'static Shape,
        trail: &Trail<'_>,
    ) -> Option<Vec<Given<'n>>> {
        let pairs = self.object(node, trail)?;
        let mut given: Vec<Given<'n>> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let Some(field) = self.known_field(key, value, shape, trail) else {
                continue;
            };
            let found = Given { field, key, value };
            match given.iter_mut().find(|g| std::ptr::eq(g.field, field)) {
                None => given.push(found),
                Some(earlier) => {
                    let first = earlier.key.place;
                    *earlier = found;
                    self.duplicate(key, first, trail);
                }
            }
        }
        for field in shape.fields() {
            let Some(assumed) = field.required else {
                continue;
            };
            if !given.iter().any(|g| std::ptr::eq(g.field, field)) {
                let trail = trail.key(field.name);
                let at = trail.at(node.place);
                let problem =
                    Problem::new(Code::MissingField, format!("`{}` is missing", field.name)).help(
                        format!("add `{}` to the object that begins here", field.name),
                    );
                self.deviation(at, problem, assumed);
            }
        }
        given.retain(|g| !self.is_null(g, trail));
        Some(given)
    }

    /// A key that stands twice: the last one counts.
    pub(super) fn duplicate(&mut self, key: &Node, first: Place, trail: &Trail<'_>) {
        let name = key.text().unwrap_or_default();
        let trail = trail.key(name);
        let at = trail.at(key.place);
        let problem = Problem::new(
            Code::DuplicateKey,
            format!(
                "`{}` is given twice, first in line {}",
                text::shorten(name),
                first.line
            ),
        )
        .help("keep one of the two");
        self.deviation(at, problem, "this one counts");
    }

    /// Reports a null; lenient reading takes it as not given.
    fn is_null(&mut self, given: &Given<'_>, trail: &Trail<'_>) -> bool {
        if !given.value.is_null() {
            return false;
        }
        if given.field.content.may_be_null() {
            return true;
        }
        let trail = trail.key(given.field.name);
        let at = trail.at(given.key.place);
        let problem = Problem::new(Code::NullValue, format!("`{}` is null", given.field.name))
            .help(match given.field.required {
                Some(_) => "give it a value",
                None => "give it a value, or leave it out",
            });
        let assumed = given.field.required.unwrap_or("taken as not given");
        self.deviation(at, problem, assumed);
        true
    }

    fn known_field(
        &mut self,
        key: &Node,
        value: &Node,
        shape: &'static Shape,
        trail: &Trail<'_>,
    ) -> Option<&'static Field> {
        let name = match key.scalar() {
            Some(scalar) => &*scalar.text,
            None => {
                let at = trail.at(key.place);
                self.error(
                    at,
                    Problem::new(
                        Code::WrongType,
                        format!("expected a field's name, found {}", key.describe()),
                    ),
                );
                return None;
            }
        };
        if let Some(field) = shape.fields().find(|field| field.name == name) {
            return Some(field);
        }
        let trail = trail.key(name);
        let at = trail.at(key.place);
        let problem = Problem::new(
            Code::UnknownField,
            format!("there is no field `{}` here", text::shorten(name)),
        );
        // Outside of clusters KubeArmor reads policies with Go's JSON decoder, which takes keys
        // in any case. In strict mode that is an error, but what is meant is read on, so that a
        // field that is misspelt isn't reported as missing, too.
        let taken = shape
            .fields()
            .chain(shape.lenient_fields())
            .find(|field| field.name.eq_ignore_ascii_case(name));
        if let Some(field) = taken {
            if field.name == name {
                let problem = problem.help("KubeArmor's schema has no such field here");
                self.deviation(at, problem, "taken all the same");
            } else {
                let problem = problem.help(format!("write `{}`", field.name));
                self.deviation(at, problem, &format!("taken as `{}`", field.name));
            }
            return Some(field);
        }
        if self.is_full() {
            // Looking for the nearest name is slow, and nobody would see it.
            self.deviation(at, problem, "ignored");
            return None;
        }
        let problem = problem.help(misplaced(name, value, shape));
        self.deviation(at, problem, "ignored");
        None
    }
}

/// What to do about a field that isn't known where it stands.
fn misplaced(name: &str, value: &Node, shape: &'static Shape) -> String {
    let names = || shape.fields().map(|field| field.name);
    let has = |wanted| names().any(|name| name == wanted);
    if let Some(near) = text::nearest(name, names()) {
        return format!("did you mean `{near}`?");
    }
    if has("matchLabels") && value.scalar().is_some() {
        return "labels stand below `matchLabels`".to_owned();
    }
    let of_kinds: Vec<&str> = PolicyKind::ALL
        .into_iter()
        .filter(|kind| shape::spec(*kind).fields().any(|field| field.name == name))
        .map(PolicyKind::name)
        .collect();
    if !of_kinds.is_empty() {
        let is_spec = PolicyKind::ALL
            .into_iter()
            .any(|kind| std::ptr::eq(shape, shape::spec(kind)));
        return if is_spec {
            format!("it is a field of {}", text::list(of_kinds, "and"))
        } else {
            format!("`{name}` stands directly below `spec`")
        };
    }
    // Entries of one list under the name of another.
    const OBJECTS: [(&str, &str); 3] = [
        ("path", "matchPaths"),
        ("dir", "matchDirectories"),
        ("pattern", "matchPatterns"),
    ];
    let own = OBJECTS.iter().find(|(own, _)| has(own));
    let meant = OBJECTS.iter().find(|(object, _)| *object == name);
    if let (Some((own, _)), Some((_, list))) = (own, meant) {
        return format!("write `{own}`, or move the entry to `{list}`");
    }
    let begin = if names().nth(1).is_some() {
        "the fields here are"
    } else {
        "the only field here is"
    };
    format!("{begin} {}", text::list(names(), "and"))
}
