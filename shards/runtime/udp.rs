//! UDP: datagrams that pass every network in one piece, sent no faster than allowed.
//!
//! Datagrams get lost, come twice and come in another order; who uses this expects it. What goes
//! wrong with one datagram is counted and ends nothing.
//!
//! glommio's own datagrams are not used: they cut one that is too long without a word, and waiting
//! for one is not given up without losing it. Here a wait is only for readiness, and the datagram
//! is then taken by one system call.
//!
//! Invariants:
//! - No datagram of more than [`DATAGRAM_BYTES_MAX`] bytes is sent, and none is handed on.
//! - In any time, no more is sent than the burst and what the rate gave in that time.
//! - A wait for a datagram can be given up without losing one.

use crate::net::PortError;
use crate::task::yield_if_needed;
use crate::timer::{instant, sleep_until, timeout};
use crate::trouble::io_error;
use base::{TokenBucket, TokenError};
use glommio::io::PollableFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;
use telemetry::{Counter, CounterFamily, Registry, Unit};

/// The largest datagram. Unit: bytes. With its headers it fits into 1,500 bytes, what an Ethernet
/// carries, with room for a tunnel's; one that is cut into pieces is lost with any of them.
pub const DATAGRAM_BYTES_MAX: usize = 1_400;

/// What a datagram costs a network besides its bytes: the headers of IPv6 (RFC 8200, 40) and UDP
/// (RFC 768, 8). The rate counts them, so that small datagrams are not free. Unit: bytes.
pub const DATAGRAM_OVERHEAD_BYTES: usize = 48;

const _: () = assert!(DATAGRAM_BYTES_MAX + DATAGRAM_OVERHEAD_BYTES <= 1_500);

/// Datagrams taken in a row before other tasks get a turn.
const TURN_DATAGRAMS: u32 = 32;

/// How a socket is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct UdpOptions {
    /// Others of this user may bind the same address (SO_REUSEPORT): one socket per core, among
    /// which the kernel spreads what comes. What comes by multicast goes to each of them.
    pub shared: bool,
    /// How fast may be sent. Default: without a limit.
    pub rate: Option<UdpRate>,
}

/// A bound on what is sent.
#[derive(Debug, Clone, Copy)]
pub struct UdpRate {
    /// In the long run, headers included. Unit: bytes per second.
    pub bytes_per_second: NonZeroU32,
    /// At once, after a pause. At least one whole datagram is allowed. Unit: bytes.
    pub burst_bytes: NonZeroU32,
}

