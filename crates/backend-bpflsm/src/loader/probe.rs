//! What the running kernel has.

use std::fs;
use std::path::PathBuf;

use gambeson_matcher::backend::Finding;
use libbpf_rs::Btf;
use libbpf_rs::btf::types::{Enum, Func};

use super::object;
use super::quiet::Quiet;
use crate::hooks::HOOKS;
use crate::support::{KernelVersion, Support};

const BTF: &str = "/sys/kernel/btf/vmlinux";
const LSM_LIST: &str = "/sys/kernel/security/lsm";

/// Numbers of capabilities.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// The oldest kernel that has all that the programs need.
const OLDEST: KernelVersion = KernelVersion::new(5, 17);
/// From here on the kernel no longer skips LSM programs that are preempted.
const NO_SKIPS: KernelVersion = KernelVersion::new(6, 2);
/// The stable kernel whose later releases don't, either.
const NO_SKIPS_STABLE: KernelVersion = KernelVersion::new(6, 1);

/// Where the cgroup file system, version 2, is mounted.
pub(super) fn cgroup_mount() -> Option<PathBuf> {
    cgroup_mount_in(&fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// The mount point of the first cgroup2 in a mountinfo.
fn cgroup_mount_in(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let root = fields.next()?;
        let point = fields.next()?;
        let kind = file_system.split(' ').next()?;
        (kind == "cgroup2" && root == "/").then(|| PathBuf::from(unescape(point)))
    })
}

/// A mountinfo writes a blank as `\040`.
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn version(release: &str) -> Finding {
    const NAME: &str = "kernel";
    match release.parse::<KernelVersion>() {
        Ok(version) if version >= OLDEST => Finding::present(NAME, release),
        Ok(_) => Finding::missing(NAME, format!("{release} is older than {OLDEST}"))
            .remedy(format!("boot Linux {OLDEST} or later")),
        Err(error) => Finding::missing(NAME, error.to_string()),
    }
}

/// Whether the kernel runs its LSM programs even when they are preempted by one another.
fn runs_all(kernel: KernelVersion, build: &str) -> Finding {
    const NAME: &str = "no skipped programs";
    let is = |word: &str| build.split(' ').any(|other| other == word);
    if kernel >= NO_SKIPS {
        Finding::present(NAME, format!("Linux {NO_SKIPS} and later run them all"))
    } else if !(is("PREEMPT") || is("PREEMPT_RT") || is("PREEMPT_DYNAMIC")) {
        Finding::present(NAME, "the kernel isn't preemptible")
    } else if kernel >= NO_SKIPS_STABLE {
        Finding::present(
            NAME,
            format!("later releases of Linux {kernel} run them all; the self-test proves it"),
        )
    } else if is("PREEMPT_DYNAMIC") {
        Finding::present(
            NAME,
            "only `preempt=full` would skip them; the self-test proves it",
        )
    } else {
        Finding::missing(NAME, format!("a preemptible Linux {kernel} skips programs"))
            .remedy("boot Linux 6.2 or later, or a kernel without CONFIG_PREEMPT")
    }
}

fn lsm(list: Result<String, std::io::Error>) -> Finding {
    const NAME: &str = "bpf in the list of LSMs";
    let remedy = "boot with `lsm=…,bpf`: the present list, and `bpf` at its end";
    match list {
        Ok(list) if list.trim().split(',').any(|name| name == "bpf") => {
            Finding::present(NAME, format!("{LSM_LIST} is `{}`", list.trim()))
        }
        Ok(list) => {
            Finding::missing(NAME, format!("{LSM_LIST} is `{}`", list.trim())).remedy(remedy)
        }
        Err(error) => Finding::missing(NAME, format!("can't read {LSM_LIST}: {error}"))
            .remedy("mount it with `mount -t securityfs securityfs /sys/kernel/security`"),
    }
}

