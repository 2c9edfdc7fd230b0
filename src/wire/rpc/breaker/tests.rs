use super::*;
use BreakerState::{Closed, HalfOpen, Open};
use proptest::prelude::*;

const OPTIONS: BreakerOptions = BreakerOptions {
    failures_max: 3,
    open_for: Duration::from_millis(100),
    open_for_max: Duration::from_millis(300),
};

fn at(milliseconds: u64) -> Instant {
    Instant(milliseconds * 1_000_000)
}

fn fail(breaker: &mut Breaker, now: Instant, times: u32) {
    for _ in 0..times {
        let permit = breaker.admit(now).unwrap();
        breaker.on_failure(now, permit, None);
    }
}

#[test]
fn it_opens_half_opens_and_closes() {
    let mut breaker = Breaker::new(OPTIONS);
    fail(&mut breaker, at(0), 2);
    assert_eq!(breaker.state(), Closed);
    fail(&mut breaker, at(0), 1);
    assert_eq!(breaker.state(), Open { until: at(100) });
    let refusal = breaker.admit(at(40)).unwrap_err();
    assert_eq!(refusal.retry_after, Duration::from_millis(60));

    let probe = breaker.admit(at(100)).unwrap();
    assert_eq!(breaker.state(), HalfOpen);
    assert!(breaker.admit(at(101)).is_err(), "one call is under way and no more");
    breaker.on_success(probe);
    assert_eq!(breaker.state(), Closed);
    fail(&mut breaker, at(200), 2);
    assert_eq!(breaker.state(), Closed, "old failures are forgotten");
}

#[test]
fn a_probe_that_fails_opens_it_twice_as_long_up_to_the_longest() {
    let mut breaker = Breaker::new(OPTIONS);
    fail(&mut breaker, at(0), 3);
    let mut now = at(100);
    for open_for in [200, 300, 300] {
        fail(&mut breaker, now, 1);
        let until = now + Duration::from_millis(open_for);
        assert_eq!(breaker.state(), Open { until });
        now = until;
    }
    let probe = breaker.admit(now).unwrap();
    breaker.on_success(probe);
    fail(&mut breaker, now, 3);
    let until = now + OPTIONS.open_for;
    assert_eq!(breaker.state(), Open { until }, "a success makes the next time a first one");
}

#[test]
fn only_failures_in_a_row_open_it() {
    let mut breaker = Breaker::new(OPTIONS);
    for _ in 0..10 {
        fail(&mut breaker, at(0), 2);
        let permit = breaker.admit(at(0)).unwrap();
        breaker.on_success(permit);
    }
    assert_eq!(breaker.state(), Closed);
}

#[test]
fn a_connection_that_is_lost_with_many_calls_is_one_failure() {
    let mut breaker = Breaker::new(OPTIONS);
    for connection in 1..=3 {
        assert_eq!(breaker.state(), Closed);
        let permits = (0..100).map(|_| breaker.admit(at(0)).unwrap()).collect::<Vec<_>>();
        for permit in permits {
            breaker.on_failure(at(0), permit, Some(ConnectionId(connection)));
        }
    }
    assert_eq!(breaker.state(), Open { until: at(100) });
    let probe = breaker.admit(at(100)).unwrap();
    breaker.on_failure(at(100), probe, Some(ConnectionId(3)));
    assert_eq!(breaker.state(), Open { until: at(300) }, "a probe that fails counts in any case");
}

#[test]
fn what_was_under_way_before_it_opened_neither_closes_nor_prolongs_it() {
    let mut breaker = Breaker::new(OPTIONS);
    let (slow, slower) = (breaker.admit(at(0)).unwrap(), breaker.admit(at(0)).unwrap());
    fail(&mut breaker, at(0), 3);
    breaker.on_success(slow);
    assert_eq!(breaker.state(), Open { until: at(100) });
    let probe = breaker.admit(at(100)).unwrap();
    breaker.on_failure(at(100), slower, None);
    assert_eq!(breaker.state(), HalfOpen);
    breaker.on_success(probe);
    assert_eq!(breaker.state(), Closed);
}

#[test]
fn a_probe_that_was_given_up_lets_the_next_call_find_out() {
    let mut breaker = Breaker::new(OPTIONS);
    fail(&mut breaker, at(0), 3);
    let probe = breaker.admit(at(100)).unwrap();
    breaker.on_abandoned(at(110), probe);
    let probe = breaker.admit(at(110)).unwrap();
    breaker.on_success(probe);
    assert_eq!(breaker.state(), Closed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever callers do, a peer that works again is called again.
    #[test]
    fn it_never_stays_shut(steps in prop::collection::vec((0..4u8, 0..150u64), 0..200)) {
        let mut breaker = Breaker::new(OPTIONS);
        let mut under_way = Vec::new();
        let mut now = at(0);
        for (action, passed) in steps {
            now = now + Duration::from_millis(passed);
            match action {
                0 => under_way.extend(breaker.admit(now)),
                1 => if let Some(permit) = under_way.pop() { breaker.on_failure(now, permit, None) },
                2 => if let Some(permit) = under_way.pop() { breaker.on_success(permit) },
                _ => if let Some(permit) = under_way.pop() { breaker.on_abandoned(now, permit) },
            }
        }
        for permit in under_way {
            breaker.on_failure(now, permit, None);
        }
        now = now + OPTIONS.open_for_max;
        let probe = breaker.admit(now);
        prop_assert!(probe.is_ok());
        breaker.on_success(probe.unwrap());
        prop_assert_eq!(breaker.state(), Closed);
    }
}
