//! Every object of the schema, field by field.
//!
//! Facts: KubeArmor's custom resource definitions (`deployments/CRD/*.yaml` and
//! `pkg/KubeArmorController/api/security.kubearmor.com/v1/common.go`).

use super::{Content, Field, Shape};
use crate::identity::PolicyKind;
use crate::rule::{Class, RuleList};

const fn optional(name: &'static str, content: Content) -> Field {
    Field {
        name,
        content,
        required: None,
    }
}

const fn required(name: &'static str, content: Content, assumed: &'static str) -> Field {
    Field {
        name,
        content,
        required: Some(assumed),
    }
}

const NOTHING: &str = "the rule matches nothing";
const ANY_SOURCE: &str = "the rule speaks of every program";

const SEVERITY: Field = optional("severity", Content::Severity);
const TAGS: Field = optional("tags", Content::Tags);
const MESSAGE: Field = optional("message", Content::Message);
const ACTION: Field = optional("action", Content::Action);
const ALL_FOUR: &[Field] = &[SEVERITY, TAGS, MESSAGE, ACTION];
const WITHOUT_ACTION: &[Field] = &[SEVERITY, TAGS, MESSAGE];

const OWNER_ONLY: Field = optional("ownerOnly", Content::OwnerOnly);
const READ_ONLY: Field = optional("readOnly", Content::ReadOnly);
const RECURSIVE: Field = optional("recursive", Content::Recursive);
const PTS: Field = optional("pts", Content::Pts);
const FROM_SOURCE: Field = optional("fromSource", Content::FromSource(&SOURCE));
const HOST_FROM_SOURCE: Field = required("fromSource", Content::FromSource(&SOURCE), ANY_SOURCE);
const SYSCALL_FROM_SOURCE: Field = optional("fromSource", Content::FromSource(&SYSCALL_SOURCE));

macro_rules! shape {
    (
        $name:ident, $shared:expr, [$($field:expr),+ $(,)?]
        $(, lenient: [$($lenient:expr),+ $(,)?])?
    ) => {
        static $name: Shape = Shape {
            own: &[$($field),+],
            shared: $shared,
            lenient: &[$($($lenient),+)?],
        };
    };
}

shape!(
    SOURCE,
    &[],
    [optional("path", Content::Path)],
    lenient: [optional("dir", Content::SourceDir), RECURSIVE]
);
shape!(
    SYSCALL_SOURCE,
    &[],
    [
        optional("path", Content::Path),
        optional("dir", Content::SourceDir),
        RECURSIVE,
    ]
);

shape!(
    PROCESS_PATH,
    ALL_FOUR,
    [
        optional("path", Content::Path),
        optional("execname", Content::ExecName),
        optional("allowedArgs", Content::AllowedArgs),
        OWNER_ONLY,
        PTS,
        FROM_SOURCE,
    ]
);
shape!(
    PROCESS_DIRECTORY,
    ALL_FOUR,
    [
        required("dir", Content::Dir, NOTHING),
        RECURSIVE,
        OWNER_ONLY,
        PTS,
        FROM_SOURCE,
    ]
);
shape!(
    PROCESS_PATTERN,
    ALL_FOUR,
    [required("pattern", Content::Pattern, NOTHING), OWNER_ONLY,]
);
shape!(
    FILE_PATH,
    ALL_FOUR,
    [
        required("path", Content::Path, NOTHING),
        READ_ONLY,
        OWNER_ONLY,
        PTS,
        FROM_SOURCE,
    ]
);
shape!(
    FILE_DIRECTORY,
    ALL_FOUR,
    [
        required("dir", Content::Dir, NOTHING),
        RECURSIVE,
        READ_ONLY,
        OWNER_ONLY,
        PTS,
        FROM_SOURCE,
    ]
);
shape!(
    FILE_PATTERN,
    ALL_FOUR,
    [
        required("pattern", Content::Pattern, NOTHING),
        READ_ONLY,
        OWNER_ONLY,
    ]
);
shape!(
    PROTOCOL,
    ALL_FOUR,
    [
        required("protocol", Content::Protocol, NOTHING),
        PTS,
        FROM_SOURCE,
    ]
);
shape!(
    HOST_PROTOCOL,
    ALL_FOUR,
    [
        required("protocol", Content::Protocol, NOTHING),
        HOST_FROM_SOURCE,
    ],
    lenient: [PTS]
);
shape!(
    DNS_QUERY,
    ALL_FOUR,
    [required("domain", Content::Domain, NOTHING), FROM_SOURCE,]
);
shape!(
    CAPABILITY,
    ALL_FOUR,
    [
        required("capability", Content::Capability, NOTHING),
        FROM_SOURCE,
    ]
);
shape!(
    HOST_CAPABILITY,
    ALL_FOUR,
    [
        required("capability", Content::Capability, NOTHING),
        HOST_FROM_SOURCE,
    ]
);
shape!(
    SYSCALL,
    &[],
    [
        optional("syscall", Content::SyscallNames),
        SYSCALL_FROM_SOURCE,
    ]
);
shape!(
    SYSCALL_PATH,
    &[],
    [
        optional("path", Content::PathOrDir),
        RECURSIVE,
        optional("syscall", Content::SyscallNames),
        SYSCALL_FROM_SOURCE,
    ]
);
shape!(
    DEVICE,
    ALL_FOUR,
    [
        required("class", Content::DeviceClass, NOTHING),
        optional("subClass", Content::SubClass),
        optional("protocol", Content::DeviceProtocol),
        optional("level", Content::Level),
    ]
);
shape!(
    PRESET,
    &[ACTION],
    [required("name", Content::PresetName, NOTHING),]
);

