use proptest::prelude::*;

use super::*;

const OPEN: &str = r#"apparmor="DENIED" operation="open" class="file" profile="gambeson.t/main" name="/tmp/secret" pid=147 comm="cat" requested_mask="r" denied_mask="r" fsuid=0 ouid=7"#;

fn parse(line: &str) -> Record {
    Record::parse(line.as_bytes()).unwrap().expect("a record")
}

#[test]
fn every_way_in_which_a_record_reaches_us() {
    let lines = [
        format!("audit: type=1400 audit(1795454589.968:9): {OPEN}"),
        format!("type=AVC msg=audit(1795454589.968:9): {OPEN}"),
        format!("type=1400 audit(1795454589.968:9): {OPEN}"),
        format!(
            "node=web type=AVC msg=audit(1795454589.968:9): {OPEN}\x1dFSUID=\"root\" OUID=\"x\""
        ),
        format!(
            "Nov 23 17:00:00 host kernel: [    7.648151] audit: type=1400 audit(1795454589.968:9): {OPEN}"
        ),
        format!("<5>[    7.648151] audit: type=1400 audit(1795454589.968:9): {OPEN}"),
    ];
    for line in lines {
        let record = parse(&line);
        assert_eq!(record.mark, Mark::Denied, "{line}");
        assert_eq!(
            (record.time, record.serial),
            (Duration::from_millis(1_795_454_589_968), 9)
        );
        assert_eq!(record.profile.as_deref(), Some(&b"gambeson.t/main"[..]));
        assert_eq!(record.name.as_deref(), Some(&b"/tmp/secret"[..]));
        assert_eq!(
            (record.pid, record.comm.as_slice()),
            (Some(147), &b"cat"[..])
        );
        assert_eq!(
            (record.requested.as_str(), record.denied.as_str()),
            ("r", "r")
        );
        assert_eq!((record.fsuid, record.ouid), (Some(0), Some(7)));
    }
}

#[test]
fn names_of_any_bytes_come_out_as_they_are() {
    let line = "audit: type=1400 audit(1.000:2): apparmor=\"DENIED\" operation=\"open\" name=2F7765206972FF0A pid=1 comm=6120\x22";
    assert_eq!(
        Record::parse(line.as_bytes()),
        Err(RecordError::Value {
            key: "comm",
            value: "6120\"".to_owned()
        })
    );
    let record = parse(line.trim_end_matches('"'));
    assert_eq!(record.name.as_deref(), Some(&b"/we ir\xff\n"[..]));
    assert_eq!(record.comm, b"a ");
}

#[test]
fn a_name_can_not_pass_for_another_value() {
    let record = parse(
        r#"audit: type=1400 audit(1.000:2): apparmor="AUDIT" operation="open" name="/a pid=9 apparmor=DENIED" pid=1"#,
    );
    assert_eq!((record.mark, record.pid), (Mark::Audited, Some(1)));
}

#[test]
fn other_records_are_none() {
    for line in [
        "",
        "type=",
        "audit: type=1400 audit(1.000:2): avc:  denied  { read }",
        r#"audit: type=1107 audit(1.000:2): pid=1 msg='type=1400 audit(1.000:2): apparmor="DENIED"'"#,
        r#"type=SYSCALL msg=audit(1.0:1): arch=c000003e apparmor="DENIED""#,
    ] {
        assert_eq!(Record::parse(line.as_bytes()), Ok(None), "{line}");
    }
}

#[test]
fn records_that_break_off_or_say_nonsense_are_errors() {
    let of = |line: &str| Record::parse(line.as_bytes()).unwrap_err();
    assert!(matches!(
        of("type=1400 audit(x): apparmor=\"DENIED\""),
        RecordError::Stamp { .. }
    ));
    assert!(matches!(
        of("type=1400 audit(1.0:1): apparmor=\"PERHAPS\""),
        RecordError::Mark { .. }
    ));
    assert!(matches!(
        of("type=1400 audit(1.0:1): apparmor=\"DENIED\" pid=many"),
        RecordError::Value { key: "pid", .. }
    ));
}

#[test]
fn the_log_of_the_kernel_is_unescaped_and_only_its_own_lines_count() {
    let record = |head: &str| {
        let line = format!(
            "{head};audit: type=1400 audit(1.000:2): apparmor=\"DENIED\" operation=\"open\" name=\"/a\\x5cb\"\n SUBSYSTEM=x\n"
        );
        Record::parse_kmsg(line.as_bytes()).unwrap()
    };
    let own = record("5,612,7648151,-").expect("the kernel's line");
    assert_eq!(own.name.as_deref(), Some(&br"/a\b"[..]));
    assert_eq!(record("13,612,7648151,-"), None, "written by a process");
    assert_eq!(Record::parse_kmsg(b"no head"), Ok(None));
}

proptest! {
    #[test]
    fn reading_ends_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Record::parse(&bytes);
        let _ = Record::parse_kmsg(&bytes);
        let headed = [b"5,1,1,-;audit: type=1400 audit(1.0:1): apparmor=\"AUDIT\" ".as_slice(), &bytes].concat();
        let _ = Record::parse_kmsg(&headed);
    }

    /// However the kernel writes a name, it comes out as it went in.
    #[test]
    fn a_name_comes_back(name in proptest::collection::vec(any::<u8>(), 1..60)) {
        let plain = name.iter().all(|byte| (0x21..0x7f).contains(byte) && *byte != b'"');
        let written = if plain {
            [b"\"".as_slice(), &name, b"\""].concat()
        } else {
            name.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect()
        };
        let line = [b"audit: type=1400 audit(1.0:1): apparmor=\"DENIED\" name=".as_slice(), &written, b" pid=1"].concat();
        let record = Record::parse(&line).unwrap().unwrap();
        prop_assert_eq!(record.name.as_deref(), Some(name.as_slice()));
        prop_assert_eq!(record.pid, Some(1));
    }
}
