//! Globs as the parser reads them.
//!
//! The parser has surprises that are kept away from here: a run that fills a whole component needs at
//! least one byte there, but not inside braces; `[^a]` matches a slash; two slashes are one.

use std::fmt::Write as _;

use gambeson_policy_model::ByteSet;

use crate::glob::Tok;

/// Where in a text an item is written, as far as the parser asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// The whole text ends.
    End,
    /// The alternative ends, but not the text.
    Alternative,
}

/// Writes items.
pub(crate) fn write(out: &mut String, toks: &[Tok], behind: Behind) {
    let mut at = 0;
    while let Some(tok) = toks.get(at) {
        at += 1;
        let next = toks.get(at);
        // Whether the parser takes a run that ends here for one that fills a component.
        let fills = |next: Option<&Tok>, out: &str| {
            let closed = match next {
                Some(tok) => matches!(tok, Tok::Byte(b'/')),
                None => behind == Behind::End,
            };
            closed && out.ends_with('/')
        };
        match tok {
            Tok::Byte(byte) => write_byte(out, *byte),
            Tok::Set(set) => {
                if is_no_slash(set)
                    && let Some(run @ (Tok::Star | Tok::Deep)) = next
                    && fills(toks.get(at + 1), out)
                {
                    out.push_str(if *run == Tok::Star { "*" } else { "**" });
                    at += 1;
                } else {
                    write_set(out, set);
                }
            }
            Tok::Star if fills(next, out) => out.push_str("{,*}"),
            Tok::Deep if fills(next, out) => out.push_str("{,**}"),
            Tok::Star => {
                // Next to another run it would read as a run over directories.
                if out.ends_with('*') && !out.ends_with("\\*") {
                    out.push_str("{,*}");
                } else {
                    out.push('*');
                }
            }
            Tok::Deep => {
                if out.ends_with('*') && !out.ends_with("\\*") {
                    out.push_str("{,**}");
                } else {
                    out.push_str("**");
                }
            }
            Tok::End => out.push_str("{,/}"),
        }
    }
}

/// The text as a rule's path: in quotes where the parser could take it for more than one word.
pub(crate) fn as_path(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-*".contains(&byte);
    if text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    }
}

fn is_no_slash(set: &ByteSet) -> bool {
    (1..=u8::MAX).all(|byte| set.contains(byte) == (byte != b'/'))
}

/// Writes a byte that stands for itself.
pub(crate) fn write_byte(out: &mut String, byte: u8) {
    match byte {
        b'*' | b'?' | b'[' | b']' | b'{' | b'}' | b'^' | b',' => {
            out.push('\\');
            out.push(char::from(byte));
        }
        b'/' | b'.' | b'_' | b'-' | b'+' | b':' | b'=' | b'~' => out.push(char::from(byte)),
        _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
        _ => write_octal(out, byte),
    }
}

fn write_octal(out: &mut String, byte: u8) {
    // Writing to a string can't fail.
    let _ = write!(out, "\\{byte:03o}");
}

/// Whether the parser reads a byte in brackets as something else, or as a backslash too.
const fn is_unsafe_in_brackets(byte: u8) -> bool {
    matches!(
        byte,
        b'.' | b'+'
            | b'|'
            | b'('
            | b')'
            | b'^'
            | b'-'
            | b']'
            | b'['
            | b'\\'
            | b'{'
            | b'}'
            | b','
            | b'*'
            | b'?'
            | b'$'
            | b'"'
    )
}