shape!(
    PROCESS,
    ALL_FOUR,
    [
        optional(
            "matchPaths",
            Content::Entries(RuleList::MatchPaths, &PROCESS_PATH)
        ),
        optional(
            "matchDirectories",
            Content::Entries(RuleList::MatchDirectories, &PROCESS_DIRECTORY)
        ),
        optional(
            "matchPatterns",
            Content::Entries(RuleList::MatchPatterns, &PROCESS_PATTERN)
        ),
    ]
);
shape!(
    FILE,
    ALL_FOUR,
    [
        optional(
            "matchPaths",
            Content::Entries(RuleList::MatchPaths, &FILE_PATH)
        ),
        optional(
            "matchDirectories",
            Content::Entries(RuleList::MatchDirectories, &FILE_DIRECTORY)
        ),
        optional(
            "matchPatterns",
            Content::Entries(RuleList::MatchPatterns, &FILE_PATTERN)
        ),
    ]
);
shape!(
    NETWORK,
    ALL_FOUR,
    [
        optional(
            "matchProtocols",
            Content::Entries(RuleList::MatchProtocols, &PROTOCOL)
        ),
        optional(
            "matchDNSQueries",
            Content::Entries(RuleList::MatchDnsQueries, &DNS_QUERY)
        ),
    ]
);
shape!(
    HOST_NETWORK,
    ALL_FOUR,
    [
        optional(
            "matchProtocols",
            Content::Entries(RuleList::MatchProtocols, &HOST_PROTOCOL)
        ),
        optional(
            "matchDNSQueries",
            Content::Entries(RuleList::MatchDnsQueries, &DNS_QUERY)
        ),
    ]
);
shape!(
    CAPABILITIES,
    ALL_FOUR,
    [optional(
        "matchCapabilities",
        Content::Entries(RuleList::MatchCapabilities, &CAPABILITY)
    ),]
);
shape!(
    HOST_CAPABILITIES,
    ALL_FOUR,
    [optional(
        "matchCapabilities",
        Content::Entries(RuleList::MatchCapabilities, &HOST_CAPABILITY)
    ),]
);
shape!(
    SYSCALLS,
    WITHOUT_ACTION,
    [
        optional(
            "matchSyscalls",
            Content::Entries(RuleList::MatchSyscalls, &SYSCALL)
        ),
        optional(
            "matchPaths",
            Content::Entries(RuleList::MatchPaths, &SYSCALL_PATH)
        ),
    ]
);
shape!(
    DEVICES,
    ALL_FOUR,
    [optional(
        "matchDevice",
        Content::Entries(RuleList::MatchDevice, &DEVICE)
    ),]
);

shape!(
    EXPRESSION,
    &[],
    [
        required("key", Content::ExpressionKey, "no workload has it"),
        required("operator", Content::Operator, "left out"),
        required("values", Content::ExpressionValues, "there are none"),
    ]
);
shape!(
    POD_SELECTOR,
    &[],
    [
        optional("matchLabels", Content::MatchLabels),
        optional(
            "matchExpressions",
            Content::MatchExpressions { namespaces: false }
        ),
    ]
);
shape!(
    CLUSTER_SELECTOR,
    &[],
    [optional(
        "matchExpressions",
        Content::MatchExpressions { namespaces: true }
    ),],
    lenient: [optional("matchLabels", Content::MatchLabels)]
);
shape!(
    NODE_SELECTOR,
    &[],
    [optional("matchLabels", Content::MatchLabels),]
);

