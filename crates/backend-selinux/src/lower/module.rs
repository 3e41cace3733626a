//! What lowering makes: the module, the file contexts, and what is needed to tell of its denials.

use std::collections::HashMap;

use gambeson_matcher::CompiledPolicy;
use gambeson_policy_model::Verdict;

use super::classes::TypeId;
use super::error::LowerError;
use super::options::LowerOptions;
use super::replace::Replacement;
use super::space::Space;
use super::subject::Access;

/// A module, not yet compiled or loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// What it was lowered from, by the names of the workloads.
    pub(crate) workloads: Vec<(String, CompiledPolicy)>,
    pub(crate) options: LowerOptions,
    pub(crate) cil: String,
    pub(crate) file_contexts: String,
    pub(crate) domains: Vec<Domain>,
    pub(crate) types: Vec<ObjectType>,
    pub(crate) by_name: HashMap<String, Place>,
    pub(crate) user: String,
    pub(crate) role: String,
    pub(crate) level: Option<String>,
    pub(crate) whole: bool,
    pub(crate) space: Space,
    pub(crate) of_cell: Vec<Option<TypeId>>,
}

/// Where a name is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Domain(usize),
    Type(usize),
}

/// The type of a workload's processes whose executables no rule of its policy tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The type's name.
    pub name: String,
    /// The workload's name.
    pub workload: String,
    /// The workload's place among those that were lowered together.
    pub place: usize,
    /// An executable of such a process. Where no rule names it, one that can't be there.
    pub program: Vec<u8>,
    pub(crate) class: u32,
}

/// The type of files on which all policies say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectType {
    /// The type's name.
    pub name: String,
    /// A path of it.
    pub example: Vec<u8>,
    /// For each domain, by number, the verdicts that are enforced, in the order of [`Access::ALL`].
    pub(crate) verdicts: Vec<[Verdict; 5]>,
    /// For each policy, the source class that a program of this type is of.
    pub(crate) enters: Vec<usize>,
}

impl ObjectType {
    /// The one of two types by which nothing is allowed that the other denies. `None` where there is none.
    pub(crate) fn stricter<'t>(&'t self, other: &'t Self) -> Option<&'t Self> {
        if self.name == other.name {
            return Some(self);
        }
        let covers = |one: &Self, other: &Self| {
            let verdicts = one.verdicts.iter().flatten();
            one.enters == other.enters
                && verdicts
                    .zip(other.verdicts.iter().flatten())
                    .all(|(own, its)| own >= its)
        };
        match (covers(self, other), covers(other, self)) {
            (true, _) => Some(self),
            (false, true) => Some(other),
            (false, false) => None,
        }
    }
}

impl Module {
    /// The module's text in CIL.
    #[must_use]
    pub fn cil(&self) -> &str {
        &self.cil
    }

    /// Which path is of which type, as setfiles and libselinux read it.
    #[must_use]
    pub fn file_contexts(&self) -> &str {
        &self.file_contexts
    }

    /// Lowers the policies that are to take the place of this module's.
    ///
    /// # Errors
    /// As [`lower`](crate::lower()).
    pub fn replaced_by(
        &self,
        workloads: &[(&str, &CompiledPolicy)],
    ) -> Result<Replacement, LowerError> {
        Replacement::new(self, workloads)
    }

    /// Which generation of policies it carries out.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.options.generation
    }

    /// The workloads' names and policies.
    #[must_use]
    pub fn workloads(&self) -> &[(String, CompiledPolicy)] {
        &self.workloads
    }

    /// The types of processes.
    #[must_use]
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// The types of files.
    #[must_use]
    pub fn types(&self) -> &[ObjectType] {
        &self.types
    }

    /// Whether the module is a whole policy, which needs no other.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// The type of a path, without a reader of file contexts. `None` where files keep the labels they have.
    #[must_use]
    pub fn type_of(&self, path: &[u8]) -> Option<&ObjectType> {
        let cell = self.space.cell_of(path)?;
        self.types.get(self.of_cell.get(cell).copied()??)
    }

    /// Paths that files of a type may have, those with this last component first.
    pub(crate) fn paths_of(&self, of: &str, name: Option<&[u8]>) -> Vec<Vec<u8>> {
        let Some(Place::Type(id)) = self.by_name.get(of) else {
            return Vec::new();
        };
        let cells = self.of_cell.iter().zip(&self.space.paths);
        let cells = cells.filter(|(own, _)| **own == Some(*id));
        let mut named = Vec::new();
        let mut others = Vec::new();
        let mut inside = Vec::new();
        for (_, path) in cells {
            let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let (directory, own) = path.split_at_checked(slash + 1).unwrap_or((path, b""));
            match name {
                Some(name) if own == name => named.push(path.clone()),
                Some(name) => {
                    let path_there = [directory, name].concat();
                    let of_it = self.type_of(&path_there);
                    if of_it.is_some_and(|found| found.name == of) {
                        inside.push(path_there);
                    }
                    others.push(path.clone());
                }
                None => others.push(path.clone()),
            }
        }
        named.append(&mut inside);
        if named.is_empty() {
            named = others;
        }
        if named.is_empty() {
            // The type of a file system.
            named.extend(self.types.get(*id).map(|of| of.example.clone()));
        }
        named
    }

    /// The domain of a workload's processes that run a program.
    #[must_use]
    pub fn domain_of(
        &self,
        workload: &str,
        compiled: &CompiledPolicy,
        program: &[u8],
    ) -> Option<&Domain> {
        let class = compiled.tables().sources.find(program);
        let mut own = self.domains.iter();
        own.find(|domain| domain.workload == workload && domain.class == class)
    }

    /// The domain with this name.
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        match self.by_name.get(name)? {
            Place::Domain(place) => self.domains.get(*place),
            Place::Type(_) => None,
        }
    }

    /// The context of a domain's processes.
    #[must_use]
    pub fn context_of(&self, domain: &Domain) -> String {
        self.context(&self.role, &domain.name)
    }

    /// The context of a type's files.
    #[must_use]
    pub fn context_of_files(&self, of: &ObjectType) -> String {
        self.context("object_r", &of.name)
    }

    /// What the module enforces when a process of a domain does something to a file of a type. `None` for
    /// names that aren't the module's.
    #[must_use]
    pub fn verdict(&self, domain: &str, of: &str, access: Access) -> Option<Verdict> {
        let (Place::Domain(domain), Place::Type(of)) =
            (*self.by_name.get(domain)?, *self.by_name.get(of)?)
        else {
            return None;
        };
        let place = Access::ALL.iter().position(|one| *one == access)?;
        self.types
            .get(of)?
            .verdicts
            .get(domain)?
            .get(place)
            .copied()
    }

    fn context(&self, role: &str, name: &str) -> String {
        let mut context = format!("{}:{role}:{name}", self.user);
        if let Some(level) = &self.level {
            context.push(':');
            context.push_str(level);
        }
        context
    }
}
