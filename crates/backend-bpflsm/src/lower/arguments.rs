//! Allowed arguments: hashed, and sorted by hash within their list.

use std::cmp::Ordering;

use gambeson_matcher::tables::Tables;

use super::LowerError;
use super::writer::{Texts, Writer};
use crate::abi::{Argument, Table, fnv1a};

pub(super) fn write(
    tables: &Tables,
    writer: &mut Writer,
    table: &mut Table,
) -> Result<(), LowerError> {
    let mut texts = Texts::default();
    let mut arguments: Vec<Argument> = Vec::with_capacity(tables.arguments.len());
    let mut lists: Vec<[u32; 2]> = Vec::with_capacity(tables.lists.len());
    for list in &tables.lists {
        // Lists of the compiled tables may overlap in a loaded image, so each is written anew.
        let mut found: Vec<(Argument, &[u8])> = list
            .of(&tables.arguments)
            .iter()
            .map(|argument| {
                let bytes = argument.of(&tables.text);
                let record = Argument {
                    hash: fnv1a(bytes),
                    start: texts.add(*argument, bytes)?,
                    len: argument.len,
                    pad: 0,
                };
                Ok((record, bytes))
            })
            .collect::<Result<_, LowerError>>()?;
        found.sort_by(|(a, of_a), (b, of_b)| match a.hash.cmp(&b.hash) {
            Ordering::Equal => of_a.cmp(of_b),
            order => order,
        });
        lists.push([arguments.len() as u32, found.len() as u32]);
        arguments.extend(found.iter().map(|(argument, _)| *argument));
    }
    table.lists = writer.section(&lists)?;
    table.list_count = lists.len() as u32;
    table.arguments = writer.section(&arguments)?;
    table.argument_count = arguments.len() as u32;
    table.text = writer.section(texts.bytes())?;
    table.text_len = texts.bytes().len() as u32;
    Ok(())
}
