//! Patterns as nondeterministic automata over bytes, and how they are made deterministic.

use std::collections::{BTreeMap, HashMap};

use gambeson_policy_model::{ByteSet, Token};

use crate::compile::comb::Comb;
use crate::tables::automaton::{Automaton, STOP, Slot, State};
use crate::tables::image::Bytes as ClassTable;

/// One step of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// One byte of the set.
    One(Bytes),
    /// Any number of bytes of the set.
    Many(Bytes),
}

/// A set of bytes, with the frequent ones told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bytes {
    Single(u8),
    Any,
    NotSlash,
    Set(ByteSet),
}

impl Bytes {
    fn contains(&self, byte: u8) -> bool {
        match self {
            Self::Single(single) => *single == byte,
            Self::Any => true,
            Self::NotSlash => byte != b'/',
            Self::Set(set) => set.contains(byte),
        }
    }
}

/// The steps of a glob's tokens: a run that needs a byte is one byte and a run.
pub(crate) fn steps(tokens: &[Token]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(tokens.len());
    for token in tokens {
        match token {
            Token::Byte(byte) => steps.push(Step::One(Bytes::Single(*byte))),
            Token::Set(set) => {
                let all_but_slash = (0..=u8::MAX).all(|byte| set.contains(byte) != (byte == b'/'));
                steps.push(Step::One(if all_but_slash {
                    Bytes::NotSlash
                } else {
                    Bytes::Set(*set)
                }));
            }
            Token::Star { nonempty } => run(&mut steps, Bytes::NotSlash, *nonempty),
            Token::DoubleStar { nonempty } => run(&mut steps, Bytes::Any, *nonempty),
        }
    }
    steps
}

fn run(steps: &mut Vec<Step>, bytes: Bytes, nonempty: bool) {
    if nonempty {
        steps.push(Step::One(bytes));
    }
    steps.push(Step::Many(bytes));
}

/// Several patterns side by side. A position is a step of one of them, or its end.
#[derive(Debug)]
pub(crate) struct Nfa {
    /// `None` at a pattern's end.
    steps: Vec<Option<Step>>,
    /// Which pattern ends there.
    ends: Vec<u32>,
    /// Where each pattern begins.
    starts: Vec<u32>,
    classes: Classes,
}

/// A set of positions, sorted.
pub(crate) type Positions = Vec<u32>;

