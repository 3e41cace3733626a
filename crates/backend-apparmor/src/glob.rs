//! Globs as sequences of tokens, and what is done with them: derivatives, restrictions, matching.

use gambeson_policy_model::{ByteSet, Token};

/// One item of a glob in AppArmor's terms. Unlike in the decision model's dialect a run may always be
/// empty, and a set may hold a slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Tok {
    /// This byte.
    Byte(u8),
    /// One byte of the set.
    Set(ByteSet),
    /// A run without `/`.
    Star,
    /// Any run.
    Deep,
    /// A slash or nothing: what AppArmor puts behind the names of directories.
    End,
}

/// A glob: its items.
pub(crate) type Seq = Vec<Tok>;

/// All bytes but NUL and those that the function takes out.
pub(crate) fn set_without(out: impl Fn(u8) -> bool) -> ByteSet {
    let mut set = ByteSet::EMPTY;
    (1..=u8::MAX)
        .filter(|byte| !out(*byte))
        .for_each(|byte| set.insert(byte));
    set
}

/// One byte that is no slash.
pub(crate) fn no_slash() -> Tok {
    Tok::Set(set_without(|byte| byte == b'/'))
}

/// A glob for the items of a pattern. None where it ends in a slash: no path does.
pub(crate) fn of_tokens(tokens: &[Token], directories: bool) -> Option<Seq> {
    let mut seq = Vec::with_capacity(tokens.len() + 2);
    for token in tokens {
        match token {
            Token::Byte(byte) => seq.push(Tok::Byte(*byte)),
            Token::Set(set) => seq.push(Tok::Set(*set)),
            Token::Star { nonempty } => {
                seq.extend(nonempty.then(no_slash));
                seq.push(Tok::Star);
            }
            // A component that a run fills doesn't begin with a slash: paths have no two in a row.
            Token::DoubleStar { nonempty } => {
                seq.extend(nonempty.then(no_slash));
                seq.push(Tok::Deep);
            }
        }
    }
    match seq.last() {
        Some(Tok::Byte(b'/')) if seq.len() > 1 => return None,
        Some(Tok::Deep) | None => {}
        Some(_) if directories => seq.push(Tok::End),
        Some(_) => {}
    }
    Some(seq)
}

/// The glob of an execname.
pub(crate) fn of_execname(name: &[u8]) -> Seq {
    let mut seq = vec![Tok::Deep, Tok::Byte(b'/')];
    seq.extend(name.iter().map(|byte| Tok::Byte(*byte)));
    seq
}

/// The glob of a literal.
pub(crate) fn literal(bytes: &[u8]) -> Seq {
    bytes.iter().map(|byte| Tok::Byte(*byte)).collect()
}

/// Places in sequences that a prefix leads to: the number of the sequence, and of its next item.
pub(crate) type Places = Vec<(usize, usize)>;

/// Adds the places that can be reached without a byte.
pub(crate) fn close(seqs: &[Seq], places: &mut Places) {
    let mut at = 0;
    while let Some((seq, item)) = places.get(at).copied() {
        at += 1;
        let tok = seqs.get(seq).and_then(|seq| seq.get(item));
        if matches!(tok, Some(Tok::Star | Tok::Deep | Tok::End)) {
            let next = (seq, item + 1);
            if !places.contains(&next) {
                places.push(next);
            }
        }
    }
}

/// The places behind a byte, closed.
pub(crate) fn step(seqs: &[Seq], places: &Places, byte: u8) -> Places {
    let mut next = Places::new();
    for (seq, item) in places {
        let to = match seqs.get(*seq).and_then(|seq| seq.get(*item)) {
            Some(Tok::Byte(want)) if *want == byte => item + 1,
            Some(Tok::Set(set)) if set.contains(byte) => item + 1,
            Some(Tok::Star) if byte != b'/' => *item,
            Some(Tok::Deep) => *item,
            Some(Tok::End) if byte == b'/' => item + 1,
            _ => continue,
        };
        if !next.contains(&(*seq, to)) {
            next.push((*seq, to));
        }
    }
    close(seqs, &mut next);
    next
}

