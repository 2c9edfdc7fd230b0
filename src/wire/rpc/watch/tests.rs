use super::*;
use WatchEffect::{GiveUp, Ping, Retire};

const OPTIONS: WatchOptions = WatchOptions {
    ping_after: Duration::from_millis(10),
    ping_patience: Duration::from_millis(5),
    trust_for: Duration::from_millis(3),
    retire_after: Duration::from_millis(60),
};

fn at(milliseconds: u64) -> Instant {
    Instant(milliseconds * 1_000_000)
}

fn due(watch: &mut Watch, now: u64) -> Vec<WatchEffect> {
    let mut out = Outbox::new();
    watch.on_deadline(at(now), &mut out);
    out.take()
}

#[test]
fn a_silent_connection_is_pinged_and_given_up_when_that_stays_unanswered() {
    let mut watch = Watch::new(OPTIONS, at(0));
    watch.on_calls(at(0), true);
    assert_eq!(due(&mut watch, 9), []);
    assert_eq!(due(&mut watch, 10), [Ping]);
    assert_eq!(watch.deadline(), at(15));
    assert_eq!(due(&mut watch, 14), [], "one ping is enough");
    assert_eq!(due(&mut watch, 15), [GiveUp]);
}

#[test]
fn whatever_is_heard_is_a_sign_of_life() {
    let mut watch = Watch::new(OPTIONS, at(0));
    watch.on_calls(at(0), true);
    for round in 0..10 {
        assert_eq!(due(&mut watch, round * 12 + 10), [Ping]);
        watch.on_heard(at(round * 12 + 12));
    }
}

#[test]
fn a_connection_without_calls_is_given_back_and_a_busy_one_never() {
    let mut watch = Watch::new(OPTIONS, at(0));
    watch.on_calls(at(0), true);
    for now in (0..200).step_by(4) {
        watch.on_heard(at(now));
        assert_eq!(due(&mut watch, now), []);
    }
    watch.on_calls(at(200), false);
    for now in (200..260).step_by(4) {
        watch.on_heard(at(now));
        assert_eq!(due(&mut watch, now), []);
    }
    assert_eq!(watch.deadline(), at(260));
    assert_eq!(due(&mut watch, 260), [Retire]);
}

#[test]
fn after_a_silence_a_connection_is_asked_before_it_is_called_over() {
    let mut watch = Watch::new(OPTIONS, at(0));
    assert!(watch.is_trusted(at(2)) && !watch.is_trusted(at(3)));
    watch.on_pinged(at(4));
    assert!(watch.is_pinged());
    assert_eq!(watch.deadline(), at(9), "the same patience as with any ping");
    watch.on_heard(at(5));
    assert!(!watch.is_pinged() && watch.is_trusted(at(7)) && !watch.is_trusted(at(8)));
    watch.on_calls(at(5), true);
    assert!(watch.is_trusted(at(9)), "a call under way is a question already");
}
