use super::*;
use crate::block_on;

#[test]
fn the_first_signal_asks_everybody_to_stop() {
    let shutdown = Shutdown::new();
    let signals = stop_on_signals(&shutdown).unwrap();
    block_on(async {
        signal_hook::low_level::raise(SIGTERM).unwrap();
        shutdown.requested().await;
    });
    assert_eq!(shutdown.reason().as_deref(), Some("SIGTERM"));
    assert!(!shutdown.is_forced());
    drop(signals);
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one_request_and_a_later_one_is_another() {
    let first = Instant::now();
    assert!(is_the_same_request(first, first));
    assert!(is_the_same_request(first, first + Duration::from_millis(199)));
    assert!(!is_the_same_request(first, first + ONE_REQUEST));
}

#[test]
fn a_signal_to_the_process_and_its_group_still_stops_in_order() {
    let shutdown = Shutdown::new();
    let signals = stop_on_signals(&shutdown).unwrap();
    block_on(async {
        signal_hook::low_level::raise(SIGTERM).unwrap();
        shutdown.requested().await;
        // Were it taken for the second request, this process would be gone.
        signal_hook::low_level::raise(SIGTERM).unwrap();
    });
    drop(signals);
}