/// The same text, in which no set holds NUL: the parser takes it for one of what `[^a]` matches. It parts
/// the names of a link, and a set that goes over it would make one name of both.
pub(crate) fn without_nul(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '[']) {
        let (before, behind) = rest.split_at(at);
        out.push_str(before);
        let length = match behind.as_bytes() {
            [b'\\', b'0'..=b'7', ..] => 4,
            [b'\\', ..] => 2,
            [b'[', b'^', ..] => {
                let end = behind.find(']').unwrap_or(behind.len());
                let members = behind.get(2..end).unwrap_or_default();
                write_inside(&mut out, &excluding(members));
                rest = behind.get(end + 1..).unwrap_or_default();
                continue;
            }
            _ => behind.find(']').map_or(1, |end| end + 1),
        };
        let (item, behind) = behind.split_at_checked(length).unwrap_or((behind, ""));
        out.push_str(item);
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// All bytes but NUL and those that [`write_members`] wrote.
fn excluding(members: &str) -> ByteSet {
    let mut bytes: Vec<(u8, bool)> = Vec::new();
    let mut letters = members.bytes();
    while let Some(letter) = letters.next() {
        if letter == b'\\' {
            let digits = letters.by_ref().take(3);
            let byte = digits.fold(0u8, |byte, digit| byte << 3 | (digit & 7));
            bytes.push((byte, false));
        } else {
            bytes.push((letter, letter == b'-'));
        }
    }
    let mut out = ByteSet::EMPTY;
    let mut at = 0;
    while let Some((low, _)) = bytes.get(at) {
        match (bytes.get(at + 1), bytes.get(at + 2)) {
            (Some((_, true)), Some((high, _))) => {
                (*low..=*high).for_each(|byte| out.insert(byte));
                at += 3;
            }
            _ => {
                out.insert(*low);
                at += 1;
            }
        }
    }
    crate::glob::set_without(|byte| out.contains(byte))
}

/// Writes a set; by what it lacks where that is shorter. What brackets can't hold stands beside them.
fn write_set(out: &mut String, set: &ByteSet) {
    let lacking: Vec<u8> = (1..=u8::MAX).filter(|byte| !set.contains(*byte)).collect();
    if lacking.is_empty() {
        out.push_str("{/,[^/]}");
        return;
    }
    if lacking.len() < 128 && !lacking.iter().copied().any(is_unsafe_in_brackets) {
        out.push_str("[^");
        write_members(out, &lacking);
        out.push(']');
        return;
    }
    write_inside(out, set);
}

/// Writes a set by what it holds.
fn write_inside(out: &mut String, set: &ByteSet) {
    let (mut inside, mut beside) = (String::new(), Vec::new());
    let all: Vec<u8> = set.iter().collect();
    let mut rest = all.as_slice();
    while let [first, ..] = rest {
        let run = rest
            .iter()
            .zip(*first..=u8::MAX)
            .take_while(|(byte, wanted)| **byte == *wanted)
            .count();
        let (mut run, behind) = rest.split_at(run);
        while let [end, shorter @ ..] = run
            && is_unsafe_in_brackets(*end)
        {
            beside.push(*end);
            run = shorter;
        }
        while let [shorter @ .., end] = run
            && is_unsafe_in_brackets(*end)
        {
            beside.push(*end);
            run = shorter;
        }
        write_members(&mut inside, run);
        rest = behind;
    }
    beside.sort_unstable();
    match (inside.is_empty(), beside.as_slice()) {
        (false, []) => {
            let _ = write!(out, "[{inside}]");
        }
        (true, [byte]) => write_byte(out, *byte),
        (no_brackets, beside) => {
            out.push('{');
            if !no_brackets {
                let _ = write!(out, "[{inside}],");
            }
            for (place, byte) in beside.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_byte(out, *byte);
            }
            out.push('}');
        }
    }
}

/// Writes members of a set that brackets can hold, in order; of runs only the ends.
fn write_members(out: &mut String, members: &[u8]) {
    let mut rest = members;
    while let [first, ..] = rest {
        let run = rest
            .iter()
            .zip(*first..=u8::MAX)
            .take_while(|(byte, wanted)| **byte == *wanted)
            .count();
        let (run, behind) = rest.split_at(run);
        match run {
            [low, _, .., high] => {
                write_member(out, *low);
                out.push('-');
                write_member(out, *high);
            }
            _ => run.iter().for_each(|byte| write_member(out, *byte)),
        }
        rest = behind;
    }
}

