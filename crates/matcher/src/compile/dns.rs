//! Domains as paths: labels from the last to the first, so that a domain's sub-domains lie below
//! it.

/// A domain as a directory's path, ending in `/`.
pub(crate) fn path_of(domain: &str) -> Vec<u8> {
    let mut path = Vec::with_capacity(domain.len() + 2);
    write_path(domain, |byte| path.push(byte));
    path.push(b'/');
    if path.first() != Some(&b'/') {
        path.insert(0, b'/');
    }
    path
}

/// Gives the bytes of the domain's path, from the first: a slash before each label, letters in
/// lower case, no trailing dot. The domain without labels is the empty path.
pub(crate) fn write_path(domain: &str, mut push: impl FnMut(u8)) {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    for label in domain.rsplit('.').filter(|label| !label.is_empty()) {
        push(b'/');
        for byte in label.bytes() {
            // No policy text holds this byte, so a slash within a label stays within it.
            push(if byte == b'/' {
                0xfe
            } else {
                byte.to_ascii_lowercase()
            });
        }
    }
}
