//! Sets of rules for measurements: paths of a plausible file tree, the same for one seed
//! everywhere.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use gambeson::policy_model::{
    Action, Class, Conditions, Directory, Event, Glob, GlobError, Location, Object, PathScope,
    PolicyId, PolicyKind, Rule, RuleList, Source,
};

use crate::random::Random;

/// What a set is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Exact paths only.
    Exact,
    /// 60 of a hundred exact paths, the rest recursive directories.
    ExactAndDirectories,
    /// 60 of a hundred exact paths, 25 recursive directories, 15 globs: a third each of
    /// `/dir/*.conf`, `/dir/pre*/bin/*` and `/**/name`.
    Mix,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 3] = [Self::Exact, Self::ExactAndDirectories, Self::Mix];

    /// A short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::ExactAndDirectories => "exact+dirs",
            Self::Mix => "mix",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the rules carry besides their object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Extras {
    /// How many programs appear in `fromSource`; with 0 no rule has one. Of the others, a third
    /// of the rules do, of one to three programs each.
    pub programs: usize,
    /// Whether a fifth of the rules has `readOnly` or `ownerOnly`.
    pub conditions: bool,
}

/// One object of the set, as every contender gets it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// This path.
    Exact(String),
    /// This directory, ending in `/`, and everything below it.
    Directory(String),
    /// What matches this glob.
    Glob(String),
}

/// A set of rules and the paths to judge with it.
#[derive(Debug, Clone)]
pub struct RuleSet {
    /// What it is made of.
    pub shape: Shape,
    /// The objects, in the order of the rules.
    pub entries: Vec<Entry>,
    /// The rules: Block, of the file class.
    pub rules: Vec<Rule>,
    /// Paths to judge: half of them hits, in mixed order.
    pub queries: Vec<String>,
    /// The program that asks, query by query.
    pub askers: Vec<String>,
}

/// How many queries a set has.
pub const QUERIES: usize = 1024;

const ROOTS: [&str; 16] = [
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib/",
    "/usr/lib/x86_64-linux-gnu/",
    "/usr/libexec/",
    "/usr/share/",
    "/usr/share/doc/",
    "/usr/local/bin/",
    "/etc/",
    "/var/lib/",
    "/var/log/",
    "/var/cache/",
    "/opt/",
    "/home/",
    "/srv/",
    "/run/",
];

const SYLLABLES: [&str; 40] = [
    "lib", "net", "sys", "py", "perl", "x", "gnome", "kde", "ssl", "crypt", "log", "mail", "dns",
    "apt", "db", "sql", "web", "http", "font", "image", "gtk", "qt", "audio", "video", "ruby",
    "node", "go", "java", "core", "util", "tool", "data", "common", "dev", "doc", "base", "extra",
    "server", "client", "agent",
];

const STEMS: [&str; 24] = [
    "config",
    "main",
    "index",
    "daemon",
    "README",
    "copyright",
    "changelog",
    "default",
    "status",
    "settings",
    "module",
    "plugin",
    "init",
    "cache",
    "rules",
    "state",
    "control",
    "manifest",
    "service",
    "access",
    "error",
    "run",
    "setup",
    "policy",
];

const ENDINGS: [&str; 12] = [
    "", "", ".so", ".conf", ".gz", ".py", ".txt", ".sh", ".json", ".log", ".d", ".service",
];

fn package(random: &mut Random) -> String {
    let mut name = String::from(random.word(&SYLLABLES));
    if random.chance(70) {
        if random.chance(50) {
            name.push('-');
        }
        name.push_str(random.word(&SYLLABLES));
    }
    if random.chance(60) {
        name.push_str(&random.below(1000).to_string());
    }
    name
}

fn file(random: &mut Random) -> String {
    let mut name = String::from(random.word(&STEMS));
    if random.chance(60) {
        name.push('-');
        name.push_str(&package(random));
    }
    name.push_str(random.word(&ENDINGS));
    name
}

