//! What profiles can't carry out as the decision model says.

use gambeson_matcher::backend::{Gap, Outcome, Report, Support as _};
use gambeson_matcher::{CompiledPolicy, ObjectKind};
use gambeson_policy_model::{Action, Class, Verdict};

use crate::lower::{Facts, lower};
use crate::options::Options;
use crate::support::Support;

/// Says what of a policy profiles on such a kernel don't carry out as the decision model says: what
/// [`lower()`](crate::lower()) reports.
///
/// ```
/// use gambeson_backend_apparmor::{Features, Options, Support, enforceability};
/// use gambeson_matcher::backend::Outcome;
/// use gambeson_matcher::{Compile, Config};
/// use gambeson_policy_model::{PolicySet, Workload};
/// let policies = PolicySet::from_str("
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: {name: web}
/// spec:
///   network: {matchProtocols: [{protocol: udp}]}
/// ")?;
/// let compiled = policies.select(&Workload::pod("default")).compile(&Config::default())?;
/// let support = Support::new(Features::linux_6_1());
/// let report = enforceability(&support, &compiled, &Options::default());
/// // Pings go through sockets of the type that is UDP's.
/// assert_eq!(report.worst(), Some(Outcome::Stricter));
/// let blind = Support::new(Features::linux_6_1().without("network_v8"));
/// let report = enforceability(&blind, &compiled, &Options::default());
/// assert_eq!(report.worst(), Some(Outcome::Unenforced));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn enforceability(support: &Support, compiled: &CompiledPolicy, options: &Options) -> Report {
    match lower(support, compiled, options) {
        Ok(profile) => profile.report,
        Err(error) => {
            let each = compiled.rules();
            each.map(|(id, _)| Gap::of_rule(id, Outcome::Unenforced, "the rule", error.to_string()))
                .collect()
        }
    }
}

/// The gaps that don't hang on how zones and patterns lie.
pub(crate) fn of_policy(
    support: &Support,
    compiled: &CompiledPolicy,
    facts: &Facts,
    profiles: usize,
) -> Vec<Gap> {
    let mut gaps = of_rules(support, compiled);
    if !support.can_enforce() {
        return gaps;
    }
    gaps.extend(of_classes(support, compiled));
    gaps.extend(of_mechanism(support, compiled, facts, profiles));
    gaps
}

fn of_rules(support: &Support, compiled: &CompiledPolicy) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let audited = compiled.tables().head.audited != 0;
    let features = support.features();
    for (id, info) in compiled.rules() {
        let Some(shape) = compiled.shape(id) else {
            continue;
        };
        let only_reports = audited || info.action == Action::Audit;
        let mut gap = |outcome: Outcome, what: &str, reason: String| {
            let outcome = match outcome {
                Outcome::Looser | Outcome::Unenforced if only_reports => Outcome::NotReported,
                outcome => outcome,
            };
            gaps.push(Gap::of_rule(id, outcome, what, reason));
        };
        if let Some(finding) = support.refusal() {
            let reason = format!("`{}` is missing: {}", finding.name, finding.reason);
            gap(Outcome::Unenforced, "the rule", reason);
            continue;
        }
        match (info.class, shape.object) {
            (Class::Dns, _) => gap(
                Outcome::Unenforced,
                "asking for names",
                "AppArmor sees sockets, not the names that are asked for".to_owned(),
            ),
            (Class::Syscalls, _) => gap(
                Outcome::NotReported,
                "system calls",
                "AppArmor sees what calls do, not the calls".to_owned(),
            ),
            (Class::Devices, _) => gap(
                Outcome::Unenforced,
                "USB devices",
                "AppArmor isn't asked when a device is attached".to_owned(),
            ),
            (Class::Presets, ObjectKind::Preset(preset)) => gap(
                Outcome::Unenforced,
                "the preset",
                format!("AppArmor doesn't tell the situation `{preset}` from others"),
            ),
            (Class::Network, _) if !features.has("network_v8") => gap(
                Outcome::Unenforced,
                "the rule",
                "the kernel's AppArmor doesn't mediate sockets".to_owned(),
            ),
            (Class::Capabilities, _) if !features.has("caps") => gap(
                Outcome::Unenforced,
                "the rule",
                "the kernel's AppArmor doesn't mediate capabilities".to_owned(),
            ),
            _ => {}
        }
        if info.class == Class::File && shape.owner_only {
            gap(
                Outcome::Looser,
                "`ownerOnly` on new names",
                "AppArmor takes who makes a name for its owner, and doesn't look at the directory"
                    .to_owned(),
            );
        }
        if matches!(info.class, Class::File | Class::Process) {
            if shape.no_tty {
                gap(
                    Outcome::Stricter,
                    "`pts`",
                    "AppArmor doesn't see terminals: the condition is taken for not holding"
                        .to_owned(),
                );
            }
            if shape.allowed_args {
                gap(
                    Outcome::Stricter,
                    "`allowedArgs`",
                    "AppArmor doesn't see arguments: the condition is taken for not holding"
                        .to_owned(),
                );
            }
        }
    }
    gaps
}

