use super::*;
use crate::{Router, error_reply};
use wire::words;

#[test]
fn calls_are_answered_in_whatever_order_their_answers_come() {
    run(async {
        let held = Held::default();
        let door = Door::open(held.clone(), ServeOptions::default());
        let mut hand = Hand::client(door.address).await;
        for call in 1..=4 {
            hand.send(&frame(Kind::SUBMIT, Flags::NONE, call, b"x")).await;
        }
        hand.send(&frame(Kind::QUERY, Flags::NONE, 5, b"quick")).await;
        held.wait(4).await;
        for index in [2, 0, 1, 0] {
            answer(held.take(index).1, b"done");
        }
        let mut order = Vec::new();
        for _ in 0..5 {
            let answer = hand.receive().await.unwrap();
            assert_eq!(answer.flags, Flags::RESPONSE);
            order.push(answer.call);
        }
        assert_eq!(order, [5, 3, 1, 4, 2]);
        let info = held.peers.borrow()[0].clone();
        assert_eq!((info.node, info.role, info.features, &*info.program), (7, 1, 5, "hand"));
        drop(hand);
        assert_eq!(door.ended(1).await, [Ended::Closed]);
        door.close().await;
    });
}

#[test]
fn an_unknown_type_is_answered_and_the_connection_lives() {
    run(async {
        let router = Router::new().on(Kind::QUERY, |call, reply| {
            reply.send(Kind::QUERY_RESULT, |out| out.extend_from_slice(call.payload));
        });
        let door = Door::open(router, ServeOptions::default());
        let mut hand = Hand::client(door.address).await;
        hand.send(&frame(Kind(0x7abc), Flags::NONE, 1, b"?")).await;
        hand.send(&frame(Kind::QUERY, Flags::NONE, 2, b"fine")).await;
        let (call, code, detail) = hand.receive().await.unwrap().error();
        assert_eq!((call, &*code), (1, words::UNKNOWN_TYPE));
        assert!(detail.contains("0x7abc"), "{detail}");
        assert_eq!(hand.receive().await.unwrap().payload, b"fine");
        let labels = [("msg_type", "unknown"), ("error_type", "unknown_type"), ("side", "server")];
        assert_eq!(door.count("rpc_errors_total", &labels), 1);
        drop(hand);
        door.close().await;
    });
}

#[test]
fn a_client_that_closes_its_half_gets_every_answer_and_then_the_end() {
    run(async {
        let held = Held::default();
        let door = Door::open(held.clone(), ServeOptions::default());
        let mut hand = Hand::client(door.address).await;
        for call in 1..=10 {
            hand.send(&frame(Kind::SUBMIT, Flags::NONE, call, b"x")).await;
        }
        hand.stream.close().await.unwrap();
        held.wait(10).await;
        // The end has been read for certain when a connection that came later is served.
        Hand::client(door.address).await;
        while let Some((_, reply)) = held.kept.borrow_mut().pop() {
            answer(reply, b"done");
        }
        let mut calls = Vec::new();
        while let Some(answer) = hand.receive().await {
            calls.push(answer.call);
        }
        calls.sort_unstable();
        assert!(calls.into_iter().eq(1..=10));
        assert!(door.ended(2).await.iter().all(|ended| *ended == Ended::Closed));
        drop(hand);
        door.close().await;
    });
}

#[test]
fn beyond_its_bound_a_connection_answers_overloaded_at_once() {
    run(async {
        let held = Held::default();
        let options = ServeOptions { calls_max: 4, ..ServeOptions::default() };
        let door = Door::open(held.clone(), options);
        let mut hand = Hand::client(door.address).await;
        for call in 1..=10 {
            hand.send(&frame(Kind::SUBMIT, Flags::NONE, call, b"x")).await;
        }
        for call in 5..=10 {
            let received = hand.receive().await.unwrap();
            assert_eq!(received.error().0, call);
            let error = ErrorReply::decode(&received.payload).unwrap();
            assert_eq!(error.code, words::OVERLOADED);
            assert!(error.retry_after_ms > 0);
        }
        answer(held.take(0).1, b"done");
        assert_eq!(hand.receive().await.unwrap().call, 1);
        hand.send(&frame(Kind::SUBMIT, Flags::NONE, 11, b"x")).await;
        held.wait(4).await;
        assert_eq!(door.count("rpc_errors_total", &[("error_type", "overloaded")]), 6);
        door.stop.set();
        held.kept.borrow_mut().clear();
        drop(hand);
        door.close().await;
    });
}

