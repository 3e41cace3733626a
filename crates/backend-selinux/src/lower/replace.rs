//! From one generation of policies to the next, without a moment in which neither is in force.
//!
//! The kernel takes a policy as a whole, but files are labelled one by one. So between the old module and the new
//! one there is one that knows the types and domains of both: a file that has its old label still is judged by the
//! old policy, one that has its new label already by the new one. When all files are labelled, the new module comes
//! with the old domains' names for its own domains, so that processes that run go on in those.

use gambeson_matcher::{Compile as _, CompiledPolicy, Config};
use gambeson_policy_model::{PolicySet, Workload};

use super::{Alias, LowerError, Module, Part, contexts, file_contexts, write};

/// What it takes to put one module in another one's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    pub(crate) between: String,
    pub(crate) next: Module,
    pub(crate) back: String,
}

impl Replacement {
    /// The text of the module that knows both generations: what is in force while files are relabelled.
    #[must_use]
    pub fn between(&self) -> &str {
        &self.between
    }

    /// The new module. Its text has the old domains' names for its own.
    #[must_use]
    pub const fn next(&self) -> &Module {
        &self.next
    }

    /// The text of the old module, with names for domains that came about meanwhile: what to go back to.
    #[must_use]
    pub fn back(&self) -> &str {
        &self.back
    }
}

impl Replacement {
    /// Lowers the policies that are to take the place of a module's.
    pub(crate) fn new(
        old: &Module,
        workloads: &[(&str, &CompiledPolicy)],
    ) -> Result<Self, LowerError> {
        let before = &old.options;
        let after = before.clone().generation(before.generation + 1);
        let mine: Vec<(&str, &CompiledPolicy)> = old
            .workloads
            .iter()
            .map(|(name, policy)| (name.as_str(), policy))
            .collect();
        let from = Part::new(&mine, before)?;
        // Workloads that are gone, and what is left of their processes, are under no policy from now on.
        let none = PolicySet::default()
            .select(&Workload::pod("default"))
            .compile(&Config::default())
            .ok();
        let gone = mine.iter().filter(|(name, _)| {
            let mut names = workloads.iter().map(|(name, _)| name);
            !names.any(|own| own == name)
        });
        let gone = gone.filter_map(|(name, _)| Some((*name, none.as_ref()?)));
        let all: Vec<(&str, &CompiledPolicy)> = workloads.iter().copied().chain(gone).collect();
        let through = Part::new(&all, &after)?;
        let to = Part::new(workloads, &after)?;
        let free = format!("{}_system_t", before.prefix);
        let next_aliases = aliases(&from, &to, &free);
        let back_aliases = aliases(&through, &from, &free);
        let entries = contexts::entries(&to.space, &to.classes, &after.limits)?;
        let between = write(&[&from, &through], &after, &[], &[]);
        let back = write(&[&from], before, &[], &back_aliases);
        let cil = write(&[&to], &after, &entries, &next_aliases);
        let mut next = to.finish(cil, &after);
        next.file_contexts = file_contexts(&next, &entries);
        Ok(Self {
            between,
            next,
            back,
        })
    }
}

/// Names of one part's domains for those of another one that take their processes over.
fn aliases(of: &Part<'_>, to: &Part<'_>, free: &str) -> Vec<Alias> {
    let domains = of.domains.iter();
    let aliases = domains.map(|domain| {
        let place = to
            .workloads
            .iter()
            .position(|(name, _)| *name == domain.workload);
        let taken = place.and_then(|place| {
            let (_, number) = to.workloads.get(place)?;
            let source = to.policy(*number)?.source_of(&domain.program);
            to.domains_of(place).get(source).cloned()
        });
        (
            domain.name.clone(),
            taken.unwrap_or_else(|| free.to_owned()),
        )
    });
    aliases.collect()
}
