//! SIGKILL: nothing that was answered is lost, nothing is there twice.

use crate::audit;
use crate::endpoint::Endpoint;
use crate::load::{Load, Mix, Style, put_workflows};
use crate::server::Place;
use base::Prng;

const KILLS: u32 = 12;

const MIX: Mix = Mix {
    clients: &[
        Style::Single(1),
        Style::Single(1),
        Style::Single(1),
        Style::Single(4),
        Style::Single(16),
        Style::Batch(20),
    ],
    shares: [8, 6, 2, 2],
    padding: 0,
    keyed: 2,
};

#[test]
fn every_message_answered_202_is_there_once_after_kill_9_again_and_again() {
    // Small enough that the journal is cut, and nodes start from snapshots, all the time.
    let place = Place::new(&["snapshot_journal=1MiB"]);
    let endpoint = Endpoint::start();
    let mut server = place.start();
    put_workflows(&server, &endpoint);
    // When a process is hit is the kernel's choice anyway; the seed only spreads the moments.
    let mut random = Prng::new(u64::from(std::process::id()));
    let load = Load::start(place.address, MIX, random.next_u64() >> 1);

    for round in 0..KILLS {
        load.after(50 + random.below(2_000));
        server.kill();
        if round % 2 == 1 {
            // Hit while it reads its log as well.
            place.spawn().kill();
        }
        server = place.start();
    }
    load.after(100);
    let refusals = load.refusals();
    let ledger = load.end();
    server.kill();
    let server = place.start();

    println!(
        "{KILLS} kills: {} accepted, {} duplicates, {} unknown, {} refused {refusals:?}, {} calls",
        ledger.accepted.len(),
        ledger.duplicates,
        ledger.unknown.len(),
        ledger.refused.len(),
        endpoint.calls().len(),
    );
    assert!(ledger.duplicates > 0, "keys were repeated");
    assert!(!ledger.unknown.is_empty(), "answers were lost");
    audit::every_accepted_message_is_there(&server, &ledger);
    audit::every_instance_completes_once(&server, &ledger, &endpoint);
}
