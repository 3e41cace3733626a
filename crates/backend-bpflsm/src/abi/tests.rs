//! `bpf/abi.h` and this module say the same.

use std::collections::BTreeMap;

use super::*;

/// Structures by name: size, and each field's name, place and size.
type Layouts = BTreeMap<String, (usize, Vec<(String, usize, usize)>)>;

const HEADER: &str = include_str!("../../bpf/abi.h");

/// The header without its comments.
fn code() -> String {
    let mut code = String::new();
    let mut rest = HEADER;
    while let Some((before, behind)) = rest.split_once("/*") {
        code.push_str(before);
        rest = behind.split_once("*/").expect("a comment ends").1;
    }
    code + rest
}

/// What a constant expression of the header is worth.
fn value(text: &str) -> u64 {
    let number = |text: &str| {
        let text = text.trim().trim_end_matches('u');
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        }
        .unwrap_or_else(|_| panic!("`{text}` is a number"))
    };
    match text.split_once("<<") {
        Some((left, right)) => number(left) << number(right),
        None => number(text),
    }
}

fn constants_of_header() -> BTreeMap<String, u64> {
    let code = code();
    let mut found = BTreeMap::new();
    for line in code
        .lines()
        .filter_map(|line| line.strip_prefix("#define "))
    {
        if let Some((name, text)) = line.trim().split_once(' ') {
            found.insert(name.to_owned(), value(text));
        }
    }
    for part in code.split("enum").skip(1) {
        let body = part.split_once('{').expect("a body").1;
        let body = body.split_once('}').expect("an end").0;
        let mut next = 0;
        for item in body
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let name = match item.split_once('=') {
                Some((name, text)) => {
                    next = value(text);
                    name.trim()
                }
                None => item,
            };
            found.insert(name.to_owned(), next);
            next += 1;
        }
    }
    found
}

/// Sizes and fields of the header's structures, laid out as C does.
fn records_of_header() -> Layouts {
    let code = code();
    let constants = constants_of_header();
    let mut sizes: BTreeMap<String, (usize, usize)> =
        [("u8", 1), ("char", 1), ("u16", 2), ("u32", 4), ("u64", 8)]
            .map(|(name, size)| (name.to_owned(), (size, size)))
            .into();
    let mut found = BTreeMap::new();
    for part in code.split("\nstruct ").skip(1) {
        let (name, body) = part.split_once('{').expect("a body");
        let body = body.split_once("};").expect("an end").0;
        let (mut at, mut align) = (0usize, 1);
        let mut fields = Vec::new();
        for declaration in body
            .split(';')
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            let declaration = declaration.strip_prefix("struct ").unwrap_or(declaration);
            let (kind, names) = declaration.split_once(' ').expect("a type and a name");
            let (size, own_align) = sizes[kind];
            align = align.max(own_align);
            for name in names.split(',').map(str::trim) {
                let (name, count) = match name.split_once('[') {
                    Some((name, count)) => (name, count.trim_end_matches(']')),
                    None => (name, "1"),
                };
                at = at.next_multiple_of(own_align);
                let count = match constants.get(count) {
                    Some(count) => *count,
                    None => value(count),
                };
                let size = size * count as usize;
                fields.push((name.to_owned(), at, size));
                at += size;
            }
        }
        let name = name.trim().to_owned();
        let size = at.next_multiple_of(align);
        sizes.insert(name.clone(), (size, align));
        found.insert(name, (size, fields));
    }
    found
}

#[test]
fn constants_are_those_of_the_header() {
    let ours: BTreeMap<String, u64> = CONSTANTS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect();
    assert_eq!(ours.len(), CONSTANTS.len());
    assert_eq!(ours, constants_of_header());
}

#[test]
fn records_are_laid_out_as_in_the_header() {
    let ours: Layouts = RECORDS
        .iter()
        .map(|(name, size, fields)| {
            let fields = fields.iter();
            let fields = fields.map(|(name, at, size)| ((*name).to_owned(), *at, *size));
            ((*name).to_owned(), (*size, fields.collect()))
        })
        .collect();
    assert_eq!(ours, records_of_header());
}

#[test]
fn records_survive_their_bytes() {
    let event = Event {
        time: 1,
        rule: 7,
        hook: HOOK_CAPABLE,
        comm: *b"0123456789abcdef",
        source_len: 9,
        ..Event::default()
    };
    let bytes = event.to_bytes();
    assert_eq!(bytes.len(), Event::SIZE);
    assert_eq!(Event::read(&bytes), Some(event));
    assert_eq!(Event::read(&bytes[..Event::SIZE - 1]), None);
    assert_eq!(Table::SIZE, 512);
}

#[test]
fn the_hash_is_fnv_1a() {
    assert_eq!(fnv1a(b""), 0x811c_9dc5);
    assert_eq!(fnv1a(b"a"), 0xe40c_292c);
    assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
}
