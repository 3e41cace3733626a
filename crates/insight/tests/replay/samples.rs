//! Whole files of each format, in the shapes that their projects document, with odd lines among them.
//!
//! Beside each file stands what its lines come to. `GAMBESON_UPDATE_SAMPLES=1` writes that anew, to be
//! read before it is taken.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use gambeson_insight::replay::{Baseline, ReplayReport, Replayer};
use gambeson_policy_model::{PolicySet, Verdict, Workload};

/// Watches whatever happens, in the sample's pod, in any other and on the host, so that every event comes
/// to a verdict that it hadn't. The recorded verdict of most is Allow.
const WATCHING: &str = "
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: pods, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  process: {matchDirectories: [{dir: /, recursive: true}]}
  file: {matchDirectories: [{dir: /, recursive: true}]}
  network: {matchProtocols: [{protocol: all}]}
  capabilities: {matchCapabilities: [{capability: sys_admin}]}
  syscalls: {matchSyscalls: [{syscall: [unlink]}]}
  action: Audit
---
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: others, namespace: elsewhere}
spec:
  process: {matchDirectories: [{dir: /, recursive: true}]}
  file: {matchDirectories: [{dir: /, recursive: true}]}
  network: {matchProtocols: [{protocol: all}]}
  action: Audit
---
apiVersion: security.kubearmor.com/v1
kind: KubeArmorHostPolicy
metadata: {name: hosts}
spec:
  nodeSelector: {matchLabels: {}}
  process: {matchDirectories: [{dir: /, recursive: true}]}
  file: {matchDirectories: [{dir: /, recursive: true}]}
  action: Audit
";

fn replay(bytes: &[u8]) -> ReplayReport {
    let watching = PolicySet::from_str(WATCHING).unwrap();
    let elsewhere = Workload::pod("elsewhere");
    Replayer::new(watching, Baseline::Recorded, elsewhere)
        .replay(bytes, 1, |_| ())
        .unwrap()
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay/samples")
}

/// The records of a file, each of one event: a line, or those of the audit log with one serial number.
fn records(text: &str) -> Vec<(usize, String)> {
    let mut records: Vec<(usize, String)> = Vec::new();
    let mut last = None;
    for (number, line) in (1..).zip(text.lines()) {
        let serial = line
            .split_once("msg=audit(")
            .and_then(|(_, rest)| rest.split_once(')'))
            .map(|(serial, _)| serial.to_owned());
        match records.last_mut() {
            Some((_, record)) if serial.is_some() && serial == last => {
                record.push('\n');
                record.push_str(line);
            }
            _ => records.push((number, line.to_owned())),
        }
        last = serial;
    }
    records
}

/// What one record comes to, in a line for each event.
fn told(number: usize, record: &str) -> String {
    let report = replay(record.as_bytes());
    let mut out = String::new();
    for change in &report.changes {
        let times = if change.count == 1 {
            String::new()
        } else {
            format!(" ×{}", change.count)
        };
        writeln!(
            out,
            "{number}: {} {}→{}{times} {}",
            change.workload, change.before, change.after, change.example
        )
        .unwrap();
    }
    for sample in &report.samples {
        writeln!(out, "{number}: unusable: {}", sample.error).unwrap();
    }
    if report.no_event > 0 {
        writeln!(out, "{number}: no event").unwrap();
    }
    for assumed in report.assumed.keys() {
        writeln!(out, "    assumed: {assumed}").unwrap();
    }
    let said = report
        .changes
        .iter()
        .map(|change| change.count)
        .sum::<u64>();
    for _ in said..report.events {
        writeln!(out, "{number}: unchanged").unwrap();
    }
    out
}

fn check(name: &str) {
    let text = std::fs::read_to_string(samples().join(name)).unwrap();
    let (mut all, mut sum) = (String::new(), [0; 3]);
    for (number, record) in records(&text) {
        let part = replay(record.as_bytes());
        for (sum, part) in sum
            .iter_mut()
            .zip([part.events, part.no_event, part.unusable])
        {
            *sum += part;
        }
        all.push_str(&told(number, &record));
    }
    let expected = samples().join(format!("{name}.told"));
    if std::env::var_os("GAMBESON_UPDATE_SAMPLES").is_some() {
        std::fs::write(&expected, &all).unwrap();
    }
    assert_eq!(all, std::fs::read_to_string(&expected).unwrap(), "{name}");
    // The whole file comes to the same.
    let whole = replay(text.as_bytes());
    assert_eq!(
        [whole.events, whole.no_event, whole.unusable],
        sum,
        "{name}"
    );
    assert_eq!(whole.lines, text.lines().count() as u64);
    assert!(whole.newly(Verdict::Audit) > 0, "{name}");
}

#[test]
fn kubearmors_alerts_and_logs() {
    check("kubearmor.jsonl");
}

#[test]
fn tetragons_export() {
    check("tetragon.jsonl");
}

#[test]
fn falcos_output() {
    check("falco.jsonl");
}

#[test]
fn the_audit_log() {
    check("audit.log");
}

#[test]
fn all_formats_may_stand_in_one_file() {
    let mut text = String::new();
    let mut events = 0;
    for name in [
        "kubearmor.jsonl",
        "audit.log",
        "tetragon.jsonl",
        "falco.jsonl",
    ] {
        let part = std::fs::read_to_string(samples().join(name)).unwrap();
        events += replay(part.as_bytes()).events;
        text.push_str(&part);
    }
    assert_eq!(replay(text.as_bytes()).events, events);
}
