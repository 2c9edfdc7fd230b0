//! The client against servers that answer byte by byte what a test says.

use crate::client::{HttpClient, HttpOptions};
use crate::{CallErrorCode, HttpRequest, HttpResponse, Trust};
use bytes::Bytes;
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use futures_rustls::TlsAcceptor;
use runtime::{Listener, Resolver, Stream, Task, TaskSet, block_on, spawn_local};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use telemetry::{Registry, Value};

const SOON: Duration = Duration::from_secs(5);
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a server does with one request.
#[derive(Clone)]
enum Act {
    /// Sends this and keeps the connection.
    Answer(Vec<u8>),
    /// Sends this and closes.
    Last(Vec<u8>),
    /// Says nothing, and keeps the connection.
    Silence,
}

fn answer(text: &str) -> Act {
    Act::Answer(text.as_bytes().to_vec())
}

fn last(text: &str) -> Act {
    Act::Last(text.as_bytes().to_vec())
}

/// A server on a free port that acts out its list, over however many connections, and then answers
/// `OK` to everything.
struct Server {
    address: SocketAddr,
    connections: Rc<Cell<usize>>,
    /// Requests as received: head and body.
    requests: Rc<RefCell<Vec<String>>>,
    /// Connections that are open now.
    open: Rc<TaskSet>,
    _accepting: Task<()>,
}

impl Server {
    fn start(acts: Vec<Act>) -> Self {
        Self::start_with(acts, None)
    }

    fn start_with(acts: Vec<Act>, tls: Option<TlsAcceptor>) -> Self {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.address();
        let connections = Rc::<Cell<usize>>::default();
        let requests = Rc::<RefCell<Vec<String>>>::default();
        let open = Rc::new(TaskSet::new());
        let acts = Rc::new(RefCell::new(std::collections::VecDeque::from(acts)));
        let accepting = spawn_local({
            let (connections, requests, open) =
                (Rc::clone(&connections), Rc::clone(&requests), Rc::clone(&open));
            async move {
                loop {
                    let stream = listener.accept().await.unwrap();
                    connections.set(connections.get() + 1);
                    let (requests, acts) = (Rc::clone(&requests), Rc::clone(&acts));
                    let tls = tls.clone();
                    open.spawn(async move {
                        let next = || acts.borrow_mut().pop_front().unwrap_or_else(|| answer(OK));
                        match tls {
                            None => serve(stream, &requests, next).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    serve(stream, &requests, next).await;
                                }
                            }
                        }
                    });
                }
            }
        });
        Self { address, connections, requests, open, _accepting: accepting }
    }

    fn request(&self, path: &str) -> HttpRequest {
        get(&format!("http://{}{path}", self.address))
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    requests: &RefCell<Vec<String>>,
    mut next: impl FnMut() -> Act,
) {
    while let Some(request) = read_request(&mut stream).await {
        requests.borrow_mut().push(request);
        match next() {
            Act::Answer(bytes) => stream.write_all(&bytes).await.unwrap(),
            Act::Last(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                stream.close().await.unwrap();
                return;
            }
            Act::Silence => {}
        }
    }
}

/// One request with its body, or `None` when the client has closed.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0; 1];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8(text.clone()).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    text.extend(body);
    Some(String::from_utf8(text).unwrap())
}

fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: SOON,
        idempotency_key: None,
    }
}

fn client() -> HttpClient {
    HttpClient::new(HttpOptions::default())
}

/// Calls that fail with this code, and whether they may be made again.
async fn failure(client: &HttpClient, request: HttpRequest) -> (CallErrorCode, bool, String) {
    let error = client.call(request).await.expect_err("the call fails");
    (error.code, error.retryable, error.message)
}

#[test]
fn a_call_sends_what_was_asked_and_gives_the_whole_answer() {
    block_on(async {
        let server = Server::start(vec![answer(
            "HTTP/1.1 201 Created\r\nX-One: 1\r\nX-One: 2\r\nContent-Length: 5\r\n\r\nhello",
        )]);
        let mut request = server.request("/holds?a=1");
        request.method = "POST".to_owned();
        request.headers = vec![("Authorization".to_owned(), "Bearer x".to_owned())];
        request.body = Bytes::from_static(b"{\"id\":1}");
        request.idempotency_key = Some("m-1/reserve/0".to_owned());
        let response = client().call(request).await.unwrap();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            response,
            HttpResponse {
                status: 201,
                headers: vec![
                    header("x-one", "1"),
                    header("x-one", "2"),
                    header("content-length", "5")
                ],
                body: Bytes::from_static(b"hello"),
            }
        );
        let sent = server.requests.borrow()[0].clone();
        assert!(sent.starts_with("POST /holds?a=1 HTTP/1.1\r\n"), "{sent}");
        for line in [
            &format!("host: {}", server.address),
            "authorization: Bearer x",
            "idempotency-key: m-1/reserve/0",
            "content-length: 8",
        ] {
            assert!(sent.lines().any(|sent| sent == line), "{line} in {sent}");
        }
        assert!(sent.ends_with("{\"id\":1}"), "{sent}");
    });
}