const PROCESS_SECTION: Field = optional("process", Content::Section(Class::Process, &PROCESS));
const FILE_SECTION: Field = optional("file", Content::Section(Class::File, &FILE));
const NETWORK_SECTION: Field = optional("network", Content::Section(Class::Network, &NETWORK));
const CAPABILITIES_SECTION: Field = optional(
    "capabilities",
    Content::Section(Class::Capabilities, &CAPABILITIES),
);
const SYSCALLS_SECTION: Field = optional("syscalls", Content::Section(Class::Syscalls, &SYSCALLS));
const PRESETS: Field = optional("presets", Content::Entries(RuleList::Presets, &PRESET));
const APPARMOR: Field = optional("apparmor", Content::Apparmor);

shape!(
    POLICY_SPEC,
    ALL_FOUR,
    [
        optional("selector", Content::Selector(&POD_SELECTOR)),
        PROCESS_SECTION,
        FILE_SECTION,
        NETWORK_SECTION,
        CAPABILITIES_SECTION,
        SYSCALLS_SECTION,
        PRESETS,
        APPARMOR,
    ]
);
shape!(
    CLUSTER_SPEC,
    ALL_FOUR,
    [
        optional("selector", Content::Selector(&CLUSTER_SELECTOR)),
        PROCESS_SECTION,
        FILE_SECTION,
        NETWORK_SECTION,
        CAPABILITIES_SECTION,
        SYSCALLS_SECTION,
        PRESETS,
        APPARMOR,
    ]
);
shape!(
    HOST_SPEC,
    ALL_FOUR,
    [
        required(
            "nodeSelector",
            Content::Selector(&NODE_SELECTOR),
            "the policy selects no node, as in KubeArmor",
        ),
        PROCESS_SECTION,
        FILE_SECTION,
        optional("network", Content::Section(Class::Network, &HOST_NETWORK)),
        optional(
            "capabilities",
            Content::Section(Class::Capabilities, &HOST_CAPABILITIES)
        ),
        SYSCALLS_SECTION,
        optional("device", Content::Section(Class::Devices, &DEVICES)),
        APPARMOR,
    ]
);

shape!(
    OBJECT,
    &[],
    [
        optional("apiVersion", Content::ApiVersion),
        optional("kind", Content::Kind),
        required("metadata", Content::Metadata, "the policy has no name"),
        required("spec", Content::Spec, "taken as empty"),
        optional("status", Content::Unchecked),
    ]
);

shape!(
    METADATA,
    &[],
    [
        required("name", Content::Name, "the policy has no name"),
        optional("namespace", Content::Namespace),
        optional("labels", Content::ObjectLabels),
        optional("annotations", Content::ObjectAnnotations),
        optional("creationTimestamp", Content::Unchecked),
        optional("deletionGracePeriodSeconds", Content::Unchecked),
        optional("deletionTimestamp", Content::Unchecked),
        optional("finalizers", Content::Unchecked),
        optional("generateName", Content::Unchecked),
        optional("generation", Content::Unchecked),
        optional("managedFields", Content::Unchecked),
        optional("ownerReferences", Content::Unchecked),
        optional("resourceVersion", Content::Unchecked),
        optional("selfLink", Content::Unchecked),
        optional("uid", Content::Unchecked),
    ]
);

/// What a policy's `spec` may hold.
pub(crate) const fn spec(kind: PolicyKind) -> &'static Shape {
    match kind {
        PolicyKind::KubeArmorPolicy => &POLICY_SPEC,
        PolicyKind::KubeArmorClusterPolicy => &CLUSTER_SPEC,
        PolicyKind::KubeArmorHostPolicy => &HOST_SPEC,
    }
}

/// What an entry of `matchExpressions` may hold.
pub(crate) const fn expression() -> &'static Shape {
    &EXPRESSION
}

/// What a policy may hold at its top.
pub(crate) const fn object() -> &'static Shape {
    &OBJECT
}

/// What `metadata` may hold.
pub(crate) const fn metadata() -> &'static Shape {
    &METADATA
}
