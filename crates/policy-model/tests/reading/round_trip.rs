//! A policy that is written and read again is the same policy.

use gambeson_policy_model::{
    Policy, PolicyKind, Protocol, Reader, Rule, policy_schema, syscall_names,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// The one policy in a text that holds no error.
fn read(text: &str) -> Result<Policy, String> {
    let reading = Reader::new().read_str("p.yaml", text);
    let problems: Vec<String> = reading.diagnostics().map(ToString::to_string).collect();
    match reading.documents().first().and_then(|d| d.policy.clone()) {
        Some(policy) if reading.documents().len() == 1 => Ok(policy),
        _ => Err(format!("{problems:#?}\n{text}")),
    }
}

/// A rule without where it stands.
fn meaning(rule: &Rule) -> Rule {
    let mut rule = rule.clone();
    rule.location = gambeson_policy_model::Location {
        file: "".into(),
        line: 0,
        column: 0,
    };
    rule
}

/// Text of the kinds that YAML could take for something else.
fn text() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "",
        " ",
        "yes",
        "No",
        "on",
        "null",
        "~",
        "true",
        "5",
        "0x1f",
        "1e3",
        ".inf",
        "1_000",
        "12:30:45",
        "2024-01-01",
        "- a",
        "a: b",
        "a #b",
        "#",
        "'",
        "\"",
        "\\",
        "|",
        ">",
        "%",
        "@",
        "`",
        "!x",
        "&x",
        "*x",
        "[",
        "{}",
        ",",
        "?",
        ": ",
        "<<",
        "=",
        "---",
        "...",
        "a\nb",
        "\n",
        "a\n\n",
        " a\n b",
        "\ta",
        "a\t",
        "a\rb",
        "é",
        "日本",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{7f}",
        "\u{1}",
        "\u{fffd}",
        "😀",
    ]);
    let long = "[a-z ]{100,200}";
    prop_oneof![
        3 => odd.prop_map(str::to_owned),
        2 => "\\PC{0,12}",
        1 => "[ -~\n]{0,20}",
        1 => long,
    ]
}

fn path() -> impl Strategy<Value = String> {
    let component = prop_oneof!["[a-z]{1,6}", "[ -.0-~]{1,8}"]
        .prop_filter("not . or ..", |c| c != "." && c != "..");
    prop::collection::vec(component, 1..4)
        .prop_map(|components| format!("/{}", components.join("/")))
}

fn directory() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), path().prop_map(|path| path + "/")]
}

