//! Which parts of a path change from run to run: the stated rules by which names become patterns.
//!
//! | rule | what | when |
//! |---|---|---|
//! | `pid` | a directory of digits right below `/proc`, and its threads and descriptors | always |
//! | `temp-name` | `tmp.XXXXXX` and the like, and random names in `/tmp`, `/var/tmp`, `/dev/shm` | always |
//! | `uuid` | 8-4-4-4-12 hexadecimal digits | always |
//! | `date` | `2026-11-23` and `20261123`, with the time of day behind it | always |
//! | `hash` | 32 hexadecimal digits and more | always |
//! | `hash` | 4 to 31 hexadecimal digits, letters among them | where two names differ in it |
//! | `random` | 8 and more letters of both cases with digits | where two names differ in it |
//! | `number` | digits | where three names differ in it |

use gambeson_policy_model::Glob;
use serde::Serialize;

/// A rule by which a draft allows more than was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// A process or thread id, or the number of a descriptor, below `/proc`.
    Pid,
    /// The name of a temporary file.
    TempName,
    /// A UUID.
    Uuid,
    /// A date.
    Date,
    /// A run of hexadecimal digits.
    Hash,
    /// A run of letters and digits without a pattern.
    Random,
    /// A number.
    Number,
    /// Many files of a directory are read, none is written.
    Directory,
    /// Many files below a directory are read, none is written.
    DirectoryTree,
    /// Not one program alone uses the object, or the rule can't name it.
    AnyProgram,
    /// A rule on what is only read can't be read-only beside the others.
    AlsoWrites,
    /// A protocol is the narrowest description of sockets that there is.
    Protocol,
    /// A domain matches its sub-domains.
    SubDomains,
    /// Nothing of a class was recorded, so that the draft says nothing of it.
    UnseenClass,
}

impl Reason {
    /// The name, such as `temp-name`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::TempName => "temp-name",
            Self::Uuid => "uuid",
            Self::Date => "date",
            Self::Hash => "hash",
            Self::Random => "random",
            Self::Number => "number",
            Self::Directory => "directory",
            Self::DirectoryTree => "directory-tree",
            Self::AnyProgram => "any-program",
            Self::AlsoWrites => "also-writes",
            Self::Protocol => "protocol",
            Self::SubDomains => "sub-domains",
            Self::UnseenClass => "unseen-class",
        }
    }
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Part {
    /// Stays as it is.
    Text(Box<str>),
    /// Always a glob.
    Settled(Reason, Box<str>),
    /// A glob where names differ in it.
    Open(Reason, Box<str>),
}

/// What paths have in common that differ only in what changes from run to run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Template(pub(super) Box<[Part]>);

/// What stands in a template's open parts.
pub(super) type Values = Box<[Box<str>]>;

/// Directories in which names that look random are temporary.
const TEMPORARY: [&[&str]; 3] = [&["tmp"], &["var", "tmp"], &["dev", "shm"]];

/// A longer run of one length is said by a star.
const LONGEST_RUN: usize = 32;

impl Template {
    /// The template of a path, and what stands in its open parts.
    pub(super) fn of(path: &str) -> (Self, Values) {
        let mut parts = Parts::default();
        let mut above: Vec<&str> = Vec::new();
        for component in path.split('/').skip(1) {
            parts.text("/");
            parts.component(&above, component);
            above.push(component);
        }
        (Self(parts.found.into()), parts.values.into())
    }

    /// Whether some part is always a glob.
    pub(super) fn is_settled(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Settled(..)))
    }

    /// The rules by which the open parts became globs, where they are told by `None`, and the
    /// settled ones.
    pub(super) fn reasons(&self, values: &[Option<Box<str>>]) -> Vec<Reason> {
        let mut values = values.iter();
        let mut reasons: Vec<Reason> = self
            .0
            .iter()
            .filter_map(|part| match part {
                Part::Text(_) => None,
                Part::Settled(reason, _) => Some(*reason),
                Part::Open(reason, _) => match values.next() {
                    Some(Some(_)) => None,
                    _ => Some(*reason),
                },
            })
            .collect();
        reasons.sort_unstable();
        reasons.dedup();
        reasons
    }

    /// The path, where no part is a glob.
    pub(super) fn literal(&self, values: &[Option<Box<str>>]) -> Option<String> {
        let mut values = values.iter();
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(&**text),
                Part::Settled(..) => None,
                Part::Open(..) => values.next()?.as_deref(),
            })
            .collect()
    }

    /// The pattern, with globs for the open parts that have no value.
    pub(super) fn pattern(&self, values: &[Option<Box<str>>]) -> String {
        let mut values = values.iter();
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => Glob::quote(text),
                Part::Settled(_, glob) => glob.to_string(),
                Part::Open(_, glob) => match values.next() {
                    Some(Some(value)) => Glob::quote(value),
                    _ => glob.to_string(),
                },
            })
            .collect()
    }
}

