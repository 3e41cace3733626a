//! What will differ from the decision model, rule by rule.

use std::collections::BTreeSet;

use gambeson_matcher::backend::{Gap, Outcome, Report, Support as _};
use gambeson_matcher::{CompiledPolicy, ObjectKind, RuleShape};
use gambeson_policy_model::{Action, Class, Event, EventPath, RuleId, RuleInfo, Socket, Verdict};

use crate::lower::{Access, Policy, SocketClass, UNLABELLED, UNNAMED, named_paths, quotable};
use crate::support::Support;

/// A rule, and what a report needs of it.
struct Known<'p> {
    id: RuleId,
    info: RuleInfo<'p>,
    shape: RuleShape,
    /// Whether it can at most lead to a report.
    only_reports: bool,
}

impl Known<'_> {
    /// A gap of this rule; of one that only reports nothing is left unenforced.
    fn gap(&self, outcome: Outcome, what: &str, reason: &str) -> Gap {
        let outcome = match outcome {
            Outcome::Looser | Outcome::Unenforced if self.only_reports => Outcome::NotReported,
            outcome => outcome,
        };
        Gap::of_rule(self.id, outcome, what, reason)
    }

    /// What becomes of events that the rule is about if it isn't heard.
    fn if_unheard(&self) -> Outcome {
        let conditional = self.shape.owner_only
            || self.shape.read_only
            || self.shape.no_tty
            || self.shape.allowed_args;
        if self.info.action == Action::Allow && !conditional {
            Outcome::Stricter
        } else {
            Outcome::Looser
        }
    }

    /// Whether it may grant what other rules deny, though it is no Allow rule.
    const fn if_unheard_grants(&self) -> bool {
        self.shape.owner_only || self.shape.no_tty || self.shape.sourced
    }

    fn names_files(&self) -> bool {
        matches!(self.info.class, Class::File | Class::Process)
    }
}

/// Says what of a policy SELinux doesn't carry out as the decision model says.
///
/// ```
/// use gambeson_backend_selinux::{Support, enforceability};
/// use gambeson_matcher::backend::{Outcome, Require};
/// use gambeson_matcher::{Compile, Config};
/// use gambeson_policy_model::{PolicySet, Workload};
/// let policies = PolicySet::from_str("
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: {name: web}
/// spec:
///   capabilities: {matchCapabilities: [{capability: net_raw}]}
///   network: {matchProtocols: [{protocol: icmp}]}
/// ")?;
/// let compiled = policies.select(&Workload::pod("default")).compile(&Config::default())?;
/// let report = enforceability(&Support::complete(), &compiled);
/// assert!(report.check(Require::Strict).is_ok());
/// assert_eq!(report.worst(), Some(Outcome::Stricter));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn enforceability(support: &Support, compiled: &CompiledPolicy) -> Report {
    let head = &compiled.tables().head;
    let reports_only = head.audited != 0;
    let rules: Vec<Known<'_>> = compiled
        .rules()
        .filter_map(|(id, info)| {
            Some(Known {
                id,
                shape: compiled.shape(id)?,
                only_reports: reports_only || info.action == Action::Audit,
                info,
            })
        })
        .collect();
    let mut gaps: Vec<Gap> = compiled
        .apparmor()
        .map(|native| {
            let what = native.to_string();
            Gap::of_policy(
                Outcome::Unenforced,
                what,
                "only AppArmor understands its text",
            )
        })
        .collect();
    if !support.can_enforce() {
        let reason = match support.refusal() {
            Some(finding) => format!("`{}` is missing: {}", finding.name, finding.reason),
            None => "nothing is known of this machine".to_owned(),
        };
        gaps.extend(
            rules
                .iter()
                .map(|rule| rule.gap(Outcome::Unenforced, "the rule", &reason)),
        );
        return gaps.into_iter().collect();
    }
    gaps.extend(rules.iter().filter_map(unseen));
    gaps.extend(unseen_posture(compiled));
    gaps.extend(rules.iter().flat_map(conditions));
    // Rules that let files be written where rules on directories may not.
    let exceptions = rules.iter().any(|rule| {
        rule.info.class == Class::File
            && (rule.info.action == Action::Allow || rule.if_unheard_grants())
    });
    gaps.extend(rules.iter().flat_map(|rule| labels(rule, exceptions)));
    if rules.iter().any(Known::names_files) {
        gaps.extend(everywhere());
    }
    let policy = Policy::new(compiled);
    gaps.extend(programs(compiled, &policy));
    gaps.extend(objects(compiled));
    gaps.extend(places(&policy));
    gaps.extend(sockets(&policy));
    gaps.extend(attribution(&rules));
    gaps.into_iter().collect()
}

