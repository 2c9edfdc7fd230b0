//! Calls that are made again, and calls that must not be.

use super::*;
use crate::{BackoffOptions, BreakerOptions, BreakerState, RetryPolicy, WatchOptions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

/// Pauses that are over before anybody looks.
const HASTE: BackoffOptions =
    BackoffOptions { first: Duration::from_micros(10), max: Duration::from_micros(10) };

fn hasty() -> PeerOptions {
    PeerOptions { backoff: HASTE, ..PeerOptions::default() }
}

#[test]
fn a_call_that_may_have_been_sent_is_made_again_only_if_it_is_idempotent() {
    run(async {
        for (options, is_repeated) in [(once(), false), (idempotent(), true)] {
            let listener = Listener::bind(loopback()).unwrap();
            let (peer, _) = peer(listener.address(), hasty());
            let serve = async {
                let mut hand = Hand::server(&listener).await;
                hand.receive().await.unwrap();
                drop(hand);
                if is_repeated {
                    let mut hand = Hand::server(&listener).await;
                    let call = hand.receive().await.unwrap();
                    hand.answer(&call, b"second").await;
                    // Until the caller has read it.
                    assert_eq!(hand.receive().await, None);
                }
            };
            let calls = async {
                let outcome = call(&peer, Kind::SUBMIT, options, b"x").await;
                peer.stop().await;
                outcome
            };
            let (outcome, ()) = both(calls, serve).await;
            if is_repeated {
                assert_eq!(outcome.unwrap(), b"second");
            } else {
                assert!(matches!(outcome.unwrap_err(), CallError::Closed { sent: true, .. }));
            }
            let third = futures_lite::future::poll_once(listener.accept()).await;
            assert!(third.is_none(), "nobody calls again");
        }
    });
}

#[test]
fn what_a_server_that_stops_has_not_begun_is_made_again_elsewhere() {
    run(async {
        let listener = Listener::bind(loopback()).unwrap();
        let (peer, _) = peer(listener.address(), hasty());
        let serve = async {
            let mut hand = Hand::server(&listener).await;
            hand.receive().await.unwrap();
            let mut goodbye = Vec::new();
            crate::error_reply(wire::words::CLOSED, "it stops", "").encode(&mut goodbye);
            hand.send(&frame(Kind::ERROR, Flags::RESPONSE, 0, &goodbye)).await;
            let mut hand = Hand::server(&listener).await;
            let call = hand.receive().await.unwrap();
            hand.answer(&call, b"second").await;
            hand
        };
        let (outcome, _hand) = both(submit(&peer, b"x"), serve).await;
        assert_eq!(outcome.unwrap(), b"second");
        peer.stop().await;
    });
}

#[test]
fn an_overloaded_peer_is_asked_again_for_an_idempotent_call_only() {
    run(async {
        for (options, is_repeated) in [(once(), false), (idempotent(), true)] {
            let seen = Rc::new(Cell::new(0));
            let counting = Rc::clone(&seen);
            let router = crate::Router::new().on(Kind::SUBMIT, move |_, reply| {
                counting.set(counting.get() + 1);
                match counting.get() {
                    1 => reply.fail(&crate::error_reply(wire::words::OVERLOADED, "busy", "")),
                    _ => answer(reply, b"second"),
                }
            });
            let door = Door::open(router, ServeOptions::default());
            let (peer, _) = peer(door.address, hasty());
            let outcome = call(&peer, Kind::SUBMIT, options, b"x").await;
            assert_eq!(outcome.is_ok(), is_repeated, "{outcome:?}");
            assert_eq!(seen.get(), if is_repeated { 2 } else { 1 });
            peer.stop().await;
            door.close().await;
        }
    });
}

/// A server in a thread of its own, on plain sockets. On each connection it answers `calls` calls
/// and closes; it tells when each connection is closed for certain.
fn plain_server(
    calls_of_each: Vec<usize>,
) -> (SocketAddr, mpsc::Receiver<usize>, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind(loopback()).unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, is_closed) = mpsc::channel();
    let server = thread::spawn(move || {
        let mut calls = 0;
        for (index, count) in calls_of_each.into_iter().enumerate() {
            let (mut stream, _) = listener.accept().unwrap();
            let mut decoder = Decoder::new(PAYLOAD_BYTES_MAX);
            plain_receive(&mut stream, &mut decoder).unwrap();
            stream.write_all(&hello(Flags::RESPONSE, PAYLOAD_BYTES_MAX)).unwrap();
            for _ in 0..count {
                let Some(call) = plain_receive(&mut stream, &mut decoder) else { break };
                calls += 1;
                let answer = frame(Kind::RESPONSE, Flags::RESPONSE, call, b"done");
                stream.write_all(&answer).unwrap();
            }
            drop(stream);
            // The caller may be gone: the last connection is closed by it.
            let _ = closed.send(index);
        }
        calls
    });
    (address, is_closed, server)
}

