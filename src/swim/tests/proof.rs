//! What is promised of gossip, over many runs. `DISTRIC_GOSSIP_RUNS` asks for more of them.

use super::world::{World, data, id};
use crate::{Happened, MemberData, State};
use std::time::Duration;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How many runs: as promised, or more.
fn runs(promised: u64) -> u64 {
    let asked = option_env!("DISTRIC_GOSSIP_RUNS").and_then(|runs| runs.parse().ok());
    asked.unwrap_or(promised)
}