/// The gap of a rule about events that SELinux isn't asked about.
fn unseen(rule: &Known<'_>) -> Option<Gap> {
    let (outcome, what, reason) = match (rule.info.class, rule.shape.object) {
        (Class::Dns, _) => (Outcome::Unenforced, "asking for names", UNSEEN_NAMES),
        (Class::Syscalls, _) => (
            Outcome::NotReported,
            "system calls",
            "the kernel asks about what calls do, not about the calls",
        ),
        (Class::Devices, _) => (
            Outcome::Unenforced,
            "USB devices",
            "the kernel doesn't ask when a device is attached",
        ),
        (Class::Presets, _) => (
            Outcome::Unenforced,
            "the situation",
            "labels don't tell it from others",
        ),
        _ => return None,
    };
    Some(rule.gap(outcome, what, reason))
}

const UNSEEN_NAMES: &str = "the kernel asks about sockets, not about the names that are asked for";

/// The gap of a posture that would decide what SELinux isn't asked about.
fn unseen_posture(compiled: &CompiledPolicy) -> Option<Gap> {
    let head = &compiled.tables().head;
    if !head.in_allow_list_mode(Class::Dns) {
        return None;
    }
    let outcome = match head.posture(Class::Dns) {
        Verdict::Allow => return None,
        Verdict::Block if head.audited == 0 => Outcome::Unenforced,
        Verdict::Audit | Verdict::Block => Outcome::NotReported,
    };
    let what = "asking for names that no rule allows";
    Some(Gap::of_class(Class::Dns, outcome, what, UNSEEN_NAMES))
}

/// Conditions that labels know nothing of are taken not to hold.
fn conditions(rule: &Known<'_>) -> Vec<Gap> {
    let shape = &rule.shape;
    let unknown = [
        (
            shape.owner_only,
            "the owner's access",
            "labels don't tell who owns a file",
        ),
        (
            shape.no_tty,
            "access without a terminal",
            "domains don't tell whether there is a terminal",
        ),
        (
            shape.allowed_args,
            "executing with allowed arguments",
            "no argument is looked at",
        ),
    ];
    let unknown = unknown.into_iter().filter(|(has, ..)| *has);
    unknown
        .map(|(_, what, reason)| rule.gap(Outcome::Stricter, what, reason))
        .collect()
}

/// What follows from labels that stay with files, and domains that stay with programs.
fn labels(rule: &Known<'_>, exceptions: bool) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let by_name = matches!(
        rule.shape.object,
        ObjectKind::Path | ObjectKind::ExecName | ObjectKind::Pattern
    );
    match rule.info.class {
        Class::Process => gaps.push(rule.gap(
            Outcome::Looser,
            "programs that are moved or linked",
            "a file keeps the label of its first name until it is relabelled",
        )),
        Class::File if by_name => gaps.push(rule.gap(
            rule.if_unheard(),
            "a file that is moved or linked to the name",
            "it keeps its label until it is relabelled",
        )),
        // Into a directory in which nothing may be written, nothing is moved.
        Class::File
            if (exceptions || rule.only_reports) && rule.if_unheard() == Outcome::Looser =>
        {
            gaps.push(rule.gap(
                Outcome::Looser,
                "files that are moved or linked into the directory",
                "some names in it may be written, and labels don't tell which name a file comes to",
            ));
        }
        _ => {}
    }
    let computed = matches!(
        rule.shape.object,
        ObjectKind::ExecName | ObjectKind::Pattern
    );
    if rule.names_files() && computed {
        gaps.push(rule.gap(
            rule.if_unheard(),
            "new files that match",
            "they get the label that any file in their directory gets until they are relabelled",
        ));
    }
    if rule.shape.sourced {
        gaps.push(rule.gap(
            rule.if_unheard(),
            "scripts that are run by the source",
            "the domain is that of the script, not of the interpreter in its first line",
        ));
    }
    gaps
}

