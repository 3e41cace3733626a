//! Random policies and events from small alphabets, so that paths, directories, globs, sources and
//! conditions collide and nest. For testing anything against the reference evaluator.
//!
//! ```
//! use gambeson_matcher::testing::Random;
//! let mut random = Random::new(7);
//! let selection = random.selection(12);
//! let event = random.event();
//! assert_eq!(selection.rules().len(), 12);
//! # let _ = event;
//! ```

use std::sync::Arc;

use gambeson_policy_model::{
    Action, Capability, Class, Conditions, Device, DeviceClass, DeviceMatch, Directory,
    Enforcement, Event, EventPath, Glob, Location, Object, Operation, PathScope, PolicyId,
    PolicyKind, Postures, Preset, Protocol, Rule, RuleList, Selection, Socket, Source, Verdict,
};

/// A small deterministic source of choices (xorshift64*).
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

const COMPONENTS: [&str; 7] = ["a", "b", "ab", "ba", "abc", "c", "x.y"];
const PIECES: [&str; 16] = [
    "a", "b", "ab", "c", "*", "**", "?", "a*", "*b", "[ab]", "[^a]", "{a,ab}", "{b,c}*", "\\*",
    "**b", "a**",
];
const SOURCES: [&str; 5] = ["/a", "/a/b", "/b/a", "/s", "/a/b/c"];
const DOMAINS: [&str; 7] = [
    "com", "a.com", "b.a.com", "A.COM.", "ba.com", "org", "c.org",
];
const ARGS: [&str; 4] = ["x", "y", "-z", ""];
const SYSCALLS: [&str; 3] = ["unlink", "mount", "ptrace"];
const CAPABILITIES: [&str; 2] = ["net_raw", "sys_admin"];
const CLASSES: [Class; 8] = Class::ALL;

impl Random {
    /// The same seed gives the same choices.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound.max(1)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of the items.
    pub fn pick<T: Copy + Default>(&mut self, items: &[T]) -> T {
        let place = self.below(items.len());
        items.get(place).copied().unwrap_or_default()
    }

    fn choose<T: Copy>(&mut self, items: &[T], fallback: T) -> T {
        let place = self.below(items.len());
        items.get(place).copied().unwrap_or(fallback)
    }

