//! On a real kernel, as far as it lets maps be made.

use std::os::fd::AsRawFd as _;

use super::*;

/// A map of maps with so many slots; `None`, with a word to the reader, where no maps can be made.
fn slots(most: u32) -> Option<MapHandle> {
    let inner = create(1);
    let inner = match inner {
        Ok(inner) => inner,
        Err(error) => {
            assert_eq!(error.source.kind(), std::io::ErrorKind::PermissionDenied);
            eprintln!("skipped: {error}");
            return None;
        }
    };
    let options = libbpf_rs::libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_rs::libbpf_sys::bpf_map_create_opts>() as _,
        inner_map_fd: inner.as_fd().as_raw_fd().cast_unsigned(),
        ..Default::default()
    };
    let map = MapHandle::create(MapType::ArrayOfMaps, Some("tables"), 4, 4, most, &options);
    Some(map.expect("a map of maps"))
}

/// A table that is unlike those of other numbers.
fn table(number: u32, pages: usize) -> Vec<u8> {
    let words = std::iter::repeat_n(number.to_le_bytes(), pages * abi::PAGE / 4);
    words.flatten().collect()
}

#[test]
fn equal_tables_share_a_slot_until_nobody_uses_it() {
    let Some(map) = slots(8) else { return };
    let mut tables = Tables::new(map);
    let first = tables.acquire(&table(1, 3)).expect("a slot");
    assert_eq!(tables.acquire(&table(1, 3)).expect("a slot"), first);
    let other = tables.acquire(&table(2, 1)).expect("a slot");
    assert_ne!(first, other);
    assert_ne!(tables.acquire(&table(1, 2)).expect("a slot"), first);
    assert_eq!(tables.used(), 3);
    tables.release(first);
    assert_eq!(tables.used(), 3);
    tables.release(first);
    assert_eq!(tables.used(), 2);
    // One that comes back is where it was.
    assert_eq!(tables.acquire(&table(1, 3)).expect("a slot"), first);
    assert_eq!(tables.used(), 3);
    let inner = open(tables.id_in(first).expect("a table")).expect("readable");
    assert_eq!(read(&inner, 3).expect("pages"), table(1, 3));
    let frozen = inner.update(&0u32.to_ne_bytes(), &table(9, 1), MapFlags::ANY);
    assert!(frozen.is_err());
}

#[test]
fn slots_of_what_was_released_are_used_again() {
    let Some(map) = slots(5) else { return };
    let mut tables = Tables::new(map);
    let mut held: Vec<u32> = (0..4)
        .map(|number| tables.acquire(&table(number, 1)).expect("a slot"))
        .collect();
    let full = tables.acquire(&table(99, 1));
    assert!(matches!(full, Err(BindError::Full { most: 4, .. })));
    for number in 4..80 {
        tables.release(held.remove(0));
        held.push(tables.acquire(&table(number, 1)).expect("a slot"));
        let slot = *held.last().expect("it");
        let inner = open(tables.id_in(slot).expect("a table")).expect("readable");
        assert_eq!(read(&inner, 1).expect("a page"), table(number, 1));
    }
    assert_eq!(tables.used(), 4);
}

#[test]
fn memory_of_released_tables_is_given_back() {
    let Some(map) = slots(100) else { return };
    let mut tables = Tables::new(map);
    let held: Vec<u32> = (0..90)
        .map(|number| tables.acquire(&table(number, 1)).expect("a slot"))
        .collect();
    for slot in held {
        tables.release(slot);
    }
    assert_eq!(tables.used(), 0);
    let kept = (0..99).filter(|slot| tables.id_in(*slot).is_ok());
    assert!(kept.count() <= KEPT);
}

#[test]
fn an_adopting_loader_knows_what_is_used() {
    let Some(map) = slots(9) else { return };
    let twin = MapHandle::try_from(&map).expect("a handle");
    let mut tables = Tables::new(map);
    let one = tables.acquire(&table(1, 2)).expect("a slot");
    let two = tables.acquire(&table(2, 1)).expect("a slot");
    tables.release(two);
    drop(tables);
    let mut adopted = Tables::adopt(twin, [one, one].into_iter()).expect("readable");
    assert_eq!(adopted.used(), 1);
    assert_eq!(adopted.acquire(&table(1, 2)).expect("a slot"), one);
    for _ in 0..3 {
        assert_eq!(adopted.used(), 1);
        adopted.release(one);
    }
    assert_eq!(adopted.used(), 0);
    let three = adopted.acquire(&table(3, 1)).expect("a slot");
    assert_ne!(three, one);
}
