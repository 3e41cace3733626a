//! The packed automaton of a compiled profile.

/// An automaton, as the kernel unpacks it.
#[derive(Debug, Clone, Default)]
pub struct Dfa {
    accept: Vec<u32>,
    accept2: Vec<u32>,
    base: Vec<u32>,
    check: Vec<u32>,
    default: Vec<u32>,
    next: Vec<u32>,
    /// The class of each byte; empty where each is its own.
    classes: Vec<u32>,
}

const MAGIC: u32 = 0x1b5e_783d;
/// The default successor is to be asked for the same byte again.
const DIFFERENCE: u32 = 0x8000_0000;
const BASE: u32 = 0x00ff_ffff;

impl Dfa {
    /// The state that every walk begins in.
    pub const START: u32 = 1;

    /// Reads the tables; `None` where the bytes are something else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let word = bytes.get(at..at + 4)?;
            Some(u32::from_be_bytes(word.try_into().ok()?))
        };
        if word(0)? != MAGIC {
            return None;
        }
        let mut at = word(4)? as usize;
        let end = word(8)? as usize;
        let mut dfa = Self::default();
        while at + 12 <= end {
            let half = |at: usize| {
                let half = bytes.get(at..at + 2)?;
                Some(u16::from_be_bytes(half.try_into().ok()?))
            };
            let (id, size) = (half(at)?, usize::from(half(at + 2)?));
            let count = word(at + 8)? as usize;
            at += 12;
            let mut table = Vec::with_capacity(count.min(bytes.len()));
            for place in 0..count {
                let item = bytes.get(at + place * size..at + (place + 1) * size)?;
                table.push(item.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)));
            }
            at = (at + count * size).next_multiple_of(8);
            match id {
                1 => dfa.accept = table,
                2 => dfa.base = table,
                3 => dfa.check = table,
                4 => dfa.default = table,
                5 => dfa.classes = table,
                7 => dfa.accept2 = table,
                8 => dfa.next = table,
                _ => {}
            }
        }
        Some(dfa)
    }

    /// How many states there are.
    #[must_use]
    pub const fn states(&self) -> usize {
        self.base.len()
    }

    /// The successor by one byte.
    #[must_use]
    pub fn step(&self, mut state: u32, byte: u8) -> u32 {
        let of = |table: &Vec<u32>, at: usize| table.get(at).copied().unwrap_or(0);
        let class = if self.classes.is_empty() {
            u32::from(byte)
        } else {
            of(&self.classes, byte.into())
        };
        loop {
            let base = of(&self.base, state as usize);
            let slot = ((base & BASE) + class) as usize;
            if of(&self.check, slot) == state {
                return of(&self.next, slot);
            }
            state = of(&self.default, state as usize);
            if base & DIFFERENCE == 0 {
                return state;
            }
        }
    }

    /// The state behind these bytes.
    #[must_use]
    pub fn walk(&self, state: u32, bytes: &[u8]) -> u32 {
        bytes
            .iter()
            .fold(state, |state, byte| self.step(state, *byte))
    }

    /// What a state accepts: allowed, and audited or quiet.
    #[must_use]
    pub fn accepts(&self, state: u32) -> (u32, u32) {
        let of = |table: &Vec<u32>| table.get(state as usize).copied().unwrap_or(0);
        (of(&self.accept), of(&self.accept2))
    }
}
