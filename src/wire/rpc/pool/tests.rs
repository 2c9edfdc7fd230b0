use super::*;
use proptest::prelude::*;

const OPTIONS: PoolOptions = PoolOptions {
    connections_max: 2,
    calls_max: 4,
    busy_calls: 2,
    waiting_max: 8,
    connect_within: Duration::from_secs(1),
};

const FIRST: ConnectionId = ConnectionId(1);
const SECOND: ConnectionId = ConnectionId(2);
const THIRD: ConnectionId = ConnectionId(3);

fn using(connection: ConnectionId, reused: bool) -> Choice {
    Choice::Use { connection, reused, grow: None }
}

fn with_one() -> Pool {
    let mut pool = Pool::new(OPTIONS);
    assert_eq!(pool.choose(), Choice::Connect(FIRST));
    pool.on_connected(FIRST, 100);
    pool
}

#[test]
fn one_connection_is_made_and_all_wait_for_it() {
    let mut pool = Pool::new(OPTIONS);
    assert_eq!(pool.choose(), Choice::Connect(FIRST));
    assert_eq!(pool.choose(), Choice::Wait(FIRST));
    pool.on_connected(FIRST, 100);
    assert_eq!(pool.choose(), using(FIRST, false));
    assert_eq!(pool.choose(), using(FIRST, true));
}

#[test]
fn a_busy_connection_gets_company_and_the_least_loaded_is_taken() {
    let mut pool = with_one();
    for reused in [false, true] {
        assert_eq!(pool.choose(), using(FIRST, reused));
    }
    let grown = Choice::Use { connection: FIRST, reused: true, grow: Some(SECOND) };
    assert_eq!(pool.choose(), grown);
    assert_eq!(pool.choose(), using(FIRST, true), "one is made at a time");
    assert_eq!(pool.choose(), Choice::Wait(SECOND), "the first has as many calls as it may");
    pool.on_connected(SECOND, 3);
    assert_eq!(pool.choose(), using(SECOND, false));
    assert_eq!(pool.choose(), using(SECOND, true));
    assert_eq!(pool.choose(), using(SECOND, true));
    assert_eq!(pool.choose(), Choice::Full { calls_max: 7 }, "the peer allowed three");
    pool.on_call_end(FIRST);
    assert_eq!(pool.choose(), using(FIRST, true));
}

#[test]
fn of_equals_the_oldest_is_taken() {
    let mut pool = with_one();
    for _ in 0..3 {
        pool.choose();
    }
    pool.on_connected(SECOND, 100);
    for _ in 0..3 {
        pool.on_call_end(FIRST);
    }
    assert_eq!(pool.choose(), using(FIRST, true));
}

#[test]
fn a_connection_that_ended_is_replaced_by_a_fresh_one() {
    let mut pool = with_one();
    assert_eq!(pool.choose(), using(FIRST, false));
    pool.on_closed(FIRST);
    assert!(pool.is_empty());
    assert_eq!(pool.choose(), Choice::Connect(SECOND));
    pool.on_call_end(FIRST);
    pool.on_closed(SECOND);
    assert_eq!(pool.choose(), Choice::Connect(THIRD), "an attempt that failed leaves room");
}

#[test]
fn a_peer_that_allows_no_call_is_tried_with_one() {
    let mut pool = Pool::new(OPTIONS);
    pool.choose();
    pool.on_connected(FIRST, 0);
    assert_eq!(pool.choose(), using(FIRST, false));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bounds_hold_whatever_happens(steps in prop::collection::vec((0..5u8, 0..8usize), 0..300)) {
        let mut pool = Pool::new(OPTIONS);
        let mut made = Vec::new();
        let mut calls: Vec<ConnectionId> = Vec::new();
        for (action, index) in steps {
            match action {
                0 | 1 => match pool.choose() {
                    Choice::Use { connection, grow, .. } => {
                        calls.push(connection);
                        made.extend(grow);
                    }
                    Choice::Connect(connection) => made.push(connection),
                    Choice::Wait(_) => prop_assert!(!made.is_empty()),
                    Choice::Full { .. } => prop_assert!(!calls.is_empty()),
                },
                2 => if let Some(connection) = made.pop() { pool.on_connected(connection, index) },
                3 => if let Some(&connection) = calls.get(index) {
                    pool.on_closed(connection);
                    calls.retain(|call| *call != connection);
                },
                _ => if index < calls.len() { pool.on_call_end(calls.swap_remove(index)) },
            }
            prop_assert!(made.len() <= 1, "one is made at a time");
            prop_assert!(pool.len() <= OPTIONS.connections_max);
            prop_assert_eq!(pool.calls(), calls.len());
            prop_assert!(calls.len() <= OPTIONS.connections_max * OPTIONS.calls_max);
        }
    }
}
