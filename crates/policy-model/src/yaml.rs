//! YAML text into trees with places; the only module that knows a YAML parser.
//!
//! It drives granit-parser, the event parser below serde-saphyr, and not serde-saphyr itself:
//! through serde a scalar's spelling is lost (`5` and `"5"`, `yes` and `"yes"` come out alike once
//! a type is asked for), a key's place costs a detour through four synthetic fields, and an error
//! loses the whole stream. Events carry style, tag and exact place, and the tree is built
//! without recursion.
//!
//! A stream is cut at its document markers before it is parsed. YAML forbids a line that
//! starts with `---` or `...` inside any content (`c-forbidden`), so the cut is exact, and an
//! error in one document can't lose another.

mod chunks;
mod merge;

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::diagnostic::Code;
use crate::limits::Limits;
use crate::node::{Node, Place, Scalar, ScalarKind, Value};
use chunks::Chunk;

/// One document of a stream.
#[derive(Debug)]
pub(crate) struct YamlDocument {
    /// The tree; after an error, what had been read of it.
    pub(crate) root: Option<Node>,
    pub(crate) error: Option<YamlError>,
}

/// Why a document can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) place: Place,
}

impl YamlError {
    fn limit(place: Place, message: String) -> Self {
        Self {
            code: Code::LimitExceeded,
            message,
            help: Some("split the file, or raise the limit".to_owned()),
            place,
        }
    }
}

/// Reads every document of a stream; empty ones are left out. `damaged` says that the text had
/// bytes that are not UTF-8, each replaced by U+FFFD.
pub(crate) fn parse(text: &str, damaged: bool, limits: &Limits) -> Vec<YamlDocument> {
    let mut documents = Vec::new();
    let mut budget = Budget {
        nodes: limits.nodes,
        bytes: limits.bytes,
        limits: *limits,
    };
    for chunk in chunks::split(text) {
        if documents.len() >= limits.documents {
            documents.push(YamlDocument {
                root: None,
                error: Some(YamlError::limit(
                    chunk.start(),
                    format!("the file has more than {} documents", limits.documents),
                )),
            });
            break;
        }
        if let Some(error) = chunks::forbidden_character(&chunk, damaged) {
            documents.push(YamlDocument {
                root: None,
                error: Some(error),
            });
            continue;
        }
        parse_chunk(&chunk, limits, &mut budget, &mut documents);
    }
    documents
}

/// What may still be read of one file.
#[derive(Debug, Clone, Copy)]
struct Budget {
    nodes: usize,
    bytes: usize,
    /// What there was at the beginning.
    limits: Limits,
}

impl Budget {
    fn take(&mut self, cost: Cost, place: Place) -> Result<(), YamlError> {
        let over = |limit, what| {
            YamlError::limit(
                place,
                format!("the file has more than {limit} {what} once its aliases are expanded"),
            )
        };
        self.nodes = self
            .nodes
            .checked_sub(cost.nodes)
            .ok_or_else(|| over(self.limits.nodes, "keys and values"))?;
        self.bytes = self
            .bytes
            .checked_sub(cost.bytes)
            .ok_or_else(|| over(self.limits.bytes, "bytes of text"))?;
        Ok(())
    }
}

/// What a tree costs.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    nodes: usize,
    bytes: usize,
}

impl Cost {
    const fn plus(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.saturating_add(other.nodes),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

/// Parses one chunk, up to its first error.
fn parse_chunk(
    chunk: &Chunk<'_>,
    limits: &Limits,
    budget: &mut Budget,
    documents: &mut Vec<YamlDocument>,
) {
    let depth = limits.depth.min(Limits::MAX_DEPTH);
    let mut options = granit_parser::options! {
        // Each counts one style of nesting; the tree counts both together.
        flow_nesting_limit: depth,
        block_nesting_limit: depth,
    };
    options.set_emit_comments(false);
    let mut builder = Builder::new(chunk, depth, limits.aliases, budget);
    for event in Parser::new_from_str_with_options(chunk.text, options) {
        let step = match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => Err(syntax_error(&error, chunk, depth)),
        };
        match step {
            Ok(Some(root)) => documents.push(YamlDocument {
                root: Some(root),
                error: None,
            }),
            Ok(None) => {}
            Err(error) => {
                documents.push(YamlDocument {
                    root: builder.into_partial(),
                    error: Some(error),
                });
                return;
            }
        }
    }
}

/// A list or an object that is still being read.
struct Frame {
    node: Node,
    key: Option<Node>,
    anchor: usize,
    cost: Cost,
    merges: bool,
}

struct Builder<'a, 'b> {
    chunk: &'a Chunk<'a>,
    budget: &'b mut Budget,
    depth: usize,
    /// How many more may stand in the document.
    aliases: usize,
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Node, Cost)>,
    root: Option<Node>,
}

