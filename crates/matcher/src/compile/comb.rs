//! Packs sparse rows into one another, like the teeth of combs.

/// Slots of all rows. A row's tooth `k` lies in slot `base + k`.
#[derive(Debug)]
pub(crate) struct Comb<T> {
    slots: Vec<Option<T>>,
    /// Where the search begins for a row of so many teeth: below, rows of that size rarely fit.
    search_from: [usize; SIZES],
}

/// Rows of this many teeth or more share a place to search from.
const SIZES: usize = 8;

/// How many bases are tried before a row is put behind everything: bounds the time of packing and
/// costs a few per cent of space.
const TRIES: usize = 256;

impl<T> Default for Comb<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            search_from: [0; SIZES],
        }
    }
}

impl<T: Clone> Comb<T> {
    /// Finds a base for a row with these teeth, and puts there what `tooth` gives for each.
    pub(crate) fn place(&mut self, keys: &[u8], mut tooth: impl FnMut(u8) -> T) -> usize {
        let Some(lowest) = keys.iter().min().copied().map(usize::from) else {
            return 0;
        };
        let size = keys.len().min(SIZES) - 1;
        let from = self.search_from.get(size).copied().unwrap_or(0);
        let mut slot = from.max(lowest);
        let mut tries = 0;
        let base = loop {
            if tries == TRIES || slot >= self.slots.len() {
                break slot.max(self.slots.len()) - lowest;
            }
            if self.is_free(slot) {
                let base = slot - lowest;
                if keys
                    .iter()
                    .all(|key| self.is_free(base + usize::from(*key)))
                {
                    break base;
                }
                tries += 1;
            }
            slot += 1;
        };
        for key in keys {
            let slot = base + usize::from(*key);
            if slot >= self.slots.len() {
                self.slots.resize(slot + 1, None);
            }
            if let Some(free) = self.slots.get_mut(slot) {
                *free = Some(tooth(*key));
            }
        }
        base
    }

    fn is_free(&self, slot: usize) -> bool {
        self.slots.get(slot).is_none_or(Option::is_none)
    }

    /// The slots; `free` stands for those not used.
    pub(crate) fn into_slots(self, free: T) -> Vec<T> {
        let slots = self.slots.into_iter();
        slots
            .map(|slot| slot.unwrap_or_else(|| free.clone()))
            .collect()
    }
}
