use std::borrow::Cow;

use proptest::prelude::*;

use crate::{Capability, Device, DeviceClass, Event, EventPath, Operation, Preset, Socket};

fn event(line: &str) -> Event<'_> {
    match Event::from_json(line) {
        Ok(event) => event,
        Err(error) => panic!("{line}: {error}"),
    }
}

fn error(line: &str) -> String {
    match Event::from_json(line) {
        Ok(event) => panic!("{line}: read as {event:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_operation() {
    let tcp = Socket::new(Socket::AF_INET, Socket::SOCK_STREAM, 6);
    let stick = Device {
        class: DeviceClass(8),
        subclass: Some(6),
        protocol: Some(80),
        level: Some(1),
    };
    for (line, expected) in [
        (
            r#"{"op":"exec","path":"/bin/sh","source":"/usr/sbin/nginx","uid":33,"owner":0,"tty":true}"#,
            Event::exec("/bin/sh")
                .by("/usr/sbin/nginx")
                .uid(33)
                .owner(0)
                .tty(true),
        ),
        (
            r#"{"op":"read","path":"/etc/passwd"}"#,
            Event::read("/etc/passwd"),
        ),
        (
            r#"{"path":"/etc/passwd","uid":4294967295,"op":"write"}"#,
            Event::write("/etc/passwd").uid(u32::MAX),
        ),
        (
            r#"{"op":"map_exec","path":"/lib/x.so"}"#,
            Event::map_exec("/lib/x.so"),
        ),
        (
            r#"{"op":"socket","family":"AF_INET","type":"SOCK_STREAM","protocol":"IPPROTO_TCP"}"#,
            Event::socket(tcp),
        ),
        (
            r#"{"op":"capability","capability":"CAP_NET_RAW","source":"/bin/ping"}"#,
            Event::capability(Capability::from_name("net_raw").unwrap()).by("/bin/ping"),
        ),
        (
            r#"{"op":"syscall","syscall":"unlink"}"#,
            Event::syscall("unlink"),
        ),
        (
            r#"{"op":"syscall","syscall":"unlink","path":"/etc/x"}"#,
            Event::syscall("unlink").about("/etc/x"),
        ),
        (
            r#"{"op":"dns","domain":"example.com."}"#,
            Event::dns("example.com."),
        ),
        (
            r#"{"op":"device","class":"MASS-STORAGE","subclass":6,"protocol":80,"level":1}"#,
            Event::device(stick),
        ),
        (
            r#"{"op":"preset","preset":"filelessExec"}"#,
            Event::preset(Preset::FilelessExec),
        ),
    ] {
        assert_eq!(event(line), expected, "{line}");
        assert_eq!(event(&expected.to_json()), expected, "{line}");
    }
}

#[test]
fn names_and_numbers_are_the_same() {
    for line in [
        r#"{"op":"socket","family":2,"type":1,"protocol":6}"#,
        r#"{"op":"socket","family":"inet","type":"stream","protocol":"tcp"}"#,
        r#"{"op":"socket","family":"pf_inet","type":"Sock_Stream","protocol":"TCP"}"#,
        // SOCK_STREAM | SOCK_CLOEXEC
        r#"{"op":"socket","family":2,"type":524289,"protocol":6}"#,
    ] {
        assert_eq!(event(line), Event::socket(Socket::new(2, 1, 6)), "{line}");
    }
    assert_eq!(
        event(r#"{"op":"socket","family":10,"type":3}"#),
        Event::socket(Socket::new(10, 3, 0))
    );
    for value in ["13", r#""net_raw""#, r#""cap_net_raw""#, r#""NET_RAW""#] {
        let line = format!(r#"{{"op":"capability","capability":{value}}}"#);
        let expected = Event::capability(Capability::from_number(13).unwrap());
        assert_eq!(event(&line), expected, "{line}");
    }
    for value in ["8", r#""8""#, r#""0x08""#, r#""mass-storage""#] {
        let line = format!(r#"{{"op":"device","class":{value}}}"#);
        let Operation::Device(device) = event(&line).operation else {
            panic!("{line}");
        };
        assert_eq!((device.class, device.level), (DeviceClass(8), None));
    }
}

#[test]
fn arguments_with_and_without_argv0() {
    let of = |list: &str| {
        let line = format!(r#"{{"op":"exec","path":"/usr/bin/ls",{list}}}"#);
        let Operation::Exec { args, .. } = event(&line).operation else {
            panic!("{line}");
        };
        args.iter()
            .map(|arg| String::from_utf8_lossy(arg).into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(r#""args":["-l","/"]"#), ["-l", "/"]);
    assert_eq!(of(r#""args":["/usr/bin/ls","-l"]"#), ["-l"]);
    assert_eq!(of(r#""args":["ls","ls"]"#), ["ls"]);
    assert_eq!(of(r#""args":["bin/ls"]"#), ["bin/ls"]);
    assert_eq!(of(r#""argv":["-ls","-l"]"#), ["-l"]);
    assert_eq!(of(r#""argv":["ls","ls"]"#), ["ls"]);
    assert!(of(r#""argv":[]"#).is_empty() && of(r#""args":[]"#).is_empty());
    assert!(of(r#""args":null,"argv":["ls"]"#).is_empty());
}

#[test]
fn what_could_not_be_computed() {
    for path in ["null", r#""memfd:x (deleted)""#] {
        let line = format!(r#"{{"op":"exec","path":{path},"source":{path}}}"#);
        let event = event(&line);
        assert_eq!(event, Event::exec(EventPath::UNRESOLVABLE), "{line}");
    }
    let call = event(r#"{"op":"syscall","syscall":"unlink","path":null}"#);
    assert_eq!(
        call,
        Event::syscall("unlink").about(EventPath::UNRESOLVABLE)
    );
    // A deleted file keeps the path it had.
    let line = r#"{"op":"read","path":"/tmp/x (deleted)"}"#;
    assert_eq!(event(line), Event::read("/tmp/x (deleted)"));
}

#[test]
fn pipes_and_sockets_have_no_name_in_a_file_system() {
    for path in ["pipe:[81]", "socket:[7]", "anon_inode:[eventpoll]"] {
        let line = format!(r#"{{"op":"write","path":"{path}"}}"#);
        assert_eq!(event(&line), Event::write(EventPath::NAMELESS), "{path}");
    }
}

#[test]
fn paths_that_are_not_resolved_are_told_apart() {
    for (path, resolved) in [
        ("/bin//sh", false),
        ("/bin/./sh", false),
        ("/a/../bin/sh", false),
        ("//", false),
        ("/etc/..", false),
        ("/.", false),
        ("/etc/", false),
        ("/", true),
        ("/.a/..b/c..", true),
        ("/...", true),
    ] {
        let line = format!(r#"{{"op":"read","path":"{path}"}}"#);
        let Operation::Read { path: read } = event(&line).operation else {
            panic!("{line}");
        };
        assert_eq!(read.is_resolved(), resolved, "{path}");
        // Taken as it is: matching is on bytes.
        assert_eq!(read, EventPath::from(path));
    }
}

#[test]
fn nulls_and_unknown_fields_are_no_news() {
    let line = r#"{"ts":1.5,"op":"read","path":"/x","uid":null,"owner":null,"tty":null,
        "source":null,"args":null,"protocol":null,"labels":{"app":["web",{}]}}"#;
    assert_eq!(event(line), Event::read("/x"));
}

#[test]
fn what_is_ignored_can_be_deep() {
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let line = format!(r#"{{"x":{deep},"op":"read","path":"/x"}}"#);
    assert_eq!(event(&line), Event::read("/x"));
    let line = format!(r#"{{"op":"read","path":{deep}}}"#);
    assert!(error(&line).contains("invalid type: sequence"));
}

#[test]
fn nothing_is_copied_without_escapes() {
    let line = r#"{"op":"exec","path":"/bin/sh","args":["-c"]}"#;
    let Operation::Exec { args, .. } = event(line).operation else {
        panic!("{line}");
    };
    assert!(matches!(args[0], Cow::Borrowed(_)));
    let line = r#"{"op":"exec","path":"/bin/sh","args":["\u002dc"]}"#;
    let Operation::Exec { args, .. } = event(line).operation else {
        panic!("{line}");
    };
    assert!(matches!(&args[0], Cow::Owned(arg) if arg == b"-c"));
}

#[test]
fn bytes_that_are_no_text() {
    let path = b"/tmp/\xff\xed\xb3\xbf\xc3\xa9\"\\\n\x01";
    let deleted = Event::read(&path[..]);
    let line = deleted.to_json();
    assert_eq!(
        line,
        r#"{"op":"read","path":"/tmp/\udcff\udced\udcb3\udcbfé\"\\\n\u0001"}"#
    );
    assert_eq!(event(&line), deleted);
    assert!(error(r#"{"op":"read","path":"/\ud800"}"#).contains("lone surrogate"));
    assert!(error(r#"{"op":"read","path":"/\udc7f"}"#).contains("lone surrogate"));
    let pair = r#"{"op":"read","path":"/\ud83d\ude00"}"#;
    assert_eq!(event(pair), Event::read("/😀"));
}

#[test]
fn mistakes_are_named() {
    let long = format!(r#"{{"op":"read","path":"/{}"}}"#, "a".repeat(4095));
    let label = format!(r#"{{"op":"dns","domain":"{}"}}"#, "a.".repeat(127));
    for (line, expected) in [
        ("", "not JSON: EOF while parsing a value at column 0"),
        ("nonsense", "not JSON: expected ident"),
        ("[]", "an event is a JSON object"),
        ("3", "an event is a JSON object"),
        (r#"{"op":"read","path":"/x"#, "not JSON: EOF"),
        (
            r#"{"op":"read","path":"/x"} {}"#,
            "not JSON: trailing characters at column 27",
        ),
        (
            r#"{}"#,
            "`op` is missing; it is one of exec, read, write, map_exec,",
        ),
        (r#"{"op":null}"#, "`op` is missing"),
        (
            r#"{"op":"open","path":"/x"}"#,
            "`op` is `open`; it must be one of exec,",
        ),
        (
            r#"{"op":3}"#,
            "`op` at column 7: invalid type: integer `3`, expected a string",
        ),
        (
            r#"{"op":"read"}"#,
            "`path` is missing; an event with op `read` has an absolute path",
        ),
        (r#"{"op":"exec","path":""}"#, "`path` is empty; write null"),
        (
            r#"{"op":"exec","path":"bin/sh"}"#,
            "`path` is a relative path, `bin/sh`",
        ),
        (
            r#"{"op":"exec","path":"/x","source":"sh"}"#,
            "`source` is a relative path, `sh`",
        ),
        (
            r#"{"op":"exec","path":"/\u0000"}"#,
            "`path` holds a NUL byte",
        ),
        (
            &long,
            "`path` has 4096 bytes; a path has at most 4095; write null",
        ),
        (
            r#"{"op":"read","path":["/x"]}"#,
            "`path` at column 21: invalid type: sequence, expected a string",
        ),
        (
            r#"{"op":"read","path":"/x","path":"/y"}"#,
            "`path` stands twice, the second time at column",
        ),
        (
            r#"{"op":"read","path":"/x","uid":"root"}"#,
            "`uid` at column 37: invalid type: string \"root\", expected a whole number",
        ),
        (
            r#"{"op":"read","path":"/x","uid":-1}"#,
            "`uid` at column 34: `-1` is no number from 0 to 4294967295",
        ),
        (
            r#"{"op":"read","path":"/x","tty":"pts0"}"#,
            "`tty` at column 37: invalid type: string \"pts0\", expected a boolean",
        ),
        (
            r#"{"op":"exec","path":"/x","args":"-c"}"#,
            "`args` at column 36: invalid type: string \"-c\", expected a sequence",
        ),
        (
            r#"{"op":"exec","path":"/x","args":["a"],"argv":["x","a"]}"#,
            "both `args` and `argv` are given",
        ),
        (
            r#"{"op":"exec","path":"/x","args":["a\u0000"]}"#,
            "`args` holds a NUL byte",
        ),
        (
            r#"{"op":"socket","type":1}"#,
            "`family` is missing; an event with op `socket` has an address family",
        ),
        (
            r#"{"op":"socket","family":2}"#,
            "`type` is missing; an event with op `socket` has a socket type",
        ),
        (
            r#"{"op":"socket","family":"ipv4","type":1}"#,
            "`family` is `ipv4`; it must be an address family",
        ),
        (
            r#"{"op":"socket","family":-2,"type":1}"#,
            "`family` is `-2`; it must be",
        ),
        (
            r#"{"op":"socket","family":2.5,"type":1}"#,
            "`family` at column 27: invalid type: floating point `2.5`, expected a name or a whole number",
        ),
        (
            r#"{"op":"socket","family":2,"type":1,"protocol":"http"}"#,
            "`protocol` is `http`; it must be a protocol",
        ),
        (
            r#"{"op":"capability","capability":"net_roar"}"#,
            "`capability` is `net_roar`; it must be a Linux capability",
        ),
        (
            r#"{"op":"capability","capability":41}"#,
            "`capability` is `41`",
        ),
        (r#"{"op":"capability"}"#, "`capability` is missing"),
        (r#"{"op":"syscall","syscall":""}"#, "`syscall` is ``"),
        (r#"{"op":"syscall"}"#, "`syscall` is missing"),
        (
            r#"{"op":"syscall","syscall":"unlink","path":"x"}"#,
            "`path` is a relative path",
        ),
        (
            r#"{"op":"dns","domain":"."}"#,
            "`domain` is `.`: it names nothing",
        ),
        (
            r#"{"op":"dns","domain":"a..b"}"#,
            "`domain` is `a..b`: it has an empty label",
        ),
        (
            &label.replace("a.\"", "a.b\""),
            "it has more than 253 bytes",
        ),
        (r#"{"op":"dns","domain":"a\u0000b"}"#, "it holds a NUL byte"),
        (r#"{"op":"dns"}"#, "`domain` is missing"),
        (
            r#"{"op":"device","class":"STORAGE"}"#,
            "`class` is `STORAGE`; it must be a USB class",
        ),
        (r#"{"op":"device","class":256}"#, "`class` is `256`"),
        (
            r#"{"op":"device","class":8,"protocol":"tcp"}"#,
            "`protocol` is `tcp`; it must be a USB protocol number",
        ),
        (
            r#"{"op":"device","class":8,"level":99999999999}"#,
            "`level` at column 45: `99999999999` is no number",
        ),
        (
            r#"{"op":"preset","preset":"FilelessExec"}"#,
            "`preset` is `FilelessExec`; it must be filelessExec,",
        ),
    ] {
        let message = error(line);
        assert!(message.contains(expected), "{line}: {message}");
    }
    // 253 bytes and a trailing dot are as long as a domain gets.
    assert!(Event::from_json(&label).is_ok());
}

fn any_path() -> impl Strategy<Value = EventPath<'static>> {
    let byte = prop_oneof![Just(b'/'), Just(b'a'), Just(b'"'), Just(0xed), 1u8..];
    let path = proptest::collection::vec(byte, 0..20)
        .prop_map(|bytes| EventPath::new([b"/", bytes.as_slice()].concat()));
    prop_oneof![
        1 => Just(EventPath::UNRESOLVABLE),
        1 => Just(EventPath::NAMELESS),
        8 => path,
    ]
}

fn any_argument() -> impl Strategy<Value = Cow<'static, [u8]>> {
    prop_oneof![
        Just(Cow::Borrowed(&b"a"[..])),
        Just(Cow::Borrowed(&b"/a"[..])),
        proptest::collection::vec(1u8.., 0..8).prop_map(Cow::Owned),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        path in any_path(),
        args in proptest::collection::vec(any_argument(), 0..3),
        source in any_path(),
        uid: Option<u32>,
        owner: Option<u32>,
        tty: bool,
    ) {
        for mut event in [
            Event::exec(path.clone()).args(args.clone()),
            Event::exec("/a").args(args),
            Event::write(path.clone()),
            Event::syscall("open").about(path),
        ] {
            event.source = source.clone();
            event.uid = uid;
            event.owner = owner;
            event.tty = tty;
            let line = event.to_json();
            prop_assert_eq!(Event::from_json(&line), Ok(event), "{}", line);
        }
    }

    #[test]
    fn no_line_makes_the_reader_panic(line in "[{}\\[\\]\",:a-z\\\\0-9]{0,40}") {
        let _ = Event::from_json(&line);
    }
}
