//! Documents: what kind of object each is, lists of objects, and a policy's outer fields.

use std::sync::Arc;

use super::Mode;
use super::context::{Context, Problem, Trail};
use super::names::suggestion;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::document::Document;
use crate::identity::{Location, PolicyId, PolicyKind};
use crate::limits::Limits;
use crate::node::{Node, Place, Value};
use crate::policy::{Metadata, Policy, Spec};
use crate::selector::DEFAULT_NAMESPACE;
use crate::shape::{self, API_VERSION, Content};
use crate::text::shorten;
use crate::yaml::{YamlDocument, YamlError};

/// KubeArmor's API group.
const GROUP: &str = "security.kubearmor.com";
/// Its firewall policies, which are no part of the decision model.
const NETWORK_POLICY: &str = "KubeArmorNetworkPolicy";

/// Checks the documents of one file and makes policies of them.
pub(crate) fn read_documents(
    file: &Arc<str>,
    documents: Vec<YamlDocument>,
    mode: Mode,
    limits: &Limits,
) -> Vec<Document> {
    let mut reader = DocumentReader {
        file,
        mode,
        limit: limits.documents,
        documents: Vec::with_capacity(documents.len()),
    };
    for document in documents {
        match document.error {
            Some(error) => reader.broken(document.root.as_ref(), error),
            None => {
                if let Some(root) = document.root {
                    reader.object(&root, None, &Trail::TOP);
                }
            }
        }
    }
    reader.documents
}

struct DocumentReader<'a> {
    file: &'a Arc<str>,
    mode: Mode,
    limit: usize,
    documents: Vec<Document>,
}

impl DocumentReader<'_> {
    fn push(
        &mut self,
        node: Option<&Node>,
        place: Place,
        policy: Option<Policy>,
        diagnostics: Vec<Diagnostic>,
    ) {
        let has_errors = diagnostics.iter().any(|d| d.severity == Severity::Error);
        let text = |node: Option<&Node>| node.and_then(Node::text).map(str::to_owned);
        self.documents.push(Document {
            file: Arc::clone(self.file),
            index: self.documents.len(),
            location: Location {
                file: Arc::clone(self.file),
                line: place.line,
                column: place.column,
            },
            kind: text(node.and_then(|node| node.get("kind"))),
            name: text(node.and_then(|node| node.get("metadata")?.get("name"))),
            policy: policy.filter(|_| !has_errors),
            diagnostics,
        });
    }

    /// A document that is not YAML.
    fn broken(&mut self, partial: Option<&Node>, error: YamlError) {
        let diagnostic = Diagnostic {
            code: error.code,
            severity: Severity::Error,
            message: error.message,
            help: error.help,
            location: Location {
                file: Arc::clone(self.file),
                line: error.place.line,
                column: error.place.column,
            },
            field: String::new(),
        };
        let place = partial.map_or(error.place, |node| node.place);
        self.push(partial, place, None, vec![diagnostic]);
    }

    /// One object, or each item of a list of objects. `implied` is the kind of an item that gives
    /// none, as in the lists that Kubernetes' API answers with.
    fn object(&mut self, node: &Node, implied: Option<&str>, trail: &Trail<'_>) {
        if self.documents.len() > self.limit {
            return;
        }
        if self.documents.len() == self.limit {
            let error = YamlError {
                code: Code::LimitExceeded,
                message: format!("the file has more than {} documents", self.limit),
                help: Some("split the file, or raise the limit".to_owned()),
                place: node.place,
            };
            return self.broken(None, error);
        }
        if let Some((items, of)) = list_items(node, implied) {
            return self.items(node, items, of, trail);
        }
        let mut context = Context::new(self.file, self.mode);
        let policy = context.policy(node, implied, trail);
        let diagnostics = context.into_diagnostics();
        self.push(Some(node), node.place, policy, diagnostics);
    }

    fn items(
        &mut self,
        node: &Node,
        items: Option<&[Node]>,
        implied: Option<&str>,
        trail: &Trail<'_>,
    ) {
        let trail = trail.key("items");
        match items {
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.object(item, implied, &trail.index(index));
                }
            }
            None => {
                let mut context = Context::new(self.file, self.mode);
                let place = node.get("items").unwrap_or(node).place;
                context.error(
                    trail.at(place),
                    Problem::new(Code::WrongType, "the list has no `items`"),
                );
                let diagnostics = context.into_diagnostics();
                self.push(Some(node), node.place, None, diagnostics);
            }
        }
    }
}

