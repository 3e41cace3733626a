//! What rules match, as one nondeterministic automaton over the bytes of paths, made deterministic
//! as far as it is walked.
//!
//! The automaton has the shape of a trie over the steps of all that is in it: what begins alike
//! shares its beginning, so that a state is a handful of positions even among thousands of rules.

use std::collections::HashMap;

use gambeson_policy_model::{ByteSet, Glob, Object, Token};

use crate::matching::{DIRECTORY, EXACT, NAME, Specificity};

/// A set of bytes, with the frequent ones told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    Any,
    NotSlash,
    Set(ByteSet),
}

impl Bytes {
    fn contains(&self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::NotSlash => byte != b'/',
            Self::Set(set) => set.contains(byte),
        }
    }
}

/// What ends in a position: the number that was given, and how specific it is.
pub(super) type Label = (u32, Specificity);

#[derive(Debug, Default)]
struct Position {
    singles: Vec<(u8, u32)>,
    sets: Vec<(Bytes, u32)>,
    /// Reached without a byte; each of them has a `stays`.
    runs: Vec<u32>,
    /// The bytes on which the position is kept.
    stays: Option<Bytes>,
    labels: Vec<Label>,
}

/// A position's number.
type Place = u32;

/// The automaton.
#[derive(Debug)]
pub(super) struct Nfa {
    positions: Vec<Position>,
}

impl Default for Nfa {
    fn default() -> Self {
        Self {
            positions: vec![Position::default()],
        }
    }
}

impl Nfa {
    /// Everything, under one label.
    pub(super) fn everything() -> Self {
        let mut nfa = Self::default();
        let run = nfa.run(0, Bytes::Any);
        nfa.label(run, (0, (0, 0)));
        nfa
    }

    /// Adds what an object of a rule on files matches, among paths of resolved files.
    pub(super) fn add(&mut self, number: u32, object: &Object) {
        match object {
            Object::Path(path) => {
                let end = self.literal(0, path.as_bytes());
                self.label(end, (number, (EXACT, 0)));
            }
            Object::ExecName(name) => {
                let run = self.run(0, Bytes::Any);
                let slash = self.literal(run, b"/");
                let end = self.literal(slash, name.as_bytes());
                self.label(end, (number, (NAME, 0)));
            }
            Object::Directory(directory) => {
                let path = directory.path.as_bytes();
                let label = (number, (DIRECTORY, length(path)));
                // Only the root's own path ends in a slash.
                let itself = match path {
                    b"/" => path,
                    path => path.strip_suffix(b"/").unwrap_or(path),
                };
                let itself = self.literal(0, itself);
                self.label(itself, label);
                let inside = if directory.recursive {
                    Bytes::Any
                } else {
                    Bytes::NotSlash
                };
                self.below(path, inside, label);
            }
            Object::Pattern(glob) => {
                for tokens in glob.alternatives() {
                    match Glob::as_directory(tokens) {
                        Some(path) => {
                            let label = (number, (DIRECTORY, length(&path)));
                            self.below(&path, Bytes::Any, label);
                        }
                        None => self.tokens(tokens, (number, (NAME, 0))),
                    }
                }
            }
            _ => {}
        }
    }

    fn below(&mut self, directory: &[u8], inside: Bytes, label: Label) {
        let place = self.literal(0, directory);
        let first = self.one(place, inside);
        let rest = self.run(first, inside);
        self.label(rest, label);
    }

    fn tokens(&mut self, tokens: &[Token], label: Label) {
        let mut place = 0;
        for token in tokens {
            place = match token {
                Token::Byte(byte) => self.literal(place, &[*byte]),
                Token::Set(set) => self.one(place, Bytes::Set(*set)),
                Token::Star { nonempty } => self.some(place, Bytes::NotSlash, *nonempty),
                Token::DoubleStar { nonempty } => self.some(place, Bytes::Any, *nonempty),
            };
        }
        self.label(place, label);
    }

    fn some(&mut self, place: Place, bytes: Bytes, nonempty: bool) -> Place {
        let place = if nonempty {
            self.one(place, bytes)
        } else {
            place
        };
        self.run(place, bytes)
    }

    fn at(&self, place: Place) -> Option<&Position> {
        self.positions.get(place as usize)
    }

    fn new_position(&mut self, stays: Option<Bytes>) -> Place {
        self.positions.push(Position {
            stays,
            ..Position::default()
        });
        self.positions.len() as Place - 1
    }

    fn literal(&mut self, mut place: Place, bytes: &[u8]) -> Place {
        for byte in bytes {
            let known = self.at(place).and_then(|position| {
                let mut singles = position.singles.iter();
                singles
                    .find(|(single, _)| single == byte)
                    .map(|(_, next)| *next)
            });
            place = match known {
                Some(next) => next,
                None => {
                    let next = self.new_position(None);
                    if let Some(position) = self.positions.get_mut(place as usize) {
                        position.singles.push((*byte, next));
                    }
                    next
                }
            };
        }
        place
    }

    fn one(&mut self, place: Place, bytes: Bytes) -> Place {
        let known = self.at(place).and_then(|position| {
            let mut sets = position.sets.iter();
            sets.find(|(set, _)| *set == bytes).map(|(_, next)| *next)
        });
        known.unwrap_or_else(|| {
            let next = self.new_position(None);
            if let Some(position) = self.positions.get_mut(place as usize) {
                position.sets.push((bytes, next));
            }
            next
        })
    }

