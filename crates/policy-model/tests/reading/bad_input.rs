//! Input that is broken, hostile or no policy at all: always a diagnostic with a place, never a
//! panic, an overflown stack or exhausted memory.

use gambeson_policy_model::{Limits, Mode, Reader, Reading};

use crate::policy;

/// Codes with places, one for each problem.
fn found(reading: &Reading) -> Vec<String> {
    reading
        .diagnostics()
        .map(|d| format!("{}:{} {}", d.location.line, d.location.column, d.code))
        .collect()
}

fn read(text: &str) -> Vec<String> {
    found(&Reader::new().read_str("p.yaml", text))
}

const RULE: &str = "  process:\n    matchPaths:\n";

#[test]
fn tabs_in_indentation_are_pointed_at() {
    let spec = |line: &str| policy(&format!("{RULE}{line}"));
    assert_eq!(read(&spec("\t- path: /bin/sh\n")), ["7:1 syntax"]);
    let text = spec("    - path: /bin/sh\n\t  action: Block\n");
    assert_eq!(read(&text), ["8:1 syntax"]);
    let reading = Reader::new().mode(Mode::Lenient).read_str("p.yaml", &text);
    let problem = reading.diagnostics().next().unwrap();
    assert_eq!(
        problem.help.as_deref(),
        Some("YAML allows no tabs there; use spaces")
    );
}

#[test]
fn tabs_that_don_t_indent_are_fine() {
    assert_eq!(
        read(&policy("  action:\tBlock\t# all\n")),
        Vec::<String>::new()
    );
    let json = "{\n\t\"apiVersion\": \"security.kubearmor.com/v1\",\n\t\"kind\": \"KubeArmorPolicy\",\n\t\"metadata\": {\"name\": \"p\"},\n\t\"spec\": {}\n}\n";
    assert_eq!(read(json), Vec::<String>::new());
}

#[test]
fn alias_bombs_run_into_the_limit() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let repeated = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{repeated}]\n"));
    }
    let limits = Limits {
        nodes: 100_000,
        ..Limits::default()
    };
    let reading = Reader::new().limits(limits).read_str("p.yaml", &bomb);
    assert_eq!(found(&reading), ["5:40 limit-exceeded"]);

    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(10_000),
        vec!["*a"; 900].join(", ")
    );
    let limits = Limits {
        bytes: 1_000_000,
        ..Limits::default()
    };
    let reading = Reader::new().limits(limits).read_str("p.yaml", &long);
    assert_eq!(found(&reading).len(), 1);
    assert!(found(&reading)[0].ends_with("limit-exceeded"));

    let many = format!("a: &a x\nb: [{}]\n", vec!["*a"; 1001].join(", "));
    assert_eq!(read(&many), ["2:4005 limit-exceeded"]);
}

#[test]
fn an_alias_inside_of_itself_is_refused() {
    assert_eq!(read("a: &a [*a]\n"), ["1:8 syntax"]);
    assert_eq!(read("a: *a\n"), ["1:4 syntax"]);
}

#[test]
fn deep_nesting_runs_into_the_limit() {
    assert_eq!(read(&"[".repeat(10_000)), ["1:65 limit-exceeded"]);
    assert_eq!(read(&"{a: ".repeat(10_000)), ["1:257 limit-exceeded"]);
    assert_eq!(read(&("- ".repeat(10_000) + "x")), ["1:129 limit-exceeded"]);
    let maps: String = (0..1_000).map(|i| " ".repeat(i) + "a:\n").collect();
    assert_eq!(read(&maps), ["65:65 limit-exceeded"]);
    // Not even a caller can ask for a depth at which the stack is at risk.
    let limits = Limits {
        depth: usize::MAX,
        ..Limits::default()
    };
    let reading = Reader::new()
        .limits(limits)
        .read_str("p.yaml", &"[".repeat(10_000));
    assert_eq!(found(&reading), ["1:201 limit-exceeded"]);
}

