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
