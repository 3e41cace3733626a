//! The schema of the three kinds as one description: which fields stand where, what they hold,
//! and which must be given. The reader and the JSON Schema are both driven by it.

mod tables;

use crate::rule::{Class, RuleList};

pub(crate) use tables::{expression, metadata, object, spec};

/// What an object may hold.
#[derive(Debug)]
pub(crate) struct Shape {
    own: &'static [Field],
    /// Those of severity, tags, message and action that belong here.
    shared: &'static [Field],
    /// What the schema doesn't have here, but KubeArmor takes where nothing checks the schema.
    lenient: &'static [Field],
}

impl Shape {
    /// Every field.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.own.iter().chain(self.shared)
    }

    /// The fields that lenient reading takes beside those.
    pub(crate) const fn lenient_fields(&self) -> &'static [Field] {
        self.lenient
    }
}

/// One field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) content: Content,
    /// What lenient reading takes it for where it is missing, for fields that must be given.
    pub(crate) required: Option<&'static str>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    /// What isn't looked into: standard fields that don't bear on a policy.
    Unchecked,
    ApiVersion,
    Kind,
    Metadata,
    Spec,
    Name,
    Namespace,
    /// Labels or annotations of the policy itself.
    ObjectLabels,
    ObjectAnnotations,
    Severity,
    Tags,
    Message,
    Action,
    Apparmor,
    /// The spec's selector, of pods or of nodes.
    Selector(&'static Shape),
    MatchLabels,
    /// `matchExpressions`; whether `namespace` is a key there.
    MatchExpressions {
        namespaces: bool,
    },
    ExpressionKey,
    Operator,
    ExpressionValues,
    /// A section of match lists.
    Section(Class, &'static Shape),
    /// A match list.
    Entries(RuleList, &'static Shape),
    Path,
    ExecName,
    Dir,
    /// A directory in `fromSource`, of which the schema asks nothing.
    SourceDir,
    Pattern,
    /// A path or a directory.
    PathOrDir,
    Protocol,
    Domain,
    Capability,
    SyscallNames,
    PresetName,
    DeviceClass,
    SubClass,
    DeviceProtocol,
    Level,
    Recursive,
    OwnerOnly,
    ReadOnly,
    Pts,
    AllowedArgs,
    FromSource(&'static Shape),
}

impl Content {
    /// Whether null stands for absent, as everywhere in Kubernetes' own fields.
    pub(crate) const fn may_be_null(self) -> bool {
        matches!(
            self,
            Self::Unchecked | Self::Namespace | Self::ObjectLabels | Self::ObjectAnnotations
        )
    }
}

/// The API group and version of the three kinds.
pub(crate) const API_VERSION: &str = "security.kubearmor.com/v1";
/// The most items of `allowedArgs`.
pub(crate) const MAX_ALLOWED_ARGS: usize = 20;
/// The longest `path` of KubeArmor's schema, in characters.
pub(crate) const MAX_SCHEMA_PATH: usize = 200;
