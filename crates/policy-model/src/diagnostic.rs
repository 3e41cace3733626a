//! Diagnostics: what is wrong or doubtful in a policy, where, and what to do about it.

use std::fmt;

use serde::Serialize;

use crate::identity::Location;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The policy is taken, but may not say what its author means.
    Warning,
    /// The policy is not taken.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Declares the codes, each with its stable name and what it stands for.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A stable name for a kind of diagnostic.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

codes! {
    // Reading.
    /// The text is not YAML.
    Syntax = "syntax",
    // Lints.
    /// An Allow rule switches its class into allow-list mode.
    AllowListMode = "allow-list-mode",
    /// A path that a system with a merged `/usr` resolves elsewhere.
    MergedUsr = "merged-usr",
    /// A path below a directory that is a link on most systems, such as `/var/run`.
    LinkedDirectory = "linked-directory",
    /// A domain with a wildcard, which has no meaning there.
    WildcardDomain = "wildcard-domain",
    /// A pattern that reads like a regular expression.
    RegularExpression = "regular-expression",
    /// A process pattern that holds arguments.
    CommandArguments = "command-arguments",
    /// A literal path with characters that are special in patterns only.
    GlobInPath = "glob-in-path",
    /// A selector that selects every workload of its kind.
    SelectsEverything = "selects-everything",
    /// A policy that selects none of the given workloads.
    SelectsNothing = "selects-nothing",
    /// A pattern that matches no path that an event can carry.
    ImpossiblePattern = "impossible-pattern",
    /// A path that is a symbolic link in the workload's root.
    SymlinkRule = "symlink-rule",
    /// A symbolic link in a rule's path that can't be followed in the workload's root.
    UnresolvedLink = "unresolved-link",
    /// Two policies of one kind, namespace and name.
    DuplicatePolicy = "duplicate-policy",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable name of its kind.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop, user input in back-ticks.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where.
    pub location: Location,
    /// The field path from the top of the document, such as `spec.process.matchPaths[0].path`;
    /// empty for the document itself.
    pub field: String,
}
