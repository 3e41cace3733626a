//! Globs and execnames of all policies side by side: which of them match a path, and the regular
//! expression of what each still wants behind a literal beginning.

use std::collections::{BTreeMap, HashMap};

use gambeson_policy_model::{ByteSet, Glob, Token};

use super::regex;

/// One step of a pattern: a byte of the set, or any number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    set: ByteSet,
    many: bool,
}

/// The number of a pattern.
pub(crate) type PatternId = u32;

/// A set of places in patterns, sorted.
pub(crate) type Positions = Vec<u32>;

/// Patterns as one nondeterministic automaton. A position is a step of an alternative, or its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Patterns {
    texts: Vec<String>,
    /// `None` at an alternative's end.
    steps: Vec<Option<Step>>,
    /// The pattern that each position is of.
    owners: Vec<PatternId>,
    /// Where each alternative begins.
    starts: Vec<u32>,
    /// A byte of each class of bytes that no step tells apart; first one that hardly any names.
    alphabet: Vec<u8>,
}

impl Patterns {
    /// Takes globs by their text, and execnames.
    pub(crate) fn new<'t>(
        globs: impl IntoIterator<Item = &'t str>,
        names: impl IntoIterator<Item = Vec<u8>>,
    ) -> Self {
        // Sorted and each once, so that the same policies give the same numbers.
        let mut all: BTreeMap<String, Vec<Vec<Step>>> = BTreeMap::new();
        for text in globs {
            let Ok(glob) = Glob::parse(text) else {
                continue;
            };
            let alternatives = glob.alternatives().iter();
            // What ranks as a directory is no pattern.
            let alternatives = alternatives.filter(|tokens| Glob::as_directory(tokens).is_none());
            all.insert(
                text.to_owned(),
                alternatives.map(|tokens| steps(tokens)).collect(),
            );
        }
        for name in names {
            let text = format!("**/{}", String::from_utf8_lossy(&name));
            let mut steps = vec![
                Step {
                    set: any(),
                    many: true,
                },
                one(b'/'),
            ];
            steps.extend(name.iter().map(|byte| one(*byte)));
            all.entry(text).or_insert_with(|| vec![steps]);
        }
        let mut own = Self::default();
        for (number, (text, alternatives)) in (0u32..).zip(all) {
            own.texts.push(text);
            for alternative in alternatives {
                own.starts.push(own.steps.len() as u32);
                own.steps.extend(alternative.into_iter().map(Some));
                own.steps.push(None);
                own.owners.resize(own.steps.len(), number);
            }
        }
        own.alphabet = alphabet(own.steps.iter().flatten());
        own
    }

    /// A pattern as written.
    pub(crate) fn text(&self, pattern: PatternId) -> &str {
        self.texts.get(pattern as usize).map_or("", String::as_str)
    }

    /// The bytes to try.
    pub(crate) fn alphabet(&self) -> &[u8] {
        &self.alphabet
    }

    fn at(&self, position: u32) -> Option<&Step> {
        self.steps.get(position as usize).and_then(Option::as_ref)
    }

    /// Adds the positions that are reached without a byte, and sorts.
    fn close(&self, positions: &mut Positions) {
        let mut done = 0;
        while let Some(position) = positions.get(done).copied() {
            done += 1;
            if self.at(position).is_some_and(|step| step.many) {
                positions.push(position + 1);
            }
        }
        positions.sort_unstable();
        positions.dedup();
    }

    /// The positions after one byte.
    pub(crate) fn step(&self, positions: &[u32], byte: u8) -> Positions {
        let mut next = Positions::new();
        for position in positions {
            if let Some(step) = self.at(*position)
                && step.set.contains(byte)
            {
                next.push(position + u32::from(!step.many));
            }
        }
        self.close(&mut next);
        next
    }

    /// The positions after a path's first bytes.
    pub(crate) fn after(&self, path: &[u8]) -> Positions {
        let mut positions = self.starts.clone();
        self.close(&mut positions);
        for byte in path {
            if positions.is_empty() {
                break;
            }
            positions = self.step(&positions, *byte);
        }
        positions
    }

    /// The patterns that end in these positions, in order.
    pub(crate) fn accepted(&self, positions: &[u32]) -> Vec<PatternId> {
        let mut accepted: Vec<PatternId> = positions
            .iter()
            .filter(|position| matches!(self.steps.get(**position as usize), Some(None)))
            .filter_map(|position| self.owners.get(*position as usize).copied())
            .collect();
        accepted.dedup();
        accepted
    }

    /// The patterns that positions are of.
    pub(crate) fn owners_of(&self, positions: &[u32]) -> Vec<PatternId> {
        let owners = positions
            .iter()
            .filter_map(|at| self.owners.get(*at as usize));
        let mut owners: Vec<PatternId> = owners.copied().collect();
        owners.dedup();
        owners
    }

    /// The regular expression of what a pattern wants from these positions on.
    pub(crate) fn wants(&self, pattern: PatternId, positions: &[u32]) -> String {
        let mut out = String::new();
        let own = positions
            .iter()
            .filter(|position| self.owners.get(**position as usize) == Some(&pattern));
        let mut first = true;
        for position in own {
            // A run wants all that what follows it does.
            let covered = position.checked_sub(1).is_some_and(|before| {
                positions.binary_search(&before).is_ok()
                    && self.at(before).is_some_and(|step| step.many)
            });
            if covered {
                continue;
            }
            if !first {
                out.push('|');
            }
            first = false;
            let rest = self.steps.get(*position as usize..).unwrap_or_default();
            for step in rest.iter().map_while(Option::as_ref) {
                regex::push_set(&mut out, &step.set);
                if step.many {
                    out.push('*');
                }
            }
        }
        out
    }
}

