use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType};

use super::*;
use crate::abi::{Record as _, Workload};

const MOST: u32 = 300;

fn map() -> Option<MapHandle> {
    let options = libbpf_rs::libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_rs::libbpf_sys::bpf_map_create_opts>() as _,
        map_flags: libbpf_rs::libbpf_sys::BPF_F_MMAPABLE,
        ..Default::default()
    };
    let size = Workload::SIZE as u32;
    match MapHandle::create(MapType::Array, Some("workloads"), 4, size, MOST, &options) {
        Ok(map) => Some(map),
        Err(error) => {
            assert_eq!(error.kind(), libbpf_rs::ErrorKind::PermissionDenied);
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn in_kernel(map: &MapHandle, number: u32) -> Workload {
    let bytes = map.lookup(&number.to_ne_bytes(), MapFlags::ANY);
    Workload::read(&bytes.expect("readable").expect("an element")).expect("a workload")
}

const fn current(generation: u32, slot: u32) -> Current {
    Current {
        generation: Generation(generation),
        slot,
    }
}

#[test]
fn fields_are_where_the_programs_look() {
    let places: Vec<(&str, usize)> = Workload::FIELDS
        .iter()
        .map(|(name, at, _)| (*name, *at))
        .collect();
    assert_eq!(Workload::SIZE, SIZE);
    for place in [
        ("current", CURRENT),
        ("incarnation", INCARNATION),
        ("settings", SETTINGS),
        ("rate", RATE),
    ] {
        assert!(places.contains(&place), "{place:?}");
    }
}

#[test]
fn the_kernel_sees_what_is_bound() {
    let Some(map) = map() else { return };
    let mut workloads = Workloads::new(map.as_fd(), MOST).expect("shared");
    assert_eq!(in_kernel(&map, MOST - 1).current, u64::from(abi::NONE));
    let binding = workloads.bind(current(7, 12), 5, 100).expect("a number");
    let seen = in_kernel(&map, binding.workload);
    assert_eq!(seen.current, 7 << 32 | 12);
    assert_eq!((seen.incarnation, seen.settings, seen.rate), (1, 5, 100));
    workloads.replace(binding.workload, current(8, 13));
    assert_eq!(in_kernel(&map, binding.workload).current, 8 << 32 | 13);
    assert!(workloads.is_bound(binding));
    workloads.unbind(binding.workload);
    assert!(!workloads.is_bound(binding));
    let seen = in_kernel(&map, binding.workload);
    assert_eq!(seen.current as u32, abi::NONE);
    assert_eq!(seen.incarnation, 2);
}

#[test]
fn an_old_handle_is_not_that_of_the_next_binding() {
    let Some(map) = map() else { return };
    let mut workloads = Workloads::new(map.as_fd(), MOST).expect("shared");
    let old = workloads.bind(current(1, 1), 0, 0).expect("a number");
    workloads.unbind(old.workload);
    let bound: Vec<Binding> = (0..MOST)
        .map(|_| workloads.bind(current(2, 1), 0, 0).expect("a number"))
        .collect();
    assert!(workloads.bind(current(2, 1), 0, 0).is_none());
    let next = bound.iter().find(|next| next.workload == old.workload);
    assert_ne!(next, Some(&old));
    assert!(!workloads.is_bound(old));
    assert!(!workloads.is_bound(Binding {
        workload: MOST,
        incarnation: 1
    }));
}

#[test]
fn an_adopting_loader_finds_what_is_bound() {
    let Some(map) = map() else { return };
    let mut workloads = Workloads::new(map.as_fd(), MOST).expect("shared");
    let kept = workloads.bind(current(3, 4), 9, 0).expect("a number");
    let gone = workloads.bind(current(4, 5), 0, 0).expect("a number");
    workloads.unbind(gone.workload);
    drop(workloads);
    let mut adopted = Workloads::adopt(map.as_fd(), MOST).expect("shared");
    let bound: Vec<_> = adopted.bound().collect();
    assert_eq!(bound, [(kept, current(3, 4))]);
    assert_eq!(adopted.settings(kept.workload), 9);
    let others: Vec<u32> = std::iter::from_fn(|| adopted.bind(current(5, 6), 0, 0))
        .map(|binding| binding.workload)
        .collect();
    assert_eq!(others.len(), MOST as usize - 1);
    assert!(!others.contains(&kept.workload));
}
