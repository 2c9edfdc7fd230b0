//! Peers that break the protocol, on either side.

use super::*;
use wire::words;

/// A good frame that was damaged.
fn damaged(at: usize, by: u8) -> Vec<u8> {
    let mut bytes = frame(Kind::QUERY, Flags::NONE, 1, b"payload");
    bytes[at] ^= by;
    bytes
}

/// The header of a frame with more payload than is taken.
fn oversize() -> Vec<u8> {
    let mut out = frame(Kind::QUERY, Flags::NONE, 1, b"");
    out[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
    out
}

/// What a client sends after its hello, and the word it gets before the end.
fn faults() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("bad magic", damaged(0, 0xff), words::BAD_FRAME),
        ("bad crc", damaged(33, 1), words::BAD_FRAME),
        ("higher version", damaged(4, 3), words::VERSION),
        ("reserved flag", damaged(5, 1), words::BAD_FRAME),
        ("oversize", oversize(), words::BAD_FRAME),
        ("an answer", frame(Kind::RESPONSE, Flags::RESPONSE, 1, b""), words::BAD_FRAME),
        ("call 0", frame(Kind::QUERY, Flags::NONE, 0, b""), words::BAD_FRAME),
    ]
}

#[test]
fn a_client_that_breaks_the_protocol_is_told_and_closed() {
    run(async {
        let door = Door::open(Echo, ServeOptions::default());
        for (index, (name, bytes, word)) in faults().into_iter().enumerate() {
            let mut hand = Hand::client(door.address).await;
            hand.send(&frame(Kind::QUERY, Flags::NONE, 5, b"before")).await;
            hand.send(&bytes).await;
            // More than a frame of it: it must not keep the error from arriving.
            hand.send(&[0; 10_000]).await;
            assert_eq!(hand.receive().await.unwrap().payload, b"before", "{name}");
            let received = hand.receive().await.unwrap();
            let (call, code, detail) = received.error();
            assert_eq!((call, &*code), (0, word), "{name}: {detail}");
            if word == words::VERSION {
                assert!(detail.contains("version 2") && detail.contains("version 1"), "{detail}");
                assert_eq!(ErrorReply::decode(&received.payload).unwrap().version, 1);
            }
            assert_eq!(hand.receive().await, None, "{name}");
            drop(hand);
            assert_eq!(door.ended(index + 1).await[index], Ended::Fault, "{name}");
        }
        door.close().await;
    });
}

#[test]
fn a_connection_that_does_not_begin_with_a_fitting_hello_is_told_and_closed() {
    let mut of_later_version = Vec::new();
    let later = wire::Hello {
        version_min: 2,
        version_max: 9,
        program: "later",
        ..wire::Hello::of(wire::Hello::CLIENT)
    };
    later.encode(&mut of_later_version);
    let rows = [
        (frame(Kind::QUERY, Flags::NONE, 1, b""), words::HELLO_EXPECTED, "query"),
        (hello(Flags::RESPONSE, 1), words::HELLO_EXPECTED, "hello"),
        (frame(Kind::HELLO, Flags::NONE, 0, &of_later_version), words::VERSION, "2 to 9"),
        (frame(Kind::HELLO, Flags::NONE, 0, b""), words::BAD_MESSAGE, "version_min"),
    ];
    run(async move {
        let door = Door::open(Echo, ServeOptions::default());
        for (bytes, word, part) in rows {
            let mut hand = Hand::new(Stream::connect(door.address, SOON).await.unwrap());
            hand.send(&bytes).await;
            let (call, code, detail) = hand.receive().await.unwrap().error();
            assert_eq!((call, &*code), (0, word));
            assert!(detail.contains(part), "{detail}");
            assert_eq!(hand.receive().await, None);
        }
        assert!(door.ended(4).await.iter().all(|ended| *ended == Ended::Greeting));
        door.close().await;
    });
}

#[test]
fn a_second_hello_is_refused_and_the_connection_lives() {
    run(async {
        let door = Door::open(Echo, ServeOptions::default());
        let mut hand = Hand::client(door.address).await;
        hand.send(&hello(Flags::NONE, 1)).await;
        hand.send(&frame(Kind::QUERY, Flags::NONE, 1, b"alive")).await;
        assert_eq!(hand.receive().await.unwrap().error().1, words::BAD_MESSAGE);
        assert_eq!(hand.receive().await.unwrap().payload, b"alive");
        drop(hand);
        door.close().await;
    });
}

/// What a server answers a call with, and what its caller is told.
#[test]
fn a_caller_is_told_what_a_server_did_wrong() {
    let unknown = frame(Kind::RESPONSE, Flags::RESPONSE, u64::MAX, b"");
    let versioned = {
        let mut out = Vec::new();
        let error = ErrorReply { version: 3, ..crate::error_reply(words::VERSION, "", "") };
        error.encode(&mut out);
        frame(Kind::ERROR, Flags::RESPONSE, 0, &out)
    };
    let rows = [
        (damaged(0, 0xff), "protocol", "DIST"),
        (damaged(33, 1), "protocol", "damaged"),
        (oversize(), "protocol", "at most"),
        (damaged(4, 3), "version", "version 2"),
        (versioned, "version", "version 3"),
        (frame(Kind::QUERY, Flags::NONE, 1, b""), "protocol", "server sent a call"),
        (unknown, "protocol", "never made"),
        (frame(Kind::ERROR, Flags::RESPONSE, 0, b"?"), "protocol", "error"),
    ];
    run(async move {
        for (bytes, error_type, part) in rows {
            let listener = Listener::bind(loopback()).unwrap();
            let (peer, _) = peer(listener.address(), PeerOptions::default());
            let serve = async {
                let mut hand = Hand::server(&listener).await;
                hand.receive().await.unwrap();
                hand.send(&bytes).await;
                assert_eq!(hand.receive().await, None, "{part}: the caller closes");
            };
            let (error, ()) = both(query(&peer, b"x"), serve).await;
            let error = error.unwrap_err();
            assert_eq!(error.error_type(), error_type, "{error}");
            assert!(error.to_string().contains(part), "{error}");
            peer.stop().await;
        }
    });
}

#[test]
fn a_greeting_that_does_not_fit_is_the_callers_to_know() {
    let later = damaged(4, 3);
    let rows = [
        (Some(later), "version", "version 2"),
        (Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "protocol", "something else"),
        (Some(frame(Kind::PING, Flags::RESPONSE, 0, b"")), "refused", "ping"),
        (None, "refused", "without a greeting"),
    ];
    run(async move {
        for (bytes, error_type, part) in rows {
            let listener = Listener::bind(loopback()).unwrap();
            let (peer, _) = peer(listener.address(), PeerOptions::default());
            let serve = async {
                // A refusal is tried again, up to the bound.
                let attempts = if error_type == "refused" { 3 } else { 1 };
                for _ in 0..attempts {
                    let mut hand = Hand::new(listener.accept().await.unwrap());
                    assert_eq!(hand.receive().await.unwrap().kind, Kind::HELLO);
                    if let Some(bytes) = &bytes {
                        hand.send(bytes).await;
                        assert_eq!(hand.receive().await, None);
                    }
                }
            };
            let (error, ()) = both(query(&peer, b"x"), serve).await;
            let error = error.unwrap_err();
            assert_eq!(error.error_type(), error_type, "{error}");
            assert!(error.to_string().contains(part), "{error}");
            peer.stop().await;
        }
    });
}
