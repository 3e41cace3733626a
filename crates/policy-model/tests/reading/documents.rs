//! Documents, lists, JSON, folders.

use std::fs;
use std::path::PathBuf;

use gambeson_policy_model::{Limits, Reader};

use crate::{check, policy};

#[test]
fn items_of_a_list_are_documents_each_with_their_own_places() {
    check(
        gambeson_policy_model::Mode::Strict,
        "apiVersion: v1
kind: List
items:
- apiVersion: security.kubearmor.com/v1
  kind: KubeArmorPolicy
  metadata: {name: one}
  spec: {action: Nope}
#                ^ error[invalid-value] items[0].spec.action
- apiVersion: v1
  kind: Namespace
#       ^ warning[unsupported-kind] items[1].kind
- 5
# ^ error[not-an-object] items[2]
",
    );
    let text = "apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicyList
metadata: {resourceVersion: '1'}
items:
- metadata: {name: one}
  spec: {process: {matchPaths: [{path: /a}]}}
- apiVersion: security.kubearmor.com/v1
  kind: KubeArmorHostPolicy
  metadata: {name: two}
  spec: {nodeSelector: {}}
";
    let reading = Reader::new().read_str("l.yaml", text);
    assert!(!reading.has_errors());
    let found: Vec<_> = reading
        .documents()
        .iter()
        .map(|d| {
            (
                d.index,
                d.policy.as_ref().unwrap().id().to_string(),
                d.location.line,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (0, "KubeArmorPolicy default/one".to_owned(), 5),
            (1, "KubeArmorHostPolicy two".to_owned(), 7),
        ]
    );
}

#[test]
fn other_kinds_are_skipped_with_a_warning_and_unknown_ones_of_kubearmor_refused() {
    let strict = |text| crate::problems(gambeson_policy_model::Mode::Strict, text);
    assert_eq!(
        strict("apiVersion: apps/v1\nkind: Deployment\n"),
        ["2:7 warning[unsupported-kind] kind"]
    );
    assert_eq!(
        strict("apiVersion: security.kubearmor.com/v1\nkind: KubeArmorNetworkPolicy\n"),
        ["2:7 warning[unsupported-kind] kind"]
    );
    assert_eq!(
        strict("apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolcy\n"),
        ["2:7 error[unsupported-kind] kind"]
    );
}

#[test]
fn json_is_read_like_yaml() {
    let json = r#"{"apiVersion": "security.kubearmor.com/v1", "kind": "KubeArmorPolicy",
        "metadata": {"name": "p"},
        "spec": {"process": {"matchPaths": [{"path": "/bin/\u0073h", "severity": 3}]}}}"#;
    let reading = Reader::new().read_str("p.json", json);
    let rules = reading.documents()[0].policy.as_ref().unwrap().rules();
    assert_eq!(
        (format!("{:?}", rules[0].object).as_str(), rules[0].severity),
        ("Path(\"/bin/sh\")", 3)
    );
    assert_eq!(rules[0].location.to_string(), "p.json:3:45");
}

#[test]
fn a_document_serialises_as_the_command_prints_it() {
    let reading = Reader::new().read_str("p.yaml", &policy("  action: allow\n"));
    assert_eq!(
        serde_json::to_string(&reading.documents()[0]).unwrap(),
        "{\"file\":\"p.yaml\",\"document\":0,\"kind\":\"KubeArmorPolicy\",\"name\":\"p\",\"status\":\"error\",\
         \"diagnostics\":[{\"code\":\"invalid-value\",\"severity\":\"error\",\
         \"message\":\"`allow` is not an action\",\"line\":5,\"column\":11,\"field\":\"spec.action\",\
         \"help\":\"write `Allow`\"}]}"
    );
}

