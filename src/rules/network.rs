//! Networks of IP addresses: `10.0.0.0/8`, `2001:db8::/32`.

use std::net::IpAddr;

/// A range of addresses that share their first bits. A single address is a network of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network {
    pub(crate) is_v4: bool,
    /// The address's bits at the top, zeros below.
    pub(crate) bits: u128,
    pub(crate) prefix: u32,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("`{text}` is not a network: an address and a length, as in 10.0.0.0/8")]
    Malformed { text: String },
    #[error("`{text}` has bits set beyond its {prefix} first ones")]
    BitsBeyondPrefix { text: String, prefix: u32 },
}

/// The bits at the top, and whether it is version 4. `::ffff:10.0.0.1` is `10.0.0.1`: the same
/// machine, seen through a socket of version 6.
fn bits_of(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, true),
        IpAddr::V6(address) => (address.to_bits(), false),
    }
}

pub(crate) fn mask(prefix: u32) -> u128 {
    u128::MAX.checked_shl(128 - prefix).unwrap_or(0)
}

impl Network {
    pub(crate) fn parse(text: &str) -> Result<Self, NetworkError> {
        let malformed = || NetworkError::Malformed { text: text.to_owned() };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let (bits, is_v4) = bits_of(address);
        let width = if is_v4 { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                // A mapped address counts its length in the 128 bits it is written in.
                let written: u32 = digits.parse().map_err(|_| malformed())?;
                let is_mapped = is_v4 && address.is_ipv6();
                let prefix = if is_mapped { written.checked_sub(96) } else { Some(written) };
                prefix.filter(|prefix| *prefix <= width).ok_or_else(malformed)?
            }
            Some(_) => return Err(malformed()),
        };
        if bits & !mask(prefix) != 0 {
            return Err(NetworkError::BitsBeyondPrefix { text: text.to_owned(), prefix });
        }
        Ok(Self { is_v4, bits, prefix })
    }

    /// Whether `text` is an address in one of the networks.
    pub(crate) fn any_contains(networks: &[Self], text: &[u8]) -> bool {
        let Some((bits, is_v4)) = address(text) else { return false };
        networks
            .iter()
            .any(|network| network.is_v4 == is_v4 && bits & mask(network.prefix) == network.bits)
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = if self.is_v4 {
            let bits = u32::try_from(self.bits >> 96).expect("32 bits are left");
            IpAddr::V4(bits.into())
        } else {
            IpAddr::V6(self.bits.into())
        };
        write!(out, "{address}/{}", self.prefix)
    }
}

/// The bits of the address that a text is, and whether it is version 4.
pub(crate) fn address(text: &[u8]) -> Option<(u128, bool)> {
    /// `0000:0000:0000:0000:0000:ffff:255.255.255.255`: nothing longer is an address.
    const ADDRESS_BYTES_MAX: usize = 45;
    /// `::`
    const ADDRESS_BYTES_MIN: usize = 2;
    if !(ADDRESS_BYTES_MIN..=ADDRESS_BYTES_MAX).contains(&text.len()) {
        return None;
    }
    let address = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(bits_of(address))
}
