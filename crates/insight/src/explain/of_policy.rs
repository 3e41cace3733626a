//! Explanations from a compiled policy itself.

use gambeson_matcher::CompiledPolicy;
use gambeson_policy_model::Event;
use thiserror::Error;

use super::{Explainer, Explanation};

/// The policy holds no rules to explain decisions with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the policy was compiled without keeping its rules, or loaded from an image; \
     compile it with `Config::keep_rules`, or make an `Explainer` from the selection"
)]
#[non_exhaustive]
pub struct RulesNotKept;

/// Lets a compiled policy explain its decisions: `compiled.explain(&event)`.
///
/// The tables hold of the rules only what decides. A policy that is to explain itself is compiled with
/// [`Config::keep_rules`](gambeson_matcher::Config::keep_rules).
///
/// ```
/// use gambeson_insight::explain::Explain;
/// use gambeson_matcher::{Compile, CompiledPolicy, Config};
/// use gambeson_policy_model::{Event, PolicySet, Verdict, Workload};
/// let policies = PolicySet::from_str("
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: {name: web}
/// spec:
///   process:
///     matchPaths: [{path: /bin/ls, action: Allow}]
///     matchDirectories: [{dir: /bin/, action: Block}]
/// ")?;
/// let web = policies.select(&Workload::pod("default"));
/// let compiled = web.compile(&Config::default().keep_rules())?;
///
/// let explanation = compiled.explain(&Event::exec("/bin/sh").by("/usr/bin/node"))?;
/// assert_eq!(explanation.decision.verdict, Verdict::Block);
/// let decisive = explanation.matched.first().and_then(|first| compiled.rule(first.rule));
/// assert_eq!(decisive.ok_or("no rule")?.field_path(), "process.matchDirectories[0]");
///
/// // An image holds the tables alone.
/// let loaded = CompiledPolicy::from_bytes(&compiled.to_bytes())?;
/// assert!(loaded.explain(&Event::exec("/bin/sh")).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Explain {
    /// The policy's explainer, which finds rules by what they name. It is made at the first call, in
    /// about the time that compiling takes, and kept.
    ///
    /// # Errors
    /// When the policy holds no rules.
    fn explainer(&self) -> Result<&Explainer, RulesNotKept>;

    /// Explains the decision on an event.
    ///
    /// # Errors
    /// When the policy holds no rules.
    fn explain(&self, event: &Event<'_>) -> Result<Explanation, RulesNotKept> {
        Ok(self.explainer()?.explain(event))
    }
}

impl Explain for CompiledPolicy {
    fn explainer(&self) -> Result<&Explainer, RulesNotKept> {
        let kept = self.kept_rules().ok_or(RulesNotKept)?;
        kept.derived(|kept| Explainer::of(self, Some(kept)))
            .ok_or(RulesNotKept)
    }
}

#[cfg(test)]
mod tests {
    use gambeson_matcher::testing::Random;
    use gambeson_matcher::{Compile as _, Config};

    use super::*;

    #[test]
    fn a_policy_explains_as_its_explainer_does() {
        let mut random = Random::new(11);
        for _ in 0..20 {
            let selection = random.selection(30);
            let config = Config::default();
            let alone = selection.compile(&config).unwrap();
            let compiled = selection.compile(&config.clone().keep_rules()).unwrap();
            assert_eq!(alone, compiled);
            let explainer = Explainer::new(&selection, &config).unwrap();
            for _ in 0..50 {
                let event = random.event();
                let explanation = compiled.explain(&event).unwrap();
                assert_eq!(explanation, explainer.explain(&event));
                assert_eq!(explanation.decision, compiled.decide(&event));
                assert_eq!(alone.explain(&event), Err(RulesNotKept));
            }
        }
    }
}