fn write_member(out: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_') {
        out.push(char::from(byte));
    } else {
        write_octal(out, byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;
    use crate::glob::{Seq, matches, set_without};
    use crate::testing::{FilePerms, parser};

    /// The text of a rule's path.
    fn quoted(seq: &Seq) -> String {
        let mut out = String::new();
        write(&mut out, seq, Behind::End);
        as_path(&out)
    }

    fn compiled(seqs: &[Seq]) -> crate::testing::Blob {
        let rules: String = seqs
            .iter()
            .map(|seq| format!("  {} r,\n", quoted(seq)))
            .collect();
        let text = format!("profile x {{\n{rules}}}\n");
        parser::load(&text, &Features::linux_6_1())
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn reads(blob: &crate::testing::Blob, path: &[u8]) -> bool {
        blob.profiles[0].file(path, false).allow & FilePerms::READ != 0
    }

    #[test]
    fn every_byte_of_a_path_stands_for_itself() {
        if !parser::is_there("every_byte_of_a_path_stands_for_itself") {
            return;
        }
        let named = |byte: u8| [b"/a", &[byte][..], b"b", &[byte]].concat();
        let bytes = (1..=u8::MAX).filter(|byte| *byte != b'/');
        for byte in bytes.clone() {
            let path = named(byte);
            let blob = compiled(&[crate::glob::literal(&path)]);
            for other in bytes.clone() {
                assert_eq!(
                    reads(&blob, &named(other)),
                    other == byte,
                    "{byte:#x} and {other:#x}"
                );
            }
            assert!(!reads(&blob, b"/ab"), "{byte:#x}");
        }
    }

    #[test]
    fn every_set_of_bytes_is_that_set() {
        if !parser::is_there("every_set_of_bytes_is_that_set") {
            return;
        }
        for byte in (1..=u8::MAX).filter(|byte| *byte != b'/') {
            let mut one = ByteSet::EMPTY;
            one.insert(byte);
            one.insert(byte.wrapping_add(3).max(1));
            one.remove(b'/');
            let but = set_without(|other| other == byte || other == b'/' || other == byte ^ 0x55);
            let with = |set| vec![Tok::Byte(b'/'), Tok::Set(set), Tok::Byte(b'z')];
            for set in [one, but] {
                let blob = compiled(&[with(set)]);
                for other in 1..=u8::MAX {
                    let path = [b'/', other, b'z'];
                    assert_eq!(
                        reads(&blob, &path),
                        set.contains(other),
                        "{byte:#x} {other:#x}"
                    );
                }
            }
        }
    }

    #[test]
    fn runs_mean_what_they_mean_wherever_they_stand() {
        if !parser::is_there("runs_mean_what_they_mean_wherever_they_stand") {
            return;
        }
        let slash = || Tok::Byte(b'/');
        let pieces: [Seq; 9] = [
            vec![Tok::Star],
            vec![Tok::Deep],
            vec![crate::glob::no_slash(), Tok::Star],
            vec![crate::glob::no_slash(), Tok::Deep],
            vec![Tok::Byte(b'a')],
            vec![slash()],
            vec![Tok::Byte(b'*')],
            vec![Tok::End],
            vec![],
        ];
        let mut paths: Vec<Vec<u8>> = vec![b"/".to_vec()];
        for _ in 0..4 {
            let longer = paths.iter().flat_map(|path| {
                b"/ab*"
                    .iter()
                    .map(|byte| [path.as_slice(), &[*byte]].concat())
            });
            let longer: Vec<_> = longer.collect();
            paths.extend(longer);
        }
        paths.retain(|path| !path.windows(2).any(|two| two == b"//"));
        for a in &pieces {
            for b in &pieces {
                for c in &pieces {
                    let seq = [vec![slash()], a.clone(), b.clone(), c.clone()].concat();
                    let doubled = seq.windows(2).any(|two| two == [slash(), slash()]);
                    if doubled {
                        continue;
                    }
                    let blob = compiled(std::slice::from_ref(&seq));
                    for path in &paths {
                        assert_eq!(
                            reads(&blob, path),
                            matches(&seq, path),
                            "{} {}",
                            quoted(&seq),
                            String::from_utf8_lossy(path)
                        );
                    }
                }
            }
        }
    }
}
