//! What gossip costs: bytes and CPU per node and second, of whole clusters in one thread. Bytes are
//! exact (datagrams, without the headers of IP and UDP). CPU is the process's, the world's own share
//! of it included, the kernel's for sockets not. `cargo bench -p distric-swim --bench gossip -- 1000`
//! for another number of nodes.

use std::time::Duration;
use swim as gossip;
use world::{World, data};

#[allow(dead_code, reason = "the tests of swim use more of it")]
#[path = "../src/swim/tests/world.rs"]
mod world;

const AT_REST: Duration = Duration::from_mins(1);

fn main() {
    let nodes = std::env::args().find_map(|nodes| nodes.parse().ok()).unwrap_or(100);
    let mut world = World::new(1, &[0, 1, 2]);
    for _ in 0..nodes {
        world.add();
    }
    println!("{nodes} nodes");
    measure(&mut world, "starting together, until all know all", |world| {
        world.run_until(Duration::from_mins(1), World::is_right).expect("they find together");
    });
    world.run(Duration::from_secs(30));
    measure(&mut world, "at rest", |world| world.run(AT_REST));
    let mut term = 0;
    measure(&mut world, "one of them changes its data each second", |world| {
        for _ in 0..30 {
            term += 1;
            let changed = gossip::MemberData { leader_term: term, ..data(0) };
            world.set_data(0, &changed);
            world.run(Duration::from_secs(1));
        }
    });
    measure(&mut world, "every node's load changes by half each ten seconds", |world| {
        for step in 0..60_u16 {
            for node in (0..nodes).skip(usize::from(step % 10)).step_by(10) {
                let load_permille = if step % 20 < 10 { 700 } else { 200 };
                world.set_data(node, &gossip::MemberData { load_permille, ..data(node) });
            }
            world.run(Duration::from_secs(1));
        }
    });
    world.network.loss_permille = 50;
    measure(&mut world, "one datagram in twenty is lost", |world| world.run(AT_REST));
}

#[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn measure(world: &mut World, what: &str, run: impl FnOnce(&mut World)) {
    let (cpu, traffic, began) = (cpu_nanos(), world.traffic, world.now());
    run(world);
    let time = world.now().checked_sub(began).expect("time goes on").as_secs_f64();
    let per = |count: u64| count as f64 / time / world.nodes.len() as f64;
    let datagrams = per(world.traffic.datagrams - traffic.datagrams);
    let bytes = per(world.traffic.bytes - traffic.bytes);
    let cpu = per(cpu_nanos() - cpu) / 1_000.0;
    println!(
        "  {what} ({time:.1} s): {bytes:.0} bytes/s, {datagrams:.1} datagrams/s, \
         {cpu:.0} us of CPU/s a node"
    );
}

/// CPU time of this thread, the only one.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("its first number")
}
