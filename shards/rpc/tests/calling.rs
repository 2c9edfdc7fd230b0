use super::*;
use crate::{BackoffOptions, PoolOptions, RetryPolicy, WatchOptions};
use std::pin::pin;
use telemetry::TraceContext;

fn brief(milliseconds: u64) -> CallOptions {
    CallOptions::once(Duration::from_millis(milliseconds))
}

#[test]
fn a_hundred_concurrent_increments_are_exact() {
    run(async {
        let counter = Rc::new(Cell::new(0u32));
        let counting = Rc::clone(&counter);
        let router = crate::Router::new().on(Kind::QUERY, move |_, reply| {
            counting.set(counting.get() + 1);
            let value = counting.get();
            reply.send(Kind::QUERY_RESULT, |out| out.extend_from_slice(&value.to_be_bytes()));
        });
        let door = Door::open(router, ServeOptions::default());
        let (peer, registry) = peer(door.address, PeerOptions::default());
        let mut values: Vec<u32> = (many(&peer, 100, once()).await.into_iter())
            .map(|outcome| u32::from_be_bytes(outcome.unwrap().try_into().unwrap()))
            .collect();
        values.sort_unstable();
        assert!(values.into_iter().eq(1..=100));
        assert_eq!(counter.get(), 100);
        assert_eq!(peer.connections(), 1, "one connection carries them all");
        assert_eq!(count(&registry, "tcp_pool_connection_reuse_total", &[]), 99);
        assert_eq!(count(&registry, "tcp_pool_acquire_duration_seconds", &[]), 100);
        assert_eq!(count(&registry, "tcp_pool_size", &[]), 1);
        let labels = [("msg_type", "query"), ("side", "client")];
        assert_eq!(count(&registry, "rpc_calls_total", &labels), 100);
        assert_eq!(count(&registry, "rpc_call_duration_seconds", &labels), 100);
        peer.stop().await;
        assert_eq!(count(&registry, "tcp_pool_size", &[]), 0);
        door.close().await;
    });
}

#[test]
fn the_answer_of_a_peer_that_closes_at_once_arrives() {
    run(async {
        let listener = Listener::bind(loopback()).unwrap();
        for _ in 0..20 {
            let (peer, _) = peer(listener.address(), PeerOptions::default());
            let serve = async {
                let mut hand = Hand::server(&listener).await;
                let call = hand.receive().await.unwrap();
                hand.answer(&call, b"bye").await;
                drop(hand);
            };
            let (answer, ()) = both(query(&peer, b"x"), serve).await;
            assert_eq!(answer.unwrap(), b"bye");
            peer.stop().await;
        }
    });
}

#[test]
fn a_handler_slower_than_the_deadline_is_told_and_the_caller_learns_in_time() {
    run(async {
        let held = Held::default();
        let door = Door::open(held.clone(), ServeOptions::default());
        let (peer, registry) = peer(door.address, PeerOptions::default());
        let error = call(&peer, Kind::SUBMIT, brief(20), b"x").await.unwrap_err();
        assert_eq!(error, CallError::Timeout { after: Duration::from_millis(20) });
        // The cancellation went out before this call, on the same connection.
        query(&peer, b"after").await.unwrap();
        let (_, reply) = held.take(0);
        assert!(reply.is_cancelled());
        answer(reply, b"late");
        query(&peer, b"after").await.unwrap();
        assert_eq!(count(&registry, "rpc_errors_total", &[("error_type", "timeout")]), 1);
        assert_eq!(count(&registry, "rpc_errors_total", &[("error_type", "late")]), 0);
        peer.stop().await;
        door.close().await;
    });
}

#[test]
fn a_late_answer_is_dropped_and_counted() {
    run(async {
        let listener = Listener::bind(loopback()).unwrap();
        let (peer, registry) = peer(listener.address(), PeerOptions::default());
        let serve = async {
            let mut hand = Hand::server(&listener).await;
            let late = hand.receive().await.unwrap();
            let cancel = hand.receive().await.unwrap();
            assert_eq!((cancel.kind, cancel.call), (Kind::CANCEL, late.call));
            let next = hand.receive().await.unwrap();
            assert_ne!(next.call, late.call, "a number is never given twice");
            hand.answer(&late, b"late").await;
            hand.answer(&next, b"in time").await;
            hand
        };
        let calls = async {
            let error = call(&peer, Kind::SUBMIT, brief(20), b"x").await.unwrap_err();
            assert!(matches!(error, CallError::Timeout { .. }));
            assert_eq!(query(&peer, b"x").await.unwrap(), b"in time");
        };
        both(calls, serve).await;
        assert_eq!(count(&registry, "rpc_errors_total", &[("error_type", "late")]), 1);
        peer.stop().await;
    });
}

