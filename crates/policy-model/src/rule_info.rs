//! What is told of the rule that decided: its policy, its place, and what it says to people.

use std::fmt;

use crate::identity::PolicyKind;
use crate::rule::{Action, Class, Rule, RuleList, field_path};

/// A rule without what it matches: all that a report of a decision needs.
///
/// It borrows, so that it can be taken from a [`Rule`] and from a compiled image alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleInfo<'a> {
    /// The policy's `metadata.name`.
    pub policy: &'a str,
    /// The policy's kind.
    pub kind: PolicyKind,
    /// The policy's namespace; `None` for the cluster-scoped kinds.
    pub namespace: Option<&'a str>,
    /// The class of events that the rule speaks of.
    pub class: Class,
    /// The list it stands in.
    pub list: RuleList,
    /// Its place in that list, from 0.
    pub index: u32,
    /// What it says.
    pub action: Action,
    /// 1 to 10; 0 where none is given.
    pub severity: u8,
    /// Tags.
    pub tags: Vec<&'a str>,
    /// Message; empty where none is given.
    pub message: &'a str,
    /// The file as it was named when it was read.
    pub file: &'a str,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl RuleInfo<'_> {
    /// The rule's field path below `spec`, such as `process.matchPaths[0]`.
    #[must_use]
    pub fn field_path(&self) -> String {
        field_path(self.class, self.list, self.index)
    }
}

impl<'a> From<&'a Rule> for RuleInfo<'a> {
    fn from(rule: &'a Rule) -> Self {
        Self {
            policy: &rule.policy.name,
            kind: rule.policy.kind,
            namespace: rule.policy.namespace.as_deref(),
            class: rule.class,
            list: rule.list,
            index: rule.index,
            action: rule.action,
            severity: rule.severity,
            tags: rule.tags.iter().map(String::as_str).collect(),
            message: &rule.message,
            file: &rule.location.file,
            line: rule.location.line,
            column: rule.location.column,
        }
    }
}

/// `web.yaml:14 process.matchPaths[0] of web-block-shells`
impl fmt::Display for RuleInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{} {} of {}",
            self.file,
            self.line,
            self.field_path(),
            self.policy
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Conditions, Location, Object, PolicyId};

    #[test]
    fn a_rule_says_where_it_stands() {
        let rule = Rule {
            policy: Arc::new(PolicyId {
                name: "web-block-shells".into(),
                kind: PolicyKind::KubeArmorPolicy,
                namespace: Some("production".into()),
            }),
            class: Class::Process,
            list: RuleList::MatchPaths,
            index: 2,
            object: Object::Path("/bin/sh".into()),
            sources: Vec::new(),
            action: Action::Block,
            conditions: Conditions::default(),
            severity: 5,
            tags: Arc::from(["MITRE".to_owned(), "shell".to_owned()]),
            message: "a shell".into(),
            location: Location {
                file: "web.yaml".into(),
                line: 14,
                column: 7,
            },
        };
        let info = RuleInfo::from(&rule);
        assert_eq!(
            info.to_string(),
            "web.yaml:14 process.matchPaths[2] of web-block-shells"
        );
        assert_eq!(info.namespace, Some("production"));
        assert_eq!((info.severity, info.message), (5, "a shell"));
        assert_eq!(info.tags, ["MITRE", "shell"]);
    }
}
