//! Deciding an event on compiled tables. Allocates nothing.

mod lists;
mod precedence;

use std::borrow::Cow;

use gambeson_policy_model::{Class, Decision, Event, Operation, Preset, Verdict};

use crate::compile::{dns, network};
use crate::strictest::strictness;
use crate::tables::automaton::Globs;
use crate::tables::entry::{Entry, Holding, Leaf, Parts};
use crate::tables::record::Span;
use crate::tables::trie::Trie;
use crate::tables::{Exception, Row, Tables};
use precedence::{first_to_watch, join_patterns, put_upon};

/// What is asked of the tables, but for the object and the source.
#[derive(Clone, Copy)]
struct Question<'e> {
    kind: Kind,
    holding: Holding,
    /// The arguments; `None` where there can be none, and every list holds.
    args: Option<&'e [Cow<'e, [u8]>]>,
}

/// Whether all that rules of a class say counts, or only what process rules deny.
#[derive(Clone, Copy)]
enum Kind {
    Of(Class),
    Mapping,
}

/// The rows of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ObjectRows {
    /// What paths and directories say, or whatever else names the object.
    pub paths: u32,
    /// What the patterns say that match it.
    pub patterns: u32,
}

/// What the tables have on an object.
#[derive(Clone, Copy)]
struct Found<'t> {
    /// What paths and directories say, or whatever else names the object.
    row: u32,
    patterns: Patterns<'t>,
}

/// The patterns that match a path.
#[derive(Clone, Copy)]
enum Patterns<'t> {
    /// All of them are in this row.
    Row(u32),
    /// Those that the automata find: in the tuple of states, the path and what the trie left of it.
    Search(&'t Globs, u32, &'t [u8], &'t [u8]),
}

impl Found<'_> {
    #[inline(always)]
    fn each_pattern_row(&self, mut found: impl FnMut(u32)) {
        match self.patterns {
            Patterns::Row(0) => {}
            Patterns::Row(row) => found(row),
            Patterns::Search(globs, tuple, path, rest) => globs.rows(tuple, path, rest, found),
        }
    }
}

/// Who grants or denies, and who watches.
#[derive(Clone, Copy, Default)]
struct Outcome {
    grant: Option<Leaf>,
    watch: Option<Leaf>,
}

impl Tables {
    /// Decides an event.
    #[inline]
    pub(crate) fn decide(&self, event: &Event<'_>) -> Decision {
        let decision = self.decide_enforced(event);
        // The pod's annotation asks for reports only.
        if self.head.audited != 0 && decision.verdict == Verdict::Block {
            return Decision {
                verdict: Verdict::Audit,
                ..decision
            };
        }
        decision
    }

    #[inline]
    fn decide_enforced(&self, event: &Event<'_>) -> Decision {
        match &event.operation {
            Operation::Read { path } | Operation::Write { path } => match path.bytes() {
                Some(path) => {
                    let found = find(&self.file, &self.file_globs, path);
                    self.judge(Class::File, found, event, None)
                }
                None if path.is_nameless() => Decision::ALLOW,
                None => self.unresolvable(Class::File),
            },
            Operation::Exec { path, args } => match path.bytes() {
                Some(path) => {
                    let found = find(&self.process, &self.process_globs, path);
                    self.judge(Class::Process, found, event, Some(args))
                }
                None => self.unresolvable(Class::Process),
            },
            Operation::MapExec { path } => match path.bytes() {
                Some(path) => self.mapping(path, event),
                None => self.unresolvable(Class::Process),
            },
            Operation::Socket(socket) if !socket.in_class() => Decision::ALLOW,
            Operation::Socket(socket) => {
                let row = self.network.get(network::profile(socket));
                self.judge_row(Class::Network, row, event)
            }
            Operation::Capability(capability) => {
                let row = self.capabilities.get(usize::from(capability.number()));
                self.judge_row(Class::Capabilities, row, event)
            }
            Operation::Preset(preset) => {
                let place = Preset::ALL.iter().position(|known| known == preset);
                let row = place.and_then(|place| self.presets.get(place));
                self.judge_row(Class::Presets, row, event)
            }
            Operation::Dns { domain } => self.dns(domain, event),
            Operation::Syscall { name, path } => {
                let path = path.as_ref().and_then(|path| path.bytes());
                self.syscall(name, path, event)
            }
            Operation::Device(device) => self.device(device),
            _ => Decision::ALLOW,
        }
    }

    fn unresolvable(&self, class: Class) -> Decision {
        if !self.head.in_allow_list_mode(class) && !self.head.can_deny(class) {
            return Decision::ALLOW;
        }
        match self.head.posture(class) {
            Verdict::Block => Decision::by_posture(Verdict::Block),
            Verdict::Allow | Verdict::Audit => Decision::by_posture(Verdict::Audit),
        }
    }

    #[inline(never)]
    fn judge_row(&self, class: Class, row: Option<&u32>, event: &Event<'_>) -> Decision {
        let found = found_row(row.copied().unwrap_or(0));
        self.judge(class, found, event, None)
    }

