//! `gambeson run --backend apparmor` on every kernel that is to be tested. Skipped in one line where the
//! machine can't run any and `GAMBESON_KERNELS` names none.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception covers test functions, not what they call"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gambeson::apparmor::Parser;
use serde_json::Value;
use xtask::vm::{Lsm, Machine, Outcome, Payload, kernels_under_test};

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

const SCRIPT: &str = r#"
mkdir -p /out
run="gambeson run --backend apparmor --require best-effort --policies /policies --label app=web"
gambeson probe --backend apparmor --json > /out/probe; echo $? > /out/probe-status
$run -- /bin/sh -c 'cat /data/secret; cat /data/watched /data/plain; cat /proc/self/attr/current; exit 7' > /out/human 2> /out/human-said
echo $? > /out/human-status
$run --json --output /out/json -- /bin/sh -c 'cat /data/secret; cat /data/watched; sleep 600 & exit 3' 2> /out/json-said
echo $? > /out/json-status
cp /bin/busybox /usr/bin/forbidden
$run -- /usr/bin/forbidden true 2> /out/forbidden-said; echo $? > /out/forbidden-status
$run -- /usr/bin/no-such-program 2> /out/missing-said; echo $? > /out/missing-status
$run --audit -- /bin/cat /data/secret > /out/audit 2> /out/audit-said; echo $? > /out/audit-status
cat /sys/kernel/security/apparmor/profiles > /out/profiles
pidof sleep > /out/sleeping
rm /usr/sbin/apparmor_parser
$run -- /bin/true 2> /out/parserless-said; echo $? > /out/parserless-status
"#;

/// The command without BPF programs, apart from the one that other tests run.
fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("with-apparmor");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--message-format", "json"])
        .args(["--package", "gambeson-cli", "--bin", "gambeson"])
        .arg("--target-dir")
        .arg(folder)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
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
        .next_back()
        .unwrap()
}

fn file<'o>(outcome: &'o Outcome, name: &str) -> &'o str {
    let found = outcome.out_files.get(name);
    let content = found.unwrap_or_else(|| panic!("no {name}: {outcome:#?}"));
    std::str::from_utf8(content).unwrap()
}

#[test]
fn a_command_runs_under_a_profile() {
    let kernels = kernels_under_test().unwrap().or_say_skipped();
    if kernels.is_empty() {
        return;
    }
    let parser = Parser::find().unwrap();
    let payload = Payload::new(["/bin/sh", "-c", SCRIPT])
        .executable(build(), "/usr/bin/gambeson")
        .executable(parser.program(), "/usr/sbin/apparmor_parser")
        .file("/policies/web.yaml", 0o644, POLICY)
        .file("/data/secret", 0o644, "a secret\n")
        .file("/data/watched", 0o644, "something\n")
        .file("/data/plain", 0o644, "anything\n");
    for kernel in kernels {
        let release = kernel.release.clone();
        let mut machine = Machine::new(kernel);
        machine.lsm = Lsm::AppArmor;
        machine.timeout = Duration::from_secs(300);
        let outcome = machine.run(&payload).unwrap();
        assert!(outcome.status.success(), "{release}: {outcome:#?}");
        check(&outcome);
    }
}

fn check(outcome: &Outcome) {
    let is = |name: &str, expected: &str| {
        assert_eq!(file(outcome, name).trim(), expected, "{name}: {outcome:#?}");
    };
    let probed: Value = serde_json::from_str(file(outcome, "probe")).unwrap();
    assert_eq!(probed["can_enforce"], true, "{probed:#}");
    is("probe-status", "0");

    is("human-status", "7");
    let human = file(outcome, "human");
    assert!(
        human.starts_with("something\nanything\ngambeson.run-"),
        "{human}"
    );
    let said = file(outcome, "human-said");
    let block = said.lines().find(|line| line.starts_with("Block"));
    let block = block.unwrap_or_else(|| panic!("nothing blocked: {said}"));
    for word in [
        "read",
        "/data/secret",
        "web-files",
        "file.matchPaths[0]",
        "/policies/web.yaml:9",
    ] {
        assert!(block.contains(word), "{block}");
    }
    assert!(
        said.lines()
            .any(|line| line.starts_with("Audit") && line.contains("/data/watched")),
        "{said}"
    );
    assert!(said.contains("the command ended with status 7"), "{said}");

    is("json-status", "3");
    let said = file(outcome, "json-said");
    assert!(
        said.contains("left process") && said.contains("(sleep)"),
        "{said}"
    );
    let lines: Vec<Value> = file(outcome, "json")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let alert = lines
        .iter()
        .find(|line| line["Verdict"] == "Block")
        .unwrap();
    assert_eq!(alert["Rule"], "file.matchPaths[0]");
    assert_eq!(alert["Enforcer"], "AppArmor");
    assert_eq!(alert["Resource"], "/data/secret");
    assert!(
        lines.last().unwrap()["summary"]["block"].as_u64() >= Some(1),
        "{lines:#?}"
    );

    is("forbidden-status", "126");
    let said = file(outcome, "forbidden-said");
    assert!(
        said.contains("`/usr/bin/forbidden` can't be executed: Permission denied"),
        "{said}"
    );
    assert!(said.contains("process.matchPaths[0]"), "{said}");
    is("missing-status", "127");

    is("audit-status", "0");
    is("audit", "a secret");
    let said = file(outcome, "audit-said");
    assert!(said.contains("file.matchPaths[0]"), "{said}");

    is("profiles", "");
    is("sleeping", "");
    is("parserless-status", "1");
    let said = file(outcome, "parserless-said");
    assert!(
        said.contains("apparmor_parser") && said.contains("install the package"),
        "{said}"
    );
}
