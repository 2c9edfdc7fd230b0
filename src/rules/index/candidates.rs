//! A set of rules that is emptied in order, which is the order of rank.

use std::ops::ControlFlow;

/// Empty before and after each message.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// A bit for each rule.
    words: Vec<u64>,
    /// A bit for each word that is not zero.
    summary: Vec<u64>,
    /// By layer: the last message that asked it.
    visited: Vec<u32>,
    message: u32,
}

impl Candidates {
    /// Makes room for the rules and layers of an index.
    pub(crate) fn fit(&mut self, rules: usize, layers: usize) {
        let words = rules.div_ceil(64);
        if self.words.len() != words {
            self.words.resize(words, 0);
            self.summary.resize(words.div_ceil(64), 0);
        }
        if self.visited.len() < layers {
            self.visited.resize(layers, 0);
        }
        self.message = self.message.wrapping_add(1);
        if self.message == 0 {
            self.visited.fill(0);
            self.message = 1;
        }
    }

    /// Whether this is the first time for this message.
    pub(crate) fn visit(&mut self, layer: u32) -> bool {
        std::mem::replace(&mut self.visited[layer as usize], self.message) != self.message
    }

    #[inline]
    pub(crate) fn insert_all(&mut self, rules: &[u32]) {
        for rule in rules {
            self.insert(*rule);
        }
    }

    #[inline]
    pub(crate) fn insert(&mut self, rule: u32) {
        let word = rule as usize / 64;
        self.words[word] |= 1 << (rule % 64);
        self.summary[word / 64] |= 1 << (word % 64);
    }

    /// Empties the set, smallest first, until `visit` says stop.
    #[inline]
    pub(crate) fn drain(&mut self, mut visit: impl FnMut(u32) -> ControlFlow<()>) {
        let mut is_stopped = false;
        for (above, summary) in self.summary.iter_mut().enumerate() {
            if *summary == 0 {
                continue;
            }
            let mut left = std::mem::take(summary);
            while left != 0 {
                let word = above * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let mut bits = std::mem::take(&mut self.words[word]);
                while bits != 0 && !is_stopped {
                    let rule = word * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    is_stopped = visit(u32::try_from(rule).expect("was a u32")).is_break();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
