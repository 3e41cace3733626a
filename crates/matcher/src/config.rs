//! What a compilation can be asked for, and how it can fail.

use std::path::PathBuf;
use std::sync::Arc;

use gambeson_policy_model::{Location, PolicyId, Postures, RootError, Rule};
use thiserror::Error;

/// How rules are compiled.
///
/// ```
/// use gambeson_matcher::Config;
/// let config = Config::default().posture("file=block".parse()?);
/// # Ok::<(), gambeson_policy_model::PostureError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    pub(crate) posture: Postures,
    pub(crate) root: Option<PathBuf>,
    pub(crate) limits: CompileLimits,
    pub(crate) keep_rules: bool,
}

impl Config {
    /// Sets the embedder's default postures. The namespace's annotations go before them; where
    /// neither gives one, Audit stands.
    #[must_use]
    pub const fn posture(mut self, posture: Postures) -> Self {
        self.posture = posture;
        self
    }

    /// Sets the directory that is the workload's root, in which symbolic links in rules' paths
    /// are resolved.
    #[must_use]
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }

    /// Sets the limits on what is compiled.
    #[must_use]
    pub const fn limits(mut self, limits: CompileLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps the rules themselves beside the compiled tables, which hold no more of them than what
    /// decides: it takes some hundred bytes for each rule, and decisions can then be explained
    /// ([`CompiledPolicy::kept_rules`](crate::CompiledPolicy::kept_rules)).
    #[must_use]
    pub const fn keep_rules(mut self) -> Self {
        self.keep_rules = true;
        self
    }
}

/// CompileLimits on a compilation. Beyond them it fails, and says which rule is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// The most states that one pattern may need by itself.
    pub states_per_pattern: usize,
    /// The most automata that patterns may be spread over. Each costs time in every decision.
    pub automata: usize,
    /// The most bytes of a compiled image.
    pub image_bytes: usize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            states_per_pattern: 1 << 14,
            automata: 64,
            image_bytes: 1 << 30,
        }
    }
}

/// Where a rule stands, for an error that blames it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRef {
    /// The policy it stands in.
    pub policy: Arc<PolicyId>,
    /// Its field path below `spec`.
    pub field: String,
    /// Where it is written.
    pub location: Location,
}

impl From<&Rule> for RuleRef {
    fn from(rule: &Rule) -> Self {
        Self {
            policy: rule.policy.clone(),
            field: rule.field_path(),
            location: rule.location.clone(),
        }
    }
}

impl std::fmt::Display for RuleRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} of {}", self.location, self.field, self.policy)
    }
}

/// Why rules can't be compiled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// Two policies of one kind, namespace and name.
    #[error("{second}: {policy} is already defined at {first}; rename or remove one of them")]
    DuplicatePolicy {
        /// What they share.
        policy: Arc<PolicyId>,
        /// Where the first is written.
        first: Location,
        /// Where the second is written.
        second: Location,
    },
    /// The workload's root can't be read.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A pattern that needs too many states.
    #[error(
        "{rule}: the pattern `{pattern}` needs more than {limit} states; \
         use fewer wildcards in front of `?`, sets and each other"
    )]
    PatternTooLarge {
        /// The rule to blame.
        rule: Box<RuleRef>,
        /// The pattern as written.
        pattern: String,
        /// The most states that one pattern may need.
        limit: usize,
    },
    /// Patterns that need too many automata together.
    #[error(
        "{rule}: the patterns together need more than {limit} automata; \
         `{pattern}` is the most expensive of them"
    )]
    TooManyAutomata {
        /// The most expensive rule.
        rule: Box<RuleRef>,
        /// Its pattern as written.
        pattern: String,
        /// The most automata.
        limit: usize,
    },
    /// More rules than an image can number.
    #[error("{count} rules apply; one image holds at most {limit}")]
    TooManyRules {
        /// How many there are.
        count: usize,
        /// The most rules.
        limit: usize,
    },
    /// An image that grows too large.
    #[error("the compiled image needs more than {limit} bytes")]
    ImageTooLarge {
        /// The most bytes.
        limit: usize,
    },
}