fn plain_receive(stream: &mut TcpStream, decoder: &mut Decoder) -> Option<u64> {
    loop {
        if let Some(frame) = decoder.next().unwrap() {
            return Some(frame.header.call);
        }
        match stream.read(decoder.space()).unwrap_or(0) {
            0 => return None,
            bytes => decoder.filled(bytes),
        }
    }
}

/// The peer closes the idle connection while this core is busy elsewhere and has not looked at it.
/// The next call, which must not be made twice, waits for the answer to a ping, finds the end
/// instead, and goes out on a fresh connection.
#[test]
fn an_idle_connection_that_its_peer_closed_loses_no_call_and_doubles_none() {
    const ROUNDS: usize = 10;
    run(async {
        let (address, is_closed, server) = plain_server(vec![1; ROUNDS]);
        let trust_for = Duration::from_millis(1);
        let watch = WatchOptions { trust_for, ..WatchOptions::default() };
        let (peer, registry) = peer(address, PeerOptions { watch, ..hasty() });
        for round in 0..ROUNDS {
            assert_eq!(submit(&peer, b"x").await.unwrap(), b"done");
            // The whole core waits, for longer than the connection is trusted.
            assert_eq!(is_closed.recv().unwrap(), round);
            let began = runtime::instant();
            while runtime::instant().since(began) <= 2 * trust_for {
                std::hint::spin_loop();
            }
        }
        assert_eq!(server.join().unwrap(), ROUNDS, "each call arrived once");
        assert_eq!(count(&registry, "rpc_call_duration_seconds", &[]), ROUNDS as u64);
        peer.stop().await;
    });
}

/// The same when the core had the time to look.
#[test]
fn an_idle_connection_whose_end_was_seen_is_replaced_before_it_is_used() {
    run(async {
        let door = Door::open(Echo, ServeOptions::default());
        let (peer, registry) = peer(door.address, hasty());
        query(&peer, b"x").await.unwrap();
        door.stop.set();
        while peer.connections() > 0 {
            runtime::yield_if_needed().await;
        }
        let address = door.address;
        door.close().await;
        let door = Door::open_at(address, Echo, ServeOptions::default());
        query(&peer, b"x").await.unwrap();
        assert_eq!(count(&registry, "rpc_errors_total", &[]), 0);
        peer.stop().await;
        door.close().await;
    });
}

