//! Rules: one entry of one match list each, with everything inherited.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::device::DeviceMatch;
use crate::glob::Glob;
use crate::identity::{Location, PolicyId};
use crate::network::Protocol;
use crate::preset::Preset;

/// What a rule says of what it matches. An unset action is [`Action::Block`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub enum Action {
    /// Grant, and switch the class into allow-list mode.
    Allow,
    /// Let pass, and say so.
    Audit,
    /// Deny.
    #[default]
    Block,
}

impl Action {
    /// The name as written in a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Audit => "Audit",
            Self::Block => "Block",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The classes of events. Each has its own rules and its own allow-list mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Executing files, and mapping them executable.
    Process,
    /// Reading and writing files.
    File,
    /// Sockets.
    Network,
    /// Linux capabilities.
    Capabilities,
    /// DNS queries; takes network's posture.
    Dns,
    /// System calls; such rules only watch.
    Syscalls,
    /// USB devices of a host.
    Devices,
    /// Named kernel situations.
    Presets,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Process,
        Self::File,
        Self::Network,
        Self::Capabilities,
        Self::Dns,
        Self::Syscalls,
        Self::Devices,
        Self::Presets,
    ];

    /// The field of a policy's `spec` that holds the class's rules.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::File => "file",
            Self::Network | Self::Dns => "network",
            Self::Capabilities => "capabilities",
            Self::Syscalls => "syscalls",
            Self::Devices => "device",
            Self::Presets => "presets",
        }
    }
}

/// The match list a rule stands in. The order is that of attribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleList {
    /// `matchPaths`
    MatchPaths,
    /// `matchDirectories`
    MatchDirectories,
    /// `matchPatterns`
    MatchPatterns,
    /// `matchProtocols`
    MatchProtocols,
    /// `matchDNSQueries`
    MatchDnsQueries,
    /// `matchCapabilities`
    MatchCapabilities,
    /// `matchSyscalls`
    MatchSyscalls,
    /// `matchDevice`
    MatchDevice,
    /// `presets`, which is a list itself and has no section around it.
    Presets,
}

impl RuleList {
    /// The list's field name.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::MatchPaths => "matchPaths",
            Self::MatchDirectories => "matchDirectories",
            Self::MatchPatterns => "matchPatterns",
            Self::MatchProtocols => "matchProtocols",
            Self::MatchDnsQueries => "matchDNSQueries",
            Self::MatchCapabilities => "matchCapabilities",
            Self::MatchSyscalls => "matchSyscalls",
            Self::MatchDevice => "matchDevice",
            Self::Presets => "presets",
        }
    }
}

/// What a rule matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Object {
    /// The same absolute path, byte for byte.
    Path(String),
    /// The last component of an executable's path.
    ExecName(String),
    /// A directory.
    Directory(Directory),
    /// The whole path matches a glob.
    Pattern(Glob),
    /// A protocol or socket type.
    Protocol(Protocol),
    /// A domain and its sub-domains.
    Domain(String),
    /// A capability.
    Capability(Capability),
    /// System calls, perhaps on one file or below one directory only.
    Syscalls {
        /// Names of the system calls. An empty list matches none.
        names: Vec<String>,
        /// The file or directory that the call must be about, if any.
        scope: Option<PathScope>,
    },
    /// USB devices.
    Device(DeviceMatch),
    /// A kernel situation.
    Preset(Preset),
    /// Nothing: the rule's path is a symbolic link in the workload's root, and events carry
    /// the path of the real file. Holds the path as it was written.
    Nothing(String),
}

/// A directory named by a rule: itself, its direct children and, where recursive, everything
/// below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Directory {
    /// Absolute, and ends in `/`.
    pub path: String,
    /// Whether everything below the directory matches, or its direct children alone.
    pub recursive: bool,
}