#[test]
fn every_rule_knows_where_its_entry_begins() {
    let text = policy(
        "  process:
    matchPaths:
    - path: /a
    - action: Audit
      path: /b
    -
      path: /c
    - {path: /d}
  network:
    matchDNSQueries: [{domain: a.b}]
",
    );
    let reading = Reader::new().read_str("p.yaml", &text);
    let rules: Vec<String> = reading.documents()[0]
        .policy
        .as_ref()
        .unwrap()
        .rules()
        .iter()
        .map(|rule| {
            format!(
                "{} {}:{}",
                rule.field_path(),
                rule.location.line,
                rule.location.column
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            "process.matchPaths[0] 7:7",
            "process.matchPaths[1] 8:7",
            "process.matchPaths[2] 11:7",
            "process.matchPaths[3] 12:7",
            "network.matchDNSQueries[0] 14:23",
        ]
    );
}

/// A folder that is removed again.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gambeson-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The documents read, as file names below the folder with their status.
    fn read(&self) -> Vec<(String, &'static str)> {
        let reading = Reader::new().read_path(&self.0).unwrap();
        let name = |file: &str| {
            file.strip_prefix(&format!("{}/", self.0.display()))
                .unwrap()
                .to_owned()
        };
        reading
            .documents()
            .iter()
            .map(|d| (name(&d.file), d.status()))
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_folder_is_read_with_what_is_below_it_in_order() {
    let folder = Folder::new("order");
    let good = policy("  action: Block\n");
    folder.write("b.yaml", &good);
    folder.write("a/z.yml", &good);
    folder.write("a/c.json", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}");
    folder.write("notes.txt", "not: [yaml");
    folder.write(".hidden/d.yaml", "not: [yaml");
    assert_eq!(
        folder.read(),
        [
            ("a/c.json".to_owned(), "warning"),
            ("a/z.yml".to_owned(), "ok"),
            ("b.yaml".to_owned(), "ok"),
        ]
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_loops_end() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("links");
    let good = policy("  action: Block\n");
    folder.write("a.yaml", &good);
    folder.write("sub/b.yaml", &good);
    symlink(&folder.0, folder.0.join("sub/loop")).unwrap();
    symlink(folder.0.join("a.yaml"), folder.0.join("z.yaml")).unwrap();
    symlink(folder.0.join("gone.yaml"), folder.0.join("dangling.yaml")).unwrap();
    assert_eq!(
        folder.read(),
        [
            ("a.yaml".to_owned(), "ok"),
            ("dangling.yaml".to_owned(), "error"),
            ("sub/b.yaml".to_owned(), "ok"),
        ]
    );
}

#[test]
fn too_many_files_and_no_file_are_errors() {
    let folder = Folder::new("many");
    for name in ["a.yaml", "b.yaml", "c.yaml"] {
        folder.write(name, "");
    }
    let limits = Limits {
        files: 2,
        ..Limits::default()
    };
    let error = Reader::new()
        .limits(limits)
        .read_path(&folder.0)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("holds more than 2 policy files; name a smaller folder or raise the limit")
    );
    let folder = Folder::new("none");
    folder.write("policies.txt", "");
    let error = Reader::new().read_path(&folder.0).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("holds no policy files; they end in `.yaml`, `.yml` or `.json`"),
        "{error}"
    );
    let error = Reader::new()
        .read_path(folder.0.join("none.yaml"))
        .unwrap_err();
    assert!(error.to_string().contains("none.yaml`: "), "{error}");
}

#[test]
fn tests_beside_policies_are_left_out_and_policies_under_their_name_are_not() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("beside");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("web.yaml"), policy("  {}")).unwrap();
    fs::write(folder.join("also.test.yaml"), policy("  {}")).unwrap();
    fs::write(folder.join("braces.test.yml"), "{\"kind\": 5}").unwrap();
    fs::write(
        folder.join("web.test.yaml"),
        format!(
            "name: x\npolicies: |\n  {}\n---\nname: y\n",
            policy("  {}").replace('\n', "\n  ")
        ),
    )
    .unwrap();
    let reading = Reader::new().read_path(&folder).unwrap();
    let read: Vec<&str> = reading
        .documents()
        .iter()
        .map(|document| document.location.file.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(read, ["also.test.yaml", "braces.test.yml", "web.yaml"]);
    assert!(
        reading.has_errors(),
        "of what is no test, mistakes are told"
    );
}
