//! The fields that some rule asks for, as a tree of keys and indexes: the scanner walks it beside the
//! message and skips what nobody asks for.
//!
//! Invariants:
//! - A node keeps its number when the tree grows, also in a copy that grew.
//! - The children of a node that are indexes come in their order, the negative ones last.

use crate::hash;
use crate::path::{FieldPath, KEYS_MAX, PathStep, escape};
use crate::rule::Condition;
use expr::Expression;
use hashbrown::HashTable;
use std::fmt::Write;

/// A node of the tree: one path from the message's top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PathIndex(pub(crate) u32);

impl PathIndex {
    /// The message itself. Nobody's child: where a child is expected, none.
    pub(crate) const ROOT: Self = Self(0);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: PathIndex,
    /// Its key is `keys[start..end]`.
    start: u32,
    end: u32,
    hash: u64,
}

/// What is asked of a node only where the message has an array.
#[derive(Clone, Copy, Debug)]
struct Links {
    /// The first child that is an index.
    first_index: PathIndex,
    /// Of an index: the next one beside it.
    next_index: PathIndex,
    /// How many children are keys.
    keys: u32,
    /// Of an index: which. A negative one is as large as none that an element has.
    index: Option<u32>,
    /// Whether somebody asks for any element of an array that stands here, or for what is in it.
    has_elements: bool,
}

const NO_LINKS: Links = Links {
    first_index: PathIndex::ROOT,
    next_index: PathIndex::ROOT,
    keys: 0,
    index: None,
    has_elements: false,
};

/// Flat tables: a copy of them is a copy of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    nodes: Vec<Node>,
    links: Vec<Links>,
    keys: String,
    /// By node: which of 64 classes of keys its children have. Most keys of a message are nobody's
    /// child, and this says so without a hash.
    classes: Vec<u64>,
    children: HashTable<PathIndex>,
}

#[inline]
fn class(key: &[u8]) -> u64 {
    let (first, last) = match key {
        [] => (0, 0),
        [first, ..] => (*first, key[key.len() - 1]),
    };
    let mixed = key.len() ^ (usize::from(first) << 1) ^ (usize::from(last) << 3);
    1 << (mixed % 64)
}

#[inline]
fn hash(parent: PathIndex, key: &[u8]) -> u64 {
    hash::join(hash::text(key), u64::from(parent.0))
}

/// The order in which indexes are kept: no element has one that is negative.
fn key_of(index: i32) -> u32 {
    index.cast_unsigned()
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("the texts of rules are bounded")
}

impl Default for Paths {
    fn default() -> Self {
        Self::new()
    }
}

