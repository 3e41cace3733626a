//! Alerts.

use gambeson_matcher::CompiledPolicy;
use gambeson_policy_model::{Alert, AlertContext, UnixTime};

use super::occurrence::{Occurrence, Reason};

/// The name that KubeArmor gives this mechanism.
const ENFORCER: &str = "AppArmor";

impl Occurrence {
    /// The alert. `policy` is what the occurrence was decided by, and `context` what else is known: the
    /// time, the id of the process and of the user, and the mechanism are added to it.
    #[must_use]
    pub fn alert(&self, policy: &CompiledPolicy, context: &AlertContext) -> Option<Alert> {
        let record = &self.record;
        let mut known = context.clone();
        known.time = UnixTime {
            seconds: i64::try_from(record.time.as_secs()).unwrap_or(i64::MAX),
            microseconds: record.time.subsec_micros(),
        };
        if let Some(pid) = record.pid {
            known.host_pid = pid.cast_signed();
        }
        known.uid = record.fsuid.or(known.uid);
        if known.command_line.is_empty() && self.event.source.bytes().is_none() {
            // All that a record tells of a program that no rule names.
            known.command_line = String::from_utf8_lossy(&record.comm).into_owned();
        }
        let said = format!("apparmor={}", record.operation.to_ascii_uppercase());
        known.data = if known.data.is_empty() {
            said
        } else {
            format!("{} {said}", known.data)
        };
        if known.enforcer.is_empty() {
            ENFORCER.clone_into(&mut known.enforcer);
        }
        if known.resource.is_empty() {
            let name = record.name.as_deref().unwrap_or_default();
            known.resource = String::from_utf8_lossy(name).into_owned();
        }
        let rule = self.decision.rule().and_then(|id| policy.rule(id));
        let mut alert = Alert::new(&self.event, &self.decision, rule.as_ref(), &known)?;
        match self.reason {
            Reason::Policy(_) => {}
            Reason::Mount => {
                alert.policy_name.clear();
                alert.message = "mounting is denied where rules name files".to_owned();
            }
            Reason::Mechanism => {
                alert.policy_name.clear();
                alert.message = match &record.info {
                    Some(info) => format!("the kernel says: {info}"),
                    None => "no rule of the policy accounts for it".to_owned(),
                };
            }
        }
        if self.passed {
            "Passed".clone_into(&mut alert.result);
        }
        Some(alert)
    }
}

#[cfg(test)]
mod tests {
    use gambeson_matcher::{Compile as _, Config};
    use gambeson_policy_model::{PolicySet, Workload};

    use super::super::Record;
    use super::*;

    #[test]
    fn an_alert_has_the_record_s_time_process_and_rule() {
        let set = PolicySet::from_str(
            "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {name: web}\nspec:\n  severity: 4\n  file: {matchPaths: [{path: /etc/shadow}]}\n",
        )
        .unwrap();
        let policy = set
            .select(&Workload::pod("default"))
            .compile(&Config::default())
            .unwrap();
        let line = br#"audit: type=1400 audit(1750000000.500:9): apparmor="DENIED" operation="open" profile="p" name="/etc/shadow" pid=147 comm="cat" requested_mask="r" denied_mask="r" fsuid=33 ouid=0"#;
        let record = Record::parse(line).unwrap().unwrap();
        let occurrence = Occurrence::of(&record, None, &policy).unwrap();
        let alert = occurrence.alert(&policy, &AlertContext::default()).unwrap();
        assert_eq!(alert.policy_name, "web");
        assert_eq!(
            (alert.host_pid, alert.uid, alert.timestamp),
            (147, 33, 1_750_000_000)
        );
        assert_eq!(
            (alert.enforcer.as_str(), alert.result.as_str()),
            ("AppArmor", "Permission denied")
        );
        assert_eq!(
            (alert.resource.as_str(), alert.source.as_str()),
            ("/etc/shadow", "cat")
        );
        assert_eq!(alert.data, "apparmor=OPEN");
    }
}
