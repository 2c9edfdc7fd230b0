//! YAML 1.2, core schema, from `saphyr-parser`'s events.
//!
//! The parser decides the shape; here it becomes a tree, bounded: aliases are copied, so every
//! copy counts. Plain scalars are typed by the core schema (YAML 1.2.2, section 10.3) with two
//! refusals of what nobody means: a number with a leading zero, and `.inf`/`.nan`, which JSON
//! cannot say.

mod scalar;

use crate::NODES_MAX;
use crate::fault::{Fault, Source, line_of};
use crate::json::refuse_repeats;
use crate::node::{Entry, Kind, Node, Span};
use base::limits::NESTING_MAX;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn parse(source: Source<'_>) -> Result<Node, Fault> {
    refuse_control_characters(source)?;
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(source.text);
    let mut loader = Loader {
        source,
        frames: Vec::new(),
        root: None,
        anchors: BTreeMap::new(),
        nodes: 0,
        documents: 0,
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, place) = event.map_err(|error| scan_fault(source, &error))?;
        loader.on_event(event, span_of(place.start))?;
    }
    assert!(loader.frames.is_empty(), "the parser closes what it opens");
    Ok(loader.root.unwrap_or(Node { span: Span::START, kind: Kind::Null }))
}

/// YAML has no control characters but tab and line breaks; and the parser takes a NUL for the end,
/// so that a file could be cut without a word.
fn refuse_control_characters(source: Source<'_>) -> Result<(), Fault> {
    let is_refused = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    let Some(at) = source.text.find(is_refused) else { return Ok(()) };
    let span = end_of(&source.text[..at]);
    let code = u32::from(source.text.as_bytes()[at]);
    let what = format!("the control character U+{code:04X} may not stand in YAML");
    Err(Fault::at(source, span, what).hint("remove it, or write it as an escape in double quotes"))
}

/// The place right after the last character.
fn end_of(text: &str) -> Span {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let mut lines = text.split(['\n', '\r']);
    let last = lines.next_back().unwrap_or_default();
    let narrow = |n: usize| u32::try_from(n).expect("texts are bounded");
    Span { line: narrow(lines.count() + 1), column: narrow(last.chars().count() + 1) }
}

fn span_of(marker: Marker) -> Span {
    let narrow = |n: usize| u32::try_from(n).expect("texts are bounded");
    Span { line: narrow(marker.line().max(1)), column: narrow(marker.col() + 1) }
}

/// The parser's refusals in our words where its own tell a newcomer little.
fn scan_fault(source: Source<'_>, error: &ScanError) -> Fault {
    const QUOTE_EXPRESSION: &str = "put the value that holds `${ … }` in double quotes: YAML reads `: `, ` #`, `{` and `,` itself";
    let info = error.info();
    let (what, hint) = match info {
        _ if info.contains("tab") => ("a tab stands where YAML wants spaces", "indent with spaces"),
        "mapping values are not allowed in this context" => (
            "`: ` is not allowed here",
            "put a text that holds `: ` in quotes, or check the indentation",
        ),
        "simple key expect ':'" | "simple key expected" => {
            ("`:` was expected after this key", "a key and its colon stand on one line")
        }
        "while parsing node, found unknown anchor" => {
            ("no anchor of this name was set before", "a text that begins with `*` must be quoted")
        }
        "while parsing a quoted scalar, found unknown escape character" => (
            "no such escape in double quotes",
            "write `\\\\` for a backslash, or use single quotes",
        ),
        "while scanning a quoted scalar, found unexpected end of stream" => {
            ("the quotes that open here are never closed", "close them")
        }
        "while parsing a block mapping, did not find expected key" => (
            "a key was expected here",
            "check the indentation: all keys of a map begin in the same column",
        ),
        "while parsing a block collection, did not find expected '-' indicator" => (
            "`-` was expected here",
            "check the indentation: all elements of a list begin in the same column",
        ),
        _ if info.starts_with("unexpected character") => {
            ("a value cannot begin with this character", "put it in quotes")
        }
        // "while parsing a flow sequence, expected ',' or ']'": the place says the first half.
        other if other.starts_with("while ") => {
            (other.split_once(", ").map_or(other, |(_, rest)| rest), "")
        }
        other => (other, ""),
    };
    let fault = Fault::at(source, place_of(source, error), what);
    let holds_expression = fault.line.as_deref().is_some_and(|line| line.contains("${"))
        || fault.span.line > 1
            && line_of(source.text, fault.span.line - 1).is_some_and(scalar::is_cut);
    if holds_expression {
        fault.hint(QUOTE_EXPRESSION)
    } else if hint.is_empty() {
        fault
    } else {
        fault.hint(hint)
    }
}

