//! What the compiled tables say of a place, for one source and one question.

use gambeson_matcher::tables::entry::{Entry, Holding, Leaf, Parts};
use gambeson_matcher::tables::trie::Trie;
use gambeson_matcher::{CompiledPolicy, ObjectKind};
use gambeson_policy_model::{Action, Class, Event, Glob, RuleId, Verdict};

use crate::glob::{self, Ends, Seq};

/// What is asked of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ask {
    Read,
    Write,
    Exec,
    Map,
}

impl Ask {
    pub(crate) const fn class(self) -> Class {
        match self {
            Self::Read | Self::Write => Class::File,
            Self::Exec | Self::Map => Class::Process,
        }
    }

    /// Whether directories can be asked about: AppArmor puts a slash behind their names.
    pub(crate) const fn of_directories(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }
}

/// The verdict, as far as a profile tells verdicts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Says {
    Allow,
    Audit,
    Deny,
}

/// Who decides at a place where no pattern matches: what patterns can change depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Decider {
    /// No rule.
    Nobody,
    /// A rule without source on a directory.
    Directory { sourced: bool, denies: bool },
    /// What was decided with patterns in mind already.
    Final,
}

/// What holds at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Value {
    pub(crate) says: Says,
    pub(crate) decider: Decider,
}

/// A pattern or execname that speaks.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    pub(crate) seq: Seq,
    ends: Ends,
    pub(crate) rule: RuleId,
    pub(crate) effect: Effect,
    pub(crate) sourced: bool,
    pub(crate) execname: bool,
}

impl Pattern {
    /// Whether it matches the file or the directory of a name.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        self.ends.may_match(name) && glob::matches_name(&self.seq, name)
    }

    /// Whether some path matches both.
    pub(crate) fn intersects(&self, other: &Self) -> bool {
        self.ends.may_intersect(&other.ends) && glob::intersect(&self.seq, &other.seq)
    }
}

/// What a rule says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Grant,
    Deny,
    Watch,
}

/// One question about every path, asked as one source.
pub(crate) struct Judge<'c> {
    compiled: &'c CompiledPolicy,
    pub(crate) ask: Ask,
    pub(crate) owner: bool,
    class: u32,
    program: &'c [u8],
    pub(crate) patterns: Vec<Pattern>,
}

/// An argument that no list allows: no policy text holds the byte.
const NEVER_ALLOWED: &[u8] = b"\xff";

impl<'c> Judge<'c> {
    pub(crate) fn new(
        compiled: &'c CompiledPolicy,
        ask: Ask,
        owner: bool,
        class: u32,
        program: &'c [u8],
    ) -> Self {
        let mut judge = Self {
            compiled,
            ask,
            owner,
            class,
            program,
            patterns: Vec::new(),
        };
        judge.patterns = judge.speaking();
        judge
    }

    /// Whether denials are only reported.
    pub(crate) fn audited(&self) -> bool {
        self.compiled.tables().head.audited != 0
    }

    fn allow_list(&self) -> bool {
        let head = &self.compiled.tables().head;
        head.in_allow_list_mode(self.ask.class())
    }

