//! What is kept of each rule that has decided something.

use gambeson::policy_model::{RuleId, RuleInfo};

use super::engine::Engine;

/// A value for each rule that has decided something, made at its first decision.
#[derive(Debug)]
pub(crate) struct PerRule<T>(Vec<Option<T>>);

impl<T> PerRule<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The rule's value; `None` where the engine knows no such rule.
    pub(crate) fn get<'e>(
        &mut self,
        engine: &'e Engine,
        id: RuleId,
        make: impl FnOnce(RuleInfo<'e>) -> T,
    ) -> Option<&mut T> {
        let index = usize::try_from(id.0).ok()?;
        if self.0.get(index).is_none_or(Option::is_none) {
            let value = make(engine.rule(id)?);
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