/// Some of these fields, and all of those.
fn object(
    required: Vec<(&'static str, BoxedStrategy<Value>)>,
    optional: Vec<(&'static str, BoxedStrategy<Value>)>,
) -> BoxedStrategy<Value> {
    let required = required
        .into_iter()
        .map(|(key, value)| (Just(key), value.prop_map(Some).boxed()));
    let optional = optional
        .into_iter()
        .map(|(key, value)| (Just(key), prop::option::weighted(0.3, value).boxed()));
    let fields: Vec<_> = required.chain(optional).collect();
    fields
        .prop_map(|fields| {
            let given = |(key, value): (&str, Option<Value>)| Some((key.to_owned(), value?));
            Value::Object(fields.into_iter().filter_map(given).collect::<Map<_, _>>())
        })
        .boxed()
}

fn value<T: Into<Value> + std::fmt::Debug + 'static>(
    of: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Value> {
    of.prop_map(Into::into).boxed()
}

fn list(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    value(prop::collection::vec(of, 0..3))
}

fn common() -> Vec<(&'static str, BoxedStrategy<Value>)> {
    vec![
        ("severity", value(1..=10)),
        ("tags", list(value(text()))),
        ("message", value(text())),
        ("action", value(select(vec!["Allow", "Audit", "Block"]))),
    ]
}

fn with_common(
    mut fields: Vec<(&'static str, BoxedStrategy<Value>)>,
) -> Vec<(&'static str, BoxedStrategy<Value>)> {
    fields.extend(common());
    fields
}

fn flag() -> BoxedStrategy<Value> {
    value(any::<bool>())
}

fn sources() -> BoxedStrategy<Value> {
    list(object(vec![("path", value(path()))], vec![]))
}

fn syscall_sources() -> BoxedStrategy<Value> {
    let file = object(vec![("path", value(path()))], vec![]);
    let folder = object(
        vec![("dir", value(directory()))],
        vec![("recursive", flag())],
    );
    list(prop_oneof![file, folder].boxed())
}

/// A section of paths, directories and patterns.
fn files(process: bool) -> BoxedStrategy<Value> {
    let conditions = |sourced: bool| {
        let mut fields = vec![("ownerOnly", flag())];
        if sourced {
            fields.extend([("pts", flag()), ("fromSource", sources())]);
        }
        if !process {
            fields.push(("readOnly", flag()));
        }
        with_common(fields)
    };
    let mut by_path = conditions(true);
    if process {
        by_path.push(("allowedArgs", list(value(text()))));
    }
    let mut entry = object(vec![("path", value(path()))], by_path.clone());
    if process {
        let name = value(
            "[a-zA-Z0-9 #:._-]{1,9}".prop_filter("a name", |n: &String| n != "." && n != ".."),
        );
        entry = prop_oneof![entry, object(vec![("execname", name)], by_path)].boxed();
    }
    let mut by_directory = conditions(true);
    by_directory.push(("recursive", flag()));
    let pattern = select(vec![
        "/usr/**/x",
        "**",
        "/a/{b,c}/[x-z]?",
        "/\\{",
        "/tmp/* # no comment",
        "*.so",
    ]);
    object(
        vec![],
        with_common(vec![
            ("matchPaths", list(entry)),
            (
                "matchDirectories",
                list(object(vec![("dir", value(directory()))], by_directory)),
            ),
            (
                "matchPatterns",
                list(object(vec![("pattern", value(pattern))], conditions(false))),
            ),
        ]),
    )
}

fn network(host: bool) -> BoxedStrategy<Value> {
    let protocol = select(Protocol::ALL.to_vec()).prop_flat_map(|protocol| {
        prop_oneof![
            Just(protocol.name().to_owned()),
            Just(protocol.name().to_uppercase())
        ]
    });
    let mut required = vec![("protocol", value(protocol))];
    let mut optional = common();
    if host {
        required.push(("fromSource", sources()));
    } else {
        optional.extend([("fromSource", sources()), ("pts", flag())]);
    }
    let query = object(
        vec![("domain", value("[a-z]{1,5}\\.[a-z]{1,3}\\.?"))],
        with_common(vec![("fromSource", sources())]),
    );
    object(
        vec![],
        with_common(vec![
            ("matchProtocols", list(object(required, optional))),
            ("matchDNSQueries", list(query)),
        ]),
    )
}

fn capabilities(host: bool) -> BoxedStrategy<Value> {
    let mut required = vec![(
        "capability",
        value(select(vec!["net_raw", "chown", "mac_admin"])),
    )];
    let mut optional = common();
    let sources = ("fromSource", sources());
    if host {
        required.push(sources)
    } else {
        optional.push(sources)
    }
    object(
        vec![],
        with_common(vec![(
            "matchCapabilities",
            list(object(required, optional)),
        )]),
    )
}

fn syscalls() -> BoxedStrategy<Value> {
    let names = || list(value(select(syscall_names().to_vec())));
    let common = common().into_iter().filter(|(key, _)| *key != "action");
    let mut fields: Vec<_> = common.collect();
    fields.extend([
        (
            "matchSyscalls",
            list(object(
                vec![],
                vec![("syscall", names()), ("fromSource", syscall_sources())],
            )),
        ),
        (
            "matchPaths",
            list(object(
                vec![],
                vec![
                    ("path", value(prop_oneof![path(), directory()])),
                    ("recursive", flag()),
                    ("syscall", names()),
                    ("fromSource", syscall_sources()),
                ],
            )),
        ),
    ]);
    object(vec![], fields)
}

fn devices() -> BoxedStrategy<Value> {
    let entry = object(
        vec![(
            "class",
            value(select(vec![
                "HID",
                "mass-storage",
                "0x03",
                "255",
                "0",
                "AUDIO/VIDEO",
            ])),
        )],
        with_common(vec![
            ("subClass", value(any::<i32>())),
            ("protocol", value(any::<i32>())),
            ("level", value(1..=i32::MAX)),
        ]),
    );
    object(vec![], with_common(vec![("matchDevice", list(entry))]))
}

fn presets() -> BoxedStrategy<Value> {
    list(object(
        vec![(
            "name",
            value(select(vec![
                "filelessExec",
                "anonymousMapExec",
                "protectEnv",
                "exec",
                "protectProc",
            ])),
        )],
        vec![("action", value(select(vec!["Audit", "Block"])))],
    ))
}

fn labels() -> BoxedStrategy<Value> {
    prop::collection::btree_map(text(), text(), 0..3)
        .prop_map(|labels| json!(labels))
        .boxed()
}

fn expressions(namespaces: bool) -> BoxedStrategy<Value> {
    let operator = || value(select(vec!["In", "NotIn"]));
    let by_label = object(
        vec![
            ("key", value(Just("label"))),
            ("operator", operator()),
            ("values", list(value(text().prop_map(|t| format!("a={t}"))))),
        ],
        vec![],
    );
    let by_namespace = object(
        vec![
            ("key", value(Just("namespace"))),
            ("operator", operator()),
            ("values", list(value(text()))),
        ],
        vec![],
    );
    list(if namespaces {
        prop_oneof![by_label, by_namespace].boxed()
    } else {
        by_label
    })
}

fn policy() -> impl Strategy<Value = Value> {
    select(PolicyKind::ALL.to_vec()).prop_flat_map(|kind| {
        let host = kind == PolicyKind::KubeArmorHostPolicy;
        let mut required = vec![];
        let mut optional = with_common(vec![
            ("process", files(true)),
            ("file", files(false)),
            ("network", network(host)),
            ("capabilities", capabilities(host)),
            ("syscalls", syscalls()),
            ("apparmor", value(text())),
        ]);
        match kind {
            PolicyKind::KubeArmorHostPolicy => {
                required.push((
                    "nodeSelector",
                    object(vec![], vec![("matchLabels", labels())]),
                ));
                optional.push(("device", devices()));
            }
            PolicyKind::KubeArmorPolicy => optional.extend([
                (
                    "selector",
                    object(
                        vec![],
                        vec![
                            ("matchLabels", labels()),
                            ("matchExpressions", expressions(false)),
                        ],
                    ),
                ),
                ("presets", presets()),
            ]),
            PolicyKind::KubeArmorClusterPolicy => optional.extend([
                (
                    "selector",
                    object(vec![], vec![("matchExpressions", expressions(true))]),
                ),
                ("presets", presets()),
            ]),
        }
        let metadata = object(
            vec![("name", value("[a-z]{1,8}"))],
            vec![
                ("labels", labels()),
                ("annotations", labels()),
                ("namespace", value("[a-z]{1,8}")),
            ],
        );
        (metadata, object(required, optional)).prop_map(move |(metadata, spec)| {
            json!({
                "apiVersion": "security.kubearmor.com/v1",
                "kind": kind.name(),
                "metadata": metadata,
                "spec": spec,
            })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn writing_and_reading_gives_an_equal_policy(policy in policy()) {
        // JSON takes DEL as it is, YAML only as an escape.
        let json = policy.to_string().replace('\u{7f}', "\\u007f");
        let first = read(&json).map_err(TestCaseError::fail)?;
        let yaml = first.to_yaml();
        let second = read(&yaml).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&first, &second, "{}", yaml);
        let meanings = |policy: &Policy| policy.rules().iter().map(meaning).collect::<Vec<_>>();
        prop_assert_eq!(meanings(&first), meanings(&second));
        prop_assert_eq!(second.to_yaml(), yaml);
    }

    /// Whatever strict reading takes holds only fields that the published schema has.
    #[test]
    fn what_is_read_and_written_is_in_the_schema(policy in policy()) {
        let schema = policy_schema();
        let fields = fields_of(&schema);
        let mut given = Vec::new();
        keys(&policy["spec"], &mut given);
        for key in given {
            prop_assert!(fields.contains(&key), "{} is not in the schema", key);
        }
    }
}

/// Every property name of a schema.
fn fields_of(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                if key == "properties" {
                    found.extend(
                        value
                            .as_object()
                            .into_iter()
                            .flatten()
                            .map(|(key, _)| key.clone()),
                    );
                }
                found.extend(fields_of(value));
            }
        }
        Value::Array(items) => found.extend(items.iter().flat_map(fields_of)),
        _ => {}
    }
    found
}

/// Every key of a policy, labels left out.
fn keys(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                found.push(key.clone());
                if key != "matchLabels" {
                    keys(value, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}
