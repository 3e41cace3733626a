//! What a draft allows without evidence, each with the rule by which it does.

use gambeson_policy_model::{Class, Event, Object, Operation};
use serde_json::{Value, json};

use super::draft::Entry;
use super::facts::NAMES;
use super::names::Reason;

/// What every draft allows besides what was recorded, whatever its rules.
pub const ALWAYS_ALLOWED: [&str; 3] = [
    "any arguments, users, owners and terminals",
    "reading what may be written",
    "mapping files executable, which no default posture denies",
];

/// What a draft allows without evidence.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Generalisation {
    /// The rule by which it does.
    pub reason: Reason,
    /// The class of events.
    pub class: Class,
    /// The policy's rule, such as `file.matchPatterns[0]`; empty for a whole class.
    pub rule: String,
    /// What it allows in addition.
    pub also_allows: String,
    scope: Option<Scope>,
}

/// What a rule allows.
#[derive(Debug, Clone)]
struct Scope {
    object: Object,
    programs: Option<Vec<std::sync::Arc<str>>>,
    read_only: bool,
}

impl Generalisation {
    /// Whether the rule that generalises allows the event.
    #[must_use]
    pub fn covers(&self, event: &Event<'_>) -> bool {
        if event.operation.class() != self.class {
            return false;
        }
        let Some(scope) = &self.scope else {
            return true;
        };
        let program = event.source.bytes();
        let by = scope
            .programs
            .as_ref()
            .is_none_or(|programs| programs.iter().any(|name| program == Some(name.as_bytes())));
        let is_write = matches!(event.operation, Operation::Write { .. });
        by && !(scope.read_only && is_write) && names(&scope.object, event)
    }

    /// For programs: one object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "reason": self.reason,
            "section": self.class.section(),
            "rule": self.rule,
            "also_allows": self.also_allows,
        })
    }
}

fn names(object: &Object, event: &Event<'_>) -> bool {
    let path = event.operation.file().and_then(|path| path.bytes());
    match (object, &event.operation) {
        (Object::Path(own), _) => path == Some(own.as_bytes()),
        (Object::Directory(directory), _) => path.is_some_and(|path| directory.contains(path)),
        (Object::Pattern(glob), _) => path.is_some_and(|path| glob.matches(path)),
        (Object::Protocol(protocol), Operation::Socket(socket)) => protocol.matches(socket),
        (Object::Capability(own), Operation::Capability(used)) => own == used,
        (Object::Domain(own), Operation::Dns { domain }) => {
            let domain = domain.strip_suffix('.').unwrap_or(domain);
            let domain = domain.to_ascii_lowercase();
            let within = domain.strip_suffix(own.as_str());
            within.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
        _ => false,
    }
}

/// What a rule of a draft allows without evidence.
pub(super) fn of_entry(entry: &Entry, rule: &str) -> Vec<Generalisation> {
    let scope = Scope {
        object: entry.object.clone(),
        programs: entry.sources.clone(),
        read_only: entry.read_only,
    };
    entry
        .reasons
        .iter()
        .map(|reason| Generalisation {
            reason: *reason,
            class: entry.class,
            rule: rule.to_owned(),
            also_allows: words(entry, *reason),
            scope: Some(scope.clone()),
        })
        .collect()
}

/// That a class is left open.
pub(super) fn of_unseen(class: Class) -> Generalisation {
    Generalisation {
        reason: Reason::UnseenClass,
        class,
        rule: String::new(),
        also_allows: format!(
            "everything of `{}`: none of it was recorded",
            class_name(class)
        ),
        scope: None,
    }
}

/// The class in a word.
pub(super) const fn class_name(class: Class) -> &'static str {
    match class {
        Class::Dns => "dns",
        class => class.section(),
    }
}

fn words(entry: &Entry, reason: Reason) -> String {
    let example = &entry.evidence.example;
    let does = match (entry.class, entry.read_only) {
        (Class::File, true) => "reading",
        (Class::File, false) => "reading and writing",
        _ => "executing",
    };
    match reason {
        Reason::Directory => format!(
            "{does} every other file of the directory, where {} were read",
            entry.names
        ),
        Reason::DirectoryTree => format!(
            "{does} every other file below the directory, where {} were read",
            entry.names
        ),
        Reason::AnyProgram => format!("any program, where {}", programs(entry)),
        Reason::AlsoWrites => "writing, where only reading was seen".to_owned(),
        Reason::Protocol => "every other such socket, whatever its family and address".to_owned(),
        Reason::SubDomains => "its sub-domains".to_owned(),
        Reason::UnseenClass => String::new(),
        _ if entry.names > NAMES => format!(
            "{does} every other name of the pattern, where more than {NAMES} such as {example} were seen"
        ),
        _ if entry.names > 1 => format!(
            "{does} every other name of the pattern, where {} such as {example} were seen",
            entry.names
        ),
        _ => format!("{does} every other name of the pattern, where {example} was seen"),
    }
}

/// How many programs are named in a comment.
const SHOWN: usize = 4;

/// Which programs were seen, as a sentence.
fn programs(entry: &Entry) -> String {
    let evidence = &entry.evidence;
    if evidence.many.is_some() {
        return "many were seen".to_owned();
    }
    let named: Vec<&str> = evidence
        .programs
        .keys()
        .flatten()
        .map(|name| &**name)
        .collect();
    let mut shown: Vec<String> = named
        .iter()
        .take(SHOWN)
        .map(|name| (*name).to_owned())
        .collect();
    if named.len() > SHOWN {
        shown.push(format!("{} more", named.len() - SHOWN));
    }
    if evidence.programs.contains_key(&None) {
        shown.push("one that no rule can name".to_owned());
    }
    let were = if evidence.programs.len() == 1 {
        "was"
    } else {
        "were"
    };
    let alone = match (
        shown.len(),
        entry.sources.is_none() && evidence.named().is_some(),
    ) {
        (1, true) => "only ",
        _ => "",
    };
    match shown.split_last() {
        Some((last, rest)) if !rest.is_empty() => {
            format!("{} and {last} {were} seen", rest.join(", "))
        }
        Some((last, _)) => format!("{alone}{last} {were} seen"),
        None => "none was seen".to_owned(),
    }
}
