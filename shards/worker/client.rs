//! Calls over kept connections: a permit first, then a connection that is kept, or else a new one.

use crate::permits::{Permit, Permits, TooManyWait, WAITING_MAX};
use crate::pool::{Connection, Pool, PoolMetrics};
use crate::request::{CallError, CallErrorCode, HttpRequest, HttpResponse, Prepared};
use crate::target::Origin;
use crate::transport::Transport;
use crate::trust::{Trust, TrustError};
use base::Instant;
use bytes::{Bytes, BytesMut};
use futures_rustls::TlsConnector;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::{Body as _, Incoming};
use runtime::{ResolveError, Resolver, Stream, Task, instant, spawn_local};
use rustls::pki_types::ServerName;
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use telemetry::Registry;

/// The longest that one address may take to accept a connection, so that the next one is tried
/// within the call's time.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The longest wait for a kept connection to finish with its last answer.
const SETTLE_MAX: Duration = Duration::from_millis(10);

/// Bounds of a client, and whom it trusts.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// The largest body of an answer. Unit: bytes. Default 256 KiB, the largest message.
    pub response_bytes_max: usize,
    /// The largest head of an answer. Unit: bytes. Default 64 KiB.
    pub header_bytes_max: usize,
    /// Connections to one origin, per core, in use or waiting; further calls wait for one within
    /// their time. At least 1. Default 256: as many calls as a core makes at a time.
    pub connections_per_origin_max: usize,
    /// Connections to one origin that wait for their next request. Default 32.
    pub idle_per_origin_max: usize,
    /// Connections that wait in all, per core. Default 256.
    pub idle_max: usize,
    /// How long one waits. Default 30 s, below what servers usually keep (60 s and more).
    pub idle_time_max: Duration,
    /// Whom https calls trust.
    pub trust: Trust,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            response_bytes_max: base::limits::MESSAGE_BYTES_MAX,
            header_bytes_max: 64 * 1024,
            connections_per_origin_max: 256,
            idle_per_origin_max: 32,
            idle_max: 256,
            idle_time_max: Duration::from_secs(30),
            trust: Trust::Machine,
        }
    }
}

/// Makes calls from one core. Clones share the connections. How many calls are made at the same
/// time is the caller's to bound.
#[derive(Clone)]
pub struct HttpClient {
    inner: Rc<Inner>,
}

struct Inner {
    options: HttpOptions,
    permits: Rc<Permits>,
    pool: Rc<Pool>,
    metrics: PoolMetrics,
    resolver: Rc<Resolver>,
    connector: RefCell<Option<TlsConnector>>,
    _reaper: Task<()>,
}

/// A request that got no answer.
struct Failure {
    error: CallError,
    /// It may be sent once more on a fresh connection: the server has seen nothing of it, or will
    /// know it by its key.
    again: bool,
}

impl HttpClient {
    /// A client of the core that this is called on, whose counts nobody reads.
    pub fn new(options: HttpOptions) -> Self {
        Self::counted(options, &Registry::new())
    }

    /// The same, counting in the core's registry.
    pub fn counted(options: HttpOptions, registry: &Registry) -> Self {
        Self::with_resolver(options, registry, Resolver::of_this_core())
    }

    pub(crate) fn with_resolver(
        options: HttpOptions,
        registry: &Registry,
        resolver: Rc<Resolver>,
    ) -> Self {
        let pool = Rc::new(Pool::new(&options));
        let reaper = spawn_local(Rc::clone(&pool).reap());
        let inner = Inner {
            permits: Permits::new(options.connections_per_origin_max),
            pool,
            metrics: PoolMetrics::new(registry),
            resolver,
            connector: RefCell::new(None),
            options,
            _reaper: reaper,
        };
        Self { inner: Rc::new(inner) }
    }

