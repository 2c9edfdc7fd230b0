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
}

impl Ours {
    pub(crate) fn new(workload: &Workload, clock: fn() -> Duration) -> (Self, Facts) {
        let rules = workload.rules();
        let start = clock();
        let catalogue = Catalogue::compile(rules);
        let facts = Facts { compile: clock() - start, table_bytes: catalogue.table_bytes() };
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