/// The items of a list of objects, where it has them, and the kind of those that give none;
/// `None` where the object is no such list.
pub(super) fn list_items<'n>(
    node: &'n Node,
    implied: Option<&'n str>,
) -> Option<(Option<&'n [Node]>, Option<&'n str>)> {
    let kind = node.get("kind").and_then(Node::text).or(implied)?;
    let of = list_kind(kind, node.get("apiVersion").and_then(Node::text)?)?;
    let items = node.get("items").and_then(|items| match &items.value {
        Value::List(items) => Some(items.as_slice()),
        _ => None,
    });
    Some((items, of))
}

/// Whether the object is a list, and of what kind its items are where they don't say.
fn list_kind<'a>(kind: &'a str, version: &str) -> Option<Option<&'a str>> {
    if kind == "List" && version == "v1" {
        return Some(None);
    }
    let of = kind.strip_suffix("List")?;
    (PolicyKind::from_name(of).is_some() && version == API_VERSION).then_some(Some(of))
}

impl Context<'_> {
    /// The policy that a document holds, if it is one.
    fn policy(&mut self, node: &Node, implied: Option<&str>, trail: &Trail<'_>) -> Option<Policy> {
        let at = trail.at(node.place);
        let Value::Map(_) = &node.value else {
            self.error(
                at,
                Problem::new(
                    Code::NotAnObject,
                    format!("expected a policy, found {}", node.describe()),
                ),
            );
            return None;
        };
        let kind = self.kind(node, implied, trail)?;
        let mut metadata = None;
        let mut spec = Spec::default();
        for given in self.fields(node, shape::object(), trail)? {
            let trail = trail.key(given.field.name);
            match given.field.content {
                Content::Metadata => metadata = self.metadata(given.value, kind, &trail),
                Content::Spec => spec = self.spec(given.value, kind, &trail)?,
                _ => {}
            }
        }
        let (id, metadata) = match metadata {
            Some(found) => found,
            None => {
                let trail = trail.key("metadata");
                let name = trail.key("name");
                let place = node.get("metadata").unwrap_or(node).place;
                // Without a name there is no policy in either mode; strict mode has said so.
                if !self.is_strict() {
                    self.error(
                        name.at(place),
                        Problem::new(Code::MissingField, "the policy has no name"),
                    );
                }
                return None;
            }
        };
        Some(Policy::new(id, self.location(node.place), metadata, spec))
    }

    /// Which of the three kinds the object is; says so where it is none.
    fn kind(
        &mut self,
        node: &Node,
        implied: Option<&str>,
        trail: &Trail<'_>,
    ) -> Option<PolicyKind> {
        let kind_trail = trail.key("kind");
        let version_trail = trail.key("apiVersion");
        let place = |key: &str| node.get(key).unwrap_or(node).place;
        let kind_at = kind_trail.at(place("kind"));
        let version_at = version_trail.at(place("apiVersion"));
        let given = node.get("kind").and_then(Node::text);
        let Some(kind) = given.or(implied) else {
            self.error(
                kind_at,
                Problem::new(Code::NotAnObject, "`kind` is missing").help(format!(
                    "a policy begins with `apiVersion: {API_VERSION}` and `kind: KubeArmorPolicy`"
                )),
            );
            return None;
        };
        let version = node.get("apiVersion").and_then(Node::text);
        let version = version.or_else(|| implied.filter(|_| given.is_none()).map(|_| API_VERSION));
        let known = PolicyKind::from_name(kind);
        let Some(version) = version else {
            let problem = Problem::new(Code::NotAnObject, "`apiVersion` is missing")
                .help(format!("write `apiVersion: {API_VERSION}`"));
            if known.is_some() {
                self.deviation(version_at, problem, &format!("taken as `{API_VERSION}`"));
            } else {
                self.error(version_at, problem);
            }
            return known;
        };
        if known.is_some() {
            if version != API_VERSION {
                let problem = Problem::new(
                    Code::UnsupportedVersion,
                    format!("`{}` is not the version of policies", shorten(version)),
                )
                .help(format!("write `apiVersion: {API_VERSION}`"));
                self.deviation(version_at, problem, "read all the same");
            }
            return known;
        }
        let quoted = shorten(kind);
        let group = version.split('/').next().unwrap_or_default();
        if kind == NETWORK_POLICY && version == API_VERSION {
            self.warning(
                kind_at,
                Problem::new(
                    Code::UnsupportedKind,
                    format!("`{quoted}` is a firewall policy, which is not decided here; skipped"),
                ),
            );
        } else if group == GROUP {
            self.error(
                kind_at,
                Problem::new(
                    Code::UnsupportedKind,
                    format!("`{quoted}` is not a kind of policy"),
                )
                .help(suggestion(
                    kind,
                    PolicyKind::ALL.iter().map(|kind| kind.name()),
                )),
            );
        } else {
            self.warning(
                kind_at,
                Problem::new(
                    Code::UnsupportedKind,
                    format!("`{quoted}` of `{}` is no policy; skipped", shorten(version)),
                ),
            );
        }
        None
    }

    fn metadata(
        &mut self,
        node: &Node,
        kind: PolicyKind,
        trail: &Trail<'_>,
    ) -> Option<(PolicyId, Metadata)> {
        let mut name = None;
        let mut metadata = Metadata::default();
        for given in self.fields(node, shape::metadata(), trail)? {
            let trail = trail.key(given.field.name);
            let at = trail.at(given.value.place);
            match given.field.content {
                Content::Name => name = self.object_name(given.value, "name", 253, &trail),
                Content::Namespace if kind == PolicyKind::KubeArmorPolicy => {
                    metadata.namespace = self.object_name(given.value, "namespace", 63, &trail);
                }
                Content::Namespace => self.warning(
                    at,
                    Problem::new(
                        Code::IgnoredNamespace,
                        format!("a {kind} belongs to no namespace; ignored"),
                    )
                    .help("leave it out"),
                ),
                Content::ObjectLabels => {
                    metadata.labels = self.labels(given.value, &trail).unwrap_or_default();
                }
                Content::ObjectAnnotations => {
                    metadata.annotations = self.labels(given.value, &trail).unwrap_or_default();
                }
                _ => {}
            }
        }
        let namespace = (kind == PolicyKind::KubeArmorPolicy).then(|| {
            metadata
                .namespace
                .as_deref()
                .unwrap_or(DEFAULT_NAMESPACE)
                .to_owned()
        });
        let id = PolicyId {
            name: name?,
            kind,
            namespace,
        };
        Some((id, metadata))
    }

    /// A name of Kubernetes; `None` where it is empty.
    fn object_name(
        &mut self,
        node: &Node,
        what: &str,
        longest: usize,
        trail: &Trail<'_>,
    ) -> Option<String> {
        let text = self.text(node, trail)?;
        let at = trail.at(node.place);
        if text.is_empty() {
            let problem = Problem::new(Code::InvalidName, format!("the {what} is empty"));
            self.deviation(at, problem, "taken as not given");
            return None;
        }
        let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let is_name = text.len() <= longest
            && text
                .bytes()
                .all(|b| alphanumeric(&b) || matches!(b, b'-' | b'.'))
            && text.as_bytes().first().is_some_and(alphanumeric)
            && text.as_bytes().last().is_some_and(alphanumeric);
        if !is_name {
            self.warning(
                at,
                Problem::new(
                    Code::InvalidName,
                    format!("Kubernetes refuses the {what} `{}`", shorten(text)),
                )
                .help(format!(
                    "use lower-case letters, digits, `-` and `.`, at most {longest} characters"
                )),
            );
        }
        Some(text.to_owned())
    }
}
