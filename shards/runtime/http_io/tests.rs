use super::*;
use crate::{Listener, Stream, block_on};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use std::net::SocketAddr;

async fn pair(stall_max: Duration) -> (Stream, HttpIo<Stream>) {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let within = Duration::from_secs(10);
    let connect = Stream::connect(listener.address(), within);
    let (client, server) = futures_lite::future::zip(connect, listener.accept()).await;
    (client.unwrap(), HttpIo::new(server.unwrap(), stall_max))
}

#[test]
fn hyper_reads_what_was_sent() {
    block_on(async {
        let (mut client, mut io) = pair(Duration::from_secs(10)).await;
        let sent: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let writer = crate::spawn_local({
            let sent = sent.clone();
            async move {
                client.write_all(&sent).await.unwrap();
                client
            }
        });
        let mut received = Vec::new();
        let mut memory = [0; 7_000];
        while received.len() < sent.len() {
            let mut buffer = hyper::rt::ReadBuf::new(&mut memory);
            std::future::poll_fn(|cx| Pin::new(&mut io).poll_read(cx, buffer.unfilled()))
                .await
                .unwrap();
            received.extend_from_slice(buffer.filled());
        }
        assert_eq!(received, sent);
        drop(writer.await);
    });
}

#[test]
fn a_peer_that_does_not_read_is_cut_off_and_one_that_does_is_not() {
    block_on(async {
        let (mut client, mut io) = pair(Duration::from_millis(1)).await;
        let block = vec![7; 1024 * 1024];
        let mut written = 0;
        let error = loop {
            let write = std::future::poll_fn(|cx| Pin::new(&mut io).poll_write(cx, &block));
            match write.await {
                Ok(bytes) => written += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(written > 0);

        let mut received = vec![0; written];
        client.read_exact(&mut received).await.unwrap();
        let write = std::future::poll_fn(|cx| Pin::new(&mut io).poll_write(cx, b"more"));
        assert_eq!(write.await.unwrap(), 4);
        assert!(io.stalled.is_none());
    });
}

async fn read(io: &mut HttpIo<Stream>) -> Poll<usize> {
    let mut memory = [0; 1024];
    let mut buffer = hyper::rt::ReadBuf::new(&mut memory);
    std::future::poll_fn(|cx| {
        let read = Pin::new(&mut *io).poll_read(cx, buffer.unfilled());
        Poll::Ready(read.map(Result::unwrap))
    })
    .await
    .map(|()| buffer.filled().len())
}

async fn write(io: &mut HttpIo<Stream>, bytes: &[u8]) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        let write = std::future::poll_fn(|cx| Pin::new(&mut *io).poll_write(cx, left));
        left = &left[write.await?..];
        std::future::poll_fn(|cx| Pin::new(&mut *io).poll_flush(cx)).await?;
    }
    Ok(())
}

#[test]
fn answers_are_gathered_until_nothing_more_is_there_to_read() {
    block_on(async {
        let (mut client, io) = pair(Duration::from_secs(10)).await;
        let mut io = HttpIo::gathering(io.into_inner(), Duration::from_secs(10));
        client.write_all(b"two requests").await.unwrap();
        while read(&mut io).await.is_pending() {
            crate::task::yield_if_needed().await;
        }
        write(&mut io, b"one").await.unwrap();
        write(&mut io, b"two").await.unwrap();
        let mut received = [0; 6];
        let early = crate::timeout(Duration::from_millis(1), client.read(&mut received)).await;
        assert!(early.is_err(), "they wait for the next request");

        assert!(read(&mut io).await.is_pending(), "there is none");
        client.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"onetwo");
        assert!(io.gathered.is_empty() && io.gathered.capacity() == 0, "the memory is given back");

        write(&mut io, b"and on").await.unwrap();
        client.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"and on", "nobody waits for a request that was not there");

        client.write_all(b"a request").await.unwrap();
        while read(&mut io).await.is_pending() {
            crate::task::yield_if_needed().await;
        }
        write(&mut io, b"last").await.unwrap();
        std::future::poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"last", "an end in order gives all");
    });
}

#[test]
fn a_peer_that_asks_without_end_and_never_reads_is_cut_off_within_the_bound() {
    block_on(async {
        for bytes in [100, GATHER_BYTES_MAX, GATHER_BYTES_MAX + 1, 1024 * 1024] {
            let (client, io) = pair(Duration::from_millis(1)).await;
            let mut io = HttpIo::gathering(io.into_inner(), Duration::from_millis(1));
            let answer = vec![7; bytes];
            let error = loop {
                assert!(io.gathered.len() <= GATHER_BYTES_MAX);
                if let Err(error) = write(&mut io, &answer).await {
                    break error;
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            drop(client);
        }
    });
}

#[test]
fn whatever_its_parts_are_an_answer_arrives_whole_and_in_order() {
    block_on(async {
        let (mut client, io) = pair(Duration::from_secs(10)).await;
        let mut io = HttpIo::gathering(io.into_inner(), Duration::from_secs(10));
        let sizes = [1, 70_000, 3, 40_000, 40_000, 65_536, 65_537, 5, 200_000, 0, 9];
        let sent: Vec<u8> = (0..sizes.iter().sum())
            .map(|n: usize| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
            .collect();
        let reader = crate::spawn_local(async move {
            let mut received = Vec::new();
            client.read_to_end(&mut received).await.unwrap();
            received
        });
        let mut left = &sent[..];
        for size in sizes {
            let (answer, rest) = left.split_at(size);
            write(&mut io, answer).await.unwrap();
            left = rest;
        }
        std::future::poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await.unwrap();
        assert!(reader.await == sent);
    });
}

#[test]
fn hypers_timer_ends_after_its_deadline_also_when_reset() {
    block_on(async {
        let before = Instant::now();
        let wait = Duration::from_millis(1);
        let mut sleep = HttpTimer.sleep(Duration::from_hours(1));
        assert!(crate::timeout(Duration::from_micros(100), sleep.as_mut()).await.is_err());
        HttpTimer.reset(&mut sleep, before + wait);
        sleep.await;
        assert!(before.elapsed() >= wait);
    });
}
