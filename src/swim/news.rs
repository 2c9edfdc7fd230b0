//! Whose data is still to be told, and how often.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A queue of members: those told least often first.
#[derive(Debug, Default)]
pub(crate) struct News {
    left: BTreeMap<u64, u8>,
    queue: BTreeSet<(Reverse<u8>, u64)>,
}

impl News {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// There is something new of `member`, to be told `times`.
    pub(crate) fn put(&mut self, member: u64, times: u8) {
        self.remove(member);
        self.left.insert(member, times);
        self.queue.insert((Reverse(times), member));
    }

    pub(crate) fn remove(&mut self, member: u64) {
        if let Some(left) = self.left.remove(&member) {
            self.queue.remove(&(Reverse(left), member));
        }
    }

    /// Members whose data fit into `room` together, each of which is so told once more.
    pub(crate) fn take(
        &mut self,
        mut room: usize,
        bytes_of: impl Fn(u64) -> Option<usize>,
    ) -> Vec<u64> {
        let mut taken = Vec::new();
        for (_, member) in &self.queue {
            // Of a member that is forgotten there is nothing to tell.
            let bytes = bytes_of(*member).unwrap_or(0);
            if bytes > room {
                break;
            }
            room -= bytes;
            taken.push(*member);
        }
        for member in &taken {
            let left = self.left.get(member).map_or(0, |left| left - 1);
            self.remove(*member);
            if left > 0 && bytes_of(*member).is_some() {
                self.put(*member, left);
            }
        }
        taken.retain(|member| bytes_of(*member).is_some());
        taken
    }
}
