//! Literal paths: wildcards that are none, and directories that are links.

use std::collections::HashSet;

use super::{object_field, rule_warning};
use crate::diagnostic::{Code, Diagnostic};
use crate::glob::{Glob, Token};
use crate::rule::{Action, Class, Directory, Object, PathScope, Rule, Source};

/// Directories that a system with a merged `/usr` links to those of the same name in `/usr`.
const MERGED: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Directories that most systems link elsewhere, besides those of `/usr`.
const LINKED: [(&str, &str); 2] = [("/var/run", "/run"), ("/var/lock", "/run/lock")];

/// What the rules of a policy match: who writes both `/bin/sh` and `/usr/bin/sh` knows.
pub(super) struct Written<'r>(HashSet<(Class, Action, &'r Object)>);

impl<'r> Written<'r> {
    pub(super) fn new(rules: &'r [Rule]) -> Self {
        Self(
            rules
                .iter()
                .map(|rule| (rule.class, rule.action, &rule.object))
                .collect(),
        )
    }

    fn contains(&self, rule: &Rule, object: &Object) -> bool {
        self.0.contains(&(rule.class, rule.action, object))
    }
}

/// Where a path lies on most systems, if elsewhere.
struct Moved {
    code: Code,
    link: &'static str,
    target: String,
    path: String,
}

impl Moved {
    fn of(path: &str) -> Option<Self> {
        let below = |link: &str| {
            path.strip_prefix(link)
                .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let merged = MERGED.into_iter().find_map(|link| {
            below(link).map(|rest| (Code::MergedUsr, link, format!("/usr{link}"), rest))
        });
        let (code, link, target, rest) = merged.or_else(|| {
            LINKED.into_iter().find_map(|(link, target)| {
                below(link).map(|rest| (Code::LinkedDirectory, link, target.to_owned(), rest))
            })
        })?;
        Some(Self {
            code,
            link,
            path: format!("{target}{rest}"),
            target,
        })
    }

    /// The warning for the rule's `field`, where `written` stands.
    fn warning(self, written: &str, rule: &Rule, field: &str) -> Diagnostic {
        let Self {
            code,
            link,
            target,
            path,
        } = self;
        let systems = match code {
            Code::MergedUsr => "a system with a merged `/usr`",
            _ => "most systems",
        };
        rule_warning(
            code,
            format!(
                "`{written}` matches nothing on {systems}, where `{link}` is a link to `{target}`"
            ),
            format!("write `{path}`, or both where either may be"),
            rule,
            field,
        )
    }
}

/// Looks at the literal paths of one rule.
pub(super) fn lint(rule: &Rule, written: &Written<'_>, found: &mut Vec<Diagnostic>) {
    let field = object_field(&rule.object);
    match &rule.object {
        Object::Path(path) => {
            wildcards(path, rule, field, found);
            if let Some(moved) = Moved::of(path)
                && !written.contains(rule, &Object::Path(moved.path.clone()))
            {
                found.push(moved.warning(path, rule, field));
            }
        }
        Object::ExecName(name) => wildcards(name, rule, field, found),
        Object::Directory(directory) => {
            wildcards(&directory.path, rule, field, found);
            if let Some(moved) = Moved::of(&directory.path) {
                let counterpart = Object::Directory(Directory {
                    path: moved.path.clone(),
                    recursive: directory.recursive,
                });
                if !written.contains(rule, &counterpart) {
                    found.push(moved.warning(&directory.path, rule, field));
                }
            }
        }
        Object::Syscalls {
            scope: Some(scope), ..
        } => {
            let path = scope_path(scope);
            wildcards(path, rule, field, found);
            if let Some(moved) = Moved::of(path) {
                found.push(moved.warning(path, rule, field));
            }
        }
        Object::Pattern(glob) => {
            if let Some((prefix, moved)) = moved_alternative(glob) {
                found.push(moved.warning(&prefix, rule, field));
            }
        }
        Object::Domain(domain) => wildcard_domain(domain, rule, found),
        _ => {}
    }
    for (place, source) in rule.sources.iter().enumerate() {
        let Source::Scope(scope) = source else {
            continue;
        };
        let path = scope_path(scope);
        let name = match scope {
            PathScope::Path(_) => "path",
            PathScope::Directory(_) => "dir",
        };
        let field = format!(".fromSource[{place}].{name}");
        wildcards(path, rule, &field, found);
        if let Some(moved) = Moved::of(path) {
            let both = rule.sources.iter().any(
                |other| matches!(other, Source::Scope(other) if scope_path(other) == moved.path),
            );
            if !both {
                found.push(moved.warning(path, rule, &field));
            }
        }
    }
}

fn scope_path(scope: &PathScope) -> &str {
    match scope {
        PathScope::Path(path) | PathScope::Directory(Directory { path, .. }) => path,
    }
}

/// What a text holds of what is special in patterns.
fn special(text: &str) -> Option<&'static str> {
    if text.contains('*') {
        Some("*")
    } else if text.contains('?') {
        Some("?")
    } else if text
        .split_once('[')
        .is_some_and(|(_, rest)| rest.contains(']'))
    {
        // A bracket that is never closed is a name: `/usr/bin/[`.
        Some("[")
    } else if text
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .is_some_and(|(inner, _)| inner.contains(','))
    {
        Some("{")
    } else {
        None
    }
}

fn wildcards(text: &str, rule: &Rule, field: &str, found: &mut Vec<Diagnostic>) {
    let Some(special) = special(text) else {
        return;
    };
    let name = field.rsplit('.').next().unwrap_or_default();
    let help = match name {
        "path" if matches!(rule.class, Class::Process | Class::File) && field == ".path" => {
            format!("move it to `matchPatterns`, as `pattern: {text}`")
        }
        "dir" if text.ends_with("*/") => {
            "name the directory above, with `recursive: true` where all below it is meant"
                .to_owned()
        }
        _ => "name each one by itself".to_owned(),
    };
    found.push(rule_warning(
        Code::GlobInPath,
        format!("`{special}` in `{text}` stands for itself: `{name}` is compared byte for byte"),
        help,
        rule,
        field,
    ));
}

fn wildcard_domain(domain: &str, rule: &Rule, found: &mut Vec<Diagnostic>) {
    if domain.contains('*') {
        let bare = domain.trim_start_matches("*.");
        found.push(rule_warning(
            Code::WildcardDomain,
            format!("`*` in the domain `{domain}` stands for itself"),
            format!("write `{bare}`: a domain matches its sub-domains too"),
            rule,
            ".domain",
        ));
    }
}

/// The first alternative whose literal beginning lies elsewhere on most systems, unless the same
/// with the other beginning is an alternative too.
fn moved_alternative(glob: &Glob) -> Option<(String, Moved)> {
    glob.alternatives().iter().find_map(|tokens| {
        let literal: Vec<u8> = tokens
            .iter()
            .map_while(|token| match token {
                Token::Byte(byte) => Some(*byte),
                _ => None,
            })
            .collect();
        let text = String::from_utf8_lossy(&literal).into_owned();
        let whole = literal.len() == tokens.len();
        // What the literal part ends in may go on: `/bin*` is also `/bingo`.
        let directories = match text.rsplit_once('/') {
            Some((directories, _)) if !whole => format!("{directories}/"),
            _ => text,
        };
        let moved = Moved::of(&directories)?;
        let rest = tokens.get(directories.len()..).unwrap_or_default();
        let counterpart: Vec<Token> = moved
            .path
            .bytes()
            .map(Token::Byte)
            .chain(rest.iter().cloned())
            .collect();
        (!glob.alternatives().contains(&counterpart)).then_some((directories, moved))
    })
}