impl Nfa {
    pub(crate) fn new<'s>(patterns: impl IntoIterator<Item = &'s [Step]>) -> Self {
        let mut nfa = Self {
            steps: Vec::new(),
            ends: Vec::new(),
            starts: Vec::new(),
            classes: Classes::default(),
        };
        for (number, pattern) in (0u32..).zip(patterns) {
            nfa.starts.push(nfa.steps.len() as u32);
            nfa.steps.extend(pattern.iter().cloned().map(Some));
            nfa.steps.push(None);
            nfa.ends.resize(nfa.steps.len(), number);
        }
        nfa.classes = Classes::new(nfa.steps.iter().flatten());
        nfa
    }

    /// The positions in which a pattern begins.
    pub(crate) fn start(&self, pattern: u32) -> Positions {
        let start = self.starts.get(pattern as usize).copied();
        let mut positions = start.into_iter().collect();
        self.close(&mut positions);
        positions
    }

    /// The positions in which any pattern begins.
    pub(crate) fn start_of_all(&self) -> Positions {
        let mut positions = self.starts.clone();
        self.close(&mut positions);
        positions
    }

    /// The positions after one byte.
    pub(crate) fn step(&self, positions: &[u32], byte: u8) -> Positions {
        let mut next = Positions::new();
        for position in positions {
            match self.at(*position) {
                Some(Step::One(bytes)) if bytes.contains(byte) => next.push(position + 1),
                Some(Step::Many(bytes)) if bytes.contains(byte) => next.push(*position),
                _ => {}
            }
        }
        self.close(&mut next);
        next
    }

    /// The patterns that end in these positions, in order.
    pub(crate) fn accepted(&self, positions: &[u32]) -> Vec<u32> {
        positions
            .iter()
            .filter(|position| matches!(self.steps.get(**position as usize), Some(None)))
            .filter_map(|position| self.ends.get(*position as usize).copied())
            .collect()
    }

    fn at(&self, position: u32) -> Option<&Step> {
        self.steps.get(position as usize).and_then(Option::as_ref)
    }

    /// Adds the positions that are reached without a byte, and sorts.
    fn close(&self, positions: &mut Positions) {
        let mut done = 0;
        while let Some(position) = positions.get(done).copied() {
            done += 1;
            if matches!(self.at(position), Some(Step::Many(_))) {
                positions.push(position + 1);
            }
        }
        positions.sort_unstable();
        positions.dedup();
    }

    /// The successors of a set of positions: the one of most bytes, and those of the classes that
    /// differ.
    fn successors(&self, positions: &[u32]) -> (Positions, Vec<(u8, Positions)>) {
        let mut any = Positions::new();
        let mut not_slash = Positions::new();
        let mut narrow: BTreeMap<u8, Positions> = BTreeMap::new();
        for position in positions {
            let (bytes, next) = match self.at(*position) {
                Some(Step::One(bytes)) => (bytes, position + 1),
                Some(Step::Many(bytes)) => (bytes, *position),
                None => continue,
            };
            match bytes {
                Bytes::Any => any.push(next),
                Bytes::NotSlash => not_slash.push(next),
                Bytes::Single(byte) => narrow.entry(self.classes.of(*byte)).or_default().push(next),
                Bytes::Set(set) => {
                    for class in self.classes.within(set) {
                        narrow.entry(class).or_default().push(next);
                    }
                }
            }
        }
        let slash = self.classes.of(b'/');
        if !not_slash.is_empty() {
            narrow.entry(slash).or_default();
        }
        let mut default: Positions = any.iter().chain(&not_slash).copied().collect();
        self.close(&mut default);
        let differing = narrow
            .into_iter()
            .filter_map(|(class, mut next)| {
                next.extend_from_slice(&any);
                if class != slash {
                    next.extend_from_slice(&not_slash);
                }
                self.close(&mut next);
                (next != default).then_some((class, next))
            })
            .collect();
        (default, differing)
    }
}

/// The classes of bytes that no step tells apart.
#[derive(Debug, Default)]
struct Classes {
    of: Vec<u8>,
    /// A byte of each class.
    representatives: Vec<u8>,
}

impl Classes {
    fn new<'s>(steps: impl Iterator<Item = &'s Step>) -> Self {
        let mut alone = ByteSet::EMPTY;
        alone.insert(b'/');
        let mut sets: Vec<ByteSet> = Vec::new();
        for step in steps {
            let (Step::One(bytes) | Step::Many(bytes)) = step;
            match bytes {
                Bytes::Single(byte) => alone.insert(*byte),
                Bytes::Set(set) if !sets.contains(set) => sets.push(*set),
                Bytes::Set(_) | Bytes::Any | Bytes::NotSlash => {}
            }
        }
        // Bytes are alike if they are in the same sets and none is a step of its own.
        let mut numbers: HashMap<(Option<u8>, Vec<bool>), u8> = HashMap::new();
        let mut classes = Self::default();
        for byte in 0..=u8::MAX {
            let single = alone.contains(byte).then_some(byte);
            let member = sets.iter().map(|set| set.contains(byte)).collect();
            let next = classes.representatives.len();
            let class = *numbers.entry((single, member)).or_insert(next as u8);
            if usize::from(class) == next {
                classes.representatives.push(byte);
            }
            classes.of.push(class);
        }
        classes
    }

    fn of(&self, byte: u8) -> u8 {
        self.of.get(usize::from(byte)).copied().unwrap_or(0)
    }

    fn within(&self, set: &ByteSet) -> impl Iterator<Item = u8> {
        let representatives = self.representatives.iter();
        representatives
            .filter(|byte| set.contains(**byte))
            .map(|byte| self.of(*byte))
    }
}

