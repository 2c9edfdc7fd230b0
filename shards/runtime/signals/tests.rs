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
