//! SELinux modules in real kernels: loaded, files labelled, every operation done for real, all of it
//! undone. The verdicts must be the reference evaluator's. Skipped in one line where the machine can't
//! run kernels and `GAMBESON_KERNELS` names none.

#![expect(
    clippy::unwrap_used,
    reason = "the lint's exception covers test functions, not what they call"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gambeson::matcher::Config;
use gambeson::matcher::reference::Evaluator;
use gambeson::policy_model::{Capability, Event, PolicySet, Verdict, Workload};
use serde_json::Value;
use xtask::vm::{Lsm, Machine, Payload, kernels_under_test};

const POLICY: &str = "\
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: lab}
spec:
  file:
    matchPaths:
      - {path: /shadow}
      - {path: /open/new}
      - {path: /deep/a/b}
      - {path: /watched, action: Audit}
      - {path: /only}
      - {path: /only, action: Allow, fromSource: [{path: /bin/reader}]}
    matchDirectories:
      - {dir: /secret/, recursive: true}
      - {dir: /ro/, recursive: true, readOnly: true}
    matchPatterns:
      - {pattern: '/keys/*.key'}
  process:
    matchPaths: [{path: /bin/no}]
    matchDirectories: [{dir: /tools/}]
  network: {matchProtocols: [{protocol: udp}]}
  capabilities: {matchCapabilities: [{capability: chown}]}
";

/// Lays out what workloads see as `/`.
const LAY_OUT: &str = "\
set -e
mkdir -p /lab; mount -t tmpfs -o mode=755 tmpfs /lab; cd /lab
mkdir -p bin open secret ro deep/a keys tools
for f in shadow watched only other secret/x ro/f deep/a/b keys/a.key keys/a.pem; do echo hi > $f; done
cp /bin/busybox bin/busybox; cp /usr/bin/reader bin/reader
for p in bin/no bin/yes tools/t; do cp /usr/bin/true $p; done
ln -s /lab/shadow symlink
";

/// What is done in the domain, with the events that it is.
fn operations() -> Vec<(&'static str, Vec<Event<'static>>)> {
    let read = Event::read;
    let write = Event::write;
    let busybox = "/bin/busybox";
    let mut all = vec![
        ("read x < shadow", vec![read("/shadow")]),
        ("read x < symlink", vec![read("/shadow")]),
        (
            "read x < /proc/self/root/lab/bin/../shadow",
            vec![read("/shadow")],
        ),
        ("read x < other", vec![read("/other")]),
        ("read x < watched", vec![read("/watched")]),
        ("read x < secret/x", vec![read("/secret/x")]),
        ("read x < keys/a.key", vec![read("/keys/a.key")]),
        ("read x < keys/a.pem", vec![read("/keys/a.pem")]),
        ("read x < ro/f", vec![read("/ro/f")]),
        ("echo x >> ro/f", vec![write("/ro/f")]),
        ("echo x >> other", vec![write("/other")]),
        ("bin/busybox ls secret", vec![read("/secret")]),
        ("bin/busybox stat secret/x", vec![]),
        ("bin/busybox chmod 600 shadow", vec![write("/shadow")]),
        ("bin/busybox chmod 600 other", vec![write("/other")]),
        ("bin/busybox touch other", vec![write("/other")]),
        ("bin/busybox truncate -s 0 shadow", vec![write("/shadow")]),
        ("bin/busybox rm ro/f", vec![write("/ro/f")]),
        ("echo x > ro/created", vec![write("/ro/created")]),
        ("echo x > open/created", vec![write("/open/created")]),
        ("echo x > open/new", vec![write("/open/new")]),
        ("bin/busybox mkdir open/new", vec![write("/open/new")]),
        ("bin/busybox ln -s x open/new", vec![write("/open/new")]),
        ("bin/busybox mkdir open/dir", vec![write("/open/dir")]),
        (
            "bin/busybox mv open/created secret/y",
            vec![write("/open/created"), write("/secret/y")],
        ),
        (
            "bin/busybox mv shadow open/y",
            vec![write("/shadow"), write("/open/y")],
        ),
        (
            "bin/busybox mv open/created open/moved",
            vec![write("/open/created"), write("/open/moved")],
        ),
        (
            "bin/busybox mv deep deeper",
            vec![write("/deep"), write("/deep/a/b")],
        ),
        (
            "bin/busybox mv deep/a deep/c",
            vec![write("/deep/a"), write("/deep/a/b")],
        ),
        ("bin/busybox ln shadow open/link", vec![write("/shadow")]),
        (
            "bin/busybox ln other open/link",
            vec![write("/other"), write("/open/link")],
        ),
        ("bin/no", vec![Event::exec("/bin/no")]),
        ("bin/yes", vec![Event::exec("/bin/yes")]),
        ("tools/t", vec![Event::exec("/tools/t")]),
        ("read x < only", vec![read("/only")]),
        (
            "bin/busybox chown 5 other",
            vec![Event::capability(Capability::from_name("chown").unwrap())],
        ),
    ];
    for (_, events) in &mut all {
        for event in events {
            *event = event.clone().by(busybox);
        }
    }
    all.push(("bin/reader only", vec![read("/only").by("/bin/reader")]));
    all.push(("bin/reader shadow", vec![read("/shadow").by("/bin/reader")]));
    all
}