/// Why a datagram was not sent, or none was received. The socket can be used further.
#[derive(Debug, thiserror::Error)]
pub enum UdpError {
    /// It would not pass every network in one piece.
    #[error("a datagram has at most {DATAGRAM_BYTES_MAX} bytes, this one has {bytes}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not now: the rate is used up.
    #[error("the limit of what may be sent is reached; there will be room in {wait:?}")]
    RateLimited {
        /// How long until there is room.
        wait: Duration,
    },
    /// Not now: the network is slower than we are.
    #[error("the socket has no room for another datagram")]
    Full,
    /// There is no way to that address.
    #[error("cannot send to {to}: {source}")]
    Send {
        /// Where to.
        to: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing came in time.
    #[error("no datagram came to {address} within {within:?}")]
    TimedOut {
        /// The socket's own address.
        address: SocketAddr,
        /// How long was waited.
        within: Duration,
    },
    /// The machine has run out of something.
    #[error("cannot receive at {address}: {source}")]
    Receive {
        /// The socket's own address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Not an address of a group, or not of the socket's family.
    #[error("{group} is not a multicast group that a socket at {address} can be in")]
    NoGroup {
        /// The address given.
        group: IpAddr,
        /// The socket's own address.
        address: SocketAddr,
    },
    /// The interface is not there, or the system does not allow it.
    #[error("cannot use the interface {interface} for multicast at {address}: {source}")]
    Interface {
        /// The interface's number; 0 for the system's choice.
        interface: u32,
        /// The socket's own address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// A socket of this core.
pub struct Udp {
    socket: PollableFd<Socket>,
    address: SocketAddr,
    bucket: Option<RefCell<TokenBucket>>,
    metrics: UdpMetrics,
    received: Cell<u32>,
}

impl Udp {
    /// Opens a socket. Port 0 chooses a free port. One on `[::]` is for IPv6 alone, so that every
    /// address is written in one way only.
    pub fn bind(
        address: SocketAddr,
        options: &UdpOptions,
        metrics: UdpMetrics,
    ) -> Result<Self, PortError> {
        let (socket, address) =
            open(address, options).map_err(|source| PortError::new(address, source))?;
        let bucket = options.rate.map(|rate| {
            let whole = u32::try_from(DATAGRAM_BYTES_MAX + DATAGRAM_OVERHEAD_BYTES)
                .expect("a datagram has fewer than 2^32 bytes");
            let burst = NonZeroU32::new(rate.burst_bytes.get().max(whole))
                .expect("the larger of two numbers above 0");
            RefCell::new(TokenBucket::new(rate.bytes_per_second, burst, instant()))
        });
        Ok(Self { socket, address, bucket, metrics, received: Cell::new(0) })
    }

    /// The address it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a datagram as soon as the rate and the socket allow it. That it was sent says nothing
    /// about whether it arrives. Of several waiting tasks any may be the next.
    pub async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<(), UdpError> {
        self.counted(self.send_in_turn(bytes, to).await)
    }

    async fn send_in_turn(&self, bytes: &[u8], to: SocketAddr) -> Result<(), UdpError> {
        check_size(bytes)?;
        while let Err(wait) = self.take_rate(bytes.len()) {
            sleep_until(instant() + wait).await;
        }
        loop {
            match self.send_now(bytes, to) {
                Err(UdpError::Full) => {
                    let ready = self.socket.writable().await.map_err(io_error);
                    ready.map_err(|source| UdpError::Send { to, source })?;
                }
                sent => return sent,
            }
        }
    }

    /// Sends a datagram now or not at all: [`UdpError::RateLimited`] and [`UdpError::Full`] say
    /// that it could be later.
    pub fn try_send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<(), UdpError> {
        let allowed = check_size(bytes).and_then(|()| {
            self.take_rate(bytes.len()).map_err(|wait| UdpError::RateLimited { wait })
        });
        self.counted(allowed.and_then(|()| self.send_now(bytes, to)))
    }

    fn send_now(&self, bytes: &[u8], to: SocketAddr) -> Result<(), UdpError> {
        let mut told = false;
        loop {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match sendto(self.socket.get_ref(), bytes, flags, &to) {
                Ok(_) => {
                    self.metrics.packets_sent.increment();
                    self.metrics.bytes_sent.add(bytes.len() as u64);
                    return Ok(());
                }
                Err(Errno::AGAIN) => return Err(UdpError::Full),
                Err(Errno::INTR) => {}
                // Told of an earlier datagram, by the machine it went to; this one was not sent.
                Err(error @ Errno::CONNREFUSED) if !told => {
                    self.metrics.send_error(error_type(error));
                    told = true;
                }
                Err(error) => return Err(UdpError::Send { to, source: error.into() }),
            }
        }
    }

    /// Takes what a datagram costs, or says how long until it can be taken.
    fn take_rate(&self, bytes: usize) -> Result<(), Duration> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        let cost = u32::try_from(bytes + DATAGRAM_OVERHEAD_BYTES)
            .expect("a datagram has fewer than 2^32 bytes");
        let now = instant();
        match bucket.borrow_mut().take(now, cost) {
            Ok(()) => Ok(()),
            Err(TokenError::Later { until }) => Err(until.since(now)),
            Err(TokenError::Never { .. }) => unreachable!("a burst is at least one datagram"),
        }
    }

    fn counted(&self, sent: Result<(), UdpError>) -> Result<(), UdpError> {
        if let Err(error) = &sent {
            self.metrics.send_error(match error {
                UdpError::TooLarge { .. } => "too_large",
                UdpError::RateLimited { .. } => "rate_limited",
                UdpError::Full => "full",
                UdpError::Send { source, .. } => {
                    Errno::from_io_error(source).map_or("io", error_type)
                }
                _ => "io",
            });
        }
        sent
    }

    /// Waits for the next datagram: its bytes at the beginning of `buffer`, how many, and whom
    /// they are from. The wait can be given up without losing one.
    pub async fn receive_from(
        &self,
        buffer: &mut [u8; DATAGRAM_BYTES_MAX],
    ) -> Result<(usize, SocketAddr), UdpError> {
        if self.received.replace(self.received.get() + 1) >= TURN_DATAGRAMS {
            self.received.set(0);
            yield_if_needed().await;
        }
        let failed = |source| UdpError::Receive { address: self.address, source };
        loop {
            // With this flag the answer is the datagram's whole length, however much of it fits.
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            match recvfrom(self.socket.get_ref(), &mut buffer[..], flags) {
                Ok((_, bytes, _)) if bytes > DATAGRAM_BYTES_MAX => {
                    self.metrics.receive_error("truncated");
                }
                Ok((_, bytes, from)) => {
                    let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                    // Nobody without an IP address can send here.
                    let Some(from) = from else { continue };
                    self.metrics.packets_received.increment();
                    self.metrics.bytes_received.add(bytes as u64);
                    return Ok((bytes, from));
                }
                Err(Errno::AGAIN) => {
                    self.received.set(0);
                    self.socket.readable().await.map_err(io_error).map_err(failed)?;
                }
                Err(Errno::INTR) => {}
                // Told of a datagram that was sent: this socket goes on.
                Err(error) if is_of_one_datagram(error) => {
                    self.metrics.receive_error(error_type(error));
                }
                Err(error) => {
                    self.metrics.receive_error(error_type(error));
                    return Err(failed(error.into()));
                }
            }
        }
    }

    /// The same, for at most `within`.
    pub async fn receive_from_within(
        &self,
        buffer: &mut [u8; DATAGRAM_BYTES_MAX],
        within: Duration,
    ) -> Result<(usize, SocketAddr), UdpError> {
        let timed_out = |_| UdpError::TimedOut { address: self.address, within };
        timeout(within, self.receive_from(buffer)).await.map_err(timed_out)?
    }

    /// Receives what is sent to `group` from now on, on the interface of that number
    /// ([`crate::interfaces`]); 0 lets the system choose one. The socket's address must be the
    /// group's or unspecified (`0.0.0.0`, `[::]`), or nothing comes.
    pub fn join(&self, group: IpAddr, interface: u32) -> Result<(), UdpError> {
        let socket = self.socket.get_ref();
        self.change_group(group, interface, |group| match group {
            IpAddr::V4(group) => {
                socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface))
            }
            IpAddr::V6(group) => socket.join_multicast_v6(&group, interface),
        })
    }

    /// No longer receives what is sent to `group` on that interface.
    pub fn leave(&self, group: IpAddr, interface: u32) -> Result<(), UdpError> {
        let socket = self.socket.get_ref();
        self.change_group(group, interface, |group| match group {
            IpAddr::V4(group) => {
                socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface))
            }
            IpAddr::V6(group) => socket.leave_multicast_v6(&group, interface),
        })
    }

    fn change_group(
        &self,
        group: IpAddr,
        interface: u32,
        change: impl FnOnce(IpAddr) -> io::Result<()>,
    ) -> Result<(), UdpError> {
        if !group.is_multicast() || group.is_ipv4() != self.address.is_ipv4() {
            return Err(UdpError::NoGroup { group, address: self.address });
        }
        change(group).map_err(|source| self.interface_failed(interface, source))
    }

    /// Sends to groups by the interface of that number. They reach this machine and its own
    /// network, and no router hands them on.
    pub fn multicast_by(&self, interface: u32) -> Result<(), UdpError> {
        let socket = self.socket.get_ref();
        let any = Ipv4Addr::UNSPECIFIED;
        let set = if self.address.is_ipv4() {
            rustix::net::sockopt::set_ip_multicast_if_with_ifindex(socket, &any, &any, interface)
                .map_err(io::Error::from)
        } else {
            socket.set_multicast_if_v6(interface)
        };
        set.map_err(|source| self.interface_failed(interface, source))
    }

    fn interface_failed(&self, interface: u32, source: io::Error) -> UdpError {
        UdpError::Interface { interface, address: self.address, source }
    }
}

