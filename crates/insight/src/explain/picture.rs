//! The rules of a workload as a picture: directories as nested regions coloured by verdict, rules
//! as labels in them.

mod svg;
mod tree;

use gambeson_policy_model::{
    Class, Directory, Event, EventPath, Object, Operation, PathScope, Protocol, Rule, RuleId,
    Socket, Source, Verdict,
};

use self::svg::Svg;
use self::tree::Region;
use super::{Explainer, UNKNOWN_PROGRAM, sort_of};

/// Height of a row, with the room around it.
const ROW: u32 = 22;
/// Width of a column without what nesting adds.
const COLUMN: u32 = 720;
/// What a region is set in.
const INDENT: u32 = 14;
/// Regions nested deeper are set in no further.
const DEEPEST: u32 = 16;
/// Between columns and around all.
const MARGIN: u32 = 24;

impl Explainer {
    /// The workload's rules as an SVG picture: a column for each class, in which directories are
    /// nested regions. A region has the colour of what becomes of a file in it that no rule names,
    /// for a program that no rule names; a rule's row has that of the verdict on what it names.
    ///
    /// ```
    /// use gambeson_insight::explain::Explainer;
    /// use gambeson_matcher::Config;
    /// use gambeson_policy_model::{PolicySet, Workload};
    /// let policies = PolicySet::from_str("
    /// apiVersion: security.kubearmor.com/v1
    /// kind: KubeArmorPolicy
    /// metadata: {name: web}
    /// spec:
    ///   file: {matchDirectories: [{dir: /etc/, recursive: true}]}
    /// ")?;
    /// let selection = policies.select(&Workload::pod("default"));
    /// let picture = Explainer::new(&selection, &Config::default())?.picture("web");
    /// assert!(picture.starts_with("<svg") && picture.contains("/etc/"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn picture(&self, title: &str) -> String {
        let mut svg = Svg::default();
        let (mut x, mut height) = (MARGIN, 0);
        let mut rules = self.rules().windows(2);
        let one_policy = rules.all(|pair| matches!(pair, [a, b] if a.policy == b.policy));
        // Classes without directories take little room each, and share a column.
        let mut shared: Option<(u32, u32)> = None;
        for class in Class::ALL {
            let of_class = || {
                let rules = (0..).map(RuleId).zip(self.rules());
                rules.filter(move |(_, rule)| rule.class == class)
            };
            if of_class().next().is_none() {
                continue;
            }
            let region = Region::of(of_class());
            let width = COLUMN + INDENT * region.depth().min(DEEPEST);
            let shares = region.regions.is_empty();
            let (at, y) = match shared {
                Some((at, below)) if shares => (at, below + MARGIN),
                _ => (x, 3 * MARGIN),
            };
            let mut column = Column {
                explainer: self,
                class,
                svg: &mut svg,
                y,
                one_policy,
            };
            column.head(at, width);
            column.region(&region, at, width, 0);
            height = height.max(column.y);
            if at == x {
                x += width + MARGIN;
            }
            if shares {
                shared = Some((at, column.y));
            }
        }
        let count = self.rules().len();
        svg.title(MARGIN, MARGIN + 8, &format!("{title}: {count} rules"));
        svg.legend(MARGIN, 2 * MARGIN + 4);
        svg.finish(x.max(COLUMN), height.max(4 * MARGIN) + MARGIN)
    }
}

/// A class's column under construction.
struct Column<'e, 's> {
    explainer: &'e Explainer,
    class: Class,
    svg: &'s mut Svg,
    y: u32,
    /// All rules are of one policy, whose name would only take room from what they say.
    one_policy: bool,
}

impl Column<'_, '_> {
    fn head(&mut self, x: u32, width: u32) {
        let mode = if self.explainer.allow_list(self.class, None) {
            format!(
                "allow-list mode, everything else: {}",
                self.explainer.posture(self.class)
            )
        } else {
            "no allow-list".to_owned()
        };
        let name = format!("{:?}", self.class).to_lowercase();
        self.y += ROW;
        self.svg
            .heading(x, self.y, width, &format!("{name} ({mode})"));
        self.y += 8;
    }

    /// Draws a region and what is in it. The frame goes below its contents, so its height is
    /// known first.
    fn region(&mut self, region: &Region, x: u32, width: u32, depth: u32) {
        let framed = !region.path.is_empty();
        let top = self.y;
        if framed {
            let height = region.rows() * ROW + region.regions() * 8;
            let (verdict, words) = self.of_file(region.path.as_bytes());
            self.svg.frame(x, top, width, height, verdict);
            self.y += ROW;
            self.svg
                .region_label(x, self.y, width, &region.path, &words);
        }
        for (label, id) in &region.rules {
            self.rule(label, *id, x, width);
        }
        let inset = if framed && depth < DEEPEST { INDENT } else { 0 };
        for child in &region.regions {
            self.y += 4;
            self.region(
                child,
                x + inset,
                width.saturating_sub(inset + inset / 2),
                depth + 1,
            );
        }
        if framed {
            self.y = top + region.rows() * ROW + region.regions() * 8;
        }
    }

