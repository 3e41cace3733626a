//! What this machine has of AppArmor.

use std::fs;
use std::io;

use gambeson_matcher::backend::Finding;

use super::parser::Parser;
use super::places::{Places, shown};
use crate::{AppArmor, Features, Support};

/// `CAP_MAC_ADMIN`, without which no profile can be loaded.
const MAC_ADMIN: u32 = 33;

impl AppArmor {
    /// Finds out what the running kernel and this machine have. Never fails: what can't be found out is
    /// missing, with the reason.
    #[must_use]
    pub fn probe() -> Support {
        probe(&Places::default())
    }
}

pub(super) fn probe(places: &Places) -> Support {
    let directory = places.features();
    let (features, tree) = match Features::from_dir(&directory) {
        Ok(features) => {
            let found = Finding::present("features", shown(&directory));
            (features, found)
        }
        Err(error) => {
            let missing = Finding::missing("features", error.to_string())
                .remedy("mount securityfs: `mount -t securityfs none /sys/kernel/security`; boot with `apparmor=1 lsm=…,apparmor`");
            (Features::default(), missing)
        }
    };
    Support::new(features)
        .required(listed(fs::read_to_string(&places.lsm)))
        .required(enabled(fs::read_to_string(&places.enabled)))
        .required(tree)
        .required(parser())
        .required(privilege(&read(places, "self/status")))
        .required(own_profile(fs::read_to_string(
            places.attribute("self", "current"),
        )))
        .with(audit(&read(places, "cmdline")))
        .with(rate(&read(places, "sys/kernel/printk_ratelimit")))
}

fn read(places: &Places, file: &str) -> String {
    fs::read_to_string(places.proc.join(file)).unwrap_or_default()
}

fn listed(list: io::Result<String>) -> Finding {
    const NAME: &str = "lsm list";
    match list {
        // Newer kernels list more: membership is all that counts.
        Ok(list) if list.trim().split(',').any(|module| module == "apparmor") => {
            Finding::present(NAME, list.trim())
        }
        Ok(list) => Finding::missing(
            NAME,
            format!("`apparmor` is not among the active modules {}", list.trim()),
        )
        .remedy("boot with lsm=…,apparmor; where SELinux is listed before it, only that is active"),
        Err(error) => Finding::missing(
            NAME,
            format!("can't read /sys/kernel/security/lsm: {error}"),
        )
        .remedy("mount securityfs: `mount -t securityfs none /sys/kernel/security`"),
    }
}

fn enabled(parameter: io::Result<String>) -> Finding {
    const NAME: &str = "enabled";
    match parameter {
        Ok(value) if value.trim() == "Y" => Finding::present(NAME, "the module says so"),
        Ok(value) => Finding::missing(NAME, format!("the module says `{}`", value.trim()))
            .remedy("boot with apparmor=1"),
        Err(error) => Finding::missing(NAME, format!("can't read the module's parameter: {error}"))
            .remedy("boot a kernel with CONFIG_SECURITY_APPARMOR"),
    }
}

fn parser() -> Finding {
    const NAME: &str = "apparmor_parser";
    match Parser::find().and_then(|parser| Ok((parser.version()?, parser))) {
        Ok((version, parser)) => Finding::present(
            NAME,
            format!("{}, version {version}", shown(parser.program())),
        ),
        Err(error) => {
            Finding::missing(NAME, error.to_string()).remedy("install the package `apparmor`")
        }
    }
}

fn privilege(status: &str) -> Finding {
    const NAME: &str = "CAP_MAC_ADMIN";
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .is_some_and(|set| set & (1 << MAC_ADMIN) != 0);
    if held {
        Finding::present(NAME, "held")
    } else {
        Finding::missing(NAME, "not held; needed to load profiles")
            .remedy("run as root, or with the capability")
    }
}

