//! The network interfaces of this machine.

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

/// One interface, and what it is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// As the system calls it: `eth0`.
    pub name: String,
    /// Its number, which multicast is joined by. Never 0.
    pub index: u32,
    /// Its addresses, IPv4 before IPv6, in ascending order.
    pub addresses: Vec<IpAddr>,
    /// It is switched on, and something is at the other end.
    pub up: bool,
    /// It leads back to this machine.
    pub loopback: bool,
    /// It carries multicast. Loopback interfaces usually say that they do not, and do.
    pub multicast: bool,
}

/// Lists the interfaces by their numbers. A few system calls, none of which waits for a network.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut found = BTreeMap::<String, Interface>::new();
    for entry in getifaddrs().map_err(io::Error::from)? {
        let address = address(&entry);
        if let Some(known) = found.get_mut(&entry.interface_name) {
            known.addresses.extend(address);
            continue;
        }
        // One that was taken away since the list was made has no number any more.
        let Ok(index) = if_nametoindex(entry.interface_name.as_str()) else { continue };
        let has = |flags| entry.flags.contains(flags);
        let interface = Interface {
            name: entry.interface_name.clone(),
            index,
            addresses: address.into_iter().collect(),
            up: has(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING),
            loopback: has(InterfaceFlags::IFF_LOOPBACK),
            multicast: has(InterfaceFlags::IFF_MULTICAST),
        };
        found.insert(entry.interface_name, interface);
    }
    let mut interfaces: Vec<_> = found.into_values().collect();
    interfaces.sort_by_key(|interface| interface.index);
    for interface in &mut interfaces {
        interface.addresses.sort_unstable();
        interface.addresses.dedup();
    }
    Ok(interfaces)
}

/// The IP address of an entry. Each interface has others besides, those of its hardware.
fn address(entry: &InterfaceAddress) -> Option<IpAddr> {
    let address = entry.address.as_ref()?;
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
}

#[cfg(test)]
mod tests;