/// Postures of classes that the kernel doesn't mediate.
fn of_classes(support: &Support, compiled: &CompiledPolicy) -> Vec<Gap> {
    let head = &compiled.tables().head;
    let features = support.features();
    let mut gaps = Vec::new();
    for (class, mediated, what, reason) in [
        (
            Class::Dns,
            false,
            "asking for names that no rule allows",
            "AppArmor sees sockets, not the names that are asked for",
        ),
        (
            Class::Devices,
            false,
            "devices that no rule allows",
            "AppArmor isn't asked when a device is attached",
        ),
        (
            Class::Network,
            features.has("network_v8"),
            "sockets that no rule allows",
            "the kernel's AppArmor doesn't mediate sockets",
        ),
        (
            Class::Capabilities,
            features.has("caps"),
            "capabilities that no rule allows",
            "the kernel's AppArmor doesn't mediate capabilities",
        ),
    ] {
        if mediated || !head.in_allow_list_mode(class) {
            continue;
        }
        let outcome = match head.posture(class) {
            Verdict::Allow => continue,
            Verdict::Block if head.audited == 0 => Outcome::Unenforced,
            Verdict::Audit | Verdict::Block => Outcome::NotReported,
        };
        gaps.push(Gap::of_class(class, outcome, what, reason));
    }
    gaps
}