    /// The trie of paths and directories that count.
    pub(crate) fn trie(&self) -> &'c Trie {
        let tables = self.compiled.tables();
        match self.ask {
            Ask::Read | Ask::Write => &tables.file,
            Ask::Map if self.allow_list() => &tables.mapping,
            Ask::Exec | Ask::Map => &tables.process,
        }
    }

    /// The state of conditions. A terminal can't be seen: `pts: false` is taken for not holding.
    const fn holding(&self) -> Holding {
        Holding::new(self.owner, matches!(self.ask, Ask::Read), true)
    }

    fn leaf(&self, entry: Entry, exceptions: u32) -> Option<Leaf> {
        let tables = self.compiled.tables();
        let list = tables.exceptions(exceptions);
        let mut entry = match list.binary_search_by_key(&self.class, |one| one.class) {
            Ok(place) => list.get(place)?.entry,
            Err(_) => entry,
        };
        loop {
            entry = match entry.parts() {
                Parts::Nothing => return None,
                Parts::Leaf(leaf) => return Some(leaf),
                Parts::Block(block) => {
                    let block = tables.blocks.get(block as usize)?;
                    *block.get(self.holding().index())?
                }
                // Arguments can't be seen: `allowedArgs` is taken for not holding.
                Parts::Test(test) => {
                    let test = tables.tests.get(test as usize)?;
                    if self.ask == Ask::Map {
                        test.holds
                    } else {
                        test.fails
                    }
                }
            };
        }
    }

    /// What a row says where no pattern matches, and by which rule.
    pub(crate) fn of_row(&self, number: u32) -> (Value, Option<RuleId>) {
        let tables = self.compiled.tables();
        let row = tables.row(number);
        let grant = self.leaf(row.grant, row.grant_exceptions);
        let (mut says, decider, mut rule) = match grant {
            Some(leaf) => {
                let denies = leaf.denies();
                let says = if denies { self.denied() } else { Says::Allow };
                let sourced = leaf.rank().is_sourced();
                let decider = Decider::Directory { sourced, denies };
                (says, decider, Some(leaf.rule()))
            }
            None if self.ask != Ask::Map && self.allow_list() => {
                let says = match tables.head.posture(self.ask.class()) {
                    Verdict::Allow => Says::Allow,
                    Verdict::Audit => Says::Audit,
                    Verdict::Block => self.denied(),
                };
                (says, Decider::Nobody, None)
            }
            None => (Says::Allow, Decider::Nobody, None),
        };
        if self.ask != Ask::Map
            && says != Says::Deny
            && let Some(leaf) = self.leaf(row.watch, row.watch_exceptions)
        {
            says = Says::Audit;
            rule = Some(leaf.rule());
        }
        let decider = if self.patterns.is_empty() {
            Decider::Nobody
        } else {
            decider
        };
        (Value { says, decider }, rule)
    }

    fn denied(&self) -> Says {
        if self.audited() {
            Says::Audit
        } else {
            Says::Deny
        }
    }

    /// What is decided of exactly this path, and by which rule.
    pub(crate) fn of_path(&self, path: &[u8]) -> (Value, Option<RuleId>) {
        let event = match self.ask {
            Ask::Read => Event::read(path),
            Ask::Write => Event::write(path),
            Ask::Exec => Event::exec(path).args([NEVER_ALLOWED]),
            Ask::Map => Event::map_exec(path),
        };
        let owner = u32::from(!self.owner);
        let event = event.by(self.program).uid(0).owner(owner).tty(true);
        let decision = self.compiled.decide(&event);
        let says = match decision.verdict() {
            Verdict::Allow => Says::Allow,
            Verdict::Audit => Says::Audit,
            Verdict::Block => Says::Deny,
        };
        let decider = Decider::Final;
        (Value { says, decider }, decision.rule())
    }

    /// The patterns and execnames that speak, each alternative for itself.
    fn speaking(&self) -> Vec<Pattern> {
        let mut found = Vec::new();
        for glob in self.compiled.globs() {
            let (Some(info), Some(shape)) = (
                self.compiled.rule(glob.rule),
                self.compiled.shape(glob.rule),
            ) else {
                continue;
            };
            let execname = shape.object == ObjectKind::ExecName;
            if info.class != self.ask.class()
                || (shape.sourced && glob.sources.binary_search(&self.class).is_err())
                || (self.ask == Ask::Map && self.allow_list() && !execname)
            {
                continue;
            }
            let conditioned =
                shape.owner_only || shape.read_only || shape.no_tty || shape.allowed_args;
            let holds = (!shape.owner_only || self.owner)
                && (!shape.read_only || self.ask == Ask::Read)
                && !shape.no_tty
                && (!shape.allowed_args || self.ask == Ask::Map);
            let effect = match (info.action, conditioned) {
                (Action::Audit, _) if self.ask == Ask::Map => continue,
                (Action::Audit, true) if holds => continue,
                (Action::Audit, _) => Effect::Watch,
                (Action::Allow, false) => Effect::Grant,
                (Action::Block, false) => Effect::Deny,
                (_, true) if holds => Effect::Grant,
                (_, true) => Effect::Deny,
            };
            let seqs: Vec<Seq> = if execname {
                vec![glob::of_execname(glob.text.as_bytes())]
            } else {
                Glob::parse(glob.text).map_or_else(
                    |_| Vec::new(),
                    |parsed| {
                        let all = parsed.alternatives().iter();
                        all.filter(|tokens| Glob::as_directory(tokens).is_none())
                            .filter_map(|tokens| glob::of_tokens(tokens, self.ask.of_directories()))
                            .collect()
                    },
                )
            };
            found.extend(seqs.into_iter().map(|seq| Pattern {
                ends: Ends::of(&seq),
                seq,
                rule: glob.rule,
                effect,
                sourced: shape.sourced,
                execname,
            }));
        }
        found
    }

    /// Whether a pattern that grants re-opens a place where the decider denies.
    pub(crate) fn reopens(pattern: &Pattern, decider: Decider) -> bool {
        pattern.effect == Effect::Grant
            && match decider {
                Decider::Nobody => true,
                Decider::Directory {
                    sourced: false,
                    denies: true,
                } => pattern.sourced || pattern.execname,
                Decider::Directory {
                    sourced: true,
                    denies: true,
                } => pattern.sourced && pattern.execname,
                Decider::Directory { denies: false, .. } | Decider::Final => false,
            }
    }

    /// Whether a pattern that denies does so where the decider stands.
    pub(crate) fn overrules(pattern: &Pattern, decider: Decider) -> bool {
        pattern.effect == Effect::Deny
            && match decider {
                Decider::Nobody => true,
                Decider::Directory { sourced, denies } => pattern.sourced || !sourced || denies,
                Decider::Final => false,
            }
    }
}
