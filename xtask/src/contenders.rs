//! Whatever can judge a path with a set of rules: this engine, and its peers.
//!
//! Every contender goes through the queries in the same loop, and every one that is complete must
//! find the same number of hits, or the comparison is void.

use std::collections::HashMap;
use std::hint::black_box;

use aho_corasick::automaton::Automaton;
use aho_corasick::{Anchored, dfa::DFA as PrefixDfa};
use gambeson::matcher::{Compile, CompiledPolicy, Config};
use gambeson::policy_model::{Event, Rule, Selection, Verdict};
use globset::{Candidate, GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use regex_automata::dfa::Automaton as _;
use regex_automata::dfa::{StartKind, dense};
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};

use crate::ruleset::{Entry, RuleSet};

/// An error of whichever contender.
pub type Error = Box<dyn std::error::Error>;

/// Judges the queries of the set that it was built from.
pub trait Contender {
    /// A short name.
    fn name(&self) -> &'static str;

    /// Judges every query once; the number of hits.
    fn pass(&mut self) -> usize;

    /// Whether it can say everything that the rules say, and so must find every hit.
    fn is_complete(&self) -> bool {
        true
    }

    /// Bytes on the heap, where it can tell.
    fn memory(&self) -> Option<usize> {
        None
    }
}

/// The loop that every contender runs.
#[inline(always)]
fn pass<Q>(queries: &[Q], mut judge: impl FnMut(&Q) -> bool) -> usize {
    let mut hits = 0;
    for query in queries {
        hits += usize::from(black_box(judge(black_box(query))));
    }
    hits
}

/// This engine.
struct Gambeson<'a> {
    /// What it walks.
    compiled: CompiledPolicy,
    /// What it judges.
    events: Vec<Event<'a>>,
}

impl<'a> Gambeson<'a> {
    /// Compiles the rules.
    fn new(set: &'a RuleSet) -> Result<Self, Error> {
        Ok(Self {
            compiled: compile(set)?,
            events: set.events(),
        })
    }
}

/// Compiles the rules of a set.
///
/// # Errors
/// When the rules don't compile.
pub fn compile(set: &RuleSet) -> Result<CompiledPolicy, Error> {
    Ok(Selection::new(set.rules.clone()).compile(&Config::default())?)
}

impl Contender for Gambeson<'_> {
    fn name(&self) -> &'static str {
        "gambeson"
    }

    fn pass(&mut self) -> usize {
        pass(&self.events, |event| {
            self.compiled.decide(event).verdict() == Verdict::Block
        })
    }

    fn memory(&self) -> Option<usize> {
        Some(self.compiled.memory_usage())
    }
}

/// One look-up of the path in a `HashMap` of the standard library: the floor. It knows exact paths
/// only, and looks each query up once.
struct Floor<'a> {
    map: HashMap<&'a str, u32>,
    queries: &'a [String],
}

impl<'a> Floor<'a> {
    /// A map of the texts of all entries.
    fn new(set: &'a RuleSet) -> Self {
        let texts = set.entries.iter().map(|entry| match entry {
            Entry::Exact(text) | Entry::Directory(text) | Entry::Glob(text) => text.as_str(),
        });
        Self {
            map: texts.zip(0..).collect(),
            queries: &set.queries,
        }
    }
}

impl Contender for Floor<'_> {
    fn name(&self) -> &'static str {
        "HashMap look-up"
    }

    fn pass(&mut self) -> usize {
        pass(self.queries, |path| self.map.contains_key(path.as_str()))
    }

    fn is_complete(&self) -> bool {
        false
    }
}

enum Test {
    Exact(String),
    Directory(String),
    Glob(GlobMatcher),
}

/// Every rule in turn, until one matches.
struct Linear<'a> {
    tests: Vec<Test>,
    queries: &'a [String],
}

impl<'a> Linear<'a> {
    /// Takes the rules in their order.
    fn new(set: &'a RuleSet) -> Result<Self, Error> {
        let tests = set
            .entries
            .iter()
            .map(|entry| {
                Ok(match entry {
                    Entry::Exact(path) => Test::Exact(path.clone()),
                    Entry::Directory(path) => Test::Directory(path.clone()),
                    Entry::Glob(pattern) => Test::Glob(globset_glob(pattern)?.compile_matcher()),
                })
            })
            .collect::<Result<_, globset::Error>>()?;
        Ok(Self {
            tests,
            queries: &set.queries,
        })
    }
}

