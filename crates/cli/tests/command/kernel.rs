//! `gambeson probe` and `gambeson run`, as far as they go without a kernel that enforces. What they
//! do in kernels is tested in virtual machines.

#[cfg(not(feature = "bpf-lsm"))]
#[test]
fn a_build_without_bpf_programs_says_which_build_has_them() {
    let run = [
        "run",
        "--backend",
        "bpf-lsm",
        "--policies",
        "examples/policies",
        "--namespace",
        "x",
        "--",
        "true",
    ];
    let probe = ["probe", "--backend", "bpf-lsm"];
    for (command, args) in [("run", &run[..]), ("probe", &probe)] {
        let ended = crate::common::run(args);
        assert_eq!((ended.status, ended.out.as_str()), (1, ""));
        assert_eq!(
            ended.err,
            format!(
                "error: `gambeson {command} --backend bpf-lsm` needs a build with the feature `bpf-lsm`: `cargo install --path crates/cli --features bpf-lsm`\n"
            )
        );
    }
}

/// What a machine has of AppArmor is not for a test to say; that it is told with reasons is.
mod apparmor {
    use crate::common::run;

    #[test]
    fn what_is_missing_is_told_with_what_to_do() {
        let ended = run(&["probe", "--backend", "apparmor", "--json"]);
        let probed = &ended.json()[0];
        assert_eq!(probed["backend"], "apparmor");
        let can = probed["can_enforce"] == true;
        assert_eq!(ended.status, i32::from(!can));
        let findings = probed["findings"].as_array().unwrap();
        for name in [
            "lsm list",
            "enabled",
            "features",
            "apparmor_parser",
            "CAP_MAC_ADMIN",
            "own profile",
        ] {
            let found = findings.iter().find(|finding| finding["name"] == name);
            let finding = found.unwrap_or_else(|| panic!("nothing on {name}"));
            assert!(
                finding["present"] == true || finding["remedy"].is_string(),
                "{finding}"
            );
        }
        let human = run(&["probe", "--backend", "apparmor"]);
        assert!(human.out.starts_with("apparmor on Linux "), "{}", human.out);
    }

    #[test]
    fn policies_are_reported_rule_by_rule() {
        let ended = run(&[
            "probe",
            "--backend",
            "apparmor",
            "--json",
            "--policies",
            "examples/policies/web-block-shells.yaml",
            "--namespace",
            "production",
            "--label",
            "app=web",
        ]);
        let rules = ended.json()[0]["policies"]["rules"].clone();
        assert_eq!(rules.as_array().map(Vec::len), Some(4), "{}", ended.err);
    }

    #[test]
    fn nothing_runs_where_nothing_can_be_enforced() {
        let probed = run(&["probe", "--backend", "apparmor", "--json"]);
        if probed.json()[0]["can_enforce"] == true {
            return;
        }
        let ended = run(&[
            "run",
            "--backend",
            "apparmor",
            "--policies",
            "examples/policies",
            "--namespace",
            "production",
            "--",
            "/bin/echo",
            "ran",
        ]);
        assert_eq!((ended.status, ended.out.as_str()), (1, ""));
        assert!(
            ended.err.contains("error: this machine can't enforce: "),
            "{}",
            ended.err
        );
    }

    #[test]
    fn what_apparmor_does_not_show_can_not_be_observed() {
        let ended = run(&[
            "run",
            "--backend",
            "apparmor",
            "--observe",
            "--",
            "/bin/echo",
            "ran",
        ]);
        assert_eq!((ended.status, ended.out.as_str()), (1, ""));
        assert!(
            ended.err.contains("`--observe` needs `--backend bpf-lsm`"),
            "{}",
            ended.err
        );
    }
}

