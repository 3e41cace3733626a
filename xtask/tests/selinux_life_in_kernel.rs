//! The life of SELinux modules in real kernels: replaced while a process asks all the time, and put in force by the
//! command. Skipped in one line where the machine can't run kernels and `GAMBESON_KERNELS` names none.

#![expect(
    clippy::unwrap_used,
    reason = "the lint's exception covers test functions, not what they call"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use xtask::vm::{Lsm, Machine, Outcome, Payload, kernels_under_test};

/// Both policies block `/both` and leave `/free` alone. What else they say differs, so that all types do.
fn policy(path: &str, directory: &str) -> String {
    format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: p}}\nspec:\n  file:\n    \
         matchPaths: [{{path: /both}}, {{path: {path}}}]\n    \
         matchDirectories: [{{dir: {directory}, recursive: true}}]\n  \
         process: {{matchPaths: [{{path: /bin/forbidden}}]}}\n"
    )
}

/// Builds a program, small, for files are copied into machines.
fn build(package: &str, arguments: &[&str]) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--message-format", "json", "--package"])
        .arg(package)
        .args(arguments)
        .arg("--target-dir")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("selinux"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_DEV_STRIP", "symbols")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut built = text.lines().filter_map(|line| {
        let message = serde_json::from_str::<Value>(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    built.next().unwrap()
}

fn in_kernels(payload: &Payload, test: impl Fn(&str, &Outcome)) {
    for kernel in kernels_under_test().unwrap().or_say_skipped() {
        let release = kernel.release.clone();
        let mut machine = Machine::new(kernel);
        machine.lsm = Lsm::SeLinux;
        machine.timeout = Duration::from_secs(600);
        let outcome = machine.run(payload).unwrap();
        assert!(outcome.status.success(), "{release}: {outcome:#?}");
        test(&release, &outcome);
    }
}

/// Whether there is something to test with.
fn ready() -> bool {
    if kernels_under_test().unwrap().or_say_skipped().is_empty() {
        return false;
    }
    let compiler = Path::new("/usr/bin/secilc").exists();
    let required = std::env::var("GAMBESON_TOOLS").is_ok_and(|value| value == "require");
    assert!(
        compiler || !required,
        "secilc is required and not installed"
    );
    if !compiler {
        println!("SKIPPED: secilc is not installed");
    }
    compiler
}

const LAY_OUT: &str = "\
set -e
mkdir -p /out /lab; mount -t tmpfs -o mode=755 tmpfs /lab; cd /lab
mkdir -p bin one/a two/b many
for f in both free a b one/a/f two/b/f; do echo hi > $f; done
for n in 1 2 3 4 5 6 7 8 9; do for m in 1 2 3 4 5 6 7 8 9; do echo > many/$n$m; done; done
cp /bin/busybox bin/busybox; cp /bin/busybox bin/forbidden
set +e
";

#[test]
fn no_moment_of_a_replacement_has_a_wrong_verdict() {
    if !ready() {
        return;
    }
    let inside = "\
cd /lab; n=0
while [ ! -e stop ]; do
  n=$((n + 1))
  if (read x < both) 2>/dev/null; then echo leak; fi
  if (read x < free) 2>/dev/null; then :; else echo refused; fi
  if (echo x >> one/a/f) 2>/dev/null; then one=$((one + 1)); else no_one=$((no_one + 1)); fi
done
echo \"looked: $n, let: $one, denied: $no_one\"
";
    let script = format!(
        "{LAY_OUT}replace /old.yaml /new.yaml /lab /lab/bin/busybox sh /inside > /out/said 2>&1; echo $? > /out/status"
    );
    let payload = Payload::new(["/bin/sh", "-c", &script])
        .executable(
            build("gambeson-backend-selinux", &["--example", "replace"]),
            "/usr/bin/replace",
        )
        .executable("/usr/bin/secilc", "/usr/bin/secilc")
        .file("/old.yaml", 0o644, policy("/a", "/one/"))
        .file("/new.yaml", 0o644, policy("/b", "/two/"))
        .file("/inside", 0o644, inside);
    in_kernels(&payload, |release, outcome| {
        let file = |name: &str| String::from_utf8_lossy(&outcome.out_files[name]).into_owned();
        let said = file("said");
        assert_eq!(file("status").trim(), "0", "{release}: {said}");
        assert!(!said.contains("leak"), "{release}: {said}");
        assert!(!said.contains("refused"), "{release}: {said}");
        assert!(said.contains("generation 10: "), "{release}: {said}");
        // One process all along, under the old policy and under the new one.
        let looked = said
            .lines()
            .find(|line| line.starts_with("looked: "))
            .unwrap();
        assert!(!looked.contains("let: ,"), "{release}: {said}");
        assert!(!looked.ends_with("denied: "), "{release}: {said}");
    });
}

#[test]
fn a_command_runs_in_a_domain() {
    if !ready() {
        return;
    }
    let script = format!(
        "{LAY_OUT}run='gambeson run --backend selinux --root /lab --policies /policy.yaml --namespace default'\n\
         $run -- /lab/bin/busybox true > /out/strict 2>&1; echo $? > /out/strict-status\n\
         run=\"$run --require best-effort\"\n\
         $run --json --output /out/alerts -- /lab/bin/busybox sh -c \
         'read x < /lab/both; read x < /lab/free && echo read; sleep 600 & exit 7' > /out/said 2> /out/errors\n\
         echo $? > /out/status\n\
         cat both > /out/both\n\
         $run -- /lab/bin/forbidden true 2> /out/forbidden; echo $? > /out/forbidden-status\n\
         gambeson probe --backend selinux --json > /out/probe\n"
    );
    let payload = Payload::new(["/bin/sh", "-c", &script])
        .executable(
            build("gambeson-cli", &["--bin", "gambeson"]),
            "/usr/bin/gambeson",
        )
        .executable("/usr/bin/secilc", "/usr/bin/secilc")
        .file("/policy.yaml", 0o644, policy("/a", "/one/"));
    in_kernels(&payload, |release, outcome| {
        let file = |name: &str| String::from_utf8_lossy(&outcome.out_files[name]).into_owned();
        assert_eq!(file("strict-status"), "1\n", "{release}");
        assert!(
            file("strict").contains("looser"),
            "{release}: {}",
            file("strict")
        );
        assert_eq!(file("status"), "7\n", "{release}: {}", file("errors"));
        assert_eq!(file("said"), "read\n", "{release}");
        assert!(
            file("errors").contains("it was ended"),
            "{release}: {}",
            file("errors")
        );
        let alerts = file("alerts");
        assert!(
            alerts.contains("file.matchPaths[0]") && alerts.contains("\"block\":1"),
            "{release}: {alerts}"
        );
        // Files have their labels back.
        assert_eq!(file("both"), "hi\n", "{release}");
        assert_eq!(
            file("forbidden-status"),
            "126\n",
            "{release}: {}",
            file("forbidden")
        );
        assert!(file("probe").contains("\"can_enforce\":true"), "{release}");
    });
}
