//! Changing the actions of rules in the text that they were read from.
//!
//! Everything else of the text stays as it is, comments and all. Where rules that inherit one action
//! come to differ, those that change get an action of their own.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::lines;
use crate::policy::Policy;
use crate::read;
use crate::reader::{Reader, Reading};
use crate::rule::{Action, Class, Rule};
use crate::yaml;

/// Why actions can't be changed in a text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditError {
    /// The text isn't that of policies without errors.
    #[error("the text has errors, or isn't the one that the rules were read from")]
    Unreadable,
    /// A rule that isn't there, or that inherits no action.
    #[error("`{field}` of document {document} has no action that could be changed")]
    NoAction {
        /// The document's place in the file, from 0.
        document: usize,
        /// The rule's field path.
        field: String,
    },
    /// The text says it in a way that one change would change other things with.
    #[error(
        "the actions can't be changed in place, because of an anchor, an alias or an unusual \
         spelling; change them by hand"
    )]
    NotInPlace,
}

/// A rule of a file: its document's place, from 0, and its field path, such as
/// `process.matchPaths[0]`.
pub type RulePlace = (usize, String);

/// What replaces so many bytes of a text.
struct Change {
    at: usize,
    length: usize,
    text: String,
}

impl Reader {
    /// Gives rules another action, in the text that they were read from.
    ///
    /// ```
    /// use gambeson_policy_model::{Action, Reader};
    /// let text = "\
    /// apiVersion: security.kubearmor.com/v1
    /// kind: KubeArmorPolicy
    /// metadata: {name: web}
    /// spec:
    ///   action: Audit # for now
    ///   process:
    ///     matchPaths:
    ///       - path: /bin/sh
    ///       - path: /bin/ls
    /// ";
    /// let rules = [(0, "process.matchPaths[0]".to_owned())].into();
    /// let edited = Reader::new().set_actions(text, &rules, Action::Block)?;
    /// assert!(edited.contains("  action: Audit # for now\n"));
    /// assert!(edited.contains("- action: Block\n        path: /bin/sh\n      - path: /bin/ls\n"));
    /// # Ok::<(), gambeson_policy_model::EditError>(())
    /// ```
    ///
    /// # Errors
    /// When the text can't be read, a rule isn't there, or a change would change more than was asked.
    pub fn set_actions(
        &self,
        text: &str,
        wanted: &BTreeSet<RulePlace>,
        action: Action,
    ) -> Result<String, EditError> {
        let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
        let before = self.policies_of(bare)?;
        let changes = self.changes(bare, &before, wanted, action)?;
        let edited = apply(bare, changes).ok_or(EditError::NotInPlace)?;
        let after = self.policies_of(&edited)?;
        if !differ_just_so(&before, &after, wanted, action) {
            return Err(EditError::NotInPlace);
        }
        let mark = text.strip_suffix(bare).unwrap_or_default();
        Ok(format!("{mark}{edited}"))
    }

    fn policies_of(&self, text: &str) -> Result<Vec<Option<Policy>>, EditError> {
        let reading: Reading = self.read_str("", text);
        if reading.has_errors() {
            return Err(EditError::Unreadable);
        }
        let documents = reading.documents().iter();
        Ok(documents.map(|document| document.policy.clone()).collect())
    }

    fn changes(
        &self,
        text: &str,
        policies: &[Option<Policy>],
        wanted: &BTreeSet<RulePlace>,
        action: Action,
    ) -> Result<Vec<Change>, EditError> {
        let lines = Lines::of(text);
        let parsed = yaml::parse(text, false, &self.limits);
        let objects = read::objects(&parsed);
        // Where each rule's action is written, with the rules that it is the action of.
        let mut sites: BTreeMap<(usize, String), Vec<(&Rule, bool)>> = BTreeMap::new();
        let mut found = BTreeSet::new();
        for (document, policy) in policies.iter().enumerate() {
            let Some(policy) = policy else { continue };
            for rule in policy.rules() {
                let place = (document, rule.field_path());
                let is_wanted = wanted.contains(&place);
                match site(policy, rule) {
                    Some(site) => {
                        let rules = sites.entry((document, site)).or_default();
                        rules.push((rule, is_wanted));
                        found.insert(place);
                    }
                    None if is_wanted => {
                        let (document, field) = place;
                        return Err(EditError::NoAction { document, field });
                    }
                    None => {}
                }
            }
        }
        if let Some((document, field)) = wanted.difference(&found).next().cloned() {
            return Err(EditError::NoAction { document, field });
        }
        let mut changes = Vec::new();
        for ((document, site), rules) in sites {
            if !rules.iter().any(|(_, wanted)| *wanted) {
                continue;
            }
            if rules.iter().all(|(_, wanted)| *wanted) {
                let place = objects.get(document).and_then(|object| object.find(&site));
                let (_, place) = place.ok_or(EditError::NotInPlace)?;
                let at = lines.offset(place.line, place.column);
                let at = at.ok_or(EditError::NotInPlace)?;
                changes.push(replacement(text, at, &rules, action)?);
                continue;
            }
            for (rule, _) in rules.iter().filter(|(_, wanted)| *wanted) {
                let location = &rule.location;
                let at = lines.offset(location.line, location.column);
                let at = at.ok_or(EditError::NotInPlace)?;
                changes.push(addition(text, at, location.column, action));
            }
        }
        changes.sort_by_key(|change| change.at);
        changes.dedup_by_key(|change| change.at);
        Ok(changes)
    }
}