#[cfg(feature = "bpf-lsm")]
mod with_backend {
    use std::io::ErrorKind;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Output, Stdio};
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::Value;

    /// Of nobody, where there is a choice.
    const NOBODY: u32 = 65534;

    /// Runs a copy of the command that others may execute, as a user without any privilege.
    fn unprivileged(args: &[&str]) -> Output {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gambeson-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let copy = folder.join("gambeson");
        std::fs::copy(env!("CARGO_BIN_EXE_gambeson"), &copy).unwrap();
        let mut command = Command::new(&copy);
        command.args(args).current_dir(&folder).stdin(Stdio::null());
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        if status.lines().any(|line| line.starts_with("Uid:\t0\t")) {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = loop {
            match command.output() {
                // A process that another test has just forked still has it open for writing.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {}
                output => break output.unwrap(),
            }
        };
        std::fs::remove_dir_all(&folder).unwrap();
        output
    }

    fn finding<'p>(probed: &'p Value, name: &str) -> &'p Value {
        let findings = probed["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {probed:#}"))
    }

    #[test]
    fn who_may_not_load_programs_is_told_what_is_missing() {
        let output = unprivileged(&["probe", "--json"]);
        assert_eq!(output.status.code(), Some(1));
        let out = String::from_utf8(output.stdout).unwrap();
        assert_eq!(out.lines().count(), 1);
        let probed: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&probed["backend"], &probed["can_enforce"]),
            (&"bpf-lsm".into(), &false.into())
        );
        assert_eq!(probed.get("policies"), None);
        let missing = finding(&probed, "CAP_BPF");
        assert_eq!(missing["present"], false);
        assert_eq!(
            missing["reason"],
            "not held; needed to load programs and make maps"
        );
        assert_eq!(missing["remedy"], "run as root, or with the capability");

        let output = unprivileged(&["probe"]);
        assert_eq!(output.status.code(), Some(1));
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(out.starts_with("bpf-lsm on Linux "), "{out}");
        assert!(
            out.lines().next().unwrap().ends_with("can't enforce"),
            "{out}"
        );
        assert!(out.contains("missing  CAP_BPF"), "{out}");
        assert!(
            out.contains("to do: run as root, or with the capability"),
            "{out}"
        );
    }

    #[test]
    fn who_may_not_load_programs_runs_nothing() {
        let output = unprivileged(&["run", "--observe", "--", "/bin/echo", "ran"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"");
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(
            err.starts_with("error: this kernel can't enforce: "),
            "{err}"
        );
        assert!(err.contains("CAP_BPF"), "{err}");
    }

    #[test]
    fn policies_are_reported_rule_by_rule() {
        let ended = crate::common::run(&[
            "probe",
            "--json",
            "--policies",
            "examples/policies/web-block-shells.yaml",
            "--namespace",
            "production",
            "--label",
            "app=web",
        ]);
        let probed = &ended.json()[0];
        let enforces = probed["can_enforce"] == true;
        assert_eq!(ended.status, i32::from(!enforces), "{}", ended.err);
        let policies = &probed["policies"];
        assert_eq!(
            (&policies["require"], &policies["met"]),
            (&"strict".into(), &enforces.into())
        );
        let rules = policies["rules"].as_array().unwrap();
        assert_eq!(rules.len(), 4);
        assert_eq!(rules[0]["rule"], "process.matchPaths[0]");
        assert_eq!(rules[0]["file"], "examples/policies/web-block-shells.yaml");
        assert_eq!(rules[0]["line"], 20);
        if !enforces {
            assert_eq!(rules[0]["gaps"][0]["outcome"], "unenforced");
        }
    }
}

/// What a machine has of SELinux is not for a test to say either.
mod selinux {
    use crate::common::run;

    #[test]
    fn what_is_missing_is_told_with_what_to_do() {
        let ended = run(&["probe", "--backend", "selinux", "--json"]);
        let probed = &ended.json()[0];
        assert_eq!(probed["backend"], "selinux");
        assert_eq!(ended.status, i32::from(probed["can_enforce"] != true));
        for finding in probed["findings"].as_array().unwrap() {
            assert!(
                finding["present"] == true || finding["remedy"].is_string(),
                "{finding}"
            );
        }
    }

    #[test]
    fn nothing_is_run_where_nothing_is_known_of_what_is_allowed() {
        let args = ["run", "--backend", "selinux", "--observe", "--", "true"];
        let ended = run(&args);
        assert_eq!((ended.status, ended.out.as_str()), (1, ""));
        assert!(ended.err.contains("--observe"), "{}", ended.err);
    }
}