#[test]
fn a_caller_that_goes_away_cancels_its_call() {
    run(async {
        let held = Held::default();
        let door = Door::open(held.clone(), ServeOptions::default());
        let (peer, _) = peer(door.address, PeerOptions::default());
        {
            let mut going = pin!(submit(&peer, b"x"));
            let polled = futures_lite::future::poll_once(going.as_mut()).await;
            assert!(polled.is_none());
            futures_lite::future::or(
                async {
                    going.await.unwrap();
                },
                held.wait(1),
            )
            .await;
        }
        query(&peer, b"after").await.unwrap();
        assert!(held.take(0).1.is_cancelled());
        assert_eq!(peer.connections(), 1);
        peer.stop().await;
        door.close().await;
    });
}

#[test]
fn an_error_answer_keeps_its_word_and_overload_is_an_error_of_its_own() {
    run(async {
        let held = Held::default();
        let options = ServeOptions { calls_max: 1, ..ServeOptions::default() };
        let door = Door::open(held.clone(), options);
        // The hello says one call at a time: a second one is not even sent.
        let (modest, _) = peer(
            door.address,
            PeerOptions {
                pool: PoolOptions { connections_max: 1, ..PoolOptions::default() },
                ..PeerOptions::default()
            },
        );
        let (first, ()) = both(submit(&modest, b"x"), async {
            held.wait(1).await;
            let error = query(&modest, b"x").await.unwrap_err();
            assert_eq!(error, CallError::Full { what: "calls", limit: 1 });
            held.take(0).1.fail(&crate::error_reply("gone", "it went", "look"));
        })
        .await;
        let CallError::Remote { code, detail, hint, .. } = first.unwrap_err() else { panic!() };
        assert_eq!((&*code, &*detail, &*hint), ("gone", "it went", "look"));
        modest.stop().await;
        door.close().await;

        let listener = Listener::bind(loopback()).unwrap();
        let (eager, registry) = peer(listener.address(), PeerOptions::default());
        let serve = async {
            let mut hand = Hand::server(&listener).await;
            let call = hand.receive().await.unwrap();
            let mut error = Vec::new();
            crate::error_reply(wire::words::OVERLOADED, "busy", "wait").encode(&mut error);
            hand.send(&frame(Kind::ERROR, Flags::RESPONSE, call.call, &error)).await;
            hand
        };
        let (error, _hand) = both(query(&eager, b"x"), serve).await;
        assert!(
            matches!(error.unwrap_err(), CallError::Overloaded { detail, .. } if &*detail == "busy")
        );
        assert_eq!(count(&registry, "rpc_errors_total", &[("error_type", "overloaded")]), 1);
        eager.stop().await;
    });
}

#[test]
fn a_peer_that_does_not_read_fills_the_output_and_then_loses_the_connection() {
    run(async {
        let listener = Listener::bind(loopback()).unwrap();
        let options = PeerOptions {
            output_bytes_max: 256 * 1024,
            write_stall_max: Duration::from_millis(50),
            retry: RetryPolicy { attempts_max: 1 },
            ..PeerOptions::default()
        };
        let (peer, registry) = peer(listener.address(), options);
        let tasks = TaskSet::new();
        let (closed, full) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let calls = async {
            let payload = vec![b'x'; 64 * 1024];
            while peer.info().is_none() {
                // One turn of the reactor, here and below: it connects, and writes.
                runtime::sleep(Duration::from_micros(1)).await;
                if peer.connections() == 0 {
                    let peer = peer.clone();
                    tasks.spawn(async move {
                        submit(&peer, b"first").await.unwrap_err();
                    });
                }
            }
            // Until no more fits, not even into the kernel's buffers, which grow, and it is over.
            while peer.info().is_some() {
                runtime::sleep(Duration::from_micros(1)).await;
                if peer.info().is_none() {
                    break;
                }
                let (peer, payload) = (peer.clone(), payload.clone());
                let (closed, full) = (Rc::clone(&closed), Rc::clone(&full));
                tasks.spawn(async move {
                    match submit(&peer, &payload).await.unwrap_err() {
                        CallError::Closed { reason, .. } => {
                            assert!(reason.contains("took nothing"), "{reason}");
                            closed.set(closed.get() + 1);
                        }
                        CallError::Full { what, .. } => {
                            assert_eq!(what, "bytes on their way");
                            full.set(full.get() + 1);
                        }
                        error => panic!("{error}"),
                    }
                });
            }
            tasks.idle().await;
        };
        // It accepts, greets, and never reads again.
        let ((), _hand) = both(calls, Hand::server(&listener)).await;
        assert!(full.get() > 0, "{} calls were under way", closed.get());
        let bytes = count(&registry, "tcp_bytes_sent_total", &[]);
        assert!(bytes < 64 * 1024 * closed.get() + 10_000);
        peer.stop().await;
    });
}

#[test]
fn a_trace_reaches_the_service_and_who_answered_is_known() {
    run(async {
        let seen = Rc::new(Cell::new(None));
        let seeing = Rc::clone(&seen);
        let router = crate::Router::new().on(Kind::QUERY, move |call, reply| {
            seeing.set(call.trace);
            reply.send(Kind::QUERY_RESULT, |_| {});
        });
        let options = ServeOptions { identity: identity("server"), ..ServeOptions::default() };
        let door = Door::open(router, options);
        let (peer, _) = peer(door.address, PeerOptions::default());
        let trace = TraceContext { trace: 0xabc, span: 0xdef };
        call(&peer, Kind::QUERY, once().with_trace(Some(trace)), b"").await.unwrap();
        assert_eq!(seen.get(), Some(trace));
        query(&peer, b"").await.unwrap();
        assert_eq!(seen.get(), None);
        let info = peer.info().unwrap();
        assert_eq!((&*info.program, info.calls_max), ("server", 4_096));
        peer.stop().await;
        door.close().await;
    });
}

