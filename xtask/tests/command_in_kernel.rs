//! `gambeson run` and the example agent on the oldest and the newest kernel that is to be tested. Skipped in one line
//! where the machine can't run any and `GAMBESON_KERNELS` names none.

#![expect(
    clippy::unwrap_used,
    reason = "the lint's exception covers test functions, not what they call"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use xtask::vm::{Machine, Outcome, Payload, kernels_under_test};

const POLICY: &str = "\
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: web-files, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  message: not a file of the web server
  file:
    matchPaths:
      - path: /data/secret
        action: Block
      - path: /data/watched
        action: Audit
  process:
    matchPaths:
      - path: /usr/bin/forbidden
        action: Block
";

/// Builds the command and the agent with the backend, apart from the command that other tests run.
fn build() -> &'static [PathBuf] {
    static BUILT: OnceLock<Vec<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("with-backend");
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--message-format", "json"])
            .args(["--package", "gambeson-cli", "--bin", "gambeson"])
            .args(["--package", "gambeson", "--example", "agent"])
            .args(["--features", "gambeson-cli/bpf-lsm,gambeson/bpf-lsm"])
            .arg("--target-dir")
            .arg(folder)
            .current_dir(project())
            // Small, for files are copied into machines.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_PROFILE_DEV_STRIP", "symbols")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter_map(|line| line.get("executable")?.as_str().map(PathBuf::from))
            .collect()
    })
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The README's command that is enforced, and what it is said to print.
fn shown_in_readme() -> (String, Vec<String>) {
    let readme = std::fs::read_to_string(project().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("\ngambeson run ").unwrap();
    let (command, rest) = rest.split_once('\n').unwrap();
    let (_, rest) = rest.split_once("```text\n").unwrap();
    let (printed, _) = rest.split_once("```").unwrap();
    // Apart from what `env` says, which may come in pieces.
    let command = format!("gambeson run --output /out/readme-alerts {command}");
    (command, printed.lines().map(str::to_owned).collect())
}

/// Runs a script with a program on the oldest and the newest kernel under test: what the others carry out,
/// scenarios tell.
fn on_both_ends(name: &str, script: &str, test: impl Fn(&Outcome)) {
    let kernels = kernels_under_test().unwrap().or_say_skipped();
    if kernels.is_empty() {
        return;
    }
    let program = build().iter().find(|program| program.ends_with(name));
    let payload = Payload::new(["/bin/sh", "-c", script])
        .executable(program.unwrap(), format!("/usr/bin/{name}"))
        .file("/policies/web.yaml", 0o644, POLICY)
        .file("/data/secret", 0o644, "a secret\n")
        .file("/data/watched", 0o644, "something\n")
        .file("/data/plain", 0o644, "anything\n")
        .tree(
            project().join("examples/policies"),
            "/project/examples/policies",
        )
        .executable("/bin/bash", "/usr/bin/bash")
        .executable("/usr/bin/env", "/usr/bin/env")
        .env("README", shown_in_readme().0);
    let last = kernels.len().saturating_sub(1);
    let ends = kernels.into_iter().enumerate();
    for (_, kernel) in ends.filter(|(place, _)| [0, last].contains(place)) {
        let release = kernel.release.clone();
        let mut machine = Machine::new(kernel);
        machine.timeout = Duration::from_secs(600);
        let outcome = machine.run(&payload).unwrap();
        assert!(outcome.status.success(), "{release}: {outcome:#?}");
        test(&outcome);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const RUN: &str = r#"
mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null
mkdir -p /out
run="gambeson run --policies /policies --label app=web"
gambeson probe --json --policies /policies --label app=web > /out/probe; echo $? > /out/probe-status
$run -- /bin/sh -c 'cat /data/secret; cat /data/watched /data/plain; exit 7' > /out/human 2> /out/human-said
echo $? > /out/human-status
$run --json --output /out/json -- /bin/sh -c 'cat /data/secret; cat /data/watched; sleep 600 & exit 3' 2> /out/json-said
echo $? > /out/json-status
$run --alert-format ocsf --output /out/ocsf -- /bin/cat /data/secret > /dev/null 2>&1
$run --json --throttle=0,600 --output /out/throttled -- /bin/sh -c 'cat /data/secret; cat /data/secret; cat /data/watched' > /dev/null 2>&1
$run --observe --json --output /out/observed -- /bin/cat /data/secret > /out/observed-said 2>&1
echo $? > /out/observed-status
cp /bin/busybox /usr/bin/forbidden
$run -- /usr/bin/forbidden true 2> /out/forbidden-said; echo $? > /out/forbidden-status
cd /project
$README > /out/readme 2>&1
find /sys/fs/cgroup -name 'gambeson*' > /out/cgroups
"#;

#[test]
fn a_command_runs_under_policies_that_the_kernel_enforces() {
    on_both_ends("gambeson", RUN, |outcome| {
        let out = |name: &str| match outcome.out_files.get(name) {
            Some(bytes) => text(bytes),
            None => panic!("no {name}: {outcome:#?}"),
        };
        let lines = |name: &str| -> Vec<Value> {
            let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            out(name).lines().map(parse).collect()
        };
        // What it says of the kernel comes true below.
        let probed = lines("probe");
        assert_eq!(out("probe-status"), "0\n");
        assert_eq!(probed[0]["can_enforce"], true);
        assert_eq!(probed[0]["policies"]["met"], true);
        assert_eq!(
            probed[0]["policies"]["rules"][0]["file"],
            "/policies/web.yaml"
        );

        assert_eq!(out("human-status"), "7\n", "{}", out("human-said"));
        assert_eq!(out("human"), "something\nanything\n");
        let said = out("human-said");
        for line in [
            "cat: can't open '/data/secret': Operation not permitted",
            "Block  read  /data/secret  by /usr/bin/busybox  web-files  file.matchPaths[0]  /policies/web.yaml:9",
            "Audit  read  /data/watched  by /usr/bin/busybox  web-files  file.matchPaths[1]  /policies/web.yaml:11",
            "2 events: 1 Block, 1 Audit, 0 Allow",
            "0 lost, 0 throttled, 0 without a path; the command ended with status 7",
        ] {
            assert!(
                said.lines().any(|found| found == line),
                "{line}\nin\n{said}"
            );
        }

        let alerts = lines("json");
        let got: Vec<_> = alerts
            .iter()
            .map(|alert| {
                let key = |key: &str| alert[key].as_str().unwrap_or_default();
                (key("Action"), key("Resource"), key("Result"), key("Rule"))
            })
            .collect();
        assert_eq!(
            got,
            [
                (
                    "Block",
                    "/data/secret",
                    "Permission denied",
                    "file.matchPaths[0]"
                ),
                ("Audit", "/data/watched", "Passed", "file.matchPaths[1]"),
                ("", "", "", ""),
            ]
        );
        let summary = &alerts[2]["summary"];
        assert_eq!(
            (&summary["block"], &summary["audit"]),
            (&1.into(), &1.into())
        );
        assert_eq!(
            (&summary["lost"], &summary["status"]),
            (&0.into(), &3.into())
        );
        assert_eq!(out("json-status"), "3\n");
        let left = out("json-said");
        assert!(left.contains("(sleep) behind; it was ended"), "{left}");

        let findings = lines("ocsf");
        assert_eq!(findings.len(), 2, "{findings:#?}");
        assert_eq!(findings[0]["class_uid"], 2004);
        assert_eq!(findings[0]["evidences"][0]["file"]["path"], "/data/secret");
        assert_eq!(findings[0]["unmapped"]["RuleLine"], 9);

        // The first too many is told, the others are counted.
        let throttled = lines("throttled");
        assert_eq!(throttled.len(), 2, "{throttled:#?}");
        assert_eq!(throttled[0]["Operation"], "AlertThreshold");
        assert_eq!(throttled[0]["DroppingAlertsInterval"], 600);
        let summary = &throttled[1]["summary"];
        assert_eq!(
            (&summary["events"], &summary["dropped"]),
            (&3.into(), &3.into())
        );

        let observed = lines("observed");
        assert_eq!(
            (out("observed-said"), out("observed-status")),
            ("a secret\n", "0\n")
        );
        let exec = &observed[0];
        assert_eq!(
            (&exec["Type"], &exec["Verdict"]),
            (&"ContainerLog".into(), &"Allow".into())
        );
        assert_eq!(exec["ProcessName"], "/usr/bin/busybox");
        let secret = observed
            .iter()
            .find(|event| event["Resource"] == "/data/secret");
        let secret = secret.unwrap();
        assert_eq!(
            (&secret["Verdict"], &secret["Result"]),
            (&"Block".into(), &"Passed".into())
        );

        assert_eq!(out("forbidden-status"), "126\n");
        let said = out("forbidden-said");
        assert!(
            said.contains("`/usr/bin/forbidden` can't be executed"),
            "{said}"
        );
        assert!(said.contains("/policies/web.yaml:15"), "{said}");
        assert_eq!(out("cgroups"), "");

        // Warnings are left out of it. What the command says and what is said of it come in any
        // order.
        let (_, shown) = shown_in_readme();
        let said = out("readme").lines().chain(out("readme-alerts").lines());
        let printed: Vec<&str> = said.collect();
        let (left_out, shown) = shown.split_first().unwrap();
        assert_eq!(left_out, "…");
        for line in shown {
            assert!(printed.contains(&line.as_str()), "{line}\nin\n{printed:#?}");
        }
        let end = shown.iter().rev().take(3);
        assert!(end.eq(printed.iter().rev().take(3)), "{printed:#?}");
    });
}

const TESTS: &str = "\
name: the secret stays one
policies: [web.yaml]
workload: {kind: pod, labels: {app: web}}
steps:
  - {event: {op: read, path: /data/secret, source: /bin/app}, verdict: Block, rule: 'web-files file.matchPaths[0]'}
  - {event: {op: read, path: /data/watched, source: /bin/app}, verdict: Audit}
  - {event: {op: device, class: HID}, verdict: Allow, kernel: skip, why: there is no such device}
  - {event: {op: read, path: /data/plain, source: /bin/app}, verdict: Allow}
";

#[test]
fn tests_of_policies_are_carried_out_by_a_kernel() {
    let kernels = kernels_under_test().unwrap().or_say_skipped();
    let Some(kernel) = kernels.first() else {
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("in-kernel");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("web.yaml"), POLICY).unwrap();
    let tests = folder.join("web.test.yaml");
    let program = build()
        .iter()
        .find(|program| program.ends_with("gambeson"))
        .unwrap();
    let test = |text: &str| {
        std::fs::write(&tests, text).unwrap();
        let output = Command::new(program)
            .args(["test", "--format", "json", "--checkout"])
            .arg(project())
            .arg(format!("--in-kernel={}", kernel.name))
            .arg(&tests)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
        (output.status.code(), report, said)
    };
    let (status, report, said) = test(TESTS);
    assert_eq!(status, Some(0), "{report:#}\n{said}");
    let counts = |report: &Value| {
        [&report["passed"], &report["failed"], &report["errors"]].map(Value::as_u64)
    };
    assert_eq!(counts(&report), [Some(7), Some(0), Some(0)], "{report:#}");
    let place = format!("bpf-lsm on Linux {}", kernel.name);
    let steps = report["steps"].as_array().unwrap();
    let in_kernel: Vec<_> = steps
        .iter()
        .filter(|step| step["place"] == *place)
        .map(|step| step["line"].as_u64())
        .collect();
    assert_eq!(in_kernel, [Some(5), Some(6), Some(8)]);
    assert!(
        said.contains("not asked: there is no such device"),
        "{said}"
    );

    // What is wrong fails in the kernel as well.
    let (status, report, said) = test(&TESTS.replace(
        "path: /data/plain, source: /bin/app}, verdict: Allow",
        "path: /data/plain, source: /bin/app}, verdict: Block, rule: 'web-files file.matchPaths[0]'",
    ));
    assert_eq!(status, Some(1), "{said}");
    assert_eq!(counts(&report), [Some(5), Some(2), Some(0)], "{report:#}");
}

const AGENT: &str = r#"
mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null
mount -t bpf bpf /sys/fs/bpf 2>/dev/null
mkdir -p /out /sys/fs/cgroup/web
agent="agent --pin /sys/fs/bpf/agent /policies /sys/fs/cgroup/web=default/app=web"
in_web() {
    sh -c 'echo 0 > /sys/fs/cgroup/web/cgroup.procs; exec cat "$1"' sh $1 > /dev/null 2>&1
    echo "$1 $?" >> /out/tried
}
# Waits until there are so many such lines.
until_said() {
    while [ "$(grep -c "$1" /out/said)" -lt $2 ]; do kill -0 $pid || exit 1; sleep 0.2; done
}
$agent > /out/alerts 2> /out/said & pid=$!
until_said generation 1
in_web /data/secret; in_web /data/plain
sed -i s,/data/secret,/data/plain, /policies/web.yaml
until_said generation 2
in_web /data/secret; in_web /data/plain
cp /policies/web.yaml /good.yaml; echo 'kind: [' > /policies/web.yaml
until_said 'old policies' 1
in_web /data/plain
cp /good.yaml /policies/web.yaml
# What it hasn't told yet, the next one would.
while [ "$(grep -c Block /out/alerts)" -lt 3 ]; do sleep 0.2; done
kill -9 $pid; wait $pid 2>/dev/null
in_web /data/plain
: > /out/said
$agent > /out/alerts-again 2> /out/said & pid=$!
until_said generation 1
in_web /data/plain; in_web /data/watched
while ! grep -q watched /out/alerts-again; do sleep 0.2; done
kill -9 $pid; wait $pid 2>/dev/null
rm -r /sys/fs/bpf/agent
# A kernel lets go of programs only after it has let go of their pins.
left=100
until sh -c 'echo 0 > /sys/fs/cgroup/web/cgroup.procs; exec cat /data/plain' > /dev/null 2>&1; do
    left=$((left - 1)); [ $left -gt 0 ] || break; sleep 0.1
done
in_web /data/plain
"#;

#[test]
fn the_agent_takes_changes_up_and_is_survived_by_enforcement() {
    on_both_ends("agent", AGENT, |outcome| {
        let out = |name: &str| match outcome.out_files.get(name) {
            Some(bytes) => text(bytes),
            None => panic!("no {name}: {outcome:#?}"),
        };
        assert_eq!(
            out("tried").lines().collect::<Vec<_>>(),
            [
                "/data/secret 1",
                "/data/plain 0",
                // Replaced.
                "/data/secret 0",
                "/data/plain 1",
                // The folder is broken.
                "/data/plain 1",
                // The agent is dead.
                "/data/plain 1",
                // It is back.
                "/data/plain 1",
                "/data/watched 0",
                // The pins are gone.
                "/data/plain 0",
            ]
        );
        assert!(
            out("said").starts_with("adopted 1 bindings\n"),
            "{}",
            out("said")
        );
        let resources = |name: &str| -> Vec<String> {
            let parse = |line| serde_json::from_str::<Value>(line).unwrap();
            let alerts = out(name).lines().map(parse);
            let told = alerts.map(|alert| format!("{} {}", alert["Action"], alert["Resource"]));
            told.map(|told| told.replace('"', "")).collect()
        };
        assert_eq!(
            resources("alerts"),
            [
                "Block /data/secret",
                "Block /data/plain",
                "Block /data/plain"
            ]
        );
        // What was denied while no agent was there is told by the next one.
        assert_eq!(
            resources("alerts-again"),
            [
                "Block /data/plain",
                "Block /data/plain",
                "Audit /data/watched"
            ]
        );
    });
}