impl Contender for Linear<'_> {
    fn name(&self) -> &'static str {
        "linear scan"
    }

    fn pass(&mut self) -> usize {
        pass(self.queries, |path| {
            self.tests.iter().any(|test| match test {
                Test::Exact(exact) => exact == path,
                Test::Directory(directory) => path.starts_with(directory.as_str()),
                Test::Glob(glob) => glob.is_match(path),
            })
        })
    }
}

fn globset_glob(pattern: &str) -> Result<globset::Glob, globset::Error> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
}

/// globset.
struct Globset<'a> {
    set: GlobSet,
    found: Vec<usize>,
    queries: &'a [String],
}

impl<'a> Globset<'a> {
    /// Builds the set.
    fn new(set: &'a RuleSet) -> Result<Self, Error> {
        let mut builder = GlobSetBuilder::new();
        for entry in &set.entries {
            builder.add(match entry {
                Entry::Exact(path) => globset_glob(&globset::escape(path))?,
                Entry::Directory(path) => globset_glob(&format!("{}**", globset::escape(path)))?,
                Entry::Glob(pattern) => globset_glob(pattern)?,
            });
        }
        Ok(Self {
            set: builder.build()?,
            found: Vec::new(),
            queries: &set.queries,
        })
    }
}

impl Contender for Globset<'_> {
    fn name(&self) -> &'static str {
        "globset"
    }

    fn pass(&mut self) -> usize {
        let Self {
            set,
            found,
            queries,
        } = self;
        pass(queries, |path| {
            set.matches_candidate_into(&Candidate::new(path), found);
            !found.is_empty()
        })
    }
}

/// A dense automaton of regex-automata, anchored, with all matches.
struct DenseDfa<'a> {
    dfa: dense::DFA<Vec<u32>>,
    queries: &'a [String],
}

/// What a dense automaton may take in memory.
pub const DENSE_LIMIT: usize = 256 << 20;

impl<'a> DenseDfa<'a> {
    /// Determinises the rules.
    fn new(set: &'a RuleSet) -> Result<Self, Error> {
        let patterns: Vec<String> = set.entries.iter().map(regex).collect();
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(DENSE_LIMIT))
            .determinize_size_limit(Some(DENSE_LIMIT));
        let dfa = dense::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(regex_automata::nfa::thompson::Config::new().utf8(false))
            .build_many(&patterns)?;
        Ok(Self {
            dfa,
            queries: &set.queries,
        })
    }
}

fn regex(entry: &Entry) -> String {
    let mut out = String::new();
    let (text, glob) = match entry {
        Entry::Exact(text) | Entry::Directory(text) => (text, false),
        Entry::Glob(text) => (text, true),
    };
    let mut rest = text.as_str();
    while let Some(next) = rest.chars().next() {
        let stars = if glob {
            rest.len() - rest.trim_start_matches('*').len()
        } else {
            0
        };
        match stars {
            0 => {
                if next.is_ascii_punctuation() {
                    out.push('\\');
                }
                out.push(next);
            }
            1 => out.push_str("[^/]*"),
            _ => out.push_str("(?s:.)+"),
        }
        let taken = if stars == 0 { next.len_utf8() } else { stars };
        rest = rest.get(taken..).unwrap_or_default();
    }
    if matches!(entry, Entry::Directory(_)) {
        out.push_str("(?s:.)*");
    }
    out.push_str("\\z");
    out
}

impl Contender for DenseDfa<'_> {
    fn name(&self) -> &'static str {
        "dense DFA"
    }

    fn pass(&mut self) -> usize {
        pass(self.queries, |path| {
            let input = Input::new(path.as_str()).anchored(regex_automata::Anchored::Yes);
            matches!(self.dfa.try_search_fwd(&input), Ok(Some(_)))
        })
    }

    fn memory(&self) -> Option<usize> {
        Some(self.dfa.memory_usage())
    }
}

/// matchit, a router: exact paths and directories.
struct Matchit<'a> {
    router: matchit::Router<u32>,
    queries: &'a [String],
}

impl<'a> Matchit<'a> {
    /// Makes a route of each rule.
    fn new(set: &'a RuleSet) -> Result<Self, Error> {
        let mut router = matchit::Router::new();
        for (id, entry) in (0..).zip(&set.entries) {
            match entry {
                Entry::Exact(path) => router.insert(path, id)?,
                Entry::Directory(path) => router.insert(format!("{path}{{*rest}}"), id)?,
                Entry::Glob(_) => return Err("matchit knows no globs".into()),
            }
        }
        Ok(Self {
            router,
            queries: &set.queries,
        })
    }
}

impl Contender for Matchit<'_> {
    fn name(&self) -> &'static str {
        "matchit"
    }

    fn pass(&mut self) -> usize {
        pass(self.queries, |path| self.router.at(path).is_ok())
    }
}

