//! Policies back into YAML: what was given, in one order.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::identity::PolicyKind;
use crate::policy::{Common, Entry, Policy, Section, SelectorSpec, Spec};
use crate::rule::{Class, Directory, Object, PathScope, RuleList, Source};
use crate::selector::{Expression, ExpressionKey, Labels, Operator};
use crate::shape::API_VERSION;

/// A tree to be written. Keys keep their order.
enum Tree {
    Object(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Text(String),
    Number(i64),
    Flag(bool),
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Tree {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<&[String]> for Tree {
    fn from(texts: &[String]) -> Self {
        Self::List(texts.iter().map(Self::from).collect())
    }
}

impl From<&Labels> for Tree {
    fn from(labels: &Labels) -> Self {
        let pair = |(key, value): (&String, &String)| (key.clone(), Self::from(value));
        Self::Object(labels.iter().map(pair).collect())
    }
}

/// The fields of an object that is being written.
#[derive(Default)]
struct Fields(Vec<(String, Tree)>);

impl Fields {
    fn put(&mut self, key: &str, value: impl Into<Tree>) {
        self.0.push((key.to_owned(), value.into()));
    }

    fn put_given<T: Into<Tree>>(&mut self, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn put_flag(&mut self, key: &str, flag: bool) {
        if flag {
            self.put(key, Tree::Flag(true));
        }
    }

    fn put_common(&mut self, common: &Common) {
        self.put_given("severity", common.severity.map(|n| Tree::Number(n.into())));
        self.put_given("tags", common.tags.as_deref());
        self.put_given("message", common.message.as_ref());
        self.put_given(
            "action",
            common.action.map(|action| Tree::from(action.name())),
        );
    }

    fn into_tree(self) -> Tree {
        Tree::Object(self.0)
    }
}

/// The policy as YAML.
pub(crate) fn policy(policy: &Policy) -> String {
    let mut metadata = Fields::default();
    metadata.put("name", &policy.id().name);
    metadata.put_given("namespace", policy.metadata().namespace.as_ref());
    let given = |labels: &Labels| (!labels.is_empty()).then(|| Tree::from(labels));
    metadata.put_given("labels", given(&policy.metadata().labels));
    metadata.put_given("annotations", given(&policy.metadata().annotations));

    let mut object = Fields::default();
    object.put("apiVersion", API_VERSION);
    object.put("kind", policy.id().kind.name());
    object.put("metadata", metadata.into_tree());
    object.put("spec", spec(policy.spec(), policy.id().kind));
    crate::yaml::emit(&object.into_tree())
}

fn spec(spec: &Spec, kind: PolicyKind) -> Tree {
    let mut fields = Fields::default();
    let selector_key = match kind {
        PolicyKind::KubeArmorHostPolicy => "nodeSelector",
        _ => "selector",
    };
    fields.put_given(selector_key, spec.selector.as_ref().map(selector));
    for (&class, given) in &spec.sections {
        match class {
            Class::Presets => {
                for entries in given.lists.values() {
                    let entries = entries.iter();
                    let items =
                        entries.flat_map(|written| entry(class, RuleList::Presets, &written.value));
                    fields.put("presets", Tree::List(items.collect()));
                }
            }
            _ => fields.put(class.section(), section(class, given)),
        }
    }
    fields.put_given("apparmor", spec.apparmor.as_ref().map(|text| &text.value));
    fields.put_common(&spec.common);
    fields.into_tree()
}

fn selector(selector: &SelectorSpec) -> Tree {
    let mut fields = Fields::default();
    fields.put_given("matchLabels", selector.labels.as_ref());
    let expressions = selector.expressions.as_ref();
    let list = expressions.map(|list| Tree::List(list.iter().map(expression).collect()));
    fields.put_given("matchExpressions", list);
    fields.into_tree()
}

fn expression(expression: &Expression) -> Tree {
    let mut fields = Fields::default();
    let key = match expression.key {
        ExpressionKey::Label => "label",
        ExpressionKey::Namespace => "namespace",
    };
    let operator = match expression.operator {
        Operator::In => "In",
        Operator::NotIn => "NotIn",
    };
    fields.put("key", key);
    fields.put("operator", operator);
    fields.put("values", expression.values.as_slice());
    fields.into_tree()
}

fn section(class: Class, section: &Section) -> Tree {
    let mut fields = Fields::default();
    for (&list, entries) in &section.lists {
        let items = entries
            .iter()
            .flat_map(|written| entry(class, list, &written.value));
        fields.put(list.field(), Tree::List(items.collect()));
    }
    fields.put_common(&section.common);
    fields.into_tree()
}

/// One entry; several where a comma list was read leniently.
fn entry(class: Class, list: RuleList, entry: &Entry) -> impl Iterator<Item = Tree> {
    entry.objects.iter().map(move |matched| {
        let mut fields = Fields::default();
        object(&mut fields, class, list, matched);
        let conditions = &entry.conditions;
        if !conditions.allowed_args.is_empty() {
            fields.put("allowedArgs", conditions.allowed_args.as_slice());
        }
        fields.put_flag("readOnly", conditions.read_only);
        fields.put_flag("ownerOnly", conditions.owner_only);
        if conditions.no_tty {
            fields.put("pts", Tree::Flag(false));
        }
        let sources = entry.sources.as_ref();
        let list = sources.map(|list| Tree::List(list.iter().map(source).collect()));
        fields.put_given("fromSource", list);
        fields.put_common(&entry.common);
        fields.into_tree()
    })
}

fn object(fields: &mut Fields, class: Class, list: RuleList, object: &Object) {
    match object {
        Object::Path(path) => fields.put("path", path),
        Object::ExecName(name) => fields.put("execname", name),
        Object::Directory(of) => directory(fields, "dir", of),
        Object::Pattern(glob) => fields.put("pattern", glob.as_str()),
        Object::Protocol(protocol) => fields.put("protocol", protocol.name()),
        Object::Domain(domain) => fields.put("domain", domain),
        Object::Capability(capability) => fields.put("capability", capability.name()),
        Object::Syscalls { names, scope } => {
            match scope {
                Some(PathScope::Path(path)) => fields.put("path", path),
                Some(PathScope::Directory(of)) => directory(fields, "path", of),
                None => {}
            }
            fields.put("syscall", names.as_slice());
        }
        Object::Device(device) => {
            fields.put("class", &device.class.to_string());
            let number = |n: Option<i32>| n.map(|n| Tree::Number(n.into()));
            fields.put_given("subClass", number(device.subclass));
            fields.put_given("protocol", number(device.protocol));
            fields.put_given("level", number(device.level));
        }
        Object::Preset(preset) => fields.put("name", preset.name()),
        Object::Nothing(text) if text.is_empty() => {}
        Object::Nothing(text) => fields.put(object_field(class, list), text),
    }
}

fn directory(fields: &mut Fields, key: &str, directory: &Directory) {
    fields.put(key, &directory.path);
    fields.put_flag("recursive", directory.recursive);
}

/// The field that names what an entry of a list matches.
const fn object_field(class: Class, list: RuleList) -> &'static str {
    match (class, list) {
        (_, RuleList::MatchDirectories) => "dir",
        (_, RuleList::MatchPatterns) => "pattern",
        (_, RuleList::MatchProtocols) => "protocol",
        (_, RuleList::MatchDnsQueries) => "domain",
        (_, RuleList::MatchCapabilities) => "capability",
        (_, RuleList::MatchDevice) => "class",
        (Class::Presets, _) => "name",
        _ => "path",
    }
}

fn source(source: &Source) -> Tree {
    let mut fields = Fields::default();
    match source {
        Source::Scope(PathScope::Path(path)) => fields.put("path", path),
        Source::Scope(PathScope::Directory(of)) => directory(&mut fields, "dir", of),
        Source::Nothing(text) if text.is_empty() => {}
        Source::Nothing(text) => fields.put("path", text),
    }
    fields.into_tree()
}
