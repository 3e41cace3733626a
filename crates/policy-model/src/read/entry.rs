//! One entry of a match list.

use super::context::{Context, Given, Problem, Spot, Trail};
use super::paths::Checked;
use crate::device::{DeviceClass, DeviceMatch};
use crate::diagnostic::Code;
use crate::node::Node;
use crate::policy::{Common, Entry, Written};
use crate::rule::{Action, Class, Conditions, Directory, Object, PathScope, RuleList, Source};
use crate::shape::{Content, MAX_ALLOWED_ARGS, Shape};
use crate::text::shorten;

/// What has been read of an entry.
#[derive(Default)]
struct Draft {
    /// What the entry's own field names.
    objects: Vec<Object>,
    /// A path of a system call's entry.
    scope: Option<Checked>,
    exec_name: Option<Object>,
    recursive: bool,
    syscalls: Vec<String>,
    /// That what names the system calls can't be read, which has been reported.
    has_bad_syscalls: bool,
    class: Option<Result<DeviceClass, Object>>,
    subclass: Option<i32>,
    protocol: Option<i32>,
    level: Option<i32>,
    sources: Option<Vec<Source>>,
    conditions: Conditions,
    common: Common,
}

impl Context<'_> {
    /// A match list.
    pub(super) fn entries(
        &mut self,
        node: &Node,
        (class, list): (Class, RuleList),
        shape: &'static Shape,
        trail: &Trail<'_>,
    ) -> Option<Vec<Written<Entry>>> {
        let items = self.list(node, trail)?;
        let mut entries = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            entries.extend(self.entry(item, (class, list), shape, &trail.index(index)));
        }
        Some(entries)
    }

    fn entry(
        &mut self,
        node: &Node,
        (class, list): (Class, RuleList),
        shape: &'static Shape,
        trail: &Trail<'_>,
    ) -> Option<Written<Entry>> {
        let at = trail.at(node.place);
        let mut draft = Draft::default();
        if node.is_null() {
            let problem =
                Problem::new(Code::NullValue, "the entry is null").help("fill it in, or remove it");
            self.deviation(at, problem, "it matches nothing");
            draft.objects.push(Object::Nothing(String::new()));
        } else {
            for given in self.fields(node, shape, trail)? {
                self.entry_field(&given, &mut draft, &trail.key(given.field.name));
            }
        }
        let objects = self.objects(&mut draft, (class, list), at);
        if list == RuleList::Presets && draft.common.action == Some(Action::Allow) {
            let trail = trail.key("action");
            let at = trail.at(node.get("action").unwrap_or(node).place);
            let problem = Problem::new(Code::InvalidValue, "a preset can't be allowed")
                .help("presets are Block or Audit switches");
            self.deviation(at, problem, "taken as `Block`");
            draft.common.action = Some(Action::Block);
        }
        Some(Written {
            value: Entry {
                objects,
                sources: draft.sources,
                conditions: draft.conditions,
                common: draft.common,
            },
            location: self.location(node.place),
        })
    }

    fn entry_field(&mut self, given: &Given<'_>, draft: &mut Draft, trail: &Trail<'_>) {
        let node = given.value;
        let at = trail.at(node.place);
        match given.field.content {
            Content::Path => {
                if let Some(text) = self.text(node, trail) {
                    draft.objects.push(match self.file_path(text, at) {
                        Checked::Path(path) => Object::Path(path),
                        Checked::Nothing(text) => Object::Nothing(text),
                    });
                }
            }
            Content::ExecName => {
                draft.exec_name = self.text(node, trail).map(|text| self.exec_name(text, at));
            }
            Content::Dir => {
                if let Some(text) = self.text(node, trail) {
                    draft
                        .objects
                        .push(match self.directory_path(text, at, true) {
                            Checked::Path(path) => Object::Directory(Directory {
                                path,
                                recursive: false,
                            }),
                            Checked::Nothing(text) => Object::Nothing(text),
                        });
                }
            }
            Content::PathOrDir => {
                draft.scope = self
                    .text(node, trail)
                    .map(|text| self.path_or_directory(text, at));
            }
            Content::Recursive => draft.recursive = self.flag(node, trail).unwrap_or(false),
            Content::Pattern => {
                let text = self.text(node, trail);
                draft
                    .objects
                    .extend(text.map(|text| self.pattern(text, at)));
            }
            Content::Protocol => {
                if let Some(text) = self.text(node, trail) {
                    draft.objects = self.protocols(text, at);
                }
            }
            Content::Domain => {
                if let Some(text) = self.text(node, trail) {
                    draft.objects = self.domains(text, at);
                }
            }
            Content::Capability => {
                if let Some(text) = self.text(node, trail) {
                    draft.objects = self.capabilities(text, at);
                }
            }
            Content::PresetName => {
                let text = self.text(node, trail);
                draft.objects.extend(text.map(|text| self.preset(text, at)));
            }
            Content::SyscallNames => {
                let names = self.syscalls(node, trail);
                draft.has_bad_syscalls = names.is_none();
                draft.syscalls = names.unwrap_or_default();
            }
            Content::DeviceClass => {
                draft.class = self
                    .text(node, trail)
                    .map(|text| self.device_class(text, at));
            }
            Content::SubClass => draft.subclass = self.device_number(node, trail, i32::MIN),
            Content::DeviceProtocol => draft.protocol = self.device_number(node, trail, i32::MIN),
            Content::Level => draft.level = self.device_number(node, trail, 1),
            Content::OwnerOnly => {
                draft.conditions.owner_only = self.flag(node, trail).unwrap_or(false);
            }
            Content::ReadOnly => {
                draft.conditions.read_only = self.flag(node, trail).unwrap_or(false);
            }
            Content::Pts => draft.conditions.no_tty = self.flag(node, trail) == Some(false),
            Content::AllowedArgs => {
                draft.conditions.allowed_args = self.allowed_args(node, trail);
            }
            Content::FromSource(shape) => draft.sources = self.sources(node, shape, trail),
            _ => self.common_field(given, &mut draft.common, trail),
        }
    }

    /// What the entry matches, once all of its fields are known.
    fn objects(
        &mut self,
        draft: &mut Draft,
        (class, list): (Class, RuleList),
        at: Spot<'_>,
    ) -> Vec<Object> {
        let mut objects = std::mem::take(&mut draft.objects);
        if let Some(name) = draft.exec_name.take() {
            if !objects.is_empty() {
                let problem = Problem::new(
                    Code::ConflictingFields,
                    "the entry has both `path` and `execname`",
                )
                .help("split it into two entries");
                self.deviation(at, problem, "`execname` counts");
            }
            return vec![name];
        }
        for object in &mut objects {
            if let Object::Directory(directory) = object {
                directory.recursive = draft.recursive;
            }
        }
        match (class, list) {
            (Class::Syscalls, _) => objects.push(self.syscall_object(draft, at)),
            (Class::Devices, _) => match draft.class.take() {
                Some(Ok(class)) => objects.push(Object::Device(DeviceMatch {
                    class,
                    subclass: draft.subclass,
                    protocol: draft.protocol,
                    level: draft.level,
                })),
                Some(Err(nothing)) => objects.push(nothing),
                None => {}
            },
            (Class::Process, RuleList::MatchPaths) if objects.is_empty() => {
                let problem = Problem::new(
                    Code::MissingField,
                    "the entry has neither `path` nor `execname`",
                )
                .help("name a program by one of the two");
                self.deviation(at, problem, "it matches nothing");
            }
            _ => {}
        }
        if objects.is_empty() {
            // What is missing has been reported.
            objects.push(Object::Nothing(String::new()));
        }
        objects
    }

    /// System calls, perhaps on a file or below a directory.
    fn syscall_object(&mut self, draft: &mut Draft, at: Spot<'_>) -> Object {
        let names = std::mem::take(&mut draft.syscalls);
        if names.is_empty() && !draft.has_bad_syscalls {
            self.warning(
                at,
                Problem::new(
                    Code::MatchesNothing,
                    "the entry names no system call and matches nothing",
                )
                .help("list the system calls under `syscall`"),
            );
        }
        let scope = match draft.scope.take() {
            None => None,
            Some(Checked::Nothing(text)) => return Object::Nothing(text),
            Some(Checked::Path(path)) if path.ends_with('/') => {
                Some(PathScope::Directory(Directory {
                    path,
                    recursive: draft.recursive,
                }))
            }
            Some(Checked::Path(path)) => {
                if draft.recursive {
                    self.warning(
                        at,
                        Problem::new(
                            Code::IgnoredField,
                            format!(
                                "`recursive` has no effect: `{}` is a file's path",
                                shorten(&path)
                            ),
                        )
                        .help("a directory ends in `/`"),
                    );
                }
                Some(PathScope::Path(path))
            }
        };
        Object::Syscalls { names, scope }
    }

    fn device_number(&mut self, node: &Node, trail: &Trail<'_>, least: i32) -> Option<i32> {
        let number = self.integer(node, trail)?;
        let fits = i32::try_from(number).ok().filter(|number| *number >= least);
        if fits.is_none() {
            let at = trail.at(node.place);
            let range = if least == 1 {
                "at least 1"
            } else {
                "a 32-bit integer"
            };
            self.error(
                at,
                Problem::new(Code::OutOfRange, format!("`{number}` is not {range}")),
            );
        }
        fits
    }

    fn allowed_args(&mut self, node: &Node, trail: &Trail<'_>) -> Vec<String> {
        let args = self.texts(node, trail).unwrap_or_default();
        if args.len() > MAX_ALLOWED_ARGS {
            let at = trail.at(node.place);
            let problem = Problem::new(
                Code::OutOfRange,
                format!(
                    "{} arguments are listed; KubeArmor's schema takes {MAX_ALLOWED_ARGS}",
                    args.len()
                ),
            );
            self.deviation(at, problem, "all of them count");
        }
        args
    }

    /// `fromSource`.
    fn sources(
        &mut self,
        node: &Node,
        shape: &'static Shape,
        trail: &Trail<'_>,
    ) -> Option<Vec<Source>> {
        let items = self.list(node, trail)?;
        let mut sources = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.source(item, shape, &trail.index(index), &mut sources);
        }
        Some(sources)
    }

    fn source(
        &mut self,
        node: &Node,
        shape: &'static Shape,
        trail: &Trail<'_>,
        sources: &mut Vec<Source>,
    ) {
        let at = trail.at(node.place);
        let mut found = Vec::new();
        let mut recursive = false;
        let fields = if node.is_null() {
            Some(Vec::new())
        } else {
            self.fields(node, shape, trail)
        };
        for given in fields.unwrap_or_default() {
            let trail = trail.key(given.field.name);
            let at = trail.at(given.value.place);
            if matches!(given.field.content, Content::Recursive) {
                recursive = self.flag(given.value, &trail).unwrap_or(false);
                continue;
            }
            let Some(text) = self.text(given.value, &trail) else {
                continue;
            };
            let is_dir = matches!(given.field.content, Content::SourceDir);
            let checked = if is_dir {
                self.directory_path(text, at, false)
            } else {
                self.file_path(text, at)
            };
            found.push(match checked {
                Checked::Nothing(text) => Source::Nothing(text),
                Checked::Path(path) if is_dir => Source::Scope(PathScope::Directory(Directory {
                    path,
                    recursive: false,
                })),
                Checked::Path(path) => Source::Scope(PathScope::Path(path)),
            });
        }
        for source in &mut found {
            if let Source::Scope(PathScope::Directory(directory)) = source {
                directory.recursive = recursive;
            }
        }
        match found.len() {
            0 => {
                let problem = Problem::new(Code::MissingField, "the source names no program")
                    .help("give its `path`");
                self.deviation(at, problem, "it matches no program");
                found.push(Source::Nothing(String::new()));
            }
            1 => {}
            // Strict reading has refused the second already where the schema doesn't have it.
            _ if self.is_strict() && shape.fields().nth(1).is_none() => {}
            _ => {
                let problem = Problem::new(
                    Code::ConflictingFields,
                    "the source has both `path` and `dir`",
                )
                .help("split it into two entries");
                self.deviation(at, problem, "taken as two sources");
            }
        }
        sources.append(&mut found);
    }
}