#[test]
fn answers_end_by_length_by_chunks_by_the_end_or_at_once() {
    block_on(async {
        for (text, status, body) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, ""),
            ("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302, ""),
            ("HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nwhy", 500, "why"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                200,
                "abcde",
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                200,
                "x",
            ),
            ("HTTP/1.0 200 OK\r\n\r\nto the end", 200, "to the end"),
        ] {
            let server = Server::start(vec![last(text)]);
            let response = client().call(server.request("/")).await.unwrap();
            assert_eq!((response.status, &*response.body), (status, body.as_bytes()), "{text}");
        }
        let server =
            Server::start(vec![answer("HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")]);
        let mut request = server.request("/");
        request.method = "HEAD".to_owned();
        assert_eq!(client().call(request).await.unwrap().body, "");
    });
}

#[test]
fn a_connection_is_kept_and_used_again_until_the_server_says_no() {
    block_on(async {
        let server = Server::start(vec![
            answer(OK),
            answer(OK),
            last("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
        ]);
        let client = client();
        for (connections, idle) in [(1, 1), (1, 1), (1, 0), (2, 1)] {
            assert_eq!(client.call(server.request("/")).await.unwrap().body, "ok");
            assert_eq!((server.connections.get(), client.idle()), (connections, idle));
        }
        client.close_idle();
        assert_eq!(client.idle(), 0);
        server.open.idle().await;
    });
}

#[test]
fn idle_connections_are_bounded_and_closed_in_their_time() {
    block_on(async {
        let server = Server::start(Vec::new());
        let options = HttpOptions {
            idle_per_origin_max: 2,
            idle_time_max: Duration::from_millis(2),
            ..HttpOptions::default()
        };
        let client = HttpClient::new(options);
        let calls: Vec<_> = (0..5)
            .map(|_| {
                let (client, request) = (client.clone(), server.request("/"));
                spawn_local(async move { client.call(request).await.unwrap() })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.status, 200);
        }
        assert!(client.idle() <= 2, "{}", client.idle());
        // The server sees every connection end: none is kept for ever.
        server.open.idle().await;
        assert_eq!(client.idle(), 0);
    });
}

#[test]
fn calls_beyond_the_bound_wait_for_a_connection_and_are_told_when_none_comes() {
    block_on(async {
        // The first two are not answered; whoever comes later is.
        let server = Server::start(vec![Act::Silence, Act::Silence]);
        let options = HttpOptions { connections_per_origin_max: 2, ..HttpOptions::default() };
        let client = HttpClient::new(options);
        let stuck: Vec<_> = (0..2)
            .map(|_| {
                let (client, request) = (client.clone(), server.request("/stuck"));
                spawn_local(async move { client.call(request).await.map(drop) })
            })
            .collect();
        let waiting = {
            let (client, request) = (client.clone(), server.request("/waits"));
            spawn_local(async move { client.call(request).await })
        };
        let mut brief = server.request("/in-vain");
        brief.timeout = Duration::from_millis(5);
        let (code, retryable, message) = failure(&client, brief).await;
        assert_eq!((code, retryable), (CallErrorCode::Exhausted, true), "{message}");
        let words = format!(
            "all 2 connections to {} are in use, and none became free within 5ms; nothing was sent",
            server.address
        );
        assert_eq!(message, words);
        assert!(server.connections.get() <= 2, "none was opened for it");
        // A call that is given up makes room for the next.
        for stuck in stuck {
            assert!(stuck.cancel().await.is_none());
        }
        assert_eq!(waiting.await.unwrap().status, 200);
        let in_vain = |request: &String| request.contains("/in-vain");
        assert!(!server.requests.borrow().iter().any(in_vain), "what waited in vain was not sent");
    });
}

/// Connections open, connections given to calls, and those of them that had been kept.
fn counts(registry: &Registry) -> (f64, u64, u64) {
    let snapshot = registry.snapshot();
    let value = |name| {
        let sample = snapshot.samples().iter().find(|sample| sample.name() == name);
        sample.expect("the pool counts from its beginning").value()
    };
    let (Value::Level(open), Value::Buckets { buckets: given, .. }, Value::Count(reused)) = (
        value("tcp_pool_size"),
        value("tcp_pool_acquire_duration_seconds"),
        value("tcp_pool_connection_reuse_total"),
    ) else {
        panic!("each is of its kind")
    };
    (*open, given.iter().sum(), *reused)
}

#[test]
fn connections_are_counted_while_they_are_open() {
    block_on(async {
        let registry = Registry::new();
        let server = Server::start(Vec::new());
        let client = HttpClient::counted(HttpOptions::default(), &registry);
        assert_eq!(counts(&registry), (0.0, 0, 0));
        for after in [(1.0, 1, 0), (1.0, 2, 1), (1.0, 3, 2)] {
            assert_eq!(client.call(server.request("/")).await.unwrap().status, 200);
            assert_eq!(counts(&registry), after);
        }
        client.close_idle();
        assert_eq!(counts(&registry), (0.0, 3, 2));
    });
}

#[test]
fn a_kept_connection_that_the_server_drops_unread_is_replaced_when_the_call_has_a_key() {
    block_on(async {
        for (key, status) in [(Some("k"), Some(200)), (None, None)] {
            let server = Server::start(vec![answer(OK), last(""), answer(OK)]);
            let client = client();
            client.call(server.request("/first")).await.unwrap();
            let mut request = server.request("/second");
            request.method = "POST".to_owned();
            request.idempotency_key = key.map(str::to_owned);
            let result = client.call(request).await;
            assert_eq!(result.as_ref().ok().map(|answer| answer.status), status, "{result:?}");
            match result {
                Ok(_) => assert_eq!(server.requests.borrow().len(), 3),
                Err(error) => {
                    assert_eq!((error.code, error.retryable), (CallErrorCode::Broken, true));
                    assert_eq!(server.requests.borrow().len(), 2);
                }
            }
        }
    });
}

#[test]
fn a_fresh_connection_is_not_tried_twice_and_neither_is_one_that_began_to_answer() {
    block_on(async {
        let server = Server::start(vec![last("")]);
        let mut request = server.request("/");
        request.idempotency_key = Some("k".to_owned());
        let (code, retryable, _) = failure(&client(), request.clone()).await;
        assert_eq!((code, retryable), (CallErrorCode::Broken, true));
        assert_eq!(server.requests.borrow().len(), 1);

        let server = Server::start(vec![answer(OK), last("HTTP/1.1 2")]);
        let client = client();
        client.call(server.request("/")).await.unwrap();
        request.url = format!("http://{}/", server.address);
        let (code, _, message) = failure(&client, request).await;
        assert_eq!(code, CallErrorCode::Broken, "{message}");
        assert_eq!(server.requests.borrow().len(), 2);
    });
}

#[test]
fn a_connection_that_was_closed_while_idle_is_not_used() {
    block_on(async {
        let server = Server::start(vec![last(OK)]);
        let client = client();
        client.call(server.request("/")).await.unwrap();
        server.open.idle().await;
        // Another server's answer is input that came later than the end of the connection.
        client.call(Server::start(Vec::new()).request("/")).await.unwrap();
        let mut request = server.request("/");
        request.method = "POST".to_owned();
        assert_eq!(client.call(request).await.unwrap().status, 200);
        assert_eq!(server.connections.get(), 2);
    });
}

#[test]
fn what_is_too_large_is_not_read_to_its_end() {
    block_on(async {
        let options = HttpOptions { response_bytes_max: 4, ..HttpOptions::default() };
        let client = HttpClient::new(options);
        let many = "X: y\r\n".repeat(101);
        let long = "y".repeat(70_000);
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n"
                .to_owned(),
            format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
            format!("HTTP/1.1 200 OK\r\nX: {long}\r\n\r\n"),
        ] {
            let server = Server::start(vec![answer(&text)]);
            let (code, retryable, message) = failure(&client, server.request("/")).await;
            assert_eq!((code, retryable), (CallErrorCode::TooLarge, false), "{text:.60} {message}");
            server.open.idle().await;
        }
        let exact = answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour");
        let server = Server::start(vec![exact]);
        assert_eq!(client.call(server.request("/")).await.unwrap().body, "four");
    });
}

