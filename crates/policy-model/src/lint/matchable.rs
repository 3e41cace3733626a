//! Whether a pattern matches any path that an event can carry.

use std::collections::VecDeque;

use crate::event::EventPath;
use crate::glob::Token;

/// What is true of the paths that events carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constraint {
    /// They begin with `/`.
    Absolute,
    /// No component is empty.
    NoDoubleSlash,
    /// They don't end in `/`, but for the root itself.
    NoFinalSlash,
    /// No component is `.` or `..`.
    NoDots,
    /// They have at most [`EventPath::MAX_LENGTH`] bytes.
    Length,
}

/// In the order in which they are blamed.
const CONSTRAINTS: [Constraint; 5] = [
    Constraint::Absolute,
    Constraint::NoDoubleSlash,
    Constraint::NoFinalSlash,
    Constraint::NoDots,
    Constraint::Length,
];

/// Why an alternative matches no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Impossible {
    /// A set without members, such as `[/]`.
    EmptySet,
    /// It breaks this in whatever it matches.
    Breaks(Constraint),
    /// Whatever it matches breaks one or another.
    BreaksOneOrAnother,
}

impl Impossible {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::EmptySet => "its brackets hold nothing but `/`, which brackets never match",
            Self::Breaks(Constraint::Absolute) => "a path begins with `/`",
            Self::Breaks(Constraint::NoDoubleSlash) => "no path has two slashes side by side",
            Self::Breaks(Constraint::NoFinalSlash) => "no path ends in `/`, not even a directory's",
            Self::Breaks(Constraint::NoDots) => "no path has a component `.` or `..`",
            Self::Breaks(Constraint::Length) => "no path has more than 4095 bytes",
            Self::BreaksOneOrAnother => {
                "whatever it matches has an empty component, a `.` or `..`, ends in `/` or is too long"
            }
        }
    }

    pub(super) const fn help(self) -> &'static str {
        match self {
            Self::EmptySet => "write the slash itself, or `**` for what crosses slashes",
            Self::Breaks(Constraint::Absolute) => {
                "begin with `/`, or with `**/` for a file in any directory"
            }
            Self::Breaks(Constraint::NoFinalSlash) => {
                "leave the slash out for the directory itself, add `**` for what is below it"
            }
            _ => "write the path as the kernel gives it: absolute and resolved",
        }
    }
}

/// Tells why no path matches the alternative; `None` where one does.
pub(super) fn impossible(tokens: &[Token]) -> Option<Impossible> {
    if matches_some(tokens, &CONSTRAINTS) {
        return None;
    }
    if !matches_some(tokens, &[]) {
        return Some(Impossible::EmptySet);
    }
    let broken = CONSTRAINTS
        .into_iter()
        .find(|constraint| !matches_some(tokens, &[*constraint]));
    Some(broken.map_or(Impossible::BreaksOneOrAnother, Impossible::Breaks))
}

/// The bytes of a path, as far as the constraints tell them apart.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Slash,
    Dot,
    Other,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Slash, Self::Dot, Self::Other];

    const fn of(byte: u8) -> Self {
        match byte {
            b'/' => Self::Slash,
            b'.' => Self::Dot,
            _ => Self::Other,
        }
    }

    fn accepted_by(self, token: &Token) -> bool {
        match (token, self) {
            (Token::Byte(byte), _) => matches!(
                (Self::of(*byte), self),
                (Self::Slash, Self::Slash) | (Self::Dot, Self::Dot) | (Self::Other, Self::Other)
            ),
            (Token::Set(set), Self::Other) => set.iter().any(|byte| byte != b'.'),
            (token, Self::Other) => token.accepts(b'a'),
            (token, Self::Slash) => token.accepts(b'/'),
            (token, Self::Dot) => token.accepts(b'.'),
        }
    }
}

/// How a path goes on, after what has been read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Root,
    Slash,
    Dot,
    DotDot,
    Name,
}

impl Place {
    const COUNT: usize = 6;

    /// The place behind one more byte; `None` where a constraint forbids it.
    fn after(self, kind: Kind, holds: &dyn Fn(Constraint) -> bool) -> Option<Self> {
        match (self, kind) {
            (Self::Start, Kind::Slash) => Some(Self::Root),
            (Self::Start, _) if holds(Constraint::Absolute) => None,
            (Self::Root | Self::Slash, Kind::Slash) if holds(Constraint::NoDoubleSlash) => None,
            (Self::Dot | Self::DotDot, Kind::Slash) if holds(Constraint::NoDots) => None,
            (_, Kind::Slash) => Some(Self::Slash),
            (Self::Start | Self::Root | Self::Slash, Kind::Dot) => Some(Self::Dot),
            (Self::Dot, Kind::Dot) => Some(Self::DotDot),
            _ => Some(Self::Name),
        }
    }