/// The places in front of all sequences, closed.
pub(crate) fn start(seqs: &[Seq]) -> Places {
    let mut places: Places = (0..seqs.len()).map(|seq| (seq, 0)).collect();
    close(seqs, &mut places);
    places
}

/// Whether a place is the end of its sequence.
pub(crate) fn accepts(seqs: &[Seq], places: &Places) -> bool {
    places
        .iter()
        .any(|(seq, item)| seqs.get(*seq).is_some_and(|seq| seq.len() == *item))
}

/// The bytes that a glob begins with, and those that it ends with but for a directory's slash.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends {
    prefix: Vec<u8>,
    suffix: Vec<u8>,
}

impl Ends {
    pub(crate) fn of(seq: &Seq) -> Self {
        let byte = |tok: &Tok| match tok {
            Tok::Byte(byte) => Some(*byte),
            _ => None,
        };
        let mut suffix: Vec<u8> = seq
            .iter()
            .rev()
            .skip_while(|tok| **tok == Tok::End)
            .map_while(byte)
            .collect();
        suffix.reverse();
        Self {
            prefix: seq.iter().map_while(byte).collect(),
            suffix,
        }
    }

    /// Whether the glob may match the path, with or without a slash at its end.
    pub(crate) fn may_match(&self, path: &[u8]) -> bool {
        path.starts_with(&self.prefix) && path.ends_with(&self.suffix)
    }

    /// Whether some path may match both.
    pub(crate) fn may_intersect(&self, other: &Self) -> bool {
        let prefixes =
            self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix);
        let suffixes = self.suffix.ends_with(&other.suffix) || other.suffix.ends_with(&self.suffix);
        prefixes && suffixes
    }
}

/// Whether a glob matches the file or the directory of a name.
pub(crate) fn matches_name(seq: &Seq, name: &[u8]) -> bool {
    matches(seq, name) || matches(seq, &[name, b"/"].concat())
}

/// Whether a glob matches a path.
pub(crate) fn matches(seq: &Seq, path: &[u8]) -> bool {
    let seqs = std::slice::from_ref(seq);
    let mut places = start(seqs);
    for byte in path {
        if places.is_empty() {
            return false;
        }
        places = step(seqs, &places, *byte);
    }
    accepts(seqs, &places)
}

/// Whether some path matches both.
pub(crate) fn intersect(a: &Seq, b: &Seq) -> bool {
    let (a, b) = (std::slice::from_ref(a), std::slice::from_ref(b));
    let mut seen = std::collections::BTreeSet::new();
    let mut work = vec![(start(a), start(b))];
    while let Some((at_a, at_b)) = work.pop() {
        if accepts(a, &at_a) && accepts(b, &at_b) {
            return true;
        }
        for byte in interesting(a, &at_a, b, &at_b) {
            let next = (step(a, &at_a, byte), step(b, &at_b, byte));
            if !next.0.is_empty() && !next.1.is_empty() && seen.insert(next.clone()) {
                work.push(next);
            }
        }
    }
    false
}

/// A byte of each sort that two globs tell apart.
fn interesting(a: &[Seq], at_a: &Places, b: &[Seq], at_b: &Places) -> Vec<u8> {
    let mut sorts: Vec<(Places, Places)> = Vec::new();
    let mut bytes = Vec::new();
    for byte in 1..=u8::MAX {
        let sort = (step(a, at_a, byte), step(b, at_b, byte));
        if !sorts.contains(&sort) {
            sorts.push(sort);
            bytes.push(byte);
        }
    }
    bytes
}

