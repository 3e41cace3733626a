//! Commands in virtual machines, on every kernel that is to be tested. Skipped in one line where
//! the machine can't run any and `GAMBESON_KERNELS` names none.

#![expect(
    clippy::unwrap_used,
    reason = "the lint's exception covers test functions, not what they call"
)]

use std::time::Duration;

use xtask::vm::{Lsm, Machine, Outcome, Payload, Status, VmError, kernels_under_test};

/// Does something with a machine of every kernel under test.
fn on_every_kernel(test: impl Fn(Machine)) {
    for kernel in kernels_under_test().unwrap().or_say_skipped() {
        test(Machine::new(kernel));
    }
}

fn shell(script: &str) -> Payload {
    Payload::new(["/bin/sh", "-c", script])
}

fn stdout(outcome: &Outcome) -> &str {
    std::str::from_utf8(&outcome.stdout).unwrap()
}

#[test]
fn a_command_gives_its_output_and_its_status() {
    on_every_kernel(|mut machine| {
        for snapshot in [true, false] {
            machine.snapshot = snapshot;
            let outcome = machine
                .run(&shell("uname -r; echo complaint >&2; exit 3"))
                .unwrap();
            assert_eq!(stdout(&outcome).trim(), machine.kernel.release);
            assert_eq!(outcome.stderr, b"complaint\n");
            assert_eq!(outcome.status, Status::Exited(3));
            assert!(outcome.timings.emulator > Duration::ZERO);
            assert_eq!(outcome.notes, [""; 0]);
        }
    });
}

#[test]
fn the_kernel_can_enforce_policies_by_programs() {
    on_every_kernel(|machine| {
        let outcome = machine
            .run(&shell(
                "cat /sys/kernel/security/lsm; test -s /sys/kernel/btf/vmlinux; echo \" $?\"",
            ))
            .unwrap();
        let (modules, btf) = stdout(&outcome).trim().split_once(' ').unwrap();
        assert!(
            modules.split(',').any(|module| module == "bpf"),
            "{modules}"
        );
        assert_eq!(btf, "0");
    });
}

#[test]
fn the_security_modules_can_be_chosen() {
    on_every_kernel(|mut machine| {
        for (lsm, name) in [(Lsm::AppArmor, "apparmor"), (Lsm::SeLinux, "selinux")] {
            machine.lsm = lsm;
            let outcome = machine
                .run(&Payload::new(["cat", "/sys/kernel/security/lsm"]))
                .unwrap();
            let modules = stdout(&outcome);
            assert!(modules.split(',').any(|module| module == name), "{modules}");
        }
    });
}

#[test]
fn a_signal_is_told_from_an_exit_status() {
    on_every_kernel(|machine| {
        let outcome = machine.run(&shell("kill -KILL $$")).unwrap();
        assert_eq!(outcome.status, Status::Signaled(9));
    });
}

#[test]
fn a_command_that_does_not_end_is_stopped_and_its_output_kept() {
    on_every_kernel(|mut machine| {
        machine.timeout = Duration::from_secs(8);
        match machine.run(&shell("echo early; sleep 1000")) {
            Err(VmError::TimedOut { stdout, .. }) => assert_eq!(stdout, b"early\n"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_panic_of_the_kernel_is_told_with_its_message() {
    on_every_kernel(|machine| {
        let script = "echo early; sleep 1; echo c > /proc/sysrq-trigger; sleep 1000";
        match machine.run(&shell(script)) {
            Err(VmError::Died {
                console, stdout, ..
            }) => {
                assert!(console.contains("sysrq triggered crash"), "{console}");
                assert_eq!(stdout, b"early\n");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_command_that_does_not_exist_is_no_outcome() {
    on_every_kernel(
        |machine| match machine.run(&Payload::new(["/no/such/program"])) {
            Err(VmError::Guest { reason }) => {
                assert_eq!(reason, "/no/such/program: No such file or directory");
            }
            other => panic!("{other:?}"),
        },
    );
}

#[test]
fn another_kernel_than_the_one_under_test_is_a_failure() {
    on_every_kernel(|mut machine| {
        machine.kernel.release.push_str("-patched");
        assert!(matches!(
            machine.run(&Payload::new(["true"])),
            Err(VmError::WrongKernel { .. })
        ));
    });
}

#[test]
fn files_programs_and_input_go_in_and_files_come_out() {
    on_every_kernel(|machine| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/vm/guest");
        let payload = shell(
            "cat /srv/word - > /out/joined; mkdir /out/deep; cp /guest/init.c /out/deep; \
             /usr/local/bin/linked --version > /dev/null && echo $MODE; \
             stat -c %a /tmp /srv/word /",
        )
        .file("/srv/word", 0o640, "from a file, ")
        .file("/tmp/x", 0o644, "")
        .stdin("from the input")
        .env("MODE", "quick")
        .executable("/bin/sed", "/usr/local/bin/linked")
        .tree(folder, "/guest");
        let outcome = machine.run(&payload).unwrap();
        assert_eq!(
            stdout(&outcome),
            "quick\n1777\n640\n755\n",
            "{}",
            String::from_utf8_lossy(&outcome.stderr)
        );
        assert_eq!(outcome.out_files["joined"], b"from a file, from the input");
        assert_eq!(
            outcome.out_files["deep/init.c"],
            std::fs::read(format!("{folder}/init.c")).unwrap()
        );
        assert_eq!(outcome.out_files.len(), 2);
    });
}

#[test]
fn modules_are_loaded_with_what_they_depend_on() {
    on_every_kernel(|machine| {
        let payload = shell("grep -c -E '^v?fat ' /proc/modules").module("vfat");
        assert_eq!(stdout(&machine.run(&payload).unwrap()).trim(), "2");
        assert!(matches!(
            machine.run(&Payload::new(["true"]).module("no-such-module")),
            Err(VmError::NoModule { module, .. }) if module == "no_such_module"
        ));
    });
}

#[test]
fn a_great_deal_of_output_arrives_whole_and_leftover_processes_hold_nothing_up() {
    on_every_kernel(|machine| {
        let outcome = machine
            .run(&shell("sleep 1000 & yes 0123456 | head -c 4000000"))
            .unwrap();
        assert!(outcome.stdout == b"0123456\n".repeat(500_000));
    });
}

#[test]
fn two_runs_of_one_snapshot_are_strangers() {
    on_every_kernel(|machine| {
        let draw = || {
            let script =
                "test -e /tmp/mark && exit 1; > /tmp/mark; head -c 16 /dev/urandom | od -x";
            let outcome = machine.run(&shell(script)).unwrap();
            assert!(outcome.status.success(), "an earlier run left its mark");
            outcome.stdout
        };
        assert_ne!(draw(), draw());
    });
}

#[test]
fn counted_instructions_are_the_same_in_every_run() {
    on_every_kernel(|mut machine| {
        machine.count_instructions = true;
        let count = || {
            let script = "i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done";
            machine.run(&shell(script)).unwrap().timings.command
        };
        let (one, other) = (count(), count());
        let apart = one.abs_diff(other).as_secs_f64() / one.as_secs_f64();
        assert!(
            one > Duration::ZERO && apart < 0.01,
            "{one:?} and {other:?}"
        );
    });
}
