//! A compiled policy, asked what it allows: read back from its binary form.

use std::collections::{HashMap, HashSet};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Word(String),
    List(Vec<Item>),
}

impl Item {
    fn word(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::List(_) => "",
        }
    }

    fn words(&self) -> Vec<&str> {
        match self {
            Self::Word(word) => vec![word],
            Self::List(items) => items.iter().flat_map(Item::words).collect(),
        }
    }
}

pub(crate) fn parse(text: &str) -> Vec<Item> {
    let mut stack: Vec<Vec<Item>> = vec![Vec::new()];
    let mut chars = text.chars().peekable();
    while let Some(next) = chars.next() {
        match next {
            '(' => stack.push(Vec::new()),
            ')' => {
                let list = stack.pop().unwrap();
                stack.last_mut().unwrap().push(Item::List(list));
            }
            ';' => while chars.next_if(|next| *next != '\n').is_some() {},
            '"' => {
                let mut word = String::new();
                for next in chars.by_ref() {
                    if next == '"' {
                        break;
                    }
                    word.push(next);
                }
                stack.last_mut().unwrap().push(Item::Word(word));
            }
            next if next.is_whitespace() => {}
            next => {
                let mut word = String::from(next);
                while let Some(more) =
                    chars.next_if(|next| !next.is_whitespace() && !matches!(next, '(' | ')'))
                {
                    word.push(more);
                }
                stack.last_mut().unwrap().push(Item::Word(word));
            }
        }
    }
    stack.pop().unwrap()
}

/// Rules by source, target and class.
type Vectors = HashMap<(String, String, String), HashSet<String>>;

#[derive(Debug, Default)]
pub(crate) struct Decompiled {
    attributes: HashMap<String, Vec<String>>,
    allow: Vectors,
    audit: Vectors,
    /// By source, target, class and name; an empty name for all.
    transitions: HashMap<(String, String, String, String), String>,
}

impl Decompiled {
    pub(crate) fn new(text: &str) -> Self {
        let mut own = Self::default();
        let mut rules = Vec::new();
        for statement in parse(text) {
            let Item::List(items) = statement else {
                continue;
            };
            match items[0].word() {
                "typeattributeset" => {
                    let members = items[2].words().into_iter().map(str::to_owned).collect();
                    own.attributes.insert(items[1].word().to_owned(), members);
                }
                "allow" | "auditallow" | "typetransition" => rules.push(items),
                _ => {}
            }
        }
        for items in rules {
            let sources = own.members(items[1].word());
            let targets = own.members(items[2].word());
            for source in &sources {
                for target in &targets {
                    let target = if target == "self" { source } else { target };
                    let key = |class: &str| (source.clone(), target.clone(), class.to_owned());
                    if items[0].word() == "typetransition" {
                        let (name, made) = match items.as_slice() {
                            [.., name, made] if items.len() == 6 => (name.word(), made.word()),
                            [.., made] => ("", made.word()),
                            [] => unreachable!(),
                        };
                        let (source, target, class) = key(items[3].word());
                        let key = (source, target, class, name.to_owned());
                        own.transitions.insert(key, made.to_owned());
                        continue;
                    }
                    let Item::List(permissions) = &items[3] else {
                        continue;
                    };
                    let vectors = if items[0].word() == "allow" {
                        &mut own.allow
                    } else {
                        &mut own.audit
                    };
                    let granted = permissions[1].words().into_iter().map(str::to_owned);
                    vectors
                        .entry(key(permissions[0].word()))
                        .or_default()
                        .extend(granted);
                }
            }
        }
        own
    }

    fn members(&self, name: &str) -> Vec<String> {
        match self.attributes.get(name) {
            Some(members) => members
                .iter()
                .flat_map(|member| self.members(member))
                .collect(),
            None => vec![name.to_owned()],
        }
    }

    fn has(vectors: &Vectors, source: &str, target: &str, class: &str, all: &[&str]) -> bool {
        let key = (source.to_owned(), target.to_owned(), class.to_owned());
        let granted = vectors.get(&key);
        all.iter()
            .all(|one| granted.is_some_and(|granted| granted.contains(*one)))
    }

    pub(crate) fn allows(&self, source: &str, target: &str, class: &str, all: &[&str]) -> bool {
        Self::has(&self.allow, source, target, class, all)
    }

    pub(crate) fn audits(&self, source: &str, target: &str, class: &str, all: &[&str]) -> bool {
        Self::has(&self.audit, source, target, class, all)
    }

    /// What a new object is labelled, or the domain after an exec.
    pub(crate) fn transition(
        &self,
        source: &str,
        target: &str,
        class: &str,
        name: &str,
    ) -> Option<&str> {
        let get = |name: &str| {
            let key = (
                source.to_owned(),
                target.to_owned(),
                class.to_owned(),
                name.to_owned(),
            );
            self.transitions.get(&key).map(String::as_str)
        };
        get(name).or_else(|| get(""))
    }
}
