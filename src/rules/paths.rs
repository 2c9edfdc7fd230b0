//! The fields that some rule asks for, as a tree of keys: the scanner walks it beside the message
//! and skips what nobody asks for.

use crate::path::FieldPath;
use base::hash64;
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

#[derive(Debug)]
struct Node {
    parent: PathIndex,
    key: Box<str>,
    /// Which of 64 classes of keys its children have: most keys of a message are nobody's child,
    /// and this says so without a hash.
    classes: u64,
}

#[derive(Debug)]
pub(crate) struct Paths {
    nodes: Vec<Node>,
    children: HashTable<PathIndex>,
}

fn class(key: &str) -> u64 {
    let (first, last) = match key.as_bytes() {
        [] => (0, 0),
        [first, .., last] => (*first, *last),
        [only] => (*only, *only),
    };
    let mixed = key.len() ^ (usize::from(first) << 1) ^ (usize::from(last) << 3);
    1 << (mixed % 64)
}

fn hash(parent: PathIndex, key: &str) -> u64 {
    hash64(key.as_bytes()) ^ u64::from(parent.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Paths {
    pub(crate) fn new() -> Self {
        let root = Node { parent: PathIndex::ROOT, key: "".into(), classes: 0 };
        Self { nodes: vec![root], children: HashTable::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node of a path, made if it is not there yet.
    pub(crate) fn intern(&mut self, path: &FieldPath) -> PathIndex {
        let mut at = PathIndex::ROOT;
        for key in path.keys() {
            at = match self.child(at, key) {
                Some(child) => child,
                None => self.insert(at, key),
            };
        }
        at
    }

    fn insert(&mut self, parent: PathIndex, key: &str) -> PathIndex {
        let child = PathIndex(u32::try_from(self.nodes.len()).expect("texts of rules are bounded"));
        self.nodes[parent.index()].classes |= class(key);
        self.nodes.push(Node { parent, key: key.into(), classes: 0 });
        let nodes = &self.nodes;
        self.children.insert_unique(hash(parent, key), child, |other| {
            let node = &nodes[other.index()];
            hash(node.parent, &node.key)
        });
        child
    }

    pub(crate) fn child(&self, parent: PathIndex, key: &str) -> Option<PathIndex> {
        if self.nodes[parent.index()].classes & class(key) == 0 {
            return None;
        }
        let is_it = |child: &PathIndex| {
            let node = &self.nodes[child.index()];
            node.parent == parent && *node.key == *key
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
}