#[test]
fn sizes_and_numbers_run_into_their_limits() {
    let limits = Limits {
        bytes: 10,
        documents: 2,
        ..Limits::default()
    };
    let reader = Reader::new().limits(limits);
    assert_eq!(
        found(&reader.read_str("p.yaml", "kind: abcdef")),
        ["1:1 limit-exceeded"]
    );
    let endless = std::io::repeat(b'#');
    assert_eq!(
        found(&reader.read_from("p.yaml", endless).unwrap()),
        ["1:1 limit-exceeded"]
    );
    assert_eq!(
        found(&reader.read_str("p.yaml", "a\n---\nb")),
        ["1:1 not-an-object", "3:1 not-an-object"]
    );
    let limits = Limits {
        documents: 2,
        ..Limits::default()
    };
    let reader = Reader::new().limits(limits);
    assert_eq!(
        found(&reader.read_str("p.yaml", "a\n--- b\n--- c\n")),
        [
            "1:1 not-an-object",
            "2:5 not-an-object",
            "3:1 limit-exceeded"
        ]
    );
    let list = "apiVersion: v1\nkind: List\nitems: [a, b, c, d]\n";
    assert_eq!(
        found(&reader.read_str("p.yaml", list)),
        [
            "3:9 not-an-object",
            "3:12 not-an-object",
            "3:15 limit-exceeded"
        ]
    );
}

#[test]
fn a_scalar_of_a_mebibyte_is_no_trouble() {
    let long = "a".repeat(1 << 20);
    let spec = format!("{RULE}    - path: /{long}\n");
    assert_eq!(read(&policy(&spec)), ["7:13 invalid-path"]);
    assert_eq!(
        read(&format!("{long}: 1\n")),
        [format!("1:{} syntax", (1 << 20) + 1)]
    );
    let reading = Reader::new().read_str("p.yaml", &policy(&spec));
    assert!(reading.diagnostics().all(|d| d.message.len() < 1_000));
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_stand() {
    let reader = Reader::new();
    assert_eq!(
        found(&reader.read_bytes("p.yaml", b"a: b\nkind: \0\n")),
        ["2:7 encoding"]
    );
    let mut bytes = policy("  action: Block\n").into_bytes();
    bytes.extend(b"---\nname: caf\xe9\n---\n");
    bytes.extend(policy("  action: Block\n").into_bytes());
    let reading = reader.read_bytes("p.yaml", &bytes);
    assert_eq!(found(&reading), ["7:10 encoding"]);
    let given: Vec<bool> = reading
        .documents()
        .iter()
        .map(|d| d.policy.is_some())
        .collect();
    assert_eq!(given, [true, false, true]);

    let utf16: Vec<u8> = "\u{feff}kind: x\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(
        found(&reader.read_bytes("p.yaml", &utf16)),
        ["1:1 encoding"]
    );
    let escaped = policy("  process: {matchPaths: [{path: \"/a\\0b\"}]}\n");
    assert_eq!(read(&escaped), ["5:33 invalid-path"]);
}

#[test]
fn a_byte_order_mark_and_any_line_ends_are_taken() {
    let bad = policy(&format!("{RULE}    - path: bin/sh\n"));
    for text in [
        format!("\u{feff}{bad}"),
        bad.replace('\n', "\r\n"),
        bad.replace('\n', "\r"),
    ] {
        assert_eq!(read(&text), ["7:13 invalid-path"], "{text:?}");
    }
}

#[test]
fn nothing_is_a_warning_and_no_policy() {
    for text in [
        "",
        "\n\n",
        "---",
        "---\n---\n...\n---\n",
        "# only a comment\n",
        "~",
        "%YAML 1.2\n",
        "\u{feff}",
    ] {
        for mode in [Mode::Strict, Mode::Lenient] {
            let reading = Reader::new().mode(mode).read_str("p.yaml", text);
            assert_eq!(found(&reading), ["1:1 no-document"], "{text:?}");
            assert!(!reading.has_errors(), "{text:?}");
            assert!(reading.into_set().unwrap().policies().is_empty());
        }
    }
    // The answer of a cluster without policies.
    let none = "apiVersion: v1\nkind: List\nitems: []\n";
    assert_eq!(read(none), Vec::<String>::new());
}

#[test]
fn what_is_no_object_says_so() {
    assert_eq!(read("hello\n"), ["1:1 not-an-object"]);
    assert_eq!(read("- a\n"), ["1:1 not-an-object"]);
    assert_eq!(read("a: b\n"), ["1:1 not-an-object"]);
}

