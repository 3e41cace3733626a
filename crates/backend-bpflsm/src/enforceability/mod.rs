//! What will differ from the decision model on a kernel, rule by rule.

mod arguments;

use gambeson_matcher::backend::{Gap, Outcome, Report, Support as _};
use gambeson_matcher::tables::Tables;
use gambeson_matcher::{CompiledPolicy, ObjectKind, RuleShape};
use gambeson_policy_model::{Action, Class, Preset, RuleId, RuleInfo, Verdict};

use crate::hooks::{Before, Carried, HOOKS, Hook, Rules};
use crate::lower::Below;
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
    fn gap(&self, outcome: Outcome, what: &str, reason: impl Into<String>) -> Gap {
        let outcome = match outcome {
            Outcome::Looser | Outcome::Unenforced if self.only_reports => Outcome::NotReported,
            outcome => outcome,
        };
        Gap::of_rule(self.id, outcome, what, reason)
    }

    fn is_of(&self, rules: Rules) -> bool {
        match rules {
            Rules::Of(class) => self.info.class == class,
            Rules::About(preset) => self.shape.object == ObjectKind::Preset(preset),
            Rules::AllowedArgs => self.shape.allowed_args,
            // Told of once for all of them.
            Rules::Paths => false,
        }
    }
}

/// Says what of a policy BPF programs on such a kernel don't carry out as the decision model says.
///
/// Rules with `allowedArgs` are no gap, as long as few of them count for one exec: arguments are read
/// from the new program's own memory, and a program that may not run with them is killed before its
/// first instruction, where other denials fail with EPERM.
///
/// ```
/// use gambeson_backend_bpflsm::{KernelVersion, Support, enforceability};
/// use gambeson_matcher::{Compile, Config};
/// use gambeson_policy_model::{PolicySet, Workload};
/// let policies = PolicySet::from_str("
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: {name: web}
/// spec:
///   file: {matchPaths: [{path: /etc/shadow}]}
/// ")?;
/// let compiled = policies.select(&Workload::pod("default")).compile(&Config::default())?;
/// let recent = Support::complete(KernelVersion::new(6, 12));
/// assert!(enforceability(&recent, &compiled).is_exact());
/// let old = Support::complete(KernelVersion::new(5, 15));
/// assert_eq!(enforceability(&old, &compiled).gaps()[0].what, "changing owners");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn enforceability(support: &Support, compiled: &CompiledPolicy) -> Report {
    let tables = compiled.tables();
    let reports_only = tables.head.audited != 0;
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
    let native = compiled.apparmor().map(|native| {
        let what = native.to_string();
        Gap::of_policy(
            Outcome::Unenforced,
            what,
            "only AppArmor understands its text",
        )
    });
    if !support.can_enforce() {
        let reason = match support.refusal() {
            Some(finding) => format!("`{}` is missing: {}", finding.name, finding.reason),
            None => "this kernel has none of the hooks".to_owned(),
        };
        let each = rules.iter();
        let each = each.map(|rule| rule.gap(Outcome::Unenforced, "the rule", reason.clone()));
        return each.chain(native).collect();
    }
    let mut gaps: Vec<Gap> = native.collect();
    gaps.extend(rules.iter().filter_map(|rule| unseen(rule, support)));
    gaps.extend(unseen_posture(tables, support));
    for hook in HOOKS.iter().filter(|hook| is_missed(hook, support)) {
        for carried in hook.carries {
            gaps.extend(missing(hook, carried, support, &rules, tables));
        }
    }
    gaps.extend(rules.iter().filter_map(renaming_by_owner));
    gaps.extend(arguments::gaps(tables, &rules));
    gaps.extend(Below::new(tables).gaps);
    gaps.into_iter().collect()
}

/// The gap of a posture that would decide events that no hook shows.
fn unseen_posture(tables: &Tables, support: &Support) -> Option<Gap> {
    if support.sees_dns() || !tables.head.in_allow_list_mode(Class::Dns) {
        return None;
    }
    let outcome = match tables.head.posture(Class::Dns) {
        Verdict::Allow => return None,
        Verdict::Block if tables.head.audited == 0 => Outcome::Unenforced,
        Verdict::Audit | Verdict::Block => Outcome::NotReported,
    };
    let what = "asking for names that no rule allows";
    Some(Gap::of_class(Class::Dns, outcome, what, UNSEEN_NAMES))
}

const UNSEEN_NAMES: &str = "hooks show bytes that are sent, not the names that are asked for";

/// The gap of a rule about events that no hook shows.
fn unseen(rule: &Known<'_>, support: &Support) -> Option<Gap> {
    let (outcome, what, reason) = match (rule.info.class, rule.shape.object) {
        (Class::Dns, _) if !support.sees_dns() => {
            (Outcome::Unenforced, "asking for names", UNSEEN_NAMES)
        }
        (Class::Syscalls, _) => (
            Outcome::NotReported,
            "system calls",
            "hooks show what calls do, not the calls",
        ),
        (Class::Devices, _) => (
            Outcome::Unenforced,
            "USB devices",
            "no hook is asked when a device is attached",
        ),
        (_, ObjectKind::Preset(Preset::Exec)) => (
            Outcome::Unenforced,
            "entering the container from outside",
            "hooks don't tell a process that enters from one that was there",
        ),
        _ => return None,
    };
    Some(rule.gap(outcome, what, reason))
}

/// Whether events pass because the kernel lacks the hook.
fn is_missed(hook: &Hook, support: &Support) -> bool {
    if support.has_hook(hook.name) {
        return false;
    }
    match hook.before {
        Before::Nothing => true,
        // Where these are missing too, they are told of themselves.
        Before::Hooks(_) | Before::NoSuchOperation => support.kernel() >= hook.since,
    }
}

fn missing(
    hook: &Hook,
    carried: &Carried,
    support: &Support,
    rules: &[Known<'_>],
    tables: &Tables,
) -> Vec<Gap> {
    let reason = if support.kernel() < hook.since {
        format!(
            "kernel {} has no hook `{}` for programs, {} does",
            support.kernel(),
            hook.name,
            hook.since
        )
    } else {
        format!("hook `{}` is missing", hook.name)
    };
    if carried.rules == Rules::Paths {
        let judged = |class| tables.head.can_deny(class) || tables.head.in_allow_list_mode(class);
        let concerned = judged(Class::File) || judged(Class::Process);
        let gap = Gap::of_policy(carried.missing, carried.what, reason);
        return concerned.then_some(gap).into_iter().collect();
    }
    let concerned = rules.iter().filter(|rule| rule.is_of(carried.rules));
    concerned
        .map(|rule| rule.gap(carried.missing, carried.what, reason.clone()))
        .collect()
}

/// Renaming a directory above a path is judged without knowing who owns what lies there.
fn renaming_by_owner(rule: &Known<'_>) -> Option<Gap> {
    let named = matches!(
        rule.shape.object,
        ObjectKind::Path | ObjectKind::Directory | ObjectKind::RecursiveDirectory
    );
    (rule.info.class == Class::File && rule.shape.owner_only && named).then(|| {
        let reason =
            "the owner of what lies below a directory isn't known, so that `ownerOnly` fails";
        rule.gap(Outcome::Stricter, "renaming a directory above it", reason)
    })
}
