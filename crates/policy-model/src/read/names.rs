//! What rules name beside paths: executables, patterns, protocols, domains, capabilities,
//! system calls, presets and devices.

use super::context::{Context, Problem, Spot, Trail};
use crate::capability::Capability;
use crate::device::DeviceClass;
use crate::diagnostic::Code;
use crate::glob::Glob;
use crate::network::Protocol;
use crate::node::Node;
use crate::preset::Preset;
use crate::rule::{Action, Object};
use crate::syscalls;
use crate::text::{list, nearest, shorten};

const KEPT: &str = "it matches nothing";

/// The longest name of a file (`NAME_MAX`).
const MAX_FILE_NAME: usize = 255;

impl Context<'_> {
    /// `execname`: the last component of a path.
    pub(super) fn exec_name(&mut self, given: &str, at: Spot<'_>) -> Object {
        let message = if given.is_empty() {
            "the name is empty".to_owned()
        } else if given.contains('/') {
            format!(
                "`{}` is a path; `execname` is its last component alone",
                shorten(given)
            )
        } else if given.contains('\0') || matches!(given, "." | "..") || given.len() > MAX_FILE_NAME
        {
            format!("no file can have the name `{}`", shorten(given))
        } else {
            return Object::ExecName(given.to_owned());
        };
        let problem = Problem::new(Code::InvalidPath, message)
            .help("write the program's bare name, or name its path with `path`");
        self.deviation(at, problem, KEPT);
        Object::Nothing(given.to_owned())
    }

    /// `pattern`: a glob.
    pub(super) fn pattern(&mut self, given: &str, at: Spot<'_>) -> Object {
        match Glob::parse(given) {
            Ok(glob) => Object::Pattern(glob),
            Err(error) => {
                // What to do about it stands behind a semicolon.
                let message = error.to_string();
                let problem = match message.split_once("; ") {
                    Some((what, help)) => Problem::new(Code::InvalidPattern, what).help(help),
                    None => Problem::new(Code::InvalidPattern, message),
                };
                self.deviation(at, problem, KEPT);
                Object::Nothing(given.to_owned())
            }
        }
    }

    /// The items of a text; more than one where lenient reading takes a comma list.
    fn comma_list<'t>(&mut self, given: &'t str, at: Spot<'_>) -> Vec<&'t str> {
        if !given.contains(',') {
            return vec![given];
        }
        let items: Vec<&str> = given
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect();
        let problem = Problem::new(
            Code::CommaList,
            format!("`{}` is a list in one string", shorten(given)),
        )
        .help("write one entry for each name");
        self.deviation(at, problem, "taken as one rule for each name");
        if items.is_empty() { vec![given] } else { items }
    }

    /// `protocol`, in lower or upper case.
    pub(super) fn protocols(&mut self, given: &str, at: Spot<'_>) -> Vec<Object> {
        let items = self.comma_list(given, at);
        items
            .into_iter()
            .map(|item| self.protocol(item, at))
            .collect()
    }

    fn protocol(&mut self, given: &str, at: Spot<'_>) -> Object {
        let quoted = shorten(given);
        let known = Protocol::from_name(given);
        let is_one_case =
            given == given.to_ascii_lowercase() || given == given.to_ascii_uppercase();
        let names = || Protocol::ALL.iter().map(|protocol| protocol.name());
        match known {
            Some(protocol) if is_one_case => Object::Protocol(protocol),
            Some(protocol) => {
                let problem = Problem::new(
                    Code::UnknownProtocol,
                    format!("the protocol `{quoted}` is in mixed case"),
                )
                .help(format!("write `{protocol}`"));
                self.deviation(at, problem, &format!("taken as `{protocol}`"));
                Object::Protocol(protocol)
            }
            None => {
                let problem = Problem::new(
                    Code::UnknownProtocol,
                    format!("`{quoted}` is not a protocol that policies know"),
                )
                .help(suggestion(given, names()));
                self.deviation(at, problem, KEPT);
                Object::Nothing(given.to_owned())
            }
        }
    }

    /// `domain`.
    pub(super) fn domains(&mut self, given: &str, at: Spot<'_>) -> Vec<Object> {
        let items = self.comma_list(given, at);
        items
            .into_iter()
            .map(|item| {
                let is_domain = item
                    .strip_suffix('.')
                    .unwrap_or(item)
                    .split('.')
                    .all(|label| {
                        let foreign =
                            |c: char| c.is_whitespace() || c.is_control() || "/:".contains(c);
                        !label.is_empty() && !label.contains(foreign)
                    });
                if is_domain {
                    return Object::Domain(item.to_owned());
                }
                let problem = Problem::new(
                    Code::InvalidValue,
                    format!("`{}` is not a domain", shorten(item)),
                )
                .help("write the name alone, such as `example.com`; its sub-domains are included");
                self.deviation(at, problem, KEPT);
                Object::Nothing(item.to_owned())
            })
            .collect()
    }

    /// `capability`.
    pub(super) fn capabilities(&mut self, given: &str, at: Spot<'_>) -> Vec<Object> {
        let items = self.comma_list(given, at);
        items
            .into_iter()
            .map(|item| self.capability(item, at))
            .collect()
    }

    fn capability(&mut self, given: &str, at: Spot<'_>) -> Object {
        let quoted = shorten(given);
        let Some(capability) = Capability::from_name(given) else {
            let names = Capability::all()
                .filter(|capability| capability.in_kubearmor_schema())
                .map(Capability::name);
            let problem = Problem::new(
                Code::UnknownCapability,
                format!("`{quoted}` is not a capability"),
            )
            .help(suggestion(given, names));
            self.deviation(at, problem, KEPT);
            return Object::Nothing(given.to_owned());
        };
        if !capability.in_kubearmor_schema() {
            let problem = Problem::new(
                Code::UnknownCapability,
                format!(
                    "`{quoted}` is a capability of the kernel, but KubeArmor's schema rejects it"
                ),
            )
            .help("read leniently to use it all the same");
            self.deviation(at, problem, "taken all the same");
        } else if given != capability.name() {
            let problem = Problem::new(
                Code::UnknownCapability,
                format!("the capability `{quoted}` is not written as in the schema"),
            )
            .help(format!("write `{capability}`"));
            self.deviation(at, problem, &format!("taken as `{capability}`"));
        }
        Object::Capability(capability)
    }

    /// `syscall`: names of system calls.
    pub(super) fn syscalls(&mut self, node: &Node, trail: &Trail<'_>) -> Option<Vec<String>> {
        let items = self.list(node, trail)?;
        let mut names = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let trail = trail.index(index);
            let Some(name) = self.text(item, &trail) else {
                continue;
            };
            if !syscalls::is_known(name) {
                let at = trail.at(item.place);
                let problem = Problem::new(
                    Code::UnknownSyscall,
                    format!(
                        "`{}` is not a system call that KubeArmor's schema has",
                        shorten(name)
                    ),
                )
                .help(suggestion(name, syscalls::syscall_names().iter().copied()));
                self.deviation(at, problem, "kept as it is");
            }
            names.push(name.to_owned());
        }
        Some(names)
    }

    /// A preset's `name`.
    pub(super) fn preset(&mut self, given: &str, at: Spot<'_>) -> Object {
        if let Some(preset) = Preset::from_name(given) {
            return Object::Preset(preset);
        }
        let names = || Preset::ALL.iter().map(|preset| preset.name());
        let problem = Problem::new(
            Code::UnknownPreset,
            format!("`{}` is not a preset", shorten(given)),
        )
        .help(suggestion(given, names()));
        self.deviation(at, problem, KEPT);
        Object::Nothing(given.to_owned())
    }

    /// A device's `class`: a name, or a number in quotes.
    pub(super) fn device_class(
        &mut self,
        given: &str,
        at: Spot<'_>,
    ) -> Result<DeviceClass, Object> {
        if let Some(class) = DeviceClass::from_text(given) {
            return Ok(class);
        }
        let problem = Problem::new(
            Code::InvalidValue,
            format!("`{}` is not a USB class", shorten(given)),
        )
        .help("write a class name such as MASS-STORAGE, or a number from \"0\" to \"255\" or \"0xff\"");
        self.deviation(at, problem, KEPT);
        Err(Object::Nothing(given.to_owned()))
    }

    /// `action`.
    pub(super) fn action(&mut self, given: &str, at: Spot<'_>) -> Option<Action> {
        const ALL: [Action; 3] = [Action::Allow, Action::Audit, Action::Block];
        let meant = ALL
            .into_iter()
            .find(|action| action.name().eq_ignore_ascii_case(given));
        let problem = |help: String| {
            Problem::new(
                Code::InvalidValue,
                format!("`{}` is not an action", shorten(given)),
            )
            .help(help)
        };
        match meant {
            Some(action) if action.name() == given => Some(action),
            Some(action) => {
                self.deviation(
                    at,
                    problem(format!("write `{action}`")),
                    &format!("taken as `{action}`"),
                );
                Some(action)
            }
            None if given.is_empty() => {
                self.deviation(
                    at,
                    problem("write `Allow`, `Audit` or `Block`".to_owned()),
                    "taken as not given",
                );
                None
            }
            // No guess is safe here: an action that isn't carried out is a hole.
            None => {
                self.error(
                    at,
                    problem(suggestion(given, ALL.iter().map(|action| action.name()))),
                );
                None
            }
        }
    }
}

/// The nearest name, or all of them where they are few.
pub(super) fn suggestion<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    const FEW: usize = 40;
    let names: Vec<&str> = names.into_iter().collect();
    match nearest(given, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.len() <= FEW => format!("it is one of {}", list(names, "and")),
        None => "names are in lower case, as in the kernel".to_owned(),
    }
}