/// Where the parser gave up; at the end of the text that is the end of its last line with
/// something on it, and for a tab the tab itself, not what follows.
fn place_of(source: Source<'_>, error: &ScanError) -> Span {
    let mut span = span_of(*error.marker()).min(end_of(source.text.trim_end()));
    let line = line_of(source.text, span.line).unwrap_or_default();
    let before = line.chars().nth((span.column as usize).saturating_sub(2));
    if error.info().contains("tab") && span.column > 1 && before == Some('\t') {
        span.column -= 1;
    }
    span
}

struct Loader<'a> {
    source: Source<'a>,
    /// The collections that are open, outermost first.
    frames: Vec<Frame>,
    root: Option<Node>,
    /// By the parser's number of the anchor. An anchor that is still open is not here yet.
    anchors: BTreeMap<usize, Anchored>,
    /// How many nodes were made, copies included.
    nodes: usize,
    documents: usize,
}

struct Frame {
    span: Span,
    anchor: usize,
    /// `Loader::nodes` when it was opened.
    nodes_before: usize,
    shape: Shape,
}

enum Shape {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Key>, merge: Option<Node> },
}

struct Key {
    text: String,
    span: Span,
    is_merge: bool,
}

struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

impl Loader<'_> {
    fn fault(&self, span: Span, what: impl Into<String>) -> Fault {
        Fault::at(self.source, span, what)
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            let what = format!("the document has more than {NODES_MAX} values, aliases expanded");
            return Err(self.fault(span, what));
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self
                        .fault(span, "a second document begins here")
                        .hint("one file holds one document: use a list instead of `---`"));
                }
                Ok(())
            }
            Event::Scalar(value, style, anchor, tag) => {
                self.on_scalar(&value, style, anchor, tag.as_deref(), span)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", span)?;
                self.open(Shape::List(Vec::new()), anchor, span)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "map", span)?;
                let shape = Shape::Map { entries: Vec::new(), key: None, merge: None };
                self.open(shape, anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.on_alias(anchor, span),
        }
    }

    fn refuse_tag(&self, tag: Option<&Tag>, kind: &str, span: Span) -> Result<(), Fault> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == kind) => Err(self
                .fault(span, format!("the tag `{}{}` is not supported", tag.handle, tag.suffix))
                .hint("remove it, or put a text that begins with `!` in quotes")),
            _ => Ok(()),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { shape: Shape::Map { key: None, .. }, .. }))
    }

    fn open(&mut self, shape: Shape, anchor: usize, span: Span) -> Result<(), Fault> {
        if self.expects_key() {
            return Err(self
                .fault(span, "a key must be text, not a list or a map")
                .hint("put a value that holds `{`, `}` or `${ … }` in quotes"));
        }
        if self.frames.len() == NESTING_MAX {
            return Err(self.fault(span, format!("nested deeper than {NESTING_MAX}")));
        }
        self.frames.push(Frame { span, anchor, nodes_before: self.nodes, shape });
        self.count(1, span)
    }

    fn close(&mut self) -> Result<(), Fault> {
        let frame = self.frames.pop().expect("the parser opens what it closes");
        let kind = match frame.shape {
            Shape::List(nodes) => Kind::List(nodes),
            Shape::Map { mut entries, merge, .. } => {
                refuse_repeats(self.source, &entries)?;
                if let Some(merge) = merge {
                    self.merge(&mut entries, merge)?;
                }
                Kind::Map(entries)
            }
        };
        let nodes = self.nodes - frame.nodes_before;
        self.put(Node { span: frame.span, kind }, frame.anchor, nodes)
    }

    /// `<<: *base` or `<<: [*first, *second]`: adds the entries whose keys are not there yet.
    fn merge(&self, entries: &mut Vec<Entry>, merge: Node) -> Result<(), Fault> {
        let maps = match merge.kind {
            Kind::List(nodes) => nodes,
            kind => vec![Node { span: merge.span, kind }],
        };
        let mut keys: BTreeSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        for map in maps {
            let span = map.span;
            let Kind::Map(more) = map.kind else {
                return Err(self
                    .fault(span, "`<<` merges a map or a list of maps, nothing else")
                    .hint("quote the key if it is meant as text"));
            };
            entries.extend(more.into_iter().filter(|entry| keys.insert(entry.key.clone())));
        }
        Ok(())
    }

    fn on_scalar(
        &mut self,
        value: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Fault> {
        let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
        if !is_text {
            self.refuse_tag(tag, "str", span)?;
        }
        let is_plain = style == ScalarStyle::Plain && !is_text;
        if is_plain && scalar::is_cut(value) {
            return Err(self
                .fault(span, "this expression has no end: YAML has cut it off")
                .hint("put the whole value in double quotes: YAML reads ` #` and `: ` itself"));
        }
        if self.expects_key() {
            return self.on_key(value, is_plain, anchor, span);
        }
        self.count(1, span)?;
        let kind = if is_plain {
            scalar::plain(value)
                .map_err(|refusal| self.fault(span, refusal.what).hint(refusal.hint))?
        } else {
            Kind::Text { value: value.to_owned(), quoted: true }
        };
        self.put(Node { span, kind }, anchor, 1)
    }

    fn on_key(
        &mut self,
        value: &str,
        is_plain: bool,
        anchor: usize,
        span: Span,
    ) -> Result<(), Fault> {
        if anchor != 0 {
            return Err(self.fault(span, "an anchor on a key is not supported"));
        }
        if is_plain && value.is_empty() {
            return Err(self.fault(span, "a key is missing before the `:`"));
        }
        let is_merge = is_plain && value == "<<";
        match self.frames.last_mut() {
            Some(Frame { shape: Shape::Map { key, .. }, .. }) => {
                *key = Some(Key { text: value.to_owned(), span, is_merge });
            }
            _ => unreachable!("a key stands in a map"),
        }
        Ok(())
    }

    fn on_alias(&mut self, anchor: usize, span: Span) -> Result<(), Fault> {
        if self.expects_key() {
            return Err(self.fault(span, "an alias cannot be a key"));
        }
        let Some(Anchored { nodes, depth, .. }) = self.anchors.get(&anchor) else {
            return Err(self.fault(span, "the alias stands inside what it refers to"));
        };
        let (nodes, depth) = (*nodes, *depth);
        if self.frames.len() + depth > NESTING_MAX {
            let what = format!("nested deeper than {NESTING_MAX}, aliases expanded");
            return Err(self.fault(span, what));
        }
        self.count(nodes, span)?; // before the copy is made
        let node = self.anchors[&anchor].node.clone();
        self.put(node, 0, nodes)
    }

    /// Hangs a finished node where it belongs.
    fn put(&mut self, node: Node, anchor: usize, nodes: usize) -> Result<(), Fault> {
        if anchor != 0 {
            self.count(nodes, node.span)?; // what an anchor keeps is a copy too
            let anchored = Anchored { node: node.clone(), nodes, depth: depth_of(&node) };
            self.anchors.insert(anchor, anchored);
        }
        let source = self.source;
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.shape {
            Shape::List(list) => list.push(node),
            Shape::Map { entries, key, merge } => {
                let key = key.take().expect("a value comes after its key");
                if !key.is_merge {
                    entries.push(Entry { key: key.text, key_span: key.span, value: node });
                } else if merge.replace(node).is_some() {
                    return Err(Fault::at(source, key.span, "the key `<<` is here twice")
                        .hint("merge several maps with `<<: [*first, *second]`"));
                }
            }
        }
        Ok(())
    }
}

/// How many collections lie around the innermost node. Recursion: bounded as the tree is.
fn depth_of(node: &Node) -> usize {
    match &node.kind {
        Kind::List(nodes) => 1 + nodes.iter().map(depth_of).max().unwrap_or(0),
        Kind::Map(entries) => {
            1 + entries.iter().map(|entry| depth_of(&entry.value)).max().unwrap_or(0)
        }
        _ => 0,
    }
}