/// The effective capabilities in a `/proc/self/status`.
fn effective(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn capabilities(status: &str) -> Vec<Finding> {
    let held = effective(status);
    let has = |number: u32| held.is_some_and(|held| held >> number & 1 == 1);
    let one = |name: &'static str, number: u32, what: &str| {
        if has(number) {
            Finding::present(name, "held")
        } else if has(CAP_SYS_ADMIN) {
            Finding::present(name, "stood in for by CAP_SYS_ADMIN")
        } else {
            Finding::missing(name, format!("not held; needed to {what}"))
                .remedy("run as root, or with the capability")
        }
    };
    vec![
        one("CAP_BPF", CAP_BPF, "load programs and make maps"),
        one(
            "CAP_PERFMON",
            CAP_PERFMON,
            "load programs that read kernel memory",
        ),
        if has(CAP_SYS_ADMIN) {
            Finding::present("CAP_SYS_ADMIN", "held")
        } else {
            Finding::missing(
                "CAP_SYS_ADMIN",
                "not held; needed to open maps by their ids",
            )
            .remedy("run as root, or with the capability")
        },
    ]
}

fn cgroup() -> Finding {
    const NAME: &str = "cgroup v2";
    match cgroup_mount() {
        Some(path) => Finding::present(NAME, format!("mounted at {}", path.display())),
        None => Finding::missing(NAME, "no cgroup file system of version 2 is mounted")
            .remedy("mount it with `mount -t cgroup2 none /sys/fs/cgroup`"),
    }
}

fn number_of_cpus() -> Finding {
    const NAME: &str = "CPUs";
    match libbpf_rs::num_possible_cpus() {
        Ok(count) => Finding::present(NAME, count.to_string()),
        Err(error) => Finding::missing(NAME, format!("can't be counted: {error}")),
    }
}

/// A kind of map, by its constant in the kernel's types.
fn map_kind(types: &Btf<'_>, name: &'static str, constant: &str, since: &str) -> Finding {
    let found = types
        .type_by_name::<Enum<'_>>("bpf_map_type")
        .is_some_and(|kinds| {
            kinds
                .iter()
                .any(|kind| kind.name.is_some_and(|name| name == constant))
        });
    if found {
        Finding::present(name, format!("the kernel has {constant}"))
    } else {
        Finding::missing(name, format!("the kernel has no {constant}"))
            .remedy(format!("boot Linux {since} or later"))
    }
}

/// What the kernel's types tell.
fn typed(mut support: Support, types: &Btf<'_>) -> Support {
    let storage = map_kind(types, "task storage", "BPF_MAP_TYPE_TASK_STORAGE", "5.11");
    let ring = map_kind(types, "ring buffer", "BPF_MAP_TYPE_RINGBUF", "5.8");
    support = support.required(storage).required(ring);
    support = support.required(if object::has_loop(types) {
        Finding::present("bpf_loop", "the kernel has BPF_FUNC_loop")
    } else {
        Finding::missing(
            "bpf_loop",
            "the kernel has no BPF_FUNC_loop, without which paths can't be walked",
        )
        .remedy("boot Linux 5.17 or later")
    });
    for hook in HOOKS {
        let name = hook.name;
        let exists = types
            .type_by_name::<Func<'_>>(&format!("bpf_lsm_{name}"))
            .is_some();
        support = if exists && hook.since <= support.kernel() {
            support
                .with_hook(hook)
                .noted(Finding::present(name, "the kernel has the hook"))
        } else if exists {
            support.noted(
                Finding::missing(
                    name,
                    "the kernel can't pass the hook's arguments to programs",
                )
                .remedy(format!("boot Linux {} or later", hook.since)),
            )
        } else {
            support.noted(Finding::missing(name, "the kernel has no such hook"))
        };
    }
    support
}

pub(super) fn probe() -> Support {
    let _quiet = Quiet::new();
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy();
    let build = system.version().to_string_lossy();
    let kernel = release.parse().unwrap_or(KernelVersion::new(0, 0));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut support = Support::new(kernel)
        .required(version(&release))
        .required(lsm(fs::read_to_string(LSM_LIST)));
    for finding in capabilities(&status) {
        support = support.required(finding);
    }
    support = support
        .required(cgroup())
        .required(runs_all(kernel, &build))
        .noted(number_of_cpus());
    match Btf::from_vmlinux() {
        Ok(types) => typed(support.required(Finding::present("BTF", BTF)), &types),
        Err(error) => support.required(
            Finding::missing("BTF", format!("can't read {BTF}: {error}"))
                .remedy("boot a kernel with CONFIG_DEBUG_INFO_BTF"),
        ),
    }
}

#[cfg(test)]
mod tests;