/// What of a rest behind a directory's slash are direct children, with or without a slash behind.
pub(crate) fn children_of(rest: &[Tok]) -> Option<Seq> {
    let mut seq = Seq::new();
    let mut open_end = false;
    for (place, tok) in rest.iter().enumerate() {
        match tok {
            Tok::Byte(b'/') if place + 1 == rest.len() => seq.push(tok.clone()),
            Tok::Byte(b'/') => return None,
            Tok::Set(set) => {
                let mut set = *set;
                set.remove(b'/');
                seq.push(Tok::Set(set));
            }
            Tok::Deep => {
                open_end = true;
                seq.push(Tok::Star);
            }
            _ => seq.push(tok.clone()),
        }
    }
    if open_end && !matches!(seq.last(), Some(Tok::End)) {
        seq.push(Tok::End);
    }
    Some(seq)
}

/// What of a rest behind a directory's slash is deeper than direct children.
pub(crate) fn deeper_of(rest: &[Tok]) -> Vec<Seq> {
    let mut found = Vec::new();
    for (place, tok) in rest.iter().enumerate() {
        let Some(mut before) = children_of(rest.get(..place).unwrap_or_default()) else {
            break;
        };
        if matches!(before.last(), Some(Tok::End)) {
            before.pop();
        }
        let behind = rest.get(place + 1..).unwrap_or_default();
        let crossings: Vec<Seq> = match tok {
            Tok::Byte(b'/') => nonempty(behind),
            Tok::Deep => {
                before.push(Tok::Star);
                let mut again = vec![Tok::Deep];
                again.extend_from_slice(behind);
                nonempty(&again)
            }
            Tok::Set(set) if set.contains(b'/') => nonempty(behind),
            _ => continue,
        };
        for crossing in crossings {
            let mut seq = before.clone();
            seq.push(Tok::Byte(b'/'));
            seq.extend(crossing);
            if !found.contains(&seq) {
                found.push(seq);
            }
        }
    }
    found
}

/// What of a rest behind a slash has at least one byte, and no second slash.
pub(crate) fn nonempty(rest: &[Tok]) -> Vec<Seq> {
    let mut found = Vec::new();
    for (place, tok) in rest.iter().enumerate() {
        let behind = rest.get(place + 1..).unwrap_or_default();
        let with = |first: Vec<Tok>| first.into_iter().chain(behind.iter().cloned()).collect();
        match tok {
            Tok::Byte(b'/') => break,
            Tok::Byte(_) | Tok::Set(_) => {
                found.push(with(vec![tok.clone()]));
                break;
            }
            Tok::Star => found.push(with(vec![no_slash(), Tok::Star])),
            Tok::Deep => found.push(with(vec![no_slash(), Tok::Deep])),
            Tok::End => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use gambeson_policy_model::Glob;

    use super::*;

    fn seq(text: &str) -> Seq {
        let glob = Glob::parse(text).unwrap();
        of_tokens(&glob.alternatives()[0], true).unwrap()
    }

    #[test]
    fn globs_match_files_and_directories_of_a_name() {
        for (pattern, path, expected) in [
            ("/etc/*.key", "/etc/a.key", true),
            ("/etc/*.key", "/etc/a.key/", true),
            ("/etc/*.key", "/etc/a/b.key", false),
            ("/**/x", "/a/b/x", true),
            ("/**/x", "/x", false),
            ("**x", "/a/x", true),
            ("/a/?[b-d]", "/a/zc/", true),
            ("/a/[^b]", "/a//", false),
        ] {
            assert_eq!(
                matches(&seq(pattern), path.as_bytes()),
                expected,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn globs_that_share_a_path_intersect() {
        for (a, b, expected) in [
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/b/c", false),
            ("/**/x", "/a/**", true),
            ("/**/*.key", "/**/*.pem", false),
            ("/**a**", "/**b**", true),
        ] {
            assert_eq!(intersect(&seq(a), &seq(b)), expected, "{a} {b}");
        }
    }
}
