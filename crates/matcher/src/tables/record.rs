//! Fixed-width records, and how they become words of an image.

/// A record of a fixed number of 32-bit words.
pub(crate) trait Record: Sized {
    /// How many words one record takes.
    const WORDS: usize;

    /// Appends the record's words.
    fn write(&self, words: &mut Vec<u32>);

    /// Reads a record from exactly [`Record::WORDS`] words.
    fn read(words: &[u32]) -> Option<Self>;
}

impl Record for u32 {
    const WORDS: usize = 1;

    fn write(&self, words: &mut Vec<u32>) {
        words.push(*self);
    }

    fn read(words: &[u32]) -> Option<Self> {
        words.first().copied()
    }
}

impl Record for super::entry::Entry {
    const WORDS: usize = 1;

    fn write(&self, words: &mut Vec<u32>) {
        words.push(self.0);
    }

    fn read(words: &[u32]) -> Option<Self> {
        u32::read(words).map(Self)
    }
}

impl<R: Record + Copy + Default, const N: usize> Record for [R; N] {
    const WORDS: usize = N * R::WORDS;

    fn write(&self, words: &mut Vec<u32>) {
        self.iter().for_each(|item| item.write(words));
    }

    fn read(words: &[u32]) -> Option<Self> {
        let mut items = [R::default(); N];
        for (item, words) in items.iter_mut().zip(words.chunks_exact(R::WORDS)) {
            *item = R::read(words)?;
        }
        Some(items)
    }
}

/// Declares a record: a plain struct whose fields are words, in this order.
macro_rules! record {
    ($(#[$meta:meta])* $vis:vis $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        $vis struct $name {
            $($(#[$field_meta])* $vis $field: $kind,)+
        }

        impl $crate::tables::record::Record for $name {
            const WORDS: usize = 0 $(+ <$kind as $crate::tables::record::Record>::WORDS)+;

            fn write(&self, words: &mut Vec<u32>) {
                $(self.$field.write(words);)+
            }

            fn read(words: &[u32]) -> Option<Self> {
                let mut rest = words;
                let mut take = |count| {
                    let (taken, behind) = rest.split_at_checked(count)?;
                    rest = behind;
                    Some(taken)
                };
                Some(Self {
                    $($field: <$kind as $crate::tables::record::Record>::read(
                        take(<$kind as $crate::tables::record::Record>::WORDS)?
                    )?,)+
                })
            }
        }
    };
}
pub(crate) use record;

record! {
    /// A run of items of another table.
    pub Span {
        /// The first item's place.
        start: u32,
        /// How many items.
        len: u32,
    }
}

impl Span {
    /// The run of `items`; empty where the table is shorter than the span says.
    #[inline]
    #[must_use]
    pub fn of<T>(self, items: &[T]) -> &[T] {
        let start = self.start as usize;
        items
            .get(start..start.saturating_add(self.len as usize))
            .unwrap_or_default()
    }
}
