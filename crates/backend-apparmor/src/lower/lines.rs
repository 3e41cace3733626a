//! The rules of a profile about files, gathered by path.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use gambeson_policy_model::RuleId;

use crate::carve::LENGTH;
use crate::judge::{Ask, Says};
use crate::quote::{as_path, without_nul};

use super::factor::any_of;

/// Who a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Owner,
    Other,
    Everyone,
}

/// What rules say of one path: what is asked, and for an exec where it leads.
type Perms = BTreeSet<(Ask, usize)>;

#[derive(Debug, Default)]
struct Line {
    owner: Perms,
    other: Perms,
    why: BTreeSet<Option<RuleId>>,
}

/// Rules about files, in the order of their paths.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: BTreeMap<(String, Says), Line>,
    /// Directories above what may not be written.
    above: BTreeMap<Who, BTreeSet<String>>,
}

impl Lines {
    pub(crate) fn add(
        &mut self,
        text: String,
        says: Says,
        who: Who,
        perm: (Ask, usize),
        why: Option<RuleId>,
    ) {
        let line = self.lines.entry((text, says)).or_default();
        if who != Who::Other {
            line.owner.insert(perm);
        }
        if who != Who::Owner {
            line.other.insert(perm);
        }
        line.why.insert(why);
    }

    /// Denies a directory to be renamed, which would rename what lies below, too.
    pub(crate) fn deny_above(&mut self, who: Who, directory: String) {
        self.above.entry(who).or_default().insert(directory);
    }

    /// Writes the rules. `target` gives the transition of an exec, and `comment` tells of a rule.
    pub(crate) fn write(
        &self,
        out: &mut String,
        indent: &str,
        target: impl Fn(usize) -> String,
        comment: impl Fn(Option<RuleId>) -> String,
    ) {
        for ((text, says), line) in &self.lines {
            for why in &line.why {
                let _ = writeln!(out, "{indent}# {}", comment(*why));
            }
            let both: Perms = line.owner.intersection(&line.other).copied().collect();
            let owner: Perms = line.owner.difference(&both).copied().collect();
            let other: Perms = line.other.difference(&both).copied().collect();
            let prefix = match says {
                Says::Allow => "",
                Says::Audit => "audit ",
                Says::Deny => "audit deny ",
            };
            for (who, perms) in [("", both), ("owner ", owner), ("other ", other)] {
                for modes in modes(&perms, *says, is_directory(text), &target) {
                    let path = as_path(text);
                    let _ = writeln!(out, "{indent}{prefix}{who}{path} {modes},");
                }
            }
        }
        self.write_above(out, indent);
    }

    fn write_above(&self, out: &mut String, indent: &str) {
        for (who, directories) in &self.above {
            let who = match who {
                Who::Owner => "owner ",
                Who::Other => "other ",
                Who::Everyone => "",
            };
            let _ = writeln!(
                out,
                "{indent}# Directories above what may not be written: renaming one renames that, too."
            );
            let directories: Vec<&str> = directories.iter().map(String::as_str).collect();
            for path in any_of(&directories) {
                let _ = writeln!(out, "{indent}audit deny {who}{path} w,");
            }
        }
    }
}

/// Whatever has a name.
const ANY: &str = "\"/{,**}\"";

impl Lines {
    /// Whether the rules on hard links take no more than naming all that may be written, twice.
    pub(crate) fn links_are_few(&self, owner: bool) -> bool {
        let allowed = self.written(&[Says::Allow, Says::Audit], owner);
        allowed.iter().map(|text| text.len()).sum::<usize>() < LENGTH
    }

    /// The paths that may or may not be written.
    fn written(&self, wanted: &[Says], owner: bool) -> Vec<&str> {
        let write = (Ask::Write, 0);
        self.lines
            .iter()
            .filter(|((text, says), line)| {
                let perms = if owner { &line.owner } else { &line.other };
                wanted.contains(says) && perms.contains(&write) && !is_directory(text)
            })
            .map(|((text, _), _)| text.as_str())
            .collect()
    }

    /// Writes the rules on hard links: a link's old and new name both must be ones that may be
    /// written. Rules on single pairs would be as many as pairs. So either one rule names all of them on
    /// both sides, or all are allowed but those with a name on either side that may not be written:
    /// `holes` are what no rule on writing denies, by owner and by others.
    pub(crate) fn write_links(
        &self,
        out: &mut String,
        indent: &str,
        holes: [Option<&[String]>; 2],
    ) {
        let [of_owner, of_other] = holes;
        let (of_owner, of_other) = (self.links(true, of_owner), self.links(false, of_other));
        if of_owner == of_other {
            for (prefix, rule) in of_owner {
                let _ = writeln!(out, "{indent}{prefix}{rule},");
            }
            return;
        }
        for (who, rules) in [("owner", of_owner), ("other", of_other)] {
            for (prefix, rule) in rules {
                let _ = writeln!(out, "{indent}{prefix}{who} {rule},");
            }
        }
    }

    fn links(&self, owner: bool, holes: Option<&[String]>) -> Vec<(&'static str, String)> {
        let audited = any_of(&self.written(&[Says::Audit], owner));
        let mut rules = Vec::new();
        let allowed = any_of(&self.written(&[Says::Allow, Says::Audit], owner));
        match (holes, allowed.as_slice()) {
            (None, []) => return rules,
            (None, [allowed]) => {
                let new = without_nul(allowed);
                if audited != [allowed.clone()] {
                    rules.push(("", format!("link {new} -> {allowed}")));
                }
                for audited in audited {
                    let new_audited = without_nul(&audited);
                    rules.push(("audit ", format!("link {new_audited} -> {allowed}")));
                    rules.push(("audit ", format!("link {new} -> {audited}")));
                }
            }
            _ => {
                rules.push(("", format!("link {ANY} -> {ANY}")));
                for audited in audited {
                    rules.push(("audit ", format!("link {} -> {ANY}", without_nul(&audited))));
                    rules.push(("audit ", format!("link {ANY} -> {audited}")));
                }
                let holes: Vec<&str> = holes
                    .unwrap_or_default()
                    .iter()
                    .map(String::as_str)
                    .collect();
                for hole in any_of(&holes) {
                    rules.push((
                        "audit deny ",
                        format!("link {} -> {ANY}", without_nul(&hole)),
                    ));
                    rules.push(("audit deny ", format!("link {ANY} -> {hole}")));
                }
            }
        }
        for denied in any_of(&self.written(&[Says::Deny], owner)) {
            rules.push(("audit deny ", format!("link {ANY} -> {denied}")));
        }
        rules
    }
}

/// Whether only directories have such paths. No hard link is one, and the parser's time grows with the
/// product of what rules on links name on both sides.
fn is_directory(text: &str) -> bool {
    text.ends_with('/')
}

/// Letters for what is asked; each exec that leads elsewhere takes a rule of its own.
fn modes(
    perms: &Perms,
    says: Says,
    is_directory: bool,
    target: &impl Fn(usize) -> String,
) -> Vec<String> {
    let mut letters = String::new();
    let mut transitions = Vec::new();
    for (ask, to) in perms {
        match ask {
            Ask::Read => letters.push('r'),
            // No link may have a name that may not be written.
            Ask::Write if says == Says::Deny && !is_directory => letters.push_str("wl"),
            Ask::Write => letters.push('w'),
            Ask::Map => letters.push('m'),
            Ask::Exec if says == Says::Deny => letters.push('x'),
            Ask::Exec => transitions.push(target(*to)),
        }
    }
    let mut modes = Vec::new();
    if !letters.is_empty() {
        modes.push(letters);
    }
    modes.extend(transitions);
    modes
}
