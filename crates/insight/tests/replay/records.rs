//! Every format of records, and what becomes of what is none.

use std::io::Read;

use gambeson_insight::replay::{Baseline, ReplayReport, Replayer};
use gambeson_policy_model::{PolicySet, Verdict, Workload};

const CANDIDATE: &str = "
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  process: {matchPaths: [{path: /bin/sh}]}
  file:
    matchPaths: [{path: /etc/shadow}, {path: /etc/hosts, readOnly: true}]
  network: {matchProtocols: [{protocol: raw}]}
  capabilities: {matchCapabilities: [{capability: sys_admin}]}
";

fn replayer(baseline: Baseline) -> Replayer {
    let candidate = PolicySet::from_str(CANDIDATE).unwrap();
    let web = Workload::pod("shop").label("app", "web");
    Replayer::new(candidate, baseline, web)
}

fn replay(lines: &str) -> ReplayReport {
    replayer(Baseline::Recorded)
        .replay(lines.as_bytes(), 1, |_| ())
        .unwrap()
}

/// What one record comes to: operation, program, and what decides.
fn one(line: &str) -> (String, String, String) {
    let report = replay(line);
    assert_eq!(
        (report.events, report.unusable),
        (1, 0),
        "{line}: {:?}",
        report.samples
    );
    let [change] = &report.changes[..] else {
        panic!("{line}: {report:?}")
    };
    assert_eq!(
        (change.before, change.after),
        (Verdict::Allow, Verdict::Block),
        "{line}"
    );
    (
        change.operation.to_owned(),
        change.program.clone(),
        change.after_by.clone(),
    )
}

fn told(line: &str) -> [String; 2] {
    let (operation, program, by) = one(line);
    let rule = by.split(' ').nth(1).unwrap_or_default().to_owned();
    [format!("{operation} by {program}"), rule]
}

#[test]
fn every_format_of_records_is_read() {
    for (line, operation, rule) in [
        (
            r#"{"op":"exec","path":"/bin/sh","source":"/usr/bin/node"}"#,
            "exec by /usr/bin/node",
            "process.matchPaths[0]",
        ),
        (
            r#"{"NamespaceName":"shop","Labels":"app=web","ContainerID":"1","Operation":"Process","Resource":"/bin/sh -c id","ProcessName":"/bin/sh","ParentProcessName":"/usr/bin/node","Result":"Passed","PPID":1,"UID":0,"New":{"unknown":1}}"#,
            "exec by /usr/bin/node",
            "process.matchPaths[0]",
        ),
        (
            r#"{"namespaceName":"shop","labels":"app=web","containerID":"1","operation":"File","resource":"/etc/hosts","processName":"/usr/bin/vi","data":"syscall=SYS_OPENAT fd=-100 flags=O_RDWR|O_CREAT","result":"Passed"}"#,
            "write by /usr/bin/vi",
            "file.matchPaths[1]",
        ),
        (
            r#"{"NamespaceName":"shop","Labels":"app=web","ContainerID":"1","Operation":"Network","Resource":"domain=AF_INET type=SOCK_RAW protocol=ICMP","ProcessName":"/bin/ping","Result":"Passed"}"#,
            "socket by /bin/ping",
            "network.matchProtocols[0]",
        ),
        (
            r#"{"process_exec":{"process":{"exec_id":"x","pid":1,"uid":0,"binary":"/bin/sh","arguments":"-c id","pod":{"namespace":"shop","name":"web-0","container":{"name":"web"},"pod_labels":{"app":"web"}}},"parent":{"binary":"/usr/bin/node"}},"node_name":"n","time":"2026-01-01T00:00:00Z"}"#,
            "exec by /usr/bin/node",
            "process.matchPaths[0]",
        ),
        (
            r#"{"process_kprobe":{"process":{"binary":"/usr/bin/cat","uid":0,"pod":{"namespace":"shop","container":{"name":"web"},"pod_labels":{"app":"web"}}},"function_name":"security_file_permission","args":[{"file_arg":{"path":"/etc/hosts"}},{"int_arg":2}],"action":"KPROBE_ACTION_POST"}}"#,
            "write by /usr/bin/cat",
            "file.matchPaths[1]",
        ),
        (
            r#"{"process_kprobe":{"process":{"binary":"/usr/bin/x","pod":{"namespace":"shop","pod_labels":{"app":"web"}}},"function_name":"cap_capable","args":[{"capability_arg":{"value":21,"name":"CAP_SYS_ADMIN"}}]}}"#,
            "capability by /usr/bin/x",
            "capabilities.matchCapabilities[0]",
        ),
        (
            r#"{"output":"x","priority":"Warning","rule":"Read sensitive file","output_fields":{"evt.type":"openat","fd.name":"/etc/shadow","proc.exepath":"/usr/bin/cat","k8s.ns.name":"shop","k8s.pod.labels":"app:web","container.id":"1","user.uid":0,"evt.is_open_write":false}}"#,
            "read by /usr/bin/cat",
            "file.matchPaths[0]",
        ),
        (
            "type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c a1=7fff a2=241 a3=1b6 items=1 ppid=1 pid=2 auid=0 uid=0 fsuid=0 tty=pts0 comm=\"tee\" exe=\"/usr/bin/tee\" key=(null)\ntype=CWD msg=audit(1364481363.243:24287): cwd=\"/etc\"\ntype=PATH msg=audit(1364481363.243:24287): item=0 name=\"./hosts\" inode=1 dev=08:01 mode=0100644 ouid=0 ogid=0 nametype=NORMAL",
            "write by /usr/bin/tee",
            "file.matchPaths[1]",
        ),
        (
            "type=SYSCALL msg=audit(1.2:3): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 items=2 uid=0 fsuid=0 tty=(none) exe=\"/bin/sh\"\ntype=EXECVE msg=audit(1.2:3): argc=3 a0=\"sh\" a1=\"-c\" a2=6964\ntype=CWD msg=audit(1.2:3): cwd=\"/\"\ntype=PATH msg=audit(1.2:3): item=0 name=2F62696E2F7368 ouid=0 nametype=NORMAL",
            "exec by ",
            "process.matchPaths[0]",
        ),
    ] {
        assert_eq!(
            told(line),
            [operation.to_owned(), rule.to_owned()],
            "{line}"
        );
    }
}

