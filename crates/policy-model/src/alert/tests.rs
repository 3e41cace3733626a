use super::*;
use crate::{Capability, Device, DeviceClass, Preset, RuleId, RuleList, Socket, Workload};
use serde_json::json;

fn rule(class: Class, action: Action) -> RuleInfo<'static> {
    RuleInfo {
        policy: "ksp-block-shadow",
        kind: PolicyKind::KubeArmorPolicy,
        namespace: Some("shop"),
        class,
        list: RuleList::MatchPaths,
        index: 0,
        action,
        severity: 5,
        tags: vec!["MITRE", "CIS"],
        message: "secret read",
        file: "web.yaml",
        line: 14,
        column: 7,
    }
}

fn context() -> AlertContext {
    AlertContext {
        time: UnixTime {
            seconds: 1_750_000_000,
            microseconds: 123_456,
        },
        cluster: "default".into(),
        host: "node-1".into(),
        owner: Some(PodOwner {
            reference: "Deployment".into(),
            name: "web".into(),
            namespace: "shop".into(),
        }),
        pod: "web-0".into(),
        container_id: "0123".into(),
        container_image: "nginx:1".into(),
        host_ppid: 4100,
        host_pid: 4101,
        pid: 12,
        parent_process: "/usr/bin/bash".into(),
        command_line: "/usr/bin/cat /etc/shadow".into(),
        data: "lsm=FILE_OPEN".into(),
        enforcer: "BPFLSM".into(),
        cwd: "/".into(),
        ..AlertContext::of(&Workload::pod("shop").label("app", "web").container("web"))
    }
}

fn by_rule(verdict: Verdict) -> Decision {
    Decision::by_rule(verdict, RuleId(0))
}

fn blocked_read() -> Alert {
    let event = Event::read("/etc/shadow").by("/usr/bin/cat").uid(0);
    let rule = rule(Class::File, Action::Block);
    Alert::new(&event, &by_rule(Verdict::Block), Some(&rule), &context()).unwrap()
}

#[test]
fn the_shape_of_karmor() {
    let expected = concat!(
        r#"{"Timestamp":1750000000,"UpdatedTime":"2025-06-15T15:06:40.123456Z","#,
        r#""ClusterName":"default","HostName":"node-1","NamespaceName":"shop","#,
        r#""Owner":{"Ref":"Deployment","Name":"web","Namespace":"shop"},"PodName":"web-0","#,
        r#""Labels":"app=web","ContainerID":"0123","ContainerName":"web","#,
        r#""ContainerImage":"nginx:1","HostPPID":4100,"HostPID":4101,"PPID":0,"PID":12,"UID":0,"#,
        r#""ParentProcessName":"/usr/bin/bash","ProcessName":"/usr/bin/cat","#,
        r#""PolicyName":"ksp-block-shadow","Severity":"5","Tags":"MITRE,CIS","#,
        r#""ATags":["MITRE","CIS"],"Message":"secret read","Type":"MatchedPolicy","#,
        r#""Source":"/usr/bin/cat /etc/shadow","Operation":"File","Resource":"/etc/shadow","#,
        r#""Data":"lsm=FILE_OPEN","EventData":{"Lsm":"FILE_OPEN"},"Enforcer":"BPFLSM","#,
        r#""Action":"Block","Result":"Permission denied","Cwd":"/"}"#,
    );
    assert_eq!(blocked_read().to_kubearmor_json(), expected);
}

#[test]
fn the_shape_of_the_daemon() {
    let expected = concat!(
        r#"{"timestamp":1750000000,"updatedTime":"2025-06-15T15:06:40.123456Z","#,
        r#""clusterName":"default","hostName":"node-1","namespaceName":"shop","#,
        r#""owner":{"ref":"Deployment","name":"web","namespace":"shop"},"podName":"web-0","#,
        r#""labels":"app=web","containerID":"0123","containerName":"web","#,
        r#""containerImage":"nginx:1","hostPPid":4100,"hostPid":4101,"ppid":0,"pid":12,"uid":0,"#,
        r#""execEvent":{},"parentProcessName":"/usr/bin/bash","processName":"/usr/bin/cat","#,
        r#""enforcer":"BPFLSM","policyName":"ksp-block-shadow","severity":"5","#,
        r#""tags":"MITRE,CIS","atags":["MITRE","CIS"],"message":"secret read","#,
        r#""type":"MatchedPolicy","source":"/usr/bin/cat /etc/shadow","operation":"File","#,
        r#""resource":"/etc/shadow","cwd":"/","oid":0,"data":"lsm=FILE_OPEN","#,
        r#""eventData":{"Lsm":"FILE_OPEN"},"action":"Block","result":"Permission denied"}"#,
    );
    assert_eq!(blocked_read().to_kubearmor_daemon_json(), expected);
}