impl std::fmt::Debug for Udp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Udp").field("address", &self.address).finish_non_exhaustive()
    }
}

fn check_size(bytes: &[u8]) -> Result<(), UdpError> {
    match bytes.len() {
        0..=DATAGRAM_BYTES_MAX => Ok(()),
        bytes => Err(UdpError::TooLarge { bytes }),
    }
}

fn open(address: SocketAddr, options: &UdpOptions) -> io::Result<(PollableFd<Socket>, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(options.shared)?;
    // By default a socket also receives from groups that others on this machine have joined.
    if address.is_ipv4() {
        socket.set_multicast_all_v4(false)?;
    } else {
        socket.set_only_v6(true)?;
        socket.set_multicast_all_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let bound = socket.local_addr()?.as_socket();
    let bound = bound.ok_or_else(|| io::Error::other("a UDP socket has no IP address"))?;
    Ok((PollableFd::new(socket).map_err(io_error)?, bound))
}

/// What another machine, or a router, said about one datagram.
fn is_of_one_datagram(error: Errno) -> bool {
    matches!(
        error,
        Errno::CONNREFUSED
            | Errno::HOSTUNREACH
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::NETDOWN
            | Errno::NONET
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::OPNOTSUPP
            | Errno::ACCESS
            | Errno::PERM
            | Errno::MSGSIZE
    )
}

/// The label that an error is counted by.
fn error_type(error: Errno) -> &'static str {
    match error {
        Errno::CONNREFUSED => "refused",
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::HOSTDOWN | Errno::NETDOWN => "unreachable",
        Errno::ACCESS | Errno::PERM => "forbidden",
        Errno::MSGSIZE => "too_large",
        Errno::NOBUFS | Errno::NOMEM => "full",
        _ => "io",
    }
}

