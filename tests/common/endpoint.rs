//! The outside world: a server that http tasks call, and that remembers who called.

use crate::client::Connection;
use serde_json::{Value, json};
use std::io;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// One call as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Its `Idempotency-Key`.
    pub(crate) key: String,
    /// Its `traceparent`.
    pub(crate) traceparent: Option<String>,
    pub(crate) body: Value,
}

/// The server. It ends with this value.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    calls: Mutex<Vec<Call>>,
    over: AtomicBool,
}

impl Endpoint {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming() {
                    if shared.over.load(Ordering::Acquire) {
                        return;
                    }
                    let (shared, stream) = (Arc::clone(&shared), stream.expect("files suffice"));
                    // Ends with its connection: the node that holds it is killed by its test.
                    thread::spawn(move || shared.serve(stream));
                }
            }
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Every call so far. The place of a call is the `serial` it was answered with.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().expect("connections do not panic").clone()
    }
}

impl Shared {
    /// Serves one connection until its client goes.
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut connection = Connection::over(stream)?;
        loop {
            let request = connection.message(true)?;
            let key = request.header("idempotency-key").unwrap_or_default().to_owned();
            let traceparent = request.header("traceparent").map(str::to_owned);
            let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
            let serial = {
                let mut calls = self.calls.lock().expect("connections do not panic");
                calls.push(Call { key, traceparent, body });
                calls.len() - 1
            };
            let answer = json!({ "serial": serial }).to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
            write!(connection.stream, "{head}: {}\r\n\r\n{answer}", answer.len())?;
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        // Wakes the thread, which then sees that it is over.
        let _woken = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _joined = accepting.join();
        }
    }
}
