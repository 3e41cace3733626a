//! The compiled policy: what an embedder keeps.

use std::sync::Arc;

use gambeson_policy_model::{Decision, Diagnostic, Event, RuleId, RuleInfo, Selection};

use crate::compile;
use crate::config::{CompileError, Config};
use crate::glob_rule::GlobRule;
use crate::kept::KeptRules;
use crate::native::NativeText;
use crate::prepare::prepare;
use crate::rule_shape::RuleShape;
use crate::tables::Tables;
use crate::tables::image::{self, ImageError};
use crate::tables::provenance::Provenance;

/// Rules of one workload, compiled. Immutable, cheap to clone, and shared between threads.
///
/// ```
/// use gambeson_matcher::{CompiledPolicy, Config};
/// use gambeson_policy_model::{Event, Selection, Verdict};
/// let compiled = CompiledPolicy::compile(&Selection::new(vec![]), &Config::default())?;
/// assert_eq!(compiled.decide(&Event::read("/etc/passwd")).verdict(), Verdict::Allow);
/// let bytes = compiled.to_bytes();
/// assert_eq!(CompiledPolicy::from_bytes(&bytes)?, compiled);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CompiledPolicy {
    tables: Arc<Tables>,
    provenance: Arc<Provenance>,
    warnings: Arc<[Diagnostic]>,
    kept: Option<Arc<KeptRules>>,
}

/// Whether both decide alike by the same rules. Warnings and rules that are kept don't count.
impl PartialEq for CompiledPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.tables == other.tables && self.provenance == other.provenance
    }
}

impl Eq for CompiledPolicy {}

impl CompiledPolicy {
    /// Compiles what applies to a workload.
    ///
    /// # Errors
    /// Two policies of one name, an unreadable root, or limits: the error names the rule.
    pub fn compile(selection: &Selection, config: &Config) -> Result<Self, CompileError> {
        let prepared = prepare(selection, config)?;
        let tables = compile::compile(&prepared, config.limits)?;
        Ok(Self {
            tables: Arc::new(tables),
            provenance: Arc::new(Provenance::new(&prepared.rules, &prepared.apparmor)),
            warnings: prepared.warnings.into(),
            kept: config
                .keep_rules
                .then(|| Arc::new(KeptRules::new(prepared.rules, prepared.enforcement))),
        })
    }

    /// Decides an event. Allocates nothing; takes time in the length of the path, not in the number
    /// of rules.
    #[must_use]
    #[inline]
    pub fn decide(&self, event: &Event<'_>) -> Decision {
        self.tables.decide(event)
    }

    /// The rule with this id: policy, field path, file, line, severity, tags and message.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<RuleInfo<'_>> {
        self.provenance.rule(id)
    }

    /// What sort of rule the rule with this id is.
    #[must_use]
    pub fn shape(&self, id: RuleId) -> Option<RuleShape> {
        self.provenance.shape(id)
    }

    /// Every rule, in the order of ids.
    pub fn rules(&self) -> impl Iterator<Item = (RuleId, RuleInfo<'_>)> {
        (0..self.tables.head.rules)
            .map(RuleId)
            .filter_map(|id| Some((id, self.rule(id)?)))
    }

    /// The native AppArmor rules of the policies that apply.
    pub fn apparmor(&self) -> impl Iterator<Item = NativeText<'_>> {
        self.provenance.apparmor()
    }

    /// The patterns and execnames of rules, in the order of ids.
    ///
    /// The tables hold them as automata. Mechanisms that have patterns of their own translate this text.
    pub fn globs(&self) -> impl Iterator<Item = GlobRule<'_>> {
        self.provenance.globs()
    }

    /// How many rules there are; their ids are below.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.tables.head.rules as usize
    }

    /// What compiling found doubtful, such as rules that name a symbolic link.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The rules themselves, where [`Config::keep_rules`] asked for them; an image holds none.
    #[must_use]
    pub fn kept_rules(&self) -> Option<&KeptRules> {
        self.kept.as_deref()
    }

    /// The same policy without the rules themselves.
    #[must_use]
    pub fn without_kept_rules(&self) -> Self {
        Self {
            kept: None,
            ..self.clone()
        }
    }

    /// The tables, for backends. They change with [`IMAGE_VERSION`](crate::IMAGE_VERSION).
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Size of the tables in bytes, without the stack size of this value and rules that are kept.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        self.tables.bytes() + self.provenance.bytes()
    }

    /// Shares the tables of `other` where they are equal, and says whether they are: policies with
    /// equal rules then take the memory of one, whatever they are called and wherever they are
    /// written.
    pub fn share_with(&mut self, other: &Self) -> bool {
        let equal = self.tables == other.tables;
        if equal {
            self.tables = other.tables.clone();
        }
        if self.provenance == other.provenance {
            self.provenance = other.provenance.clone();
        }
        equal
    }

    /// Whether both use the very same tables in memory.
    #[must_use]
    pub fn shares_tables_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tables, &other.tables)
    }

    /// The image: versioned, tagged with its byte order, the same for equal policies.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        image::write(&self.tables, &self.provenance)
    }

    /// Loads an image. Safe on any bytes: everything that the image refers to is checked.
    ///
    /// # Errors
    /// When the bytes are no image of this version, or a damaged one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ImageError> {
        let (tables, provenance) = image::read(bytes)?;
        Ok(Self {
            tables: Arc::new(tables),
            provenance: Arc::new(provenance),
            warnings: Arc::default(),
            kept: None,
        })
    }
}

/// Lets a selection be compiled in one breath: `policies.select(&workload).compile(&config)`.
pub trait Compile {
    /// Compiles what applies to a workload.
    ///
    /// # Errors
    /// As [`CompiledPolicy::compile`].
    fn compile(&self, config: &Config) -> Result<CompiledPolicy, CompileError>;
}

impl Compile for Selection {
    fn compile(&self, config: &Config) -> Result<CompiledPolicy, CompileError> {
        CompiledPolicy::compile(self, config)
    }
}