/// What AppArmor doesn't see, or sees otherwise.
fn of_mechanism(
    support: &Support,
    compiled: &CompiledPolicy,
    facts: &Facts,
    profiles: usize,
) -> Vec<Gap> {
    let head = &compiled.tables().head;
    let features = support.features();
    let mut gaps = Vec::new();
    let judged = |class: Class| {
        head.can_deny(class) || head.in_allow_list_mode(class) || head.watches(class)
    };
    let denies = |class: Class| {
        let by_posture = head.in_allow_list_mode(class) && head.posture(class) == Verdict::Block;
        head.audited == 0 && (head.can_deny(class) || by_posture)
    };
    let passes = |class: Class| {
        if denies(class) {
            Outcome::Looser
        } else {
            Outcome::NotReported
        }
    };
    if judged(Class::File) {
        for (what, reason) in [
            (
                "changing times, extended attributes, ACLs and attribute flags",
                "AppArmor has no hook for them",
            ),
            (
                "connecting and sending to Unix sockets that have a path",
                "this kernel's AppArmor doesn't mediate them by path",
            ),
        ] {
            gaps.push(Gap::of_class(
                Class::File,
                passes(Class::File),
                what,
                reason,
            ));
        }
    }
    for class in [Class::File, Class::Process] {
        if judged(class) {
            gaps.push(Gap::of_class(
                class,
                passes(class),
                "descriptors that a process without a profile opened",
                "the kernel takes them for handed over on purpose, and judges no further use of them",
            ));
        }
    }
    if denies(Class::File) {
        gaps.push(Gap::of_class(
            Class::File,
            Outcome::NotReported,
            "by which rule a directory above a path may not be renamed",
            "a record tells the directory, and not what lies below it",
        ));
    }
    if judged(Class::Process) {
        gaps.push(Gap::of_class(
            Class::Process,
            passes(Class::Process),
            "programs that are run as the interpreter of a script",
            "AppArmor judges the script alone",
        ));
    }
    if profiles > 1 {
        gaps.push(Gap::of_policy(
            Outcome::Looser,
            "rules with `fromSource`, where the source runs as the interpreter of a script",
            "AppArmor chooses the profile by the script's path",
        ));
        gaps.push(Gap::of_policy(
            Outcome::Stricter,
            "executing programs that a profile of their own judges, under no_new_privs",
            "the kernel refuses to change the profile then",
        ));
        if facts.denies_files {
            gaps.push(Gap::of_policy(
                Outcome::Stricter,
                "executing programs that the profile they lead to may not read or map",
                "the kernel maps a program under the profile that it changes to",
            ));
        }
    }
    if denies(Class::File) {
        gaps.push(Gap::of_class(
            Class::File,
            Outcome::Stricter,
            "descriptors that are open when the profile changes or is replaced",
            "the kernel judges them again when they are used",
        ));
    }
    if facts.denies {
        gaps.push(Gap::of_class(
            Class::Capabilities,
            Outcome::Stricter,
            "the capability `mac_admin`",
            "with it a process could replace its own profile",
        ));
    }
    if judged(Class::Capabilities) {
        gaps.push(Gap::of_class(
            Class::Capabilities,
            Outcome::NotReported,
            "a capability that the profile was just reported to use",
            "the kernel reports it once in a row for each profile and processor",
        ));
    }
    for class in [Class::File, Class::Process] {
        gaps.extend(of_nameless(class, compiled, facts));
    }
    if profiles > 1 {
        gaps.push(Gap::of_policy(
            if denies(Class::File) || denies(Class::Process) {
                Outcome::Looser
            } else {
                Outcome::NotReported
            },
            "rules with `fromSource`, where the source's program has no path",
            "AppArmor keeps to the profile, which is then that of programs that no rule names",
        ));
    }
    if facts.denies_files && !facts.mounts && !features.has("mount/move_mount") {
        gaps.push(Gap::of_policy(
            if features.has("mount") {
                Outcome::Looser
            } else {
                Outcome::Unenforced
            },
            "mounts that give files other paths",
            if features.has("mount") {
                "this kernel's AppArmor isn't asked about move_mount(2)"
            } else {
                "the kernel's AppArmor doesn't mediate mounts"
            },
        ));
    }
    gaps
}

/// Objects whose path can't be computed: the decision model puts them to the class's posture.
fn of_nameless(class: Class, compiled: &CompiledPolicy, facts: &Facts) -> Vec<Gap> {
    let head = &compiled.tables().head;
    let engaged = head.in_allow_list_mode(class) || head.can_deny(class);
    let posture = if engaged {
        head.posture(class)
    } else {
        Verdict::Allow
    };
    let mut gaps = Vec::new();
    if !facts.attaches && posture != Verdict::Block {
        gaps.push(Gap::of_class(
            class,
            Outcome::Stricter,
            "objects whose path can't be computed",
            "the kernel denies them under a profile without `attach_disconnected`",
        ));
    }
    if facts.attaches && posture != Verdict::Allow {
        gaps.push(Gap::of_class(
            class,
            Outcome::NotReported,
            "objects whose path can't be computed",
            "they are judged by the part of the path that can",
        ));
    }
    let passed = match posture {
        Verdict::Allow => return gaps,
        Verdict::Block if head.audited == 0 => Outcome::Looser,
        Verdict::Audit | Verdict::Block => Outcome::NotReported,
    };
    gaps.push(Gap::of_class(
        class,
        passed,
        "opening and mapping files of file systems that can't be mounted, such as memfds",
        "AppArmor doesn't judge them",
    ));
    gaps
}