fn directory(random: &mut Random) -> String {
    let mut path = format!("{}{}/", random.word(&ROOTS), package(random));
    if random.chance(25) {
        path.push_str(&package(random));
        path.push('/');
    }
    path
}

fn exact(random: &mut Random) -> String {
    if random.chance(15) {
        return format!("{}{}", random.word(&ROOTS), package(random));
    }
    format!("{}{}", directory(random), file(random))
}

fn glob(random: &mut Random) -> String {
    match random.below(3) {
        0 => format!("{}*.conf", directory(random)),
        1 => format!("{}{}*/bin/*", directory(random), random.word(&SYLLABLES)),
        // Short, like the names that such rules are written for.
        _ => format!("/**/{}{}", random.word(&SYLLABLES), random.below(1000)),
    }
}

/// A path that the entry matches.
fn hit(entry: &Entry, random: &mut Random) -> String {
    match entry {
        Entry::Exact(path) => path.clone(),
        Entry::Directory(path) => format!("{path}{}", file(random)),
        Entry::Glob(pattern) => {
            // The stars of the three shapes take a name each; the leading one takes a directory.
            let rest = match pattern.strip_prefix("/**/") {
                Some(name) => format!("{}{name}", directory(random)),
                None => pattern.clone(),
            };
            rest.split('*')
                .collect::<Vec<_>>()
                .join(random.word(&STEMS))
        }
    }
}

/// Tells quickly whether any entry matches a path.
struct Index {
    exact: HashSet<String>,
    directories: HashSet<String>,
    suffixes: HashSet<String>,
    globs: Vec<(String, Glob)>,
}

impl Index {
    fn new(entries: &[Entry]) -> Result<Self, GlobError> {
        let mut index = Self {
            exact: HashSet::new(),
            directories: HashSet::new(),
            suffixes: HashSet::new(),
            globs: Vec::new(),
        };
        for entry in entries {
            match entry {
                Entry::Exact(path) => drop(index.exact.insert(path.clone())),
                Entry::Directory(path) => drop(index.directories.insert(path.clone())),
                Entry::Glob(pattern) => match pattern.strip_prefix("/**/") {
                    Some(name) => drop(index.suffixes.insert(name.to_owned())),
                    None => {
                        let literal = pattern.split('*').next().unwrap_or_default();
                        index
                            .globs
                            .push((literal.to_owned(), Glob::parse(pattern)?));
                    }
                },
            }
        }
        Ok(index)
    }

    fn matches(&self, path: &str) -> bool {
        let below = |(at, _): (usize, &str)| {
            path.get(..=at)
                .is_some_and(|directory| self.directories.contains(directory))
        };
        self.exact.contains(path)
            || self.directories.contains(&format!("{path}/"))
            || path.match_indices('/').any(below)
            || path
                .rsplit('/')
                .next()
                .is_some_and(|name| self.suffixes.contains(name))
            || self.globs.iter().any(|(literal, glob)| {
                path.starts_with(literal.as_str()) && glob.matches(path.as_bytes())
            })
    }
}

impl RuleSet {
    /// A set of `size` rules.
    ///
    /// # Errors
    /// Never in practice: when one of the generated patterns is no glob.
    pub fn generate(
        shape: Shape,
        size: usize,
        extras: Extras,
        seed: u64,
    ) -> Result<Self, GlobError> {
        let mut random = Random::new(seed);
        let mut seen = BTreeSet::new();
        let mut entries = Vec::with_capacity(size);
        while entries.len() < size {
            // By place, not by chance: the mix is exact even in a set of twenty.
            let entry = match (shape, entries.len() % 20) {
                (Shape::Exact, _) | (_, 0 | 2 | 4 | 5 | 7 | 8 | 10 | 11 | 13 | 14 | 16 | 18) => {
                    Entry::Exact(exact(&mut random))
                }
                (Shape::Mix, 3 | 9 | 15) => Entry::Glob(glob(&mut random)),
                _ => Entry::Directory(directory(&mut random)),
            };
            if seen.insert(entry.clone()) {
                entries.push(entry);
            }
        }
        let programs: Vec<String> = (0..extras.programs)
            .map(|at| format!("/usr/bin/program-{at:02}"))
            .collect();
        let rules = rules(&entries, &programs, extras, &mut random)?;
        let queries = queries(&entries, &mut random)?;
        let askers = queries
            .iter()
            .map(|_| match random.pick(&programs) {
                Some(program) if random.chance(50) => program.clone(),
                _ => "/usr/sbin/nginx".to_owned(),
            })
            .collect();
        Ok(Self {
            shape,
            entries,
            rules,
            queries,
            askers,
        })
    }

