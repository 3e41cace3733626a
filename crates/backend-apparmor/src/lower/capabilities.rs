//! Rules about capabilities.

use std::fmt::Write as _;

use gambeson_matcher::CompiledPolicy;
use gambeson_policy_model::{Capability, Event, RuleId, Verdict};

use crate::features::Features;
use crate::profile::Section;

/// With it a process replaces its own profile.
pub(crate) const POLICY_ADMIN: &str = "mac_admin";

/// Writes the rules. `confined`: the profile denies something, so that it must not be replaced.
pub(crate) fn write(
    out: &mut String,
    compiled: &CompiledPolicy,
    section: &Section,
    features: &Features,
    confined: bool,
    comment: impl Fn(Option<RuleId>) -> String,
) {
    let mut allowed = Vec::new();
    let mut special = String::new();
    for capability in Capability::all() {
        let name = capability.name();
        if !features.lists("caps/mask", name) {
            continue;
        }
        let event = Event::capability(capability)
            .by(section.program.as_slice())
            .tty(true);
        let decision = compiled.decide(&event);
        let prefix = match decision.verdict() {
            Verdict::Block => "audit deny ",
            _ if confined && name == POLICY_ADMIN => {
                let _ = writeln!(
                    special,
                    "  # with it a process could replace its own profile"
                );
                let _ = writeln!(special, "  audit deny capability {name},");
                continue;
            }
            Verdict::Audit => "audit ",
            Verdict::Allow => {
                allowed.push(name);
                continue;
            }
        };
        let _ = writeln!(special, "  # {}", comment(decision.rule()));
        let _ = writeln!(special, "  {prefix}capability {name},");
    }
    if special.is_empty() {
        out.push_str("  capability,\n");
        return;
    }
    for names in allowed.chunks(6) {
        let _ = writeln!(out, "  capability {},", names.join(" "));
    }
    out.push_str(&special);
}