/// Answers with 64 KiB and counts.
struct Large(Rc<Cell<usize>>);

const LARGE_BYTES: usize = 64 * 1024;

impl Service for Large {
    fn on_call(&self, _: Call<'_>, reply: Reply) {
        self.0.set(self.0.get() + 1);
        reply.send(Kind::QUERY_RESULT, |out| out.resize(out.len() + LARGE_BYTES, b'x'));
    }
}

/// What both kernels' buffers of a connection hold at most: `tcp_wmem` and `tcp_rmem`.
const KERNEL_BYTES_MAX: usize = 12 * 1024 * 1024;

const CALLS: usize = 1_000;

#[test]
fn a_slow_reader_is_not_served_further_and_then_cut_off() {
    run(async {
        let handled = Rc::new(Cell::new(0));
        let options = ServeOptions {
            output_high_bytes: 256 * 1024,
            write_stall_max: Duration::from_millis(50),
            ..ServeOptions::default()
        };
        let door = Door::open(Large(Rc::clone(&handled)), options);
        let mut hand = Hand::client(door.address).await;
        for call in 1..=CALLS {
            hand.send(&frame(Kind::QUERY, Flags::NONE, call as u64, b"")).await;
        }
        assert_eq!(door.ended(1).await, [Ended::SlowReader]);
        let bytes = handled.get() * LARGE_BYTES;
        assert!(bytes <= KERNEL_BYTES_MAX + 256 * 1024 + LARGE_BYTES, "{bytes} bytes were made");
        assert_eq!(door.count("tcp_errors_total", &[("error_type", "slow_reader")]), 1);
        drop(hand);
        door.close().await;
    });
}

#[test]
fn a_reader_that_pauses_and_goes_on_gets_every_answer() {
    run(async {
        let handled = Rc::new(Cell::new(0));
        let options = ServeOptions { output_high_bytes: 256 * 1024, ..ServeOptions::default() };
        let door = Door::open(Large(Rc::clone(&handled)), options);
        let mut hand = Hand::client(door.address).await;
        for call in 1..=CALLS {
            hand.send(&frame(Kind::QUERY, Flags::NONE, call as u64, b"")).await;
        }
        // Another connection is served meanwhile: the slow one holds nobody up.
        let mut other = Hand::client(door.address).await;
        other.send(&frame(Kind::QUERY, Flags::NONE, 1, b"")).await;
        assert_eq!(other.receive().await.unwrap().payload.len(), LARGE_BYTES);
        assert!(handled.get() < CALLS, "the pause was felt");
        for call in 1..=CALLS {
            let answer = hand.receive().await.unwrap();
            assert_eq!((answer.call, answer.payload.len()), (call as u64, LARGE_BYTES));
        }
        drop(hand);
        drop(other);
        door.close().await;
    });
}

#[test]
fn answers_that_all_come_late_do_not_pile_up_beyond_their_bound() {
    run(async {
        let held = Held::default();
        let options = ServeOptions { output_bytes_max: 1024 * 1024, ..ServeOptions::default() };
        let door = Door::open(held.clone(), options);
        let mut hand = Hand::client(door.address).await;
        for call in 1..=100 {
            hand.send(&frame(Kind::SUBMIT, Flags::NONE, call, b"x")).await;
        }
        held.wait(100).await;
        let made = Rc::new(Cell::new(0));
        for (_, reply) in held.kept.take() {
            let made = Rc::clone(&made);
            reply.send(Kind::RESPONSE, move |out| {
                made.set(made.get() + 1);
                out.resize(out.len() + LARGE_BYTES, b'x');
            });
        }
        assert_eq!(made.get(), 16, "those that fit, and the one that passes the mark");
        assert_eq!(door.ended(1).await, [Ended::SlowReader]);
        drop(hand);
        door.close().await;
    });
}

