//! Patterns and execnames of one class of events, spread over automata.
//!
//! An execname is told by the path's last component, and so is a pattern like `/**/name`: these are
//! *names*, and lie in a trie of their own. A pattern that begins with a wildcard over directories
//! and has no other (`**/*.ext`) is told by the path's end: it is walked *backward*. Every other
//! pattern hangs from the trie node of its literal beginning and is walked *forward* from where the
//! trie ends.
//!
//! Patterns that multiply each other's states are spread over several automata.

use gambeson_policy_model::{Glob, Object, Rule, Token};

use crate::compile::nfa::{
    Bytes, Determiniser, Deterministic, Nfa, Positions, Step, TooLarge, steps,
};
use crate::compile::skeleton::Skeleton;
use crate::config::{CompileError, CompileLimits, RuleRef};

/// One alternative of a pattern, or an execname.
#[derive(Debug)]
pub(crate) struct Pattern<'r> {
    pub(crate) id: u32,
    rule: &'r Rule,
    steps: Vec<Step>,
}

/// The patterns of one class of events, by the way they are walked.
#[derive(Debug, Default)]
pub(crate) struct Patterns<'r> {
    /// Last components, and whether the path must go through some directory; with the rule.
    pub(crate) names: Vec<(Vec<u8>, bool, u32)>,
    /// With the literal beginning that each hangs from.
    pub(crate) forward: Vec<(Vec<u8>, Pattern<'r>)>,
    pub(crate) backward: Vec<Pattern<'r>>,
}

impl<'r> Patterns<'r> {
    /// Adds an alternative of a rule's pattern that doesn't rank as a directory.
    pub(crate) fn add_alternative(&mut self, id: u32, rule: &'r Rule, tokens: &[Token]) {
        if let Some((name, below_directory)) = as_name(tokens) {
            self.names.push((name, below_directory, id));
            return;
        }
        if let Some(steps) = backward_steps(tokens) {
            self.backward.push(Pattern { id, rule, steps });
            return;
        }
        let literal: Vec<u8> = tokens
            .iter()
            .map_while(|token| match token {
                Token::Byte(byte) => Some(*byte),
                _ => None,
            })
            .collect();
        let rest = tokens.get(literal.len()..).unwrap_or_default();
        let steps = steps(rest);
        self.forward.push((literal, Pattern { id, rule, steps }));
    }

    /// Adds a rule's execname.
    pub(crate) fn add_execname(&mut self, id: u32, name: &str) {
        self.names.push((name.as_bytes().to_vec(), false, id));
    }
}

/// The name that `/**/name` and `**/name` are about, and whether it must be below a directory.
fn as_name(tokens: &[Token]) -> Option<(Vec<u8>, bool)> {
    let (below_directory, name) = match tokens {
        [
            Token::Byte(b'/'),
            Token::DoubleStar { nonempty: true },
            Token::Byte(b'/'),
            name @ ..,
        ] => (true, name),
        [
            Token::DoubleStar { nonempty: false },
            Token::Byte(b'/'),
            name @ ..,
        ] => (false, name),
        _ => return None,
    };
    let name: Option<Vec<u8>> = name
        .iter()
        .map(|token| match token {
            Token::Byte(byte) if *byte != b'/' => Some(*byte),
            _ => None,
        })
        .collect();
    let name = name.filter(|name| !name.is_empty())?;
    Some((name, below_directory))
}

/// The steps from the end of a path to its start, for patterns that begin with `**` or `/**` and
/// have no other `**`.
fn backward_steps(tokens: &[Token]) -> Option<Vec<Step>> {
    let double = |token: &Token| matches!(token, Token::DoubleStar { .. });
    let rest = match tokens {
        [Token::Byte(b'/'), rest @ ..] | rest => rest,
    };
    let slash = tokens.len() - rest.len();
    let (first, rest) = rest.split_first()?;
    if !double(first) || rest.iter().any(double) {
        return None;
    }
    let mut backward = steps(rest);
    backward.reverse();
    // Every path begins with `/`, so a byte of any kind stands for the pattern's own.
    let needed = slash + usize::from(first.run() == Some(true));
    backward.extend(std::iter::repeat_n(Step::One(Bytes::Any), needed));
    backward.push(Step::Many(Bytes::Any));
    Some(backward)
}

/// A deterministic automaton and the patterns in it.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) built: Deterministic,
    /// The places of its patterns in the list that was spread.
    pub(crate) patterns: Vec<usize>,
    /// Forward only: the state after each node of the trie.
    pub(crate) after_node: Vec<u32>,
}

/// Spreads patterns over automata, and blames a rule where that can't be done.
#[derive(Debug)]
pub(crate) struct Spreader {
    pub(crate) limits: CompileLimits,
}

/// States that patterns may have together before they are spread: this many for each step, and
/// at least a few thousand.
const STATES_PER_STEP: usize = 2;
const LEAST_STATES: usize = 1 << 13;

