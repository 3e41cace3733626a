//! Lints: policies that are taken, but may not say what their authors mean.
//!
//! Every finding is a warning. The lint for rules that name a symbolic link needs a file system:
//! see [`crate::resolve_in_root`].

mod matchable;
mod path;
mod pattern;
mod selection;

pub use selection::{lint_duplicates, lint_unselected};

use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::identity::Location;
use crate::rule::{Action, Class, Object, Rule};
use crate::selector::Selector;

/// Looks for what is doubtful in one policy: its selector, its `location`, its rules as written
/// (before links are followed in a root).
///
/// ```
/// use gambeson_policy_model::{ContainerFilter, Labels, Location, Selector, lint_rules};
/// let everything = Selector::Pods {
///     namespace: "production".into(),
///     labels: Labels::new(),
///     expressions: Vec::new(),
///     containers: ContainerFilter::default(),
/// };
/// let location = Location { file: "web.yaml".into(), line: 1, column: 1 };
/// let found = lint_rules(&everything, &location, &[]);
/// assert_eq!(found[0].code.name(), "selects-everything");
/// ```
#[must_use]
pub fn lint_rules(selector: &Selector, location: &Location, rules: &[Rule]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    found.extend(selection::selects_everything(selector, location));
    found.extend(selection::hostname_expression(selector, location));
    allow_list_mode(rules, &mut found);
    let written = path::Written::new(rules);
    for rule in rules {
        path::lint(rule, &written, &mut found);
        pattern::lint(rule, &mut found);
    }
    found
}

/// A warning.
fn warning(
    code: Code,
    message: String,
    help: impl Into<String>,
    location: &Location,
    field: String,
) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Warning,
        message,
        help: Some(help.into()),
        location: location.clone(),
        field,
    }
}

/// A warning about a field of a rule, such as `.path`; empty for the rule as a whole.
fn rule_warning(
    code: Code,
    message: String,
    help: impl Into<String>,
    rule: &Rule,
    field: &str,
) -> Diagnostic {
    let field = format!("spec.{}{field}", rule.field_path());
    warning(code, message, help, &rule.location, field)
}

/// The field that holds a rule's object.
const fn object_field(object: &Object) -> &'static str {
    match object {
        Object::Path(_) | Object::Syscalls { .. } => ".path",
        Object::ExecName(_) => ".execname",
        Object::Directory(_) => ".dir",
        Object::Pattern(_) => ".pattern",
        Object::Domain(_) => ".domain",
        _ => "",
    }
}

/// The first Allow rule of every class that has a posture.
fn allow_list_mode(rules: &[Rule], found: &mut Vec<Diagnostic>) {
    for class in Class::ALL {
        let (name, things, posture) = match class {
            Class::Process => ("process", "programs", "file"),
            Class::File => ("file", "files", "file"),
            Class::Network => ("network", "sockets", "network"),
            Class::Dns => ("DNS", "domains", "network"),
            Class::Capabilities => ("capabilities", "capabilities", "capabilities"),
            Class::Devices => ("device", "devices", "device"),
            Class::Syscalls | Class::Presets => continue,
        };
        let first = rules
            .iter()
            .find(|rule| rule.class == class && rule.action == Action::Allow);
        if let Some(rule) = first {
            let conditioned = if rule.conditions.is_empty() && rule.sources.is_empty() {
                ""
            } else {
                ", whatever its source and conditions"
            };
            found.push(rule_warning(
                Code::AllowListMode,
                format!(
                    "this Allow rule puts the {name} class into allow-list mode{conditioned}: {things} \
                     that no rule grants or denies take the default posture"
                ),
                format!(
                    "they are denied where the {posture} posture is block, reported where it is \
                     audit or not set; if you only mean to deny some {things}, leave the Allow \
                     rules out"
                ),
                rule,
                "",
            ));
        }
    }
}

#[cfg(test)]
mod tests;
