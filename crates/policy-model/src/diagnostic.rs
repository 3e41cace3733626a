//! Diagnostics: what is wrong or doubtful in a policy, where, and what to do about it.

mod render;

use std::fmt;

use serde::Serialize;
use serde::ser::SerializeStruct;

pub use render::{SourceMap, render_human};

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
    /// The text is not UTF-8, or holds a control character.
    Encoding = "encoding",
    /// A limit on size, depth, aliases or number is exceeded.
    LimitExceeded = "limit-exceeded",
    /// A file of a folder can't be read.
    Unreadable = "unreadable",
    /// A file without any document.
    NoDocument = "no-document",
    /// The document is no object of Kubernetes: `apiVersion` or `kind` is missing or no name.
    NotAnObject = "not-an-object",
    /// The document is of a kind that is not decided here.
    UnsupportedKind = "unsupported-kind",
    /// The policy is of another API version.
    UnsupportedVersion = "unsupported-version",
    /// A name that Kubernetes doesn't take.
    InvalidName = "invalid-name",
    /// A namespace on a kind that has none.
    IgnoredNamespace = "ignored-namespace",
    /// A field that the schema doesn't have there.
    UnknownField = "unknown-field",
    /// A field that is given twice.
    DuplicateKey = "duplicate-key",
    /// A field that must be given.
    MissingField = "missing-field",
    /// A null where a value is expected.
    NullValue = "null-value",
    /// A value of another type than the schema's.
    WrongType = "wrong-type",
    /// A string that Kubernetes' YAML 1.1 reader takes for a boolean.
    AmbiguousString = "ambiguous-string",
    /// A value that is none of the names that are allowed.
    InvalidValue = "invalid-value",
    /// A number beyond its range, or a list that is too long.
    OutOfRange = "out-of-range",
    /// Fields that exclude each other.
    ConflictingFields = "conflicting-fields",
    /// A field that has no effect where it stands.
    IgnoredField = "ignored-field",
    /// A path that no file can have.
    InvalidPath = "invalid-path",
    /// A path that is longer than KubeArmor's schema allows.
    LongPath = "long-path",
    /// A directory without its trailing slash.
    MissingSlash = "missing-slash",
    /// A file's path with a trailing slash.
    TrailingSlash = "trailing-slash",
    /// A pattern that is not in the dialect.
    InvalidPattern = "invalid-pattern",
    /// A comma list where one name is expected.
    CommaList = "comma-list",
    /// A protocol that is not in the schema.
    UnknownProtocol = "unknown-protocol",
    /// A capability that is not in the schema.
    UnknownCapability = "unknown-capability",
    /// A system call that is not in the schema.
    UnknownSyscall = "unknown-syscall",
    /// A preset that is not known.
    UnknownPreset = "unknown-preset",
    /// A rule that names nothing and so matches nothing.
    MatchesNothing = "matches-nothing",
    /// More problems than are listed.
    TooManyProblems = "too-many-problems",
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
    /// A set that begins with `!`, which negates in shells but not here.
    ShellNegation = "shell-negation",
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

impl Code {
    /// Whether it is about a policy that is taken, but may not say what its author means.
    #[must_use]
    pub fn is_lint(self) -> bool {
        // The lints are the last.
        self >= Self::AllowListMode
    }
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

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}[{}]: {}",
            self.location, self.severity, self.code, self.message
        )
    }
}

impl Serialize for Diagnostic {
    /// As in the command's JSON: code, severity, message, line, column, field and, where there is
    /// one, help.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let length = 6 + usize::from(self.help.is_some());
        let mut object = serializer.serialize_struct("Diagnostic", length)?;
        object.serialize_field("code", &self.code)?;
        object.serialize_field("severity", &self.severity)?;
        object.serialize_field("message", &self.message)?;
        object.serialize_field("line", &self.location.line)?;
        object.serialize_field("column", &self.location.column)?;
        object.serialize_field("field", &self.field)?;
        if let Some(help) = &self.help {
            object.serialize_field("help", help)?;
        }
        object.end()
    }
}