    /// A path of one to four components.
    pub fn path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..=self.below(3) + self.below(2) {
            path.push('/');
            path.push_str(self.pick(&COMPONENTS));
        }
        path
    }

    /// The path of a program, mostly one that rules name as a source.
    pub fn program(&mut self) -> String {
        match self.below(4) {
            0 => self.path(),
            _ => self.pick(&SOURCES).to_owned(),
        }
    }

    fn directory(&mut self) -> Directory {
        let path = match self.below(6) {
            0 => "/".to_owned(),
            _ => self.path() + "/",
        };
        Directory {
            path,
            recursive: self.once_in(2),
        }
    }

    fn pattern(&mut self) -> Option<Glob> {
        let mut pattern = String::new();
        for _ in 0..=self.below(3) {
            if !self.once_in(8) {
                pattern.push('/');
            }
            pattern.push_str(self.pick(&PIECES));
            if self.once_in(5) {
                pattern.push_str(self.pick(&PIECES));
            }
        }
        if self.once_in(4) {
            pattern.push_str("/**");
        }
        Glob::parse(&pattern).ok()
    }

    fn sources(&mut self) -> Vec<Source> {
        if !self.once_in(3) {
            return Vec::new();
        }
        (0..=self.below(2))
            .map(|_| match self.below(6) {
                0 => Source::Scope(PathScope::Directory(self.directory())),
                1 if self.once_in(4) => Source::Nothing("/link".to_owned()),
                _ => Source::Scope(PathScope::Path(self.pick(&SOURCES).to_owned())),
            })
            .collect()
    }

    fn conditions(&mut self, class: Class) -> Conditions {
        let mut conditions = Conditions::default();
        if !self.once_in(3) {
            return conditions;
        }
        let path = matches!(class, Class::Process | Class::File);
        conditions.owner_only = path && self.once_in(3);
        conditions.read_only = class == Class::File && self.once_in(2);
        conditions.no_tty = matches!(class, Class::Process | Class::Network) && self.once_in(3);
        if class == Class::Process && self.once_in(2) {
            conditions.allowed_args = (0..=self.below(2))
                .map(|_| self.pick(&ARGS).to_owned())
                .collect();
        }
        conditions
    }

    fn object(&mut self, class: Class) -> (RuleList, Object) {
        match class {
            Class::Process | Class::File => match self.below(8) {
                0..=2 => (RuleList::MatchPaths, Object::Path(self.path())),
                3 if class == Class::Process => {
                    let name = self.pick(&COMPONENTS).to_owned();
                    (RuleList::MatchPaths, Object::ExecName(name))
                }
                4 | 5 => match self.pattern() {
                    Some(glob) => (RuleList::MatchPatterns, Object::Pattern(glob)),
                    None => (RuleList::MatchPaths, Object::Path(self.path())),
                },
                _ => (
                    RuleList::MatchDirectories,
                    Object::Directory(self.directory()),
                ),
            },
            Class::Network => {
                let protocol = self.choose(&Protocol::ALL, Protocol::All);
                (RuleList::MatchProtocols, Object::Protocol(protocol))
            }
            Class::Dns => {
                let domain = self.pick(&DOMAINS).to_owned();
                (RuleList::MatchDnsQueries, Object::Domain(domain))
            }
            Class::Capabilities => {
                let object = match Capability::from_name(self.pick(&CAPABILITIES)) {
                    Some(capability) => Object::Capability(capability),
                    None => Object::Nothing(String::new()),
                };
                (RuleList::MatchCapabilities, object)
            }
            Class::Syscalls => {
                let names = (0..=self.below(2))
                    .map(|_| self.pick(&SYSCALLS).to_owned())
                    .collect();
                let scope = match self.below(3) {
                    0 => None,
                    1 => Some(PathScope::Path(self.path())),
                    _ => Some(PathScope::Directory(self.directory())),
                };
                let list = match scope {
                    None => RuleList::MatchSyscalls,
                    Some(_) => RuleList::MatchPaths,
                };
                (list, Object::Syscalls { names, scope })
            }
            Class::Devices => (
                RuleList::MatchDevice,
                Object::Device(DeviceMatch {
                    class: DeviceClass(8),
                    subclass: self.small(),
                    protocol: self.small(),
                    level: self.small(),
                }),
            ),
            Class::Presets => {
                let preset = self.choose(&Preset::ALL, Preset::Exec);
                (RuleList::Presets, Object::Preset(preset))
            }
        }
    }

    fn small(&mut self) -> Option<i32> {
        self.once_in(2).then(|| i32::from(self.once_in(2)))
    }

    /// One rule of some class, in one of a few policies.
    pub fn rule(&mut self, class: Class, index: u32) -> Rule {
        let (list, object) = self.object(class);
        let action = match class {
            Class::Syscalls => Action::Audit,
            Class::Presets => self.choose(&[Action::Audit, Action::Block], Action::Block),
            _ => self.choose(
                &[Action::Allow, Action::Audit, Action::Block, Action::Block],
                Action::Block,
            ),
        };
        let sources = match class {
            Class::Devices | Class::Presets => Vec::new(),
            _ => self.sources(),
        };
        Rule {
            policy: Arc::new(PolicyId {
                name: self.pick(&["p", "q", "pq"]).to_owned(),
                kind: self.choose(&PolicyKind::ALL, PolicyKind::KubeArmorPolicy),
                namespace: None,
            }),
            class,
            list,
            index,
            object,
            sources,
            action,
            conditions: self.conditions(class),
            severity: 1,
            tags: Arc::default(),
            message: Arc::default(),
            location: Location {
                file: "random.yaml".into(),
                line: index + 1,
                column: 1,
            },
        }
    }

    fn class(&mut self) -> Class {
        match self.below(3) {
            0 => Class::Process,
            1 => Class::File,
            _ => self.choose(&CLASSES, Class::File),
        }
    }

    /// So many rules, mostly of the classes of paths, under random postures.
    pub fn selection(&mut self, rules: usize) -> Selection {
        let rules = (0..rules as u32)
            .map(|index| {
                let class = self.class();
                self.rule(class, index)
            })
            .collect();
        let posture = |random: &mut Self| {
            let verdicts = [Verdict::Allow, Verdict::Audit, Verdict::Block];
            let verdict = random.choose(&verdicts, Verdict::Audit);
            (!random.once_in(4)).then_some(verdict)
        };
        let enforcement = match self.below(12) {
            0 => Enforcement::Audited,
            1 if self.once_in(6) => Enforcement::Disabled,
            _ => Enforcement::Enabled,
        };
        Selection::new(rules)
            .with_posture(Postures {
                file: posture(self),
                network: posture(self),
                capabilities: posture(self),
                device: posture(self),
            })
            .with_enforcement(enforcement)
    }

    fn event_path(&mut self) -> EventPath<'static> {
        match self.below(24) {
            0 => EventPath::UNRESOLVABLE,
            1 => "/".into(),
            4 => EventPath::NAMELESS,
            2 => (self.path() + "/" + self.pick(&PIECES).trim_matches('*')).into(),
            3 => (self.path() + "*").into(),
            _ => self.path().into(),
        }
    }

    /// One event of any operation.
    pub fn event(&mut self) -> Event<'static> {
        let operation = match self.below(12) {
            0..=3 => Operation::Exec {
                path: self.event_path(),
                args: (0..self.below(3))
                    .map(|_| self.pick(&ARGS).as_bytes().into())
                    .collect(),
            },
            4 => Operation::MapExec {
                path: self.event_path(),
            },
            5 | 6 => Operation::Read {
                path: self.event_path(),
            },
            7 | 8 => Operation::Write {
                path: self.event_path(),
            },
            _ => self.other_operation(),
        };
        let source = match self.below(12) {
            0 => EventPath::UNRESOLVABLE,
            1..=4 => self.path().into(),
            _ => self.pick(&SOURCES).into(),
        };
        Event {
            operation,
            source,
            uid: (!self.once_in(8)).then(|| self.below(2) as u32),
            owner: (!self.once_in(8)).then(|| self.below(2) as u32),
            tty: self.once_in(2),
        }
    }

    fn other_operation(&mut self) -> Operation<'static> {
        match self.below(6) {
            0 => Operation::Socket(Socket::new(
                self.pick(&[1, 2, 10, 15, 16, 17, 38, 40]),
                self.pick(&[1, 2, 3, 4, 5, 6, 10, 2049]),
                self.pick(&[0, 1, 6, 17, 33, 58, 132, 255, 262]),
            )),
            1 => match Capability::from_name(self.pick(&CAPABILITIES)) {
                Some(capability) => Operation::Capability(capability),
                None => Operation::Preset(Preset::Exec),
            },
            2 => Operation::Dns {
                domain: match self.below(5) {
                    0 => format!("x.{}", self.pick(&DOMAINS)).into(),
                    1 => "".into(),
                    _ => self.pick(&DOMAINS).into(),
                },
            },
            3 => Operation::Syscall {
                name: self.pick(&SYSCALLS).into(),
                path: (!self.once_in(3)).then(|| self.event_path()),
            },
            4 => Operation::Device(Device {
                class: DeviceClass(8),
                subclass: self.small(),
                protocol: self.small(),
                level: self.small(),
            }),
            _ => Operation::Preset(self.choose(&Preset::ALL, Preset::Exec)),
        }
    }
}