    fn rule(&mut self, label: &str, id: RuleId, x: u32, width: u32) {
        let Some(rule) = self.explainer.rule(id) else {
            return;
        };
        let verdict = self.of_rule(rule);
        let by = if rule.sources.is_empty() {
            String::new()
        } else {
            let programs: Vec<&str> = rule.sources.iter().map(source_text).collect();
            format!(" by {}", programs.join(", "))
        };
        let given = &rule.conditions;
        let conditions: String = [
            (given.owner_only, ", ownerOnly"),
            (given.read_only, ", readOnly"),
            (given.no_tty, ", pts: false"),
            (!given.allowed_args.is_empty(), ", allowedArgs"),
        ]
        .into_iter()
        .filter_map(|(given, name)| given.then_some(name))
        .collect();
        let line = format!("{}:{}", file_name(&rule.location.file), rule.location.line);
        let place = if self.one_policy {
            line
        } else {
            format!("{} {line}", rule.policy.name)
        };
        let text = format!("{} {label}{by}{conditions}", rule.action);
        let full = format!(
            "{text}: {}, {} of {} at {}",
            sort_of(rule),
            rule.field_path(),
            rule.policy,
            rule.location
        );
        self.y += ROW;
        self.svg
            .rule(x, self.y, width, verdict, [&text, &place, &full]);
    }

    /// What becomes of a file right below a directory that no rule names.
    fn of_file(&self, directory: &[u8]) -> (Verdict, String) {
        let path = [directory, b"\xff"].concat();
        let decide = |operation: Operation<'_>| {
            let event = Event::new(operation).by(EventPath::new(UNKNOWN_PROGRAM));
            self.explainer.compiled().decide(&event).verdict
        };
        let path = || EventPath::new(path.as_slice());
        if self.class == Class::Process {
            let verdict = decide(Operation::Exec {
                path: path(),
                args: Vec::new(),
            });
            return (verdict, verdict.to_string());
        }
        let read = decide(Operation::Read { path: path() });
        let write = decide(Operation::Write { path: path() });
        let words = if read == write {
            write.to_string()
        } else {
            format!("read {read}, write {write}")
        };
        (write, words)
    }

    /// The verdict on what a rule names, for a program that it is about.
    fn of_rule(&self, rule: &Rule) -> Option<Verdict> {
        let program = match rule.sources.first() {
            None => UNKNOWN_PROGRAM.to_vec(),
            Some(Source::Scope(PathScope::Path(path))) => path.clone().into_bytes(),
            Some(Source::Scope(PathScope::Directory(directory))) => inside(directory),
            Some(Source::Nothing(_)) => return None,
        };
        let path = match &rule.object {
            Object::Path(path) => path.clone().into_bytes(),
            Object::ExecName(name) => format!("/{name}").into_bytes(),
            Object::Directory(directory) => inside(directory),
            _ => Vec::new(),
        };
        let operation = match &rule.object {
            Object::Pattern(_) | Object::Syscalls { .. } => return None,
            Object::Protocol(protocol) => Operation::Socket(socket_of(*protocol)?),
            Object::Capability(capability) => Operation::Capability(*capability),
            Object::Preset(preset) => Operation::Preset(*preset),
            Object::Domain(domain) => Operation::Dns {
                domain: domain.into(),
            },
            _ if path.is_empty() => return None,
            _ if rule.class == Class::Process => Operation::Exec {
                path: EventPath::new(path.as_slice()),
                args: Vec::new(),
            },
            _ => Operation::Write {
                path: EventPath::new(path.as_slice()),
            },
        };
        let event = Event::new(operation).by(EventPath::new(program.as_slice()));
        Some(self.explainer.compiled().decide(&event).verdict)
    }
}

/// A file right below a directory that no rule names.
fn inside(directory: &Directory) -> Vec<u8> {
    [directory.path.as_bytes(), b"\xff"].concat()
}

/// A socket that the protocol matches.
fn socket_of(protocol: Protocol) -> Option<Socket> {
    let kinds = (1..=6).flat_map(|kind| {
        [0, 6, 17, 132, 33, 1, 58].map(|number| Socket::new(Socket::AF_INET, kind, number))
    });
    let mut sockets = kinds.chain([Socket::new(Socket::AF_PACKET, Socket::SOCK_RAW, 0)]);
    sockets.find(|socket| protocol.matches(socket))
}

fn source_text(source: &Source) -> &str {
    match source {
        Source::Scope(PathScope::Path(path)) | Source::Nothing(path) => path,
        Source::Scope(PathScope::Directory(directory)) => &directory.path,
    }
}

fn file_name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

#[cfg(test)]
mod tests;
