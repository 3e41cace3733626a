//! Records of fixed layout, and how they become bytes.

/// A record or field of a fixed size in bytes.
pub trait Record: Sized {
    /// Its size, as C's `sizeof` gives it.
    const SIZE: usize;

    /// What its place must be a multiple of.
    const ALIGN: usize;

    /// Writes exactly [`Record::SIZE`] bytes behind the others.
    fn write(&self, bytes: &mut Vec<u8>);

    /// Reads a record from the first bytes; `None` where there are too few.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// The record's bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::SIZE);
        self.write(&mut bytes);
        bytes
    }
}

/// A field's name, its place and its size.
pub type FieldLayout = (&'static str, usize, usize);

macro_rules! integers {
    ($($kind:ty),+) => {
        $(impl Record for $kind {
            const SIZE: usize = size_of::<$kind>();
            const ALIGN: usize = Self::SIZE;

            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|bytes| Self::from_le_bytes(*bytes))
            }
        })+
    };
}
integers!(u8, u16, u32, u64);

impl<R: Record + Copy + Default, const N: usize> Record for [R; N] {
    const SIZE: usize = N * R::SIZE;
    const ALIGN: usize = R::ALIGN;

    fn write(&self, bytes: &mut Vec<u8>) {
        self.iter().for_each(|item| item.write(bytes));
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut items = [R::default(); N];
        for (item, bytes) in items
            .iter_mut()
            .zip(bytes.get(..Self::SIZE)?.chunks(R::SIZE))
        {
            *item = R::read(bytes)?;
        }
        Some(items)
    }
}

/// The next multiple of `align`.
pub(crate) const fn aligned(at: usize, align: usize) -> usize {
    at.next_multiple_of(align)
}

/// Declares records with the layout that C gives them, and their names there.
macro_rules! record {
    ($(#[$meta:meta])* $c_name:ident $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $kind,)+
        }

        impl $name {
            /// Its name in C.
            pub const C_NAME: &'static str = stringify!($c_name);

            /// Where its last field ends: less than its size where C fills it up.
            const END: usize = {
                let end = 0;
                $(let end = $crate::abi::record::aligned(end, <$kind as Record>::ALIGN)
                    + <$kind as Record>::SIZE;)+
                end
            };

            /// Its fields.
            pub const FIELDS: &'static [$crate::abi::record::FieldLayout] = &{
                let mut end = 0;
                [$({
                    let at = $crate::abi::record::aligned(end, <$kind as Record>::ALIGN);
                    end = at + <$kind as Record>::SIZE;
                    // The last assignment has no reader.
                    let _ = end;
                    (stringify!($field), at, <$kind as Record>::SIZE)
                },)+]
            };
        }

        impl Record for $name {
            const SIZE: usize = $crate::abi::record::aligned($name::END, <$name as Record>::ALIGN);
            const ALIGN: usize = {
                let align = 1;
                $(let align = if <$kind as Record>::ALIGN > align {
                    <$kind as Record>::ALIGN
                } else {
                    align
                };)+
                align
            };

            fn write(&self, bytes: &mut Vec<u8>) {
                let start = bytes.len();
                $(
                    let at = bytes.len() - start;
                    bytes.resize(start + $crate::abi::record::aligned(at, <$kind as Record>::ALIGN), 0);
                    self.$field.write(bytes);
                )+
                bytes.resize(start + <Self as Record>::SIZE, 0);
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                let mut end = 0;
                let mut next = |size: usize, align: usize| {
                    let at = $crate::abi::record::aligned(end, align);
                    end = at + size;
                    bytes.get(at..end)
                };
                Some(Self {
                    $($field: <$kind as Record>::read(
                        next(<$kind as Record>::SIZE, <$kind as Record>::ALIGN)?
                    )?,)+
                })
            }
        }
    };
}
pub(super) use record;

/// Declares constants, and a list of them under their names in C.
macro_rules! constants {
    ($($(#[$meta:meta])* $c_name:ident $name:ident: $kind:ty = $value:expr,)+) => {
        $($(#[$meta])* pub const $name: $kind = $value;)+

        /// Every constant under its name in C.
        pub const CONSTANTS: &[(&str, u64)] = &[$((stringify!($c_name), $name as u64),)+];
    };
}
pub(super) use constants;
