//! An independent reader of `file_contexts`, written from what libselinux's manual and sources say of
//! it: entries without special characters have the last word, then the last of the file's entries whose
//! expression matches the whole path.

#[derive(Debug)]
enum Node {
    /// A byte of the set.
    Set(Box<[bool; 256]>),
    /// Any number of the node, at least so many.
    Many(Box<Node>, usize),
    /// Alternatives.
    Group(Vec<Vec<Node>>),
    /// Alternatives that must match what follows, which is left where it is.
    Ahead(Vec<Vec<Node>>),
    /// The very end.
    End,
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> u8 {
        let byte = self.text[self.at];
        self.at += 1;
        byte
    }

    fn alternatives(&mut self) -> Vec<Vec<Node>> {
        let mut all = vec![Vec::new()];
        while let Some(next) = self.peek() {
            match next {
                b')' => break,
                b'|' => {
                    self.take();
                    all.push(Vec::new());
                }
                _ => {
                    let node = self.atom();
                    let node = match self.peek() {
                        Some(b'*') => {
                            self.take();
                            Node::Many(Box::new(node), 0)
                        }
                        Some(b'+') => {
                            self.take();
                            Node::Many(Box::new(node), 1)
                        }
                        _ => node,
                    };
                    all.last_mut().unwrap().push(node);
                }
            }
        }
        all
    }

    fn atom(&mut self) -> Node {
        match self.take() {
            b'.' => Node::Set(Box::new([true; 256])),
            b'[' => self.class(),
            b'(' => {
                assert_eq!(self.take(), b'?');
                let kind = self.take();
                let inner = self.alternatives();
                assert_eq!(self.take(), b')');
                match kind {
                    b':' => Node::Group(inner),
                    b'=' => Node::Ahead(inner),
                    other => panic!("(?{}", char::from(other)),
                }
            }
            b'\\' => match self.take() {
                b'z' => Node::End,
                byte => {
                    assert!(!byte.is_ascii_alphanumeric(), "\\{}", char::from(byte));
                    one(byte)
                }
            },
            byte => {
                assert!(!b"*+?{}$^)]".contains(&byte), "{} alone", char::from(byte));
                one(byte)
            }
        }
    }

    fn class(&mut self) -> Node {
        let mut set = Box::new([false; 256]);
        let negated = self.peek() == Some(b'^');
        if negated {
            self.take();
        }
        while self.peek() != Some(b']') {
            let low = self.member();
            let high = if self.peek() == Some(b'-') {
                self.take();
                self.member()
            } else {
                low
            };
            (low..=high).for_each(|byte| set[usize::from(byte)] = true);
        }
        self.take();
        if negated {
            set.iter_mut().for_each(|member| *member = !*member);
        }
        Node::Set(set)
    }

    fn member(&mut self) -> u8 {
        match self.take() {
            b'\\' => {
                assert_eq!(self.take(), b'x');
                let digits = [self.take(), self.take()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        }
    }
}

fn one(byte: u8) -> Node {
    let mut set = Box::new([false; 256]);
    set[usize::from(byte)] = true;
    Node::Set(set)
}

/// All places where the nodes can end, from one place on.
fn ends(nodes: &[Node], text: &[u8], from: usize) -> Vec<usize> {
    let mut places = vec![from];
    for node in nodes {
        let mut next: Vec<usize> = places.iter().flat_map(|at| step(node, text, *at)).collect();
        next.sort_unstable();
        next.dedup();
        places = next;
    }
    places
}

fn step(node: &Node, text: &[u8], at: usize) -> Vec<usize> {
    let any = |alternatives: &[Vec<Node>]| -> Vec<usize> {
        alternatives
            .iter()
            .flat_map(|nodes| ends(nodes, text, at))
            .collect()
    };
    match node {
        Node::Set(set) => match text.get(at) {
            Some(byte) if set[usize::from(*byte)] => vec![at + 1],
            _ => Vec::new(),
        },
        Node::Many(inner, least) => {
            let mut all = if *least == 0 { vec![at] } else { Vec::new() };
            let mut places = vec![at];
            loop {
                let mut next: Vec<usize> = places
                    .iter()
                    .flat_map(|at| step(inner, text, *at))
                    .collect();
                next.retain(|place| !all.contains(place));
                next.sort_unstable();
                next.dedup();
                if next.is_empty() {
                    return all;
                }
                all.extend(&next);
                places = next;
            }
        }
        Node::Group(inner) => any(inner),
        Node::Ahead(inner) => {
            if any(inner).is_empty() {
                Vec::new()
            } else {
                vec![at]
            }
        }
        Node::End => {
            if at == text.len() {
                vec![at]
            } else {
                Vec::new()
            }
        }
    }
}

/// How many components of an expression are literal, as far as newer readers look at it.
fn depth(expression: &str) -> usize {
    let special = |byte: u8| b".^$?*+|[({])}".contains(&byte);
    let mut depth = 0;
    let components: Vec<&str> = expression.split('/').skip(1).collect();
    // The last component is no directory.
    for component in components.iter().take(components.len() - 1) {
        if depth == 3 || component.replace("\\.", "").bytes().any(special) {
            break;
        }
        depth += 1;
    }
    depth
}

struct Entry {
    nodes: Vec<Vec<Node>>,
    depth: usize,
    literal: bool,
    of: String,
}

pub(crate) struct Contexts(Vec<Entry>);

impl Contexts {
    pub(crate) fn new(text: &str) -> Self {
        let mut entries: Vec<Entry> = text
            .lines()
            .map(|line| {
                let mut fields = line.split_ascii_whitespace();
                let expression = fields.next().unwrap();
                let context = fields.next_back().unwrap();
                let mut parser = Parser {
                    text: expression.as_bytes(),
                    at: 0,
                };
                let nodes = parser.alternatives();
                assert_eq!(parser.at, expression.len(), "{expression}");
                let mut quoted = false;
                let special = expression.bytes().any(|byte| {
                    let special = !quoted && b".^$?*+|[({".contains(&byte);
                    quoted = !quoted && byte == b'\\';
                    special
                });
                Entry {
                    nodes,
                    depth: depth(expression),
                    literal: !special,
                    of: context.split(':').nth(2).unwrap().to_owned(),
                }
            })
            .collect();
        // Stable: the order of the file stands among those that are alike.
        entries.sort_by_key(|entry| entry.literal);
        Self(entries)
    }

    fn matching(&self, path: &[u8]) -> impl Iterator<Item = &Entry> {
        self.0.iter().rev().filter(move |entry| {
            let mut alternatives = entry.nodes.iter();
            alternatives.any(|nodes| ends(nodes, path, 0).contains(&path.len()))
        })
    }

    /// The type of a path, as readers up to libselinux 3.7 have it.
    pub(crate) fn of(&self, path: &[u8]) -> Option<&str> {
        self.matching(path).next().map(|entry| entry.of.as_str())
    }

    /// The same as newer readers have it: the entry below most literal directories goes first.
    pub(crate) fn of_by_depth(&self, path: &[u8]) -> Option<&str> {
        let mut best: Option<&Entry> = None;
        for entry in self.matching(path) {
            let key = |entry: &Entry| (entry.literal, entry.depth);
            if best.is_none_or(|best| key(entry) > key(best)) {
                best = Some(entry);
            }
        }
        best.map(|entry| entry.of.as_str())
    }
}
