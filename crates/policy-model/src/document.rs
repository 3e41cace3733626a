//! One object of Kubernetes as it was read.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::SerializeStruct;

use crate::diagnostic::{Diagnostic, Severity};
use crate::identity::Location;
use crate::policy::Policy;

/// One document of a file, or one item of a list in it.
///
/// Serialises as the command's JSON:
///
/// ```
/// use gambeson_policy_model::Reader;
/// let reading = Reader::new().read_str("web.yaml", "apiVersion: v1\nkind: Pod\n");
/// let json = serde_json::to_string(&reading.documents()[0])?;
/// assert!(json.starts_with(r#"{"file":"web.yaml","document":0,"kind":"Pod","name":null,"status":"warning","#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Document {
    /// The file as it was named when it was read.
    pub file: Arc<str>,
    /// Its place in the file, from 0; empty documents don't count, items of lists count one each.
    pub index: usize,
    /// Where it begins.
    pub location: Location,
    /// Its `kind`, where it has one.
    pub kind: Option<String>,
    /// Its `metadata.name`, where it has one.
    pub name: Option<String>,
    /// The policy, unless there is an error or the document is none.
    pub policy: Option<Policy>,
    /// What is wrong or doubtful, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Document {
    /// The worst of its diagnostics: `ok`, `warning` or `error`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.diagnostics.iter().map(|d| d.severity).max() {
            None => "ok",
            Some(Severity::Warning) => "warning",
            Some(Severity::Error) => "error",
        }
    }

    /// Whether any of its diagnostics is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

impl Serialize for Document {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Document", 6)?;
        object.serialize_field("file", &*self.file)?;
        object.serialize_field("document", &self.index)?;
        object.serialize_field("kind", &self.kind)?;
        object.serialize_field("name", &self.name)?;
        object.serialize_field("status", self.status())?;
        object.serialize_field("diagnostics", &self.diagnostics)?;
        object.end()
    }
}