    /// The queries as events: reads by the asking program.
    #[must_use]
    pub fn events(&self) -> Vec<Event<'_>> {
        self.queries
            .iter()
            .zip(&self.askers)
            .map(|(path, asker)| Event::read(path.as_str()).by(asker.as_str()))
            .collect()
    }

    /// The same rules with paths of `length` bytes to judge: below rules' directories, or below
    /// directories that no rule names. As many of each as there are directories short enough.
    ///
    /// # Errors
    /// Never in practice: when one of the patterns is no glob.
    pub fn with_query_length(&self, length: usize, seed: u64) -> Result<Self, GlobError> {
        let mut random = Random::new(seed);
        let index = Index::new(&self.entries)?;
        let hits: Vec<&str> = self
            .entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Directory(path) if path.len() < length => Some(path.as_str()),
                _ => None,
            })
            .collect();
        let mut queries = Vec::with_capacity(QUERIES);
        while queries.len() < QUERIES {
            let hit = !hits.is_empty() && queries.len() % 2 == 0;
            let start = if hit {
                random.pick(&hits).copied().unwrap_or("/")
            } else {
                random.pick(&ROOTS).copied().unwrap_or("/")
            };
            let path = fill(start, length, &mut random);
            if hit || !index.matches(&path) {
                queries.push(path);
            }
        }
        Ok(Self {
            queries,
            ..self.clone()
        })
    }
}

impl RuleSet {
    /// The same rules with only the queries that hit, or only those that miss, twice each.
    ///
    /// # Errors
    /// Never in practice: when one of the patterns is no glob.
    pub fn half(&self, hits: bool) -> Result<Self, GlobError> {
        let index = Index::new(&self.entries)?;
        let half = |&(path, _): &(&String, &String)| index.matches(path) == hits;
        let once = || self.queries.iter().zip(&self.askers).filter(half);
        let (queries, askers) = once()
            .chain(once())
            .map(|(path, asker)| (path.clone(), asker.clone()))
            .unzip();
        Ok(Self {
            queries,
            askers,
            ..self.clone()
        })
    }
}

/// Extends `start` by components to `length` bytes; a longer start is cut.
fn fill(start: &str, length: usize, random: &mut Random) -> String {
    let mut path = start.to_owned();
    while path.len() < length {
        path.push_str(random.word(&SYLLABLES));
        path.push_str(if random.chance(40) { "/" } else { "-" });
    }
    path.truncate(length);
    if path.ends_with(['/', '-']) {
        path.pop();
        path.push('x');
    }
    path
}

