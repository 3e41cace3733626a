//! What this machine has of SELinux.

use std::fs;
use std::path::{Path, PathBuf};

use gambeson_matcher::backend::Finding;

use super::SELINUX;
use crate::support::Support;

/// Looks for what enforcement needs: the kernel's interface, enforcing mode, a format of policies that
/// it reads, and the compiler.
#[must_use]
pub fn probe() -> Support {
    probe_at(
        Path::new(SELINUX),
        std::env::var_os("PATH")
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default(),
    )
}

fn probe_at(root: &Path, programs: Vec<PathBuf>) -> Support {
    let read = |name: &str| {
        let text = fs::read_to_string(root.join(name)).ok()?;
        Some(text.trim_end_matches(['\n', '\0']).to_owned())
    };
    let place = root.display();
    let Some(version) = read("policyvers") else {
        return Support::new().required(
            Finding::missing("selinuxfs", format!("there is no {place}/policyvers"))
                .remedy("boot with selinux in `lsm=`, and mount selinuxfs"),
        );
    };
    let mut support = Support::new().required(Finding::present("selinuxfs", format!("{place}")));
    support = support.required(match version.parse::<u32>() {
        Ok(number) if number >= 33 => Finding::present(
            "policy version",
            format!("the kernel reads version {version}"),
        ),
        _ => Finding::missing(
            "policy version",
            format!("the kernel reads version {version}, and 33 is needed"),
        )
        .remedy("use Linux 5.8 or newer"),
    });
    support = support.required(match read("enforce").as_deref() {
        Some("1") => Finding::present("enforcing", format!("{place}/enforce is 1")),
        _ => Finding::missing(
            "enforcing",
            format!("{place}/enforce is not 1: denials are only told of"),
        )
        .remedy("boot with `enforcing=1`, or run `setenforce 1`"),
    });
    let unknown = match (
        read("reject_unknown").as_deref(),
        read("deny_unknown").as_deref(),
    ) {
        (Some("1"), _) => "the policy in force refuses what it doesn't know",
        (_, Some("1")) => "the policy in force denies what it doesn't know",
        _ => "the policy in force allows what it doesn't know",
    };
    support = support.noted(Finding::present("unknown classes", unknown));
    let found = programs.iter().map(|directory| directory.join("secilc"));
    let mut found = found.filter(|program| program.is_file());
    support.noted(match found.next() {
        Some(program) => Finding::present("secilc", program.display().to_string()),
        None => Finding::missing("secilc", "it is in no directory of PATH")
            .remedy("install the package `secilc`"),
    })
}

#[cfg(test)]
mod tests {
    use gambeson_matcher::backend::Support as _;

    use super::*;

    #[test]
    fn each_thing_that_is_missing_is_told_of() {
        let root = std::env::temp_dir().join(format!("gambeson-probe-{}", std::process::id()));
        let refusal = |support: Support| support.refusal().map(|finding| finding.name);
        fs::create_dir_all(&root).unwrap();
        assert_eq!(refusal(probe_at(&root, Vec::new())), Some("selinuxfs"));
        fs::write(root.join("policyvers"), "30").unwrap();
        assert_eq!(refusal(probe_at(&root, Vec::new())), Some("policy version"));
        fs::write(root.join("policyvers"), "33").unwrap();
        fs::write(root.join("enforce"), "0").unwrap();
        assert_eq!(refusal(probe_at(&root, Vec::new())), Some("enforcing"));
        fs::write(root.join("enforce"), "1").unwrap();
        let support = probe_at(&root, Vec::new());
        assert!(support.can_enforce());
        assert!(
            support
                .findings()
                .iter()
                .any(|finding| finding.name == "secilc" && !finding.present)
        );
        fs::remove_dir_all(&root).unwrap();
    }
}