#[test]
fn an_empty_alert_keeps_what_is_always_there() {
    let alert = Alert::default();
    assert_eq!(alert.to_kubearmor_json(), r#"{"PPID":0,"UID":0}"#);
    let daemon: Map<String, Value> =
        serde_json::from_str(&alert.to_kubearmor_daemon_json()).unwrap();
    let mut names: Vec<_> = daemon.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut always = vec![
        "timestamp",
        "updatedTime",
        "hostName",
        "hostPPid",
        "hostPid",
        "ppid",
        "pid",
        "uid",
        "execEvent",
        "parentProcessName",
        "processName",
        "atags",
        "type",
        "source",
        "operation",
        "resource",
        "cwd",
        "oid",
        "result",
    ];
    always.sort_unstable();
    assert_eq!(names, always);
}

#[test]
fn an_exec_is_told_from_its_target() {
    let event = Event::exec("/bin/sleep")
        .args([&b"1"[..]])
        .by("/bin/bash")
        .uid(1000);
    let context = AlertContext {
        uid: Some(u32::MAX),
        ..context()
    };
    let rule = rule(Class::Process, Action::Block);
    let alert = Alert::new(&event, &by_rule(Verdict::Block), Some(&rule), &context).unwrap();
    assert_eq!(alert.operation, "Process");
    assert_eq!(alert.resource, "/bin/sleep 1");
    assert_eq!(alert.process_name, "/bin/sleep");
    assert_eq!(alert.source, "/bin/bash");
    assert_eq!(alert.parent_process_name, "/bin/bash");
    assert_eq!(alert.uid, -1);
}

#[test]
fn the_default_posture_says_no_more_than_its_name() {
    let event = Event::write("/etc/x").by("/usr/bin/vi").owner(33);
    let rule = rule(Class::File, Action::Allow);
    for (verdict, action, result) in [
        (Verdict::Block, "Block", "Permission denied"),
        (Verdict::Audit, "Audit", "Passed"),
    ] {
        let decision = Decision::by_posture(verdict);
        let alert = Alert::new(&event, &decision, Some(&rule), &context()).unwrap();
        assert_eq!(alert.policy_name, "DefaultPosture");
        assert!(alert.severity.is_empty() && alert.tags.is_empty());
        assert!(alert.message.is_empty() && alert.atags.is_empty());
        assert_eq!(
            (alert.action.as_str(), alert.result.as_str()),
            (action, result)
        );
        assert_eq!(alert.object_owner, 33);
    }
    assert_eq!(Alert::new(&event, &Decision::ALLOW, None, &context()), None);
}

#[test]
fn what_would_have_been_blocked() {
    let event = Event::read("/etc/shadow").by("/usr/bin/cat");
    let audited = AlertContext {
        enforcement: Enforcement::Audited,
        ..context()
    };
    let of = |decision: &Decision, rule: Option<Action>, context: &AlertContext| {
        let rule = rule.map(|action| self::rule(Class::File, action));
        let alert = Alert::new(&event, decision, rule.as_ref(), context).unwrap();
        assert_eq!(alert.result, "Passed");
        alert.action
    };
    let audit = by_rule(Verdict::Audit);
    assert_eq!(of(&audit, Some(Action::Block), &audited), "Audit (Block)");
    assert_eq!(of(&audit, Some(Action::Allow), &audited), "Audit (Block)");
    assert_eq!(of(&audit, Some(Action::Audit), &audited), "Audit");
    assert_eq!(of(&audit, Some(Action::Audit), &context()), "Audit");
    let posture = Decision::by_posture(Verdict::Audit);
    assert_eq!(of(&posture, None, &audited), "Audit");
    let strict = AlertContext {
        postures: "file=block".parse().unwrap(),
        ..audited
    };
    assert_eq!(of(&posture, None, &strict), "Audit (Block)");
}

#[test]
fn operations_and_resources() {
    let device = Device {
        class: DeviceClass(8),
        subclass: None,
        protocol: None,
        level: None,
    };
    for (event, operation, resource) in [
        (Event::map_exec("/lib/x.so"), "Process", "/lib/x.so"),
        (
            Event::socket(Socket::new(2, 1, 0)),
            "Network",
            "protocol=TCP type=SOCK_STREAM",
        ),
        (
            Event::socket(Socket::new(10, 3, 58)),
            "Network",
            "protocol=ICMPV6 type=SOCK_RAW",
        ),
        (
            Event::socket(Socket::new(17, 3, 768)),
            "Network",
            "type=SOCK_RAW",
        ),
        (Event::dns("example.com"), "Network", "example.com"),
        (
            Event::capability(Capability::from_number(13).unwrap()),
            "Capabilities",
            "net_raw",
        ),
        (Event::syscall("unlink").about("/x"), "Syscall", "/x"),
        (Event::device(device), "Device", "USB MASS-STORAGE"),
        (Event::preset(Preset::ProtectEnv), "File", ""),
        (Event::preset(Preset::FilelessExec), "Process", ""),
    ] {
        let class = event.operation.class();
        let rule = rule(class, Action::Audit);
        let decision = by_rule(Verdict::Audit);
        let context = AlertContext::default();
        let alert = Alert::new(&event, &decision, Some(&rule), &context).unwrap();
        assert_eq!(alert.operation, operation);
        assert_eq!(alert.resource, resource);
    }
}

#[test]
fn the_data_of_an_event_as_a_map() {
    let of = |event: Event<'_>, data: &str| {
        let context = AlertContext {
            data: data.to_owned(),
            ..AlertContext::default()
        };
        let decision = Decision::by_posture(Verdict::Block);
        let alert = Alert::new(&event, &decision, None, &context).unwrap();
        let pairs: Vec<String> = alert
            .event_data
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        (alert.data, pairs.join(" "))
    };
    assert_eq!(
        of(Event::socket(Socket::new(2, 2, 0)), "lsm=SOCKET_CREATE"),
        (
            "lsm=SOCKET_CREATE".into(),
            "Lsm=SOCKET_CREATE Protocol=UDP Type=SOCK_DGRAM".into()
        )
    );
    assert_eq!(
        of(Event::dns("example.com"), "lsm=SOCKET_SENDMSG"),
        (
            "lsm=SOCKET_SENDMSG domain=example.com".into(),
            "Domain=example.com Lsm=SOCKET_SENDMSG".into()
        )
    );
    assert_eq!(
        of(Event::syscall("unlink"), ""),
        ("syscall=SYS_UNLINK".into(), "Syscall=SYS_UNLINK".into())
    );
    // An argument is no pair of the mechanism.
    let exec = Event::exec("/bin/env").args([&b"A=b"[..]]);
    assert_eq!(of(exec, ""), (String::new(), String::new()));
}

