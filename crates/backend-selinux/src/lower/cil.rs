//! Writing CIL: statements, and sets of types that get a name once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::classes::TypeId;
use super::vocabulary::Permissions;

/// A set of types, and of objects that have none of the module's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct TypeSet {
    pub(crate) types: Vec<TypeId>,
    /// Objects whose path is unknown.
    pub(crate) unknown: bool,
    /// Objects that keep the labels of the policy below.
    pub(crate) foreign: bool,
}

impl TypeSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.types.is_empty() && !self.unknown && !self.foreign
    }
}

/// A module under construction.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) prefix: String,
    pub(crate) out: String,
    /// What the names of the generation in hand begin with, behind the prefix.
    tag: String,
    /// The names of its types.
    types: Vec<String>,
    /// The sets that it has.
    sets: BTreeMap<TypeSet, String>,
    /// How many sets there are.
    count: usize,
    on_top: bool,
    blocks: usize,
}

impl Writer {
    pub(crate) const fn new(prefix: String, on_top: bool) -> Self {
        Self {
            on_top,
            blocks: 0,
            prefix,
            out: String::new(),
            tag: String::new(),
            types: Vec::new(),
            sets: BTreeMap::new(),
            count: 0,
        }
    }

    /// From here on, numbers of types are those of another generation.
    pub(crate) fn turn_to(&mut self, tag: &str, types: Vec<String>) {
        self.tag = tag.to_owned();
        self.types = types;
        self.sets.clear();
    }

    /// The attribute of all types of the generation.
    pub(crate) fn all_types(&self) -> String {
        format!("{}_{}types", self.prefix, self.tag)
    }

    /// Appends a line; `@` stands for the prefix.
    pub(crate) fn line(&mut self, text: &str) {
        self.out.push_str(&text.replace('@', &self.prefix));
        self.out.push('\n');
    }

    /// A heading.
    pub(crate) fn heading(&mut self, text: &str) {
        let _ = writeln!(self.out, "\n; ---- {text}");
    }

    pub(crate) fn type_name(&self, id: TypeId) -> String {
        self.types.get(id).cloned().unwrap_or_default()
    }

    /// The name of a set of types; declares it at its first use.
    pub(crate) fn set(&mut self, set: TypeSet) -> String {
        if let ([only], false, false) = (set.types.as_slice(), set.unknown, set.foreign) {
            return self.type_name(*only);
        }
        if let Some(name) = self.sets.get(&set) {
            return name.clone();
        }
        let name = format!("{}_set_{}", self.prefix, self.count);
        self.count += 1;
        let mut members = String::new();
        let count = self.types.len();
        let missing = count - set.types.len().min(count);
        let names = |ids: &mut dyn Iterator<Item = TypeId>| -> String {
            let names: Vec<String> = ids.map(|id| self.type_name(id)).collect();
            names.join(" ")
        };
        if missing < set.types.len() {
            // All but those that are missing.
            let mut others = (0..count).filter(|id| set.types.binary_search(id).is_err());
            let others = names(&mut others);
            let all = self.all_types();
            if missing == 0 {
                members.push_str(&all);
            } else {
                let _ = write!(members, "(and {all} (not ({others})))");
            }
        } else {
            members.push_str(&names(&mut set.types.iter().copied()));
        }
        for (included, other) in [(set.unknown, "unknown_t"), (set.foreign, "foreign")] {
            if included {
                let space = if members.is_empty() { "" } else { " " };
                let _ = write!(members, "{space}{}_{other}", self.prefix);
            }
        }
        let prefixed = format!("(typeattribute {name})\n(typeattributeset {name} ({members}))");
        self.out.push_str(&prefixed);
        self.out.push('\n');
        self.sets.insert(set, name.clone());
        name
    }

    /// Declares a set of permissions.
    pub(crate) fn permissions(&mut self, name: &str, permissions: Permissions) {
        self.line(&format!("(classpermission @_{name})"));
        for (class, list) in permissions {
            self.line(&format!("(classpermissionset @_{name} ({class} ({list})))"));
        }
    }
}

/// Where an optional block began, if there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Optional(bool);

impl Writer {
    pub(crate) const fn is_on_top(&self) -> bool {
        self.on_top
    }

    /// Begins a block that counts only where the policy below knows what it speaks of. A module that is
    /// a whole policy needs none.
    pub(crate) fn optional(&mut self, about: &str) -> Optional {
        let needed = self.on_top;
        if needed {
            self.blocks += 1;
            let text = format!("(optional @_o{}_{about}", self.blocks);
            self.line(&text);
        }
        Optional(needed)
    }

    pub(crate) fn end_optional(&mut self, begun: Optional) {
        if begun.0 {
            self.line(")");
        }
    }
}
