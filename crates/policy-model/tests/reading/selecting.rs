//! Inheritance, and what of a set applies to a workload.

use gambeson_policy_model::{
    Action, Class, Enforcement, Object, PolicySet, Postures, Reader, Verdict, Workload,
};

use crate::policy;

#[test]
fn each_field_is_inherited_on_its_own() {
    let text = policy(
        "  process:
    matchPaths:
    - {path: /a}
    - {path: /b, severity: 9, tags: [mine], message: mine, action: Allow}
    - {path: /c, tags: [], message: ''}
    severity: 5
    action: Audit
  file:
    matchPaths: [{path: /d}]
  syscalls:
    matchSyscalls: [{syscall: [unlink]}]
    message: section
  presets: [{name: exec}, {name: protectEnv, action: Audit}]
  severity: 1
  tags: [all, of]
  message: spec
  action: Allow
",
    );
    let set = PolicySet::from_str(&text).unwrap();
    let rules: Vec<String> = set.policies()[0]
        .rules()
        .iter()
        .map(|r| {
            format!(
                "{} {} {} {} {}",
                r.field_path(),
                r.action,
                r.severity,
                r.tags.join("+"),
                r.message
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            "process.matchPaths[0] Audit 5 all+of spec",
            "process.matchPaths[1] Allow 9 mine mine",
            "process.matchPaths[2] Audit 5 all+of spec",
            "file.matchPaths[0] Allow 1 all+of spec",
            "syscalls.matchSyscalls[0] Audit 1 all+of section",
            "presets[0] Block 1 all+of spec",
            "presets[1] Audit 1 all+of spec",
        ]
    );
}

#[test]
fn an_action_that_is_nowhere_given_is_block() {
    let set = PolicySet::from_str(&policy("  file: {matchPaths: [{path: /a}]}\n")).unwrap();
    let rule = &set.policies()[0].rules()[0];
    assert_eq!(
        (rule.action, rule.severity, &*rule.message),
        (Action::Block, 0, "")
    );
}

#[test]
fn dns_rules_are_a_class_of_their_own() {
    let text = policy(
        "  network: {matchDNSQueries: [{domain: a.b}], matchProtocols: [{protocol: tcp}]}\n",
    );
    let set = PolicySet::from_str(&text).unwrap();
    let classes: Vec<Class> = set.policies()[0]
        .rules()
        .iter()
        .map(|rule| rule.class)
        .collect();
    assert_eq!(classes, [Class::Network, Class::Dns]);
}

const SET: &str = "
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: web, namespace: production}
spec:
  selector: {matchLabels: {app: web, kubearmor.io/container.name: '[nginx]'}}
  process: {matchPaths: [{path: /web}]}
  apparmor: deny /x r,
---
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: everyone}
spec:
  process: {matchPaths: [{path: /default}]}
---
apiVersion: security.kubearmor.com/v1
kind: KubeArmorClusterPolicy
metadata: {name: cluster}
spec:
  selector: {matchExpressions: [{key: namespace, operator: NotIn, values: [kube-system]}]}
  process: {matchPaths: [{path: /cluster}]}
---
apiVersion: security.kubearmor.com/v1
kind: KubeArmorHostPolicy
metadata: {name: host}
spec:
  nodeSelector: {matchLabels: {zone: a}}
  process: {matchPaths: [{path: /host}]}
";

fn selected(workload: &Workload) -> Vec<String> {
    let selection = PolicySet::from_str(SET).unwrap().select(workload);
    selection
        .rules()
        .iter()
        .map(|rule| match &rule.object {
            Object::Path(path) => path.clone(),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_workload_gets_the_rules_of_the_policies_that_select_it() {
    let web = Workload::pod("production")
        .label("app", "web")
        .container("nginx");
    assert_eq!(selected(&web), ["/cluster", "/web"]);
    assert_eq!(selected(&web.clone().container("sidecar")), ["/cluster"]);
    assert_eq!(selected(&Workload::pod("")), ["/cluster", "/default"]);
    assert_eq!(
        selected(&Workload::pod("kube-system")),
        Vec::<String>::new()
    );
    assert_eq!(selected(&Workload::host().label("zone", "a")), ["/host"]);
    assert_eq!(selected(&Workload::host()), Vec::<String>::new());
    let disabled = web.clone().enforcement(Enforcement::Disabled);
    assert_eq!(selected(&disabled), Vec::<String>::new());

    let posture = Postures {
        file: Some(Verdict::Block),
        ..Postures::default()
    };
    let web = web.posture(posture).enforcement(Enforcement::Audited);
    let selection = PolicySet::from_str(SET).unwrap().select(&web);
    assert_eq!(selection.posture(), posture);
    assert_eq!(selection.enforcement(), Enforcement::Audited);
    assert_eq!(selection.apparmor().len(), 1);
}

#[test]
fn duplicates_of_the_whole_set_go_with_every_selection() {
    let twice = format!("{SET}---{SET}");
    let set = PolicySet::from_str(&twice).unwrap();
    let selection = set.select(&Workload::pod("elsewhere"));
    let names: Vec<String> = selection
        .duplicates()
        .iter()
        .map(|d| format!("{} {} {}", d.policy, d.first.line, d.second.line))
        .collect();
    assert_eq!(
        names,
        [
            "KubeArmorPolicy production/web 2 30",
            "KubeArmorPolicy default/everyone 10 38",
            "KubeArmorClusterPolicy cluster 16 44",
            "KubeArmorHostPolicy host 23 51",
        ]
    );
    assert!(PolicySet::from_str(SET).unwrap().duplicates().is_empty());
}

#[test]
fn one_error_keeps_the_whole_set_back_and_warnings_don_t() {
    let reading = Reader::new().read_str("p.yaml", "apiVersion: v1\nkind: Pod\n");
    assert_eq!(reading.into_set().unwrap().warnings().len(), 1);
    assert!(PolicySet::from_str(&format!("{SET}---\nkind: [\n")).is_err());
    assert!(PolicySet::from_reader(SET.as_bytes()).is_ok());
    assert!(PolicySet::from_path("/nonexistent/folder").is_err());
}
