//! The `apparmor:` text of policies.
//!
//! It is merged as written, statement by statement, after a check that the parser will take it: one
//! policy's slip must not cost the others their profile.

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::{Gap, Outcome};
use gambeson_policy_model::{Capability, Class};

use crate::features::Features;
use crate::options::{Native, Options};

/// Statements that become part of every profile, each with where it is written.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) statements: Vec<(String, String)>,
    pub(crate) gaps: Vec<Gap>,
}

/// What becomes of a statement.
enum Fate {
    Merge,
    /// It may allow what the policies deny in this class, or mounting.
    Widens(Option<Class>),
    LeaveOut(&'static str),
}

pub(crate) fn merge(compiled: &CompiledPolicy, options: &Options, features: &Features) -> Merged {
    let mut merged = Merged::default();
    let tables = compiled.tables();
    for native in compiled.apparmor() {
        let place: String = native.to_string().chars().map(printable).collect();
        for statement in statements(native.text) {
            let shown: String = statement.chars().map(printable).take(80).collect();
            let what = format!("{native}: `{shown}`");
            let fate = match options.native {
                Native::LeaveOut => Fate::LeaveOut("the embedder asked for it to be left out"),
                Native::Merge => fate(&statement, features),
            };
            match fate {
                Fate::LeaveOut(reason) => {
                    merged
                        .gaps
                        .push(Gap::of_policy(Outcome::Unenforced, what, reason));
                    continue;
                }
                Fate::Merge => {}
                Fate::Widens(class) => {
                    let concerned = class.is_none_or(|class| {
                        tables.head.can_deny(class) || tables.head.in_allow_list_mode(class)
                    });
                    if concerned {
                        let reason = "what it allows adds to what the policies do";
                        merged
                            .gaps
                            .push(Gap::of_policy(Outcome::Looser, what, reason));
                    }
                }
            }
            let statement = (statement, place.clone());
            if !merged.statements.contains(&statement) {
                merged.statements.push(statement);
            }
        }
    }
    merged
}

fn printable(letter: char) -> char {
    if letter.is_control() { ' ' } else { letter }
}

/// Splits a text at the commas that end rules; comments are dropped. What has no comma at its end
/// is a statement too.
fn statements(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    let (mut quoted, mut escaped, mut comment) = (false, false, false);
    let mut depth = 0usize;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if comment {
            comment = letter != '\n';
            continue;
        }
        if escaped {
            escaped = false;
            current.push(letter);
            continue;
        }
        match letter {
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '#' if !quoted && current.trim().is_empty() => {
                let rest: String = letters.clone().take(7).collect();
                if rest != "include" {
                    comment = true;
                    continue;
                }
            }
            '#' if !quoted && current.ends_with(char::is_whitespace) => {
                comment = true;
                continue;
            }
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        let ends = letter == ','
            && !quoted
            && depth == 0
            && letters.peek().is_none_or(|next| next.is_whitespace());
        let include = letter == '\n'
            && current
                .trim_start()
                .trim_start_matches('#')
                .starts_with("include");
        current.push(letter);
        if ends || include {
            found.push(current.trim().to_owned());
            current.clear();
        }
    }
    found.push(current.trim().to_owned());
    found.retain(|statement| !statement.is_empty());
    found
}

const UNREADABLE: &str = "it is no rule that could be checked, and could cost the profile";

fn fate(statement: &str, features: &Features) -> Fate {
    let Some(rule) = statement.strip_suffix(',') else {
        return Fate::LeaveOut(UNREADABLE);
    };
    if rule
        .chars()
        .any(|letter| letter.is_control() && !letter.is_whitespace())
    {
        return Fate::LeaveOut(UNREADABLE);
    }
    let mut denies = false;
    let mut rest = rule.trim();
    while let Some((word, behind)) = rest.split_once(char::is_whitespace) {
        match word {
            "audit" | "owner" | "other" | "allow" => {}
            "deny" => denies = true,
            _ => break,
        }
        rest = behind.trim_start();
    }
    let (kind, behind) = rest
        .split_once(char::is_whitespace)
        .map_or((rest, ""), |(kind, behind)| (kind, behind.trim()));
    let merged = |class: Option<Class>| {
        if denies {
            Fate::Merge
        } else {
            Fate::Widens(class)
        }
    };
    match kind {
        "capability" => {
            let known = |name: &str| {
                Capability::from_name(name).is_some() && features.lists("caps/mask", name)
            };
            if behind.split_whitespace().all(known) {
                merged(Some(Class::Capabilities))
            } else {
                Fate::LeaveOut("it names a capability that the kernel doesn't mediate")
            }
        }
        "network" => {
            let types = ["stream", "dgram", "raw", "rdm", "seqpacket", "packet"];
            let family = |word: &str| features.lists("network_v8/af_mask", word);
            let words: Vec<&str> = behind.split_whitespace().collect();
            let known = match words.as_slice() {
                [] => features.has("network_v8"),
                [one] => family(one) || types.contains(one),
                [first, second] => family(first) && (types.contains(second)),
                _ => false,
            };
            let of_unix = !words.iter().any(|word| family(word)) || words.contains(&"unix");
            if known && denies && of_unix {
                Fate::LeaveOut(
                    "the parser doesn't deny Unix sockets for this kernel; name a family",
                )
            } else if known {
                merged(Some(Class::Network))
            } else {
                Fate::LeaveOut("the kernel doesn't mediate such sockets")
            }
        }
        "ptrace" | "signal" if behind.is_empty() && features.has(kind) => merged(None),
        "mount" | "umount" | "remount" | "pivot_root"
            if behind.is_empty() && features.has("mount") =>
        {
            merged(None)
        }
        "file" if behind.is_empty() => {
            if denies {
                Fate::Merge
            } else {
                Fate::LeaveOut("it allows every exec, and where execs lead is the profile's to say")
            }
        }
        _ => path_rule(rest.strip_prefix("file ").unwrap_or(rest).trim(), denies),
    }
}

/// The fate of `PATH MODE`.
fn path_rule(rule: &str, denies: bool) -> Fate {
    let quoted = rule.strip_prefix('"').and_then(|rest| {
        let end = rest.find('"')?;
        rest.split_at_checked(end)
            .map(|(path, behind)| (path, behind.get(1..).unwrap_or_default()))
    });
    let Some((path, mode)) = quoted.or_else(|| rule.split_once(char::is_whitespace)) else {
        return Fate::LeaveOut(UNREADABLE);
    };
    let mode = mode.trim();
    if !path.starts_with('/') || !is_glob(path) {
        return Fate::LeaveOut(UNREADABLE);
    }
    let letters = if denies { "rwalkmx" } else { "rwalkm" };
    let sound = !mode.is_empty()
        && mode.chars().all(|letter| letters.contains(letter))
        && !(mode.contains('w') && mode.contains('a'));
    match (sound, denies) {
        (true, true) => Fate::Merge,
        (true, false) => Fate::Widens(Some(if mode.contains('m') {
            Class::Process
        } else {
            Class::File
        })),
        (false, false) if mode.contains('x') => {
            Fate::LeaveOut("where execs lead is the profile's to say")
        }
        (false, _) => Fate::LeaveOut(UNREADABLE),
    }
}

/// Whether the parser takes this for a glob: brackets and braces match, braces hold a comma.
fn is_glob(path: &str) -> bool {
    let mut commas: Vec<bool> = Vec::new();
    let mut set: Option<usize> = None;
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match (letter, set.is_some()) {
            ('\\', _) => match letters.next() {
                Some(quoted) if "*?[]{}^,\\".contains(quoted) => {}
                _ => return false,
            },
            ('"' | '@' | '$', _) => return false,
            (']', true) => {
                if set == Some(0) {
                    return false;
                }
                set = None;
            }
            ('^', true) if set == Some(0) => {}
            (_, true) => set = set.map(|count| count + 1),
            ('[', false) => set = Some(0),
            (']', false) => return false,
            ('{', false) => commas.push(false),
            (',', false) => match commas.last_mut() {
                Some(comma) => *comma = true,
                None => return false,
            },
            ('}', false) if commas.pop() != Some(true) => return false,
            _ => {}
        }
        if commas.len() > 40 {
            return false;
        }
    }
    commas.is_empty() && set.is_none()
}
