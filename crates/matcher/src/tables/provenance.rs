//! What a decision's rule is called and where it is written. Beside the tables that decide, and
//! never looked at while deciding.

use std::collections::HashMap;
use std::hash::Hash;

use gambeson_policy_model::{
    Action, ApparmorText, Class, Object, PolicyKind, Rule, RuleId, RuleInfo, RuleList,
};

use super::image::Bytes;
use super::record::{Record, Span, record};
use crate::compile::sources::SourceClasses;
use crate::glob_rule::GlobRule;
use crate::native::NativeText;
use crate::rule_shape::RuleShape;

record! {
    /// One policy.
    pub(crate) PolicyRecord {
        /// Its name, in `text`.
        name: Span,
        /// Its namespace, in `text`.
        namespace: Span,
        /// Its place in [`PolicyKind::ALL`], and in bit 8 whether it has a namespace.
        kind: u32,
    }
}

record! {
    /// One rule.
    pub(crate) RuleRecord {
        /// The policy it stands in.
        policy: u32,
        /// Bits 0–7 the class, 8–15 the list, 16–23 the action, 24–31 the severity.
        what: u32,
        /// Its place in the list.
        index: u32,
        /// The file.
        file: u32,
        /// Line, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
        /// The list of tags.
        tags: u32,
        /// The message.
        message: u32,
        /// A [`RuleShape`] in a word.
        shape: u32,
    }
}

record! {
    /// Native AppArmor rules of one policy.
    pub(crate) ApparmorRecord {
        /// The policy's name, in `text`.
        policy: Span,
        /// The text itself, in `text`.
        rules: Span,
        /// The file's name, in `text`.
        file: Span,
        /// Line, from 1.
        line: u32,
    }
}

record! {
    /// The pattern or execname of one rule.
    pub(crate) GlobRecord {
        /// The rule.
        rule: u32,
        /// The pattern as written, or the execname, in `text`.
        glob: Span,
        /// The source classes that the rule names, in `glob_sources`.
        sources: Span,
    }
}

const LISTS: [RuleList; 9] = [
    RuleList::MatchPaths,
    RuleList::MatchDirectories,
    RuleList::MatchPatterns,
    RuleList::MatchProtocols,
    RuleList::MatchDnsQueries,
    RuleList::MatchCapabilities,
    RuleList::MatchSyscalls,
    RuleList::MatchDevice,
    RuleList::Presets,
];

const ACTIONS: [Action; 3] = [Action::Allow, Action::Audit, Action::Block];

impl RuleRecord {
    /// Class, list and action, if the record has ones that exist.
    pub(crate) fn what(&self) -> Option<(Class, RuleList, Action)> {
        let [class, list, action, _] = self.what.to_le_bytes();
        Some((
            *Class::ALL.get(usize::from(class))?,
            *LISTS.get(usize::from(list))?,
            *ACTIONS.get(usize::from(action))?,
        ))
    }
}

/// Names and places of all rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Provenance {
    pub(crate) text: Bytes,
    pub(crate) policies: Vec<PolicyRecord>,
    /// File names, in `text`.
    pub(crate) files: Vec<Span>,
    /// Tags, in `text`.
    pub(crate) tags: Vec<Span>,
    /// Lists of tags, each a run of `tags`.
    pub(crate) tag_lists: Vec<Span>,
    /// Messages, in `text`.
    pub(crate) messages: Vec<Span>,
    pub(crate) rules: Vec<RuleRecord>,
    pub(crate) apparmor: Vec<ApparmorRecord>,
    /// In the order of rules.
    pub(crate) globs: Vec<GlobRecord>,
    /// Source classes, each rule's a run in order.
    pub(crate) glob_sources: Vec<u32>,
}

/// Numbers things in the order in which they first come.
struct Numbers<T>(HashMap<T, u32>);

impl<T: Hash + Eq> Numbers<T> {
    fn of(&mut self, thing: T, new: impl FnOnce()) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(thing).or_insert_with(|| {
            new();
            next
        })
    }
}