impl Directory {
    /// Whether `path` is the directory itself, a direct child or, where recursive, below it.
    ///
    /// ```
    /// use gambeson_policy_model::Directory;
    /// let etc = Directory { path: "/etc/".into(), recursive: false };
    /// assert!(etc.contains(b"/etc") && etc.contains(b"/etc/passwd"));
    /// assert!(!etc.contains(b"/etc/ssl/certs") && !etc.contains(b"/etcetera"));
    /// ```
    #[must_use]
    pub fn contains(&self, path: &[u8]) -> bool {
        let dir = self.path.as_bytes();
        if path == dir || dir.strip_suffix(b"/") == Some(path) {
            return true;
        }
        path.strip_prefix(dir)
            .is_some_and(|rest| self.recursive || !rest.contains(&b'/'))
    }
}

/// A file or a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathScope {
    /// Exactly this file.
    Path(String),
    /// A directory.
    Directory(Directory),
}

impl PathScope {
    /// Whether `path` is the file, or within the directory.
    #[must_use]
    pub fn contains(&self, path: &[u8]) -> bool {
        match self {
            Self::Path(exact) => exact.as_bytes() == path,
            Self::Directory(directory) => directory.contains(path),
        }
    }
}

/// One entry of `fromSource`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A program, or the programs of a directory.
    Scope(PathScope),
    /// Nothing: the path is a symbolic link in the workload's root, and no executable is one.
    /// Holds the path as it was written.
    Nothing(String),
}

impl Source {
    /// Whether the executable at `path` is this source.
    #[must_use]
    pub fn contains(&self, path: &[u8]) -> bool {
        match self {
            Self::Scope(scope) => scope.contains(path),
            Self::Nothing(_) => false,
        }
    }
}

/// The conditions of a rule. A rule with any has a fixed effect, whatever of Allow and Block its
/// action is: it grants where all of them hold and denies otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Conditions {
    /// `ownerOnly`: the subject's fsuid owns the object.
    pub owner_only: bool,
    /// `readOnly`: the event is a read.
    pub read_only: bool,
    /// `pts: false`: the subject has no controlling terminal.
    pub no_tty: bool,
    /// `allowedArgs`: every argument after `argv[0]` is in the list. An empty list is no condition.
    pub allowed_args: Vec<String>,
}

impl Conditions {
    /// Whether there is no condition at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.owner_only && !self.read_only && !self.no_tty && self.allowed_args.is_empty()
    }
}

/// One entry of one match list, with action, severity, tags and message resolved
/// rule → section → spec, each on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The policy it stands in.
    pub policy: Arc<PolicyId>,
    /// The class of events it speaks of.
    pub class: Class,
    /// The list it stands in.
    pub list: RuleList,
    /// Its place in that list, from 0.
    pub index: u32,
    /// What it matches.
    pub object: Object,
    /// The programs it is confined to. Empty: every program.
    pub sources: Vec<Source>,
    /// What it says.
    pub action: Action,
    /// On what conditions.
    pub conditions: Conditions,
    /// 1 to 10; 0 where none is given.
    pub severity: u8,
    /// Tags; replaced, not merged, on the way rule → section → spec.
    pub tags: Arc<[String]>,
    /// Message; empty where none is given.
    pub message: Arc<str>,
    /// Where the rule is written.
    pub location: Location,
}

impl Rule {
    /// The rule's field path below `spec`, such as `process.matchPaths[0]`.
    #[must_use]
    pub fn field_path(&self) -> String {
        field_path(self.class, self.list, self.index)
    }

    /// The key by which ties between rules are attributed; the smallest wins.
    #[must_use]
    pub fn attribution_key(&self) -> (&str, &'static str, RuleList, u32, Option<&str>) {
        (
            &self.policy.name,
            self.policy.kind.name(),
            self.list,
            self.index,
            self.policy.namespace.as_deref(),
        )
    }

    /// Whether the rule can deny an event: a Block, or a conditioned Allow or Block.
    #[must_use]
    pub fn can_deny(&self) -> bool {
        match self.action {
            Action::Block => true,
            Action::Allow => !self.conditions.is_empty(),
            Action::Audit => false,
        }
    }
}

/// The field path below `spec` of one entry, such as `process.matchPaths[0]`.
#[must_use]
pub fn field_path(class: Class, list: RuleList, index: u32) -> String {
    match list {
        RuleList::Presets => format!("presets[{index}]"),
        _ => format!("{}.{}[{index}]", class.section(), list.field()),
    }
}