#[test]
fn a_stop_lets_calls_under_way_end_and_says_that_nothing_else_was_begun() {
    run(async {
        let held = Held::default();
        let door = Door::open(held.clone(), ServeOptions::default());
        let mut hand = Hand::client(door.address).await;
        hand.send(&frame(Kind::SUBMIT, Flags::NONE, 1, b"x")).await;
        held.wait(1).await;
        door.stop.set();
        // Sent to a server that stops: it is not taken.
        hand.send(&frame(Kind::SUBMIT, Flags::NONE, 2, b"x")).await;
        answer(held.take(0).1, b"done");
        assert_eq!(hand.receive().await.unwrap().call, 1);
        let (call, code, _) = hand.receive().await.unwrap().error();
        assert_eq!((call, &*code), (0, words::CLOSED));
        assert_eq!(hand.receive().await, None);
        drop(hand);
        assert_eq!(door.ended(1).await, [Ended::Stopped]);
        assert!(held.kept.borrow().is_empty());
        door.close().await;
    });
}

#[test]
fn a_stop_closes_idle_connections_at_once_though_their_clients_stay() {
    run(async {
        let hour = Duration::from_hours(1);
        let door = Door::open(Echo, ServeOptions { linger_max: hour, ..Default::default() });
        let mut greeted = Hand::client(door.address).await;
        greeted.send(&frame(Kind::QUERY, Flags::NONE, 1, b"x")).await;
        assert_eq!(greeted.receive().await.unwrap().call, 1);
        let mut mute = Hand::new(Stream::connect(door.address, SOON).await.unwrap());
        while door.count("tcp_connections_active", &[]) < 2 {
            runtime::yield_now().await;
        }
        door.stop.set();
        assert_eq!(door.ended(2).await, [Ended::Stopped; 2]);
        for hand in [&mut greeted, &mut mute] {
            assert_eq!(hand.receive().await.unwrap().error().1, words::CLOSED);
            assert_eq!(hand.receive().await, None);
        }
        door.close().await;
    });
}

#[test]
fn who_sends_without_end_and_reads_nothing_is_let_go_in_time_after_its_fault() {
    run(async {
        let options = ServeOptions {
            output_high_bytes: usize::MAX,
            output_bytes_max: usize::MAX,
            linger_max: Duration::from_millis(50),
            ..ServeOptions::default()
        };
        let door = Door::open(Large(Rc::default()), options);
        let mut hand = Hand::client(door.address).await;
        for call in 1..=(2 * KERNEL_BYTES_MAX / LARGE_BYTES) as u64 {
            hand.send(&frame(Kind::QUERY, Flags::NONE, call, b"")).await;
        }
        let flood = vec![0; 64 * 1024];
        while hand.stream.write_all(&flood).await.is_ok() {}
        assert_eq!(door.ended(1).await, [Ended::Fault]);
        door.close().await;
    });
}

#[test]
fn a_reply_that_is_dropped_answers_internal_and_one_that_fails_says_why() {
    run(async {
        let held = Held::default();
        let door = Door::open(held.clone(), ServeOptions::default());
        let mut hand = Hand::client(door.address).await;
        for call in 1..=2 {
            hand.send(&frame(Kind::SUBMIT, Flags::NONE, call, b"x")).await;
        }
        held.wait(2).await;
        drop(held.take(0));
        held.take(0).1.fail(&error_reply("gone", "it was dropped", "look elsewhere"));
        let (call, code, _) = hand.receive().await.unwrap().error();
        assert_eq!((call, &*code), (1, words::INTERNAL));
        let (call, code, detail) = hand.receive().await.unwrap().error();
        assert_eq!((call, &*code, &*detail), (2, "gone", "it was dropped"));
        drop(hand);
        door.close().await;
    });
}

#[test]
fn pings_are_answered_even_while_a_handler_takes_its_time() {
    run(async {
        let held = Held::default();
        let door = Door::open(held.clone(), ServeOptions::default());
        let mut hand = Hand::client(door.address).await;
        hand.send(&frame(Kind::SUBMIT, Flags::NONE, 1, b"x")).await;
        hand.send(&frame(Kind::PING, Flags::NONE, 9, b"")).await;
        let pong = hand.receive().await.unwrap();
        assert_eq!((pong.kind, pong.flags, pong.call), (Kind::PING, Flags::RESPONSE, 9));
        held.kept.borrow_mut().clear();
        drop(hand);
        door.close().await;
    });
}