    /// Makes a request and waits for the whole answer, whatever its status.
    pub async fn call(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        let within = request.timeout;
        let prepared = Prepared::new(request)?;
        let began = instant();
        let permit = self.permit(&prepared, within).await?;
        let left = within.saturating_sub(instant().since(began));
        let result = match runtime::timeout(left, self.inner.exchange(&prepared, began)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::later(
                CallErrorCode::Timeout,
                format!("no answer of {} within {within:?}", prepared.target.origin()),
            )),
        };
        // The connection is back among those that are kept, or closed: the next one may open one.
        drop(permit);
        result
    }

    async fn permit(&self, prepared: &Prepared, within: Duration) -> Result<Permit, CallError> {
        let permits = &self.inner.permits;
        let origin = prepared.target.origin();
        let why = match runtime::timeout(within, permits.acquire(origin)).await {
            Ok(Ok(permit)) => return Ok(permit),
            Ok(Err(TooManyWait)) => format!("and {WAITING_MAX} calls wait already"),
            Err(_) => format!("and none became free within {within:?}"),
        };
        Err(CallError::later(
            CallErrorCode::Exhausted,
            format!(
                "all {} connections to {origin} are in use, {why}; nothing was sent",
                permits.per_origin_max()
            ),
        ))
    }

    /// How many connections wait for their next request.
    pub fn idle(&self) -> usize {
        self.inner.pool.len()
    }

    /// Closes the connections that wait.
    pub fn close_idle(&self) {
        self.inner.pool.clear();
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").field("idle", &self.idle()).finish_non_exhaustive()
    }
}

impl Inner {
    /// Asks on a kept connection if there is one, and on a new one if that was closed meanwhile.
    async fn exchange(
        &self,
        prepared: &Prepared,
        began: Instant,
    ) -> Result<HttpResponse, CallError> {
        let origin = prepared.target.origin();
        let mut began = began;
        if let Some(connection) = self.kept_connection(origin).await {
            self.metrics.reused.increment();
            self.metrics.acquired.observe_duration(instant().since(began));
            match self.round_trip(connection, prepared).await {
                Ok(response) => return Ok(response),
                Err(failure) if !failure.again => return Err(failure.error),
                Err(_stale) => began = instant(),
            }
        }
        let connection = self.connect(origin).await?;
        self.metrics.acquired.observe_duration(instant().since(began));
        self.round_trip(connection, prepared).await.map_err(|failure| failure.error)
    }

    async fn kept_connection(&self, origin: &Origin) -> Option<Connection> {
        loop {
            let mut connection = self.pool.take(origin)?;
            let ready = runtime::timeout(SETTLE_MAX, connection.sender.ready()).await;
            if let Ok(Ok(())) = ready {
                return Some(connection);
            }
        }
    }

    /// Sends on a connection and keeps it afterwards, if it can be used again.
    async fn round_trip(
        &self,
        mut connection: Connection,
        prepared: &Prepared,
    ) -> Result<HttpResponse, Failure> {
        let origin = prepared.target.origin();
        let before = connection.received();
        let response = match connection.sender.try_send_request(prepared.request()).await {
            Ok(response) => response,
            Err(mut error) => {
                let unsent = error.take_message().is_some();
                let unanswered = connection.received() == before;
                return Err(Failure {
                    error: explain(origin, &error.into_error()),
                    again: unsent || (unanswered && prepared.has_key),
                });
            }
        };
        let response = self
            .read_response(origin, response, prepared.is_head())
            .await
            .map_err(|error| Failure { error, again: false })?;
        self.pool.put(origin, connection);
        Ok(response)
    }