impl Paths {
    pub(crate) fn new() -> Self {
        let root = Node { parent: PathIndex::ROOT, start: 0, end: 0, hash: 0 };
        Self {
            nodes: vec![root],
            links: vec![NO_LINKS],
            keys: String::new(),
            classes: vec![0],
            children: HashTable::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node of a field, made if it is not there yet. Arrays that stand there are entered.
    pub(crate) fn intern(&mut self, path: &FieldPath) -> PathIndex {
        let field = path.steps().iter().fold(PathIndex::ROOT, |at, step| match step {
            PathStep::Key(key) => self.intern_key(at, key),
            PathStep::Index(index) => self.intern_index(at, key_of(*index)),
        });
        self.links[field.index()].has_elements = true;
        field
    }

    /// Makes the nodes of all that a condition asks for. Recursion: bounded by the nesting of the
    /// rule's text.
    pub(crate) fn intern_all(&mut self, condition: &Condition) {
        match condition {
            Condition::All(members) | Condition::Any(members) | Condition::None(members) => {
                for member in members {
                    self.intern_all(member);
                }
            }
            Condition::Predicate(predicate) => {
                self.intern(&predicate.field);
            }
            Condition::Expression(condition) => self.intern_expression(&condition.expression),
        }
    }

    /// Makes the nodes of all that an expression refers to.
    pub(crate) fn intern_expression(&mut self, expression: &Expression) {
        for reference in expression.references() {
            self.intern_names(&reference.names[1..]);
        }
    }

    /// Makes the nodes of the way that an expression names. Arrays on it are not entered: an expression
    /// takes them whole.
    fn intern_names(&mut self, names: &[impl AsRef<str>]) {
        let mut at = PathIndex::ROOT;
        // What is longer is looked up in the value that stands there.
        for name in names.iter().take(KEYS_MAX) {
            at = match self.child(at, name.as_ref().as_bytes()) {
                Some(child) => child,
                None => self.insert(at, name.as_ref()),
            };
        }
    }

    fn intern_key(&mut self, at: PathIndex, key: &str) -> PathIndex {
        self.links[at.index()].has_elements = true;
        match self.child(at, key.as_bytes()) {
            Some(child) => child,
            None => self.insert(at, key),
        }
    }

    /// The node of a path, if it is there.
    pub(crate) fn find(&self, path: &FieldPath) -> Option<PathIndex> {
        path.steps().iter().try_fold(PathIndex::ROOT, |at, step| match step {
            PathStep::Key(key) => self.child(at, key.as_bytes()),
            PathStep::Index(index) => {
                self.indexes(at).find(|child| self.index(*child) == Some(key_of(*index)))
            }
        })
    }

    /// The path of a node, as people write it.
    pub(crate) fn name(&self, path: PathIndex) -> String {
        let mut name = String::new();
        for at in self.lineage(path) {
            if let Some(index) = self.index(at) {
                write!(name, "[{}]", index.cast_signed()).expect("a String takes all");
                continue;
            }
            let node = &self.nodes[at.index()];
            let key = &self.keys[node.start as usize..node.end as usize];
            let dot = if name.is_empty() { "" } else { "." };
            write!(name, "{dot}{}", escape(key)).expect("a String takes all");
        }
        name
    }

    fn insert(&mut self, parent: PathIndex, key: &str) -> PathIndex {
        let hash = hash(parent, key.as_bytes());
        let start = narrow(self.keys.len());
        self.keys.push_str(key);
        self.classes[parent.index()] |= class(key.as_bytes());
        self.links[parent.index()].keys += 1;
        let child = self.push(Node { parent, start, end: narrow(self.keys.len()), hash });
        let nodes = &self.nodes;
        self.children.insert_unique(hash, child, |other| nodes[other.index()].hash);
        child
    }

    fn push(&mut self, node: Node) -> PathIndex {
        let child = PathIndex(narrow(self.nodes.len()));
        self.nodes.push(node);
        self.links.push(NO_LINKS);
        self.classes.push(0);
        child
    }

    fn intern_index(&mut self, parent: PathIndex, index: u32) -> PathIndex {
        let (mut before, mut at) = (None, self.links[parent.index()].first_index);
        while at != PathIndex::ROOT && self.index(at) < Some(index) {
            (before, at) = (Some(at), self.next_index(at));
        }
        if at != PathIndex::ROOT && self.index(at) == Some(index) {
            return at;
        }
        let child = self.push(Node { parent, start: 0, end: 0, hash: 0 });
        self.links[child.index()] = Links { index: Some(index), next_index: at, ..NO_LINKS };
        match before {
            Some(before) => self.links[before.index()].next_index = child,
            None => self.links[parent.index()].first_index = child,
        }
        child
    }

    /// The children of a node that are indexes.
    fn indexes(&self, parent: PathIndex) -> impl Iterator<Item = PathIndex> {
        let some = |at: PathIndex| (at != PathIndex::ROOT).then_some(at);
        let first = some(self.first_index(parent));
        std::iter::successors(first, move |at| some(self.next_index(*at)))
    }

    /// The first child of a node that is an index, or the root.
    #[inline]
    pub(crate) fn first_index(&self, parent: PathIndex) -> PathIndex {
        self.links[parent.index()].first_index
    }

    /// How many keys are asked for where a node stands.
    #[inline]
    pub(crate) fn keys(&self, parent: PathIndex) -> u32 {
        self.links[parent.index()].keys
    }

    /// The index beside one, or the root.
    #[inline]
    pub(crate) fn next_index(&self, index: PathIndex) -> PathIndex {
        self.links[index.index()].next_index
    }

    /// Which index a node is, if it is one.
    #[inline]
    pub(crate) fn index(&self, path: PathIndex) -> Option<u32> {
        self.links[path.index()].index
    }

    /// Whether somebody asks for any element of an array here, or for what is in it.
    #[inline]
    pub(crate) fn has_elements(&self, path: PathIndex) -> bool {
        self.links[path.index()].has_elements
    }

    /// The classes of the keys of a node's children.
    #[inline]
    pub(crate) fn classes(&self, parent: PathIndex) -> u64 {
        self.classes[parent.index()]
    }

    /// Whether a node with such children may have this one.
    #[inline]
    pub(crate) fn may_have(classes: u64, key: &[u8]) -> bool {
        classes & class(key) != 0
    }

    #[inline]
    pub(crate) fn child(&self, parent: PathIndex, key: &[u8]) -> Option<PathIndex> {
        let is_it = |child: &PathIndex| {
            let node = &self.nodes[child.index()];
            node.parent == parent
                && hash::same(&self.keys.as_bytes()[node.start as usize..node.end as usize], key)
        };
        self.children.find(hash(parent, key), is_it).copied()
    }

    /// The nodes from the first key to `path`.
    pub(crate) fn lineage(&self, path: PathIndex) -> Vec<PathIndex> {
        let mut nodes = Vec::new();
        let mut at = path;
        while at != PathIndex::ROOT {
            nodes.push(at);
            at = self.nodes[at.index()].parent;
        }
        nodes.reverse();
        nodes
    }

    /// What the tables take. Unit: bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.links.capacity() * size_of::<Links>()
            + self.keys.capacity()
            + self.classes.capacity() * size_of::<u64>()
            + self.children.allocation_size()
    }
}
