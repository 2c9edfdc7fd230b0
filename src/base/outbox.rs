//! Where a pure core puts its effects.

/// A list of effects that the caller owns and empties, so that no core can forget to hand one out
/// and no call allocates once the list has grown.
#[derive(Debug)]
pub struct Outbox<E> {
    effects: Vec<E>,
}

impl<E> Default for Outbox<E> {
    fn default() -> Self {
        Self { effects: Vec::new() }
    }
}

impl<E> Outbox<E> {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an effect behind those already there.
    pub fn push(&mut self, effect: E) {
        self.effects.push(effect);
    }

    /// Takes every effect out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = E> + '_ {
        self.effects.drain(..)
    }

    /// Takes every effect out as a list, leaving an empty outbox.
    pub fn take(&mut self) -> Vec<E> {
        std::mem::take(&mut self.effects)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// How many effects wait.
    pub fn len(&self) -> usize {
        self.effects.len()
    }
}
