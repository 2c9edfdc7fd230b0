//! The multicast group: a socket of its own, on the interface that has the node's address.

use runtime::{PortError, Udp, UdpError, UdpMetrics, UdpOptions, interfaces};
use std::io;
use std::net::SocketAddr;
use telemetry::Registry;

/// Why a group cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// Which interface has the address is not known.
    #[error("cannot list the interfaces of this machine: {source}")]
    Interfaces {
        /// What the system said.
        source: io::Error,
    },
    /// No interface has the address.
    #[error("no interface of this machine has the address {address}, to send to {group} from")]
    NoInterface {
        /// Where this node takes gossip.
        address: SocketAddr,
        /// The group.
        group: SocketAddr,
    },
    /// Another program has the port alone.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The interface does not carry it.
    #[error(transparent)]
    Udp(#[from] UdpError),
}

/// Has `own`, which all sends go by, send to groups by the interface that has its address, and opens
/// a socket to which the group's datagrams come by the same.
pub(crate) fn join(group: SocketAddr, own: &Udp, registry: &Registry) -> Result<Udp, GroupError> {
    let address = own.address();
    let all = interfaces().map_err(|source| GroupError::Interfaces { source })?;
    // Loopback has a whole network, of which it names one address.
    let has = |one: &&runtime::Interface| {
        one.addresses.contains(&address.ip()) || one.loopback && address.ip().is_loopback()
    };
    let found = all.iter().find(has).ok_or(GroupError::NoInterface { address, group })?;
    own.multicast_by(found.index)?;
    // Several nodes of one machine hear the same group.
    let options = UdpOptions { shared: true, ..UdpOptions::default() };
    let socket = Udp::bind(group, &options, UdpMetrics::new(registry))?;
    socket.join(group.ip(), found.index)?;
    Ok(socket)
}