impl Provenance {
    pub(crate) fn new(rules: &[Rule], apparmor: &[ApparmorText]) -> Self {
        let mut own = Self::default();
        let mut policies = Numbers(HashMap::new());
        let mut files = Numbers(HashMap::new());
        let mut tag_lists = Numbers(HashMap::new());
        let mut messages = Numbers(HashMap::new());
        let mut add = {
            let text = &mut own.text;
            |string: &str| {
                let start = text.len() as u32;
                text.extend_from_slice(string.as_bytes());
                Span {
                    start,
                    len: string.len() as u32,
                }
            }
        };
        for rule in rules {
            let policy = policies.of(&*rule.policy, || {
                let kind = PolicyKind::ALL
                    .iter()
                    .position(|kind| *kind == rule.policy.kind);
                let namespace = rule.policy.namespace.as_deref();
                own.policies.push(PolicyRecord {
                    name: add(&rule.policy.name),
                    namespace: add(namespace.unwrap_or_default()),
                    kind: kind.unwrap_or(0) as u32 | u32::from(namespace.is_some()) << 8,
                });
            });
            let file = files.of(&*rule.location.file, || {
                own.files.push(add(&rule.location.file))
            });
            let message = messages.of(&*rule.message, || own.messages.push(add(&rule.message)));
            let tags = tag_lists.of(&*rule.tags, || {
                own.tag_lists.push(Span {
                    start: own.tags.len() as u32,
                    len: rule.tags.len() as u32,
                });
                own.tags.extend(rule.tags.iter().map(|tag| add(tag)));
            });
            let list = LISTS
                .iter()
                .position(|list| *list == rule.list)
                .unwrap_or(0);
            let action = ACTIONS
                .iter()
                .position(|action| *action == rule.action)
                .unwrap_or(0);
            own.rules.push(RuleRecord {
                policy,
                what: u32::from_le_bytes([
                    rule.class as u8,
                    list as u8,
                    action as u8,
                    rule.severity,
                ]),
                index: rule.index,
                file,
                line: rule.location.line,
                column: rule.location.column,
                tags,
                message,
                shape: RuleShape::from(rule).to_word(),
            });
        }
        let sources = SourceClasses::new(rules);
        for (id, rule) in (0u32..).zip(rules) {
            let glob = match &rule.object {
                Object::ExecName(name) => name.as_str(),
                Object::Pattern(glob) => glob.as_str(),
                _ => continue,
            };
            let start = own.glob_sources.len() as u32;
            own.glob_sources.extend_from_slice(sources.of_rule(id));
            own.globs.push(GlobRecord {
                rule: id,
                glob: add(glob),
                sources: Span {
                    start,
                    len: own.glob_sources.len() as u32 - start,
                },
            });
        }
        own.apparmor = apparmor
            .iter()
            .map(|native| ApparmorRecord {
                policy: add(&native.policy.name),
                rules: add(&native.text),
                file: add(&native.location.file),
                line: native.location.line,
            })
            .collect();
        own
    }

    pub(crate) fn rule(&self, id: RuleId) -> Option<RuleInfo<'_>> {
        let rule = self.rules.get(id.0 as usize)?;
        let text = |span: &Span| std::str::from_utf8(span.of(&self.text)).unwrap_or_default();
        let policy = self.policies.get(rule.policy as usize)?;
        let [kind, has_namespace, ..] = policy.kind.to_le_bytes();
        let (class, list, action) = rule.what()?;
        let tags = self.tag_lists.get(rule.tags as usize)?.of(&self.tags);
        let [.., severity] = rule.what.to_le_bytes();
        Some(RuleInfo {
            policy: text(&policy.name),
            kind: *PolicyKind::ALL.get(usize::from(kind))?,
            namespace: (has_namespace == 1).then(|| text(&policy.namespace)),
            class,
            list,
            index: rule.index,
            action,
            severity,
            tags: tags.iter().map(text).collect(),
            message: text(self.messages.get(rule.message as usize)?),
            file: text(self.files.get(rule.file as usize)?),
            line: rule.line,
            column: rule.column,
        })
    }

    pub(crate) fn shape(&self, id: RuleId) -> Option<RuleShape> {
        RuleShape::from_word(self.rules.get(id.0 as usize)?.shape)
    }

    pub(crate) fn apparmor(&self) -> impl Iterator<Item = NativeText<'_>> {
        let text = |span: Span| std::str::from_utf8(span.of(&self.text)).unwrap_or_default();
        self.apparmor.iter().map(move |record| NativeText {
            policy: text(record.policy),
            text: text(record.rules),
            file: text(record.file),
            line: record.line,
        })
    }

    pub(crate) fn globs(&self) -> impl Iterator<Item = GlobRule<'_>> {
        self.globs.iter().map(|record| GlobRule {
            rule: RuleId(record.rule),
            text: std::str::from_utf8(record.glob.of(&self.text)).unwrap_or_default(),
            sources: record.sources.of(&self.glob_sources),
        })
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
            + 4 * PolicyRecord::WORDS * self.policies.len()
            + 4 * RuleRecord::WORDS * self.rules.len()
            + 4 * ApparmorRecord::WORDS * self.apparmor.len()
            + 4 * GlobRecord::WORDS * self.globs.len()
            + 4 * self.glob_sources.len()
            + 4 * Span::WORDS
                * (self.files.len() + self.tags.len() + self.tag_lists.len() + self.messages.len())
    }
}
