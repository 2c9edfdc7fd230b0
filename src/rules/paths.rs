//! The fields that some rule asks for, as a tree of keys: the scanner walks it beside the message
//! and skips what nobody asks for.
//!
//! Invariant: a node keeps its number when the tree grows, also in a copy that grew.

use crate::hash;
use crate::path::FieldPath;
use hashbrown::HashTable;

/// A node of the tree: one path from the message's top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PathIndex(pub(crate) u32);

impl PathIndex {
    /// The message itself.
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

/// Flat tables: a copy of them is a copy of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    nodes: Vec<Node>,
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
        [first, .., last] => (*first, *last),
        [only] => (*only, *only),
    };
    let mixed = key.len() ^ (usize::from(first) << 1) ^ (usize::from(last) << 3);
    1 << (mixed % 64)
}

#[inline]
fn hash(parent: PathIndex, key: &[u8]) -> u64 {
    hash::join(hash::text(key), u64::from(parent.0))
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("the texts of rules are bounded")
}

impl Paths {
    pub(crate) fn new() -> Self {
        let root = Node { parent: PathIndex::ROOT, start: 0, end: 0, hash: 0 };
        Self {
            nodes: vec![root],
            keys: String::new(),
            classes: vec![0],
            children: HashTable::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node of a path, made if it is not there yet.
    pub(crate) fn intern(&mut self, path: &FieldPath) -> PathIndex {
        let mut at = PathIndex::ROOT;
        for key in path.keys() {
            at = match self.child(at, key.as_bytes()) {
                Some(child) => child,
                None => self.insert(at, key),
            };
        }
        at
    }

    /// The node of a path, if it is there.
    pub(crate) fn find(&self, path: &FieldPath) -> Option<PathIndex> {
        path.keys().try_fold(PathIndex::ROOT, |at, key| self.child(at, key.as_bytes()))
    }

    /// The path of a node, as people write it.
    pub(crate) fn name(&self, path: PathIndex) -> String {
        let key = |path: &PathIndex| {
            let node = &self.nodes[path.index()];
            let key = &self.keys[node.start as usize..node.end as usize];
            key.replace('\\', "\\\\").replace('.', "\\.")
        };
        self.lineage(path).iter().map(key).collect::<Vec<_>>().join(".")
    }

    fn insert(&mut self, parent: PathIndex, key: &str) -> PathIndex {
        let child = PathIndex(narrow(self.nodes.len()));
        let hash = hash(parent, key.as_bytes());
        let start = narrow(self.keys.len());
        self.keys.push_str(key);
        self.classes[parent.index()] |= class(key.as_bytes());
        self.classes.push(0);
        self.nodes.push(Node { parent, start, end: narrow(self.keys.len()), hash });
        let nodes = &self.nodes;
        self.children.insert_unique(hash, child, |other| nodes[other.index()].hash);
        child
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
                && self.keys.as_bytes()[node.start as usize..node.end as usize] == *key
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
            + self.keys.capacity()
            + self.classes.capacity() * size_of::<u64>()
            + self.children.allocation_size()
    }
}