/// The field that holds a rule's action; `None` where none does.
fn site(policy: &Policy, rule: &Rule) -> Option<String> {
    let spec = policy.spec();
    let class = match rule.class {
        Class::Dns => Class::Network,
        class => class,
    };
    if class == Class::Syscalls {
        return None;
    }
    let section = spec.sections.get(&class)?;
    let entry = section.lists.get(&rule.list)?.get(rule.index as usize)?;
    if entry.value.common.action.is_some() {
        return Some(format!("spec.{}.action", rule.field_path()));
    }
    if class == Class::Presets {
        return None;
    }
    if section.common.action.is_some() {
        return Some(format!("spec.{}.action", class.section()));
    }
    spec.common.action.map(|_| "spec.action".to_owned())
}

/// The action's name in place of the one that is written there.
fn replacement(
    text: &str,
    at: usize,
    rules: &[(&Rule, bool)],
    action: Action,
) -> Result<Change, EditError> {
    let rest = text.get(at..).unwrap_or_default();
    let quote = usize::from(rest.starts_with(['"', '\'']));
    let rest = rest.get(quote..).unwrap_or_default();
    let (rule, _) = rules.first().ok_or(EditError::NotInPlace)?;
    let name = rule.action.name();
    let written = rest
        .get(..name.len())
        .filter(|written| written.eq_ignore_ascii_case(name))
        .ok_or(EditError::NotInPlace)?;
    Ok(Change {
        at: at + quote,
        length: written.len(),
        text: action.name().to_owned(),
    })
}

/// An action before what an entry begins with.
fn addition(text: &str, at: usize, column: u32, action: Action) -> Change {
    let rest = text.get(at..).unwrap_or_default();
    if let Some(inside) = rest.strip_prefix('{') {
        let text = if inside.trim_start().starts_with('"') {
            format!("\"action\": \"{action}\", ")
        } else {
            format!("action: {action}, ")
        };
        return Change {
            at: at + 1,
            length: 0,
            text,
        };
    }
    let indent = " ".repeat((column as usize).saturating_sub(1));
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    Change {
        at,
        length: 0,
        text: format!("action: {action}{end}{indent}"),
    }
}

/// The text with the changes, which are in order.
fn apply(text: &str, changes: Vec<Change>) -> Option<String> {
    let mut edited = String::with_capacity(text.len() + 64 * changes.len());
    let mut from = 0;
    for change in changes {
        edited.push_str(text.get(from..change.at)?);
        edited.push_str(&change.text);
        from = change.at + change.length;
    }
    edited.push_str(text.get(from..)?);
    Some(edited)
}

/// Whether policies differ in the actions of these rules, and in nothing else.
fn differ_just_so(
    before: &[Option<Policy>],
    after: &[Option<Policy>],
    wanted: &BTreeSet<RulePlace>,
    action: Action,
) -> bool {
    before.len() == after.len()
        && before
            .iter()
            .zip(after)
            .enumerate()
            .all(|(document, pair)| {
                let (before, after) = match pair {
                    (None, None) => return true,
                    (Some(before), Some(after)) => (before, after),
                    _ => return false,
                };
                let rules = before.rules().iter().map(|rule| {
                    let mut rule = rule.clone();
                    if wanted.contains(&(document, rule.field_path())) {
                        rule.action = action;
                    }
                    rule
                });
                before.id() == after.id()
                    && before.metadata() == after.metadata()
                    && before.selector() == after.selector()
                    && before.rules().len() == after.rules().len()
                    && rules.zip(after.rules()).all(|(rule, after)| {
                        rule == Rule {
                            location: rule.location.clone(),
                            ..after.clone()
                        }
                    })
            })
}

