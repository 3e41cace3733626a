//! Entries: what a table says of an event once its object and its source class are known.
//!
//! An entry is one 32-bit word. Its two highest bits tell what the rest is:
//!
//! | bits 31–30 | rest |
//! |---|---|
//! | 00 | nothing: no rule speaks |
//! | 01 | a leaf: bits 27–25 rank, bit 24 denies, bits 23–0 the rule's id |
//! | 10 | the number of a block of eight entries, one for each state of the conditions |
//! | 11 | the number of a test of an exec's arguments, with two entries |

use std::num::NonZeroU32;

use gambeson_policy_model::RuleId;

/// One word of a table: see the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Entry(pub(crate) u32);

/// How a leaf ranks; the smaller wins. The order is that of steps 1 and 2 of the decision model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank(u8);

impl Rank {
    /// An exact path, or the strongest tier of a class without paths.
    pub const EXACT: Self = Self(0);
    /// Patterns and execnames, with an execname among them.
    pub const EXECNAME: Self = Self(1);
    /// Patterns alone.
    pub const PATTERN: Self = Self(2);
    /// Directories, or the weakest tier of a class without paths.
    pub const DIRECTORY: Self = Self(3);

    /// Added to the rank of rules that name no source.
    const UNSOURCED: u8 = 4;

    /// The rank among rules that name a source, or among those that don't.
    #[must_use]
    pub const fn sourced(self, sourced: bool) -> Self {
        if sourced {
            self
        } else {
            Self(self.0 + Self::UNSOURCED)
        }
    }

    /// Whether it is the rank of a rule that names a source.
    #[must_use]
    pub const fn is_sourced(self) -> bool {
        self.0 < Self::UNSOURCED
    }

    /// The rank with patterns and execnames alike.
    #[must_use]
    pub const fn tier(self) -> Self {
        if self.0 & 3 == Self::EXECNAME.0 {
            Self(self.0 + 1)
        } else {
            self
        }
    }

    /// Whether patterns of this rank leave room for a deny of the directory of that rank.
    #[must_use]
    pub const fn yields_to_deny_of(self, directory: Self) -> bool {
        self.0 & 3 == Self::PATTERN.0 && directory.0 == self.0 + 1
    }
}

/// A decided entry, in the entry's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaf(NonZeroU32);

impl Leaf {
    /// A rule's leaf.
    #[must_use]
    pub const fn new(rank: Rank, denies: bool, rule: RuleId) -> Self {
        let denies = if denies { DENIES } else { 0 };
        let rest = (rank.0 as u32) << RANK | denies | (rule.0 & RULE);
        Self(NonZeroU32::MIN.saturating_add((1 << KIND | rest) - 1))
    }

    /// How the rule ranks.
    #[inline]
    #[must_use]
    pub const fn rank(self) -> Rank {
        Rank((self.0.get() >> RANK & 7) as u8)
    }

    /// Whether it denies; else it grants or, where an entry says who watches, watches.
    #[inline]
    #[must_use]
    pub const fn denies(self) -> bool {
        self.0.get() & DENIES != 0
    }

    /// The rule.
    #[inline]
    #[must_use]
    pub const fn rule(self) -> RuleId {
        RuleId(self.0.get() & RULE)
    }

    /// The same leaf with another rank.
    #[must_use]
    pub const fn with_rank(self, rank: Rank) -> Self {
        Self::new(rank, self.denies(), self.rule())
    }
}

/// An entry taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// No rule speaks.
    Nothing,
    /// This rule.
    Leaf(Leaf),
    /// A block's number.
    Block(u32),
    /// A test's number.
    Test(u32),
}

const KIND: u32 = 30;
const NUMBER: u32 = (1 << KIND) - 1;
const DENIES: u32 = 1 << 24;
const RULE: u32 = DENIES - 1;
const RANK: u32 = 25;

impl Entry {
    /// No rule speaks.
    pub const NOTHING: Self = Self(0);

    /// The most rules that ids can tell apart.
    pub const MAX_RULES: usize = 1 << 24;

    /// The entry that is a leaf.
    #[must_use]
    pub const fn leaf(leaf: Leaf) -> Self {
        Self(leaf.0.get())
    }

    pub(crate) const fn block(number: u32) -> Self {
        Self(2 << KIND | (number & NUMBER))
    }

    pub(crate) const fn test(number: u32) -> Self {
        Self(3 << KIND | (number & NUMBER))
    }

    /// The word itself.
    #[must_use]
    pub const fn word(self) -> u32 {
        self.0
    }

    /// The leaf, if it is one.
    #[must_use]
    pub const fn as_leaf(self) -> Option<Leaf> {
        match self.parts() {
            Parts::Leaf(leaf) => Some(leaf),
            _ => None,
        }
    }

    /// Takes the entry apart.
    #[inline]
    #[must_use]
    pub const fn parts(self) -> Parts {
        match (self.0 >> KIND, NonZeroU32::new(self.0)) {
            (1, Some(word)) => Parts::Leaf(Leaf(word)),
            (2, _) => Parts::Block(self.0 & NUMBER),
            (3, _) => Parts::Test(self.0 & NUMBER),
            _ => Parts::Nothing,
        }
    }
}

/// The state of an event's conditions but for arguments: an index into a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding(u8);

impl Holding {
    /// How many states there are.
    pub const COUNT: usize = 8;
    /// Set where the subject owns the object.
    pub const OWNER: u8 = 1;
    /// Set where the event is a read.
    pub const READ: u8 = 2;
    /// Set where the subject has no controlling terminal.
    pub const NO_TTY: u8 = 4;

    /// The state of an event.
    #[must_use]
    pub const fn new(is_owner: bool, is_read: bool, has_tty: bool) -> Self {
        Self(is_owner as u8 | (is_read as u8) << 1 | (!has_tty as u8) << 2)
    }

    /// The place in a block.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Every state.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..8).map(Self)
    }

    /// Whether all the conditions in `needed` hold.
    #[must_use]
    pub const fn holds(self, needed: u8) -> bool {
        self.0 & needed == needed
    }
}
