//! A walk over lowered bytes, written from `bpf/abi.h` alone: no table of the matcher is looked at.

use gambeson_backend_bpflsm::abi::{
    Automaton, Globs, MAGIC, PAGE, Place, Record, Region, Table, Trie, fnv1a,
};
use gambeson_policy_model::{
    Cause, Class, Decision, Event, Operation, Preset, RuleId, Socket, Verdict,
};

const STOP: u32 = 1 << 31;
const LEAF: u32 = 1;
const BLOCK: u32 = 2;
const TEST: u32 = 3;

/// A lowered table.
pub(crate) struct Walker<'t> {
    bytes: &'t [u8],
    head: Table,
}

/// What is asked, but for the object.
#[derive(Clone, Copy)]
struct Question<'e> {
    class: Class,
    mapping: bool,
    holding: u32,
    args: &'e [std::borrow::Cow<'e, [u8]>],
}

/// Where the walk over a trie ended.
struct End {
    node: u32,
    consumed: usize,
    /// The node in whose label the path ended.
    ended_in: Option<u32>,
}

impl<'t> Walker<'t> {
    pub(crate) fn new(bytes: &'t [u8]) -> Self {
        assert_eq!(bytes.len() % PAGE, 0);
        let head = Table::read(bytes).unwrap();
        assert_eq!((head.magic, head.size as usize), (MAGIC, bytes.len()));
        Self { bytes, head }
    }

    /// A record, which must lie in one page.
    fn record<R: Record>(&self, table: u32, number: u32) -> R {
        let at = table as usize + number as usize * R::SIZE;
        assert_eq!(
            at / PAGE,
            (at + R::SIZE - 1) / PAGE,
            "a record lies in two pages"
        );
        assert_eq!(
            at % R::SIZE.next_power_of_two().min(32),
            0,
            "a record isn't aligned"
        );
        R::read(&self.bytes[at..]).unwrap()
    }

