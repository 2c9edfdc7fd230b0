use super::{Delivery, Event, Network, Weather};
use base::{Instant, Prng};
use std::collections::BTreeMap;
use std::time::Duration;

/// A network with its own heap.
struct Alone {
    network: Network,
    now: Instant,
    heap: BTreeMap<(Instant, u64), Delivery<u32>>,
    next: u64,
    seen: Vec<Event<u32>>,
}

impl Alone {
    fn new(machines: usize, weather: Weather, seed: u64) -> Self {
        let network = Network::new(machines, weather, Prng::new(seed));
        Self { network, now: Instant(1), heap: BTreeMap::new(), next: 0, seen: Vec::new() }
    }

    fn started(machines: usize, weather: Weather, seed: u64) -> Self {
        let mut alone = Self::new(machines, weather, seed);
        for place in 0..machines {
            alone.act(|network, now, out| network.on_start(now, place, out));
        }
        alone.run(1_000);
        alone.seen.clear();
        alone
    }

    fn act(&mut self, act: impl FnOnce(&mut Network, Instant, &mut super::Under<u32>)) {
        let mut out = Vec::new();
        act(&mut self.network, self.now, &mut out);
        for (at, delivery) in out {
            assert!(at >= self.now, "nothing arrives before it is sent");
            self.next += 1;
            self.heap.insert((at, self.next), delivery);
        }
    }

    fn send(&mut self, from: usize, to: usize, message: u32) {
        self.act(|network, now, out| network.send(now, (from, to), message, out));
    }

    fn run(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(entry) = self.heap.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((at, _), delivery) = entry.remove_entry();
            self.now = at;
            let mut seen = None;
            self.act(|network, now, out| seen = network.on_arrival(now, delivery, out));
            self.seen.extend(seen);
        }
        self.now = until;
    }

    fn messages(&self) -> Vec<u32> {
        let message = |event: &Event<u32>| match event {
            Event::Message { message, .. } => Some(*message),
            _ => None,
        };
        self.seen.iter().filter_map(message).collect()
    }
}

#[test]
fn what_is_sent_in_fine_weather_arrives_in_order() {
    for seed in 0..50 {
        let mut alone = Alone::started(3, Weather::FINE, seed);
        for message in 0..200 {
            alone.send(0, 1, message);
            alone.run(u64::from(message % 3));
        }
        alone.run(1_000);
        assert_eq!(alone.messages(), (0..200).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn a_short_cut_delays_and_a_long_one_ends_the_connection() {
    let mut alone = Alone::started(2, Weather::FINE, 1);
    alone.act(|network, now, out| network.cut(now, 0, 1, out));
    alone.send(0, 1, 7);
    alone.send(1, 0, 8);
    alone.run(100);
    assert_eq!(alone.messages(), [8], "one way only");
    alone.network.heal();
    alone.run(100);
    assert_eq!(alone.messages(), [8, 7]);
    alone.seen.clear();
    alone.act(|network, now, out| network.part(now, &[0], out));
    alone.send(0, 1, 9);
    alone.run(10_000);
    let down = |to, peer| Event::Down { to, peer, refused: false };
    assert!(alone.seen.contains(&down(0, 1)) && alone.seen.contains(&down(1, 0)));
    alone.network.heal();
    alone.run(1_000);
    assert!(alone.network.is_connected(0, 1));
    assert!(alone.messages().is_empty(), "what a connection carried ends with it");
}

#[test]
fn who_is_refused_knows_that_the_process_is_gone() {
    let mut alone = Alone::started(3, Weather::FINE, 2);
    alone.act(|network, now, out| network.on_end(now, 2, true, out));
    alone.run(50);
    for to in [0, 1] {
        let of = |event: &&Event<u32>| event.to() == to;
        let seen: Vec<_> = alone.seen.iter().filter(of).cloned().collect();
        let down = |refused| Event::Down { to, peer: 2, refused };
        assert_eq!(seen, [down(false), down(true)]);
    }
    alone.seen.clear();
    // Without power nobody refuses.
    alone.act(|network, now, out| network.on_end(now, 1, false, out));
    alone.run(10_000);
    assert_eq!(alone.seen, [Event::Down { to: 0, peer: 1, refused: false }]);
    alone.seen.clear();
    for place in [1, 2] {
        alone.act(|network, now, out| network.on_start(now, place, out));
    }
    alone.run(1_000);
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        assert!(alone.network.is_connected(one, other));
    }
}

#[test]
fn a_reset_loses_what_was_under_way_and_a_clog_does_not() {
    let mut alone = Alone::started(2, Weather::FINE, 3);
    alone.send(0, 1, 1);
    alone.act(|network, now, out| network.reset(now, 0, 1, out));
    alone.run(1_000);
    assert!(alone.messages().is_empty());
    assert!(alone.network.is_connected(0, 1));
    let until = alone.now + Duration::from_millis(500);
    alone.network.clog(0, 1, until);
    for message in 2..20 {
        alone.send(0, 1, message);
    }
    alone.run(400);
    assert!(alone.messages().is_empty());
    alone.run(200);
    assert_eq!(alone.messages(), (2..20).collect::<Vec<_>>());
}

#[test]
fn in_any_weather_connections_come_back() {
    for seed in 0..100 {
        let mut prng = Prng::new(seed);
        let weather = Weather::drawn(&mut prng);
        let mut alone = Alone::started(4, weather, seed);
        for message in 0..300 {
            let (one, other) = (prng.below(4), prng.below(4));
            let (one, other) = (usize::try_from(one).unwrap(), usize::try_from(other).unwrap());
            if one == other {
                continue;
            }
            match prng.below(20) {
                0 => alone.act(|network, now, out| network.cut(now, one, other, out)),
                1 => alone.act(|network, now, out| network.part(now, &[one], out)),
                2 => alone.act(|network, now, out| network.reset(now, one, other, out)),
                3 => alone.act(|network, now, out| {
                    network.on_end(now, one, other.is_multiple_of(2), out);
                    network.on_start(now, one, out);
                }),
                4 => alone.network.heal(),
                _ => alone.send(one, other, message),
            }
            alone.run(prng.below(300));
        }
        alone.network.heal();
        alone.run(10_000);
        for one in 0..4 {
            for other in 0..one {
                assert!(alone.network.is_connected(one, other), "seed {seed}: {one} {other}");
            }
        }
    }
}
