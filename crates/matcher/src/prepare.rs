//! What both engines do with a selection before they look at any event.

use gambeson_policy_model::{
    ApparmorText, Diagnostic, Enforcement, Postures, Rule, Selection, resolve_in_root,
};

use crate::config::{CompileError, Config};
use crate::tables::entry::Entry;

/// A selection with everything settled that doesn't depend on an event.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// In the order of attribution: a rule's place is its id.
    pub(crate) rules: Vec<Rule>,
    pub(crate) postures: Postures,
    pub(crate) enforcement: Enforcement,
    pub(crate) apparmor: Vec<ApparmorText>,
    pub(crate) warnings: Vec<Diagnostic>,
}

pub(crate) fn prepare(selection: &Selection, config: &Config) -> Result<Prepared, CompileError> {
    if let Some(duplicate) = selection.duplicates().first() {
        return Err(CompileError::DuplicatePolicy {
            policy: duplicate.policy.clone(),
            first: duplicate.first.clone(),
            second: duplicate.second.clone(),
        });
    }
    let (mut rules, apparmor) = match selection.enforcement() {
        Enforcement::Disabled => Default::default(),
        Enforcement::Enabled | Enforcement::Audited => {
            (selection.rules().to_vec(), selection.apparmor().to_vec())
        }
    };
    let warnings = match &config.root {
        Some(root) => resolve_in_root(&mut rules, root)?,
        None => Vec::new(),
    };
    if rules.len() > Entry::MAX_RULES {
        return Err(CompileError::TooManyRules {
            count: rules.len(),
            limit: Entry::MAX_RULES,
        });
    }
    Ok(Prepared {
        rules,
        postures: selection.posture().or(config.posture),
        enforcement: selection.enforcement(),
        apparmor,
        warnings,
    })
}
