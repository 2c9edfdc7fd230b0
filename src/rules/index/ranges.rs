//! Which ranges hold a value: the values that ranges begin or end at divide all values into
//! stretches, and the ranges over a stretch stand together.
//!
//! A range over many stretches stands at the nodes of a tree over them (a segment tree), so that
//! ten thousand ranges without an end take `n log n` room and not `n^2`.

/// Rules by ranges of keys, both ends included.
#[derive(Debug)]
pub(crate) struct Ranges {
    /// Where stretches begin, ascending; the first stretch begins at 0 and is not among them.
    bounds: Box<[u64]>,
    /// By node of the tree: where its rules begin in `rules`. One more at the end.
    starts: Box<[u32]>,
    rules: Box<[u32]>,
    /// The leaves of the tree, one per stretch. They are its last nodes; node 1 is the root, node
    /// `n` has `2n` and `2n + 1` below it. A tree that is only leaves has none above them.
    leaves: usize,
    has_inner: bool,
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("the texts of rules are bounded")
}

impl Ranges {
    /// `low`, `high` and rule of each.
    pub(crate) fn of(ranges: &[(u64, u64, u32)]) -> Self {
        let ends = ranges.iter().flat_map(|(low, high, _)| [*low, high.saturating_add(1)]);
        let mut bounds: Vec<u64> = ends.filter(|bound| *bound != 0).collect();
        bounds.sort_unstable();
        bounds.dedup();
        let stretch = |key: u64| bounds.partition_point(|bound| *bound <= key);
        let leaves = bounds.len() + 1;
        let stretches = |(low, high): (u64, u64)| stretch(low)..stretch(high) + 1;
        let covered: usize =
            ranges.iter().map(|(low, high, _)| stretches((*low, *high)).len()).sum();
        // A table of leaves alone is one step instead of `log n`.
        let has_inner = covered > 8 * ranges.len() + 64;
        let mut placed: Vec<(u32, u32)> = Vec::new();
        for (low, high, rule) in ranges {
            let covered = stretches((*low, *high));
            if has_inner {
                let (mut left, mut right) = (covered.start + leaves, covered.end + leaves);
                while left < right {
                    if left % 2 == 1 {
                        placed.push((narrow(left), *rule));
                        left += 1;
                    }
                    if right % 2 == 1 {
                        right -= 1;
                        placed.push((narrow(right), *rule));
                    }
                    left /= 2;
                    right /= 2;
                }
            } else {
                placed.extend(covered.map(|leaf| (narrow(leaf), *rule)));
            }
        }
        placed.sort_unstable();
        let nodes = if has_inner { 2 * leaves } else { leaves };
        let mut starts = Vec::with_capacity(nodes + 1);
        let mut at = 0;
        for node in 0..=narrow(nodes) {
            at += placed[at..].iter().take_while(|(place, _)| *place < node).count();
            starts.push(narrow(at));
        }
        let rules = placed.into_iter().map(|(_, rule)| rule).collect();
        Self { bounds: bounds.into(), starts: starts.into(), rules, leaves, has_inner }
    }

    /// Calls `found` with the rules of all ranges that hold a key.
    #[inline]
    pub(crate) fn at(&self, key: u64, mut found: impl FnMut(&[u32])) {
        let leaf = self.bounds.partition_point(|bound| *bound <= key);
        if !self.has_inner {
            return found(self.rules_of(leaf));
        }
        let mut node = leaf + self.leaves;
        while node > 0 {
            found(self.rules_of(node));
            node /= 2;
        }
    }

    #[inline]
    fn rules_of(&self, node: usize) -> &[u32] {
        &self.rules[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// Unit: bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bounds.len() * size_of::<u64>()
            + (self.starts.len() + self.rules.len()) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests;
