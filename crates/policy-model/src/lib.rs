//! KubeArmor's policies as Gambeson understands them.
//!
//! A **policy** ([`PolicyId`]) holds **rules** ([`Rule`]); a **workload** ([`Workload`]) is what
//! policies select; an **event** ([`Event`]) is judged by the rules that apply, and ends in a
//! **decision** ([`Decision`]).
//!
//! [`Reader`] turns YAML or JSON into checked policies, strictly or leniently ([`Mode`]), and says
//! of every problem where it is and what to do about it ([`Diagnostic`], [`render_human`]).
//! [`PolicySet`] holds what was read and gives each workload its [`Selection`] of rules.

mod alert;
mod capability;
mod decision;
mod device;
mod diagnostic;
mod document;
mod edit;
mod event;
mod event_json;
mod glob;
mod glob_text;
mod identity;
mod limits;
mod lines;
mod lint;
mod network;
mod node;
mod policy;
mod posture;
mod preset;
mod read;
mod reader;
mod root;
mod rule;
mod rule_info;
mod schema;
mod selection;
mod selector;
mod set;
mod shape;
mod syscalls;
mod text;
mod workload_json;
mod write;
mod yaml;

pub use alert::{
    Admission, Alert, AlertContext, AlertError, AlertThrottle, DEFAULT_POSTURE, ExecEvent,
    PodOwner, UnixTime,
};
pub use capability::Capability;
pub use decision::{Cause, Decision, RuleId, Verdict};
pub use device::{Device, DeviceClass, DeviceMatch};
pub use diagnostic::{Code, Diagnostic, Severity, SourceMap, render_human};
pub use document::Document;
pub use edit::{EditError, RulePlace};
pub use event::{Event, EventPath, Operation};
pub use event_json::{EventError, event_schema};
pub use glob::{ByteSet, Glob, GlobError, Token, matches_tokens};
pub use identity::{Location, PolicyId, PolicyKind};
pub use limits::Limits;
pub use lint::{lint_duplicates, lint_rules, lint_unselected};
pub use network::{Protocol, Socket};
pub use policy::{Common, Entry, Metadata, Policy, Section, SelectorSpec, Spec, Written};
pub use posture::{Enforcement, PostureError, Postures, parse_posture};
pub use preset::Preset;
pub use read::Mode;
pub use reader::{InvalidPolicies, ReadError, Reader, Reading};
pub use root::{RootError, resolve_in_root};
pub use rule::{
    Action, Class, Conditions, Directory, Object, PathScope, Rule, RuleList, Source, field_path,
};
pub use rule_info::RuleInfo;
pub use schema::policy_schema;
pub use selection::{ApparmorText, Duplicate, Selection};
pub use selector::{
    ContainerFilter, DEFAULT_NAMESPACE, Expression, ExpressionKey, Labels, Operator, Selector,
    Workload,
};
pub use set::{LoadError, PolicySet};
pub use syscalls::syscall_names;
pub use workload_json::WorkloadError;
