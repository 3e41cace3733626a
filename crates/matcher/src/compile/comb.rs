//! Packs sparse rows into one another, like the teeth of combs.

/// Slots of all rows. A row's tooth `k` lies in slot `base + k`.
#[derive(Debug, Default)]
pub(crate) struct Comb {
    /// Owner and value, where used.
    slots: Vec<Option<(u32, u32)>>,
    /// No slot below is free.
    first_free: usize,
}

/// How many bases are tried before a row is put behind everything: bounds the time of packing and
/// costs a few per cent of space.
const TRIES: usize = 64;

impl Comb {
    /// Finds a base for a row and puts its teeth there.
    pub(crate) fn place(&mut self, owner: u32, teeth: &[(u8, u32)]) -> u32 {
        let Some(lowest) = teeth.iter().map(|(key, _)| usize::from(*key)).min() else {
            return 0;
        };
        let mut slot = self.first_free.max(lowest);
        let mut tries = 0;
        let base = loop {
            if tries == TRIES {
                break self.slots.len().saturating_sub(lowest);
            }
            if slot >= self.slots.len() {
                break slot - lowest;
            }
            if self.is_free(slot) {
                let base = slot - lowest;
                if teeth
                    .iter()
                    .all(|(key, _)| self.is_free(base + usize::from(*key)))
                {
                    break base;
                }
                tries += 1;
            }
            slot += 1;
        };
        for (key, value) in teeth {
            let slot = base + usize::from(*key);
            if slot >= self.slots.len() {
                self.slots.resize(slot + 1, None);
            }
            if let Some(free) = self.slots.get_mut(slot) {
                *free = Some((owner, *value));
            }
        }
        while self.first_free < self.slots.len() && !self.is_free(self.first_free) {
            self.first_free += 1;
        }
        base as u32
    }

    fn is_free(&self, slot: usize) -> bool {
        self.slots.get(slot).is_none_or(Option::is_none)
    }

    /// The slots; `free` stands for the owner of those not used.
    pub(crate) fn into_slots(self, free: u32) -> Vec<(u32, u32)> {
        self.slots
            .into_iter()
            .map(|slot| slot.unwrap_or((free, 0)))
            .collect()
    }
}