#[test]
fn a_cancelled_call_can_be_seen_and_its_answer_is_not_sent() {
    run(async {
        let held = Held::default();
        let door = Door::open(held.clone(), ServeOptions::default());
        let mut hand = Hand::client(door.address).await;
        for call in 1..=2 {
            hand.send(&frame(Kind::SUBMIT, Flags::NONE, call, b"x")).await;
        }
        hand.send(&frame(Kind::CANCEL, Flags::NONE, 1, b"")).await;
        // A cancellation of what never was, or is over, is nothing.
        hand.send(&frame(Kind::CANCEL, Flags::NONE, 77, b"")).await;
        hand.send(&frame(Kind::QUERY, Flags::NONE, 3, b"after")).await;
        assert_eq!(hand.receive().await.unwrap().call, 3);
        let ((_, first), (_, second)) = (held.take(0), held.take(0));
        assert!(first.is_cancelled() && !second.is_cancelled());
        answer(first, b"nobody waits");
        answer(second, b"done");
        assert_eq!(hand.receive().await.unwrap().call, 2);
        assert_eq!(door.count("rpc_errors_total", &[("error_type", "cancelled")]), 1);
        drop(hand);
        door.close().await;
    });
}

#[test]
fn a_connection_that_broke_cancels_its_calls() {
    run(async {
        let held = Held::default();
        let door = Door::open(held.clone(), ServeOptions::default());
        let mut hand = Hand::client(door.address).await;
        hand.send(&frame(Kind::SUBMIT, Flags::NONE, 1, b"x")).await;
        hand.send(b"this is no frame at all, and more than a header of it").await;
        assert_eq!(hand.receive().await.unwrap().error().1, words::BAD_FRAME);
        drop(hand);
        assert_eq!(door.ended(1).await, [Ended::Fault]);
        let (_, reply) = held.take(0);
        assert!(reply.is_cancelled());
        answer(reply, b"to nobody");
        door.close().await;
    });
}

#[test]
fn an_answer_larger_than_the_caller_takes_is_an_error_to_the_caller() {
    run(async {
        let door = Door::open(Large(Rc::default()), ServeOptions::default());
        let mut hand = Hand::new(Stream::connect(door.address, SOON).await.unwrap());
        hand.send(&hello(Flags::NONE, LARGE_BYTES - 1)).await;
        hand.receive().await.unwrap();
        hand.send(&frame(Kind::QUERY, Flags::NONE, 1, b"")).await;
        let (call, code, _) = hand.receive().await.unwrap().error();
        // Not the word that refuses a message: what was asked was done.
        assert_eq!((call, &*code), (1, words::ANSWER_TOO_LARGE));
        drop(hand);
        door.close().await;
    });
}

#[test]
fn a_client_that_says_nothing_is_let_go() {
    let brief = Duration::from_millis(20);
    run(async move {
        let options = ServeOptions { hello_within: brief, idle_max: brief, ..Default::default() };
        let door = Door::open(Echo, options);
        let mut mute = Hand::new(Stream::connect(door.address, SOON).await.unwrap());
        assert_eq!(mute.receive().await, None);
        assert_eq!(door.ended(1).await, [Ended::Greeting]);
        let mut idle = Hand::client(door.address).await;
        assert_eq!(idle.receive().await, None);
        assert_eq!(door.ended(2).await[1], Ended::Idle);
        door.close().await;
    });
}

#[test]
fn what_is_open_and_what_was_called_is_counted() {
    run(async {
        let door = Door::open(Echo, ServeOptions::default());
        let mut hand = Hand::client(door.address).await;
        for call in 1..=3 {
            hand.send(&frame(Kind::QUERY, Flags::NONE, call, b"abc")).await;
            hand.receive().await.unwrap();
        }
        let labels = [("msg_type", "query"), ("side", "server")];
        assert_eq!(door.count("rpc_calls_total", &labels), 3);
        assert_eq!(door.count("rpc_call_duration_seconds", &labels), 3);
        assert_eq!(door.count("tcp_connections_active", &[("protocol", "binary")]), 1);
        let hello = hello(Flags::NONE, PAYLOAD_BYTES_MAX).len();
        let bytes = (hello + 3 * (HEADER_BYTES + 3)) as u64;
        assert_eq!(door.count("tcp_bytes_received_total", &[]), bytes);
        drop(hand);
        door.ended(1).await;
        assert_eq!(door.count("tcp_connections_active", &[]), 0);
        assert_eq!(door.count("tcp_connections_total", &[]), 1);
        door.close().await;
    });
}