/// Ways around rules by path, and whether they lead there: a bind mount made by somebody else shows the
/// file's label.
const OTHER_NAMES: [(&str, bool); 2] = [
    ("read x < /elsewhere/x", false),
    ("bin/busybox mount -t tmpfs t open", false),
];

/// Builds the example that loads modules.
fn enforce() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("selinux");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--message-format", "json"])
        .args([
            "--package",
            "gambeson-backend-selinux",
            "--example",
            "enforce",
        ])
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
    let text = String::from_utf8(output.stdout).unwrap();
    let mut built = text.lines().filter_map(|line| {
        let message = serde_json::from_str::<Value>(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    built.next().unwrap()
}

#[test]
fn labels_carry_policies_out_in_a_kernel() {
    let kernels = kernels_under_test().unwrap().or_say_skipped();
    if kernels.is_empty() {
        return;
    }
    if !Path::new("/usr/bin/secilc").exists() {
        let required = std::env::var("GAMBESON_TOOLS").is_ok_and(|value| value == "require");
        assert!(!required, "secilc is required and not installed");
        std::io::stderr()
            .write_all(b"SKIPPED: secilc is not installed\n")
            .unwrap();
        return;
    }
    let selection = PolicySet::from_str(POLICY)
        .unwrap()
        .select(&Workload::pod("default"));
    let evaluator = Evaluator::new(&selection, &Config::default()).unwrap();
    let mut inside = String::from("cd /lab\n");
    let mut expected = Vec::new();
    let passes = |events: &[Event<'_>]| {
        let mut verdicts = events.iter().map(|event| evaluator.decide(event).verdict());
        verdicts.all(|verdict| verdict != Verdict::Block)
    };
    let operations = operations();
    let done = operations
        .iter()
        .map(|(done, events)| (*done, passes(events)));
    for (operation, passes) in done.chain(OTHER_NAMES) {
        // In a shell of its own: a redirection that fails ends one.
        inside.push_str(&format!(
            "if ({operation}) >/dev/null 2>&1; then echo 'ok: {operation}'; else echo 'no: {operation}'; fi\n"
        ));
        expected.push(format!("{}: {operation}", if passes { "ok" } else { "no" }));
    }
    let script = format!(
        "{LAY_OUT}\
         mkdir /elsewhere; mount --bind secret /elsewhere; set +e\n\
         mkdir -p /out\n\
         enforce /policy.yaml /lab /lab/bin/busybox sh /inside > /out/said 2> /out/errors\n\
         echo $? > /out/status\n\
         cat shadow > /out/shadow\n\
         ln shadow twin\n\
         enforce /policy.yaml /lab /lab/bin/busybox sh -c 'read x < /lab/twin' > /out/twin 2>&1\n\
         cat shadow >> /out/shadow\n\
         ln bin/reader bin/twin\n\
         enforce /policy.yaml /lab /lab/bin/busybox true > /out/twice 2>&1\n\
         echo $? >> /out/twice; cat shadow >> /out/shadow\n"
    );
    let payload = Payload::new(["/bin/sh", "-c", &script])
        .executable(enforce(), "/usr/bin/enforce")
        .executable("/usr/bin/secilc", "/usr/bin/secilc")
        .executable("/bin/cat", "/usr/bin/reader")
        .executable("/bin/true", "/usr/bin/true")
        .file("/policy.yaml", 0o644, POLICY)
        .file("/inside", 0o644, inside);
    for kernel in kernels {
        let release = kernel.release.clone();
        let mut machine = Machine::new(kernel);
        machine.lsm = Lsm::SeLinux;
        machine.timeout = Duration::from_secs(600);
        let outcome = machine.run(&payload).unwrap();
        assert!(outcome.status.success(), "{release}: {outcome:#?}");
        let file = |name: &str| {
            let content = outcome.out_files.get(name).unwrap();
            String::from_utf8_lossy(content).into_owned()
        };
        assert_eq!(file("status").trim(), "0", "{release}: {}", file("errors"));
        let said = file("said");
        let found: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("ok: ") || line.starts_with("no: "))
            .collect();
        assert_eq!(found, expected, "{release}");
        // What the strictest of a file's names says holds for all.
        let twin = file("twin");
        assert!(twin.contains("Permission denied"), "{release}: {twin}");
        // Where none is the strictest, nothing is left of the try.
        let twice = file("twice");
        assert!(
            twice.contains("neither is the stricter") && twice.ends_with("1\n"),
            "{twice}"
        );
        assert_eq!(
            file("shadow"),
            "hi\nhi\nhi\n",
            "{release}: labels are undone"
        );
    }
}
