//! What a record says in the model's words, with the rule that decided.

use gambeson_matcher::CompiledPolicy;
use gambeson_policy_model::{Cause, Decision, Event, EventPath, Operation, Verdict};

use super::operation::About;
use super::record::{Mark, Record};

/// Why something ended as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// What the policy says.
    Policy(Cause),
    /// The workload's files have rules, and what mounts could give them other names.
    Mount,
    /// The mechanism's own doing: the policy says otherwise, as was reported before where that is known,
    /// or has nothing to say.
    Mechanism,
}

/// What was done, as a record tells it.
///
/// The verdict is the kernel's. The rule is not in the record: the policy decides the event again, and
/// where it comes to the kernel's verdict, its rule is named. Conditions that a record doesn't tell
/// (arguments, terminal) are tried both ways. Where no way comes to the kernel's verdict, no rule is
/// named, and the reason is [`Reason::Mechanism`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The record.
    pub record: Record,
    /// What was done and by whom. The source is that of the profile that the subject was under;
    /// unresolvable where that profile is for every other program.
    pub event: Event<'static>,
    /// The kernel's verdict, and the rule that it rests on.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// Whether it passed though it would be denied: the profile complains only.
    pub passed: bool,
}

/// What stands for a program that no rule names.
const NOBODY: &str = "/.program-that-no-rule-names";

impl Occurrence {
    /// What a record says of a workload under this policy. `source` is the program that the record's
    /// profile is for, and `None` where it is for those that no rule names. `None` where the record is
    /// about nothing that was denied or is watched.
    #[must_use]
    pub fn of(
        record: &Record,
        source: Option<EventPath<'static>>,
        policy: &CompiledPolicy,
    ) -> Option<Self> {
        let verdict = match record.mark {
            Mark::Denied | Mark::Killed | Mark::Complained => Verdict::Block,
            Mark::Audited => Verdict::Audit,
            Mark::Status | Mark::Error | Mark::Hint => return None,
        };
        let (operations, is_mount) = match record.about() {
            About::Model(operations) => (operations, false),
            About::Mount(path) => (vec![Operation::Write { path }], true),
            About::Other => return None,
        };
        let deciding = source.clone().unwrap_or_else(|| NOBODY.into());
        let told = source.unwrap_or(EventPath::UNRESOLVABLE);
        let events = operations.into_iter().map(|operation| Event {
            operation,
            source: deciding.clone(),
            uid: record.fsuid,
            owner: record.ouid,
            tty: false,
        });
        let events: Vec<Event<'static>> = events.collect();
        let agreeing = events
            .iter()
            .find_map(|event| agreeing(event, policy, verdict).map(|cause| (event, cause)));
        let (event, cause, reason) = match agreeing {
            Some((event, cause)) => (event, cause, Reason::Policy(cause)),
            None if is_mount => (events.first()?, Cause::None, Reason::Mount),
            None => (events.first()?, Cause::None, Reason::Mechanism),
        };
        Some(Self {
            record: record.clone(),
            event: Event {
                source: told,
                ..event.clone()
            },
            decision: Decision { verdict, cause },
            reason,
            passed: record.mark == Mark::Complained,
        })
    }
}

/// The cause for which the policy comes to this verdict, under some condition that the record doesn't
/// tell.
fn agreeing(event: &Event<'static>, policy: &CompiledPolicy, verdict: Verdict) -> Option<Cause> {
    let with_tty = event.clone().tty(true);
    // No list of arguments holds an empty one and this.
    let with_arguments = event.clone().args([&b"\0"[..]]);
    let with_both = with_tty.clone().args([&b"\0"[..]]);
    [event, &with_tty, &with_arguments, &with_both]
        .into_iter()
        .map(|event| policy.decide(event))
        .find(|decision| decision.verdict == verdict)
        .map(|decision| decision.cause)
}

#[cfg(test)]
mod tests {
    use gambeson_matcher::{Compile as _, Config};
    use gambeson_policy_model::{PolicySet, Workload};

    use super::*;

    fn policy(spec: &str) -> CompiledPolicy {
        let text = format!(
            "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: p}}\nspec:\n{spec}\n"
        );
        let set = PolicySet::from_str(&text).unwrap();
        let selection = set.select(&Workload::pod("default"));
        selection.compile(&Config::default()).unwrap()
    }

