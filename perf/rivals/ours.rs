//! Our matcher.

use crate::Engine;
use crate::workloads::Workload;
use anyhow::Result;
use rules::{Catalogue, Matcher, Matches};
use std::time::Duration;

pub(crate) struct Ours {
    catalogue: Catalogue,
    matcher: Matcher,
    matches: Matches,
}

pub(crate) struct Facts {
    pub(crate) compile: Duration,
    pub(crate) table_bytes: usize,
    /// To change one rule while as many changes as there may be wait for a merge.
    pub(crate) change: Duration,
}

impl Ours {
    pub(crate) fn new(workload: &Workload, clock: fn() -> Duration) -> (Self, Facts) {
        let rules = workload.rules();
        let start = clock();
        let mut catalogue = Catalogue::compile(rules.clone());
        let compile = clock().saturating_sub(start);
        let table_bytes = catalogue.table_bytes();
        let whole = catalogue.clone();
        let mut change = Duration::ZERO;
        for rule in rules.chunks(1) {
            let start = clock();
            let next = catalogue.with_change(rule, &[]);
            if next.needs_merge() {
                break;
            }
            change = clock().saturating_sub(start);
            catalogue = next;
        }
        let facts = Facts { compile, table_bytes, change };
        let catalogue = whole;
        (Self { catalogue, matcher: Matcher::new(), matches: Matches::new() }, facts)
    }
}

impl Engine for Ours {
    fn matches(&mut self, message: &[u8]) -> Result<usize> {
        self.matcher.matches(&self.catalogue, message, &mut self.matches)?;
        Ok(self.matches.len())
    }

    fn looked_at(&self) -> usize {
        self.matcher.looked_at()
    }
}
