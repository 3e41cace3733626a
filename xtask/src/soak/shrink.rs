//! Leaves out of a failing selection whatever isn't needed for the failure.

use gambeson::policy_model::{Conditions, Event, Rule, Selection};

use super::Failure;

/// The same failure with as few rules, sources and conditions as show it. `difference` says what is
/// otherwise with a selection, if anything.
pub(super) fn shrink(
    failing: &Selection,
    event: &Event<'_>,
    difference: &mut dyn FnMut(&Selection) -> Option<String>,
) -> Failure {
    let select = |rules: &[Rule]| {
        Selection::new(rules.to_vec())
            .with_posture(failing.posture())
            .with_enforcement(failing.enforcement())
    };
    let rules = smallest(failing.rules(), &mut |rules| {
        difference(&select(rules)).is_some()
    });
    let selection = select(&rules);
    Failure {
        what: difference(&selection).unwrap_or_else(|| "the difference is gone".to_owned()),
        event: Some(event.to_json()),
        selection,
    }
}

/// The smallest rules that still fail, one step after another.
fn smallest(rules: &[Rule], fails: &mut dyn FnMut(&[Rule]) -> bool) -> Vec<Rule> {
    let mut rules = rules.to_vec();
    let mut at = 0;
    while at < rules.len() {
        match smaller(&rules, at).into_iter().find(|rules| fails(rules)) {
            // What is left may now do without a rule that was needed before.
            Some(found) => {
                rules = found;
                at = 0;
            }
            None => at += 1,
        }
    }
    rules
}

/// The rules without one of them, or with one that lacks a source or its conditions.
fn smaller(rules: &[Rule], at: usize) -> Vec<Vec<Rule>> {
    let Some(rule) = rules.get(at) else {
        return Vec::new();
    };
    let with = |replacement: Option<Rule>| {
        let (before, after) = rules.split_at(at);
        let after = after.get(1..).unwrap_or_default();
        before
            .iter()
            .cloned()
            .chain(replacement)
            .chain(after.iter().cloned())
            .collect()
    };
    let mut found = vec![with(None)];
    if !rule.sources.is_empty() {
        let mut simpler = rule.clone();
        simpler.sources.pop();
        found.push(with(Some(simpler)));
    }
    if !rule.conditions.is_empty() {
        let mut simpler = rule.clone();
        simpler.conditions = Conditions::default();
        found.push(with(Some(simpler)));
    }
    found
}

#[cfg(test)]
mod tests {
    use gambeson::matcher::testing::Random;

    use super::*;

    #[test]
    fn only_the_rules_that_matter_are_left() {
        let selection = Random::new(5).selection(12);
        let culprit = selection.rules()[7].clone();
        let mut fails = |rules: &[Rule]| rules.iter().any(|rule| rule.object == culprit.object);
        let left = smallest(selection.rules(), &mut fails);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].object, culprit.object);
        assert!(left[0].sources.is_empty() && left[0].conditions.is_empty());
    }
}