#[test]
fn where_the_list_of_tags_is_left_out() {
    for (event, verdict, listed) in [
        (Event::read("/x"), Verdict::Block, true),
        (Event::exec("/x"), Verdict::Block, true),
        (Event::socket(Socket::new(2, 1, 0)), Verdict::Block, false),
        (Event::socket(Socket::new(2, 1, 0)), Verdict::Audit, true),
        (Event::dns("x.y"), Verdict::Block, false),
        (Event::syscall("unlink"), Verdict::Audit, false),
    ] {
        let rule = rule(event.operation.class(), Action::Block);
        let decision = by_rule(verdict);
        let alert = Alert::new(&event, &decision, Some(&rule), &context()).unwrap();
        assert_eq!(alert.tags, "MITRE,CIS");
        assert_eq!(!alert.atags.is_empty(), listed, "{event:?}");
    }
}

#[test]
fn host_policies_have_a_type_of_their_own() {
    let event = Event::read("/etc/shadow");
    let host = AlertContext::of(&Workload::host());
    let block = by_rule(Verdict::Block);
    let rule = RuleInfo {
        kind: PolicyKind::KubeArmorHostPolicy,
        severity: 0,
        ..rule(Class::File, Action::Block)
    };
    let alert = Alert::new(&event, &block, Some(&rule), &host).unwrap();
    assert_eq!(alert.kind, "MatchedHostPolicy");
    assert!(!alert.to_kubearmor_json().contains("Severity"));
    let posture = Decision::by_posture(Verdict::Block);
    let alert = Alert::new(&event, &posture, None, &host).unwrap();
    assert_eq!(alert.kind, "MatchedHostPolicy");
}

