//! Reading policies from strings, readers, files and folders.

mod folder;
mod pinpoint;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::diagnostic::{Code, Diagnostic, Severity, SourceMap, render_human};
use crate::document::Document;
use crate::identity::Location;
use crate::limits::Limits;
use crate::read::{self, Mode};
use crate::set::PolicySet;
use crate::yaml;

/// Reads policies: YAML or JSON, one document or many, `List`s included.
///
/// ```
/// use gambeson_policy_model::{Mode, Reader};
/// let text = r#"
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: { name: quiet }
/// spec: { action: audit }
/// "#;
/// let strict = Reader::new().read_str("quiet.yaml", text);
/// let problem = strict.diagnostics().next().unwrap();
/// assert_eq!(problem.to_string(),
///     "quiet.yaml:5:17: error[invalid-value]: `audit` is not an action");
///
/// let lenient = Reader::new().mode(Mode::Lenient).read_str("quiet.yaml", text);
/// assert!(!lenient.has_errors());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Reader {
    mode: Mode,
    pub(crate) limits: Limits,
}

/// Why nothing could be read at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system refuses.
    #[error("can't read `{}`: {source}", path.display())]
    Io {
        /// The file or folder; the name that was given to a reader.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder holds nothing to read: more likely the wrong folder than no policies.
    #[error("`{}` holds no policy files; they end in `.yaml`, `.yml` or `.json`", path.display())]
    NoFiles {
        /// The folder.
        path: PathBuf,
    },
    /// A folder holds too much.
    #[error("`{}` holds more than {limit} policy files; name a smaller folder or raise the limit", path.display())]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
        /// The most files.
        limit: usize,
    },
}

impl Reader {
    /// A strict reader with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how closely what is read must follow the schema.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets how much is read at most.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads a text; `name` stands for it in diagnostics.
    #[must_use]
    pub fn read_str(&self, name: &str, text: &str) -> Reading {
        self.read_text(&Arc::from(name), text, false)
    }

    /// Reads bytes, which should be UTF-8. Where they aren't, that is an error of the document
    /// they stand in.
    #[must_use]
    pub fn read_bytes(&self, name: &str, bytes: &[u8]) -> Reading {
        let file = Arc::from(name);
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Reading::of_problem(
                &file,
                (Code::Encoding, Severity::Error),
                "the text is UTF-16".to_owned(),
                Some("save the file as UTF-8"),
            );
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => self.read_text(&file, text, false),
            Err(_) => self.read_text(&file, &String::from_utf8_lossy(bytes), true),
        }
    }

    /// Reads a stream to its end, or to the limit on bytes.
    ///
    /// # Errors
    /// When the stream fails.
    pub fn read_from(&self, name: &str, reader: impl io::Read) -> Result<Reading, ReadError> {
        // One byte more than is taken, to tell a text at the limit from one beyond it.
        let most = u64::try_from(self.limits.bytes).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        reader
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| ReadError::Io {
                path: name.into(),
                source,
            })?;
        Ok(self.read_bytes(name, &bytes))
    }

    /// Reads a file, or every `*.yaml`, `*.yml` and `*.json` below a folder, in the order of
    /// their paths. Hidden files and folders are left out, and so are tests of policies: files called
    /// `*.test.yaml` in which nothing is of a kind. What several links lead to is read once. A file below the folder that can't be read is an error of its own and keeps no other
    /// from being read.
    ///
    /// # Errors
    /// When the path itself can't be read, or is a folder with no policy files or too many.
    pub fn read_path(&self, path: impl AsRef<Path>) -> Result<Reading, ReadError> {
        let path = path.as_ref();
        let io_error = |source| ReadError::Io {
            path: path.to_owned(),
            source,
        };
        if !std::fs::metadata(path).map_err(io_error)?.is_dir() {
            let file = std::fs::File::open(path).map_err(io_error)?;
            return self.read_from(&path.to_string_lossy(), file);
        }
        let mut reading = Reading::default();
        let files = folder::policy_files(path, self.limits.files)?;
        if files.is_empty() {
            return Err(ReadError::NoFiles {
                path: path.to_owned(),
            });
        }
        for found in files {
            reading.extend(match found {
                Ok(file) if folder::holds_tests(&file) => continue,
                Ok(file) => {
                    let name = file.to_string_lossy().into_owned();
                    match std::fs::File::open(&file) {
                        Ok(open) => match self.read_from(&name, open) {
                            Ok(read) => read,
                            Err(error) => Reading::unreadable(&name, &error.to_string()),
                        },
                        Err(error) => Reading::unreadable(&name, &error.to_string()),
                    }
                }
                Err((path, error)) => {
                    Reading::unreadable(&path.to_string_lossy(), &error.to_string())
                }
            });
        }
        Ok(reading)
    }

    fn read_text(&self, file: &Arc<str>, text: &str, damaged: bool) -> Reading {
        if text.len() > self.limits.bytes {
            return Reading::of_problem(
                file,
                (Code::LimitExceeded, Severity::Error),
                format!("the file has more than {} bytes", self.limits.bytes),
                Some("split the file, or raise the limit"),
            );
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let documents = yaml::parse(text, damaged, &self.limits);
        if documents.is_empty() {
            return Reading::of_problem(
                file,
                (Code::NoDocument, Severity::Warning),
                "the file holds no document".to_owned(),
                Some("fill it in, or remove it"),
            );
        }
        let mut reading = Reading {
            documents: read::read_documents(file, documents, self.mode, &self.limits),
            sources: SourceMap::default(),
        };
        reading.sources.insert(Arc::clone(file), Arc::from(text));
        reading
    }
}

