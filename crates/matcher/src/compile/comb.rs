//! Packs sparse rows into one another, like the teeth of combs.

/// Slots of all rows. A row's tooth `k` lies in slot `base + k`.
#[derive(Debug)]
pub(crate) struct Comb<T> {
    slots: Vec<Option<T>>,
    /// A bit for each slot that is taken.
    taken: Vec<u64>,
    /// Where the search begins for a row of so many teeth: below, rows of that size rarely fit.
    search_from: [usize; SIZES],
}

/// Rows of this many teeth or more share a place to search from.
const SIZES: usize = 8;

/// How many words of 64 bases are tried before a row is put behind everything: bounds the time of
/// packing and costs a few per cent of space.
const TRIES: usize = 16;

/// The same for the neighbourhood: four words of 64 sixteen-byte nodes are a page.
const TRIES_NEAR: usize = 4;

impl<T> Default for Comb<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            taken: Vec::new(),
            search_from: [0; SIZES],
        }
    }
}

impl<T: Clone> Comb<T> {
    /// Finds a base for a row with these teeth, and puts there what `tooth` gives for each. Slots
    /// right behind `near` go first: what is walked together lies together.
    pub(crate) fn place_near(
        &mut self,
        near: usize,
        keys: &[u8],
        tooth: impl FnMut(u8) -> T,
    ) -> usize {
        let lowest = keys.iter().min().copied().map_or(0, usize::from);
        let start = near.saturating_sub(lowest);
        match self.first_base(keys, start, TRIES_NEAR) {
            Some(base) if !keys.is_empty() => {
                self.put(base, keys, tooth);
                base
            }
            _ => self.place(keys, tooth),
        }
    }

    /// Finds a base for a row with these teeth, and puts there what `tooth` gives for each.
    pub(crate) fn place(&mut self, keys: &[u8], tooth: impl FnMut(u8) -> T) -> usize {
        let Some(lowest) = keys.iter().min().copied().map(usize::from) else {
            return 0;
        };
        let size = keys.len().min(SIZES) - 1;
        let from = self.search_from.get(size).copied().unwrap_or(0);
        let start = from.saturating_sub(lowest);
        let base = self
            .first_base(keys, start, TRIES)
            .unwrap_or_else(|| self.slots.len().max(start + lowest) - lowest);
        if let Some(from) = self.search_from.get_mut(size) {
            // A single tooth takes the first free slot; wider rows leave later ones some choice.
            let choice = if keys.len() == 1 { 0 } else { 64 * TRIES / 2 };
            *from = (*from).max((base + lowest).saturating_sub(choice));
        }
        self.put(base, keys, tooth);
        base
    }

    fn put(&mut self, base: usize, keys: &[u8], mut tooth: impl FnMut(u8) -> T) {
        for key in keys {
            let slot = base + usize::from(*key);
            if slot >= self.slots.len() {
                self.slots.resize(slot + 1, None);
                self.taken.resize(slot / 64 + 1, 0);
            }
            if let Some(free) = self.slots.get_mut(slot) {
                *free = Some(tooth(*key));
            }
            if let Some(word) = self.taken.get_mut(slot / 64) {
                *word |= 1 << (slot % 64);
            }
        }
    }

    /// The first base from `start` on, of so many times 64, that leaves every tooth a free slot.
    fn first_base(&self, keys: &[u8], start: usize, tries: usize) -> Option<usize> {
        for at in (start..).step_by(64).take(tries) {
            // A bit for each of the 64 bases from here on that some tooth rules out.
            let taken = keys.iter().fold(0, |taken, key| {
                taken | self.taken_from(at + usize::from(*key))
            });
            if taken != u64::MAX {
                return Some(at + taken.trailing_ones() as usize);
            }
        }
        None
    }

    /// 64 bits from a slot on: which are taken.
    fn taken_from(&self, slot: usize) -> u64 {
        let word = |place: usize| self.taken.get(place).copied().unwrap_or(0);
        let shift = slot % 64;
        let low = word(slot / 64) >> shift;
        if shift == 0 {
            low
        } else {
            low | word(slot / 64 + 1) << (64 - shift)
        }
    }

    /// The slots; `free` stands for those not used.
    pub(crate) fn into_slots(self, free: T) -> Vec<T> {
        let slots = self.slots.into_iter();
        slots
            .map(|slot| slot.unwrap_or_else(|| free.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teeth_never_share_a_slot() {
        let mut comb = Comb::default();
        let rows: Vec<Vec<u8>> = (0..500usize)
            .map(|row| {
                let mut keys: Vec<u8> = (0..1 + row % 9)
                    .map(|tooth| ((row * 37 + tooth * tooth * 11) % 256) as u8)
                    .collect();
                keys.sort_unstable();
                keys.dedup();
                keys
            })
            .collect();
        let bases: Vec<usize> = rows
            .iter()
            .enumerate()
            .map(|(row, keys)| comb.place(keys, |key| (row, key)))
            .collect();
        let slots = comb.into_slots((usize::MAX, 0));
        for ((row, keys), base) in rows.iter().enumerate().zip(bases) {
            for key in keys {
                assert_eq!(slots[base + usize::from(*key)], (row, *key));
            }
        }
    }
}