#[test]
fn both_shapes_are_read_back() {
    let mut alert = blocked_read();
    alert.exec_event = Some(ExecEvent {
        exec_id: "7".into(),
        executable_name: "sh".into(),
    });
    for text in [alert.to_kubearmor_json(), alert.to_kubearmor_daemon_json()] {
        assert_eq!(
            Alert::from_kubearmor_json(&text).as_ref(),
            Ok(&alert),
            "{text}"
        );
    }
    let foreign = r#"{"Timestamp":1,"atags":null,"HashID":"dd57","MaxAlertsPerSec":10}"#;
    let read = Alert::from_kubearmor_json(foreign).unwrap();
    assert_eq!(read.timestamp, 1);
    assert_eq!(read.other.get("HashID"), Some(&Value::from("dd57")));
    assert!(
        read.to_kubearmor_daemon_json()
            .contains(r#""MaxAlertsPerSec":10"#)
    );
    let error = Alert::from_kubearmor_json(r#"{"PID":"x"}"#).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("not a KubeArmor alert: invalid type")
    );
}

#[test]
fn a_finding_of_ocsf_holds_everything_that_an_alert_does() {
    let finding: Value = serde_json::from_str(&blocked_read().to_ocsf_json()).unwrap();
    // What the schema requires of the class.
    for required in [
        "activity_id",
        "category_uid",
        "class_uid",
        "finding_info",
        "metadata",
        "severity_id",
        "time",
        "type_uid",
    ] {
        assert!(finding.get(required).is_some(), "{required}");
    }
    assert_eq!(finding["time"], 1_750_000_000_123_i64);
    assert_eq!(finding["type_uid"], 200_401);
    assert_eq!(
        (&finding["severity_id"], &finding["action_id"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(finding["finding_info"]["types"], json!(["MITRE", "CIS"]));
    assert_eq!(
        finding["finding_info"]["analytic"]["name"],
        "ksp-block-shadow"
    );
    let evidence = &finding["evidences"][0];
    assert_eq!(evidence["file"]["name"], "shadow");
    assert_eq!(
        evidence["actor"]["process"]["cmd_line"],
        "/usr/bin/cat /etc/shadow"
    );
    assert_eq!(evidence["container"]["image"]["name"], "nginx:1");
    assert_eq!(finding["resources"][0]["labels"], json!(["app=web"]));
    assert_eq!(finding["unmapped"]["Data"], "lsm=FILE_OPEN");
    // The same alert has the same uid, another one another.
    let again: Value = serde_json::from_str(&blocked_read().to_ocsf_json()).unwrap();
    assert_eq!(again["finding_info"]["uid"], finding["finding_info"]["uid"]);
    let mut other = blocked_read();
    other.host_pid += 1;
    let other: Value = serde_json::from_str(&other.to_ocsf_json()).unwrap();
    assert_ne!(other["finding_info"]["uid"], finding["finding_info"]["uid"]);
}

#[test]
fn what_passed_is_logged_and_an_exec_names_both_programs() {
    let event = Event::exec("/bin/sh")
        .args([&b"-c"[..]])
        .by("/usr/sbin/nginx");
    let rule = rule(Class::Process, Action::Audit);
    let alert = Alert::new(&event, &by_rule(Verdict::Audit), Some(&rule), &context()).unwrap();
    let finding: Value = serde_json::from_str(&alert.to_ocsf_json()).unwrap();
    assert_eq!(
        (&finding["action"], &finding["disposition"]),
        (&json!("Allowed"), &json!("Logged"))
    );
    let evidence = &finding["evidences"][0];
    assert_eq!(evidence["process"]["cmd_line"], "/bin/sh -c");
    assert_eq!(
        evidence["actor"]["process"]["file"]["path"],
        "/usr/sbin/nginx"
    );
}