    fn text(&self, at: u32, len: u32) -> &'t [u8] {
        assert_eq!(at % 8, 0);
        let end = (at + len) as usize;
        let filled = &self.bytes[end..end.next_multiple_of(8)];
        assert!(
            filled.iter().all(|byte| *byte == 0),
            "a text isn't filled up with zeros"
        );
        &self.bytes[at as usize..end]
    }

    fn trie(&self, trie: &Trie, path: &[u8]) -> End {
        let mut end = End {
            node: trie.start_node,
            consumed: trie.start_consumed as usize,
            ended_in: None,
        };
        assert!(trie.node_count > 0);
        let [_, start_base, ..]: [u32; 4] = self.record(trie.nodes, trie.start_node);
        assert_eq!(trie.start_base, start_base);
        while let Some(byte) = path.get(end.consumed) {
            let [_, base, ..]: [u32; 4] = self.record(trie.nodes, end.node);
            let slot = base + u32::from(*byte);
            if slot >= trie.node_count {
                break;
            }
            let [owner, _, low, high]: [u32; 4] = self.record(trie.nodes, slot);
            if owner != end.node {
                break;
            }
            let mut label = [low.to_le_bytes(), high.to_le_bytes()].concat();
            let len = label.pop().unwrap();
            label.truncate(usize::from(len).min(7));
            let place: Place = self.record(trie.places, slot);
            if len == 8 {
                label.extend(self.text(trie.labels + place.tail_start, place.tail_len));
            }
            let rest = &path[end.consumed + 1..];
            if !rest.starts_with(&label) {
                end.ended_in = label.starts_with(rest).then_some(slot);
                break;
            }
            end.node = slot;
            end.consumed += 1 + label.len();
        }
        end
    }

    fn value(&self, trie: &Trie, end: &End, path: &[u8]) -> u32 {
        let place: Place = self.record(trie.places, end.node);
        if end.consumed == path.len() {
            return place.exact;
        }
        let region: Region = self.record(trie.regions, place.region);
        let inside = path
            .get(region.directory_len as usize..)
            .unwrap_or_default();
        if inside.contains(&b'/') {
            region.deep
        } else {
            region.child
        }
    }

    fn automaton(&self, automaton: &Automaton, state: u32, bytes: impl Iterator<Item = u8>) -> u32 {
        let mut state = state;
        for byte in bytes {
            if state & STOP != 0 {
                break;
            }
            let [base, default, ..]: [u32; 4] = self.record(automaton.states, state);
            let class: u8 = self.record(automaton.classes, u32::from(byte));
            let slot = base.wrapping_add(u32::from(class));
            let before = state;
            state = default;
            if slot < automaton.slot_count {
                let [owner, next]: [u32; 2] = self.record(automaton.slots, slot);
                if owner == before {
                    state = next;
                }
            }
        }
        let [_, _, accept, _]: [u32; 4] = self.record(automaton.states, state & !STOP);
        accept
    }

    fn pattern_rows(&self, globs: &Globs, tuple: u32, path: &[u8], rest: &[u8]) -> Vec<u32> {
        let mut rows = Vec::new();
        for number in 0..globs.forward_count {
            let automaton: Automaton = self.record(globs.automata, number);
            let start: u32 = self.record(globs.starts, tuple * globs.forward_count + number);
            rows.push(self.automaton(&automaton, start, rest.iter().copied()));
        }
        rows.push(self.name_row(globs, path));
        for number in globs.forward_count..globs.forward_count + globs.backward_count {
            let automaton: Automaton = self.record(globs.automata, number);
            rows.push(self.automaton(&automaton, automaton.start, path.iter().rev().copied()));
        }
        rows.retain(|row| *row != 0);
        rows
    }

    fn name_row(&self, globs: &Globs, path: &[u8]) -> u32 {
        let slash = path.iter().rposition(|byte| *byte == b'/').unwrap();
        let name = &path[slash + 1..];
        if globs.filter_words == 0 || name.len() + 1 < globs.name_bytes as usize {
            return 0;
        }
        let last = path
            .iter()
            .rev()
            .take(globs.name_bytes as usize)
            .enumerate();
        let kept: u64 = last
            .map(|(place, byte)| u64::from(*byte) << (8 * place))
            .sum();
        let hash = (kept.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
        let bit = hash & (32 * globs.filter_words - 1);
        let word: u32 = self.record(globs.filter, bit / 32);
        if word >> (bit % 32) & 1 == 0 {
            return 0;
        }
        let end = self.trie(&globs.names, name);
        if end.consumed < name.len() {
            return 0;
        }
        let place: Place = self.record(globs.names.places, end.node);
        if slash >= 2 {
            place.exact
        } else {
            place.exact_globs
        }
    }

    /// All rows of a path: that of paths and directories first.
    fn rows_of_path(&self, trie: &Trie, globs: &Globs, path: &[u8]) -> Vec<u32> {
        let end = self.trie(trie, path);
        let place: Place = self.record(trie.places, end.node);
        let mut rows = vec![self.value(trie, &end, path)];
        if end.consumed == path.len() {
            rows.push(place.exact_globs);
        } else {
            rows.extend(self.pattern_rows(globs, place.globs, path, &path[end.consumed..]));
        }
        rows
    }

    fn row(&self, number: u32) -> [u32; 4] {
        if number >> 30 == LEAF {
            return [number, 0, 0, 0];
        }
        assert!(number < self.head.row_count);
        self.record(self.head.rows, number)
    }

    fn exceptions(&self, list: u32) -> Vec<[u32; 2]> {
        assert!(list < self.head.exception_list_count);
        let [first, count]: [u32; 2] = self.record(self.head.exception_lists, list);
        (first..first + count)
            .map(|number| self.record(self.head.exceptions, number))
            .collect()
    }

    fn leaf(&self, entry: u32, list: u32, source: u32, question: Question<'_>) -> Option<u32> {
        let exceptions = self.exceptions(list);
        assert!(exceptions.is_sorted_by(|a, b| a[0] < b[0]));
        let found = exceptions
            .iter()
            .find(|[class, _]| *class == source && source != 0);
        let mut entry = found.map_or(entry, |[_, entry]| *entry);
        loop {
            let number = entry & 0x3fff_ffff;
            entry = match entry >> 30 {
                LEAF => return Some(entry),
                BLOCK => {
                    let block: [u32; 8] = self.record(self.head.blocks, number);
                    block[question.holding as usize]
                }
                TEST => {
                    let [list, fails, holds, _]: [u32; 4] = self.record(self.head.tests, number);
                    if self.args_hold(list, question.args) {
                        holds
                    } else {
                        fails
                    }
                }
                _ => return None,
            };
        }
    }

    fn args_hold(&self, list: u32, args: &[std::borrow::Cow<'_, [u8]>]) -> bool {
        let [first, count]: [u32; 2] = self.record(self.head.lists, list);
        let allowed: Vec<[u32; 4]> = (first..first + count)
            .map(|number| self.record(self.head.arguments, number))
            .collect();
        assert!(allowed.is_sorted_by_key(|argument| argument[0]));
        args.iter().all(|arg| {
            allowed.iter().any(|[hash, start, len, _]| {
                *hash == fnv1a(arg) && self.text(self.head.text + start, *len) == arg.as_ref()
            })
        })
    }

    fn answer(&self, rows: &[u32], source: u32, question: Question<'_>) -> Decision {
        let bit = 1 << question.class as u32;
        let watches = !question.mapping && self.head.watches & bit != 0;
        let (mut base, mut patterns, mut watch) = (None, None, None);
        for (place, number) in rows.iter().enumerate() {
            let [grant, grant_list, watching, watch_list] = self.row(*number);
            let grant = self.leaf(grant, grant_list, source, question);
            if place == 0 {
                base = grant;
            } else {
                patterns = join(patterns, grant);
            }
            if watches {
                watch = first_to_watch(watch, self.leaf(watching, watch_list, source, question));
            }
        }
        let grant = put_upon(base, patterns);
        let mut decision = match grant {
            Some(leaf) if denies(leaf) => {
                return Decision::by_rule(Verdict::Block, rule(leaf));
            }
            _ if question.mapping => return Decision::ALLOW,
            Some(leaf) => Decision::by_rule(Verdict::Allow, rule(leaf)),
            None if self.head.allow_list & bit != 0 => {
                Decision::by_posture(self.posture(question.class))
            }
            None => Decision::ALLOW,
        };
        if let Some(leaf) = watch
            && decision.verdict != Verdict::Block
        {
            decision = Decision::by_rule(Verdict::Audit, rule(leaf));
        }
        decision
    }

    fn posture(&self, class: Class) -> Verdict {
        match self.head.postures >> (2 * class as u32) & 3 {
            0 => Verdict::Allow,
            1 => Verdict::Audit,
            _ => Verdict::Block,
        }
    }

    fn ask(&self, rows: &[u32], source: Option<&[u8]>, question: Question<'_>) -> Decision {
        if self.head.sources_trivial == 1 {
            return self.answer(rows, 0, question);
        }
        if let Some(path) = source {
            let end = self.trie(&self.head.sources, path);
            let class = self.value(&self.head.sources, &end, path);
            return self.answer(rows, class, question);
        }
        let mut classes = self.head.unnamed.to_vec();
        for number in rows {
            let [_, grants, _, watches] = self.row(*number);
            for list in [grants, watches] {
                classes.extend(self.exceptions(list).iter().map(|[class, _]| *class));
            }
        }
        let decisions = classes
            .iter()
            .map(|class| self.answer(rows, *class, question));
        decisions.reduce(stricter).unwrap()
    }

    fn unresolvable(&self, class: Class) -> Decision {
        let bit = 1 << class as u32;
        if (self.head.allow_list | self.head.can_deny) & bit == 0 {
            return Decision::ALLOW;
        }
        Decision::by_posture(self.posture(class).max(Verdict::Audit))
    }

    /// The decision; `None` for what programs never see.
    pub(crate) fn decide(&self, event: &Event<'_>) -> Option<Decision> {
        let decision = self.decide_enforced(event)?;
        let verdict = match decision.verdict {
            Verdict::Block if self.head.audited == 1 => Verdict::Audit,
            verdict => verdict,
        };
        Some(Decision {
            verdict,
            ..decision
        })
    }

    fn decide_enforced(&self, event: &Event<'_>) -> Option<Decision> {
        let class = event.operation.class();
        let reading = matches!(event.operation, Operation::Read { .. });
        let mut question = Question {
            class,
            mapping: false,
            holding: u32::from(event.is_owner())
                | u32::from(reading) << 1
                | u32::from(!event.tty) << 2,
            args: &[],
        };
        let head = &self.head;
        let source = event.source.bytes();
        let allow_list = head.allow_list & 1 << Class::Process as u32 != 0;
        let (trie, globs) = match &event.operation {
            Operation::Read { .. } | Operation::Write { .. } => (&head.file, &head.file_globs),
            Operation::Exec { args, .. } => {
                question.args = args;
                (&head.process, &head.process_globs)
            }
            Operation::MapExec { .. } if allow_list => {
                question.mapping = true;
                (&head.mapping, &head.mapping_globs)
            }
            Operation::MapExec { .. } => {
                question.mapping = true;
                (&head.process, &head.process_globs)
            }
            Operation::Socket(socket) if !socket.in_class() => return Some(Decision::ALLOW),
            Operation::Socket(socket) => {
                let row: u32 = self.record(head.network, profile(socket));
                return Some(self.ask(&[row], source, question));
            }
            Operation::Capability(capability) => {
                let number = u32::from(capability.number());
                assert!(number < head.capability_count);
                let row: u32 = self.record(head.capabilities, number);
                return Some(self.ask(&[row], source, question));
            }
            Operation::Preset(preset) => {
                let place = Preset::ALL
                    .iter()
                    .position(|known| known == preset)
                    .unwrap();
                let row: u32 = self.record(head.presets, place as u32);
                return Some(self.ask(&[row], source, question));
            }
            Operation::Dns { domain } => {
                let labels = domain.strip_suffix('.').unwrap_or(domain).rsplit('.');
                let mut path: String = labels
                    .filter(|label| !label.is_empty())
                    .map(|label| format!("/{}", label.to_ascii_lowercase()))
                    .collect();
                if path.is_empty() {
                    path.push('/');
                }
                let end = self.trie(&head.dns, path.as_bytes());
                let row = self.value(&head.dns, &end, path.as_bytes());
                return Some(self.ask(&[row], source, question));
            }
            _ => return None,
        };
        let path = event.operation.file()?;
        Some(match path.bytes() {
            Some(path) => self.ask(&self.rows_of_path(trie, globs, path), source, question),
            None if path.is_nameless() && class == Class::File => Decision::ALLOW,
            None => self.unresolvable(class),
        })
    }

    /// What renaming a directory says of all that rules name below it, by a subject with this source
    /// and without a terminal.
    pub(crate) fn decide_below(&self, directory: &str, source: &str) -> Decision {
        let path = format!("{directory}/");
        let trie = &self.head.file;
        let end = self.trie(trie, path.as_bytes());
        let node = match end.ended_in {
            Some(node) => node,
            None if end.consumed == path.len() => end.node,
            None => return Decision::ALLOW,
        };
        let place: Place = self.record(trie.places, node);
        assert!(place.below < self.head.below_list_count);
        let [first, count]: [u32; 2] = self.record(self.head.below_lists, place.below);
        let question = Question {
            class: Class::File,
            mapping: false,
            holding: 4,
            args: &[],
        };
        (first..first + count)
            .map(|number| self.record::<[u32; 2]>(self.head.below_pairs, number))
            .map(|pair| self.ask(&pair, Some(source.as_bytes()), question))
            .reduce(stricter)
            .unwrap_or(Decision::ALLOW)
    }
}

/// The stricter of two decisions; the smaller rule, then the posture, goes first.
pub(crate) fn stricter(a: Decision, b: Decision) -> Decision {
    let order = |decision: &Decision| match decision.cause {
        Cause::Rule(rule) => u64::from(rule.0),
        Cause::Posture => 1 << 32,
        Cause::None => 2 << 32,
    };
    let b_wins = b.verdict > a.verdict || (b.verdict == a.verdict && order(&b) < order(&a));
    if b_wins { b } else { a }
}

const fn denies(leaf: u32) -> bool {
    leaf >> 24 & 1 == 1
}

const fn rule(leaf: u32) -> RuleId {
    RuleId(leaf & 0xff_ffff)
}

const fn rank(leaf: u32) -> u32 {
    leaf >> 25 & 7
}

fn deny_wins(a: u32, b: u32) -> u32 {
    match (denies(a), denies(b)) {
        (true, false) => a,
        (false, true) => b,
        _ if rule(a) <= rule(b) => a,
        _ => b,
    }
}

fn join(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    let (Some(a), Some(b)) = (a, b) else {
        return a.or(b);
    };
    Some(match (rank(a) < 4, rank(b) < 4) {
        (true, false) => a,
        (false, true) => b,
        _ => deny_wins(a, b) & !(7 << 25) | rank(a).min(rank(b)) << 25,
    })
}

fn put_upon(base: Option<u32>, patterns: Option<u32>) -> Option<u32> {
    let (Some(base), Some(patterns)) = (base, patterns) else {
        return base.or(patterns);
    };
    let yields = rank(patterns) & 3 == 2 && rank(base) == rank(patterns) + 1;
    Some(if rank(base) < rank(patterns) {
        base
    } else if denies(base) && yields {
        deny_wins(base, patterns)
    } else {
        patterns
    })
}

fn first_to_watch(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    let key = |leaf: u32| (rank(leaf) + u32::from(rank(leaf) & 3 == 1), rule(leaf));
    match (a, b) {
        (Some(a), Some(b)) if key(b) < key(a) => Some(b),
        _ => a.or(b),
    }
}

/// The number of a socket's profile.
fn profile(socket: &Socket) -> u32 {
    let types = [1, 2, 3, 4, 5, 6];
    let protocols = [0, 6, 17, 132, 33, 1, 58];
    let place = |list: &[u32], wanted: u32| {
        list.iter()
            .position(|known| *known == wanted)
            .unwrap_or(list.len()) as u32
    };
    let protocol = if socket.protocol == 262 {
        6
    } else {
        socket.protocol
    };
    match socket.family {
        2 | 10 => place(&types, socket.socket_type) * 8 + place(&protocols, protocol),
        17 => 56,
        _ => 57,
    }
}
