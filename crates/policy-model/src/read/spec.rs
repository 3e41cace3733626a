//! `spec`: its sections, and what all levels have in common.

use super::context::{Context, Given, Problem, Trail};
use crate::diagnostic::Code;
use crate::identity::PolicyKind;
use crate::node::Node;
use crate::policy::{Common, Section, Spec, Written};
use crate::rule::{Class, RuleList};
use crate::shape::{Content, Shape};

impl Context<'_> {
    /// A policy's `spec`.
    pub(super) fn spec(
        &mut self,
        node: &Node,
        kind: PolicyKind,
        trail: &Trail<'_>,
    ) -> Option<Spec> {
        let mut spec = Spec::default();
        for given in self.fields(node, crate::shape::spec(kind), trail)? {
            let trail = trail.key(given.field.name);
            match given.field.content {
                Content::Selector(shape) => {
                    spec.selector = self.selector(given.value, shape, &trail);
                }
                Content::Section(class, shape) => {
                    let section = self.section(given.value, class, shape, &trail);
                    spec.sections
                        .extend(section.map(|section| (class, section)));
                }
                Content::Entries(RuleList::Presets, shape) => {
                    let lists = (Class::Presets, RuleList::Presets);
                    let entries = self.entries(given.value, lists, shape, &trail);
                    let lists = entries.map(|entries| (RuleList::Presets, entries));
                    spec.sections.insert(
                        Class::Presets,
                        Section {
                            lists: lists.into_iter().collect(),
                            common: Common::default(),
                        },
                    );
                }
                Content::Apparmor => {
                    spec.apparmor = self.text(given.value, &trail).map(|text| Written {
                        value: text.to_owned(),
                        location: self.location(given.value.place),
                    });
                }
                _ => self.common_field(&given, &mut spec.common, &trail),
            }
        }
        Some(spec)
    }

    fn section(
        &mut self,
        node: &Node,
        class: Class,
        shape: &'static Shape,
        trail: &Trail<'_>,
    ) -> Option<Section> {
        let mut section = Section::default();
        for given in self.fields(node, shape, trail)? {
            let trail = trail.key(given.field.name);
            match given.field.content {
                Content::Entries(list, shape) => {
                    let entries = self.entries(given.value, (class, list), shape, &trail);
                    section.lists.extend(entries.map(|entries| (list, entries)));
                }
                _ => self.common_field(&given, &mut section.common, &trail),
            }
        }
        Some(section)
    }

    /// Severity, tags, message or action.
    pub(super) fn common_field(
        &mut self,
        given: &Given<'_>,
        common: &mut Common,
        trail: &Trail<'_>,
    ) {
        let node = given.value;
        let at = trail.at(node.place);
        match given.field.content {
            Content::Severity => common.severity = self.severity(node, trail),
            Content::Tags => common.tags = self.texts(node, trail),
            Content::Message => common.message = self.text(node, trail).map(str::to_owned),
            Content::Action => {
                common.action = self
                    .text(node, trail)
                    .and_then(|text| self.action(text, at));
            }
            _ => {}
        }
    }

    fn severity(&mut self, node: &Node, trail: &Trail<'_>) -> Option<u8> {
        let number = self.integer(node, trail)?;
        let clamped = u8::try_from(number.clamp(1, 10)).unwrap_or(1);
        if i64::from(clamped) == number {
            return Some(clamped);
        }
        let at = trail.at(node.place);
        let problem = Problem::new(
            Code::OutOfRange,
            format!("the severity `{number}` is not from 1 to 10"),
        );
        if number == 0 {
            self.deviation(at, problem, "taken as not given, as in KubeArmor");
            return None;
        }
        self.deviation(at, problem, &format!("taken as {clamped}"));
        Some(clamped)
    }
}
