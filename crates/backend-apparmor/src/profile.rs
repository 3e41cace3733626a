//! A lowered policy: profiles as text, and which of them judges whom.

use std::fmt;

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::Report;

use crate::features::Features;
use crate::name::ProfileName;

/// Profiles that carry out one policy: the workload's own, and one below it for each group of programs
/// that rules name by `fromSource`. One text, loaded as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub(crate) name: ProfileName,
    pub(crate) text: String,
    pub(crate) sections: Vec<Section>,
    pub(crate) report: Report,
    pub(crate) policy_features: Features,
}

/// One of the profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its full name, as the kernel tells it in audit records, such as `gambeson.web//bash-1`.
    pub name: String,
    /// A source class that it judges.
    pub class: u32,
    /// All source classes that it judges: rules say the same of them.
    pub classes: Vec<u32>,
    /// The path of some program of that class, to ask the policy who decided an event.
    pub program: Vec<u8>,
}

impl Profile {
    /// The name of the workload's own profile.
    #[must_use]
    pub const fn name(&self) -> &ProfileName {
        &self.name
    }

    /// The text, as the parser takes it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The profiles, the workload's own first.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The profile of that full name: who an audit record is about.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The full name of the profile that a program must be started under.
    #[must_use]
    pub fn profile_for(&self, compiled: &CompiledPolicy, program: &[u8]) -> &str {
        let class = compiled.tables().sources.find(program);
        self.sections
            .iter()
            .find(|section| section.classes.contains(&class))
            .map_or(self.name.as_str(), |section| &section.name)
    }

    /// What will differ from the decision model.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// The features that the text must be compiled for, as the parser's policy features.
    #[must_use]
    pub const fn policy_features(&self) -> &Features {
        &self.policy_features
    }
}

/// The text.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
