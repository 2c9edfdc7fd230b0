//! Chance that is not: each choice is the next byte of an input, so that who changes a byte changes
//! one choice.

/// What of `base::Prng` the makers of random rules and messages use.
pub(crate) struct Prng(std::vec::IntoIter<u8>);

impl Prng {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(Vec::from(bytes).into_iter())
    }

    /// At the end of the bytes always the largest: what is made then is small.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (u64::from(self.0.next().unwrap_or(u8::MAX)) * bound) >> 8
    }

    pub(crate) fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }
}