    async fn read_response(
        &self,
        origin: &Origin,
        response: Response<Incoming>,
        is_head: bool,
    ) -> Result<HttpResponse, CallError> {
        let max = self.options.response_bytes_max;
        let too_large = || {
            CallError::never(
                CallErrorCode::TooLarge,
                format!("the answer of {origin} has more than {max} bytes"),
            )
        };
        let (head, mut body) = response.into_parts();
        let announced = body.size_hint().lower();
        if !is_head && announced > max as u64 {
            return Err(too_large());
        }
        let mut content = BytesMut::new();
        let mut only = Bytes::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| explain(origin, &error))?;
            // Trailers are left out: nobody has asked for them.
            let Ok(data) = frame.into_data() else { continue };
            if only.len() + content.len() + data.len() > max {
                return Err(too_large());
            }
            // Most answers come in one piece, which needs no copy.
            if only.is_empty() && content.is_empty() {
                only = data;
            } else {
                content.extend_from_slice(&std::mem::take(&mut only));
                content.extend_from_slice(&data);
            }
        }
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let body = if content.is_empty() { only } else { content.freeze() };
        Ok(HttpResponse { status: head.status.as_u16(), headers, body })
    }

    async fn connect(&self, origin: &Origin) -> Result<Connection, CallError> {
        let addresses = self.addresses(origin).await?;
        let stream = connect_any(origin, &addresses).await?;
        let transport =
            if origin.tls { self.encrypt(origin, stream).await? } else { Transport::plain(stream) };
        let opened = Connection::open(transport, &self.options, &self.metrics).await;
        opened.map_err(|error| explain(origin, &error))
    }

    async fn addresses(&self, origin: &Origin) -> Result<Rc<[SocketAddr]>, CallError> {
        if let Some(address) = origin.address() {
            return Ok(Rc::from([SocketAddr::new(address, origin.port)]));
        }
        self.resolver.resolve(&origin.host, origin.port).await.map_err(|error| {
            let code = match error {
                ResolveError::Busy(_) => CallErrorCode::Busy,
                ResolveError::Failed(_) | ResolveError::Empty => CallErrorCode::Dns,
            };
            CallError::later(code, format!("cannot look up the name {}: {error}", origin.host))
        })
    }

    async fn encrypt(&self, origin: &Origin, stream: Stream) -> Result<Transport, CallError> {
        let connector = self.connector().await.map_err(|error| {
            let code = match error {
                TrustError::Busy(_) => CallErrorCode::Busy,
                _ => CallErrorCode::Tls,
            };
            CallError::later(code, error.to_string())
        })?;
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| {
            CallError::never(
                CallErrorCode::BadUrl,
                format!("`{}` is not a name that a certificate can have", origin.host),
            )
        })?;
        let stream = connector.connect(name, stream).await;
        stream.map(Transport::tls).map_err(|error| explain_tls(origin, &error))
    }

    async fn connector(&self) -> Result<TlsConnector, TrustError> {
        if let Some(connector) = &*self.connector.borrow() {
            return Ok(connector.clone());
        }
        let connector = TlsConnector::from(Arc::clone(&self.options.trust.load_off_core().await?));
        *self.connector.borrow_mut() = Some(connector.clone());
        Ok(connector)
    }
}

/// Tries the addresses in the order the resolver prefers them.
async fn connect_any(origin: &Origin, addresses: &[SocketAddr]) -> Result<Stream, CallError> {
    let mut last = None;
    for address in addresses {
        match Stream::connect(*address, CONNECT_MAX).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some((address, error)),
        }
    }
    let Some((address, error)) = last else { unreachable!("a name has at least one address") };
    let code = match error.kind() {
        io::ErrorKind::ConnectionRefused => CallErrorCode::Refused,
        io::ErrorKind::TimedOut => CallErrorCode::Timeout,
        _ => CallErrorCode::Unreachable,
    };
    Err(CallError::later(code, format!("cannot connect to {origin} ({address}): {error}")))
}

/// What the handshake failed of. A certificate that is not trusted now will not be trusted in a
/// second; a connection that broke may hold then.
fn explain_tls(origin: &Origin, error: &io::Error) -> CallError {
    let source = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    CallError {
        code: CallErrorCode::Tls,
        message: format!("no encrypted connection to {origin}: {error}"),
        retryable: source.is_none(),
    }
}

/// What hyper says about an exchange.
fn explain(origin: &Origin, error: &hyper::Error) -> CallError {
    if error.is_parse_too_large() {
        return CallError::never(
            CallErrorCode::TooLarge,
            format!("the head of the answer of {origin} is too large"),
        );
    }
    if error.is_parse() {
        return CallError::never(
            CallErrorCode::Protocol,
            format!("what {origin} answered is not HTTP: {error}"),
        );
    }
    let mut message = format!("the connection to {origin} broke: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    CallError::later(CallErrorCode::Broken, message)
}
