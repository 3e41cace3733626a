//! Records of AppArmor, from any bytes.

use gambeson::apparmor::audit::{Occurrence, Record};
use gambeson::policy_model::{AlertContext, PolicySet, Verdict, Workload};
use gambeson_matcher::{Compile as _, CompiledPolicy, Config};

use super::Finding;

/// Rules of each class, so that there is something to name.
const POLICY: &str = "
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: p}
spec:
  process: {matchPaths: [{path: /bin/sh, allowedArgs: [-c]}]}
  file:
    matchDirectories: [{dir: /etc/, recursive: true, readOnly: true, action: Allow}]
    matchPaths: [{path: /etc/shadow, ownerOnly: true}, {path: /data, action: Audit}]
  network: {matchProtocols: [{protocol: udp, fromSource: [{path: /bin/nc}]}]}
  capabilities: {matchCapabilities: [{capability: net_raw}]}
";

/// Bytes are a record, none, or an error; what a record tells becomes an alert of its verdict.
///
/// # Errors
/// When a record holds more than the bytes do, or what it tells and the alert don't go together.
pub fn record(bytes: &[u8]) -> Finding {
    let policy = policy()?;
    for parsed in [Record::parse(bytes), Record::parse_kmsg(bytes)] {
        let Ok(Some(record)) = parsed else { continue };
        let texts = [&record.name, &record.target, &record.profile, &record.peer];
        let longest = texts
            .iter()
            .filter_map(|text| text.as_ref())
            .map(Vec::len)
            .max();
        if longest.unwrap_or(0) + record.comm.len() > bytes.len() {
            return Err(format!("{} bytes became {record:?}", bytes.len()));
        }
        for source in [None, Some("/bin/nc".into())] {
            let Some(occurrence) = Occurrence::of(&record, source, &policy) else {
                continue;
            };
            if record.mark.is_denial() != (occurrence.decision.verdict == Verdict::Block)
                && !occurrence.passed
            {
                return Err(format!("{record:?} became {occurrence:?}"));
            }
            if occurrence
                .alert(&policy, &AlertContext::default())
                .is_none()
            {
                return Err(format!("{occurrence:?} became no alert"));
            }
        }
    }
    Ok(())
}

fn policy() -> Result<CompiledPolicy, String> {
    let set = PolicySet::from_str(POLICY).map_err(|error| error.to_string())?;
    let selection = set.select(&Workload::pod("default"));
    selection
        .compile(&Config::default())
        .map_err(|error| error.to_string())
}