#[test]
fn both_names_of_a_rename_in_the_audit_log_count() {
    let lines = "type=SYSCALL msg=audit(1.2:3): arch=c000003e syscall=82 success=yes exit=0 uid=0 fsuid=0 tty=(none) exe=\"/bin/mv\"
type=CWD msg=audit(1.2:3): cwd=\"/etc\"
type=PATH msg=audit(1.2:3): item=0 name=\"/etc/\" nametype=PARENT
type=PATH msg=audit(1.2:3): item=2 name=\"new\" ouid=0 nametype=DELETE
type=PATH msg=audit(1.2:3): item=3 name=\"shadow\" ouid=0 nametype=CREATE
";
    let report = replay(lines);
    assert_eq!((report.events, report.newly(Verdict::Block)), (2, 1));
}

#[test]
fn what_was_blocked_and_no_longer_is_is_newly_allowed() {
    let line = r#"{"NamespaceName":"shop","Labels":"app=web","ContainerID":"1","Operation":"Process","Resource":"/bin/ls","ParentProcessName":"/bin/bash","PolicyName":"old","Action":"Block","Result":"Permission denied"}"#;
    let report = replay(line);
    assert_eq!(report.newly(Verdict::Allow), 1);
    // Another pod's events are none of this policy's business.
    let report = replay(
        &line
            .replace("/bin/ls", "/bin/sh")
            .replace("app=web", "app=db"),
    );
    assert_eq!(
        (report.newly(Verdict::Allow), report.newly(Verdict::Block)),
        (1, 0)
    );
    // Against the policy in force, what was recorded doesn't count.
    let in_force = Baseline::Policies(PolicySet::from_str(CANDIDATE).unwrap());
    let report = replayer(in_force)
        .replay(line.as_bytes(), 1, |_| ())
        .unwrap();
    assert!(report.changes.is_empty() && report.events == 1);
}

#[test]
fn lines_that_cannot_be_used_are_counted_and_shown_and_keep_nothing_else() {
    let long = "x".repeat(17 << 20);
    let lines = format!(
        "nonsense\n\n{{\"op\":\"exec\",\"path\":\"/bin/sh\"}}\n{{\"Operation\":\"File\",\"Resource\":\"relative\"}}\n\u{7f}\n{{\"process_exit\":{{}}}}\n{long}\n{{\"op\":\"read\",\"path\":\"/x\"}}\n"
    );
    let report = replay(&lines);
    assert_eq!((report.events, report.unusable, report.no_event), (2, 4, 1));
    let numbers: Vec<u64> = report.samples.iter().map(|sample| sample.line).collect();
    assert_eq!(numbers, [1, 4, 5, 7]);
    assert!(
        report.to_text().contains("unusable line 4: "),
        "{}",
        report.to_text()
    );
    assert_eq!(report.to_json()["unusable"]["count"], 4);
}

/// Hands out a few bytes at a time.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(to.len()).min(self.0.len());
        let (now, rest) = self.0.split_at(count);
        to[..count].copy_from_slice(now);
        self.0 = rest;
        Ok(count)
    }
}

#[test]
fn threads_and_the_sizes_of_reads_change_nothing() {
    // Several batches, with records of the audit log across their borders.
    let mut lines = String::new();
    for number in 0..12_000 {
        lines.push_str(&format!(
            "{{\"op\":\"exec\",\"path\":\"/bin/{}\",\"source\":\"/p{}\"}}\n",
            ["sh", "ls"][number % 2],
            number % 7
        ));
        lines.push_str(&format!("type=SYSCALL msg=audit(1.2:{number}): arch=c000003e syscall=2 exit=3 a1=0 uid=0 fsuid=0 exe=\"/bin/cat\"\ntype=CWD msg=audit(1.2:{number}): cwd=\"/\"\ntype=PATH msg=audit(1.2:{number}): item=0 name=\"/etc/shadow\" nametype=NORMAL\n"));
    }
    assert!(lines.len() > 2 << 20);
    let of = |threads, size| {
        let mut bytes = 0;
        let report = replayer(Baseline::Recorded)
            .replay(Dribble(lines.as_bytes(), size), threads, |read| {
                bytes = read
            })
            .unwrap();
        assert_eq!(bytes, lines.len() as u64);
        report
    };
    let first = of(1, usize::MAX);
    assert_eq!(
        (first.events, first.unusable, first.lines),
        (24_000, 0, 48_000)
    );
    assert_eq!(first.newly(Verdict::Block), 6_000 + 12_000);
    for (threads, size) in [(1, 100_003), (2, usize::MAX), (3, 65_537)] {
        let other = of(threads, size);
        assert_eq!(
            other.changes, first.changes,
            "{threads} threads, {size} bytes"
        );
        assert_eq!(other.to_json(), first.to_json());
    }
}