#[derive(Default)]
struct Parts {
    found: Vec<Part>,
    values: Vec<Box<str>>,
}

impl Parts {
    fn text(&mut self, text: &str) {
        match self.found.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Text(before)) => *before = format!("{before}{text}").into(),
            _ => self.found.push(Part::Text(text.into())),
        }
    }

    fn settled(&mut self, reason: Reason, glob: impl Into<Box<str>>) {
        self.found.push(Part::Settled(reason, glob.into()));
    }

    fn open(&mut self, reason: Reason, value: &str, glob: impl Into<Box<str>>) {
        self.found.push(Part::Open(reason, glob.into()));
        self.values.push(value.into());
    }

    fn component(&mut self, above: &[&str], name: &str) {
        if is_pid(above, name) {
            return self.settled(Reason::Pid, "[0-9]*");
        }
        let temporary = TEMPORARY.iter().any(|of| above.starts_with(of));
        if let Some((prefix, length)) = temporary_name(name, temporary) {
            self.text(prefix);
            return self.settled(Reason::TempName, any(length));
        }
        let mut rest = name;
        while !rest.is_empty() {
            rest = self.token(rest, temporary);
        }
    }

    /// Takes what a name begins with; gives the rest.
    fn token<'n>(&mut self, rest: &'n str, temporary: bool) -> &'n str {
        let alphanumeric = |c: char| c.is_ascii_alphanumeric();
        let length = rest.find(|c| !alphanumeric(c)).unwrap_or(rest.len());
        if length == 0 {
            let separators = rest.find(alphanumeric).unwrap_or(rest.len());
            let (text, rest) = rest.split_at_checked(separators).unwrap_or((rest, ""));
            self.text(text);
            return rest;
        }
        if let Some(rest) = strip_uuid(rest) {
            self.settled(Reason::Uuid, UUID);
            return rest;
        }
        if let Some((glob, rest)) = strip_date(rest) {
            self.settled(Reason::Date, glob);
            return rest;
        }
        let (token, rest) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if token.bytes().all(|byte| byte.is_ascii_digit()) {
            self.open(Reason::Number, token, "[0-9]*");
        } else if is_hash(token) {
            if length >= 32 {
                self.settled(Reason::Hash, any(length));
            } else {
                self.open(Reason::Hash, token, any(length));
            }
        } else if temporary && is_random(token, 6) {
            self.settled(Reason::TempName, any(length));
        } else if is_random(token, 8) {
            self.open(Reason::Random, token, any(length));
        } else {
            self.text(token);
        }
        rest
    }
}