impl Spreader {
    /// Spreads backward patterns.
    pub(crate) fn backward(&self, patterns: &[Pattern<'_>]) -> Result<Vec<Group>, CompileError> {
        let list: Vec<&Pattern<'_>> = patterns.iter().collect();
        self.spread(&list, |nfa, limit, _| {
            let mut building = Determiniser::new(nfa, limit);
            let start = building.state(nfa.start_of_all())?;
            Ok((building.finish(start)?, Vec::new()))
        })
    }

    /// Spreads forward patterns. `nodes_of` gives the node that each pattern hangs from.
    pub(crate) fn forward<K: AsRef<[u8]>>(
        &self,
        patterns: &[(Vec<u8>, Pattern<'_>)],
        skeleton: &Skeleton,
        keys: &[K],
        hanging: &[Vec<usize>],
    ) -> Result<Vec<Group>, CompileError> {
        let list: Vec<&Pattern<'_>> = patterns.iter().map(|(_, pattern)| pattern).collect();
        self.spread(&list, |nfa, limit, members| {
            let mut building = Determiniser::new(nfa, limit);
            let mut after_node = Vec::with_capacity(skeleton.nodes.len());
            let mut positions_after: Vec<Positions> = Vec::with_capacity(skeleton.nodes.len());
            for (number, bone) in skeleton.nodes.iter().enumerate() {
                let mut positions = positions_after
                    .get(bone.parent as usize)
                    .cloned()
                    .unwrap_or_default();
                for byte in skeleton.addition(keys, bone) {
                    if positions.is_empty() {
                        break;
                    }
                    positions = nfa.step(&positions, *byte);
                }
                for pattern in hanging.get(number).into_iter().flatten() {
                    if let Ok(place) = members.binary_search(pattern) {
                        positions.extend(nfa.start(place as u32));
                    }
                }
                positions.sort_unstable();
                positions.dedup();
                after_node.push(building.state(positions.clone())?);
                positions_after.push(positions);
            }
            Ok((building.finish(0)?, after_node))
        })
    }

    /// Builds one automaton, or halves the list until each half can be built.
    fn spread(
        &self,
        list: &[&Pattern<'_>],
        build: impl Fn(&Nfa, usize, &[usize]) -> Result<(Deterministic, Vec<u32>), TooLarge>,
    ) -> Result<Vec<Group>, CompileError> {
        let mut groups = Vec::new();
        let mut todo: Vec<Vec<usize>> = vec![(0..list.len()).collect()];
        while let Some(members) = todo.pop() {
            if members.is_empty() {
                continue;
            }
            let steps = || {
                members
                    .iter()
                    .filter_map(|place| Some(list.get(*place)?.steps.as_slice()))
            };
            let nfa = Nfa::new(steps());
            let limit = if members.len() == 1 {
                self.limits.states_per_pattern
            } else {
                (steps().map(<[Step]>::len).sum::<usize>() * STATES_PER_STEP).max(LEAST_STATES)
            };
            match build(&nfa, limit, &members) {
                Ok((built, after_node)) => groups.push(Group {
                    built,
                    patterns: members,
                    after_node,
                }),
                Err(TooLarge) if members.len() == 1 => {
                    let alone = members.first().and_then(|place| list.get(*place));
                    if let Some(pattern) = alone {
                        return Err(CompileError::PatternTooLarge {
                            rule: Box::new(RuleRef::from(pattern.rule)),
                            pattern: pattern.text(),
                            limit,
                        });
                    }
                }
                Err(TooLarge) => {
                    let (first, second) = members.split_at(members.len() / 2);
                    todo.extend([second.to_vec(), first.to_vec()]);
                }
            }
            if groups.len() + todo.len() > self.limits.automata
                && let Some(pattern) = list.iter().max_by_key(|pattern| pattern.wildcards())
            {
                return Err(CompileError::TooManyAutomata {
                    rule: Box::new(RuleRef::from(pattern.rule)),
                    pattern: pattern.text(),
                    limit: self.limits.automata,
                });
            }
        }
        Ok(groups)
    }
}

impl Pattern<'_> {
    /// The pattern or execname as written.
    fn text(&self) -> String {
        match &self.rule.object {
            Object::Pattern(glob) => glob.as_str().to_owned(),
            _ => String::new(),
        }
    }

    fn wildcards(&self) -> usize {
        let many = |step: &&Step| matches!(step, Step::Many(_));
        self.steps.iter().filter(many).count()
    }
}

/// The directories that alternatives of a pattern rank as, and the alternatives that are patterns.
pub(crate) fn split_alternatives(glob: &Glob) -> (Vec<Vec<u8>>, Vec<&[Token]>) {
    let mut directories = Vec::new();
    let mut patterns = Vec::new();
    for alternative in glob.alternatives() {
        match Glob::as_directory(alternative) {
            Some(directory) => directories.push(directory),
            None => patterns.push(alternative.as_slice()),
        }
    }
    (directories, patterns)
}
