//! The patterns and execnames that rules are written with.

use gambeson_policy_model::RuleId;

/// The pattern or execname of a rule, for backends whose mechanism has globs of its own: automata
/// don't tell what they were built from.
///
/// ```
/// use gambeson_matcher::{Compile, Config};
/// use gambeson_policy_model::{PolicySet, Workload};
/// let policies = PolicySet::from_str("
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: {name: web}
/// spec:
///   file: {matchPatterns: [{pattern: /etc/*.key}]}
/// ")?;
/// let compiled = policies.select(&Workload::pod("default")).compile(&Config::default())?;
/// let glob = compiled.globs().next().ok_or("no pattern")?;
/// assert_eq!(glob.text, "/etc/*.key");
/// assert!(glob.sources.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobRule<'p> {
    /// The rule.
    pub rule: RuleId,
    /// The pattern as written, or the execname; the rule's shape tells which.
    pub text: &'p str,
    /// The source classes that the rule names, in order. Without any, a rule that is confined to
    /// sources applies to no program.
    pub sources: &'p [u32],
}