/// Where lines begin.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let mut at = 0;
        let starts = lines::split_inclusive(text).map(|line| {
            let start = at;
            at += line.len();
            start
        });
        Self {
            text,
            starts: starts.collect(),
        }
    }

    /// The byte at a line and a column, both from 1; columns count characters.
    fn offset(&self, line: u32, column: u32) -> Option<usize> {
        let start = *self.starts.get((line as usize).checked_sub(1)?)?;
        let rest = self.text.get(start..)?;
        let mut characters = rest.char_indices();
        let (within, _) = characters.nth((column as usize).checked_sub(1)?)?;
        Some(start + within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {name: web}\n";

    fn edited(spec: &str, rules: &[&str]) -> Result<String, EditError> {
        let wanted = rules.iter().map(|rule| (0, (*rule).to_owned())).collect();
        let text = format!("{HEAD}{spec}");
        let edited = Reader::new().set_actions(&text, &wanted, Action::Block)?;
        Ok(edited.strip_prefix(HEAD).unwrap().to_owned())
    }

    #[test]
    fn only_the_word_changes_where_all_that_share_it_do() {
        for (before, after, rules) in [
            (
                "spec:\n  action:   'Audit'   # é\n  process: {matchPaths: [{path: /a}, {path: /b}]}\n",
                "spec:\n  action:   'Block'   # é\n  process: {matchPaths: [{path: /a}, {path: /b}]}\n",
                &["process.matchPaths[0]", "process.matchPaths[1]"][..],
            ),
            (
                "spec:\r\n  network:\r\n    action: \"Audit\"\r\n    matchDNSQueries: [{domain: a.b}]\r\n",
                "spec:\r\n  network:\r\n    action: \"Block\"\r\n    matchDNSQueries: [{domain: a.b}]\r\n",
                &["network.matchDNSQueries[0]"],
            ),
            (
                "spec: {file: {matchPaths: [{path: /é, action: Audit}, {path: /b, action: Allow}]}}",
                "spec: {file: {matchPaths: [{path: /é, action: Block}, {path: /b, action: Allow}]}}",
                &["file.matchPaths[0]"],
            ),
            (
                "spec:\n  presets:\n  - name: protectEnv\n    action: Audit\n",
                "spec:\n  presets:\n  - name: protectEnv\n    action: Block\n",
                &["presets[0]"],
            ),
        ] {
            assert_eq!(edited(before, rules).as_deref(), Ok(after), "{before}");
        }
    }

    #[test]
    fn rules_that_part_get_an_action_of_their_own() {
        for (before, after) in [
            (
                "spec:\n  action: Audit\n  process:\n    matchPaths:\n    # the shell\n    -   path: /a # x\n        pts: false\n    - path: /b\n",
                "spec:\n  action: Audit\n  process:\n    matchPaths:\n    # the shell\n    -   action: Block\n        path: /a # x\n        pts: false\n    - path: /b\n",
            ),
            (
                "spec:\n  action: Audit\n  process: {matchPaths: [{path: /a}, {path: /b}]}\n",
                "spec:\n  action: Audit\n  process: {matchPaths: [{action: Block, path: /a}, {path: /b}]}\n",
            ),
            (
                "spec: {\"action\": \"Audit\", \"process\": {\"matchPaths\": [{ \"path\": \"/a\"}, {\"path\": \"/b\"}]}}",
                "spec: {\"action\": \"Audit\", \"process\": {\"matchPaths\": [{\"action\": \"Block\",  \"path\": \"/a\"}, {\"path\": \"/b\"}]}}",
            ),
        ] {
            assert_eq!(
                edited(before, &["process.matchPaths[0]"]).as_deref(),
                Ok(after)
            );
        }
    }

    #[test]
    fn what_would_change_more_is_refused() {
        for (spec, error) in [
            (
                "spec:\n  file: {matchPaths: [{path: /x, action: &a Audit}]}\n  process: {matchPaths: [{path: /a, action: *a}]}\n",
                EditError::NotInPlace,
            ),
            (
                "spec: {process: {matchPaths: [{path: /a}]}}\n",
                EditError::NoAction {
                    document: 0,
                    field: "process.matchPaths[0]".to_owned(),
                },
            ),
            ("spec: {process: 7}\n", EditError::Unreadable),
        ] {
            assert_eq!(
                edited(spec, &["process.matchPaths[0]"]),
                Err(error),
                "{spec}"
            );
        }
    }
}