/// What holds for all policies about files or programs.
fn everywhere() -> [Gap; 5] {
    let gap = |what, reason| Gap::of_policy(Outcome::Stricter, what, reason);
    [
        gap(
            "other names of a file",
            "hard links and bind mounts show the label of the file, whatever the path",
        ),
        gap(
            "mounting",
            "it would show files under names that they aren't labelled for",
        ),
        gap(
            "descriptors that are open",
            "they are judged again when a program runs in another domain or policies are replaced",
        ),
        gap(
            "asking whether a file may be read or written",
            "the kernel answers as if it were done",
        ),
        gap(
            "tracing processes of others",
            "they could be made to act for the workload",
        ),
    ]
}

/// Rules that one record may stand for.
fn attribution(rules: &[Known<'_>]) -> Vec<Gap> {
    let classes = [Class::Process, Class::File, Class::Network];
    let several = classes.into_iter().filter(|class| {
        let own = rules.iter().filter(|rule| rule.info.class == *class);
        own.count() > 1
    });
    several
        .map(|class| {
            Gap::of_class(
                class,
                Outcome::NotReported,
                "by which of several rules of equal effect",
                "records tell the label and the last component of a name, and the socket's class",
            )
        })
        .collect()
}

/// Objects that rules are about by something else than their labels.
fn objects(compiled: &CompiledPolicy) -> Vec<Gap> {
    let head = &compiled.tables().head;
    let mut gaps = Vec::new();
    let enforces = head.audited == 0;
    for class in [Class::Process, Class::File] {
        let judged = head.can_deny(class) || head.in_allow_list_mode(class);
        if !judged {
            continue;
        }
        let what = "objects whose path can't be computed";
        let reason = "they have a label all the same, and what rules say of it counts";
        // Process takes file's posture.
        gaps.push(Gap::of_class(class, Outcome::Stricter, what, reason));
        let looser = match head.posture(class) {
            Verdict::Allow => continue,
            Verdict::Block if enforces => Outcome::Looser,
            Verdict::Audit | Verdict::Block => Outcome::NotReported,
        };
        gaps.push(Gap::of_class(class, looser, what, reason));
    }
    let watched = head.watches(Class::File) || head.in_allow_list_mode(Class::File);
    if watched || (!enforces && head.can_deny(Class::File)) {
        gaps.push(Gap::of_class(
            Class::File,
            Outcome::NotReported,
            "reading what others have opened",
            "only opening is told of, for reading is asked about again and again",
        ));
    }
    if head.can_deny(Class::File) || watched {
        let outcome = if enforces && head.can_deny(Class::File) {
            Outcome::Looser
        } else {
            Outcome::NotReported
        };
        gaps.push(Gap::of_class(
            Class::File,
            outcome,
            "sending by Unix sockets that were connected before",
            "the kernel asks for the path when a socket is connected",
        ));
    }
    gaps
}

/// Programs: what the kernel does with their files is judged by the same permissions as what others do.
fn programs(compiled: &CompiledPolicy, policy: &Policy<'_>) -> Vec<Gap> {
    let head = &compiled.tables().head;
    let mut gaps = Vec::new();
    if !compiled
        .rules()
        .any(|(_, rule)| matches!(rule.class, Class::File | Class::Process))
    {
        return gaps;
    }
    let lists = |class: Class, posture: Verdict| {
        head.in_allow_list_mode(class) && head.posture(class) == posture
    };
    let enforces = head.audited == 0;
    if enforces && (head.can_deny(Class::File) || lists(Class::File, Verdict::Block)) {
        gaps.push(Gap::of_class(
            Class::Process,
            Outcome::Stricter,
            "executing files that may not be read",
            "the kernel reads a program with the permissions of who executes it",
        ));
    }
    let denies_mapping = head.can_deny(Class::Process);
    if enforces && denies_mapping {
        gaps.push(Gap::of_class(
            Class::Process,
            Outcome::Stricter,
            "executing files that may not be mapped executable",
            "the kernel asks the same permission for both",
        ));
    }
    let watched = |class: Class| {
        head.watches(class)
            || lists(class, Verdict::Audit)
            || (!enforces && head.can_deny(class))
            || (!enforces && lists(class, Verdict::Block))
    };
    if watched(Class::File) {
        gaps.push(Gap::of_class(
            Class::File,
            Outcome::Stricter,
            "reports of reading",
            "executing a file opens it, and is told of as reading it",
        ));
    }
    if watched(Class::Process) && policy.sources.len() > 1 {
        gaps.push(Gap::of_class(
            Class::Process,
            Outcome::Stricter,
            "reports of executing",
            "where the domain changes, mapping the program is told of, too",
        ));
    }
    gaps
}

/// Paths that rules name and that have no label of their own, or that a new file gets none for.
fn places(policy: &Policy<'_>) -> Vec<Gap> {
    let mut gaps: BTreeSet<(Class, Outcome, &str, &str)> = BTreeSet::new();
    for path in named_paths(policy.compiled.tables()) {
        let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let name = path.get(slash + 1..).unwrap_or_default();
        let file_system = UNLABELLED.iter().filter(|(name, _)| {
            // Files of these can be relabelled.
            !matches!(*name, "devpts" | "devtmpfs")
        });
        let unlabelled = file_system
            .filter(|(_, root)| {
                let rest = path.strip_prefix(root.as_bytes());
                rest.is_some_and(|rest| rest.first() == Some(&b'/'))
            })
            .max_by_key(|(_, root)| root.len());
        let (like, what, reason) = if let Some((_, root)) = unlabelled {
            let like = [root.as_bytes(), &[b'/', UNNAMED, b'/', UNNAMED]].concat();
            let reason = "all files of such a file system have one label";
            (like, "files below /proc and /sys that rules name", reason)
        } else if !name.is_empty() && quotable(name).is_none() {
            let directory = path.get(..=slash).unwrap_or_default();
            let reason = "the module's language can't write the name";
            let what = "new files with special characters in their names";
            ([directory, &[UNNAMED]].concat(), what, reason)
        } else {
            continue;
        };
        for source in &policy.sources {
            for access in [Access::Read, Access::Write, Access::Exec, Access::MapExec] {
                let of = |path: &[u8]| {
                    let path = EventPath::from(path);
                    policy.decide(access, path, &source.program).verdict
                };
                let class = match access {
                    Access::Exec | Access::MapExec => Class::Process,
                    _ => Class::File,
                };
                let outcome = match (of(&path), of(&like)) {
                    (by_rule, found) if by_rule == found => continue,
                    (Verdict::Block, _) => Outcome::Looser,
                    (_, Verdict::Block) | (Verdict::Allow, _) => Outcome::Stricter,
                    _ => Outcome::NotReported,
                };
                gaps.insert((class, outcome, what, reason));
            }
        }
    }
    let gaps = gaps.into_iter();
    gaps.map(|(class, outcome, what, reason)| Gap::of_class(class, outcome, what, reason))
        .collect()
}

/// Sockets that rules tell apart and the kernel's classes don't.
fn sockets(policy: &Policy<'_>) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for source in &policy.sources {
        for class in SocketClass::ALL {
            if class.verdicts(policy, &source.program).len() > 1 {
                gaps.push(Gap::of_class(
                    Class::Network,
                    Outcome::Stricter,
                    format!("sockets of the kernel's class {}", class.names().join(", ")),
                    "rules tell its sockets apart, and the strictest verdict stands for all",
                ));
            }
        }
        let seqpacket = Socket::new(Socket::AF_INET, Socket::SOCK_SEQPACKET, 0);
        let event = Event::socket(seqpacket)
            .by(source.program.as_slice())
            .tty(true);
        let by_rule = policy.compiled.decide(&event).verdict;
        let found = SocketClass::of(&seqpacket).verdicts(policy, &source.program);
        let outcome = match (by_rule, found.last().copied().unwrap_or(Verdict::Allow)) {
            (by_rule, found) if by_rule == found => continue,
            (Verdict::Block, _) => Outcome::Looser,
            (_, Verdict::Block) | (Verdict::Allow, _) => Outcome::Stricter,
            _ => Outcome::NotReported,
        };
        gaps.push(Gap::of_class(
            Class::Network,
            outcome,
            "sockets of type seqpacket without a protocol",
            "the kernel takes them for TCP",
        ));
    }
    gaps
}