/// As many bytes.
fn any(length: usize) -> String {
    if length > LONGEST_RUN {
        "*".to_owned()
    } else {
        "?".repeat(length)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_pid(above: &[&str], name: &str) -> bool {
    is_number(name)
        && match above {
            ["proc"] => true,
            ["proc", pid, "task" | "fd" | "fdinfo"] => is_number(pid),
            ["proc", pid, "task", thread, "fd" | "fdinfo"] => is_number(pid) && is_number(thread),
            _ => false,
        }
}

/// The common makers of temporary names: `mktemp`, and the libraries of Python and Rust. Gives what
/// is the same, and the length of what isn't.
fn temporary_name(name: &str, temporary: bool) -> Option<(&str, usize)> {
    let random = |rest: &str, extra: &[u8]| {
        rest.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
    };
    let length = name.len();
    if let Some(rest) = name.strip_prefix("tmp.")
        && (6..=12).contains(&rest.len())
        && random(rest, b"")
        && (temporary || is_random(rest, 6))
    {
        return Some(("tmp.", length - 4));
    }
    if let Some(rest) = name.strip_prefix(".tmp")
        && rest.len() == 6
        && random(rest, b"")
    {
        return Some((".tmp", 6));
    }
    if temporary
        && let Some(rest) = name.strip_prefix("tmp")
        && rest.len() == 8
        && random(rest, b"_")
    {
        return Some(("tmp", 8));
    }
    None
}

/// Hexadecimal digits of one case: a letter and a digit among them, or as many as a hash has.
fn is_hash(token: &str) -> bool {
    let hexadecimal = |letters: std::ops::RangeInclusive<u8>| {
        token
            .bytes()
            .all(|byte| byte.is_ascii_digit() || letters.contains(&byte))
    };
    let has_digit = token.bytes().any(|byte| byte.is_ascii_digit());
    token.len() >= 4 && has_digit && (hexadecimal(b'a'..=b'f') || hexadecimal(b'A'..=b'F'))
}

/// Digits before letters, or cases mixed as no word has them.
fn is_random(token: &str, least: usize) -> bool {
    if token.len() < least {
        return false;
    }
    let bytes = token.as_bytes();
    let pairs = || bytes.iter().zip(bytes.iter().skip(1));
    let digit_first = pairs().any(|(a, b)| a.is_ascii_digit() && b.is_ascii_alphabetic());
    let lower = bytes.iter().any(u8::is_ascii_lowercase);
    let upper = bytes.iter().any(u8::is_ascii_uppercase);
    let turns = pairs()
        .filter(|(a, b)| a.is_ascii_lowercase() && b.is_ascii_uppercase())
        .count();
    if least >= 8 {
        return digit_first && lower && upper;
    }
    digit_first || (lower && upper && turns >= 2)
}

const UUID: &str = "????????-????-????-????-????????????";

fn strip_uuid(text: &str) -> Option<&str> {
    let (uuid, rest) = text.split_at_checked(36)?;
    let shaped = uuid.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    let ends = !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    (shaped && ends).then_some(rest)
}

/// What is behind so many bytes.
fn after(text: &str, count: usize) -> Option<&str> {
    text.split_at_checked(count).map(|(_, rest)| rest)
}

/// A date, and the time of day where it follows.
fn strip_date(text: &str) -> Option<(String, &str)> {
    let digits = |text: &str, count: usize| {
        let (digits, _) = text.split_at_checked(count)?;
        is_number(digits).then(|| digits.parse::<u32>().ok())?
    };
    digits(text, 4).filter(|year| (1970..2100).contains(year))?;
    let (_, rest) = text.split_at_checked(4)?;
    let separator = rest.chars().next().filter(|c| matches!(c, '-' | '_' | '.'));
    let strip = |rest: &'_ str| -> Option<usize> {
        match separator {
            Some(separator) => rest.starts_with(separator).then_some(1),
            None => Some(0),
        }
    };
    let rest = after(rest, strip(rest)?)?;
    digits(rest, 2).filter(|month| (1..=12).contains(month))?;
    let rest = after(rest, 2)?;
    let rest = after(rest, strip(rest)?)?;
    digits(rest, 2).filter(|day| (1..=31).contains(day))?;
    let rest = after(rest, 2)?;
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let between = separator.map_or_else(String::new, String::from);
    let mut glob = format!("[12][0-9][0-9][0-9]{between}[01][0-9]{between}[0-3][0-9]");
    // The time of day: 081530, 08-15-30 or 08:15:30.
    let time = rest.strip_prefix(['T', '-', '_']).and_then(|time| {
        let apart = digits(time, 2).and_then(|_| after(time, 2))?;
        let colon = apart.chars().next().filter(|c| matches!(c, ':' | '-'));
        let step = usize::from(colon.is_some());
        let apart = after(apart, step)?;
        digits(apart, 2)?;
        let apart = after(apart, 2)?;
        if colon.is_some_and(|colon| !apart.starts_with(colon)) {
            return None;
        }
        let apart = after(apart, step)?;
        digits(apart, 2)?;
        let end = after(apart, 2)?;
        let ends = !end.starts_with(|c: char| c.is_ascii_digit());
        ends.then_some((colon, end))
    });
    match time {
        Some((colon, end)) => {
            let first = rest.chars().next().map_or_else(String::new, String::from);
            let colon = colon.map_or_else(String::new, String::from);
            glob.push_str(&format!(
                "{first}[0-2][0-9]{colon}[0-5][0-9]{colon}[0-6][0-9]"
            ));
            Some((glob, end))
        }
        None => Some((glob, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(path: &str) -> String {
        let (template, values) = Template::of(path);
        let values: Vec<Option<Box<str>>> = values.into_iter().map(Some).collect();
        template.pattern(&values)
    }

    fn widest(path: &str) -> String {
        let (template, values) = Template::of(path);
        template.pattern(&vec![None; values.len()])
    }

    #[test]
    fn what_changes_with_every_run_is_always_a_glob() {
        for (path, glob) in [
            ("/proc/1234/status", "/proc/[0-9]*/status"),
            (
                "/proc/12/task/13/fd/4",
                "/proc/[0-9]*/task/[0-9]*/fd/[0-9]*",
            ),
            ("/proc/sys/kernel/pid_max", "/proc/sys/kernel/pid_max"),
            ("/tmp/tmp.Xa83kd", "/tmp/tmp.??????"),
            ("/tmp/tmp.abcdefghij/x", "/tmp/tmp.??????????/x"),
            ("/tmp/tmpab3k_9x1", "/tmp/tmp????????"),
            ("/var/lib/x/.tmpQ1w2E3", "/var/lib/x/.tmp??????"),
            ("/var/tmp/.cache/stage2", "/var/tmp/.cache/stage2"),
            ("/tmp/npm-1a2b3c4d.lock", "/tmp/npm-1a2b3c4d.lock"),
            (
                "/var/log/log-2026-11-23.gz",
                "/var/log/log-[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9].gz",
            ),
            (
                "/b/20261123T081530.tar",
                "/b/[12][0-9][0-9][0-9][01][0-9][0-3][0-9]T[0-2][0-9][0-5][0-9][0-6][0-9].tar",
            ),
            ("/b/20261399", "/b/20261399"),
            ("/b/2026112345", "/b/2026112345"),
            (
                "/c/123e4567-e89b-12d3-a456-426614174000.json",
                "/c/????????-????-????-????-????????????.json",
            ),
            ("/o/0123456789abcdef0123456789abcdef01234567", "/o/*"),
        ] {
            assert_eq!(pattern(path), glob, "{path}");
            assert!(
                Glob::parse(glob).unwrap().matches(path.as_bytes()),
                "{path}"
            );
        }
    }

    #[test]
    fn what_only_looks_like_it_waits_for_other_names() {
        for (path, glob) in [
            ("/app/cache/basket-9f31.json", "/app/cache/basket-????.json"),
            ("/lib/libc.so.6", "/lib/libc.so.[0-9]*"),
            ("/s/main.Xa83kdQz.js", "/s/main.????????.js"),
            ("/etc/passwd", "/etc/passwd"),
            ("/bin/sha256sum", "/bin/sha256sum"),
            ("/usr/lib/cafe", "/usr/lib/cafe"),
            ("/usr/bin/[", "/usr/bin/\\["),
        ] {
            assert_eq!(pattern(path), Glob::quote(path), "{path}");
            assert_eq!(widest(path), glob, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_template_matches_the_path_it_was_made_of(
            path in "(/(tmp|proc|[0-9]{1,12}|[a-f0-9]{3,40}|[a-zA-Z0-9]{1,12}|é[*?{},\\[\\]]|2026-1[0-9]-2[0-9])([._-][a-z0-9]{1,9})?){1,4}"
        ) {
            let (template, values) = Template::of(&path);
            let kept: Vec<Option<Box<str>>> = values.iter().cloned().map(Some).collect();
            for pattern in [template.pattern(&kept), template.pattern(&vec![None; values.len()])] {
                proptest::prop_assert!(
                    Glob::parse(&pattern).unwrap().matches(path.as_bytes()),
                    "{pattern} {path}"
                );
            }
            if let Some(literal) = template.literal(&kept) {
                proptest::prop_assert_eq!(literal, path);
            }
        }
    }
}
