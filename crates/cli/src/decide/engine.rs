//! What carries decisions out.

use gambeson::matcher::reference::Evaluator;
use gambeson::matcher::{Compile as _, CompileError, CompiledPolicy, Config};
use gambeson::policy_model::{Decision, Diagnostic, Event, RuleId, RuleInfo, Selection};

use super::rule::Rules;
use crate::args;

/// The compiled tables, or the reference evaluator. Both give the same decisions.
#[derive(Debug)]
pub(crate) enum Engine {
    Compiled(CompiledPolicy),
    Reference(Evaluator),
}

impl Engine {
    pub(crate) fn new(
        which: args::Engine,
        selection: &Selection,
        config: &Config,
    ) -> Result<Self, CompileError> {
        match which {
            args::Engine::Compiled => selection.compile(config).map(Self::Compiled),
            args::Engine::Reference => Evaluator::new(selection, config).map(Self::Reference),
        }
    }

    pub(crate) fn decide(&self, event: &Event<'_>) -> Decision {
        match self {
            Self::Compiled(policy) => policy.decide(event),
            Self::Reference(evaluator) => evaluator.decide(event),
        }
    }

    /// What was doubtful when the policies were compiled.
    pub(crate) fn warnings(&self) -> &[Diagnostic] {
        match self {
            Self::Compiled(policy) => policy.warnings(),
            Self::Reference(_) => &[],
        }
    }
}

impl Rules for Engine {
    fn rule(&self, id: RuleId) -> Option<RuleInfo<'_>> {
        match self {
            Self::Compiled(policy) => policy.rule(id),
            Self::Reference(evaluator) => evaluator.rule(id).map(RuleInfo::from),
        }
    }
}
