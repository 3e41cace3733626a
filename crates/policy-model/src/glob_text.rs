//! Globs as text: for what rewrites a pattern, or shows a part of it.
//!
//! All of it asks for text that [`crate::Glob::parse`] takes.

/// Splits a pattern into its items: a quoted character, a set in brackets, or one character.
pub(crate) fn items(pattern: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\\' => rest.chars().take(2).map(char::len_utf8).sum(),
            '[' => set_length(rest),
            other => other.len_utf8(),
        };
        let (item, tail) = rest.split_at_checked(length).unwrap_or((rest, ""));
        found.push(item);
        rest = tail;
    }
    found
}

/// The length of the brackets that a text begins with.
fn set_length(text: &str) -> usize {
    let mut quoted = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if quoted => quoted = false,
            '\\' => quoted = true,
            ']' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What an item stands for, if it is literal.
pub(crate) fn literal(item: &str) -> Option<&str> {
    match item {
        "*" | "?" | "{" => None,
        _ if item.starts_with('[') => None,
        _ => Some(item.strip_prefix('\\').unwrap_or(item)),
    }
}

/// The patterns that the braces of one stand for, in order.
pub(crate) fn expand<'t>(items: &[&'t str]) -> Vec<Vec<&'t str>> {
    let Some(open) = items.iter().position(|item| *item == "{") else {
        return vec![items.to_vec()];
    };
    let (before, rest) = items.split_at(open);
    let mut depth = 0;
    let mut choices: Vec<Vec<&str>> = Vec::new();
    let mut choice = Vec::new();
    let mut after: &[&str] = &[];
    for (at, item) in rest.iter().enumerate() {
        match *item {
            "{" if depth == 0 => depth = 1,
            "," if depth == 1 => choices.push(std::mem::take(&mut choice)),
            "}" if depth == 1 => {
                choices.push(std::mem::take(&mut choice));
                after = rest.get(at + 1..).unwrap_or_default();
                break;
            }
            item => {
                match item {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    _ => {}
                }
                choice.push(item);
            }
        }
    }
    choices
        .into_iter()
        .flat_map(|choice| {
            let whole: Vec<&str> = [before, &choice, after].concat();
            expand(&whole)
        })
        .collect()
}

/// The pattern that matches just this text.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\*?[]{}".contains(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Glob;

    proptest! {
        #[test]
        fn the_text_expands_as_the_glob_does(
            pattern in "[/ab*?,]{0,3}(\\{[a/*\\\\-]{0,3},(\\[[^a{,]\\]|\\{a,\\}|b){0,2}\\}[,a]?){0,3}"
        ) {
            if let Ok(glob) = Glob::parse(&pattern) {
                let texts = expand(&items(&pattern));
                prop_assert_eq!(texts.len(), glob.alternatives().len());
                for (text, tokens) in texts.iter().zip(glob.alternatives()) {
                    // An alternative of nothing is no pattern by itself.
                    if text.is_empty() {
                        prop_assert!(tokens.is_empty());
                    } else {
                        let alone = Glob::parse(&text.concat()).unwrap();
                        prop_assert_eq!(alone.alternatives(), std::slice::from_ref(tokens));
                    }
                }
            }
        }

        #[test]
        fn a_quoted_text_matches_itself(text in "[/a*?,{}\\[\\]\\\\^é-]{1,8}") {
            let glob = Glob::parse(&quote(&text)).unwrap();
            prop_assert!(glob.matches(text.as_bytes()));
            prop_assert_eq!(glob.alternatives().len(), 1);
            let literal: Option<String> = items(glob.as_str()).into_iter().map(literal).collect();
            prop_assert_eq!(literal, Some(text));
        }
    }
}