    fn record(body: &str) -> Record {
        let line = format!("type=1400 audit(1.0:1): {body}");
        Record::parse(line.as_bytes()).unwrap().unwrap()
    }

    fn rule(occurrence: &Occurrence, policy: &CompiledPolicy) -> Option<String> {
        let rule = policy.rule(occurrence.decision.rule()?)?;
        Some(rule.field_path())
    }

    #[test]
    fn the_rule_that_denied_is_named() {
        let policy = policy("  file: {matchPaths: [{path: /etc/shadow}]}");
        let denied =
            record(r#"apparmor="DENIED" operation="open" name="/etc/shadow" requested_mask="r""#);
        let occurrence = Occurrence::of(&denied, None, &policy).unwrap();
        assert_eq!(occurrence.decision.verdict, Verdict::Block);
        assert_eq!(
            rule(&occurrence, &policy).as_deref(),
            Some("file.matchPaths[0]")
        );
    }

    #[test]
    fn what_the_policy_would_allow_names_no_rule() {
        let policy = policy("  file: {matchPaths: [{path: /etc/shadow}]}");
        let denied =
            record(r#"apparmor="DENIED" operation="open" name="/etc/hosts" requested_mask="r""#);
        let occurrence = Occurrence::of(&denied, None, &policy).unwrap();
        assert_eq!(occurrence.reason, Reason::Mechanism);
        assert_eq!(occurrence.decision.verdict, Verdict::Block);
        assert_eq!(occurrence.decision.cause, Cause::None);
    }

    #[test]
    fn the_profile_tells_the_source() {
        let policy = policy(
            "  file:\n    matchPaths:\n    - {path: /data, fromSource: [{path: /bin/cat}]}\n    - {path: /data, action: Audit}",
        );
        let denied =
            record(r#"apparmor="DENIED" operation="open" name="/data" requested_mask="r""#);
        let by_cat = Occurrence::of(&denied, Some("/bin/cat".into()), &policy).unwrap();
        assert_eq!(
            rule(&by_cat, &policy).as_deref(),
            Some("file.matchPaths[0]")
        );
        assert_eq!(by_cat.event.source.bytes(), Some(&b"/bin/cat"[..]));
        let audited =
            record(r#"apparmor="AUDIT" operation="open" name="/data" requested_mask="r""#);
        let by_other = Occurrence::of(&audited, None, &policy).unwrap();
        assert_eq!(
            rule(&by_other, &policy).as_deref(),
            Some("file.matchPaths[1]")
        );
        assert_eq!(by_other.event.source.bytes(), None);
    }

    #[test]
    fn conditions_that_a_record_does_not_tell_are_tried_both_ways() {
        let policy = policy("  process: {matchPaths: [{path: /bin/sh, allowedArgs: [-c]}]}");
        let denied =
            record(r#"apparmor="DENIED" operation="exec" name="/bin/sh" requested_mask="x""#);
        let occurrence = Occurrence::of(&denied, None, &policy).unwrap();
        assert_eq!(
            rule(&occurrence, &policy).as_deref(),
            Some("process.matchPaths[0]")
        );
    }

    #[test]
    fn a_denied_mount_is_no_rule_s() {
        let policy = policy("  file: {matchPaths: [{path: /etc/shadow}]}");
        let denied = record(r#"apparmor="DENIED" operation="mount" name="/mnt/" fstype="tmpfs""#);
        let occurrence = Occurrence::of(&denied, None, &policy).unwrap();
        assert_eq!(occurrence.reason, Reason::Mount);
    }

    #[test]
    fn what_concerns_profiles_is_nothing_that_was_done() {
        let policy = policy("  file: {matchPaths: [{path: /etc/shadow}]}");
        let loaded = record(r#"apparmor="STATUS" operation="profile_load" name="x""#);
        assert_eq!(Occurrence::of(&loaded, None, &policy), None);
        let stat = record(
            r#"apparmor="DENIED" operation="getattr" name="/etc/shadow" requested_mask="r""#,
        );
        assert_eq!(Occurrence::of(&stat, None, &policy), None);
    }
}