impl<'a, 'b> Builder<'a, 'b> {
    fn new(chunk: &'a Chunk<'a>, depth: usize, aliases: usize, budget: &'b mut Budget) -> Self {
        Self {
            chunk,
            budget,
            depth,
            aliases,
            frames: Vec::new(),
            anchors: HashMap::new(),
            root: None,
        }
    }

    /// Takes one event; gives the tree when the document ends, unless it is empty.
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<Option<Node>, YamlError> {
        let place = self.chunk.place(span);
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.root = None;
            }
            Event::DocumentEnd => {
                return Ok(self.root.take().filter(|root| !root.is_null()));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let cost = Cost {
                    nodes: 1,
                    bytes: text.len(),
                };
                self.budget.take(cost, place)?;
                let scalar = scalar(&text, style, tag.as_deref(), place)?;
                let node = Node {
                    value: Value::Scalar(scalar),
                    place,
                };
                self.complete(node, anchor, cost)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "seq", place)?;
                self.open(Value::List(Vec::new()), anchor, place)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "map", place)?;
                self.open(Value::Map(Vec::new()), anchor, place)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(mut frame) = self.frames.pop() {
                    if frame.merges {
                        merge::expand(&mut frame.node)?;
                    }
                    self.complete(frame.node, frame.anchor, frame.cost)?;
                }
            }
            Event::Alias(id) => {
                self.aliases = self.aliases.checked_sub(1).ok_or_else(|| {
                    YamlError::limit(
                        place,
                        format!(
                            "the document has more than {} aliases",
                            self.budget.limits.aliases
                        ),
                    )
                })?;
                let Some((node, cost)) = self.anchors.get(&id) else {
                    return Err(YamlError {
                        code: Code::Syntax,
                        message: "the alias stands inside of what it repeats".to_owned(),
                        help: None,
                        place,
                    });
                };
                self.budget.take(*cost, place)?;
                let (node, cost) = (node.clone(), *cost);
                self.complete(node, 0, cost)?;
            }
            _ => {}
        }
        Ok(None)
    }

    fn open(&mut self, value: Value, anchor: usize, place: Place) -> Result<(), YamlError> {
        if self.frames.len() >= self.depth {
            return Err(too_deep(place, self.depth));
        }
        let cost = Cost { nodes: 1, bytes: 0 };
        self.budget.take(cost, place)?;
        self.frames.push(Frame {
            node: Node { value, place },
            key: None,
            anchor,
            cost,
            merges: false,
        });
        Ok(())
    }

    /// Puts a finished node into what it stands in.
    fn complete(&mut self, node: Node, anchor: usize, cost: Cost) -> Result<(), YamlError> {
        if anchor != 0 {
            // The copy that later aliases are made from is paid for like an alias.
            self.budget.take(cost, node.place)?;
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.cost = frame.cost.plus(cost);
        match &mut frame.node.value {
            Value::List(items) => items.push(node),
            Value::Map(pairs) => match frame.key.take() {
                None => frame.key = Some(node),
                Some(key) => {
                    frame.merges |= merge::is_merge_key(&key);
                    pairs.push((key, node));
                }
            },
            Value::Scalar(_) => {}
        }
        Ok(())
    }

    /// What has been read of a document that ends in an error.
    fn into_partial(self) -> Option<Node> {
        let mut inner: Option<Node> = None;
        for mut frame in self.frames.into_iter().rev() {
            if let Some(node) = inner.take() {
                match (&mut frame.node.value, frame.key.take()) {
                    (Value::List(items), _) => items.push(node),
                    (Value::Map(pairs), Some(key)) => pairs.push((key, node)),
                    _ => {}
                }
            }
            inner = Some(frame.node);
        }
        inner.or(self.root)
    }
}

fn too_deep(place: Place, depth: usize) -> YamlError {
    YamlError {
        code: Code::LimitExceeded,
        message: format!("lists and objects nest deeper than {depth} levels"),
        help: Some("a policy needs fewer than ten".to_owned()),
        place,
    }
}