    #[inline(always)]
    fn judge(
        &self,
        class: Class,
        found: Found<'_>,
        event: &Event<'_>,
        args: Option<&Vec<Cow<'_, [u8]>>>,
    ) -> Decision {
        let question = Question {
            kind: Kind::Of(class),
            holding: holding(event),
            args: args.map(Vec::as_slice),
        };
        self.ask(found, event, question)
    }

    /// Decides as the event's source class, or, where the source is unresolvable, as the one that
    /// comes off worst.
    #[inline(always)]
    fn ask(&self, found: Found<'_>, event: &Event<'_>, question: Question<'_>) -> Decision {
        let source = if self.sources.is_trivial() {
            0
        } else if let Some(source) = event.source.bytes() {
            self.sources.find(source)
        } else {
            return self.ask_for_every_source(found, question);
        };
        self.answer(found, source, question)
    }

    #[cold]
    #[inline(never)]
    fn ask_for_every_source(&self, found: Found<'_>, question: Question<'_>) -> Decision {
        let answer = |source: u32| self.answer(found, source, question);
        let [mut worst, deeper] = self.unnamed_sources().map(answer);
        if strictness(&deeper) > strictness(&worst) {
            worst = deeper;
        }
        let mut consider = |row: u32| {
            let row = self.row(row);
            for list in [row.grant_exceptions, row.watch_exceptions] {
                for exception in self.exceptions(list) {
                    let decision = answer(exception.class);
                    if strictness(&decision) > strictness(&worst) {
                        worst = decision;
                    }
                }
            }
        };
        consider(found.row);
        found.each_pattern_row(consider);
        worst
    }

    /// The decision for one source class.
    #[inline(always)]
    fn answer(&self, found: Found<'_>, source: u32, question: Question<'_>) -> Decision {
        let outcome = self.outcome(found, source, question);
        match (question.kind, outcome.grant) {
            (Kind::Of(class), _) => self.settle(class, outcome),
            // "Only a denial counts … and an allowed mapping names no rule."
            (Kind::Mapping, Some(leaf)) if leaf.denies() => {
                Decision::by_rule(Verdict::Block, leaf.rule())
            }
            (Kind::Mapping, _) => Decision::ALLOW,
        }
    }

    /// The decision of a class on an object of which the tables hold two rows: what paths and
    /// directories say, and what patterns do. `source` is a source class. Arguments hold.
    #[must_use]
    pub fn decide_rows(
        &self,
        class: Class,
        rows: ObjectRows,
        source: u32,
        holding: Holding,
    ) -> Decision {
        let found = Found {
            row: rows.paths,
            patterns: Patterns::Row(rows.patterns),
        };
        let question = Question {
            kind: Kind::Of(class),
            holding,
            args: None,
        };
        self.settle(class, self.outcome(found, source, question))
    }

    /// The classes of programs that no rule names by itself: right below the root, and deeper. No
    /// policy text holds the byte 0xff.
    #[must_use]
    pub fn unnamed_sources(&self) -> [u32; 2] {
        [b"/\xff".as_slice(), b"/\xff/\xff"].map(|path| self.sources.find(path))
    }

    /// The row with this number, or that the number is itself.
    #[inline]
    #[must_use]
    pub fn row(&self, number: u32) -> Row {
        if Row::as_leaf(number).is_some() {
            return Row {
                grant: Entry(number),
                ..Row::default()
            };
        }
        self.rows.get(number as usize).copied().unwrap_or_default()
    }

    /// The exceptions of a row, in the order of their source classes.
    #[must_use]
    pub fn exceptions(&self, list: u32) -> &[Exception] {
        let list = self.exception_lists.get(list as usize);
        list.copied().unwrap_or_default().of(&self.exceptions)
    }

    /// The entry of a source class.
    #[inline]
    fn entry(&self, default: Entry, exceptions: u32, source: u32) -> Entry {
        if exceptions == 0 || source == 0 {
            return default;
        }
        let list = self.exceptions(exceptions);
        match list.binary_search_by_key(&source, |exception| exception.class) {
            Ok(place) => list.get(place).map_or(default, |exception| exception.entry),
            Err(_) => default,
        }
    }

    /// Follows an entry to the rule that it stands for.
    #[inline]
    fn leaf(&self, entry: Entry, question: Question<'_>) -> Option<Leaf> {
        match entry.parts() {
            Parts::Nothing => None,
            Parts::Leaf(leaf) => Some(leaf),
            Parts::Block(_) | Parts::Test(_) => self.conditional_leaf(entry, question),
        }
    }

    fn conditional_leaf(&self, mut entry: Entry, question: Question<'_>) -> Option<Leaf> {
        loop {
            entry = match entry.parts() {
                Parts::Nothing => return None,
                Parts::Leaf(leaf) => return Some(leaf),
                Parts::Block(block) => *self
                    .blocks
                    .get(block as usize)?
                    .get(question.holding.index())?,
                Parts::Test(test) => {
                    let test = self.tests.get(test as usize)?;
                    if self.args_hold(test.list, question.args) {
                        test.holds
                    } else {
                        test.fails
                    }
                }
            };
        }
    }

