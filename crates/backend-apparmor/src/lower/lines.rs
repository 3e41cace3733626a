//! The rules of a profile about files, gathered by path.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use gambeson_policy_model::RuleId;

use crate::judge::{Ask, Says};
use crate::quote::as_path;

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
                for modes in modes(&perms, *says, &target) {
                    let path = as_path(text);
                    let _ = writeln!(out, "{indent}{prefix}{who}{path} {modes},");
                }
            }
        }
    }
}

/// Letters for what is asked; each exec that leads elsewhere takes a rule of its own.
fn modes(perms: &Perms, says: Says, target: &impl Fn(usize) -> String) -> Vec<String> {
    let mut letters = String::new();
    let mut transitions = Vec::new();
    for (ask, to) in perms {
        match ask {
            Ask::Read => letters.push('r'),
            // Linking is bound to what may be written: see `DESIGN.md`.
            Ask::Write => letters.push_str("wl"),
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
