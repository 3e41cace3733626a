//! Determinised automata of globs and execnames.
//!
//! A state has a default successor and, packed into the slots of all states, those that differ
//! from it: slot `base + class of the byte` is the state's if `owner` says so. One class and two
//! table look-ups a byte. A successor with the [`STOP`] bit leads only to itself, so the walk may
//! end there.

use super::image::Bytes;
use super::record::{Record, record};
use super::trie::Trie;

/// Set on a successor whose every successor is itself.
pub const STOP: u32 = 1 << 31;

record! {
    /// One state.
    pub State {
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
    pub Slot {
        /// The state that the slot belongs to; [`Slot::FREE`] where it is unused.
        owner: u32,
        /// The successor.
        next: u32,
    }
}

impl Slot {
    /// The owner of an unused slot.
    pub const FREE: u32 = u32::MAX;
}

/// The tables of one automaton. State 0 matches nothing, ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Automaton {
    /// The class of each byte: 256 bytes.
    pub classes: Bytes,
    /// The state that a backward walk starts in; forward walks start where the trie's node says.
    pub start: u32,
    /// By number.
    pub states: Vec<State>,
    /// What differs from the states' default successors.
    pub slots: Vec<Slot>,
}

impl Automaton {
    /// The row that the walk from `state` over `bytes` ends on.
    #[inline]
    #[must_use]
    pub fn walk(&self, state: u32, bytes: impl Iterator<Item = u8>) -> u32 {
        let last = self.last_state(state, bytes);
        self.states
            .get((last & !STOP) as usize)
            .map_or(0, |state| state.accept)
    }

    /// The state that the walk from `state` over `bytes` ends in, perhaps with [`STOP`] set.
    #[inline]
    #[must_use]
    pub fn last_state(&self, state: u32, bytes: impl Iterator<Item = u8>) -> u32 {
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

/// The bit of a filter of so many words for a name's last bytes, of which the last `count` count.
#[inline]
#[must_use]
pub fn name_bit(last: [u8; 4], count: u32, words: usize) -> usize {
    let kept = u64::from(u32::from_be_bytes(last)) & ((1 << (8 * count)) - 1);
    // A multiplicative hash; the product's middle bits depend on every byte.
    let hash = kept.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    hash as usize & (32 * words).wrapping_sub(1)
}

/// The patterns and execnames of one class of events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Globs {
    /// Last components of paths: execnames, and patterns such as `/**/name`. `exact` is the row of
    /// those that match below some directory, `exact_globs` of those that match right below the
    /// root.
    pub names: Trie,
    /// A bit for what the last bytes of each name hash to. A power of two of words, or none.
    pub name_filter: Vec<u32>,
    /// How many last bytes are hashed, from 0 to 4: no more than the shortest name has, with its
    /// slash.
    pub name_bytes: u32,
    /// Walk from where the trie ends to the path's end.
    pub forward: Vec<Automaton>,
    /// Walk from the path's end towards its start.
    pub backward: Vec<Automaton>,
    /// Tuples of states, one for each forward automaton; a trie node holds a tuple's number. In
    /// tuple 0 all states match nothing.
    pub starts: Vec<u32>,
}

impl Globs {
    /// Whether some pattern may match a path which left the trie at a node with this tuple.
    #[inline]
    #[must_use]
    pub fn may_match(&self, tuple: u32, path: &[u8]) -> bool {
        tuple != 0
            || !self.backward.is_empty()
            || (!self.name_filter.is_empty() && self.may_be_named(path))
    }

    /// Whether the path's last bytes are those of some name. Tells most paths from all names at
    /// the price of one load.
    #[inline(always)]
    fn may_be_named(&self, path: &[u8]) -> bool {
        let bit = match path.last_chunk::<4>() {
            Some(last) => name_bit(*last, self.name_bytes, self.name_filter.len()),
            // Too short to tell.
            None => return !self.names.is_trivial(),
        };
        let word = self.name_filter.get(bit / 32).copied().unwrap_or(0);
        word >> (bit % 32) & 1 == 1
    }

    /// The row of the patterns and execnames that a path's last component is; 0 for none.
    #[inline(never)]
    #[must_use]
    pub fn name_row(&self, path: &[u8]) -> u32 {
        let Some(slash) = memchr::memrchr(b'/', path) else {
            return 0;
        };
        let name = path.get(slash + 1..).unwrap_or_default();
        let end = self.names.walk(name);
        if !end.rest(name).is_empty() {
            return 0;
        }
        let place = self.names.place(&end);
        // `/**/name` wants a byte between its slashes.
        if slash >= 2 {
            place.exact
        } else {
            place.exact_globs
        }
    }

    /// Calls `found` with each row of patterns that match a path of which the trie left `rest`.
    #[inline(always)]
    pub fn rows(&self, tuple: u32, path: &[u8], rest: &[u8], mut found: impl FnMut(u32)) {
        // Tuple 0 is the usual case: no pattern begins with what was walked.
        if tuple != 0 {
            let width = self.forward.len();
            let from = (tuple as usize).saturating_mul(width);
            let states = self.starts.get(from..).unwrap_or_default();
            for (automaton, state) in self.forward.iter().zip(states) {
                if *state != 0 {
                    let row = automaton.walk(*state, rest.iter().copied());
                    if row != 0 {
                        found(row);
                    }
                }
            }
        }
        if self.may_be_named(path) {
            let row = self.name_row(path);
            if row != 0 {
                found(row);
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
        automata.map(Automaton::bytes).sum::<usize>()
            + 4 * self.starts.len()
            + self.names.bytes()
            + 4 * self.name_filter.len()
    }
}