#[test]
fn time_runs_out_whatever_the_server_withholds_and_its_connection_is_closed() {
    block_on(async {
        for act in [
            Act::Silence,
            answer("HTTP/1.1 200"),
            answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"),
        ] {
            let server = Server::start(vec![act]);
            let mut request = server.request("/");
            request.timeout = Duration::from_millis(20);
            let (code, retryable, message) = failure(&client(), request).await;
            assert_eq!((code, retryable), (CallErrorCode::Timeout, true));
            let words = format!("no answer of {} within 20ms", server.address);
            assert_eq!(message, words);
            server.open.idle().await;
        }
    });
}

#[test]
fn each_way_to_fail_has_its_code() {
    block_on(async {
        let nothing = Resolver::new(Arc::new(|_, _| Err(std::io::Error::other("no such name"))));
        let client =
            HttpClient::with_resolver(HttpOptions::default(), &Registry::new(), Rc::new(nothing));
        let closed = runtime::probe_port(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let (code, retryable, message) =
            failure(&client, get(&format!("http://{}/", closed.address()))).await;
        assert_eq!((code, retryable), (CallErrorCode::Refused, true), "{message}");

        let (code, retryable, message) = failure(&client, get("http://nobody.invalid/")).await;
        assert_eq!((code, retryable), (CallErrorCode::Dns, true));
        assert_eq!(message, "cannot look up the name nobody.invalid: no such name");

        for text in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 two OK\r\n\r\n"] {
            let server = Server::start(vec![last(text)]);
            let (code, retryable, message) = failure(&client, server.request("/")).await;
            assert_eq!((code, retryable), (CallErrorCode::Protocol, false), "{message}");
        }
        let server = Server::start(vec![last("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")]);
        let (code, retryable, message) = failure(&client, server.request("/")).await;
        assert_eq!((code, retryable), (CallErrorCode::Broken, true), "{message}");
    });
}