#[test]
fn a_busy_connection_gets_company_up_to_the_bound() {
    run(async {
        let held = Held::default();
        let door = Door::open(held.clone(), ServeOptions::default());
        let pool = PoolOptions {
            connections_max: 2,
            calls_max: 4,
            busy_calls: 2,
            ..PoolOptions::default()
        };
        let retry = RetryPolicy { attempts_max: 1 };
        let (peer, _) = peer(door.address, PeerOptions { pool, retry, ..PeerOptions::default() });
        let tasks = TaskSet::new();
        let done = Rc::new(Cell::new(0));
        for _ in 0..8 {
            let (peer, done) = (peer.clone(), Rc::clone(&done));
            tasks.spawn(async move {
                assert_eq!(submit(&peer, b"x").await.unwrap(), b"done");
                done.set(done.get() + 1);
            });
        }
        held.wait(8).await;
        assert_eq!(peer.connections(), 2);
        let error = query(&peer, b"one too many").await.unwrap_err();
        assert_eq!(error, CallError::Full { what: "calls", limit: 8 });
        for (_, reply) in held.kept.take() {
            answer(reply, b"done");
        }
        tasks.idle().await;
        assert_eq!(done.get(), 8);
        peer.stop().await;
        door.close().await;
    });
}

#[test]
fn a_silent_peer_is_pinged_and_its_connection_given_up() {
    run(async {
        let listener = Listener::bind(loopback()).unwrap();
        let watch = WatchOptions {
            ping_after: Duration::from_millis(10),
            ping_patience: Duration::from_millis(10),
            ..WatchOptions::default()
        };
        let retry = RetryPolicy { attempts_max: 1 };
        let options = PeerOptions { watch, retry, ..PeerOptions::default() };
        let (peer, _) = peer(listener.address(), options);
        let serve = async {
            let mut hand = Hand::server(&listener).await;
            let call = hand.receive().await.unwrap();
            for _ in 0..2 {
                let ping = hand.receive().await.unwrap();
                assert_eq!(ping.kind, Kind::PING);
                hand.send(&frame(Kind::PING, Flags::RESPONSE, ping.call, b"")).await;
            }
            let ping = hand.receive().await.unwrap();
            assert_eq!((call.kind, ping.kind), (Kind::QUERY, Kind::PING));
            assert_eq!(hand.receive().await, None, "no answer to that one: given up");
        };
        let (error, ()) = both(query(&peer, b"x"), serve).await;
        let error = error.unwrap_err();
        assert!(
            matches!(&error, CallError::Closed { sent: true, reason } if reason.contains("ping"))
        );
        peer.stop().await;
    });
}

#[test]
fn a_connection_that_nobody_needs_is_given_back() {
    run(async {
        let door = Door::open(Echo, ServeOptions::default());
        let watch =
            WatchOptions { retire_after: Duration::from_millis(10), ..WatchOptions::default() };
        let (peer, registry) = peer(door.address, PeerOptions { watch, ..PeerOptions::default() });
        query(&peer, b"x").await.unwrap();
        assert_eq!(door.ended(1).await, [Ended::Closed]);
        assert_eq!(peer.connections(), 0);
        assert_eq!(count(&registry, "tcp_pool_size", &[]), 0);
        query(&peer, b"x").await.unwrap();
        peer.stop().await;
        door.close().await;
    });
}

#[test]
fn a_stop_ends_calls_under_way_and_refuses_further_ones() {
    run(async {
        let held = Held::default();
        let door = Door::open(held.clone(), ServeOptions::default());
        let backoff = BackoffOptions::default();
        let (peer, _) = peer(door.address, PeerOptions { backoff, ..PeerOptions::default() });
        let (outcome, ()) = both(submit(&peer, b"x"), async {
            held.wait(1).await;
            peer.stop().await;
        })
        .await;
        assert!(matches!(outcome.unwrap_err(), CallError::Closed { sent: true, .. }));
        assert!(matches!(
            query(&peer, b"x").await.unwrap_err(),
            CallError::Closed { sent: false, .. }
        ));
        assert_eq!(peer.connections(), 0);
        held.kept.borrow_mut().clear();
        door.close().await;
    });
}

#[test]
fn dropping_the_last_peer_closes_its_connections() {
    run(async {
        let door = Door::open(Echo, ServeOptions::default());
        let (peer, _) = peer(door.address, PeerOptions::default());
        query(&peer, b"x").await.unwrap();
        drop(peer.clone());
        assert!(door.ended.borrow().is_empty());
        drop(peer);
        assert_eq!(door.ended(1).await, [Ended::Closed]);
        door.close().await;
    });
}
