use std::io;

use super::*;

#[test]
fn the_first_whole_cgroup2_counts() {
    let mountinfo = "\
22 1 0:20 / /proc rw,nosuid shared:5 - proc proc rw
30 23 0:26 /part /mnt/part rw shared:9 - cgroup2 cgroup2 rw
31 23 0:27 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw
32 31 0:28 / /sys/fs/a\\040blank rw,relatime shared:9 master:1 - cgroup2 none rw
33 31 0:28 / /later rw - cgroup2 none rw
";
    assert_eq!(
        cgroup_mount_in(mountinfo),
        Some(PathBuf::from("/sys/fs/a blank"))
    );
    assert_eq!(cgroup_mount_in("no mountinfo\n - \n"), None);
}

#[test]
fn kernels_that_skip_programs_are_refused() {
    let old = KernelVersion::new(5, 15);
    assert!(!runs_all(old, "#1 SMP PREEMPT Mon Jan 1").present);
    assert!(!runs_all(old, "#1 SMP PREEMPT_RT Mon Jan 1").present);
    assert!(runs_all(old, "#1 SMP Debian").present);
    assert!(runs_all(old, "#1 SMP PREEMPT_DYNAMIC Debian").present);
    assert!(runs_all(KernelVersion::new(6, 1), "#1 SMP PREEMPT Debian").present);
    assert!(runs_all(KernelVersion::new(6, 2), "#1 SMP PREEMPT").present);
}

#[test]
fn old_kernels_are_refused() {
    assert!(!version("5.10.0-30-amd64").present);
    assert!(version("5.17.0").present);
    assert!(!version("5.15.0").present);
    assert!(version("7.3-rc1").present);
    assert!(!version("linux").present);
}

#[test]
fn bpf_must_be_in_the_list_as_a_whole_word() {
    assert!(lsm(Ok("lockdown,capability,bpf\n".to_owned())).present);
    let missing = lsm(Ok("lockdown,xbpf".to_owned()));
    assert!(!missing.present && missing.remedy.is_some());
    assert!(!lsm(Err(io::Error::from(io::ErrorKind::NotFound))).present);
}

#[test]
fn capabilities_are_read_from_the_status() {
    let present = |status: &str| {
        let findings = capabilities(status);
        findings
            .iter()
            .map(|finding| finding.present)
            .collect::<Vec<_>>()
    };
    assert_eq!(present("Name:\tx\nCapEff:\t000001ffffffffff\n"), [true; 3]);
    assert_eq!(present("CapEff:\t0000000000200000\n"), [true; 3]);
    assert_eq!(present("CapEff:\t000000c000000000\n"), [true, true, false]);
    assert_eq!(present("CapEff:\t0000000000000000\n"), [false; 3]);
    assert_eq!(present(""), [false; 3]);
}

#[test]
fn probing_never_fails() {
    use gambeson_matcher::backend::Support as _;
    let support = probe();
    assert!(support.findings().len() > 8);
    assert_eq!(
        support.can_enforce(),
        support.refusal().is_none(),
        "{:?}",
        support.refusal()
    );
}