#[test]
fn the_next_address_of_a_name_is_tried_when_one_refuses() {
    block_on(async {
        let server = Server::start(Vec::new());
        let (good, bad) = (server.address, SocketAddr::from(([127, 0, 0, 2], 1)));
        let both = Resolver::new(Arc::new(move |_, _| Ok(vec![bad, good])));
        let client =
            HttpClient::with_resolver(HttpOptions::default(), &Registry::new(), Rc::new(both));
        assert_eq!(client.call(get("http://two.local/")).await.unwrap().status, 200);
        assert!(server.requests.borrow()[0].contains("host: two.local\r\n"));
    });
}

/// A server's side of TLS for the name `bank.local`, and the root that it leads to.
fn certificate() -> (TlsAcceptor, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(vec!["bank.local".to_owned()]).unwrap();
    let root = made.cert.pem();
    let chain = vec![CertificateDer::from_pem_slice(root.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), root.into_bytes())
}

fn tls_client(trust: Trust, address: SocketAddr) -> HttpClient {
    let options = HttpOptions { trust, ..HttpOptions::default() };
    let resolver = Resolver::new(Arc::new(move |_, _| Ok(vec![address])));
    HttpClient::with_resolver(options, &Registry::new(), Rc::new(resolver))
}

#[test]
fn https_calls_trust_the_given_root_and_share_connections() {
    block_on(async {
        let (acceptor, root) = certificate();
        let large =
            format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
        let server = Server::start_with(vec![answer(OK), answer(&large)], Some(acceptor));
        let client = tls_client(Trust::Pem(root), server.address);
        assert_eq!(client.call(get("https://bank.local/")).await.unwrap().body, "ok");
        assert_eq!(client.call(get("https://bank.local/")).await.unwrap().body.len(), 100_000);
        assert_eq!(server.connections.get(), 1);
        assert!(server.requests.borrow()[0].contains("host: bank.local\r\n"));
    });
}

#[test]
fn a_certificate_of_another_root_or_name_is_refused_for_good() {
    block_on(async {
        let (acceptor, root) = certificate();
        let (_, other_root) = certificate();
        let server = Server::start_with(Vec::new(), Some(acceptor));
        for (trust, url) in [
            (Trust::Pem(other_root), "https://bank.local/"),
            (Trust::Pem(root), "https://other.local/"),
        ] {
            let client = tls_client(trust, server.address);
            let (code, retryable, message) = failure(&client, get(url)).await;
            assert_eq!((code, retryable), (CallErrorCode::Tls, false), "{message}");
            assert!(message.contains("certificate"), "{message}");
        }
        assert!(server.requests.borrow().is_empty());
        server.open.idle().await;
    });
}

#[test]
fn a_server_without_tls_and_one_that_leaves_are_told_from_a_bad_certificate() {
    block_on(async {
        let (_, root) = certificate();
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let client = tls_client(Trust::Pem(root), listener.address());
        let leaving = spawn_local(async move {
            let stream: Stream = listener.accept().await.unwrap();
            drop(stream);
        });
        let (code, retryable, message) = failure(&client, get("https://bank.local/")).await;
        assert_eq!((code, retryable), (CallErrorCode::Tls, true), "{message}");
        leaving.await;
    });
}

#[test]
fn many_calls_at_once_all_get_their_own_answers() {
    block_on(async {
        let answers =
            (0..200).map(|_| answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")).collect();
        let server = Server::start(answers);
        let client = client();
        let calls: Vec<_> = (0..200)
            .map(|number| {
                let (client, request) = (client.clone(), server.request(&format!("/{number}")));
                spawn_local(async move { client.call(request).await.unwrap().status })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await, 200);
        }
        assert_eq!(server.requests.borrow().len(), 200);
        assert!(client.idle() <= 32);
    });
}