/// What was read: documents with their policies and diagnostics, and the texts they came from.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    documents: Vec<Document>,
    sources: SourceMap,
}

impl Reading {
    /// A file of which nothing could be read.
    fn of_problem(
        file: &Arc<str>,
        (code, severity): (Code, Severity),
        message: String,
        help: Option<&str>,
    ) -> Self {
        let location = Location {
            file: Arc::clone(file),
            line: 1,
            column: 1,
        };
        let diagnostic = Diagnostic {
            code,
            severity,
            message,
            help: help.map(str::to_owned),
            location: location.clone(),
            field: String::new(),
        };
        Self {
            documents: vec![Document {
                file: Arc::clone(file),
                index: 0,
                location,
                kind: None,
                name: None,
                policy: None,
                diagnostics: vec![diagnostic],
            }],
            sources: SourceMap::default(),
        }
    }

    fn unreadable(file: &str, why: &str) -> Self {
        Self::of_problem(
            &Arc::from(file),
            (Code::Unreadable, Severity::Error),
            format!("the file can't be read: {why}"),
            None,
        )
    }

    /// The documents, file after file.
    #[must_use]
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The documents, so that more diagnostics can be added to them.
    #[must_use]
    pub fn documents_mut(&mut self) -> &mut [Document] {
        &mut self.documents
    }

    /// Every diagnostic of every document.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.documents
            .iter()
            .flat_map(|document| &document.diagnostics)
    }

    /// Whether any document has an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.documents.iter().any(Document::has_errors)
    }

    /// The texts that were read.
    #[must_use]
    pub const fn sources(&self) -> &SourceMap {
        &self.sources
    }

    /// Adds what was read elsewhere.
    pub fn extend(&mut self, other: Self) {
        self.documents.extend(other.documents);
        self.sources.extend(other.sources);
    }

    /// The policies.
    ///
    /// # Errors
    /// When any document has an error: half a set of policies is another set of policies.
    pub fn into_set(self) -> Result<PolicySet, InvalidPolicies> {
        if self.has_errors() {
            let is_error = |d: &&Diagnostic| d.severity == Severity::Error;
            return Err(InvalidPolicies(Box::new(Invalid {
                diagnostics: self.diagnostics().filter(is_error).cloned().collect(),
                sources: self.sources,
            })));
        }
        let mut policies = Vec::new();
        let mut warnings = Vec::new();
        for document in self.documents {
            policies.extend(document.policy);
            warnings.extend(document.diagnostics);
        }
        Ok(PolicySet::with_warnings(policies, warnings))
    }
}

/// Policies with errors. Displays each with its line.
#[derive(Debug, Clone, Error)]
#[error("{} in the policies\n\n{}", count(&self.0.diagnostics), self.render(false).trim_end())]
pub struct InvalidPolicies(Box<Invalid>);

#[derive(Debug, Clone)]
struct Invalid {
    diagnostics: Vec<Diagnostic>,
    sources: SourceMap,
}

fn count(diagnostics: &[Diagnostic]) -> String {
    match diagnostics.len() {
        1 => "1 error".to_owned(),
        n => format!("{n} errors"),
    }
}

impl InvalidPolicies {
    /// The errors.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.0.diagnostics
    }

    /// The errors for people, each with its line and a caret.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        render_human(&self.0.diagnostics, &self.0.sources, color)
    }
}
