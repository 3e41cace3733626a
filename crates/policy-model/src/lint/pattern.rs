//! Patterns that are meant for something else than a glob, or that match nothing.

use super::matchable::impossible;
use super::{object_field, rule_warning};
use crate::diagnostic::{Code, Diagnostic};
use crate::glob::Glob;
use crate::glob_text::{expand, items, literal};
use crate::rule::{Class, Object, Rule};

/// Looks at the pattern of one rule.
pub(super) fn lint(rule: &Rule, found: &mut Vec<Diagnostic>) {
    let Object::Pattern(glob) = &rule.object else {
        return;
    };
    let field = object_field(&rule.object);
    let text = glob.as_str();
    let items = items(text);
    let expression = regular_expression(text, &items, rule.class);
    if let Some((what, meaning)) = expression {
        found.push(rule_warning(
            Code::RegularExpression,
            format!("`{text}` reads like a regular expression: {what} in a glob {meaning}"),
            "in a glob `*` is any run within a component, `**` any run, `?` one byte, `[a-z]` one \
             of a set, `{a,b}` either",
            rule,
            field,
        ));
    }
    if let Some(set) = items.iter().find(|item| item.starts_with("[!")) {
        let meant = set.replacen('!', "^", 1);
        found.push(rule_warning(
            Code::ShellNegation,
            format!("`{set}` matches a `!` too: it doesn't negate here"),
            format!("write `{meant}` for all bytes but these"),
            rule,
            field,
        ));
    }
    if rule.class == Class::Process
        && let Some(program) = expand(&items).iter().find_map(|items| program(items))
    {
        found.push(rule_warning(
            Code::CommandArguments,
            format!(
                "`{text}` seems to hold arguments: a pattern matches the path of the program alone"
            ),
            format!("write `{program}`; arguments are checked by `allowedArgs` of `matchPaths`"),
            rule,
            field,
        ));
    }
    // That a regular expression matches no path as a glob is no news.
    if expression.is_none()
        && let Some((message, help)) = no_path(glob, &items)
    {
        found.push(rule_warning(
            Code::ImpossiblePattern,
            message,
            help,
            rule,
            field,
        ));
    }
}

/// The alternatives that match no path.
fn no_path(glob: &Glob, items: &[&str]) -> Option<(String, &'static str)> {
    let verdicts: Vec<_> = glob
        .alternatives()
        .iter()
        .map(|tokens| impossible(tokens))
        .collect();
    let text = glob.as_str();
    let (place, first) = verdicts
        .iter()
        .enumerate()
        .find_map(|(place, verdict)| verdict.map(|impossible| (place, impossible)))?;
    let reason = first.reason();
    let message = if verdicts.iter().all(Option::is_some) {
        format!("`{text}` can match no path: {reason}")
    } else {
        let alternative = expand(items).get(place).map(|items| items.concat());
        format!(
            "`{}`, which `{text}` stands for among others, can match no path: {reason}",
            alternative.unwrap_or_default()
        )
    };
    Some((message, first.help()))
}

/// What of a pattern is typical of regular expressions, and what it is in a glob.
///
/// `.*` alone proves nothing: `/etc/hosts.*` and `/root/.*` are good globs.
fn regular_expression(
    text: &str,
    items: &[&str],
    class: Class,
) -> Option<(&'static str, &'static str)> {
    if text.starts_with('^') {
        return Some(("`^` at the beginning", "is that character itself"));
    }
    if items.last() == Some(&"$") {
        return Some(("`$` at the end", "is that character itself"));
    }
    if text.contains("(?") {
        return Some(("`(?`", "is a parenthesis and any one byte"));
    }
    let position = |wanted| items.iter().position(|item| *item == wanted);
    if let (Some(open), Some(bar), Some(close)) = (position("("), position("|"), position(")"))
        && open < bar
        && bar < close
    {
        return Some(("`(a|b)`", "is just these characters; write `{a,b}`"));
    }
    if items.iter().any(|item| {
        item.strip_prefix('\\')
            .is_some_and(|quoted| quoted.starts_with(|c: char| c.is_ascii_alphanumeric()))
    }) {
        return Some(("a backslash before a letter or digit", "is that character"));
    }
    for (at, pair) in items.windows(2).enumerate() {
        let [first, second] = pair else { continue };
        let next = items.get(at + 2).copied();
        let repeats = first.starts_with('[') || *first == ")" || *first == ".";
        match *second {
            "+" if repeats && next != Some("+") => {
                return Some(("a `+` that repeats", "is a plus sign"));
            }
            "{" if repeats && counts(items, at + 2) => {
                return Some(("`{1,2}` that repeats", "is `1` or `2`"));
            }
            "*" if *first == ")" => {
                return Some(("`)*`", "is a parenthesis and any run"));
            }
            "*" if *first == "." && next != Some("*") && any_run(items, at, class) => {
                return Some(("`.*`", "is a dot and any run within the component"));
            }
            _ => {}
        }
    }
    None
}

/// Whether the braces opened before `at` hold numbers, as in `{2,3}`.
fn counts(items: &[&str], at: usize) -> bool {
    let mut inner = items
        .iter()
        .skip(at)
        .take_while(|item| **item != "}")
        .peekable();
    inner.peek().is_some_and(|first| **first != ",")
        && inner.all(|item| *item == "," || item.starts_with(|c: char| c.is_ascii_digit()))
}

/// Directories where names that begin with a dot are what a pattern may well be about.
const DOTTED: [&str; 4] = ["root", "home", "skel", "Users"];

/// Whether the `.*` at `at` is rather meant as any run.
fn any_run(items: &[&str], at: usize, class: Class) -> bool {
    let before = items.get(..at).unwrap_or_default();
    let path = before.concat();
    if path.ends_with('/') {
        return !path.split('/').any(|name| DOTTED.contains(&name));
    }
    // Files have extensions; programs rarely do, but for versions such as that of `python3.12`.
    let name = path.rsplit('/').next().unwrap_or_default();
    class == Class::Process
        && !name.contains('.')
        && name.ends_with(|c: char| c.is_ascii_alphabetic())
}

/// The program, if an alternative is one with arguments.
fn program(items: &[&str]) -> Option<String> {
    let space = items
        .iter()
        .position(|item| literal(item) == Some(" "))
        .filter(|space| *space > 0)?;
    let (program, rest) = items.split_at(space);
    let argument = rest
        .iter()
        .copied()
        .find(|item| literal(item) != Some(" "))?;
    let text = program.concat();
    let (directory, name) = text.rsplit_once('/')?;
    let directory = directory.rsplit('/').next().unwrap_or_default();
    let argument_like = matches!(argument, "-" | "/" | "*" | "?");
    let of_programs = directory.ends_with("bin") || directory.starts_with('*');
    // A space before a wildcard may well be part of a name, outside of where programs live.
    let certain = matches!(argument, "-" | "/") || (argument_like && of_programs) || {
        of_programs && !rest.contains(&"/")
    };
    (certain && !name.is_empty()).then_some(text)
}