/// Too many states, or too much memory on the way to them.
#[derive(Debug)]
pub(crate) struct TooLarge;

/// A deterministic automaton under construction.
#[derive(Debug)]
pub(crate) struct Determiniser<'n> {
    nfa: &'n Nfa,
    numbers: HashMap<Positions, u32>,
    sets: Vec<Positions>,
    limit: usize,
    /// How many more positions all sets together may hold.
    room: usize,
}

/// A deterministic automaton, with the patterns that end in each state.
#[derive(Debug)]
pub(crate) struct Deterministic {
    pub(crate) automaton: Automaton,
    /// The patterns that end in each state.
    pub(crate) accepted: Vec<Vec<u32>>,
}

impl<'n> Determiniser<'n> {
    /// Positions that all sets together may hold, for each state of the limit. Patterns that don't
    /// multiply have a few.
    const ROOM_PER_STATE: usize = 16;

    pub(crate) fn new(nfa: &'n Nfa, limit: usize) -> Self {
        Self {
            nfa,
            // State 0 is the empty set: it matches nothing, ever.
            numbers: HashMap::from([(Positions::new(), 0)]),
            sets: vec![Positions::new()],
            limit,
            room: limit.saturating_mul(Self::ROOM_PER_STATE),
        }
    }

    /// The number of the state that is this set of positions.
    pub(crate) fn state(&mut self, positions: Positions) -> Result<u32, TooLarge> {
        if let Some(number) = self.numbers.get(&positions) {
            return Ok(*number);
        }
        if self.sets.len() >= self.limit {
            return Err(TooLarge);
        }
        self.room = self.room.checked_sub(positions.len()).ok_or(TooLarge)?;
        let number = self.sets.len() as u32;
        self.sets.push(positions.clone());
        self.numbers.insert(positions, number);
        Ok(number)
    }

    /// Follows every state's successors, and packs the result.
    pub(crate) fn finish(mut self, start: u32) -> Result<Deterministic, TooLarge> {
        let mut rows: Vec<(u32, Vec<(u8, u32)>)> = Vec::new();
        while let Some(positions) = self.sets.get(rows.len()).cloned() {
            let (default, differing) = self.nfa.successors(&positions);
            let default = self.state(default)?;
            let mut teeth = Vec::with_capacity(differing.len());
            for (class, next) in differing {
                teeth.push((class, self.state(next)?));
            }
            rows.push((default, teeth));
        }
        let ends: Vec<bool> = (0u32..)
            .zip(&rows)
            .map(|(number, (default, teeth))| *default == number && teeth.is_empty())
            .collect();
        let marked = |state: u32| {
            if ends.get(state as usize).copied().unwrap_or(false) {
                state | STOP
            } else {
                state
            }
        };
        let mut comb = Comb::default();
        let mut states = Vec::with_capacity(rows.len());
        for (number, (default, teeth)) in (0u32..).zip(&rows) {
            let classes: Vec<u8> = teeth.iter().map(|(class, _)| *class).collect();
            let mut successors = teeth.iter().map(|(_, next)| marked(*next));
            let base = comb.place(&classes, |_| Slot {
                owner: number,
                next: successors.next().unwrap_or(0),
            });
            states.push(State {
                base: base as u32,
                default: marked(*default),
                accept: 0,
            });
        }
        let accepted = self.sets.iter().map(|set| self.nfa.accepted(set)).collect();
        Ok(Deterministic {
            automaton: Automaton {
                classes: ClassTable(self.nfa.classes.of.clone()),
                start: marked(start),
                states,
                slots: comb.into_slots(Slot {
                    owner: Slot::FREE,
                    next: 0,
                }),
            },
            accepted,
        })
    }
}