/// Whoever is under a profile can load none, unless its profile lets it.
fn own_profile(current: io::Result<String>) -> Finding {
    const NAME: &str = "own profile";
    match current {
        Ok(label) if label.trim_end_matches(['\0', '\n']) == "unconfined" => {
            Finding::present(NAME, "none: this process is unconfined")
        }
        Ok(label) => Finding::missing(
            NAME,
            format!(
                "this process is under `{}`",
                label.trim_end_matches(['\0', '\n'])
            ),
        )
        .remedy("start it unconfined"),
        Err(error) => Finding::missing(NAME, format!("can't read this process's profile: {error}"))
            .remedy("boot with AppArmor active; mount /proc"),
    }
}

fn audit(command_line: &str) -> Finding {
    const NAME: &str = "audit";
    let off = command_line
        .split_whitespace()
        .any(|word| word == "audit=0" || word == "audit=off");
    if off {
        Finding::missing(
            NAME,
            "the kernel was started with `audit=0`: nothing is reported",
        )
        .remedy("boot without it")
    } else {
        Finding::present(
            NAME,
            "records go to the audit socket and to the audit daemon, or else to the kernel's log",
        )
    }
}

/// Without an audit daemon, the kernel's log drops records beyond a rate; the audit socket doesn't.
fn rate(limit: &str) -> Finding {
    const NAME: &str = "log rate";
    match limit.trim() {
        "0" => Finding::present(NAME, "the kernel's log is not limited"),
        "" => Finding::missing(NAME, "can't read kernel.printk_ratelimit"),
        seconds => Finding::missing(
            NAME,
            format!("without an audit daemon, the log drops records beyond a few in {seconds} s; the audit socket has all"),
        )
        .remedy("`sysctl kernel.printk_ratelimit=0`, or run an audit daemon"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use gambeson_matcher::backend::Support as _;

    use super::*;

    #[test]
    fn membership_in_the_list_counts_not_its_place() {
        assert!(listed(Ok("lockdown,capability,ima,apparmor,bpf\n".into())).present);
        let other = listed(Ok("lockdown,capability,selinux\n".into()));
        assert!(!other.present && other.remedy.is_some());
        assert!(!listed(Ok("apparmor2".into())).present);
        let unmounted = listed(Err(ErrorKind::NotFound.into()));
        assert!(
            unmounted
                .remedy
                .is_some_and(|remedy| remedy.contains("securityfs"))
        );
    }

    #[test]
    fn privilege_is_a_bit_of_the_effective_set() {
        assert!(privilege("Name:\tx\nCapEff:\t0000000200000000\n").present);
        assert!(!privilege("CapEff:\t0000000100000000\n").present);
        assert!(!privilege("").present);
    }

    #[test]
    fn who_is_confined_is_told_so() {
        assert!(own_profile(Ok("unconfined\n".into())).present);
        let confined = own_profile(Ok("web (enforce)\n".into()));
        assert!(!confined.present && confined.reason.contains("web (enforce)"));
    }

    #[test]
    fn a_machine_without_anything_says_what_is_missing_and_what_to_do() {
        let nowhere = Places {
            apparmor: "/does/not/exist".into(),
            lsm: "/does/not/exist".into(),
            enabled: "/does/not/exist".into(),
            proc: "/does/not/exist".into(),
        };
        let support = probe(&nowhere);
        assert!(!support.can_enforce());
        for name in ["lsm list", "enabled", "features", "CAP_MAC_ADMIN"] {
            let finding = support
                .findings()
                .iter()
                .find(|finding| finding.name == name);
            let finding = finding.unwrap_or_else(|| panic!("nothing on {name}"));
            assert!(!finding.present && finding.remedy.is_some(), "{finding}");
        }
    }

    #[test]
    fn records_that_would_be_lost_are_told_of() {
        assert!(!audit("quiet audit=0").present && audit("quiet").present);
        assert!(rate("0\n").present && !rate("5\n").present);
    }
}
