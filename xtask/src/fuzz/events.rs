//! Events of the BPF programs, from any bytes.

use gambeson::policy_model::{AlertContext, Selection};
use gambeson_backend_bpflsm::KernelEvent;
use gambeson_matcher::{Compile as _, Config};

use super::Finding;

/// Bytes are an event or an error; an event can be told in the model's words and made an alert of,
/// whatever rule it names.
///
/// # Errors
/// When an event holds more than the bytes do.
pub fn event(bytes: &[u8]) -> Finding {
    let Ok(event) = KernelEvent::decode(bytes) else {
        return Ok(());
    };
    let source = event.subject.source.as_deref().unwrap_or_default();
    if event.object.len() + source.len() > bytes.len() {
        return Err(format!(
            "{} bytes became an object of {} and a source of {}",
            bytes.len(),
            event.object.len(),
            source.len()
        ));
    }
    let empty = Selection::new(vec![])
        .compile(&Config::default())
        .map_err(|error| error.to_string())?;
    let alert = event.alert(&empty, &AlertContext::default());
    let reported = event.decision.verdict != gambeson::policy_model::Verdict::Allow;
    if alert.is_some() == reported {
        Ok(())
    } else {
        Err(format!("{} became {alert:?}", event.decision.verdict))
    }
}