#[test]
fn a_broken_document_loses_no_other() {
    let good = policy("  action: Block\n");
    let text = format!(
        "{good}---\nkind: KubeArmorPolicy\nmetadata: {{name: broken}}\nspec: [\n---\n{good}...\n# note\n%YAML 1.2\n---\n{good}---\n- 'x\n"
    );
    let reading = Reader::new().read_str("p.yaml", &text);
    assert_eq!(found(&reading), ["9:7 syntax", "26:3 syntax"]);
    let documents: Vec<_> = reading
        .documents()
        .iter()
        .map(|d| {
            (
                d.index,
                d.name.as_deref(),
                d.policy.is_some(),
                d.location.line,
            )
        })
        .collect();
    assert_eq!(
        documents,
        [
            (0, Some("p"), true, 1),
            (1, Some("broken"), false, 7),
            (2, Some("p"), true, 11),
            (3, Some("p"), true, 20),
            (4, None, false, 26),
        ]
    );
}

#[test]
fn a_document_marker_inside_a_block_ends_the_document_as_yaml_says() {
    let text = policy("  apparmor: |\n    --- not here\n---\nkind: x\napiVersion: v1\n");
    let reading = Reader::new().read_str("p.yaml", &text);
    assert_eq!(found(&reading), ["8:7 unsupported-kind"]);
}

#[test]
fn merge_keys_and_anchors_are_expanded() {
    let text = policy(
        "  process:
    matchPaths:
    - &quiet {path: /bin/sh, action: Audit, severity: 3}
    - <<: *quiet
      path: /bin/bash
    - <<: [{severity: 1}, *quiet]
",
    );
    let reading = Reader::new().read_str("p.yaml", &text);
    assert_eq!(found(&reading), Vec::<String>::new());
    let rules: Vec<String> = reading.documents()[0]
        .policy
        .as_ref()
        .unwrap()
        .rules()
        .iter()
        .map(|rule| format!("{:?} {} {}", rule.object, rule.action, rule.severity))
        .collect();
    assert_eq!(
        rules,
        [
            "Path(\"/bin/sh\") Audit 3",
            "Path(\"/bin/bash\") Audit 3",
            "Path(\"/bin/sh\") Audit 1",
        ]
    );
    assert_eq!(read("a: {<<: 5}\n"), ["1:5 syntax"]);
}

#[test]
fn tags_that_don_t_fit_are_refused() {
    assert_eq!(read(&policy("  action: !secret Block\n")), ["5:19 syntax"]);
    assert_eq!(read(&policy("  message: !!str 5\n")), Vec::<String>::new());
    assert_eq!(read(&policy("  severity: !!int five\n")), ["5:19 syntax"]);
}

#[test]
fn problems_beyond_the_thousandth_are_counted() {
    let spec: String = (0..3_000).map(|i| format!("  field{i}: x\n")).collect();
    let reading = Reader::new().read_str("p.yaml", &policy(&spec));
    assert_eq!(reading.diagnostics().count(), 1_001);
    let last = reading.diagnostics().last().unwrap();
    assert_eq!(last.message, "2000 more problems are not listed");
    // A thousand warnings don't make an error.
    let reading = Reader::new()
        .mode(Mode::Lenient)
        .read_str("p.yaml", &policy(&spec));
    assert!(!reading.has_errors());
}

mod any_bytes {
    use gambeson_policy_model::{Limits, Mode, Reader, render_human};
    use proptest::prelude::*;

    /// Pieces of YAML that bring a parser into every corner when they are put together.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            &b"kind: KubeArmorPolicy\n"[..],
            b"apiVersion: security.kubearmor.com/v1\n",
            b"metadata: {name: p}\n",
            b"spec:\n",
            b"  process:\n    matchPaths:\n    - ",
            b"path: /bin/sh\n",
            b"---\n",
            b"...\n",
            b"&a ",
            b"*a",
            b"<<: ",
            b"!!int ",
            b"? ",
            b"\t",
            b"\"",
            b"'",
            b"|\n",
            b"[{",
            b"}, ]",
            b"\xff",
            b"\0",
            b"\xe6\x97\xa5",
            b"\r",
            b"# x\n",
            b"%TAG ! x\n",
            b"\xef\xbb\xbf",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn are_read_or_refused_with_a_place(bytes in pieces()) {
            let limits = Limits { depth: 20, nodes: 500, ..Limits::default() };
            for mode in [Mode::Strict, Mode::Lenient] {
                let reading = Reader::new().mode(mode).limits(limits).read_bytes("p.yaml", &bytes);
                for problem in reading.diagnostics() {
                    prop_assert!(problem.location.line >= 1 && problem.location.column >= 1);
                }
                let shown = render_human(reading.diagnostics(), reading.sources(), false);
                prop_assert_eq!(shown.matches("--> p.yaml:").count(), reading.diagnostics().count());
            }
        }
    }
}