    fn run(&mut self, place: Place, bytes: Bytes) -> Place {
        let known = self.at(place).and_then(|position| {
            let mut runs = position.runs.iter().copied();
            runs.find(|run| self.at(*run).is_some_and(|at| at.stays == Some(bytes)))
        });
        known.unwrap_or_else(|| {
            let run = self.new_position(Some(bytes));
            if let Some(position) = self.positions.get_mut(place as usize) {
                position.runs.push(run);
            }
            run
        })
    }

    fn label(&mut self, place: Place, label: Label) {
        if let Some(position) = self.positions.get_mut(place as usize)
            && !position.labels.contains(&label)
        {
            position.labels.push(label);
        }
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// A state's number.
pub(super) type State = u32;

/// The state in which nothing can match any more.
pub(super) const DEAD: State = 0;

/// The state of the empty path.
pub(super) const START: State = 1;

/// The automaton made deterministic, state by state, as it is walked.
#[derive(Debug)]
pub(super) struct Dfa {
    nfa: Nfa,
    numbers: HashMap<Box<[Place]>, State>,
    states: Vec<Box<[Place]>>,
    steps: HashMap<(State, u8), State>,
}

impl Dfa {
    pub(super) fn new(nfa: Nfa) -> Self {
        let mut dfa = Self {
            nfa,
            numbers: HashMap::new(),
            states: Vec::new(),
            steps: HashMap::new(),
        };
        // DEAD, then START.
        dfa.number(Vec::new());
        dfa.number(vec![0]);
        dfa
    }

    fn number(&mut self, mut places: Vec<Place>) -> State {
        let mut done = 0;
        while let Some(place) = places.get(done).copied() {
            done += 1;
            if let Some(position) = self.nfa.at(place) {
                places.extend_from_slice(&position.runs);
            }
        }
        places.sort_unstable();
        places.dedup();
        let places = places.into_boxed_slice();
        if let Some(number) = self.numbers.get(&places) {
            return *number;
        }
        let number = self.states.len() as State;
        self.states.push(places.clone());
        self.numbers.insert(places, number);
        number
    }

    fn positions(&self, state: State) -> impl Iterator<Item = (Place, &Position)> {
        let places = self.states.get(state as usize).into_iter().flatten();
        places.filter_map(|place| Some((*place, self.nfa.at(*place)?)))
    }

    /// The state after one byte more.
    pub(super) fn step(&mut self, state: State, byte: u8) -> State {
        if let Some(next) = self.steps.get(&(state, byte)) {
            return *next;
        }
        let mut places = Vec::new();
        for (place, position) in self.positions(state) {
            let singles = position.singles.iter();
            places.extend(
                singles
                    .filter(|(single, _)| *single == byte)
                    .map(|(_, next)| *next),
            );
            let sets = position.sets.iter();
            places.extend(
                sets.filter(|(set, _)| set.contains(byte))
                    .map(|(_, next)| *next),
            );
            if position.stays.is_some_and(|bytes| bytes.contains(byte)) {
                places.push(place);
            }
        }
        let next = self.number(places);
        self.steps.insert((state, byte), next);
        next
    }

    /// What matches a path that ends here.
    pub(super) fn labels(&self, state: State) -> Vec<Label> {
        let mut labels: Vec<Label> = self
            .positions(state)
            .flat_map(|(_, position)| position.labels.iter().copied())
            .collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// Whether anything matches a path that ends here.
    pub(super) fn accepts(&self, state: State) -> bool {
        self.positions(state)
            .any(|(_, position)| !position.labels.is_empty())
    }

    /// Tells of a state which bytes it tells from others.
    pub(super) fn distinguish(&self, state: State, bytes: &mut Distinguished) {
        for (_, position) in self.positions(state) {
            for (single, _) in &position.singles {
                bytes.singles.insert(*single);
            }
            let sets = position
                .sets
                .iter()
                .map(|(set, _)| *set)
                .chain(position.stays);
            for set in sets {
                match set {
                    Bytes::Set(set) if !bytes.sets.contains(&set) => bytes.sets.push(set),
                    Bytes::Set(_) => {}
                    Bytes::Any | Bytes::NotSlash => bytes.open = true,
                }
            }
        }
    }
}

/// The bytes that some states tell from others.
#[derive(Debug)]
pub(super) struct Distinguished {
    singles: ByteSet,
    sets: Vec<ByteSet>,
    /// Whether bytes that none of these hold lead anywhere.
    open: bool,
}

/// Bytes for a reader's eyes first.
const READABLE: &[u8] = b"xyzwvutsrqponmlkjihgfedcba0123456789_-XYZWVUTSRQPONMLKJIHGFEDCBA";

impl Default for Distinguished {
    fn default() -> Self {
        Self {
            singles: ByteSet::EMPTY,
            sets: Vec::new(),
            open: false,
        }
    }
}

impl Distinguished {
    /// A byte of each kind that is told from others, and of those that aren't.
    pub(super) fn representatives(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.singles.iter().collect();
        if !self.open && self.sets.is_empty() {
            return bytes;
        }
        if !self.singles.contains(b'/') {
            bytes.push(b'/');
        }
        let mut kinds: Vec<Vec<bool>> = Vec::new();
        let all = READABLE.iter().copied().chain(1..=u8::MAX);
        for byte in all.filter(|byte| *byte != b'/' && !self.singles.contains(*byte)) {
            let kind: Vec<bool> = self.sets.iter().map(|set| set.contains(byte)).collect();
            if !kinds.contains(&kind) {
                kinds.push(kind);
                bytes.push(byte);
                if self.sets.is_empty() {
                    break;
                }
            }
        }
        bytes
    }
}