fn rules(
    entries: &[Entry],
    programs: &[String],
    extras: Extras,
    random: &mut Random,
) -> Result<Vec<Rule>, GlobError> {
    let policy = Arc::new(PolicyId {
        name: "measured".to_owned(),
        kind: PolicyKind::KubeArmorPolicy,
        namespace: Some("default".to_owned()),
    });
    let file: Arc<str> = "measured.yaml".into();
    let (tags, message): (Arc<[String]>, Arc<str>) = ([].into(), "".into());
    let mut counts = [0_u32; 3];
    let mut rules = Vec::with_capacity(entries.len());
    for (line, entry) in (1_u32..).zip(entries) {
        let (list, object, count) = match entry {
            Entry::Exact(path) => (RuleList::MatchPaths, Object::Path(path.clone()), 0),
            Entry::Directory(path) => (
                RuleList::MatchDirectories,
                Object::Directory(Directory {
                    path: path.clone(),
                    recursive: true,
                }),
                1,
            ),
            Entry::Glob(pattern) => (
                RuleList::MatchPatterns,
                Object::Pattern(Glob::parse(pattern)?),
                2,
            ),
        };
        let mut index = 0;
        if let Some(next) = counts.get_mut(count) {
            index = *next;
            *next += 1;
        }
        // The schema has no sources on patterns.
        let sourced = count != 2 && !programs.is_empty() && random.chance(33);
        let sources = if sourced {
            (0..=random.below(3))
                .filter_map(|_| random.pick(programs).cloned())
                .map(|program| Source::Scope(PathScope::Path(program)))
                .collect()
        } else {
            Vec::new()
        };
        let mut conditions = Conditions::default();
        if extras.conditions && random.chance(20) {
            conditions.read_only = random.chance(60);
            conditions.owner_only = !conditions.read_only || random.chance(30);
        }
        rules.push(Rule {
            policy: Arc::clone(&policy),
            class: Class::File,
            list,
            index,
            object,
            sources,
            action: Action::Block,
            conditions,
            severity: 5,
            tags: Arc::clone(&tags),
            message: Arc::clone(&message),
            location: Location {
                file: Arc::clone(&file),
                line,
                column: 5,
            },
        });
    }
    Ok(rules)
}

fn queries(entries: &[Entry], random: &mut Random) -> Result<Vec<String>, GlobError> {
    let index = Index::new(entries)?;
    let mut queries = Vec::with_capacity(QUERIES);
    while queries.len() < QUERIES {
        if queries.len() % 2 == 0 {
            if let Some(entry) = random.pick(entries) {
                queries.push(hit(entry, random));
            }
        } else {
            // Near misses: a path of the same tree that no rule names.
            let path = exact(random);
            if !index.matches(&path) {
                queries.push(path);
            }
        }
    }
    // In mixed order, lest a branch predictor learns the pattern.
    for at in (1..queries.len()).rev() {
        let other = random.below(at + 1);
        queries.swap(at, other);
    }
    Ok(queries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_as_promised() {
        let set = RuleSet::generate(Shape::Mix, 1000, Extras::default(), 1).unwrap();
        let count = |want: fn(&Entry) -> bool| set.entries.iter().filter(|e| want(e)).count();
        assert_eq!(count(|e| matches!(e, Entry::Exact(_))), 600);
        assert_eq!(count(|e| matches!(e, Entry::Directory(_))), 250);
        assert_eq!(count(|e| matches!(e, Entry::Glob(_))), 150);
        let index = Index::new(&set.entries).unwrap();
        let hits = set
            .queries
            .iter()
            .filter(|path| index.matches(path))
            .count();
        assert_eq!((set.queries.len(), hits), (QUERIES, QUERIES / 2));
        let bytes: usize = set.queries.iter().map(String::len).sum();
        let mean = bytes / QUERIES;
        assert!((28..=40).contains(&mean), "mean length {mean}");
    }

    #[test]
    fn a_seed_gives_one_set() {
        let extras = Extras {
            programs: 50,
            conditions: true,
        };
        let one = RuleSet::generate(Shape::Mix, 500, extras, 3).unwrap();
        let two = RuleSet::generate(Shape::Mix, 500, extras, 3).unwrap();
        assert_eq!((&one.rules, &one.queries), (&two.rules, &two.queries));
        assert!(one.rules.iter().any(|rule| !rule.sources.is_empty()));
        assert!(one.rules.iter().any(|rule| !rule.conditions.is_empty()));
    }

    #[test]
    fn queries_of_a_length() {
        let set = RuleSet::generate(Shape::Mix, 1000, Extras::default(), 1).unwrap();
        for length in [20, 60, 200, 4000] {
            let long = set.with_query_length(length, 5).unwrap();
            assert!(long.queries.iter().all(|path| path.len() == length));
        }
    }
}
