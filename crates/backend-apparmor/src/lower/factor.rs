//! Many paths in one expression, what they have in common written once: the parser's time grows with
//! the square of what is repeated.

use std::collections::BTreeMap;

use crate::carve::LENGTH;
use crate::quote::as_path;

/// How deep alternatives may lie in each other: the parser takes 50, and a path has some of its own.
const DEPTH: usize = 40;

/// How many bytes one expression may have whatever is repeated in it: the parser takes less than 16 KiB.
const MOST: usize = 12_000;

/// What may follow, by the part of a path up to the next slash. A text ends at an empty node.
#[derive(Debug, Default)]
struct Node<'a>(BTreeMap<&'a str, Option<Node<'a>>>);

impl<'a> Node<'a> {
    fn add(&mut self, parts: &[&'a str]) {
        match parts {
            [] => {}
            [last] => {
                // What ends here and what goes on are alternatives of different spelling.
                self.0.entry(last).or_default();
            }
            [first, rest @ ..] => {
                let next = self.0.entry(first).or_default();
                next.get_or_insert_default().add(rest);
            }
        }
    }

    fn write(&self, out: &mut String) {
        let several = self.0.len() > 1;
        if several {
            out.push('{');
        }
        for (number, (part, next)) in self.0.iter().enumerate() {
            if number > 0 {
                out.push(',');
            }
            out.push_str(part);
            if let Some(next) = next {
                next.write(out);
            }
        }
        if several {
            out.push('}');
        }
    }
}

/// Texts for paths that any of these match, as few as the parser reads. At the end of an alternative a
/// run may be empty, so that a directory is matched with its children: no hard link is one.
pub(super) fn any_of(texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut node = Node::default();
    let (mut length, mut limit) = (0, LENGTH);
    let mut before: Vec<&str> = Vec::new();
    for text in texts {
        let parts = parts(text);
        let common = before.iter().zip(&parts).take_while(|(a, b)| a == b);
        let common: usize = common.map(|(part, _)| part.len()).sum();
        // What the text adds, with the signs around it.
        let more = text.len() - common + 4;
        if length > 0 && length + more > limit {
            found.push(written(&node));
            node = Node::default();
            // What is repeated leaves as much room as there was: or each text would repeat it again.
            length = common;
            limit = (common + LENGTH).clamp(LENGTH, MOST);
        }
        length += more;
        node.add(&parts);
        before = parts;
    }
    if length > 0 {
        found.push(written(&node));
    }
    found
}

fn written(node: &Node<'_>) -> String {
    let mut text = String::new();
    node.write(&mut text);
    as_path(&text)
}

/// A path's parts, each with the slash that ends it. Slashes in alternatives and classes end none.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut braces, mut class, mut escaped) = (0, 0_usize, false, false);
    for (place, letter) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match letter {
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            '{' if !class => braces += 1,
            '}' if !class => braces = braces.saturating_sub(1),
            '/' if braces == 0 && !class && parts.len() + 1 < DEPTH => {
                let end = place + letter.len_utf8();
                parts.extend(text.get(start..end));
                start = end;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_paths_have_in_common_is_written_once() {
        let texts = [
            "/etc/",
            "/etc/nginx/",
            "/etc/nginx/**.conf",
            "/etc/passwd{,/}",
        ];
        assert_eq!(any_of(&texts), [r#""/etc/{,nginx/{,**.conf},passwd{,/}}""#]);
        assert_eq!(any_of(&["/bin/sh{,/}"]), [r#""/bin/sh{,/}""#]);
        assert_eq!(any_of(&[]), Vec::<String>::new());
    }

    #[test]
    fn slashes_within_classes_and_alternatives_are_no_ends() {
        let texts = [r"/a/[^/]x", r"/a/{b/c,d}", r"/a/\{b"];
        assert_eq!(any_of(&texts), [r#""/a/{[^/]x,\{b,{b/c,d}}""#]);
    }

    #[test]
    fn a_long_path_s_ancestors_repeat_little() {
        let part = format!("{}/", "a".repeat(200));
        let ancestors: Vec<String> = (1..20)
            .map(|depth| "/".to_owned() + &part.repeat(depth))
            .collect();
        let texts: Vec<&str> = ancestors.iter().map(String::as_str).collect();
        assert_eq!(any_of(&texts).len(), 2);
    }

    #[test]
    fn nothing_is_longer_or_deeper_than_the_parser_reads() {
        let deep = format!("/{}", "a/".repeat(500));
        let ancestors: Vec<String> = (0..500)
            .map(|depth| "/".to_owned() + &"a/".repeat(depth))
            .collect();
        let texts: Vec<&str> = ancestors
            .iter()
            .map(String::as_str)
            .chain([deep.as_str()])
            .collect();
        for text in any_of(&texts) {
            assert!(text.len() < 2 * LENGTH + 1100, "{}", text.len());
            let depths = text.chars().scan(0_usize, |depth, letter| {
                match letter {
                    '{' => *depth += 1,
                    '}' => *depth -= 1,
                    _ => {}
                }
                Some(*depth)
            });
            assert!(depths.max() < Some(50));
        }
    }
}
