//! The rules of two policies side by side.

use std::collections::HashMap;

use gambeson_policy_model::{Action, Class, Conditions, Glob, Object, Rule, RuleId, Source, Token};

use crate::explain::Explainer;
use crate::matching::Specificity;

/// A rule that stands in one policy or, saying the same, in both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joint<'r> {
    pub(super) rule: &'r Rule,
    /// Its smallest id before and after; at least one is given.
    pub(super) ids: [Option<RuleId>; 2],
}

impl Joint<'_> {
    pub(super) const fn is_changed(&self) -> bool {
        self.ids[0].is_none() || self.ids[1].is_none()
    }
}

/// What makes two rules the same for every verdict.
type Sense<'r> = (&'r Object, &'r [Source], Action, &'r Conditions);

/// The rules of one class of both policies.
pub(super) fn joint<'r>(sides: [&'r Explainer; 2], class: Class) -> Vec<Joint<'r>> {
    let mut places: HashMap<Sense<'r>, usize> = HashMap::new();
    let mut all: Vec<Joint<'r>> = Vec::new();
    for (side, explainer) in sides.into_iter().enumerate() {
        for (id, rule) in (0..).map(RuleId).zip(explainer.rules()) {
            if rule.class != class {
                continue;
            }
            let sense = (
                &rule.object,
                rule.sources.as_slice(),
                rule.action,
                &rule.conditions,
            );
            let place = *places.entry(sense).or_insert_with(|| {
                all.push(Joint {
                    rule,
                    ids: [None, None],
                });
                all.len() - 1
            });
            if let Some(joint) = all.get_mut(place)
                && let Some(slot) = joint.ids.get_mut(side)
                && slot.is_none()
            {
                *slot = Some(id);
            }
        }
    }
    all
}

/// The rules that match an object, by place in the list of joint rules.
pub(super) type Cell = Vec<(u32, Specificity)>;

/// The literal beginning and end of one of the things that a rule on files matches.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    begin: Vec<u8>,
    end: Vec<u8>,
}

impl Ends {
    /// Of everything that a rule on files matches.
    pub(super) fn of(object: &Object) -> Vec<Self> {
        let one = |begin: &[u8], end: &[u8]| {
            vec![Self {
                begin: begin.to_vec(),
                end: end.to_vec(),
            }]
        };
        match object {
            Object::Path(path) => one(path.as_bytes(), path.as_bytes()),
            Object::ExecName(name) => one(b"", format!("/{name}").as_bytes()),
            Object::Directory(directory) => {
                let path = directory.path.as_bytes();
                one(path.strip_suffix(b"/").unwrap_or(path), b"")
            }
            Object::Pattern(glob) => glob
                .alternatives()
                .iter()
                .map(|tokens| Self::tokens(tokens))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn tokens(tokens: &[Token]) -> Self {
        if let Some(directory) = Glob::as_directory(tokens) {
            return Self {
                begin: directory,
                end: Vec::new(),
            };
        }
        let byte = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        };
        let begin = tokens.iter().map_while(byte).collect();
        let mut end: Vec<u8> = tokens.iter().rev().map_while(byte).collect();
        end.reverse();
        Self { begin, end }
    }

    /// Whether some path may be matched by both, as far as their ends tell.
    pub(super) fn may_meet(&self, other: &Self) -> bool {
        let begin = self.begin.len().min(other.begin.len());
        let end = self.end.len().min(other.end.len());
        self.begin.get(..begin) == other.begin.get(..begin)
            && self.end.get(self.end.len() - end..) == other.end.get(other.end.len() - end..)
    }

    /// Whether paths of any directory may be matched.
    pub(super) fn is_anywhere(&self) -> bool {
        self.begin.len() <= 1
    }
}