    /// Whether a path can end here.
    fn is_end(self, holds: &dyn Fn(Constraint) -> bool) -> bool {
        match self {
            Self::Start => !holds(Constraint::Absolute),
            Self::Slash => !holds(Constraint::NoFinalSlash),
            Self::Dot | Self::DotDot => !holds(Constraint::NoDots),
            Self::Root | Self::Name => true,
        }
    }
}

/// Whether the tokens match any text under the constraints: a search for the shortest, over how
/// far the tokens and how far the path have come.
fn matches_some(tokens: &[Token], constraints: &[Constraint]) -> bool {
    let holds = |constraint| constraints.contains(&constraint);
    let limit = if holds(Constraint::Length) {
        EventPath::MAX_LENGTH
    } else {
        usize::MAX
    };
    // Inside a run that has its byte, the token's number stands for "may read more or go on".
    let mut seen = vec![false; (tokens.len() + 1) * Place::COUNT * 2];
    let mut queue = VecDeque::from([(0, false, Place::Start, 0)]);
    while let Some((at, inside, place, length)) = queue.pop_front() {
        let state = (at * Place::COUNT + place as usize) * 2 + usize::from(inside);
        match seen.get_mut(state) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        let Some(token) = tokens.get(at) else {
            if place.is_end(&holds) {
                return true;
            }
            continue;
        };
        let run = token.run();
        if run.is_some_and(|nonempty| inside || !nonempty) {
            // Costs no byte: goes before what costs one.
            queue.push_front((at + 1, false, place, length));
        }
        if length == limit {
            continue;
        }
        for kind in Kind::ALL {
            if kind.accepted_by(token)
                && let Some(next) = place.after(kind, &holds)
            {
                let (at, inside) = match run {
                    Some(_) => (at, true),
                    None => (at + 1, false),
                };
                queue.push_back((at, inside, next, length + 1));
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Glob;

    fn why(pattern: &str) -> Option<Impossible> {
        impossible(&Glob::parse(pattern).unwrap().alternatives()[0])
    }

    #[test]
    fn patterns_that_match_no_path() {
        use Constraint::*;
        use Impossible::*;
        let long = format!("/{}", "a".repeat(4095));
        for (pattern, expected) in [
            ("/etc/*", None),
            ("/", None),
            ("/**", None),
            ("**", None),
            ("*/x", None),
            ("**.conf", None),
            ("/a*/", Some(Breaks(NoFinalSlash))),
            ("/etc/", Some(Breaks(NoFinalSlash))),
            ("etc/passwd", Some(Breaks(Absolute))),
            ("?bin", Some(Breaks(Absolute))),
            ("[/]bin", Some(EmptySet)),
            ("/x[/]", Some(EmptySet)),
            ("*.conf", Some(Breaks(Absolute))),
            ("//etc", Some(Breaks(NoDoubleSlash))),
            ("/a//*", Some(Breaks(NoDoubleSlash))),
            ("/a/**/b", None),
            ("/a/../b", Some(Breaks(NoDots))),
            ("/a/.", Some(Breaks(NoDots))),
            ("/a/[.]", Some(Breaks(NoDots))),
            ("/a/.[.]/b", Some(Breaks(NoDots))),
            ("/a/.[.b]/b", None),
            ("/a/.?", None),
            ("/a/...", None),
            ("/a/.*", None),
            ("//../x/", Some(Breaks(NoDoubleSlash))),
            (&long, Some(Breaks(Length))),
            (long.strip_suffix('a').unwrap(), None),
            ("[/]", Some(EmptySet)),
        ] {
            assert_eq!(why(pattern), expected, "{pattern}");
        }
    }

    proptest! {
        /// A path that matches is proof enough; a possible pattern has one among the short ones.
        #[test]
        fn agrees_with_matching(pattern in "(/|\\.|a|\\*|\\?|\\[/a\\]|\\[\\.\\]|\\*\\*){1,5}") {
            let glob = Glob::parse(&pattern).unwrap();
            let is_path = |text: &str| {
                text == "/"
                    || text.strip_prefix('/').is_some_and(|rest| {
                        !rest.split('/').any(|name| matches!(name, "" | "." | ".."))
                    })
            };
            let mut texts = vec![String::new()];
            let mut matched = false;
            for _ in 0..6 {
                texts = texts
                    .iter()
                    .flat_map(|text| ["/", ".", "a"].map(|more| format!("{text}{more}")))
                    .collect();
                matched |= texts
                    .iter()
                    .any(|text| is_path(text) && glob.matches(text.as_bytes()));
            }
            prop_assert_eq!(impossible(&glob.alternatives()[0]).is_none(), matched);
        }
    }
}