/// The counters of the sockets of one core.
#[derive(Debug, Clone)]
pub struct UdpMetrics {
    packets_sent: Counter,
    packets_received: Counter,
    bytes_sent: Counter,
    bytes_received: Counter,
    registry: Registry,
}

impl UdpMetrics {
    /// The cells in a core's registry.
    pub fn new(registry: &Registry) -> Self {
        Self {
            packets_sent: registry.counter(&UDP_PACKETS_SENT, &[]),
            packets_received: registry.counter(&UDP_PACKETS_RECEIVED, &[]),
            bytes_sent: registry.counter(&UDP_BYTES_SENT, &[]),
            bytes_received: registry.counter(&UDP_BYTES_RECEIVED, &[]),
            registry: registry.clone(),
        }
    }

    fn send_error(&self, error_type: &'static str) {
        self.registry.counter(&UDP_SEND_ERRORS, &[("error_type", error_type)]).increment();
    }

    fn receive_error(&self, error_type: &'static str) {
        self.registry.counter(&UDP_RECEIVE_ERRORS, &[("error_type", error_type)]).increment();
    }
}

static UDP_PACKETS_SENT: CounterFamily =
    family("udp_packets_sent_total", "Datagrams handed to the network.");
static UDP_PACKETS_RECEIVED: CounterFamily =
    family("udp_packets_received_total", "Datagrams received.");
static UDP_BYTES_SENT: CounterFamily =
    family("udp_bytes_sent_total", "Bytes of datagrams handed to the network.");
static UDP_BYTES_RECEIVED: CounterFamily =
    family("udp_bytes_received_total", "Bytes of datagrams received.");
static UDP_SEND_ERRORS: CounterFamily =
    family("udp_send_errors_total", "Datagrams not sent, by reason (label error_type).");
static UDP_RECEIVE_ERRORS: CounterFamily = family(
    "udp_receive_errors_total",
    "Datagrams that came too long, and bad news of those sent (label error_type).",
);

const fn family(name: &'static str, help: &'static str) -> CounterFamily {
    CounterFamily { name, help, unit: Unit::One }
}

#[cfg(test)]
mod tests;