/// A scalar with its type: that of its tag, else by its spelling where it is plain.
fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    place: Place,
) -> Result<Scalar, YamlError> {
    let is_plain = matches!(style, ScalarStyle::Plain);
    let kind = match tag {
        None if is_plain => ScalarKind::of_plain(text),
        None => ScalarKind::Text,
        Some(tag) => match core_tag(tag) {
            Some("str") => ScalarKind::Text,
            Some(core @ ("null" | "bool" | "int" | "float")) => {
                let kind = ScalarKind::of_plain(text);
                let fits = match kind {
                    ScalarKind::Null => core == "null",
                    ScalarKind::Bool(_) => core == "bool",
                    ScalarKind::Int(_) => core == "int" || core == "float",
                    ScalarKind::Float => core == "float",
                    ScalarKind::Text => false,
                };
                if !fits {
                    return Err(unsupported_tag(tag, place));
                }
                kind
            }
            _ => return Err(unsupported_tag(tag, place)),
        },
    };
    Ok(Scalar {
        text: text.into(),
        kind,
        plain: is_plain && tag.is_none(),
    })
}

/// The name of a tag of the core schema; `!` alone stands for text.
fn core_tag(tag: &Tag) -> Option<&str> {
    if tag.handle().is_empty() && tag.suffix() == "!"
        || tag.handle() == "!" && tag.suffix().is_empty()
    {
        return Some("str");
    }
    tag.core_suffix()
}

fn collection_tag(tag: Option<&Tag>, core: &str, place: Place) -> Result<(), YamlError> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(core) => Err(unsupported_tag(tag, place)),
        _ => Ok(()),
    }
}

fn unsupported_tag(tag: &Tag, place: Place) -> YamlError {
    YamlError {
        code: Code::Syntax,
        message: format!(
            "the tag `{}` doesn't fit here",
            crate::text::shorten(&tag.original())
        ),
        help: Some("policies need no tags; leave it out".to_owned()),
        place,
    }
}

/// The parser's error, with its place in the file and what to do about the common ones.
fn syntax_error(error: &ScanError, chunk: &Chunk<'_>, depth: usize) -> YamlError {
    let marker = error.marker();
    let place = chunk.place_at(marker.line(), marker.col());
    let tab = match error.kind() {
        ErrorKind::RecursionLimitExceeded => return too_deep(place, depth),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => Some(
            chunk
                .indenting_tab(marker.line(), usize::MAX)
                .unwrap_or(place),
        ),
        _ => chunk.indenting_tab(marker.line(), 0),
    };
    if let Some(place) = tab {
        return YamlError {
            code: Code::Syntax,
            message: "a tab stands in the indentation".to_owned(),
            help: Some("YAML allows no tabs there; use spaces".to_owned()),
            place,
        };
    }
    let help = match error.kind() {
        ErrorKind::UnknownAnchor => Some("give the anchor (`&name`) before the alias (`*name`)"),
        ErrorKind::InvalidSimpleKey | ErrorKind::SimpleKeyExpected => {
            Some("a key needs a `:` and a space after it; check the indentation")
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidIndentation => {
            Some("check the indentation; a value that holds `: ` needs quotes")
        }
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::ExpectedBlockSequenceEntry => Some(
            "check the indentation; the keys of one object, and the `-` of one list, begin in one column",
        ),
        ErrorKind::UnclosedQuotedScalar => Some("close the quotes"),
        ErrorKind::UnclosedFlowCollection { .. } => {
            Some("close it, or quote the value if it is meant as text")
        }
        _ => None,
    };
    YamlError {
        code: Code::Syntax,
        message: error.info().trim_end_matches('.').to_owned(),
        help: help.map(str::to_owned),
        place,
    }
}

/// Writes a tree as one YAML document. Strings that any reader of YAML could take for something
/// else are quoted; long ones aren't folded, and those of several lines become blocks.
pub(crate) fn emit(tree: &impl serde::Serialize) -> String {
    let options = serde_saphyr::ser_options! {
        folded_wrap_chars: usize::MAX,
    };
    // Writing objects, lists and scalars into a string doesn't fail. JSON, which is YAML, is
    // what is left if it ever did.
    serde_saphyr::to_string_with_options(tree, options)
        .or_else(|_| serde_json::to_string(tree))
        .unwrap_or_default()
}
