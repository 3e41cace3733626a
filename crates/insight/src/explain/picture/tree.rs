//! Rules by the directories that they are about.

use std::collections::BTreeMap;

use gambeson_policy_model::{Object, PathScope, Rule, RuleId};

/// A directory, the rules in it and the directories below that rules are about.
#[derive(Debug, Default)]
pub(super) struct Region {
    /// With its slash; empty for what is about no directory.
    pub(super) path: String,
    /// Labels and rules.
    pub(super) rules: Vec<(String, RuleId)>,
    pub(super) regions: Vec<Region>,
}

impl Region {
    /// The regions of one class's rules, in one that stands for none.
    pub(super) fn of<'r>(rules: impl Iterator<Item = (RuleId, &'r Rule)>) -> Self {
        let mut all = Self::default();
        let mut by_directory: BTreeMap<String, Vec<(String, RuleId)>> = BTreeMap::new();
        for (id, rule) in rules {
            match place(&rule.object) {
                (Some(directory), label) => {
                    by_directory.entry(directory).or_default().push((label, id));
                }
                (None, label) => all.rules.push((label, id)),
            }
        }
        // In order, every directory comes before those below it, and what is below it follows.
        let mut open: Vec<Self> = Vec::new();
        let close = |open: &mut Vec<Self>, all: &mut Self| {
            if let Some(done) = open.pop() {
                let parent = open.last_mut().unwrap_or(all);
                parent.regions.push(done);
            }
        };
        for (path, rules) in by_directory {
            while open
                .last()
                .is_some_and(|region| !path.starts_with(&region.path))
            {
                close(&mut open, &mut all);
            }
            open.push(Self {
                path,
                rules,
                regions: Vec::new(),
            });
        }
        while !open.is_empty() {
            close(&mut open, &mut all);
        }
        all
    }

    /// How many rows it takes: its own name, its rules, and what is below it.
    pub(super) fn rows(&self) -> u32 {
        let own = u32::from(!self.path.is_empty()) + self.rules.len() as u32;
        own + self.regions.iter().map(Self::rows).sum::<u32>()
    }

    /// How many regions are below it, and itself.
    pub(super) fn regions(&self) -> u32 {
        1 + self.regions.iter().map(Self::regions).sum::<u32>()
    }

    /// How deep regions are nested.
    pub(super) fn depth(&self) -> u32 {
        self.regions
            .iter()
            .map(|region| 1 + region.depth())
            .max()
            .unwrap_or(0)
    }
}

/// The directory that an object is in, and what it is called there.
fn place(object: &Object) -> (Option<String>, String) {
    let split = |text: &str| match text.rfind('/').and_then(|at| text.split_at_checked(at + 1)) {
        Some((directory, name)) if !name.is_empty() => {
            (Some(directory.to_owned()), name.to_owned())
        }
        _ => (None, text.to_owned()),
    };
    match object {
        Object::Path(path) => split(path),
        Object::Directory(directory) => {
            let below = if directory.recursive {
                "all below"
            } else {
                "what is right in it"
            };
            (Some(directory.path.clone()), below.to_owned())
        }
        Object::Pattern(glob) => {
            let text = glob.as_str();
            let literal = text.find(['*', '?', '[', '{', '\\']).unwrap_or(text.len());
            let (literal, _) = text.split_at_checked(literal).unwrap_or_default();
            let directory = literal.rfind('/').map_or(0, |at| at + 1);
            match text.split_at_checked(directory) {
                Some((directory, rest)) if directory.starts_with('/') => {
                    (Some(directory.to_owned()), rest.to_owned())
                }
                _ => (None, text.to_owned()),
            }
        }
        Object::ExecName(name) => (None, format!("{name}, in any directory")),
        Object::Protocol(protocol) => (None, protocol.name().to_owned()),
        Object::Domain(domain) => (None, domain.clone()),
        Object::Capability(capability) => (None, capability.name().to_owned()),
        Object::Syscalls { names, scope } => {
            let on = match scope {
                None => String::new(),
                Some(PathScope::Path(path)) => format!(" on {path}"),
                Some(PathScope::Directory(directory)) => format!(" below {}", directory.path),
            };
            (None, format!("{}{on}", names.join(", ")))
        }
        Object::Device(device) => (None, device.class.to_string()),
        Object::Preset(preset) => (None, preset.name().to_owned()),
        Object::Nothing(path) => (None, format!("{path}, a symbolic link: nothing")),
    }
}