fn any() -> ByteSet {
    let mut set = ByteSet::EMPTY;
    (1..=u8::MAX).for_each(|byte| set.insert(byte));
    set
}

fn one(byte: u8) -> Step {
    let mut set = ByteSet::EMPTY;
    set.insert(byte);
    Step { set, many: false }
}

/// The steps of a glob's tokens: a run that needs a byte is one byte and a run.
fn steps(tokens: &[Token]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(tokens.len());
    let run = |set: ByteSet, nonempty: bool, steps: &mut Vec<Step>| {
        if nonempty {
            steps.push(Step { set, many: false });
        }
        steps.push(Step { set, many: true });
    };
    for token in tokens {
        match token {
            Token::Byte(byte) => steps.push(one(*byte)),
            Token::Set(set) => {
                let mut set = *set;
                set.remove(0);
                steps.push(Step { set, many: false });
            }
            Token::Star { nonempty } => {
                let mut set = any();
                set.remove(b'/');
                run(set, *nonempty, &mut steps);
            }
            Token::DoubleStar { nonempty } => run(any(), *nonempty, &mut steps),
        }
    }
    steps
}

/// A byte of each class, those first that fewest steps name.
fn alphabet<'s>(steps: impl Iterator<Item = &'s Step>) -> Vec<u8> {
    let mut sets: Vec<ByteSet> = Vec::new();
    let mut seen: HashMap<ByteSet, ()> = HashMap::new();
    for step in steps {
        if seen.insert(step.set, ()).is_none() {
            sets.push(step.set);
        }
    }
    let mut classes: BTreeMap<(usize, Vec<bool>, bool), u8> = BTreeMap::new();
    // From the highest byte down: it is the one that no text holds.
    for byte in (1..=u8::MAX).rev() {
        let members: Vec<bool> = sets.iter().map(|set| set.contains(byte)).collect();
        let count = members.iter().filter(|member| **member).count();
        classes
            .entry((count, members, byte == b'/'))
            .or_insert(byte);
    }
    let mut alphabet: Vec<u8> = classes.into_values().collect();
    // The byte of the least named class, 0xff above all, goes first.
    alphabet.sort_by_key(|byte| *byte != u8::MAX);
    alphabet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_globs_do() {
        let texts = [
            "/etc/*.key",
            "/**/id_rsa",
            "/a/{b,c*}/**x",
            "**/x.y",
            "/a/[^b]?",
        ];
        let patterns = Patterns::new(texts, [b"sh".to_vec()]);
        for path in [
            "/etc/a.key",
            "/etc/.key",
            "/x/id_rsa",
            "/id_rsa",
            "/a/b/x",
            "/a/cc/dx",
            "/x.y",
            "/a/x.y",
            "/a/cd",
            "/bin/sh",
            "/sh",
            "/a/bd",
        ] {
            let accepted = patterns.accepted(&patterns.after(path.as_bytes()));
            let matching: Vec<&str> = accepted.iter().map(|id| patterns.text(*id)).collect();
            for text in texts {
                let expected = Glob::parse(text).is_ok_and(|glob| glob.matches(path.as_bytes()));
                assert_eq!(matching.contains(&text), expected, "{text} and {path}");
            }
            assert_eq!(matching.contains(&"**/sh"), path.ends_with("/sh"), "{path}");
        }
    }

    #[test]
    fn what_is_wanted_behind_a_beginning() {
        let patterns = Patterns::new(["/etc/**/*.key"], []);
        let wants = |path: &str| patterns.wants(0, &patterns.after(path.as_bytes()));
        assert_eq!(wants("/etc/"), "..*/[^/]*\\.key");
        assert_eq!(wants("/et"), "c/..*/[^/]*\\.key");
        assert_eq!(wants("/usr"), "");
    }
}