#[test]
fn the_breaker_opens_half_opens_and_closes() {
    run(async {
        let nobody = Listener::bind(loopback()).unwrap();
        let address = nobody.address();
        drop(nobody);
        let breaker = BreakerOptions {
            failures_max: 3,
            open_for: Duration::from_millis(20),
            open_for_max: Duration::from_millis(20),
        };
        let retry = RetryPolicy { attempts_max: 1 };
        let (peer, registry) = peer(address, PeerOptions { breaker, retry, ..hasty() });
        for _ in 0..3 {
            assert_eq!(peer.breaker(), BreakerState::Closed);
            let error = query(&peer, b"x").await.unwrap_err();
            assert!(matches!(error, CallError::Refused { .. }), "{error}");
        }
        let error = query(&peer, b"x").await.unwrap_err();
        assert!(matches!(error, CallError::BreakerOpen { .. }), "{error}");
        let BreakerState::Open { until } = peer.breaker() else { panic!() };
        runtime::sleep_until(until).await;

        let held = Held::default();
        let door = Door::open_at(address, held.clone(), ServeOptions::default());
        let (outcome, ()) = both(submit(&peer, b"probe"), async {
            held.wait(1).await;
            assert_eq!(peer.breaker(), BreakerState::HalfOpen);
            let error = query(&peer, b"x").await.unwrap_err();
            assert!(matches!(error, CallError::BreakerOpen { .. }), "{error}");
            answer(held.take(0).1, b"well again");
        })
        .await;
        assert_eq!(outcome.unwrap(), b"well again");
        assert_eq!(peer.breaker(), BreakerState::Closed);
        query(&peer, b"x").await.unwrap();
        assert_eq!(count(&registry, "rpc_errors_total", &[("error_type", "refused")]), 3);
        assert_eq!(count(&registry, "rpc_errors_total", &[("error_type", "breaker_open")]), 2);
        peer.stop().await;
        door.close().await;
    });
}

#[test]
fn calls_that_wait_for_a_connection_share_its_failure() {
    run(async {
        let nobody = Listener::bind(loopback()).unwrap();
        let address = nobody.address();
        drop(nobody);
        let retry = RetryPolicy { attempts_max: 1 };
        let (peer, _) = peer(address, PeerOptions { retry, ..hasty() });
        for outcome in many(&peer, 20, once()).await {
            let error = outcome.unwrap_err();
            assert!(matches!(error, CallError::Refused { .. }), "{error}");
        }
        assert_eq!(peer.breaker(), BreakerState::Closed, "one attempt, one failure");
        assert_eq!(peer.connections(), 0);
    });
}

#[test]
fn a_call_is_not_kept_longer_than_its_deadline_by_a_peer_that_does_not_greet() {
    run(async {
        let listener = Listener::bind(loopback()).unwrap();
        let (peer, _) = peer(listener.address(), hasty());
        let options = CallOptions::idempotent(Duration::from_millis(20));
        let (outcome, _silent) =
            both(call(&peer, Kind::QUERY, options, b"x"), listener.accept()).await;
        let error = outcome.unwrap_err();
        assert!(
            matches!(&error, CallError::Refused { reason } if reason.contains("deadline")),
            "{error}"
        );
        peer.stop().await;
    });
}

/// A connection that is alive is asked and then used: nothing is retried.
#[test]
fn an_idle_connection_that_is_alive_answers_the_ping_and_gets_the_call() {
    run(async {
        let listener = Listener::bind(loopback()).unwrap();
        let watch = WatchOptions { trust_for: Duration::ZERO, ..WatchOptions::default() };
        let (peer, registry) = peer(listener.address(), PeerOptions { watch, ..hasty() });
        let serve = async {
            let mut hand = Hand::server(&listener).await;
            for _ in 0..3 {
                let ping = hand.receive().await.unwrap();
                assert_eq!((ping.kind, ping.flags), (Kind::PING, Flags::NONE));
                let early = futures_lite::future::poll_once(hand.receive()).await;
                assert!(early.is_none(), "the call waits for the answer");
                hand.send(&frame(Kind::PING, Flags::RESPONSE, 0, b"")).await;
                let call = hand.receive().await.unwrap();
                assert_eq!(call.kind, Kind::SUBMIT);
                hand.answer(&call, b"done").await;
            }
            hand
        };
        let calls = async {
            for _ in 0..3 {
                assert_eq!(submit(&peer, b"x").await.unwrap(), b"done");
            }
        };
        let ((), _hand) = both(calls, serve).await;
        assert_eq!(count(&registry, "rpc_errors_total", &[]), 0);
        peer.stop().await;
    });
}
