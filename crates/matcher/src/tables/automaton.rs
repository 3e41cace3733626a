//! Determinised automata of globs and execnames.
//!
//! A state has a default successor and, packed into the slots of all states, those that differ
//! from it: slot `base + class of the byte` is the state's if `owner` says so. One class and two
//! table look-ups a byte. A successor with the [`STOP`] bit leads only to itself, so the walk may
//! end there.

use super::image::Bytes;
use super::record::{Record, record};

/// Set on a successor whose every successor is itself.
pub(crate) const STOP: u32 = 1 << 31;

record! {
    /// One state.
    State {
        /// Added to the class of the next byte to find its slot.
        base: u32,
        /// The successor where the slot is another state's.
        default: u32,
        /// The row of the rules that match if the path ends here; 0 for none.
        accept: u32,
    }
}

record! {
    /// One slot.
    Slot {
        /// The state that the slot belongs to; [`Slot::FREE`] where it is unused.
        owner: u32,
        /// The successor.
        next: u32,
    }
}

impl Slot {
    pub(crate) const FREE: u32 = u32::MAX;
}

/// The tables of one automaton. State 0 matches nothing, ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Automaton {
    /// The class of each byte.
    pub(crate) classes: Bytes,
    /// The state that a backward walk starts in; forward walks start where the trie's node says.
    pub(crate) start: u32,
    pub(crate) states: Vec<State>,
    pub(crate) slots: Vec<Slot>,
}

impl Automaton {
    /// The row that the walk from `state` over `bytes` ends on.
    #[inline]
    pub(crate) fn walk(&self, state: u32, bytes: impl Iterator<Item = u8>) -> u32 {
        let last = self.last_state(state, bytes);
        self.states
            .get((last & !STOP) as usize)
            .map_or(0, |state| state.accept)
    }

    /// The state that the walk from `state` over `bytes` ends in, perhaps with [`STOP`] set.
    #[inline]
    pub(crate) fn last_state(&self, state: u32, bytes: impl Iterator<Item = u8>) -> u32 {
        let mut state = state;
        for byte in bytes {
            if state & STOP != 0 {
                break;
            }
            let Some(record) = self.states.get(state as usize) else {
                return 0;
            };
            let class = self.classes.get(usize::from(byte)).copied().unwrap_or(0);
            let slot = (record.base as usize).wrapping_add(usize::from(class));
            state = match self.slots.get(slot) {
                Some(slot) if slot.owner == state => slot.next,
                _ => record.default,
            };
        }
        state
    }

    /// Size of the tables in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.classes.len() + 4 * (self.states.len() * State::WORDS + self.slots.len() * Slot::WORDS)
    }
}

/// The automata of one class of events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Globs {
    /// Walk from where the trie ends to the path's end.
    pub(crate) forward: Vec<Automaton>,
    /// Walk from the path's end towards its start.
    pub(crate) backward: Vec<Automaton>,
    /// Tuples of states, one for each forward automaton; a trie node holds a tuple's number.
    pub(crate) starts: Vec<u32>,
}

impl Globs {
    /// Calls `found` with the row of every automaton that accepts a path which left the trie
    /// behind a node after `consumed` bytes.
    #[inline]
    pub(crate) fn rows(
        &self,
        tuple: u32,
        path: &[u8],
        consumed: usize,
        mut found: impl FnMut(u32),
    ) {
        if !self.forward.is_empty() {
            let width = self.forward.len();
            let from = (tuple as usize).saturating_mul(width);
            let states = self.starts.get(from..).unwrap_or_default();
            let rest = path.get(consumed..).unwrap_or_default();
            for (automaton, state) in self.forward.iter().zip(states) {
                // State 0 is the usual case: no pattern begins with what was walked.
                if *state != 0 {
                    let row = automaton.walk(*state, rest.iter().copied());
                    if row != 0 {
                        found(row);
                    }
                }
            }
        }
        for automaton in &self.backward {
            let row = automaton.walk(automaton.start, path.iter().rev().copied());
            if row != 0 {
                found(row);
            }
        }
    }

    /// Size of the tables in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let automata = self.forward.iter().chain(&self.backward);
        automata.map(Automaton::bytes).sum::<usize>() + 4 * self.starts.len()
    }
}
