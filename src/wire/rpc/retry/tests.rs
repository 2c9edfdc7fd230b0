use super::*;
use crate::rpc::BackoffOptions;
use base::Prng;

const AMPLE: Duration = Duration::from_mins(1);
const POLICY: RetryPolicy = RetryPolicy { attempts_max: 3 };

fn backoff() -> Backoff {
    Backoff::new(BackoffOptions::default(), Prng::new(1))
}

fn refused() -> CallError {
    CallError::Refused { reason: "no route".into() }
}

fn closed(sent: bool) -> CallError {
    CallError::Closed { sent, reason: "reset".into() }
}

fn overloaded(seconds: u64) -> CallError {
    CallError::Overloaded { detail: "busy".into(), retry_after: Duration::from_secs(seconds) }
}

fn remote() -> CallError {
    let retry_after = Duration::ZERO;
    CallError::Remote { code: "gone".into(), detail: "".into(), hint: "".into(), retry_after }
}

#[test]
fn only_idempotent_calls_and_those_never_sent_are_made_again() {
    // The error; whether a plain call is made again; whether an idempotent one is.
    let rows = [
        (refused(), true, true),
        (closed(false), true, true),
        (closed(true), false, true),
        (overloaded(0), false, true),
        (CallError::Timeout { after: AMPLE }, false, false),
        (CallError::Full { what: "calls", limit: 1 }, false, false),
        (CallError::TooLarge { bytes: 9, bytes_max: 8 }, false, false),
        (CallError::BreakerOpen { retry_after: AMPLE }, false, false),
        (CallError::Version { theirs: 2, ours: 1 }, false, false),
        (CallError::Protocol { reason: "noise".into() }, false, false),
        (remote(), false, false),
    ];
    for (error, plain, idempotent) in rows {
        let again = |marked| POLICY.pause(&error, marked, 1, AMPLE, &mut backoff()).is_some();
        assert_eq!(again(false), plain, "{error}");
        assert_eq!(again(true), idempotent, "{error}");
    }
}

#[test]
fn attempts_are_bounded() {
    for (attempts, again) in [(1, true), (2, true), (3, false), (4, false)] {
        let pause = POLICY.pause(&refused(), true, attempts, AMPLE, &mut backoff());
        assert_eq!(pause.is_some(), again, "{attempts}");
    }
}

#[test]
fn a_pause_that_outlasts_the_deadline_is_not_made() {
    let mut backoff = backoff();
    assert_eq!(POLICY.pause(&refused(), true, 1, Duration::ZERO, &mut backoff), None);
    assert_eq!(POLICY.pause(&overloaded(5), true, 1, Duration::from_secs(5), &mut backoff), None);
}

#[test]
fn the_peers_wish_is_respected_and_a_dead_connection_is_replaced_at_once() {
    let wished = POLICY.pause(&overloaded(5), true, 1, AMPLE, &mut backoff()).unwrap();
    assert_eq!(wished, Duration::from_secs(5));
    let first = POLICY.pause(&closed(false), false, 1, AMPLE, &mut backoff()).unwrap();
    assert_eq!(first, Duration::ZERO);
    let second = POLICY.pause(&closed(false), false, 2, AMPLE, &mut backoff()).unwrap();
    assert!(second > Duration::ZERO, "not in a tight loop");
}
