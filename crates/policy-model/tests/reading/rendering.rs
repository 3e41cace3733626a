//! Diagnostics for people.

use gambeson_policy_model::{Reader, render_human};

use crate::policy;

fn render(text: &str) -> String {
    let reading = Reader::new().read_str("p.yaml", text);
    render_human(reading.diagnostics(), reading.sources(), false)
}

#[test]
fn the_line_is_shown_with_a_caret_and_the_help() {
    assert_eq!(
        render(&policy(
            "  process:\n    matchPaths:\n    - path: bin/sh # oh\n"
        )),
        "\
error[invalid-path]: `bin/sh` is not absolute
 --> p.yaml:7:13
  |
7 |     - path: bin/sh # oh
  |             ^^^^^^
  |
  = help: paths begin at the root of the workload: write it with a leading `/`
  = field: spec.process.matchPaths[0].path

"
    );
}

/// The columns, in character cells, at which the caret begins and the marked text stands.
fn cells(rendered: &str, marked: &str) -> (usize, usize) {
    let lines: Vec<&str> = rendered.lines().collect();
    let at = lines.iter().position(|line| line.contains(marked)).unwrap();
    let width = |text: &str| {
        text.chars()
            .map(|c| if c > '\u{2e80}' { 2 } else { 1 })
            .sum::<usize>()
    };
    let text = lines[at].split_once(marked).unwrap().0;
    let caret = lines[at + 1].split_once('^').unwrap().0;
    (width(caret), width(text))
}

#[test]
fn wide_characters_and_tabs_don_t_misplace_the_caret() {
    for line in [
        "{message: \"日本語\", path: bin/sh}",
        "{message: \"é\u{301}\u{200b}\", path: bin/sh}",
        "{message: a,\t\tpath: bin/sh}",
    ] {
        let rendered = render(&policy(&format!("  process: {{matchPaths: [{line}]}}\n")));
        let (caret, text) = cells(&rendered, "bin/sh}");
        // Characters without a width are counted above, but take no cell.
        let invisible = line.matches(['\u{301}', '\u{200b}']).count();
        assert_eq!(caret, text - invisible, "{rendered}");
    }
}

#[test]
fn long_lines_are_cut_around_the_caret() {
    let tags = vec!["tag"; 1_000].join(", ");
    let line = format!(
        "  process: {{tags: [{tags}], action: Nope, message: {}}}\n",
        "x".repeat(5_000)
    );
    let rendered = render(&policy(&line));
    let shown = rendered
        .lines()
        .find(|line| line.contains("Nope,"))
        .unwrap();
    assert!(shown.chars().count() < 140, "{rendered}");
    assert!(
        shown.contains("| ...") && shown.ends_with("..."),
        "{rendered}"
    );
    let (caret, text) = cells(&rendered, "Nope,");
    assert_eq!(caret, text);
    assert!(rendered.contains("p.yaml:5:5029"), "{rendered}");
}

#[test]
fn what_is_underlined_is_the_key_or_value() {
    for (line, underlined) in [
        ("  spc: {}", 3),
        ("  process: {matchPaths: [{path: bin}]}", 3),
        ("  process: {matchPaths: [{path: 'bin/a b'}]}", 9),
        ("  action: \"No\\\"pe\" # x", 8),
        ("  process: [matchPaths]", 1),
    ] {
        let rendered = render(&policy(&format!("{line}\n")));
        let carets = rendered.matches('^').count();
        assert_eq!(carets, underlined, "{rendered}");
    }
}

#[test]
fn colours_are_used_only_where_asked() {
    let reading = Reader::new().read_str("p.yaml", "a: b\n");
    let colored = render_human(reading.diagnostics(), reading.sources(), true);
    assert!(colored.contains("\u{1b}["));
    assert!(!render("a: b\n").contains('\u{1b}'));
}

#[test]
fn what_a_file_holds_can_t_reach_the_terminal_as_control_sequence() {
    assert!(!render(&policy("  action: \"\\e[31mx\"\n")).contains('\u{1b}'));
    assert!(!render("a: \u{1b}[31m\n").contains('\u{1b}'));
    assert!(!render("a: \u{9b}31m\nkind: x\n").contains('\u{9b}'));
}

#[test]
fn two_texts_of_one_name_show_no_line_rather_than_a_wrong_one() {
    let mut reading = Reader::new().read_str("<input>", "a: b\n");
    reading.extend(Reader::new().read_str("<input>", "c: d\n"));
    let rendered = render_human(reading.diagnostics(), reading.sources(), false);
    assert!(
        !rendered.contains("a: b") && !rendered.contains("c: d"),
        "{rendered}"
    );
}

#[test]
fn invalid_policies_show_every_error() {
    let text = policy("  action: Nope\n  severity: 11\n");
    let error = Reader::new()
        .read_str("p.yaml", &text)
        .into_set()
        .unwrap_err();
    let shown = error.to_string();
    assert!(
        shown.starts_with("2 errors in the policies\n\nerror[invalid-value]"),
        "{shown}"
    );
    assert!(shown.contains("p.yaml:6:13"), "{shown}");
    assert_eq!(error.diagnostics().len(), 2);
}

/// What is underlined of the first problem's line.
fn underlined(text: &str) -> String {
    let rendered = render(text);
    let lines: Vec<&str> = rendered.lines().collect();
    let at = lines.iter().position(|line| line.contains('^')).unwrap();
    let start = lines[at].find('^').unwrap();
    let length = lines[at].matches('^').count();
    let marked = lines[at - 1].get(start..start + length);
    marked.unwrap().to_owned()
}

#[test]
fn the_whole_key_or_value_is_underlined() {
    for (spec, marked) in [
        ("  action: not at all # no\n", "not at all"),
        ("  {action: not at all, severity: 1}\n", "not at all"),
        ("  actn: Block\n", "actn"),
        ("  action: \"a: # b\"\n", "\"a: # b\""),
        ("  tags: a,b\n", "a,b"),
        ("  process: {matchPaths: [{}]}\n", "{}"),
        ("  selector: []\n", "[]"),
        ("  tags: {a: b}\n", "{"),
        ("  tags: [*a,*b]\n", "*a"),
    ] {
        assert_eq!(underlined(&policy(spec)), marked, "{spec}");
    }
}

#[test]
fn nothing_of_a_policy_drives_the_terminal() {
    let name = "\u{1b}[31m\u{202e}\n.yaml";
    let text = policy("  message: \u{202e}\u{85}\n  \"\\e[2J\": \u{202e}\n  action: \"\\e[2J\"\n");
    for text in [text, "\u{1b}[2J".repeat(10_000)] {
        let reading = Reader::new().read_str(name, &text);
        let rendered = render_human(reading.diagnostics(), reading.sources(), false);
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!rendered.contains(bad), "{rendered:?}");
        assert!(
            rendered.contains("--> \\u{1b}[31m\\u{202e}\\n.yaml:"),
            "{rendered}"
        );
    }
}
