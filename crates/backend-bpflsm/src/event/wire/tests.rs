use gambeson_policy_model::Class;
use proptest::prelude::*;

use super::*;

/// An event as the programs would send it.
pub(crate) fn sent() -> abi::Event {
    let mut comm = [0; 16];
    comm[..3].copy_from_slice(b"cat");
    abi::Event {
        time: 5_000_000_001,
        cgroup: 77,
        workload: 3,
        incarnation: 2,
        generation: 9,
        rule: 4,
        verdict: 2,
        cause: abi::CAUSE_RULE,
        operation: abi::OP_READ,
        hook: abi::HOOK_FILE_OPEN,
        pid: 11,
        tgid: 10,
        ppid: 1,
        uid: 1000,
        flags: abi::EV_OWNER | abi::EV_TTY,
        comm,
        ..abi::Event::default()
    }
}

pub(crate) fn bytes(mut head: abi::Event, object: &[u8], source: &[u8]) -> Vec<u8> {
    head.object_len = u16::try_from(object.len()).expect("short");
    head.source_len = u16::try_from(source.len()).expect("short");
    let mut bytes = head.to_bytes();
    bytes.extend_from_slice(object);
    bytes.extend_from_slice(source);
    bytes
}

#[test]
fn an_event_says_who_did_what_by_which_rule() {
    let event = decode(&bytes(sent(), b"/etc/shadow", b"/bin/cat")).expect("an event");
    assert_eq!(event.time, Duration::new(5, 1));
    assert_eq!(event.decision, Decision::by_rule(Verdict::Block, RuleId(4)));
    assert_eq!(event.generation, Generation(9));
    let binding = Binding {
        workload: 3,
        incarnation: 2,
    };
    assert_eq!(event.binding, binding);
    assert_eq!(event.hook.name, "file_open");
    assert_eq!(event.object, b"/etc/shadow");
    assert_eq!(event.subject.source.as_deref(), Some(&b"/bin/cat"[..]));
    assert_eq!(event.subject.comm, b"cat");
    let model = gambeson_policy_model::Event::read("/etc/shadow")
        .by("/bin/cat")
        .uid(1000)
        .owner(1000)
        .tty(true);
    assert_eq!(event.event(), model);
}

#[test]
fn every_operation_is_of_its_class() {
    let class = |operation: u8, detail: u32| {
        let head = abi::Event {
            operation,
            detail: [detail; 4],
            ..sent()
        };
        decode(&bytes(head, b"/x", b"")).map(|event| event.event().operation.class())
    };
    let expected = [
        (abi::OP_READ, Class::File),
        (abi::OP_WRITE, Class::File),
        (abi::OP_EXEC, Class::Process),
        (abi::OP_MAP_EXEC, Class::Process),
        (abi::OP_SOCKET, Class::Network),
        (abi::OP_CAPABILITY, Class::Capabilities),
        (abi::OP_PRESET, Class::Presets),
        (abi::OP_DNS, Class::Dns),
        (abi::OP_MOUNT, Class::File),
    ];
    for (operation, of) in expected {
        assert_eq!(class(operation, 2), Ok(of));
    }
    let unknown = |field, value| Err(DecodeError::Unknown { field, value });
    assert_eq!(class(0, 0), unknown("operation", 0));
    assert_eq!(class(10, 0), unknown("operation", 10));
    assert_eq!(class(abi::OP_CAPABILITY, 99), unknown("capability", 99));
    assert_eq!(class(abi::OP_CAPABILITY, 256), unknown("capability", 256));
    assert_eq!(class(abi::OP_PRESET, 5), unknown("preset", 5));
}

#[test]
fn what_has_no_path_is_unresolvable() {
    let head = abi::Event {
        flags: abi::EV_UNRESOLVED | abi::EV_UNRESOLVED_SOURCE,
        ..sent()
    };
    let event = decode(&bytes(head, b"/f", b"/bin/cat")).expect("an event");
    assert_eq!(event.subject.source, None);
    assert_eq!(
        event.event().operation.file(),
        Some(&EventPath::UNRESOLVABLE)
    );
}

#[test]
fn bytes_that_end_too_soon_are_no_event() {
    let whole = bytes(sent(), b"/etc/shadow", b"/bin/cat");
    for len in 0..whole.len() {
        let short = decode(&whole[..len]);
        assert!(matches!(short, Err(DecodeError::TooShort { .. })), "{len}");
    }
    // A ring rounds records up.
    let mut longer = whole.clone();
    longer.extend_from_slice(b"rest");
    assert_eq!(decode(&longer), decode(&whole));
}

proptest! {
    #[test]
    fn any_bytes_are_an_event_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(event) = decode(&bytes) {
            let _ = event.event();
        }
    }

    #[test]
    fn any_head_that_is_nearly_right_is_an_event_or_an_error(
        verdict in 0u8..4,
        cause in 0u8..6,
        operation in 0u8..11,
        hook in 0u8..41,
        detail in any::<[u32; 4]>(),
        flags: u32,
        rule: u32,
        object in prop::collection::vec(any::<u8>(), 0..50),
        source in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let head = abi::Event { verdict, cause, operation, hook, detail, flags, rule, ..sent() };
        let known = verdict < 3 && cause < 5 && (1..9).contains(&operation) && (1..39).contains(&hook);
        match decode(&bytes(head, &object, &source)) {
            Ok(event) => {
                prop_assert!(verdict < 3 && cause < 5);
                prop_assert_eq!(&event.object, &object);
                let _ = event.event();
            }
            Err(error) => {
                let by_detail = matches!(
                    error,
                    DecodeError::Unknown { field: "capability" | "preset", .. }
                );
                prop_assert!(!known || by_detail, "{}", error);
            }
        }
    }
}
