//! Lines as YAML counts them: ended by LF, CR LF or CR.

/// The lines of a text, with what ends them.
pub(crate) fn split_inclusive(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = match rest.find(['\n', '\r']) {
            None => rest.len(),
            Some(at) if rest.get(at..).is_some_and(|r| r.starts_with("\r\n")) => at + 2,
            Some(at) => at + 1,
        };
        let (line, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(line)
    })
}

/// The lines of a text, without what ends them.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    split_inclusive(text).map(|line| line.trim_end_matches(['\n', '\r']))
}
