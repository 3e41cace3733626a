//! The places of the fields that lints speak of.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Reader, Reading};
use crate::read;
use crate::yaml;

impl Reader {
    /// Moves each lint in a reading to the field that it names.
    ///
    /// A rule knows only where its entry begins, and a lint that was made of it points there
    /// until then. Only the files that have lints are parsed again.
    ///
    /// ```
    /// use gambeson_policy_model::{Reader, lint_rules};
    /// let text = "\
    /// apiVersion: security.kubearmor.com/v1
    /// kind: KubeArmorPolicy
    /// metadata: {name: shells}
    /// spec:
    ///   selector: {matchLabels: {app: web}}
    ///   process:
    ///     matchPaths:
    ///     - action: Block
    ///       path: /bin/sh
    /// ";
    /// let reader = Reader::new();
    /// let mut reading = reader.read_str("shells.yaml", text);
    /// for document in reading.documents_mut() {
    ///     if let Some(policy) = &document.policy {
    ///         let found = lint_rules(policy.selector(), policy.location(), policy.rules());
    ///         document.diagnostics.extend(found);
    ///     }
    /// }
    /// reader.pinpoint_lints(&mut reading);
    /// let lint = reading.diagnostics().next().unwrap();
    /// assert_eq!((lint.location.line, lint.location.column), (9, 13));
    /// ```
    pub fn pinpoint_lints(&self, reading: &mut Reading) {
        let Reading { documents, sources } = reading;
        let mut of_files: HashMap<&Arc<str>, Vec<_>> = HashMap::new();
        for document in documents {
            let begin = (document.location.line, document.location.column);
            for lint in &mut document.diagnostics {
                if lint.code.is_lint() {
                    let of_file = of_files.entry(&document.file).or_default();
                    of_file.push((document.index, begin, lint));
                }
            }
        }
        for (file, lints) in of_files {
            let Some(text) = sources.get(file) else {
                continue;
            };
            let parsed = yaml::parse(text, false, &self.limits);
            let objects = read::objects(&parsed);
            for (index, begin, lint) in lints {
                let object = objects
                    .get(index)
                    .filter(|object| object.begins_at(begin.0, begin.1));
                if let Some((field, place)) = object.and_then(|object| object.find(&lint.field)) {
                    lint.location.line = place.line;
                    lint.location.column = place.column;
                    lint.field = field;
                }
            }
        }
    }
}