/// aho-corasick's automaton over the literal texts: finds prefixes, and so may take an exact path
/// for the directory of another.
struct Prefixes<'a> {
    dfa: PrefixDfa,
    exact: Vec<bool>,
    queries: &'a [String],
}

impl<'a> Prefixes<'a> {
    /// Builds the automaton.
    fn new(set: &'a RuleSet) -> Result<Self, Error> {
        let mut texts = Vec::with_capacity(set.entries.len());
        let mut exact = Vec::with_capacity(set.entries.len());
        for entry in &set.entries {
            match entry {
                Entry::Exact(path) => texts.push(path),
                Entry::Directory(path) => texts.push(path),
                Entry::Glob(_) => return Err("aho-corasick knows no globs".into()),
            }
            exact.push(matches!(entry, Entry::Exact(_)));
        }
        let dfa = PrefixDfa::builder()
            .start_kind(aho_corasick::StartKind::Anchored)
            .match_kind(aho_corasick::MatchKind::LeftmostLongest)
            .build(texts)?;
        Ok(Self {
            dfa,
            exact,
            queries: &set.queries,
        })
    }
}

impl Contender for Prefixes<'_> {
    fn name(&self) -> &'static str {
        "aho-corasick"
    }

    fn pass(&mut self) -> usize {
        pass(self.queries, |path| {
            let input = aho_corasick::Input::new(path.as_str()).anchored(Anchored::Yes);
            match self.dfa.try_find(&input) {
                Ok(Some(found)) => {
                    let exact = self.exact.get(found.pattern().as_usize());
                    exact != Some(&true) || found.end() == path.len()
                }
                _ => false,
            }
        })
    }

    fn is_complete(&self) -> bool {
        false
    }

    fn memory(&self) -> Option<usize> {
        Some(self.dfa.memory_usage())
    }
}

/// Above this many rules a scan takes too long to measure.
const LINEAR_LIMIT: usize = 10_000;

/// With more globs than this, globset asks for gigabytes of scratch space.
const GLOBSET_LIMIT: usize = 2_000;

/// Above this many rules a dense automaton takes minutes to build, and more than
/// [`DENSE_LIMIT`] bytes with globs among them.
const DENSE_RULES: usize = 1_000;

/// This engine and every peer that can take the set, this engine first.
///
/// # Errors
/// When this engine can't compile the rules, or a complete contender finds another number of hits.
pub fn contenders(set: &RuleSet) -> Result<Vec<Box<dyn Contender + '_>>, Error> {
    let mut all: Vec<Box<dyn Contender + '_>> =
        vec![Box::new(Gambeson::new(set)?), Box::new(Floor::new(set))];
    // A peer that can't take the rules, for its limits or for want of globs, is not measured.
    let globs = set
        .entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Glob(_)));
    if globs.count() <= GLOBSET_LIMIT
        && let Ok(globset) = Globset::new(set)
    {
        all.push(Box::new(globset));
    }
    if let Ok(matchit) = Matchit::new(set) {
        all.push(Box::new(matchit));
    }
    if let Ok(prefixes) = Prefixes::new(set) {
        all.push(Box::new(prefixes));
    }
    let size = set.entries.len();
    if size <= LINEAR_LIMIT {
        all.push(Box::new(Linear::new(set)?));
    }
    if size <= DENSE_RULES
        && let Ok(dense) = DenseDfa::new(set)
    {
        all.push(Box::new(dense));
    }
    // The peers know objects alone; where rules say more, verdicts differ.
    let plain = |rule: &Rule| rule.sources.is_empty() && rule.conditions.is_empty();
    if set.rules.iter().all(plain) {
        agree(&mut all)?;
    }
    Ok(all)
}

/// Checks that all complete contenders find the same number of hits.
fn agree(all: &mut [Box<dyn Contender + '_>]) -> Result<(), Error> {
    let mut first = None;
    for contender in all.iter_mut().filter(|contender| contender.is_complete()) {
        let (hits, name) = (contender.pass(), contender.name());
        let (expected, other) = *first.get_or_insert((hits, name));
        if hits != expected {
            return Err(format!("{name} finds {hits} hits where {other} finds {expected}").into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::{Extras, QUERIES, Shape};

    #[test]
    fn every_complete_contender_finds_the_hits() {
        for shape in Shape::ALL {
            let set = RuleSet::generate(shape, 60, Extras::default(), 4).unwrap();
            let mut all = contenders(&set).unwrap();
            assert_eq!(all[0].pass(), QUERIES / 2, "{shape}");
            let expected = if shape == Shape::Mix { 5 } else { 7 };
            assert_eq!(all.len(), expected, "{shape}");
        }
    }
}
