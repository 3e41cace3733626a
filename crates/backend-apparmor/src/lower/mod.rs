//! From compiled tables to the text of profiles.

mod capabilities;
mod factor;
mod files;
mod lines;
mod native;
mod network;
mod sections;

use std::fmt::Write as _;

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::Gap;
use gambeson_policy_model::{Class, RuleId, Verdict};

use crate::error::LowerError;
use crate::features::Features;
use crate::gaps;
use crate::options::{Mounts, Options};
use crate::profile::Profile;
use crate::support::Support;
use files::files;
use sections::Sections;

/// The most bytes of a text. The parser's time and memory grow with it.
pub(crate) const MAX_TEXT: usize = 64 << 20;

/// Brings a policy into the form of profiles, and says what will differ from the decision model.
///
/// ```
/// use gambeson_backend_apparmor::{Features, Options, Support, lower};
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
/// let support = Support::new(Features::linux_6_1());
/// let profile = lower(&support, &compiled, &Options::named("gambeson.web".parse()?))?;
/// assert!(profile.text().contains("audit deny \"/etc/shadow{,/}\" rwl,"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When a limit is exceeded: nothing is cut short.
pub fn lower(
    support: &Support,
    compiled: &CompiledPolicy,
    options: &Options,
) -> Result<Profile, LowerError> {
    let features = support.features();
    let sections = Sections::new(compiled, options)?;
    let native = native::merge(compiled, options, features);
    let facts = Facts::of(compiled, options);
    let mut gaps: Vec<Gap> = gaps::of_policy(support, compiled, &facts, sections.all.len());
    gaps.extend(native.gaps);
    let mut text = String::from(
        "# Written by gambeson from compiled policies; changes here are lost when they are replaced.\n",
    );
    let native: String = native
        .statements
        .iter()
        .map(|(statement, place)| format!("  # by {place}\n  {}\n", statement.replace('\n', " ")))
        .collect();
    let comment = |rule: Option<RuleId>| match rule.and_then(|rule| compiled.rule(rule)) {
        Some(info) => {
            let shown: String = info.to_string();
            let shown = shown
                .chars()
                .map(|letter| if letter.is_control() { ' ' } else { letter });
            format!("by {}", shown.collect::<String>())
        }
        None => "by no rule".to_owned(),
    };
    let flags = if facts.attaches {
        " flags=(attach_disconnected)"
    } else {
        ""
    };
    let mut bodies = Vec::new();
    for (number, section) in sections.all.iter().enumerate() {
        let written = files(compiled, &sections, number);
        gaps.extend(written.gaps);
        let mut body = String::new();
        let transition = |to: usize| {
            let name = sections.all.get(to).map_or("", |section| &section.name);
            if to == number && !written.maps_by_absence {
                "ix".to_owned()
            } else {
                format!("px -> {name}")
            }
        };
        body.push_str("  # Locking is no event.\n  \"/{,**}\" k,\n");
        body.push_str("\n  # Programs.\n");
        written.process.write(&mut body, "  ", transition, comment);
        body.push_str("\n  # Files.\n");
        written.file.write(&mut body, "  ", transition, comment);
        body.push_str("\n  # Hard links: both names must be ones that may be written.\n");
        let holes = written.holes.each_ref().map(Option::as_deref);
        written.file.write_links(&mut body, "  ", holes);
        if features.has("network_v8") {
            body.push_str("\n  # Sockets.\n");
            gaps.extend(network::write(
                &mut body, compiled, section, features, comment,
            ));
        }
        if features.has("caps") {
            body.push_str("\n  # Capabilities.\n");
            let confined = facts.denies;
            capabilities::write(&mut body, compiled, section, features, confined, comment);
        }
        write_rest(&mut body, features, &facts);
        if !native.is_empty() {
            body.push_str("\n  # Rules that policies give as AppArmor's own.\n");
            body.push_str(&native);
        }
        write_profile(&mut text, &section.name, flags, &body, number == 0);
        if text.len() > MAX_TEXT {
            return Err(LowerError::TooLarge { limit: MAX_TEXT });
        }
        bodies.push(body);
    }
    for (section, number) in &sections.kept {
        let body = bodies.get(*number).map_or("", String::as_str);
        text.push_str("\n  # Kept from an earlier policy: processes may be under it.\n");
        write_profile(&mut text, &section.name, flags, body, false);
    }
    text.push_str("}\n");
    let kept = sections.kept.into_iter().map(|(section, _)| section);
    Ok(Profile {
        name: options.name.clone(),
        text,
        sections: sections.all.into_iter().chain(kept).collect(),
        report: gaps.into_iter().collect(),
        policy_features: features.of_policy(),
    })
}

/// Writes one profile. The workload's own is closed behind those that lie in it.
fn write_profile(text: &mut String, name: &str, flags: &str, body: &str, is_own: bool) {
    let local = name.rsplit("//").next().unwrap_or_default();
    let indent = if is_own { "" } else { "  " };
    let _ = write!(text, "\n{indent}profile {local}{flags} {{\n");
    for line in body.lines() {
        let end = if line.is_empty() { "" } else { indent };
        let _ = writeln!(text, "{end}{line}");
    }
    if !is_own {
        let _ = writeln!(text, "{indent}}}");
    }
}

/// What of a policy concerns the whole profile.
pub(crate) struct Facts {
    /// Some rule on files or programs denies.
    pub(crate) denies_files: bool,
    /// Some rule denies.
    pub(crate) denies: bool,
    /// Objects without a path are let pass.
    pub(crate) attaches: bool,
    /// The workload may mount.
    pub(crate) mounts: bool,
}

impl Facts {
    pub(crate) fn of(compiled: &CompiledPolicy, options: &Options) -> Self {
        let head = &compiled.tables().head;
        let enforced = head.audited == 0;
        let denies = |class: Class| {
            let by_posture =
                head.in_allow_list_mode(class) && head.posture(class) == Verdict::Block;
            enforced && (head.can_deny(class) || by_posture)
        };
        let denies_files = denies(Class::File) || denies(Class::Process);
        Self {
            denies_files,
            denies: denies_files || denies(Class::Network) || denies(Class::Capabilities),
            attaches: !denies_files,
            mounts: !denies_files || options.mounts == Mounts::Allow,
        }
    }
}

/// Writes what the decision model says nothing of, and what would lead out of the profile.
fn write_rest(body: &mut String, features: &Features, facts: &Facts) {
    body.push_str("\n  # What policies say nothing of.\n");
    for (feature, rule) in [("ptrace", "ptrace"), ("signal", "signal")] {
        if features.has(feature) {
            let _ = writeln!(body, "  {rule},");
        }
    }
    if features.has("mount") {
        if facts.mounts {
            body.push_str("  mount,\n  umount,\n  pivot_root,\n");
        } else {
            body.push_str(
                "  # A mount gives files other paths: only what gives none is allowed.\n",
            );
            body.push_str("  remount,\n  umount,\n");
        }
    }
}
