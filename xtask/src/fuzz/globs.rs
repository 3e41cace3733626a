//! Our globs against globset where the dialects agree, and against the compiled tables.

use std::sync::Arc;

use gambeson::matcher::{Compile, Config};
use gambeson::policy_model::{
    Action, Class, Conditions, Event, EventPath, Glob, Location, Object, PolicyId, PolicyKind,
    Rule, RuleList, Selection, Token, Verdict,
};

use super::Finding;

/// A pattern and a path, parted by the first line feed.
///
/// # Errors
/// When one matcher says something else than another.
pub fn glob(bytes: &[u8]) -> Finding {
    let at = bytes.iter().position(|byte| *byte == b'\n');
    let (pattern, path) = match at.and_then(|at| bytes.split_at_checked(at)) {
        Some((pattern, rest)) => (pattern, rest.get(1..).unwrap_or_default()),
        None => (bytes, &b"/"[..]),
    };
    let Ok(text) = std::str::from_utf8(pattern) else {
        return Ok(());
    };
    // Long patterns and paths only cost time.
    if text.len() > 64 || path.len() > 64 {
        return Ok(());
    }
    let Ok(ours) = Glob::parse(text) else {
        return Ok(());
    };
    let matches = ours.matches(path);
    let told = |name: &str, theirs: bool| {
        let path = String::from_utf8_lossy(path);
        Err(format!(
            "`{text}` on `{path}`: Glob::matches says {matches}, {name} {theirs}"
        ))
    };
    if is_common(&ours, text)
        && let Ok(theirs) = globset::GlobBuilder::new(text)
            .literal_separator(true)
            .backslash_escape(true)
            .empty_alternates(true)
            .build()
    {
        let theirs = theirs.compile_matcher().is_match(as_path(path));
        if theirs != matches {
            return told("globset", theirs);
        }
    }
    let path = EventPath::from(path);
    if path.bytes().is_some()
        && let Ok(compiled) = Selection::new(vec![blocking(ours)]).compile(&Config::default())
    {
        let mut event = Event::read("/");
        event.operation = gambeson::policy_model::Operation::Read { path };
        let blocked = compiled.decide(&event).verdict() == Verdict::Block;
        if blocked != matches {
            return told("the compiled matcher", blocked);
        }
    }
    Ok(())
}

fn as_path(bytes: &[u8]) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).as_ref()
}

/// Whether globset means the same by the pattern: no run crosses components or fills one, and sets
/// are plain. Its sets know no quoting, and may hold `/`.
fn is_common(glob: &Glob, text: &str) -> bool {
    let plain_runs = glob.alternatives().iter().flatten().all(|token| {
        !matches!(
            token,
            Token::DoubleStar { .. } | Token::Star { nonempty: true }
        )
    });
    let plain_sets = !text.contains('[')
        || text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/.*?[]_".contains(&byte));
    let sets = text.split('[').skip(1);
    let slash_in_set = sets
        .filter_map(|rest| rest.split(']').next())
        .any(|set| set.contains('/'));
    plain_runs && plain_sets && !slash_in_set
}

fn blocking(glob: Glob) -> Rule {
    Rule {
        policy: Arc::new(PolicyId {
            name: "fuzzed".to_owned(),
            kind: PolicyKind::KubeArmorPolicy,
            namespace: Some("default".to_owned()),
        }),
        class: Class::File,
        list: RuleList::MatchPatterns,
        index: 0,
        object: Object::Pattern(glob),
        sources: Vec::new(),
        action: Action::Block,
        conditions: Conditions::default(),
        severity: 0,
        tags: [].into(),
        message: "".into(),
        location: Location {
            file: "fuzzed".into(),
            line: 1,
            column: 1,
        },
    }
}
