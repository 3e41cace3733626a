//! Patterns with the directories moved that they begin with.

use crate::glob_text::{expand, items, literal, quote};

/// The paths among the pattern's alternatives that are literal to their end.
pub(super) fn literals(pattern: &str) -> Vec<String> {
    expand(&items(pattern))
        .into_iter()
        .filter_map(|items| items.into_iter().map(literal).collect())
        .collect()
}

/// Puts what `resolve` makes of them in the place of the literal directories that the pattern's
/// alternatives begin with. The text is kept as far as it can be.
pub(super) fn with_directories(pattern: &str, resolve: &mut dyn FnMut(&str) -> String) -> String {
    let all = items(pattern);
    if !all.contains(&"{") {
        return with_directory(&all, resolve);
    }
    let alternatives = expand(&all);
    let resolved: Vec<String> = alternatives
        .iter()
        .map(|items| with_directory(items, resolve))
        .collect();
    if alternatives
        .iter()
        .zip(&resolved)
        .all(|(items, resolved)| items.concat() == *resolved)
    {
        return pattern.to_owned();
    }
    // Where a move of the directories before the braces explains it all, the braces stay.
    let together = with_directory(&all, resolve);
    let same: Vec<String> = expand(&items(&together))
        .iter()
        .map(|items| items.concat())
        .collect();
    if same == resolved {
        return together;
    }
    let quoted: Vec<String> = resolved
        .iter()
        .map(|alternative| {
            let comma = |item| if item == "," { "\\," } else { item };
            items(alternative).into_iter().map(comma).collect()
        })
        .collect();
    format!("{{{}}}", quoted.join(","))
}

/// The same for one alternative.
fn with_directory(items: &[&str], resolve: &mut dyn FnMut(&str) -> String) -> String {
    let literal: Vec<&str> = items.iter().map_while(|item| literal(item)).collect();
    let Some(last_slash) = literal.iter().rposition(|item| *item == "/") else {
        return items.concat();
    };
    let (directory, _) = literal.split_at(last_slash + 1);
    let directory = directory.concat();
    if !directory.starts_with('/') {
        return items.concat();
    }
    let resolved = resolve(&directory);
    if resolved == directory {
        return items.concat();
    }
    let rest = items.get(last_slash + 1..).unwrap_or_default();
    format!("{}{}", quote(&resolved), rest.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Glob;

    /// `/bin` leads to `/usr/bin`, `/odd` to a directory with special characters in its name.
    fn moved(pattern: &str) -> String {
        Glob::parse(pattern).unwrap();
        let resolved = with_directories(pattern, &mut |directory| {
            if let Some(rest) = directory.strip_prefix("/bin/") {
                format!("/usr/bin/{rest}")
            } else {
                directory.replace("/odd/", "/o*{d,/")
            }
        });
        Glob::parse(&resolved).unwrap();
        resolved
    }

    #[test]
    fn the_literal_directories_move() {
        for (pattern, expected) in [
            ("/bin/*sh", "/usr/bin/*sh"),
            ("/bin/ba?h", "/usr/bin/ba?h"),
            ("/bin/sh", "/usr/bin/sh"),
            ("/b\\in/x\\*", "/usr/bin/x\\*"),
            ("/bin*/x", "/bin*/x"),
            ("/*/bin/x", "/*/bin/x"),
            ("/bin/a,b", "/usr/bin/a,b"),
            ("/odd/[a-z]", "/o\\*\\{d,/[a-z]"),
            ("**/bin/x", "**/bin/x"),
            ("/bin/{a,b}", "/usr/bin/{a,b}"),
            ("/bin/{a,b/c}/x", "/usr/bin/{a,b/c}/x"),
            ("/etc/{a,b}", "/etc/{a,b}"),
            ("/{bin,etc}/*", "{/usr/bin/*,/etc/*}"),
            (
                "/{bin/[,}],odd/x,x{y,z}}",
                "{/usr/bin/[,}],/o\\*\\{d\\,/x,/xy,/xz}",
            ),
            ("{/bin/a\\,,/x,y}", "{/usr/bin/a\\,,/x,y}"),
        ] {
            assert_eq!(moved(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn literal_alternatives() {
        assert_eq!(literals("/{usr/,}bin/s\\h"), ["/usr/bin/sh", "/bin/sh"]);
        assert_eq!(literals("/bin/{sh,*}"), ["/bin/sh"]);
        assert!(literals("/bin/[s]h").is_empty());
    }
}
