//! Channels: frames one after the other, both ways, and how they end.

use super::{PAYLOAD_BYTES_MAX, loopback, run};
use crate::channel::{
    Channel, ChannelError, ChannelOptions, Introduced, answer_channel, call_channel,
};
use base::UnixMicros;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use runtime::{Listener, LocalNotify, Stream, TaskSet};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use wire::{Flags, Head, Hello, Kind, write_frame};

const OPTIONS: ChannelOptions = ChannelOptions {
    payload_bytes_max: PAYLOAD_BYTES_MAX,
    output_bytes_max: 1024 * 1024,
    hello_within: Duration::from_secs(5),
    ping_after: Duration::from_mins(1),
    ping_patience: Duration::from_mins(1),
};

fn hello(node: u64) -> Hello<'static> {
    Hello { node, store: node * 11, ..Hello::of(Hello::COORDINATOR) }
}

/// Both ends of a connection, each with the other's hello.
async fn pair(options: ChannelOptions) -> (Introduced, Introduced) {
    let listener = Listener::bind(loopback()).unwrap();
    let address = listener.address();
    let tasks = TaskSet::new();
    let answered = Rc::new(RefCell::new(None));
    let (seat, rings) = (Rc::clone(&answered), Rc::new(LocalNotify::new()));
    let ring = Rc::clone(&rings);
    tasks.spawn(async move {
        let stream = listener.accept().await.unwrap();
        let mut introduced = answer_channel(stream, options).await.unwrap();
        introduced.answer(&hello(2)).await.unwrap();
        *seat.borrow_mut() = Some(introduced);
        ring.notify();
    });
    let near = call_channel(address, &hello(1), options).await.unwrap();
    rings.notified().await;
    let far = answered.borrow_mut().take().unwrap();
    (near, far)
}

fn send(channel: &Channel, number: u64, bytes: usize) -> bool {
    let head = Head {
        kind: Kind::FORWARD,
        flags: Flags::NONE,
        call: number,
        sent_at: UnixMicros(0),
        trace: None,
    };
    channel.send(|out| write_frame(out, &head, |out| out.resize(out.len() + bytes, 7)))
}

/// Takes frames into a list until there are `count`, then ends the channel.
async fn take(end: Introduced, count: usize) -> Vec<(u64, usize)> {
    let (channel, mut driver) = end.open();
    let mut taken = Vec::new();
    let why = driver
        .run(|frame| {
            let (header, payload) = (&frame.header, frame.payload);
            taken.push((header.call, payload.len()));
            if taken.len() == count { Err("enough".to_owned()) } else { Ok(()) }
        })
        .await;
    assert_eq!(why, "enough");
    drop(driver);
    assert!(channel.is_ended());
    taken
}

#[test]
fn each_side_knows_what_the_other_says_of_itself() {
    run(async {
        let (near, far) = pair(OPTIONS).await;
        assert_eq!(near.hello().unwrap().store, 22);
        assert_eq!(far.hello().unwrap().store, 11);
    });
}

#[test]
fn frames_arrive_in_the_order_in_which_they_were_sent() {
    run(async {
        let (near, far) = pair(OPTIONS).await;
        let (channel, mut driver) = near.open();
        for number in 1..=1000 {
            assert!(send(&channel, number, 100));
        }
        let tasks = TaskSet::new();
        tasks.spawn(async move {
            driver.run(|_| Ok(())).await;
        });
        let taken = take(far, 1000).await;
        assert!(taken.iter().zip(1..).all(|((number, bytes), at)| (*number, *bytes) == (at, 100)));
        tasks.idle().await;
        assert!(channel.is_ended(), "the other side has closed it");
        assert!(!send(&channel, 1, 1));
    });
}

#[test]
fn for_a_peer_that_reads_nothing_no_more_than_the_bound_is_kept() {
    run(async {
        let (near, _answerer) = pair(OPTIONS).await;
        let (channel, _driver) = near.open();
        let taken = (0..100).take_while(|number| send(&channel, *number, 100_000)).count();
        assert_eq!(taken, 11, "a MiB, and the frame that goes beyond");
    });
}

#[test]
fn a_peer_that_answers_no_ping_is_given_up() {
    let short = ChannelOptions {
        ping_after: Duration::from_millis(1),
        ping_patience: Duration::from_millis(1),
        ..OPTIONS
    };
    run(async move {
        // The other end is held, and nobody drives it.
        let (near, _answerer) = pair(short).await;
        let (_channel, mut driver) = near.open();
        let why = driver.run(|_| Ok(())).await;
        assert_eq!(why, "the peer does not answer a ping");
    });
}

#[test]
fn who_is_refused_hears_why_and_where_nobody_listens_is_told_apart() {
    run(async {
        let listener = Listener::bind(loopback()).unwrap();
        let address = listener.address();
        let tasks = TaskSet::new();
        tasks.spawn(async move {
            let stream = listener.accept().await.unwrap();
            let introduced = answer_channel(stream, OPTIONS).await.unwrap();
            introduced.refuse("not you").await;
        });
        let error = call_channel(address, &hello(1), OPTIONS).await.unwrap_err();
        let detail = "not you".to_owned();
        assert_eq!(error, ChannelError::Said { address: address.to_string(), detail });
        tasks.idle().await;
        let error = call_channel(address, &hello(1), OPTIONS).await.unwrap_err();
        assert_eq!(error, ChannelError::Refused { address: address.to_string() });
    });
}

#[test]
fn what_is_no_greeting_is_lost_with_a_reason() {
    async fn greeted_with(bytes: &'static [u8]) -> String {
        let listener = Listener::bind(loopback()).unwrap();
        let address: SocketAddr = listener.address();
        let tasks = TaskSet::new();
        tasks.spawn(async move {
            let mut stream = Stream::connect(address, OPTIONS.hello_within).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream.close().await.unwrap();
            let _until_it_ends = stream.read(&mut [0; 64]).await;
        });
        let stream = listener.accept().await.unwrap();
        let error = answer_channel(stream, OPTIONS).await.unwrap_err();
        tasks.cancel_all().await;
        error.to_string()
    }
    run(async {
        let silent = greeted_with(b"").await;
        assert!(silent.ends_with("it closed the connection without a greeting"), "{silent}");
        let other = greeted_with(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n0123456789").await;
        assert!(other.contains("DIST"), "{other}");
    });
}
