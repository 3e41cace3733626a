//! Access vector records, as the kernel writes them into the audit log.

use thiserror::Error;

/// What an access vector record says.
///
/// ```
/// use gambeson_backend_selinux::AvcRecord;
/// let line = "audit: type=1400 audit(1750000000.123:45): avc:  denied  { read open } for  pid=7 \
///     comm=\"cat\" path=\"/etc/shadow\" dev=\"vda\" ino=12 scontext=system_u:system_r:gambeson_w0_s0_t \
///     tcontext=system_u:object_r:gambeson_3_t tclass=file permissive=0";
/// let record: AvcRecord = line.parse()?;
/// assert!(record.denied && record.permissions == ["read", "open"]);
/// assert_eq!(record.path.as_deref(), Some(&b"/etc/shadow"[..]));
/// assert_eq!(record.target_type(), "gambeson_3_t");
/// # Ok::<(), gambeson_backend_selinux::AvcError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AvcRecord {
    /// Whether access was denied; else it was granted, and is told of.
    pub denied: bool,
    /// Whether the denial was only told of.
    pub permissive: bool,
    /// Seconds since 1970, with the record's milliseconds.
    pub time: Option<(i64, u32)>,
    /// What was asked for.
    pub permissions: Vec<String>,
    /// The process.
    pub pid: Option<u32>,
    /// The name of the process's thread.
    pub comm: Option<Vec<u8>>,
    /// The executable, where the record has it.
    pub exe: Option<Vec<u8>>,
    /// The object's path.
    pub path: Option<Vec<u8>>,
    /// The last component of the path.
    pub name: Option<Vec<u8>>,
    /// The number of the capability.
    pub capability: Option<u8>,
    /// The context of the process.
    pub source: String,
    /// The context of the object.
    pub target: String,
    /// The object's class.
    pub class: String,
}

/// Why a line is no access vector record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AvcError {
    /// Another kind of record.
    #[error("the line is no access vector record: there is no `avc:` in it")]
    NotAvc,
    /// A record of the security server's other messages, such as a policy that was loaded.
    #[error("the record tells of no access: neither `denied` nor `granted` follows `avc:`")]
    NoAccess,
    /// A record that is cut short.
    #[error("the record is cut short: `{field}` is missing")]
    Missing {
        /// What is missing.
        field: &'static str,
    },
}

impl std::str::FromStr for AvcRecord {
    type Err = AvcError;

    fn from_str(line: &str) -> Result<Self, AvcError> {
        let (head, rest) = line.split_once("avc:").ok_or(AvcError::NotAvc)?;
        let rest = rest.trim_start();
        let (denied, rest) = match (rest.strip_prefix("denied"), rest.strip_prefix("granted")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(AvcError::NoAccess),
        };
        let missing = |field| AvcError::Missing { field };
        let (_, rest) = rest.split_once('{').ok_or(missing("{"))?;
        let (permissions, rest) = rest.split_once('}').ok_or(missing("}"))?;
        let mut record = Self {
            denied,
            time: time(head),
            permissions: permissions.split_whitespace().map(str::to_owned).collect(),
            ..Self::default()
        };
        for (field, value) in fields(rest) {
            let number = || value.parse().ok();
            match field {
                "pid" => record.pid = number(),
                "comm" => record.comm = Some(text(value)),
                "exe" => record.exe = Some(text(value)),
                "path" => record.path = Some(text(value)).filter(|path| path.starts_with(b"/")),
                "name" => record.name = Some(text(value)),
                "capability" => record.capability = value.parse().ok(),
                "scontext" => value.clone_into(&mut record.source),
                "tcontext" => value.clone_into(&mut record.target),
                "tclass" => value.clone_into(&mut record.class),
                "permissive" => record.permissive = value == "1",
                _ => {}
            }
        }
        for (field, value) in [
            ("scontext", &record.source),
            ("tcontext", &record.target),
            ("tclass", &record.class),
        ] {
            if value.is_empty() {
                return Err(missing(field));
            }
        }
        Ok(record)
    }
}

impl AvcRecord {
    /// The type of the process.
    #[must_use]
    pub fn source_type(&self) -> &str {
        type_of(&self.source)
    }

    /// The type of the object.
    #[must_use]
    pub fn target_type(&self) -> &str {
        type_of(&self.target)
    }
}

fn type_of(context: &str) -> &str {
    context.split(':').nth(2).unwrap_or_default()
}

/// The fields behind the permissions: a value is quoted, or ends at a blank.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            let end = rest.find([' ', '='])?;
            let (field, behind) = rest.split_at_checked(end)?;
            let Some(value) = behind.strip_prefix('=') else {
                // A word such as `for`.
                rest = behind;
                continue;
            };
            let end = match value.strip_prefix('"') {
                Some(inside) => inside.find('"').map_or(value.len(), |at| at + 2),
                None => value.find(' ').unwrap_or(value.len()),
            };
            let (value, behind) = value.split_at_checked(end)?;
            rest = behind;
            return Some((field, value));
        }
    })
}

/// A text: quoted, or as hexadecimal digits where it holds a blank, a quote or no ASCII.
fn text(value: &str) -> Vec<u8> {
    if let Some(inside) = value.strip_prefix('"') {
        return inside
            .strip_suffix('"')
            .unwrap_or(inside)
            .as_bytes()
            .to_vec();
    }
    let (pairs, rest) = value.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect();
    match bytes {
        Some(bytes) if rest.is_empty() && !bytes.is_empty() => bytes,
        _ => value.as_bytes().to_vec(),
    }
}

/// `audit(1750000000.123:45)`: seconds and milliseconds.
fn time(head: &str) -> Option<(i64, u32)> {
    let (_, stamp) = head.split_once("audit(")?;
    let (stamp, _) = stamp.split_once(':')?;
    let (seconds, milliseconds) = stamp.split_once('.')?;
    Some((seconds.parse().ok()?, milliseconds.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_blanks_come_in_digits() {
        let line = "type=AVC msg=audit(1.5:2): avc:  granted  { open } for  pid=1 comm=636174 \
            name=6120C3A9 dev=\"tmpfs\" scontext=u:r:a_t:s0 tcontext=u:object_r:b_t:s0 tclass=file";
        let record: AvcRecord = line.parse().unwrap();
        assert_eq!(record.name.as_deref(), Some("a é".as_bytes()));
        assert_eq!((record.denied, record.time), (false, Some((1, 5))));
        assert_eq!((record.source_type(), record.target_type()), ("a_t", "b_t"));
    }

    #[test]
    fn what_is_no_record_is_told_apart() {
        let parse = |line: &str| line.parse::<AvcRecord>();
        assert_eq!(parse("type=1300 syscall=2"), Err(AvcError::NotAvc));
        assert_eq!(
            parse("avc:  received policyload notice"),
            Err(AvcError::NoAccess)
        );
        let cut = "avc:  denied  { read } for  pid=1 scontext=a:b:c tcontext=d:e";
        assert_eq!(parse(cut), Err(AvcError::Missing { field: "tclass" }));
        assert_eq!(
            parse("avc: denied { read"),
            Err(AvcError::Missing { field: "}" })
        );
        // Nothing that a process can name keeps a line from being read.
        let hostile = "avc: denied { read } for comm=\"a=b scontext=x\" path=\"/x scontext=y\" \
            scontext=a:b:c tcontext=d:e:f tclass=file";
        assert_eq!(
            parse(hostile).map(|record| record.source),
            Ok("a:b:c".to_owned())
        );
    }
}
