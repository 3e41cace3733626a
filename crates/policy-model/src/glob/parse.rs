//! From a pattern's text to tokens: scanned, its braces expanded, its stars joined to runs.

use super::{ByteSet, Glob, GlobError, Token};

/// The alternatives that a pattern expands to, in order.
pub(super) fn alternatives(pattern: &[u8]) -> Result<Vec<Vec<Token>>, GlobError> {
    let items = scan(pattern)?;
    let alternatives = expand(&items)?;
    Ok(alternatives.iter().map(|items| tokenize(items)).collect())
}

/// A scanned item: brackets and quoted bytes are whole, braces nest.
#[derive(Debug, Clone)]
enum Item {
    Byte(u8),
    Set(ByteSet),
    Star,
    Braces(Vec<Vec<Item>>),
}

/// Scans the whole pattern.
fn scan(bytes: &[u8]) -> Result<Vec<Item>, GlobError> {
    /// An open brace: where, what stood before it, the alternatives so far.
    struct Open {
        at: usize,
        before: Vec<Item>,
        done: Vec<Vec<Item>>,
    }
    let mut open: Vec<Open> = Vec::new();
    let mut current = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'\\' => {
                let quoted = bytes.get(at).ok_or(GlobError::TrailingBackslash)?;
                at += 1;
                current.push(Item::Byte(*quoted));
            }
            b'*' => current.push(Item::Star),
            b'?' => {
                let mut any = ByteSet::EMPTY;
                any.invert();
                any.remove(b'/');
                current.push(Item::Set(any));
            }
            b'[' => {
                let (set, end) = scan_set(bytes, start)?;
                at = end;
                current.push(Item::Set(set));
            }
            b']' => return Err(GlobError::UnopenedBracket { at: start }),
            b'{' => open.push(Open {
                at: start,
                before: std::mem::take(&mut current),
                done: Vec::new(),
            }),
            b',' if !open.is_empty() => {
                if let Some(brace) = open.last_mut() {
                    brace.done.push(std::mem::take(&mut current));
                }
            }
            b'}' => {
                let Some(mut brace) = open.pop() else {
                    return Err(GlobError::UnopenedBrace { at: start });
                };
                if brace.done.is_empty() {
                    return Err(GlobError::BraceWithoutComma { at: brace.at });
                }
                brace.done.push(std::mem::take(&mut current));
                current = brace.before;
                current.push(Item::Braces(brace.done));
            }
            literal => current.push(Item::Byte(literal)),
        }
    }
    match open.last() {
        Some(brace) => Err(GlobError::UnclosedBrace { at: brace.at }),
        None => Ok(current),
    }
}

/// Scans brackets that open at `open`; returns the set and the offset behind it.
fn scan_set(bytes: &[u8], open: usize) -> Result<(ByteSet, usize), GlobError> {
    let unclosed = GlobError::UnclosedBracket { at: open };
    let mut at = open + 1;
    let negated = bytes.get(at) == Some(&b'^');
    at += usize::from(negated);
    // One member and the offset behind it; `None` at the closing bracket.
    let member = |at: usize| -> Result<Option<(u8, usize)>, GlobError> {
        match bytes.get(at) {
            None => Err(unclosed.clone()),
            Some(b']') => Ok(None),
            Some(b'\\') => match bytes.get(at + 1) {
                Some(quoted) => Ok(Some((*quoted, at + 2))),
                None => Err(GlobError::TrailingBackslash),
            },
            Some(byte) => Ok(Some((*byte, at + 1))),
        }
    };
    let mut set = ByteSet::EMPTY;
    let mut any = false;
    while let Some((low, behind)) = member(at)? {
        any = true;
        let high = match bytes.get(behind) {
            Some(b'-') => member(behind + 1)?,
            _ => None,
        };
        match high {
            Some((high, end)) => {
                if high < low {
                    return Err(GlobError::BackwardRange { at });
                }
                (low..=high).for_each(|byte| set.insert(byte));
                at = end;
            }
            None => {
                set.insert(low);
                at = behind;
            }
        }
    }
    if !any {
        return Err(GlobError::EmptyBrackets { at: open });
    }
    if negated {
        set.invert();
    }
    set.remove(b'/');
    Ok((set, at + 1))
}

/// Expands braces to every combination, in order.
fn expand(items: &[Item]) -> Result<Vec<Vec<Item>>, GlobError> {
    let mut whole: Vec<Vec<Item>> = vec![Vec::new()];
    for item in items {
        if let Item::Braces(alternatives) = item {
            let mut choices = Vec::new();
            for alternative in alternatives {
                choices.extend(expand(alternative)?);
            }
            check_expansion(
                whole.len().saturating_mul(choices.len()),
                whole
                    .iter()
                    .map(Vec::len)
                    .sum::<usize>()
                    .saturating_mul(choices.len()),
            )?;
            whole = whole
                .iter()
                .flat_map(|before| {
                    choices
                        .iter()
                        .map(move |choice| before.iter().chain(choice).cloned().collect::<Vec<_>>())
                })
                .collect();
        } else {
            whole.iter_mut().for_each(|items| items.push(item.clone()));
        }
        check_expansion(whole.len(), whole.iter().map(Vec::len).sum())?;
    }
    Ok(whole)
}

/// Keeps the expansion of braces within bounds.
fn check_expansion(alternatives: usize, bytes: usize) -> Result<(), GlobError> {
    if alternatives > Glob::MAX_ALTERNATIVES || bytes > Glob::MAX_EXPANDED {
        return Err(GlobError::TooManyAlternatives {
            limit: Glob::MAX_ALTERNATIVES,
            bytes: Glob::MAX_EXPANDED,
        });
    }
    Ok(())
}

/// Joins stars to runs and tells which of them need a byte.
fn tokenize(items: &[Item]) -> Vec<Token> {
    let slash = |item: Option<&Item>| matches!(item, None | Some(Item::Byte(b'/')));
    let mut tokens = Vec::with_capacity(items.len());
    let mut at = 0;
    while let Some(item) = items.get(at) {
        let start = at;
        at += 1;
        tokens.push(match item {
            Item::Byte(byte) => Token::Byte(*byte),
            Item::Set(set) => Token::Set(*set),
            Item::Braces(_) => continue,
            Item::Star => {
                while matches!(items.get(at), Some(Item::Star)) {
                    at += 1;
                }
                let whole = start > 0 && slash(items.get(start - 1)) && slash(items.get(at));
                if at - start == 1 {
                    Token::Star { nonempty: whole }
                } else {
                    Token::DoubleStar { nonempty: whole }
                }
            }
        });
    }
    tokens
}
