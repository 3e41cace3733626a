//! Bytes as a policy file.

use gambeson::policy_model::{Mode, Policy, Reader};

use super::Finding;

/// Reads the bytes strictly and leniently. Whatever they are, both come to an end, and a policy
/// that strict reading takes is taken leniently with the same rules, and survives being written.
///
/// # Errors
/// When one of these doesn't hold.
pub fn yaml(bytes: &[u8]) -> Finding {
    let text = String::from_utf8_lossy(bytes);
    let strict = Reader::new().read_str("fuzzed", &text);
    let lenient = Reader::new().mode(Mode::Lenient).read_str("fuzzed", &text);
    for (at, document) in strict.documents().iter().enumerate() {
        if document.policy.is_some() && document.has_errors() {
            return Err(format!("document {at} has a policy and errors"));
        }
        let Some(policy) = &document.policy else {
            continue;
        };
        let taken = lenient.documents().get(at).and_then(|d| d.policy.as_ref());
        if taken.map(Policy::rules) != Some(policy.rules()) {
            return Err(format!(
                "document {at} has other rules when it is read leniently"
            ));
        }
        let written = policy.to_yaml();
        let again = Reader::new().read_str("written", &written);
        if again.documents().first().and_then(|d| d.policy.as_ref()) != Some(policy) {
            return Err(format!(
                "document {at} is another when it is written:\n{written}"
            ));
        }
    }
    Ok(())
}
