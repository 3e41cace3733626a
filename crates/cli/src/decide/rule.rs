//! What is kept of each rule that has decided something.

use gambeson::matcher::CompiledPolicy;
use gambeson::policy_model::{RuleId, RuleInfo};

/// Knows the rules that decide.
pub(crate) trait Rules {
    /// What is told of a rule; `None` where there is none of that number.
    fn rule(&self, id: RuleId) -> Option<RuleInfo<'_>>;
}

impl Rules for CompiledPolicy {
    fn rule(&self, id: RuleId) -> Option<RuleInfo<'_>> {
        self.rule(id)
    }
}

/// A value for each rule that has decided something, made at its first decision.
#[derive(Debug)]
pub(crate) struct PerRule<T>(Vec<Option<T>>);

impl<T> PerRule<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The rule's value; `None` where there is no such rule.
    pub(crate) fn get<'e>(
        &mut self,
        rules: &'e impl Rules,
        id: RuleId,
        make: impl FnOnce(RuleInfo<'e>) -> T,
    ) -> Option<&mut T> {
        let index = usize::try_from(id.0).ok()?;
        if self.0.get(index).is_none_or(Option::is_none) {
            let value = make(rules.rule(id)?);
            if self.0.len() <= index {
                self.0.resize_with(index + 1, || None);
            }
            *self.0.get_mut(index)? = Some(value);
        }
        self.0.get_mut(index)?.as_mut()
    }

    /// The values that were made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}