    fn args_hold(&self, list: u32, args: Option<&[Cow<'_, [u8]>]>) -> bool {
        let allowed = self.lists.get(list as usize).copied().unwrap_or_default();
        let allowed = allowed.of(&self.arguments);
        args.unwrap_or_default().iter().all(|arg| {
            allowed
                .binary_search_by(|span: &Span| span.of(&self.text).cmp(arg.as_ref()))
                .is_ok()
        })
    }

    #[inline(always)]
    fn outcome(&self, found: Found<'_>, source: u32, question: Question<'_>) -> Outcome {
        let watches = match question.kind {
            Kind::Of(class) => self.head.watches(class),
            Kind::Mapping => false,
        };
        if watches || !matches!(found.patterns, Patterns::Row(0)) {
            return self.outcome_of_all(found, source, question, watches);
        }
        Outcome {
            grant: self.grant(&self.row(found.row), source, question),
            watch: None,
        }
    }

    /// The outcome with patterns and watching rules. Apart, so that most events don't pay for it.
    #[inline(never)]
    fn outcome_of_all(
        &self,
        found: Found<'_>,
        source: u32,
        question: Question<'_>,
        watches: bool,
    ) -> Outcome {
        let watch_of = |row: &Row| {
            if !watches {
                return None;
            }
            let entry = self.entry(row.watch, row.watch_exceptions, source);
            self.leaf(entry, question)
        };
        let row = self.row(found.row);
        let base = self.grant(&row, source, question);
        let mut watch = watch_of(&row);
        let mut patterns = None;
        found.each_pattern_row(|number| {
            let row = self.row(number);
            patterns = join_patterns(patterns, self.grant(&row, source, question));
            watch = first_to_watch(watch, watch_of(&row));
        });
        Outcome {
            grant: put_upon(base, patterns),
            watch,
        }
    }

    /// Who of a row's rules grants or denies.
    #[inline]
    fn grant(&self, row: &Row, source: u32, question: Question<'_>) -> Option<Leaf> {
        let entry = self.entry(row.grant, row.grant_exceptions, source);
        self.leaf(entry, question)
    }

    /// Steps 3 to 5: from who won to the decision.
    #[inline]
    fn settle(&self, class: Class, outcome: Outcome) -> Decision {
        let decision = match outcome.grant {
            Some(leaf) if leaf.denies() => return Decision::by_rule(Verdict::Block, leaf.rule()),
            Some(leaf) => Decision::by_rule(Verdict::Allow, leaf.rule()),
            None if self.head.in_allow_list_mode(class) => {
                Decision::by_posture(self.head.posture(class))
            }
            None => Decision::ALLOW,
        };
        match outcome.watch {
            Some(leaf) if decision.verdict != Verdict::Block => {
                Decision::by_rule(Verdict::Audit, leaf.rule())
            }
            _ => decision,
        }
    }

    fn mapping(&self, path: &[u8], event: &Event<'_>) -> Decision {
        let found = if self.head.in_allow_list_mode(Class::Process) {
            find(&self.mapping, &self.mapping_globs, path)
        } else {
            find(&self.process, &self.process_globs, path)
        };
        let question = Question {
            kind: Kind::Mapping,
            holding: holding(event),
            args: None,
        };
        self.ask(found, event, question)
    }

    fn dns(&self, domain: &str, event: &Event<'_>) -> Decision {
        // Longer than any name that DNS can carry.
        let mut buffer = [0; 1024];
        let mut len = 0;
        dns::write_path(domain, |byte| {
            if let Some(slot) = buffer.get_mut(len) {
                *slot = byte;
                len += 1;
            }
        });
        let path = match buffer.get(..len) {
            Some(path) if !path.is_empty() => path,
            _ => b"/",
        };
        let found = found_row(self.dns.find(path));
        self.judge(Class::Dns, found, event, None)
    }
}

fn holding(event: &Event<'_>) -> Holding {
    let is_read = matches!(event.operation, Operation::Read { .. });
    Holding::new(event.is_owner(), is_read, event.tty)
}

#[inline(always)]
fn find<'t>(trie: &Trie, globs: &'t Globs, path: &'t [u8]) -> Found<'t> {
    let end = trie.walk(path);
    let place = trie.place(&end);
    let rest = end.rest(path);
    Found {
        row: trie.value(&end, &place, path),
        patterns: if rest.is_empty() {
            Patterns::Row(place.exact_globs)
        } else if !globs.may_match(place.globs, path) {
            Patterns::Row(0)
        } else {
            Patterns::Search(globs, place.globs, path, rest)
        },
    }
}

/// What the tables have on an object without patterns.
const fn found_row(row: u32) -> Found<'static> {
    Found {
        row,
        patterns: Patterns::Row(0),
    }
}
